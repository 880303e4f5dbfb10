package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/app"
)

// call makes a request of the API. An answer that is no problem is read into a value.
func (s *served) call(token, method, at string, body, into any) (status int, answer []byte) {
	s.l.t.Helper()
	var text []byte
	if body != nil {
		text, _ = json.Marshal(body)
	}
	r, err := http.NewRequestWithContext(s.l.t.Context(), method, s.url+"/api/v1"+at, bytes.NewReader(text))
	if err != nil {
		s.l.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if method == http.MethodPost {
		r.Header.Set("Idempotency-Key", method+at)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.l.t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, err = io.ReadAll(resp.Body); err != nil {
		s.l.t.Fatal(err)
	}
	if into != nil && resp.StatusCode < 300 {
		if err := json.Unmarshal(answer, into); err != nil {
			s.l.t.Fatalf("%s %s: %v\n%s", method, at, err, answer)
		}
	}
	return resp.StatusCode, answer
}

func (s *served) wants(status int, token, method, at string, body, into any) {
	s.l.t.Helper()
	if got, answer := s.call(token, method, at, body, into); got != status {
		s.l.t.Fatalf("%s %s: %d, want %d: %s", method, at, got, status, answer)
	}
}

// joins has somebody join a workspace and returns their token.
func (s *served) joins(ws, role, name string) string {
	s.l.t.Helper()
	invitation := strings.TrimSpace(s.l.must("members", "invite", "--role", role, "--workspace", ws))
	var in app.Signed
	s.wants(200, "", "POST", "/auth/accept", map[string]string{
		"token": invitation, "email": name + "@example.com", "name": name, "password": "four words of theirs",
	}, &in)
	return in.Access
}

// comes waits for a condition that must come.
func (s *served) comes(what string, when func() bool) {
	s.l.t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !when(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.l.t.Fatalf("%s has not come\n%s", what, s.errs.String())
		}
	}
}

// A developer of one workspace has a task done by the server, with the model and the
// secret of that workspace, an admin there approves the plan, and the result is a
// branch in the repository that the workspace was given. Another workspace sees
// nothing of it.
func TestServeWorksForTenants(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	ws, other := strings.TrimSpace(l.must("workspaces", "create", "acme")), strings.TrimSpace(l.must("workspaces", "create", "other"))
	base := l.base()
	file := filepath.Join(l.home, "models.json")
	theirs := `{"providers": {"theirs": {"dialect": "openai", "base_url": "` + base + `", "key_secret": "lab"}}}`
	if err := os.WriteFile(file, []byte(`{"workspaces": {"`+ws+`": `+theirs+`}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	l.env = append(l.env, "MGX_MODELS_FILE="+file)
	keep := l.mgx("secrets", "set", "lab", "--workspace", ws)
	keep.Stdin = strings.NewReader("sk-lab-0123456789")
	if out, err := keep.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	root := t.TempDir()
	repo := filepath.Join(root, ws, "shop")
	if out, err := exec.Command("git", "clone", "-q", l.repo, repo).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	server := l.serve("127.0.0.1:0", "--repo-root", root)
	admin, dev := server.joins(ws, "admin", "ada"), server.joins(ws, "developer", "dev")
	stranger := server.joins(other, "admin", "eve")

	var p mgx.Project
	server.wants(403, dev, "POST", "/projects", map[string]string{"path": "shop"}, nil)
	server.wants(403, stranger, "POST", "/projects", map[string]string{"path": repo}, nil)
	server.wants(201, admin, "POST", "/projects", map[string]string{"path": "shop", "name": "shop"}, &p)
	task := map[string]any{"task": "say hello", "project_id": p.ID, "model": "theirs/lab", "plan": true, "approve": "ask", "checks": []string{"sh check.sh"}}
	server.wants(404, stranger, "POST", "/tasks", task, nil)
	task["repo"] = repo
	delete(task, "project_id")
	server.wants(403, admin, "POST", "/tasks", task, nil)
	task["project_id"] = p.ID
	delete(task, "repo")
	var run, again mgx.RunInfo
	server.wants(201, dev, "POST", "/tasks", task, &run)
	server.wants(201, dev, "POST", "/tasks", task, &again)
	if run.ID == "" || again.ID != run.ID {
		t.Errorf("once more it is %s, not %s", again.ID, run.ID)
	}

	var inbox struct{ Approvals []app.AskedApproval }
	server.comes("the question", func() bool {
		server.wants(200, admin, "GET", "/approvals", nil, &inbox)
		return len(inbox.Approvals) > 0
	})
	ask := inbox.Approvals[0]
	if ask.Run != run.ID || ask.Plan == nil || len(inbox.Approvals) != 1 {
		t.Fatalf("the inbox has %+v", inbox.Approvals)
	}
	unseen := func() {
		t.Helper()
		var lists struct {
			Runs, Tasks, Approvals, Executions, Projects, Events []json.RawMessage
		}
		for _, at := range []string{"/runs", "/tasks", "/approvals", "/executions", "/projects", "/events"} {
			server.wants(200, stranger, "GET", at, nil, &lists)
		}
		for _, e := range lists.Events {
			if bytes.Contains(e, []byte(ws)) || bytes.Contains(e, []byte(run.ID)) {
				t.Errorf("a stranger sees %s", e)
			}
		}
		if n := len(lists.Runs) + len(lists.Tasks) + len(lists.Approvals) + len(lists.Executions) + len(lists.Projects); n > 0 {
			t.Errorf("a stranger sees %d things: %s", n, lists)
		}
		for _, at := range []string{"/runs/" + string(run.ID), "/tasks/" + string(run.Task.ID), "/executions/" + string(run.Execution), "/projects/" + string(p.ID), "/runs/" + string(run.ID) + "/diff", "/runs/" + string(run.ID) + "/artifacts/plan.json"} {
			server.wants(404, stranger, "GET", at, nil, nil)
		}
	}
	unseen()
	at := "/runs/" + string(run.ID) + "/approvals/" + strings.TrimPrefix(ask.ID, "decision/")
	server.wants(404, stranger, "POST", at, map[string]any{"approved": true, "hash": ask.Hash}, nil)
	server.wants(202, admin, "POST", at, map[string]any{"approved": true, "hash": ask.Hash}, nil)
	server.comes("the end", func() bool {
		server.wants(200, dev, "GET", "/runs/"+string(run.ID), nil, &run)
		return run.Status.Ended()
	})
	if run.Status != mgx.RunDone || run.Branch == "" || !run.Approval.Approved {
		t.Fatalf("the run is %s %+v\n%s", run.Status, run.Failure, server.errs.String())
	}
	out, err := exec.Command("git", "-C", repo, "show", run.Branch+":greet.sh").CombinedOutput()
	if err != nil || string(out) != "echo hello\n" {
		t.Errorf("the branch has %s %v", out, err)
	}
	var d app.Diff
	server.wants(200, dev, "GET", "/runs/"+string(run.ID)+"/diff", nil, &d)
	if len(d.Files) != 2 || !strings.Contains(d.Text, "+echo hello\n") {
		t.Errorf("the difference is %+v", d)
	}
	unseen()

	// While another run waits, its repository gets to borrow what lies elsewhere.
	task["task"] = "say hello again"
	var led mgx.RunInfo
	server.wants(201, dev, "POST", "/tasks?", task, &led)
	server.comes("the question", func() bool {
		server.wants(200, admin, "GET", "/approvals", nil, &inbox)
		return len(inbox.Approvals) > 0
	})
	alternates := filepath.Join(repo, ".git/objects/info/alternates")
	if err := os.WriteFile(alternates, []byte(filepath.Join(l.repo, ".git/objects")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	at = "/runs/" + string(led.ID) + "/approvals/" + strings.TrimPrefix(inbox.Approvals[0].ID, "decision/")
	server.wants(202, admin, "POST", at, map[string]any{"approved": true, "hash": inbox.Approvals[0].Hash}, nil)
	server.comes("the end", func() bool {
		server.wants(200, dev, "GET", "/runs/"+string(led.ID), nil, &led)
		return led.Status.Ended()
	})
	if led.Status != mgx.RunRefused || led.Failure == nil || !strings.Contains(led.Failure.Message, "no such repository for this workspace") {
		t.Errorf("a repository that leads out of its root by now: the run is %s %+v", led.Status, led.Failure)
	}
	db := l.store()
	for id, want := range map[string]bool{ws: true, other: false, string(mgx.DefaultWorkspace): false} {
		entries, err := db.Ledger(t.Context(), mgx.UsageQuery{Workspace: mgx.WorkspaceID(id)})
		if err != nil || len(entries) > 0 != want {
			t.Errorf("%d calls of %s, %v", len(entries), id, err)
		}
	}
	acts := map[string]int{}
	entries, err := db.AuditEntries(t.Context(), mgx.WorkspaceID(ws), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		var a mgx.AuditData
		if err := e.Decode(&a); err != nil {
			t.Fatal(err)
		}
		acts[a.Action+" "+a.Decision]++
	}
	for act, want := range map[string]int{"project.create allowed": 1, "task.create allowed": 2, "approval.decide allowed": 2} {
		if acts[act] != want {
			t.Errorf("the log has %d entries of %q: %v", acts[act], act, acts)
		}
	}
	if acts["secret.use allowed"] == 0 { // each time that the run is taken up
		t.Errorf("the model was not called with a secret of the workspace: %v", acts)
	}
	server.end()
}
