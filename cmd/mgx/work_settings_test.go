package main

import (
	"testing"

	"mgx"
)

// TestHostsOfTheSiteAreForItsOperator has an admin of a workspace allow hosts, whose
// names a proxy of the server could lead into its network.
func TestHostsOfTheSiteAreForItsOperator(t *testing.T) {
	t.Parallel()
	h := &host{c: &cli{getenv: func(string) string { return "" }}}
	for value, public := range map[string]bool{
		"registry.npmjs.org:443": true, "one.example:443,*.two.example:80": true, "none": true,
		"intranet:80": false, "vault.corp:443": false, "metadata.google.internal:80": false, "*.metadata.internal:443": false, "*.vault.corp:443": false,
		"one.example:443,printer.lan:80": false, "one.example:443+private": false,
	} {
		if _, err := h.CheckSetting("", "allow-host", value, false); (err == nil) != public || err != nil && !mgx.IsCode(err, "bad_host") {
			t.Errorf("%s: %v", value, err)
		}
		if _, err := h.CheckSetting("", "allow-host", value, true); err != nil {
			t.Errorf("%s, of the operator: %v", value, err)
		}
	}
}
