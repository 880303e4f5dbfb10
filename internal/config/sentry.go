package config

import (
	"errors"
	"net/url"
	"path"
	"strings"
)

// setSentry takes the address of a project at a service for errors.
func setSentry(c *Config, dsn string, _ origin) error {
	c.SentryDSN = dsn
	if dsn == "" {
		return nil
	}
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User.Username() == "" || path.Base(u.Path) == "/" || path.Base(u.Path) == "." || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("it must read https://KEY@HOST/PROJECT, as the service shows it")
	}
	return nil
}

// showSentry leaves the key out.
func showSentry(c *Config) string {
	u, err := url.Parse(c.SentryDSN)
	if err != nil || c.SentryDSN == "" {
		return ""
	}
	u.User = url.User(strings.Repeat("x", 5))
	return u.String()
}
