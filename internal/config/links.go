package config

import (
	"errors"
	"strings"
)

// maxLinkHosts bounds how many there can be.
const maxLinkHosts = 100

// setLinkHosts takes names of hosts with commas between.
func setLinkHosts(c *Config, v string, _ origin) error {
	c.LinkHosts = nil
	if v == "" || v == "none" {
		return nil
	}
	for host := range strings.SplitSeq(v, ",") {
		host = strings.ToLower(strings.TrimSpace(host))
		if host == "" || len(host) > 253 || strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" || strings.HasPrefix(host, ".") || strings.Contains(host, "..") {
			return errors.New("it must read HOST, such as github.com, with commas between several, or none; a host stands for itself alone, on any port")
		}
		c.LinkHosts = append(c.LinkHosts, host)
	}
	if len(c.LinkHosts) > maxLinkHosts {
		return errors.New("it names more than 100 hosts")
	}
	return nil
}

func showLinkHosts(c *Config) string { return listed(c.LinkHosts) }
