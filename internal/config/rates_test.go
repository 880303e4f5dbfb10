package config

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"mgx"
)

func TestRates(t *testing.T) {
	var none []string
	for _, r := range RateLimits {
		none = append(none, r.Name+"=0")
	}
	for given, want := range map[string]string{
		"": "default", "default": "default", "off": "off", strings.Join(none, ","): "off",
		"user=10": "user=10", "queue=0, key=1000000": "key=1000000,queue=0", "key=6000": "default",
	} {
		var c, again Config
		if err := setRates(&c, given, origin{}); err != nil || showRates(&c) != want {
			t.Errorf("%q: %s, %v", given, showRates(&c), err)
		}
		if err := setRates(&again, showRates(&c), origin{}); err != nil || showRates(&again) != want {
			t.Errorf("%q is shown as %q, which is %q, %v", given, want, showRates(&again), err)
		}
	}
	for _, given := range []string{"user", "user=", "user=-1", "user=1.5", "user=1000001", "users=1", ",", "user=1;key=1"} {
		var c Config
		if err := setRates(&c, given, origin{}); err == nil {
			t.Errorf("%q was taken", given)
		}
	}
}

// The page on limits has every one of them, as it is.
func TestRatesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range RateLimits {
		if line := "| `" + r.Name + "` | " + strconv.Itoa(r.Default) + " | " + r.Means + " |"; !strings.Contains(string(page), line) {
			t.Errorf("docs/limits.md lacks: %s", line)
		}
	}
	for _, q := range mgx.Quotas {
		most := " "
		if q.Most > 0 {
			most = " " + strconv.FormatInt(q.Most, 10) + " "
		}
		if line := "| `" + string(q.Name) + "` |" + most + "| " + q.Means + " |"; !strings.Contains(string(page), line) {
			t.Errorf("docs/limits.md lacks: %s", line)
		}
	}
}
