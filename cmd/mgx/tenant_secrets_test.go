package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/guard"
	"mgx/internal/store"
)

// What one workspace keeps as secrets takes nothing out of what another has, breaks
// none of its acts and tells nobody whether a guess is right; words that everybody has
// cannot be kept as secrets. Each has its own hidden all the same.
func TestSecretsOfOneWorkspaceAreNoneOfAnother(t *testing.T) {
	t.Parallel()
	const key = "sk-lab-0123456789"
	const text = "Say hello, case 4711"
	l := newLab(t, labScript)
	ws, other := strings.TrimSpace(l.must("workspaces", "create", "acme")), strings.TrimSpace(l.must("workspaces", "create", "other"))
	var base string
	l.env = slices.DeleteFunc(l.env, func(e string) bool { // else the key were the installation's, which all have hidden
		if v, ok := strings.CutPrefix(e, "OPENAI_BASE_URL="); ok {
			base = v
		}
		return strings.HasPrefix(e, "OPENAI_")
	})
	models := filepath.Join(l.home, "models.json")
	if err := os.WriteFile(models, []byte(`{"workspaces": {"`+ws+`": {"providers": {"theirs": {"dialect": "openai", "base_url": "`+base+`", "key_secret": "lab"}}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	l.env = append(l.env, "MGX_MODELS_FILE="+models)
	root := t.TempDir()
	if out, err := exec.Command("git", "clone", "-q", l.repo, filepath.Join(root, ws, "shop")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	server := l.serve("127.0.0.1:0", "--repo-root", root)
	ada, eve := server.joins(ws, "admin", "ada99"), server.joins(other, "admin", "eve")
	keep := func(who, name, value string, status int) []byte {
		t.Helper()
		got, answer := server.call(who, "PUT", "/secrets/"+name, map[string]string{"value": value}, nil)
		if got != status {
			t.Errorf("keeping %q: %d, want %d: %s", value, got, status, answer)
		}
		return answer
	}
	keep(ada, "lab", key, 200)

	for _, word := range []string{"workspace_id", "invitation.create", "run.created", "ws_default", "user_local", "key.create", "developer", "eve@example.com", ws} {
		if answer := keep(eve, "word", word, 400); !strings.Contains(string(answer), "bad_secret_value") {
			t.Errorf("%s: %s", word, answer)
		}
	}

	// A guess comes back as any text does, before eve keeps it and after.
	guessed := func(who, guess string) string {
		t.Helper()
		server.wants(201, who, "POST", "/keys", map[string]any{"name": "k " + guess, "scopes": []string{"runs:read"}}, nil)
		_, named := server.call(who, "GET", "/keys", nil, nil)
		_, refused := server.call(who, "GET", "/runs?"+guess, nil, nil)
		return string(named) + string(refused)
	}
	if got := guessed(eve, key); !strings.Contains(got, `"k `+key+`"`) || !strings.Contains(got, `parameter \"`+key+`\"`) {
		t.Errorf("a guess shows: %s", got)
	}
	if got := guessed(ada, key); strings.Contains(got, key) || !strings.Contains(got, `"k `+guard.Mask) || !strings.Contains(got, `parameter \"`+guard.Mask) {
		t.Errorf("whose secret it is: %s", got)
	}

	for i, value := range []string{text, "echo hello", "ada99@example.com", "say hello", key, "sh check.sh", "case 4711"} {
		keep(eve, "s"+string(rune('a'+i)), value, 200)
	}
	if _, got := server.call(eve, "GET", "/runs?echo%20hello", nil, nil); !strings.Contains(string(got), `parameter \"`+guard.Mask) {
		t.Errorf("eve's own secret is shown to her: %s", got)
	}

	answers := ""
	read := func(at string) string {
		t.Helper()
		_, answer := server.call(ada, "GET", at, nil, &json.RawMessage{})
		answers += string(answer)
		return string(answer)
	}
	if me := read("/me"); !strings.Contains(me, `"ada99@example.com"`) || !strings.Contains(me, `"workspace_id":"`+ws+`"`) {
		t.Errorf("me: %s", me)
	}
	server.wants(201, ada, "POST", "/invitations", map[string]string{"email": "new4711@example.com", "role": "developer"}, nil)
	var p mgx.Project
	server.wants(201, ada, "POST", "/projects", map[string]string{"path": "shop", "name": "echo hello"}, &p)
	var run mgx.RunInfo
	server.wants(201, ada, "POST", "/tasks", map[string]any{"task": text, "project_id": p.ID, "model": "theirs/lab", "approve": "auto", "checks": []string{"sh check.sh"}}, &run)
	server.comes("the end", func() bool {
		server.wants(200, ada, "GET", "/runs/"+string(run.ID), nil, &run)
		return run.Status.Ended()
	})
	if run.Status != mgx.RunDone || run.Branch == "" || run.Task.Description != text {
		t.Fatalf("the run is %s %+v %+v\n%s", run.Status, run.Task, run.Failure, server.errs.String())
	}
	var d app.Diff
	server.wants(200, ada, "GET", "/runs/"+string(run.ID)+"/diff", nil, &d)
	if !strings.Contains(d.Text, "+echo hello\n") {
		t.Errorf("the difference is %+v", d)
	}
	for _, at := range []string{"/runs/" + string(run.ID), "/tasks", "/projects", "/members", "/invitations", "/events?limit=1000&run=" + string(run.ID)} {
		read(at)
	}
	db := l.store()
	stored, err := db.Events(t.Context(), store.EventQuery{Run: run.ID, Limit: 1000})
	if err != nil || len(stored) < 20 {
		t.Fatalf("%d events, %v", len(stored), err)
	}
	journal, err := db.Journal(t.Context(), run.Execution)
	if err != nil || len(journal) == 0 {
		t.Fatalf("%d steps, %v", len(journal), err)
	}
	acts, err := db.AuditEntries(t.Context(), mgx.WorkspaceID(ws), 0)
	if err != nil {
		t.Fatal(err)
	}
	acts = slices.DeleteFunc(acts, func(e mgx.Event) bool { return strings.Contains(string(e.Data), "k "+guard.Mask) }) // ada named a key after her own secret
	for name, whole := range map[string]any{"an answer": answers, "an event": stored, "the journal": journal, "the audit log": acts} {
		text, err := json.Marshal(whole)
		if err != nil {
			t.Fatal(err)
		}
		if i := strings.Index(string(text), guard.Mask); i >= 0 {
			t.Errorf("%s has lost something: %s", name, text[max(0, i-300):min(len(text), i+100)])
		}
	}
	for name, want := range map[string]string{"the events": "echo hello", "the journal": "echo hello"} {
		text, _ := json.Marshal(map[string]any{"the events": stored, "the journal": journal}[name])
		if !strings.Contains(string(text), want) {
			t.Errorf("the test does not see what it is about: %s", name)
		}
	}
	if strings.Contains(server.errs.String(), key) {
		t.Error("the log has the key")
	}
	server.end()
}

// Whoever may set secrets cannot rewrite what is recorded by them, or have it that
// nothing can be: who did what stays readable, and every act works.
func TestSecretsRewriteNoRecord(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	ws := strings.TrimSpace(l.must("workspaces", "create", "acme"))
	server := l.serve("127.0.0.1:0", "--workers", "0")
	ada := server.joins(ws, "admin", "ada")
	var me struct {
		User struct {
			ID string `json:"id"`
		} `json:"user"`
	}
	_, told := server.call(ada, "GET", "/me", nil, nil)
	if err := json.Unmarshal(told, &me); err != nil || !strings.Contains(me.User.ID, "_") {
		t.Fatalf("%v in %s", err, told)
	}
	_, own, _ := strings.Cut(me.User.ID, "_")
	for i, value := range []string{`","decision":"allowed"`, `"actor":"`, `},"x9`, `{"error":"}`, own, `"` + me.User.ID + `"`} {
		server.wants(200, ada, "PUT", "/secrets/s"+string(rune('a'+i)), map[string]string{"value": value}, nil)
		server.wants(200, ada, "PUT", "/secrets/after"+string(rune('a'+i)), map[string]string{"value": "kept-after-0" + string(rune('a'+i))}, nil)
	}
	acts, err := l.store().AuditEntries(t.Context(), mgx.WorkspaceID(ws), 0)
	if err != nil {
		t.Fatal(err)
	}
	made := 0
	for _, e := range acts {
		var d mgx.AuditData
		if err := e.Decode(&d); err != nil {
			t.Fatalf("%v in %s", err, e.Data)
		}
		if d.Action == "secret.set" && d.Actor == me.User.ID && strings.HasPrefix(d.Resource, "after") && d.Decision == mgx.AuditAllowed {
			made++
		}
	}
	if made != 6 {
		t.Errorf("%d of 6 acts are in the audit log with who did them: %+v", made, acts)
	}
	if _, list := server.call(ada, "GET", "/audit?limit=100", nil, nil); strings.Count(string(list), `"secret.set"`) != 12 {
		t.Errorf("the list is %s", list)
	}
	server.end()
}
