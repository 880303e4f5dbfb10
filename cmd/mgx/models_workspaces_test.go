package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/llm"
)

// What is local to one workspace is free there, and a provider of the same name is
// not free in another; for runs and for the gateway alike.
func TestFreeIsWhatIsLocalToTheWorkspace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "models.json")
	if err := os.WriteFile(path, []byte(`{"workspaces": {
		"ws_paid": {"providers": {"openai": {"dialect": "openai", "base_url": "https://models.example/v1", "key": "k-paid-0123456789"}}},
		"ws_own": {"providers": {"box": {"dialect": "openai", "base_url": "https://models.example/v1", "local": true}}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"MGX_MODELS_FILE": path, "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
	m := newModels(func(name string) string { return env[name] }, nil)
	if m.trouble != nil {
		t.Fatal(m.trouble)
	}
	for _, c := range []struct {
		ws    mgx.WorkspaceID
		model string
		free  bool
	}{
		{mgx.DefaultWorkspace, "openai/gpt-4o", true},
		{mgx.DefaultWorkspace, "box/m", false},
		{"ws_paid", "openai/gpt-4o", false},
		{"ws_own", "box/m", true},
		{"ws_own", "openai/gpt-4o", false},
	} {
		gateway, err := m.routerOf(c.ws)
		if err != nil {
			t.Fatal(err)
		}
		runs, err := m.of(c.ws)
		if err != nil {
			t.Fatal(err)
		}
		provider, model, _ := strings.Cut(c.model, "/")
		for of, prices := range map[string]*llm.Prices{"the gateway": gateway.Prices, "runs": runs.options(runs.found, c.ws).Prices} {
			if price, _ := prices.Lookup(provider, model); (price.Version == "local") != c.free {
				t.Errorf("%s in %s for %s: price %+v, want free %v", c.model, c.ws, of, price, c.free)
			}
		}
	}
}

// A provider passes requests on whether its key is in the file or a secret.
func TestLockedProvidersPassRequestsOn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "models.json")
	if err := os.WriteFile(path, []byte(`{"providers": {
		"sec": {"dialect": "openai", "base_url": "https://models.example/v1", "key_secret": "s"},
		"claude": {"dialect": "anthropic", "key_secret": "s"}, "gem": {"dialect": "gemini", "key_secret": "s"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	m := newModels(func(name string) string { return map[string]string{"MGX_MODELS_FILE": path}[name] }, nil)
	r, err := m.routerOf(mgx.DefaultWorkspace)
	if err != nil {
		t.Fatal(err)
	}
	for model, want := range map[string][]string{"sec/m": {llm.DialectChat}, "claude/m": {llm.DialectMessages}, "gem/m": nil} {
		if got := r.Passed(model); !slices.Equal(got, want) {
			t.Errorf("%s passes %q on, want %q", model, got, want)
		}
	}
}
