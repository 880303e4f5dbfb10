package config_test

import (
	"slices"
	"strings"
	"testing"

	"mgx"
)

func TestAllowHosts(t *testing.T) {
	t.Parallel()
	m := newMachine(t, `{"allow-host":"file.test:1"}`)
	if c, err := m.load(nil); err != nil || !slices.Equal(c.AllowHosts, []string{"file.test:1"}) {
		t.Errorf("file: %v, %v", c, err)
	}
	m.env["MGX_ALLOW_HOST"] = "a.test:443, *.b.test:80+private"
	c, err := m.load(nil)
	if err != nil || !slices.Equal(c.AllowHosts, []string{"a.test:443", "*.b.test:80+private"}) {
		t.Errorf("environment: %v, %v", c, err)
	}
	for given, want := range map[string]int{"none": 0, "": 0, "c.test:1": 1} {
		if c, err := m.load(map[string]string{"allow-host": given}); err != nil || len(c.AllowHosts) != want {
			t.Errorf("--allow-host=%q: %v, %v", given, c, err)
		}
	}
	for _, given := range []string{"a.test", "a.test:1,", "https://a.test:1", "user@a.test:1", "a.test:1 b.test:1", strings.Repeat("a:1,", 200) + "a:1"} {
		if _, err := m.load(map[string]string{"allow-host": given}); !mgx.IsCode(err, "bad_setting") {
			t.Errorf("--allow-host=%q: %v", given, err)
		}
	}
}
