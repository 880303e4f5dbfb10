package egress

import (
	"slices"
	"strings"
	"testing"

	"mgx"
)

// TestAsked: models ask for public hosts by their whole names, and for nothing else.
func TestAsked(t *testing.T) {
	t.Parallel()
	got, err := ParseAsked([]string{"Registry.NPMjs.org:443", "registry.npmjs.org.:443", "8.8.8.8:53", "[2001:4860::8888]:443", "a.test:80"})
	if want := []string{"registry.npmjs.org:443", "8.8.8.8:53", "[2001:4860::8888]:443", "a.test:80"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	for _, text := range []string{
		"10.0.0.1:80", "10.0.0.1:80+private", "registry.npmjs.org:443+private", "127.0.0.1:80", "[::1]:80", "[::ffff:10.0.0.1]:80", "2130706433:80", "0x7f000001:80", "127.1:80",
		"169.254.169.254:80", "[fd00:ec2::254]:80", "[64:ff9b::a9fe:a9fe]:80", "metadata.google.internal:80", "METADATA.google.internal.:80",
		"localhost:80", "x.localhost:80", "metadata:80", "printer.local:80", "git.corp:443", "wiki.home.arpa:80",
		"*.npmjs.org:443", "*:443", "registry.npmjs.org:*", "r?gistry.org:443", "registry.npmjs.org", "registry.npmjs.org:0", "registry.npmjs.org:65536", "registry.npmjs.org:443/x", "https://registry.npmjs.org:443",
		"user@registry.npmjs.org:443", "r\u0435gistry.npmjs.org:443", "registry.npmjs.org:443 evil.test:443", "registry.npmjs.org:443,evil.test:443", "", ":443", "\x1b[31m:443", strings.Repeat("a.", 300) + "test:443",
	} {
		hosts, err := ParseAsked([]string{"a.test:443", text})
		if !mgx.IsCode(err, "bad_asked_host") || hosts != nil {
			t.Errorf("%q: %q, %v", text, hosts, err)
			continue
		}
		if m := err.Error(); strings.Contains(m, "write 10") || strings.ContainsRune(m, '\x1b') || len(m) > 300 {
			t.Errorf("%q is refused with %q", text, m)
		}
	}
	if _, err := ParseAsked(slices.Repeat([]string{"a.test:1"}, MaxAsked+1)); err == nil {
		t.Error("more than there may be")
	}
	list, err := NewList("a.test:443", "*.b.test:443+private")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := list.Beyond([]string{"a.test:443", "a.test:80", "x.b.test:443", "b.test:443"}), []string{"a.test:80", "b.test:443"}; !slices.Equal(got, want) {
		t.Errorf("beyond the list: %q", got)
	}
}
