package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/store"
	"mgx/internal/team"
	"mgx/internal/workflow"
)

// townHost is a machine on which every directory is a repository.
type townHost struct{}

func (townHost) Inspect(_ context.Context, dir string) (app.Checkout, error) {
	return app.Checkout{RepoInfo: mgx.RepoInfo{Path: dir, Head: strings.Repeat("a", 40), Branch: "main"}}, nil
}

func (townHost) Settings(context.Context, mgx.WorkspaceID, string, string) (mgx.RunSettings, error) {
	return mgx.RunSettings{Model: "scripted/demo", Approve: "ask", Sandbox: "auto", MaxTurns: 10, Timeout: time.Hour}, nil
}

func (townHost) CheckSetting(_, _, value string, _ bool) (string, error) { return value, nil }

func (townHost) CheckBranch(string) error { return nil }

func (townHost) CopyFiles(_, _ mgx.RunID) error { return nil }

func (townHost) Diff(context.Context, mgx.Run) (app.Diff, error) {
	return app.Diff{Base: "b", Tree: "t", Files: []app.DiffFile{{Path: "a\u202e<b>", Status: "added", Additions: 1}}, Text: "+<script>\n"}, nil
}

// townWork is work that nobody does.
func townWork(s *store.Store, who *app.Access) *app.Work {
	engine := workflow.New(s, workflow.Options{Owner: "town"})
	workflow.Register(engine, team.WorkflowName, func(c *workflow.Context, _ team.Input) (mgx.TaskResult, error) {
		return workflow.Await[mgx.TaskResult](c, "never", 0)
	})
	return app.NewWork(app.WorkOptions{Access: who, Store: s, Engine: engine, Host: townHost{}, Uploads: townUploads{}})
}

// project gives a workspace of the town a project.
func (w *town) project(ws mgx.WorkspaceID, path string) mgx.Project {
	w.t.Helper()
	var p mgx.Project
	w.must(w.call(token, "POST", "/api/v1/projects", map[string]string{"path": path}, &p, in(ws)), 201)
	return p
}

// task has somebody ask for a task on a project of the default workspace.
func (w *town) task(who string, p mgx.Project, text string) mgx.RunInfo {
	w.t.Helper()
	var run mgx.RunInfo
	w.must(w.do(w.tokens[who], "POST", "/api/v1/tasks", map[string]any{"task": text, "project_id": p.ID}, &run), 201)
	return run
}

func in(ws mgx.WorkspaceID) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Mgx-Workspace", string(ws)) }
}

// tell adds events to a run, as its worker would.
func (w *town) tell(run mgx.RunInfo, events ...mgx.Event) {
	w.t.Helper()
	if _, err := w.store.Commit(w.t.Context(), mgx.Change{Events: events}); err != nil {
		w.t.Fatal(err)
	}
}

func scopeOf(run mgx.RunInfo) mgx.Scope {
	return mgx.Scope{Workspace: run.Workspace, Project: run.Project, Task: run.Task.ID, Run: run.ID, Execution: run.Execution}
}

// The work of a workspace over HTTP: asked for, listed in pages that neither miss
// nor repeat, decided by what was shown, stopped, and what came of it fetched.
func TestWorkOverHTTP(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	p := w.project(mgx.DefaultWorkspace, "/srv/shop")
	run := w.task("developer", p, "Add a /healthz endpoint\nwith a test")
	if run.Status != mgx.RunQueued || run.Project != p.ID || run.User != w.users["developer"] || run.Task.Title != "Add a /healthz endpoint" {
		t.Fatalf("made %+v", run)
	}
	// The same key is the same task; another task with it is a conflict.
	keyed := func(text string) (reply, mgx.RunInfo) {
		var r mgx.RunInfo
		got := w.call(w.tokens["developer"], "POST", "/api/v1/tasks", map[string]any{"task": text, "project_id": p.ID}, &r, func(r *http.Request) { r.Header.Set("Idempotency-Key", "k1") })
		return got, r
	}
	_, one := keyed("Do it once")
	if got, again := keyed("Do it once"); again.ID != one.ID || again.ID == "" || got.status != 201 {
		t.Errorf("once more: %d %s, first %s", got.status, again.ID, one.ID)
	}
	if got, _ := keyed("Do another"); got.status != 422 {
		t.Errorf("another task with the key: %d %s", got.status, got.body)
	}
	for range 5 {
		w.task("admin", p, "more work")
	}
	seen := map[mgx.RunID]bool{}
	for next, pages := "", 0; pages == 0 || next != ""; pages++ {
		var page struct {
			Runs []mgx.RunInfo
			Next string `json:"next_page_token"`
		}
		w.must(w.do(w.tokens["viewer"], "GET", "/api/v1/runs?limit=2&page_token="+next, nil, &page), 200)
		for _, r := range page.Runs {
			if seen[r.ID] || r.Task.Description != "" {
				t.Errorf("%s comes twice, or with its description", r.ID)
			}
			seen[r.ID] = true
		}
		if pages == 0 { // what comes later is before the first page
			w.task("admin", p, "later")
		}
		next = page.Next
	}
	if len(seen) != 7 {
		t.Errorf("%d runs in the pages, want 7", len(seen))
	}
	w.do(w.tokens["viewer"], "GET", "/api/v1/runs?page_token=nonsense%21", nil, nil).want(400, "bad_page_token")
	var filtered struct{ Runs []mgx.RunInfo }
	w.must(w.do(w.tokens["viewer"], "GET", "/api/v1/runs?text=HEALTHZ&status=queued,running&user_id="+string(w.users["developer"])+"&project_id="+string(p.ID), nil, &filtered), 200)
	if len(filtered.Runs) != 1 || filtered.Runs[0].ID != run.ID {
		t.Errorf("found %+v", filtered.Runs)
	}

	sc := scopeOf(run)
	plan := mgx.Plan{Goal: "health", Steps: []mgx.PlanStep{{Text: "add it", Status: "todo"}}}
	w.tell(run, sc.Event(mgx.TaskStarted, mgx.TaskStartedData{Attempt: 1}), sc.Event(mgx.RunPlanUpdated, mgx.PlanUpdatedData{Plan: plan, Hash: "sha256:plan-hash"}),
		sc.Event(mgx.ApprovalRequested, mgx.ApprovalRequestedData{ApprovalID: "decision/plan", Effect: "implement the plan", Hash: "sha256:plan-hash"}),
		sc.Event(mgx.ApprovalRequested, mgx.ApprovalRequestedData{ApprovalID: "decision/call", Effect: "run a command", Hash: "sha256:call-hash"}))
	var inbox struct{ Approvals []app.AskedApproval }
	w.must(w.do(w.tokens["viewer"], "GET", "/api/v1/approvals", nil, &inbox), 200)
	if len(inbox.Approvals) != 2 || inbox.Approvals[0].Plan == nil || inbox.Approvals[1].Plan != nil || inbox.Approvals[0].AskedAt.IsZero() {
		t.Fatalf("the inbox has %+v", inbox.Approvals)
	}
	at := "/api/v1/runs/" + string(run.ID)
	yes := map[string]any{"approved": true, "hash": "sha256:plan-hash"}
	w.do(w.tokens["viewer"], "POST", at+"/approvals/plan", yes, nil).want(403, "forbidden")
	w.do(w.tokens["admin"], "POST", at+"/approvals/plan", map[string]any{"approved": true, "hash": "sha256:call-hash"}, nil).want(403, "other_hash")
	w.do(w.tokens["admin"], "POST", at+"/approvals/none", yes, nil).want(400, "no_such_approval")
	w.must(w.do(w.tokens["admin"], "POST", at+"/approvals/plan", yes, nil), 202)
	w.must(w.do(w.tokens["admin"], "POST", at+"/approvals/plan", yes, nil), 202) // an answer was lost
	w.do(w.tokens["developer"], "POST", at+"/approvals/plan", map[string]any{"approved": false, "hash": "sha256:plan-hash"}, nil).want(409, app.CodeDecided)

	var made struct{ Artifacts []app.Artifact }
	w.must(w.do(w.tokens["viewer"], "GET", at+"/artifacts", nil, &made), 200)
	if len(made.Artifacts) != 1 || made.Artifacts[0].Name != "plan.json" || !strings.HasPrefix(made.Artifacts[0].Digest, "sha256:") {
		t.Errorf("artifacts are %+v", made.Artifacts)
	}
	file := w.do(w.tokens["viewer"], "GET", at+"/artifacts/plan.json", nil, nil)
	w.must(file, 200)
	if h := file.header; h.Get("Content-Disposition") != "attachment; filename=plan.json" || h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("a browser may show it: %v", h)
	}
	w.do(w.tokens["viewer"], "GET", at+"/artifacts/..%2f..%2fetc%2fpasswd", nil, nil).want(404, "not_found")
	var d app.Diff
	w.must(w.do(w.tokens["viewer"], "GET", at+"/diff", nil, &d), 200)
	if len(d.Files) != 1 || d.Text != "+<script>\n" {
		t.Errorf("the difference is %+v", d)
	}

	var steps app.ExecutionSteps
	w.must(w.do(w.tokens["viewer"], "GET", "/api/v1/executions/"+string(run.Execution), nil, &steps), 200)
	if steps.Run != run.ID || steps.Status != mgx.ExecReady {
		t.Errorf("the execution is %+v", steps)
	}
	var fork mgx.RunInfo
	w.must(w.do(w.tokens["developer"], "POST", at+"/fork", map[string]any{"at": 1}, &fork), 201)
	if fork.ForkOf != run.ID || fork.Task.ID != run.Task.ID {
		t.Errorf("the fork is %+v", fork)
	}
	w.must(w.do(w.tokens["developer"], "POST", at+"/cancel", map[string]string{"reason": "enough"}, nil), 202)
	w.must(w.do(w.tokens["developer"], "POST", at+"/cancel", map[string]string{}, nil), 202)
	var agents struct{ Agents []app.AgentInfo }
	w.must(w.do(w.tokens["viewer"], "GET", "/api/v1/agents", nil, &agents), 200)
	if len(agents.Agents) < 4 {
		t.Errorf("agents are %+v", agents.Agents)
	}
	var e app.Estimate
	w.must(w.do(w.tokens["viewer"], "POST", "/api/v1/estimates", map[string]any{"project_id": p.ID}, &e), 200)
	if e.Runs != 0 || e.Cost != nil {
		t.Errorf("an estimate out of nothing: %+v", e)
	}
	var task app.TaskRuns
	w.must(w.do(w.tokens["viewer"], "GET", "/api/v1/tasks/"+string(run.Task.ID), nil, &task), 200)
	if len(task.Runs) != 2 || task.Description == "" {
		t.Errorf("the task has %+v", task)
	}

	// What the audit log has of it, each once.
	entries := map[string]int{}
	all, err := w.store.AuditEntries(t.Context(), mgx.DefaultWorkspace, 0)
	must(t, err)
	for _, entry := range all {
		var a mgx.AuditData
		must(t, entry.Decode(&a))
		entries[a.Action+" "+a.Decision]++
	}
	for action, n := range map[string]int{
		"project.create allowed": 1, "task.create allowed": 8, "approval.decide allowed": 1, "run.fork allowed": 1, "run.cancel allowed": 1, "runs.approve denied": 1,
	} {
		if entries[action] != n {
			t.Errorf("%d entries of %s, want %d", entries[action], action, n)
		}
	}
}
