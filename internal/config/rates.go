package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// RateLimit is one of the limits on what a server is asked: what it is called, and
// what it is unless somebody says otherwise.
type RateLimit struct {
	Name    string
	Default int
	Means   string
}

// RateLimits lists them. Those of key, user, workspace and address are units a minute,
// of which an ordinary request costs one.
var RateLimits = []RateLimit{
	{"key", 6000, "units a minute of one API key"},
	{"user", 6000, "units a minute of one person, with all their sessions and keys"},
	{"workspace", 30_000, "units a minute of all who act in one workspace"},
	{"address", 600, "units a minute of one network address (an IPv6 /64) that has not said who it is"},
	{"key-streams", 100, "streams and sockets of one API key that are open at a time"},
	{"user-streams", 100, "streams and sockets of one person, with all their pages and keys, that are open at a time"},
	{"workspace-streams", 1000, "streams and sockets of all who act in one workspace that are open at a time"},
	{"at-once", 256, "requests that are answered at once, besides streams and calls of models"},
	{"queue", 1024, "requests that wait for that, for a second at most"},
	{"connections", 10_000, "connections that are open at a time"},
	{"address-connections", 500, "of them, those of one network address (an IPv6 /64) that have not said whose they are"},
}

const mostRate = 1_000_000

// setRates takes NAME=N with commas between, or off.
func setRates(c *Config, v string, _ origin) error {
	rates := map[string]int{}
	for _, r := range RateLimits {
		rates[r.Name] = r.Default
		if v == "off" {
			rates[r.Name] = 0
		}
	}
	if v != "" && v != "default" && v != "off" {
		for one := range strings.SplitSeq(v, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(one), "=")
			if _, known := rates[name]; !known {
				return fmt.Errorf("it must read NAME=NUMBER, with commas between several, or off; names are %s", rateNames())
			}
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 || n > mostRate {
				return errors.New(name + " must be a whole number up to 1000000; 0: no limit")
			}
			rates[name] = n
		}
	}
	c.Rates = rates
	return nil
}

func rateNames() string {
	var names []string
	for _, r := range RateLimits {
		names = append(names, r.Name)
	}
	return strings.Join(names, ", ")
}

// showRates names those that are not what they are by themselves.
func showRates(c *Config) string {
	var list []string
	off := true
	for _, r := range RateLimits {
		if n := c.Rates[r.Name]; n != r.Default {
			list = append(list, r.Name+"="+strconv.Itoa(n))
		}
		off = off && c.Rates[r.Name] == 0
	}
	switch {
	case off:
		return "off"
	case len(list) == 0:
		return "default"
	}
	return strings.Join(list, ",")
}
