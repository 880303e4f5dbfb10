package config

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
	"time"
)

var redisDatabase = regexp.MustCompile(`^/?(\d{1,4})?$`)

// setRedis takes an address with a time-out at most after it: certificates are
// not for an address to decide on.
func setRedis(c *Config, v string, _ origin) error {
	c.Redis = v
	if v == "" {
		return nil
	}
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Hostname() == "" || !onlyTimeout(u.Query()) || u.Fragment != "" ||
		!redisDatabase.MatchString(u.Path) || strings.ContainsRune(v, 0) {
		return errors.New("it must read redis://user:password@host:port/number?timeout=250ms, or rediss:// for TLS, with signs in it such as @ written as %40")
	}
	return nil
}

func onlyTimeout(q url.Values) bool {
	if !q.Has("timeout") {
		return len(q) == 0
	}
	d, err := time.ParseDuration(q.Get("timeout"))
	return len(q) == 1 && err == nil && d >= time.Millisecond && d <= time.Minute
}

// showRedis leaves the password out.
func showRedis(c *Config) string {
	u, err := url.Parse(c.Redis)
	if err != nil {
		return ""
	}
	return u.Redacted()
}
