package config

import (
	"errors"
	"net/url"
	"strings"
)

// setNATS takes the addresses of the servers of one cluster, with commas between.
func setNATS(c *Config, list string, _ origin) error {
	c.NATS = list
	if list == "" {
		return nil
	}
	schemes := map[string]bool{}
	for text := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(strings.TrimSpace(text))
		if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			return errors.New("it must read nats://user:password@host:port, or tls:// for TLS, with signs in it such as @ written as %40, and commas between the servers of a cluster")
		}
		schemes[u.Scheme] = true
	}
	if len(schemes) > 1 {
		return errors.New("all its addresses must begin with nats://, or all with tls://")
	}
	return nil
}

// showNATS leaves passwords out, and users without one, which are tokens.
func showNATS(c *Config) string {
	var shown []string
	for text := range strings.SplitSeq(c.NATS, ",") {
		u, err := url.Parse(strings.TrimSpace(text))
		if err != nil {
			return ""
		}
		if _, with := u.User.Password(); u.User != nil && !with {
			u.User = url.User("xxxxx")
		}
		shown = append(shown, u.Redacted())
	}
	return strings.Join(shown, ",")
}
