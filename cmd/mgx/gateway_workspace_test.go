package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mgx"
)

// A key of another workspace calls what the file of models says for all or for it,
// and what that costs is that workspace's. What the environment of the server
// names is not for it.
func TestGatewayOfAnotherWorkspace(t *testing.T) {
	t.Parallel()
	l := newGatewayLab(t)
	path := filepath.Join(l.home, "models.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ws := strings.TrimSpace(l.must("workspaces", "create", "acme"))
	own := strings.Replace(string(text), `"policies"`, `"workspaces": {"`+ws+`": {"policies": {"ours": {"candidates": [{"model": "openai/gpt-4o-mini"}]}}}}, "policies"`, 1)
	if err := os.WriteFile(path, []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	l.env = append(l.env, "ANTHROPIC_API_KEY=sk-of-the-installation", "ANTHROPIC_BASE_URL=http://127.0.0.1:1")
	server := l.serve("127.0.0.1:0", "--workers", "0")
	_, theirs := l.newKey("--workspace", ws)
	_, ours := l.newKey()
	for _, c := range []struct {
		key, model string
		status     int
	}{
		{theirs, "cheap", 200}, {theirs, "ours", 200}, {ours, "cheap", 200}, {ours, "ours", 404}, {theirs, "anthropic/claude", 404},
	} {
		if resp, body := server.ask(c.key, strings.Replace(gatewayCall, "cheap", c.model, 1)); resp.StatusCode != c.status {
			t.Errorf("%s: %d %s", c.model, resp.StatusCode, body)
		}
	}
	// A provider that is none of theirs is taken for a part of a name that theirs have.
	for id, want := range map[mgx.WorkspaceID]int{mgx.WorkspaceID(ws): 3, mgx.DefaultWorkspace: 1} {
		all, err := l.store().Ledger(t.Context(), mgx.UsageQuery{Workspace: id})
		if err != nil || len(all) != want {
			t.Errorf("%d calls of %s, %v", len(all), id, err)
		}
		for _, e := range all {
			if e.Provider != "openai" {
				t.Errorf("%s called %s", id, e.Provider)
			}
		}
	}
	server.end()
}
