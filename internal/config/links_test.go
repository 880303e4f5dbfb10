package config

import "testing"

func TestLinkHosts(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{"": "none", "none": "none", "github.com": "github.com", "GitHub.com, docs.example.org": "github.com,docs.example.org"} {
		var c Config
		if err := setLinkHosts(&c, list, origin{}); err != nil || showLinkHosts(&c) != want {
			t.Errorf("%q is %q %v", list, showLinkHosts(&c), err)
		}
	}
	for _, bad := range []string{"https://github.com", "github.com:443", "*.example.org", "a b", "a,,b", ".example.org", "a..b", "ä.example"} {
		var c Config
		if err := setLinkHosts(&c, bad, origin{}); err == nil {
			t.Errorf("%q is taken for %v", bad, c.LinkHosts)
		}
	}
}
