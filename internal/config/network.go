package config

import (
	"errors"
	"strings"
)

// maxAllowHosts bounds how many there can be.
const maxAllowHosts = 200

// setAllowHosts takes HOST:PORT with commas between. What a host may look like,
// the gate of the sandbox says.
func setAllowHosts(c *Config, v string, _ origin) error {
	c.AllowHosts = nil
	if v == "" || v == "none" {
		return nil
	}
	for host := range strings.SplitSeq(v, ",") {
		host = strings.TrimSpace(host)
		if !strings.Contains(host, ":") || strings.ContainsAny(host, " \t/@") {
			return errors.New("it must read HOST:PORT, such as registry.npmjs.org:443, with commas between several, or none")
		}
		c.AllowHosts = append(c.AllowHosts, host)
	}
	if len(c.AllowHosts) > maxAllowHosts {
		return errors.New("it names more than 200 hosts; *.example.org:443 stands for the names below one")
	}
	return nil
}

func showAllowHosts(c *Config) string { return listed(c.AllowHosts) }

// listed shows a list as it is set.
func listed(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ",")
}
