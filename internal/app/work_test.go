package app_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
	"mgx/internal/store"
	"mgx/internal/team"
	"mgx/internal/workflow"
)

// machine is a host whose repositories are directories with a file "HEAD", as far
// as these tests need them.
type machine struct {
	mu    sync.Mutex
	parts []string          // that git reads besides
	hosts map[string]string // settings that were checked

	text, tree string // of the difference

	making chan mgx.WorkspaceID // told of each difference and branch that is being made; nil: nobody is
	made   chan struct{}        // lets one be made
}

func (m *machine) Inspect(_ context.Context, dir string) (app.Checkout, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err == nil {
		_, err = os.Stat(filepath.Join(real, "HEAD"))
	}
	if err != nil {
		return app.Checkout{}, mgx.Errorf(mgx.KindUsage, "not_a_repository", "%s is not in a git repository", dir)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return app.Checkout{RepoInfo: mgx.RepoInfo{Path: real, Head: strings.Repeat("a", 40)}, Parts: m.parts}, nil
}

func (m *machine) Settings(_ context.Context, ws mgx.WorkspaceID, _, model string) (mgx.RunSettings, error) {
	if model == "" {
		model = "of/" + string(ws)
	}
	return mgx.RunSettings{Model: model, Approve: "ask", Sandbox: "auto", MaxTurns: 10, Timeout: time.Hour}, nil
}

func (m *machine) CheckSetting(_, name, value string, trusted bool) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hosts[name] = fmt.Sprint(value, " ", trusted)
	return value, nil
}

func (m *machine) CheckBranch(name string) error {
	if strings.HasPrefix(name, "-") {
		return mgx.Errorf(mgx.KindUsage, "bad_branch", "%q is no name of a branch", name)
	}
	return nil
}

func (m *machine) CopyFiles(_, _ mgx.RunID) error { return nil }

func (m *machine) Diff(_ context.Context, run mgx.Run) (app.Diff, error) {
	m.make(run.Workspace)
	return app.Diff{Text: m.text, Tree: m.tree}, nil
}

func (m *machine) make(ws mgx.WorkspaceID) {
	if m.making != nil {
		m.making <- ws
		<-m.made
	}
}

// packs are the branches of a machine.
type packs struct {
	app.Uploads
	*machine
}

func (p packs) Pack(_ context.Context, run mgx.Run) (io.ReadCloser, int64, error) {
	p.make(run.Workspace)
	return io.NopCloser(strings.NewReader("")), 0, nil
}

// office is two workspaces with work, and people of every role in both.
type office struct {
	t     *testing.T
	store *store.Store
	work  *app.Work
	host  *machine
	root  string // below which admins find repositories
	fail  func(*mgx.Event) error
}

const (
	here  mgx.WorkspaceID = "ws_here"
	there mgx.WorkspaceID = "ws_there"
)

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{t: t, host: &machine{hosts: map[string]string{}}, root: t.TempDir()}
	var err error
	o.store, err = store.Open(t.Context(), filepath.Join(t.TempDir(), "mgx.db"), store.Options{Check: func(e *mgx.Event) error {
		if o.fail != nil {
			return o.fail(e)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.store.Close() })
	engine := workflow.New(o.store, workflow.Options{Owner: "office"})
	workflow.Register(engine, team.WorkflowName, func(c *workflow.Context, _ team.Input) (mgx.TaskResult, error) {
		return workflow.Await[mgx.TaskResult](c, "never", 0)
	})
	o.work = app.NewWork(app.WorkOptions{Access: app.NewAccess(app.AccessOptions{Store: o.store}), Store: o.store, Engine: engine, Host: o.host, Uploads: packs{machine: o.host}, Roots: []string{o.root}})
	return o
}

// as is somebody with a role in a workspace.
func as(role string, ws mgx.WorkspaceID) access.Actor {
	return access.Actor{User: mgx.UserID("user_" + role), Workspace: ws, Role: role, Session: "ses_1", Where: access.Where{Address: "192.0.2.1", Request: "req_1"}}
}

func owner(ws mgx.WorkspaceID) access.Actor {
	return access.Actor{User: mgx.LocalUser, Workspace: ws, Role: mgx.RoleAdmin, Owner: true, Where: access.Where{Address: "cli"}}
}

// repo makes a repository below a directory.
func (o *office) repo(parts ...string) string {
	o.t.Helper()
	dir := filepath.Join(parts...)
	must(o.t, os.MkdirAll(dir, 0o755))
	must(o.t, os.WriteFile(filepath.Join(dir, "HEAD"), nil, 0o644))
	return dir
}

// project gives a workspace a project.
func (o *office) project(ws mgx.WorkspaceID, name string) mgx.Project {
	o.t.Helper()
	p, _, err := o.work.CreateProject(o.t.Context(), owner(ws), app.NewProject{Name: name, Path: o.repo(o.t.TempDir(), name)})
	must(o.t, err)
	return p
}

func (o *office) start(who access.Actor, p mgx.Project, text string) mgx.Run {
	o.t.Helper()
	run, created, err := o.work.Start(o.t.Context(), who, app.NewTask{Text: text, Project: p.ID})
	must(o.t, err)
	if !created {
		o.t.Fatalf("%q was begun before", text)
	}
	return run
}

// acts are the entries of a workspace's audit log, as "action by actor decision".
func (o *office) acts(ws mgx.WorkspaceID) (all []string) {
	o.t.Helper()
	entries, err := o.store.AuditEntries(o.t.Context(), ws, 0)
	must(o.t, err)
	for _, e := range entries {
		var d mgx.AuditData
		must(o.t, e.Decode(&d))
		all = append(all, d.Action+" by "+d.Actor+" "+d.Decision)
	}
	return all
}

func (o *office) count(ws mgx.WorkspaceID, act string) (n int) {
	o.t.Helper()
	for _, a := range o.acts(ws) {
		if a == act {
			n++
		}
	}
	return n
}

// ask has a run wait for a person to decide on things of these names.
func (o *office) ask(run mgx.Run, names ...string) {
	o.t.Helper()
	sc := mgx.Scope{Workspace: run.Workspace, Task: run.Task.ID, Run: run.ID, Execution: run.Execution}
	events := []mgx.Event{sc.Event(mgx.TaskStarted, mgx.TaskStartedData{Attempt: 1})}
	for _, name := range names {
		events = append(events, sc.Event(mgx.ApprovalRequested, mgx.ApprovalRequestedData{ApprovalID: "decision/" + name, Effect: "do " + name, Hash: "sha256:hash-of-" + name}))
	}
	_, err := o.store.Commit(o.t.Context(), mgx.Change{Events: events})
	must(o.t, err)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// unless is an error that is not of a code and with words: the one that whoever may
// gets.
func unless(err error, code, words string) error {
	if mgx.IsCode(err, code) && strings.Contains(err.Error(), words) {
		return nil
	}
	return err
}

func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	if !mgx.IsCode(err, code) {
		t.Errorf("got %v, want %s", err, code)
	}
}

// Every use case, by everybody: who may not is refused, and somebody of another
// workspace is told the same as of a thing that there is not.
func TestWorkIsForThoseWhoMay(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx := t.Context()
	p := o.project(here, "shop")
	run := o.start(owner(here), p, "a task of here")
	o.ask(run, "plan")
	const missing = "not_found"
	for name, c := range map[string]struct {
		may string // roles that may
		do  func(access.Actor) error
	}{
		"start": {"admin developer", func(a access.Actor) error {
			_, _, err := o.work.Start(ctx, a, app.NewTask{Text: "x", Project: p.ID})
			return err
		}},
		"fork":   {"admin developer", func(a access.Actor) error { _, _, err := o.work.Fork(ctx, a, run.ID, app.NewFork{At: 1}); return err }},
		"task":   {"admin developer viewer auditor", func(a access.Actor) error { _, err := o.work.Task(ctx, a, run.Task.ID); return err }},
		"run":    {"admin developer viewer auditor", func(a access.Actor) error { _, err := o.work.Run(ctx, a, run.ID); return err }},
		"review": {"admin developer viewer auditor", func(a access.Actor) error { _, err := o.work.Review(ctx, a, run.ID); return err }},
		"comment": {"admin developer", func(a access.Actor) error {
			_, err := o.work.Comment(ctx, a, run.ID, app.NewComment{File: "f", Line: 1, Text: "x"})
			return unless(err, mgx.CodeNotFound, "the run does not change")
		}},
		"close": {"admin developer", func(a access.Actor) error {
			return unless(o.work.CloseComment(ctx, a, run.ID, "c"), mgx.CodeNotFound, "no comment")
		}},
		"approve file": {"admin developer", func(a access.Actor) error {
			return unless(o.work.ApproveFile(ctx, a, run.ID, "f", "d", true), mgx.CodeNotFound, "the run does not change")
		}},
		"request changes": {"admin developer", func(a access.Actor) error {
			return unless(o.work.RequestChanges(ctx, a, run.ID, app.Changes{}), "nothing_requested", "")
		}},
		"diff":      {"admin developer viewer auditor", func(a access.Actor) error { _, err := o.work.Diff(ctx, a, run.ID); return err }},
		"artifacts": {"admin developer viewer auditor", func(a access.Actor) error { _, err := o.work.Artifacts(ctx, a, run.ID); return err }},
		"execution": {"admin developer viewer auditor", func(a access.Actor) error { _, err := o.work.Execution(ctx, a, run.Execution); return err }},
		"project":   {"admin developer viewer auditor", func(a access.Actor) error { _, err := o.work.Project(ctx, a, p.ID); return err }},
		"settings":  {"admin developer viewer auditor", func(a access.Actor) error { _, err := o.work.ProjectSettings(ctx, a, p.ID); return err }},
		"rename":    {"admin", func(a access.Actor) error { _, err := o.work.RenameProject(ctx, a, p.ID, "shop"); return err }},
		"set": {"admin", func(a access.Actor) error {
			return o.work.SetProject(ctx, a, app.Setting{Project: p.ID, Name: "policy", Value: "ask"})
		}},
		"decide": {"admin developer", func(a access.Actor) error { return o.work.Decide(ctx, a, run.ID, app.Answer{Approval: "nothing"}) }},
		"cancel": {"admin developer", func(a access.Actor) error { return o.work.Cancel(ctx, a, run.ID, "over") }},
	} {
		for _, role := range []string{"admin", "developer", "viewer", "auditor", "service", ""} {
			err := c.do(as(role, here))
			switch may := slices.Contains(strings.Fields(c.may), role); {
			case may && name == "decide":
				wantCode(t, err, "no_such_approval")
			case may && err != nil:
				t.Errorf("%s by %q: %v", name, role, err)
			case !may && !mgx.IsCode(err, "forbidden"):
				t.Errorf("%s by %q: %v, want forbidden", name, role, err)
			}
			if err := c.do(as(role, there)); !slices.Contains(strings.Fields(c.may), role) {
				wantCode(t, err, "forbidden")
			} else if !mgx.IsCode(err, missing) {
				t.Errorf("%s by %q of another workspace: %v, want %s", name, role, err, missing)
			}
		}
		scoped := as("admin", here)
		scoped.Scopes = []string{"budgets"}
		wantCode(t, c.do(scoped), "out_of_scope")
		wantCode(t, c.do(access.Actor{User: "user_1"}), "workspace_required")
	}
	for _, role := range []string{"admin", "developer", "viewer", "auditor"} {
		a := as(role, there)
		runs, err := o.work.Runs(ctx, a, app.RunsQuery{})
		tasks, err2 := o.work.Tasks(ctx, a, "", "", 0)
		asked, err3 := o.work.Approvals(ctx, a, "", 0)
		execs, err4 := o.work.Executions(ctx, a, app.ExecutionsQuery{})
		given, err5 := o.work.Projects(ctx, a, "", 0)
		agents, err6 := o.work.Agents(ctx, a)
		for _, err := range []error{err, err2, err3, err4, err5, err6} {
			must(t, err)
		}
		if n := len(runs.Items) + len(tasks.Items) + len(asked.Items) + len(execs.Items) + len(given.Items); n != 0 {
			t.Errorf("a %s of another workspace sees %d things", role, n)
		}
		for _, one := range agents {
			if len(one.Now) > 0 {
				t.Errorf("a %s of another workspace sees what %s does", role, one.Role)
			}
		}
	}
}

// Directories of the server and settings that weaken its walls are the owner's.
func TestOnlyTheOwnerNamesDirectories(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx, dir := t.Context(), o.repo(t.TempDir(), "mine")
	_, _, err := o.work.Start(ctx, as("admin", here), app.NewTask{Text: "x", Repo: dir})
	wantCode(t, err, "forbidden")
	if run, _, err := o.work.Start(ctx, owner(here), app.NewTask{Text: "x", Repo: dir}); err != nil || run.Repo.Path == "" {
		t.Errorf("the owner: %+v %v", run.Repo, err)
	}
	if _, err := o.work.StartRun(ctx, as("admin", here), app.NewRun{Text: "x", Settings: mgx.RunSettings{Sandbox: "off"}}); !mgx.IsCode(err, "forbidden") {
		t.Errorf("an admin decides on all settings: %v", err)
	}
	p := o.project(here, "shop")
	run := o.start(as("admin", here), p, "x")
	_, _, err = o.work.Fork(ctx, as("admin", here), run.ID, app.NewFork{At: 1, Change: func(s *mgx.RunSettings) { s.Sandbox = "off" }})
	wantCode(t, err, "forbidden")
	for _, name := range []string{"mcp", "sandbox-minimum", "anything"} {
		wantCode(t, o.work.SetProject(ctx, as("admin", here), app.Setting{Project: p.ID, Name: name, Value: "off"}), "forbidden")
		wantCode(t, o.work.UnsetProject(ctx, as("admin", here), p.ID, name), "forbidden")
	}
	must(t, o.work.SetProject(ctx, as("admin", here), app.Setting{Project: p.ID, Name: "allow-host", Value: "example.org:443"}))
	if got := o.host.hosts["allow-host"]; got != "example.org:443 false" {
		t.Errorf("checked as %q", got)
	}
	// A policy that is set for the project is not for a developer to leave.
	must(t, o.work.SetProject(ctx, as("admin", here), app.Setting{Project: p.ID, Name: "policy", Value: "ask"}))
	for policy, ok := range map[string]bool{"ask": true, "auto": false, "": true} {
		_, _, err := o.work.Start(ctx, as("developer", here), app.NewTask{Text: "x", Project: p.ID, Policy: policy})
		if (err == nil) != ok || err != nil && !mgx.IsCode(err, "forbidden") {
			t.Errorf("policy %q: %v", policy, err)
		}
	}
	_, _, err = o.work.Start(ctx, as("admin", here), app.NewTask{Text: "x", Project: p.ID, Policy: "/etc/passwd"})
	wantCode(t, err, "no_such_policy")
	_, _, err = o.work.Start(ctx, as("admin", here), app.NewTask{Text: "x", Project: p.ID, Branch: "--upload-pack=x"})
	wantCode(t, err, "bad_branch")
}

// An admin finds repositories in the workspace's own directory and nowhere else,
// whatever path or link leads there; not when it is given, and not when a run
// starts.
func TestNoPathLeadsOutOfARoot(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx, admin := t.Context(), as("admin", here)
	mine := o.repo(o.root, string(here), "shop")
	theirs := o.repo(o.root, string(there), "bank")
	outside := o.repo(t.TempDir(), "outside")
	for link, to := range map[string]string{"out": outside, "across": theirs, "up": o.root, "loop": "loop"} {
		must(t, os.Symlink(to, filepath.Join(o.root, string(here), link)))
	}
	for _, path := range []string{
		outside, theirs, o.root, filepath.Join(o.root, string(here)), ".", "..", "../" + string(there) + "/bank", "shop/../../" + string(there) + "/bank",
		"out", "across", "up/" + string(there) + "/bank", "loop", "/", "/etc", "nothing", "shop\x00", "",
	} {
		if p, _, err := o.work.CreateProject(ctx, admin, app.NewProject{Name: "x", Path: path}); err == nil {
			t.Errorf("%q became %s", path, p.Path)
		} else if strings.Contains(err.Error(), outside) || strings.Contains(err.Error(), theirs) {
			t.Errorf("%q: the error tells of it: %v", path, err)
		}
	}
	_, _, err := o.work.CreateProject(ctx, as("developer", here), app.NewProject{Path: "shop"})
	wantCode(t, err, "forbidden")
	// What git reads for it has to be there, too.
	o.host.parts = []string{filepath.Join(outside, "objects"), outside}
	_, _, err = o.work.CreateProject(ctx, admin, app.NewProject{Path: "shop"})
	wantCode(t, err, "outside_roots")
	o.host.parts = nil
	p, created, err := o.work.CreateProject(ctx, admin, app.NewProject{Path: "shop"})
	if err != nil || !created || p.Path != mine || p.Name != "shop" {
		t.Fatalf("%+v %v %v", p, created, err)
	}
	if again, created, err := o.work.CreateProject(ctx, admin, app.NewProject{Path: mine, Name: "other"}); err != nil || created || again.ID != p.ID || again.Name != "shop" {
		t.Errorf("once more: %+v %v %v", again, created, err)
	}
	o.start(as("developer", here), p, "inside")
	// A run that has begun is looked at again, also when the project is no more.
	at := app.Checkout{RepoInfo: mgx.RepoInfo{Path: mine}, Parts: []string{filepath.Join(mine, "HEAD")}}
	away := app.Checkout{RepoInfo: at.RepoInfo, Parts: []string{outside}}
	again := func(what string) {
		t.Helper()
		must(t, o.work.Contained(ctx, here, at))
		if err := o.work.Contained(ctx, here, away); !mgx.IsCode(err, "outside_roots") {
			t.Errorf("%s: a part that lies elsewhere by now: %v", what, err)
		}
	}
	again("of a project")
	must(t, o.work.RemoveProject(ctx, admin, p.ID))
	again("of none")
	must(t, o.work.Contained(ctx, here, app.Checkout{RepoInfo: mgx.RepoInfo{Path: outside}, Parts: []string{outside}})) // the owner's own word
	p, _, err = o.work.CreateProject(ctx, admin, app.NewProject{Path: "shop"})
	must(t, err)
	// It leads elsewhere by now.
	must(t, os.RemoveAll(mine))
	must(t, os.Symlink(theirs, mine))
	_, _, err = o.work.Start(ctx, as("developer", here), app.NewTask{Text: "outside", Project: p.ID})
	wantCode(t, err, "outside_roots")
}

// An act and its entry are one: what cannot be recorded is not done, and what is
// done is recorded once.
func TestWorkIsRecordedOrNotDone(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx, dev, admin := t.Context(), as("developer", here), as("admin", here)
	p := o.project(here, "shop")
	run := o.start(dev, p, "one")
	o.ask(run, "plan", "call")
	broken := mgx.Errorf(mgx.KindConfig, "no_audit", "the audit log cannot be written")
	decide := func(a access.Actor, name string) error {
		return o.work.Decide(ctx, a, run.ID, app.Answer{Approval: name, Approved: true, Hash: "sha256:hash-of-" + name})
	}
	acts := map[string]func() error{
		"start": func() error {
			_, _, err := o.work.Start(ctx, dev, app.NewTask{Text: "two", Project: p.ID, IdempotencyKey: "two"})
			return err
		},
		"fork": func() error {
			_, _, err := o.work.Fork(ctx, dev, run.ID, app.NewFork{At: 1, IdempotencyKey: "fork"})
			return err
		},
		"decide": func() error { return decide(admin, "plan") },
		"cancel": func() error { return o.work.Cancel(ctx, dev, run.ID, "enough") },
		"rename": func() error { _, err := o.work.RenameProject(ctx, admin, p.ID, "store"); return err },
		"set": func() error {
			return o.work.SetProject(ctx, admin, app.Setting{Project: p.ID, Name: "policy", Value: "ask"})
		},
	}
	state := func() string {
		runs, err := o.store.RunInfos(ctx, mgx.RunFilter{Workspace: here}, "", 0)
		must(t, err)
		x, err := o.store.Execution(ctx, run.Execution)
		must(t, err)
		signals, err := o.store.Signals(ctx, run.Execution, "decision/plan")
		must(t, err)
		given, err := o.store.Projects(ctx, here, "", 0)
		must(t, err)
		set, err := o.store.ProjectSettings(ctx, here, p.ID)
		must(t, err)
		tasks, err := o.store.Tasks(ctx, here, "", "", 0)
		must(t, err)
		return fmt.Sprint(len(runs), len(tasks), x.CancelWhy, len(signals), given[0].Name, set, len(o.acts(here)))
	}
	before := state()
	o.fail = func(e *mgx.Event) error {
		if e.Type == mgx.AuditRecorded {
			return broken
		}
		return nil
	}
	for name, do := range acts {
		if err := do(); !mgx.IsCode(err, "no_audit") {
			t.Errorf("%s without an entry: %v", name, err)
		}
	}
	o.fail = nil
	if after := state(); after != before {
		t.Errorf("%s became %s", before, after)
	}
	for range 2 { // a second time changes nothing
		for _, name := range []string{"start", "fork", "decide", "rename", "cancel"} {
			if err := acts[name](); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	must(t, acts["set"]())
	// Two are pending: the other one is decided by somebody else, who is told when they
	// are second.
	if err := o.work.Decide(ctx, dev, run.ID, app.Answer{Approved: true}); !mgx.IsCode(err, "several_pending") {
		t.Errorf("of two nobody said which: %v", err)
	}
	must(t, decide(dev, "call"))
	wantCode(t, decide(admin, "call"), app.CodeDecided)
	wantCode(t, o.work.Decide(ctx, dev, run.ID, app.Answer{Approval: "plan", Hash: "sha256:hash-of-call", Approved: true}), "other_hash")
	for act, want := range map[string]int{
		"task.create by user_developer allowed": 2, "run.fork by user_developer allowed": 1, "approval.decide by user_admin allowed": 1, "approval.decide by user_developer allowed": 1,
		"run.cancel by user_developer allowed": 1, "project.create by user_local allowed": 1, "project.rename by user_admin allowed": 1, "project.set by user_admin allowed": 1,
	} {
		if n := o.count(here, act); n != want {
			t.Errorf("%d entries of %q, want %d: %q", n, act, want, o.acts(here))
		}
	}
	if all := o.acts(there); len(all) > 0 {
		t.Errorf("the other workspace's log has %q", all)
	}
}

// With one key a task is begun once, by however many at a time.
func TestTaskOfOneKey(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx, p := t.Context(), o.project(here, "shop")
	n := app.NewTask{Text: "do it once", Project: p.ID, IdempotencyKey: "k"}
	var all sync.WaitGroup
	var mu sync.Mutex
	ids, made := map[mgx.RunID]bool{}, 0
	for range 8 {
		all.Go(func() {
			run, created, err := o.work.Start(ctx, as("developer", here), n)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if ids[run.ID] = true; created {
				made++
			}
		})
	}
	all.Wait()
	if len(ids) != 1 || made != 1 {
		t.Errorf("%d runs, %d times made", len(ids), made)
	}
	other := n
	other.Text = "do something else"
	_, _, err := o.work.Start(ctx, as("developer", here), other)
	wantCode(t, err, mgx.CodeConflict)
	// A key is of whoever uses it, where they use it.
	theirs := o.project(there, "bank")
	for _, c := range []struct {
		who access.Actor
		p   mgx.Project
	}{{as("admin", here), p}, {as("developer", there), theirs}} {
		if run, created, err := o.work.Start(ctx, c.who, app.NewTask{Text: "do it once", Project: c.p.ID, IdempotencyKey: "k"}); err != nil || !created || ids[run.ID] {
			t.Errorf("%s of %s: %s %v %v", c.who.User, c.who.Workspace, run.ID, created, err)
		}
	}
	if tasks, err := o.store.Tasks(ctx, here, "", "", 0); err != nil || len(tasks) != 2 {
		t.Errorf("%d tasks, %v", len(tasks), err)
	}
}

// Pages miss nothing that was there at the first one, and repeat nothing, whatever
// is added meanwhile.
func TestPagesAreStable(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx, dev, p := t.Context(), as("developer", here), o.project(here, "shop")
	want := map[string]bool{}
	for i := range 7 {
		run := o.start(dev, p, fmt.Sprint("task ", i))
		o.ask(run, "a", "b")
		want[string(run.ID)], want[string(run.Task.ID)], want[string(run.Execution)] = true, true, true
		want[string(run.ID)+" a"], want[string(run.ID)+" b"] = true, true
	}
	seen := map[string]int{}
	walk := func(next func(token string) (string, error)) {
		t.Helper()
		for token, first := "", true; first || token != ""; first = false {
			var err error
			if token, err = next(token); err != nil {
				t.Fatal(err)
			}
			o.ask(o.start(dev, p, "later"), "a")
		}
	}
	walk(func(token string) (string, error) {
		page, err := o.work.Runs(ctx, dev, app.RunsQuery{After: token, Limit: 3})
		for _, r := range page.Items {
			seen[string(r.ID)]++
		}
		return page.Next, err
	})
	walk(func(token string) (string, error) {
		page, err := o.work.Tasks(ctx, dev, "task", token, 3)
		for _, r := range page.Items {
			seen[string(r.ID)]++
		}
		return page.Next, err
	})
	walk(func(token string) (string, error) {
		page, err := o.work.Executions(ctx, dev, app.ExecutionsQuery{After: token, Limit: 3})
		for _, r := range page.Items {
			seen[string(r.ID)]++
		}
		return page.Next, err
	})
	// Those that wait come oldest first, so what is added comes last: only so many pages.
	token := ""
	for range 3 {
		page, err := o.work.Approvals(ctx, dev, token, 3)
		must(t, err)
		for _, a := range page.Items {
			seen[string(a.Run)+" "+strings.TrimPrefix(a.ID, "decision/")]++
		}
		token = page.Next
	}
	for id := range want {
		if seen[id] != 1 {
			t.Errorf("%s was seen %d times", id, seen[id])
		}
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s comes %d times", id, n)
		}
	}
	_, err := o.work.Runs(ctx, dev, app.RunsQuery{After: "??"})
	wantCode(t, err, "bad_page_token")
	_, err = o.work.Approvals(ctx, dev, "bm90IGEgdGltZQlydW4", 3)
	wantCode(t, err, "bad_page_token")
}

// An estimate is of runs like the task, and says nothing when there are too few.
func TestEstimates(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx, dev := t.Context(), as("developer", here)
	p, q := o.project(here, "shop"), o.project(here, "bank")
	run := func(on mgx.Project, model string, minutes int, cost mgx.Money) {
		t.Helper()
		r, _, err := o.work.Start(ctx, dev, app.NewTask{Text: "x", Project: on.ID, Model: model})
		must(t, err)
		sc := mgx.Scope{Workspace: here, Task: r.Task.ID, Run: r.ID, Execution: r.Execution}
		began := sc.Event(mgx.TaskStarted, mgx.TaskStartedData{Attempt: 1})
		call := sc.Event(mgx.LLMCallCompleted, mgx.LLMCallData{CostUSD: cost, PriceKnown: true, Usage: mgx.Usage{Prompt: 1000}})
		done := sc.Event(mgx.TaskCompleted, mgx.TaskCompletedData{})
		done.Time = began.Time.Add(time.Duration(minutes) * time.Minute)
		_, err = o.store.Commit(ctx, mgx.Change{Events: []mgx.Event{began, call, done}})
		must(t, err)
	}
	ask := func(on mgx.Project, model string) app.Estimate {
		t.Helper()
		e, err := o.work.Estimate(ctx, dev, on.ID, model)
		must(t, err)
		return e
	}
	run(p, "m/a", 10, mgx.USD)
	run(p, "m/a", 20, 2*mgx.USD)
	if e := ask(p, "m/a"); e.Runs != 0 || e.Cost != nil || e.Duration != nil || e.Basis != "" {
		t.Errorf("out of two runs: %+v", e)
	}
	run(p, "m/a", 90, 9*mgx.USD)
	run(q, "m/a", 1, 0)
	run(p, "m/b", 5, mgx.USD/2)
	e := ask(p, "m/a")
	if e.Basis != "project_and_model" || e.Runs != 3 || e.Done != 3 || e.Cost.Median != 2*mgx.USD || e.Duration.Median != 20*60_000 || e.Duration.Low != 10*60_000 {
		t.Errorf("%+v %+v %+v", e, e.Cost, e.Duration)
	}
	for _, c := range []struct {
		on    mgx.Project
		model string
		basis string
		runs  int
	}{{p, "m/b", "project", 4}, {q, "m/a", "model", 4}, {mgx.Project{}, "", "workspace", 5}, {q, "m/c", "", 0}} {
		if e := ask(c.on, c.model); e.Basis != c.basis || e.Runs != c.runs {
			t.Errorf("%s with %s: %s of %d runs", c.on.Name, c.model, e.Basis, e.Runs)
		}
	}
	if e, err := o.work.Estimate(ctx, as("developer", there), "", ""); err != nil || e.Runs != 0 {
		t.Errorf("another workspace knows of %d runs, %v", e.Runs, err)
	}
}

// What no database takes as text is refused before one is asked.
func TestTextsAreText(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx, admin, p := t.Context(), as("admin", here), o.project(here, "shop")
	run := o.start(admin, p, "x")
	for _, odd := range []string{"a\x00b", "\xff\xfe"} {
		_, err := o.work.Runs(ctx, admin, app.RunsQuery{Text: odd})
		wantCode(t, err, "bad_query")
		_, err = o.work.Runs(ctx, admin, app.RunsQuery{User: mgx.UserID(odd)})
		wantCode(t, err, "bad_query")
		_, err = o.work.Tasks(ctx, admin, odd, "", 0)
		wantCode(t, err, "bad_query")
		_, err = o.work.Executions(ctx, admin, app.ExecutionsQuery{Run: mgx.RunID(odd)})
		wantCode(t, err, "bad_query")
		_, err = o.work.Estimate(ctx, admin, mgx.ProjectID(odd), "")
		wantCode(t, err, "bad_query")
		_, err = o.work.Run(ctx, admin, mgx.RunID(odd))
		wantCode(t, err, mgx.CodeNotFound)
		_, err = o.work.Task(ctx, admin, mgx.TaskID(odd))
		wantCode(t, err, mgx.CodeNotFound)
		_, err = o.work.Execution(ctx, admin, mgx.ExecutionID(odd))
		wantCode(t, err, mgx.CodeNotFound)
		_, err = o.work.Project(ctx, admin, mgx.ProjectID(odd))
		wantCode(t, err, mgx.CodeNotFound)
		_, _, err = o.work.Start(ctx, admin, app.NewTask{Text: "x" + odd, Project: p.ID})
		wantCode(t, err, "bad_task")
		wantCode(t, o.work.Cancel(ctx, admin, run.ID, odd), "bad_reason")
		wantCode(t, o.work.SetProject(ctx, admin, app.Setting{Project: p.ID, Name: "policy", Value: odd}), "bad_setting")
		wantCode(t, o.work.UnsetProject(ctx, owner(here), p.ID, odd), mgx.CodeNotFound)
	}
}
