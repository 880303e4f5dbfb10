package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"mgx"
)

// Work is what lists of work and projects are kept in.
type Work interface {
	RunInfo(ctx context.Context, ws mgx.WorkspaceID, id mgx.RunID) (mgx.RunInfo, error)
	RunInfos(ctx context.Context, f mgx.RunFilter, after mgx.RunID, limit int) ([]mgx.RunInfo, error)
	AskedRuns(ctx context.Context, ws mgx.WorkspaceID, since time.Time, after mgx.RunID, limit int) ([]mgx.RunInfo, error)
	Task(ctx context.Context, ws mgx.WorkspaceID, id mgx.TaskID) (mgx.Task, error)
	Tasks(ctx context.Context, ws mgx.WorkspaceID, words string, after mgx.TaskID, limit int) ([]mgx.Task, error)
	ListExecutions(ctx context.Context, f mgx.ExecutionFilter, made time.Time, after mgx.ExecutionID, limit int) ([]mgx.Execution, error)
	DueRuns(ctx context.Context, now time.Time, most int) ([]mgx.DueRun, error)

	Project(ctx context.Context, ws mgx.WorkspaceID, id mgx.ProjectID) (mgx.Project, error)
	Projects(ctx context.Context, ws mgx.WorkspaceID, after string, limit int) ([]mgx.Project, error)
	CreateProject(ctx context.Context, by mgx.Doer, p mgx.Project) (stored mgx.Project, created bool, err error)
	RenameProject(ctx context.Context, by mgx.Doer, id mgx.ProjectID, name string) error
	RemoveProject(ctx context.Context, by mgx.Doer, id mgx.ProjectID) error
	ProjectSettings(ctx context.Context, ws mgx.WorkspaceID, project mgx.ProjectID) (mgx.ProjectSettings, error)
	ChangeProject(ctx context.Context, by mgx.Doer, project mgx.ProjectID, name string, value *string) error
	AuditSize(ctx context.Context, ws mgx.WorkspaceID) (int64, error)
}

const elsewhere mgx.WorkspaceID = "ws_elsewhere"

// asked begins a run that somebody asked for on a project, with its task.
func asked(t testing.TB, s Store, sc mgx.Scope, text string) mgx.Scope {
	t.Helper()
	sc.Task, sc.Run, sc.Execution = mgx.NewTaskID(), mgx.NewRunID(), mgx.NewExecutionID()
	task := mgx.TaskInfo{ID: sc.Task, Title: text, Description: text}
	told := mgx.NewEvent(mgx.TaskCreated, mgx.TaskCreatedData{Task: task, UserID: string(sc.User)})
	told.Workspace, told.Task, told.Stream = sc.Workspace, sc.Task, mgx.StreamID(sc.Task)
	x := mgx.Execution{Scope: sc, Workflow: "team", Status: mgx.ExecReady, CreatedAt: mgx.Now()}
	commit(t, s, mgx.Change{Create: []mgx.Execution{x}, Events: []mgx.Event{told, sc.Event(mgx.RunCreated, mgx.RunCreatedData{Task: task})}})
	return sc
}

func runIDs(runs []mgx.RunInfo) (ids []mgx.RunID) {
	for _, r := range runs {
		ids = append(ids, r.ID)
	}
	return ids
}

// Lists of work hold what was asked for and nothing of another workspace, newest
// first, and go on where a page ended.
func workLists(t *testing.T, open Opener) {
	s := open(t)
	w := s.(Work)
	ctx := t.Context()
	ada, bo := mgx.Scope{Workspace: ws, Project: "proj_1", User: "user_ada"}, mgx.Scope{Workspace: ws, Project: "proj_2", User: "user_bo"}
	one, two, three := asked(t, s, ada, `Fix the "50%_off" banner`), asked(t, s, bo, "Write Ünïcode tests"), asked(t, s, ada, "fix it again")
	other := asked(t, s, mgx.Scope{Workspace: elsewhere, Project: "proj_1", User: "user_ada"}, "fix theirs")
	child := mgx.Execution{Scope: one, Parent: one.Execution, ParentStep: "check", Workflow: "checks", Status: mgx.ExecReady, CreatedAt: mgx.Now()}
	child.Scope.Execution = mgx.NewExecutionID()
	commit(t, s, mgx.Change{Create: []mgx.Execution{child}, Events: []mgx.Event{two.Event(mgx.TaskStarted, mgx.TaskStartedData{Attempt: 1})}})
	for name, c := range map[string]struct {
		f    mgx.RunFilter
		want []mgx.RunID
	}{
		"all":            {mgx.RunFilter{}, []mgx.RunID{three.Run, two.Run, one.Run}},
		"status":         {mgx.RunFilter{Statuses: []mgx.RunStatus{mgx.RunRunning, mgx.RunDone}}, []mgx.RunID{two.Run}},
		"project":        {mgx.RunFilter{Project: "proj_1"}, []mgx.RunID{three.Run, one.Run}},
		"user":           {mgx.RunFilter{User: "user_bo"}, []mgx.RunID{two.Run}},
		"task":           {mgx.RunFilter{Task: one.Task}, []mgx.RunID{one.Run}},
		"words":          {mgx.RunFilter{Text: "FIX"}, []mgx.RunID{three.Run, one.Run}},
		"odd words":      {mgx.RunFilter{Text: `"50%_off"`}, []mgx.RunID{one.Run}},
		"other letters":  {mgx.RunFilter{Text: "Ünïcode"}, []mgx.RunID{two.Run}},
		"no ids":         {mgx.RunFilter{Text: "task_"}, nil},
		"no wildcards":   {mgx.RunFilter{Text: "5%b_nner"}, nil},
		"words and more": {mgx.RunFilter{Text: "fix", Project: "proj_1", User: "user_ada", Statuses: []mgx.RunStatus{mgx.RunQueued}}, []mgx.RunID{three.Run, one.Run}},
	} {
		c.f.Workspace = ws
		got, err := w.RunInfos(ctx, c.f, "", 0)
		if err != nil || !slices.Equal(runIDs(got), c.want) {
			t.Errorf("%s: %v %v, want %v", name, runIDs(got), err, c.want)
		}
		var paged []mgx.RunID
		for after := mgx.RunID(""); ; {
			page, err := w.RunInfos(ctx, c.f, after, 1)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			after = page[0].ID
			paged = append(paged, after)
		}
		if !slices.Equal(paged, c.want) {
			t.Errorf("%s: pages have %v, want %v", name, paged, c.want)
		}
	}
	if r, err := w.RunInfo(ctx, ws, one.Run); err != nil || r.Project != "proj_1" || r.User != "user_ada" || r.Task.ID != one.Task || !r.AskedAt.IsZero() {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := w.RunInfo(ctx, ws, other.Run); !mgx.IsCode(err, mgx.CodeNotFound) {
		t.Errorf("the run of another workspace: %v", err)
	}
	if _, err := w.Task(ctx, ws, other.Task); !mgx.IsCode(err, mgx.CodeNotFound) {
		t.Errorf("the task of another workspace: %v", err)
	}
	tasks, err := w.Tasks(ctx, ws, "fix", three.Task, 10)
	if err != nil || len(tasks) != 1 || tasks[0].ID != one.Task || tasks[0].Workspace != ws || tasks[0].CreatedAt.IsZero() {
		t.Errorf("%+v %v", tasks, err)
	}
	var made []mgx.ExecutionID
	for at, after := (time.Time{}), mgx.ExecutionID(""); ; {
		page, err := w.ListExecutions(ctx, mgx.ExecutionFilter{Workspace: ws}, at, after, 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, x := range page {
			at, after = x.CreatedAt, x.Execution
			made = append(made, after)
		}
	}
	if !slices.Equal(made, []mgx.ExecutionID{child.Execution, three.Execution, two.Execution, one.Execution}) {
		t.Errorf("executions are %v", made)
	}
	if kids, err := w.ListExecutions(ctx, mgx.ExecutionFilter{Workspace: ws, Parent: one.Execution}, time.Time{}, "", 0); err != nil || len(kids) != 1 || kids[0].Execution != child.Execution {
		t.Errorf("children are %v %v", kids, err)
	}
}

// A run is among those that wait for a person from when it asks first until nothing
// is left to decide, those first that have waited longest.
func askedRuns(t *testing.T, open Opener) {
	s := open(t)
	w := s.(Work)
	ask := func(sc mgx.Scope, id string) {
		commit(t, s, mgx.Change{Events: []mgx.Event{sc.Event(mgx.ApprovalRequested, mgx.ApprovalRequestedData{ApprovalID: id, Effect: "e", Hash: "h"})}})
	}
	decide := func(sc mgx.Scope, id string) {
		commit(t, s, mgx.Change{Events: []mgx.Event{sc.Event(mgx.ApprovalDecided, mgx.ApprovalDecidedData{ApprovalID: id, Approved: true, By: "u", Hash: "h"})}})
	}
	want := func(runs ...mgx.RunID) []mgx.RunInfo {
		t.Helper()
		got, err := w.AskedRuns(t.Context(), ws, time.Time{}, "", 0)
		if err != nil || !slices.Equal(runIDs(got), runs) {
			t.Errorf("%v %v wait, want %v", runIDs(got), err, runs)
		}
		return got
	}
	early, late, never := begin(t, s), begin(t, s), begin(t, s)
	want()
	ask(late, "a")
	ask(early, "a")
	first := want(late.Run, early.Run)[0].AskedAt
	ask(late, "b")
	decide(late, "a")
	if got := want(late.Run, early.Run); !got[0].AskedAt.Equal(first) {
		t.Errorf("it waits since %s, at first since %s", got[0].AskedAt, first)
	}
	page, err := w.AskedRuns(t.Context(), ws, first, late.Run, 1)
	if err != nil || !slices.Equal(runIDs(page), []mgx.RunID{early.Run}) {
		t.Errorf("after the first: %v %v", runIDs(page), err)
	}
	if theirs, err := w.AskedRuns(t.Context(), elsewhere, time.Time{}, "", 0); err != nil || len(theirs) > 0 {
		t.Errorf("another workspace has %v %v", theirs, err)
	}
	decide(late, "b")
	want(early.Run)
	commit(t, s, mgx.Change{Events: []mgx.Event{early.Event(mgx.TaskCancelled, mgx.TaskCancelledData{Reason: "r", By: "u"})}})
	want()
	ask(never, "a")
	want(never.Run)
}

// Runs that are due come for each workspace as many as asked for, the longest due
// first, once each however many of their executions are.
func dueRuns(t *testing.T, open Opener) {
	s := open(t)
	w := s.(Work)
	now := mgx.Now()
	due := func(space mgx.WorkspaceID, ago time.Duration, status mgx.ExecutionStatus, wake bool) mgx.Scope {
		sc := scope()
		sc.Workspace = space
		x := mgx.Execution{Scope: sc, Workflow: "team", Status: status, CreatedAt: now}
		if wake {
			x.WakeAt = now.Add(-ago)
		}
		commit(t, s, mgx.Change{Create: []mgx.Execution{x}, Events: []mgx.Event{sc.Event(mgx.RunCreated, mgx.RunCreatedData{})}})
		return sc
	}
	var many []mgx.RunID
	for i := range 5 {
		many = append(many, due(ws, time.Duration(100-i)*time.Second, mgx.ExecReady, true).Run)
	}
	other := due(elsewhere, time.Second, mgx.ExecWaiting, true)
	due(elsewhere, -time.Hour, mgx.ExecWaiting, true) // later
	due(elsewhere, 0, mgx.ExecWaiting, false)         // for a signal
	child := mgx.Execution{Scope: other, Parent: other.Execution, Workflow: "c", Status: mgx.ExecReady, WakeAt: now.Add(-time.Minute), CreatedAt: now}
	child.Scope.Execution = mgx.NewExecutionID()
	commit(t, s, mgx.Change{Create: []mgx.Execution{child}})
	got, err := w.DueRuns(t.Context(), now, 3)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, d := range got {
		said = append(said, fmt.Sprint(d.Workspace, " ", d.Run))
	}
	want := []string{fmt.Sprint(ws, " ", many[0]), fmt.Sprint(ws, " ", many[1]), fmt.Sprint(ws, " ", many[2]), fmt.Sprint(elsewhere, " ", other.Run)}
	if !slices.Equal(said, want) || !got[3].Since.Equal(child.WakeAt) {
		t.Errorf("due are %v since %s, want %v since %s", said, got[len(got)-1].Since, want, child.WakeAt)
	}
}

// A workspace has the projects that it was given, under names of their own, and
// each act on one is an entry of its audit log.
func projectsGiven(t *testing.T, open Opener) {
	s := open(t)
	w := s.(Work)
	ctx := t.Context()
	by, theirs := doer, mgx.Doer{Workspace: elsewhere, Actor: "user_2"}
	size := func(want int64) {
		t.Helper()
		if n, err := w.AuditSize(ctx, ws); err != nil || n != want {
			t.Errorf("%d entries, %v, want %d", n, err, want)
		}
	}
	shop, created, err := w.CreateProject(ctx, by, mgx.Project{ID: "proj_1", Name: "shop", Path: "/srv/shop", Within: "/srv"})
	if err != nil || !created || shop.Workspace != ws || shop.CreatedBy != by.Actor || shop.CreatedAt.IsZero() {
		t.Fatalf("%+v %v %v", shop, created, err)
	}
	if again, created, err := w.CreateProject(ctx, by, mgx.Project{ID: "proj_1", Name: "other", Path: "/srv/shop"}); err != nil || created || again.Name != "shop" || again.Within != "/srv" {
		t.Errorf("once more: %+v %v %v", again, created, err)
	}
	size(1)
	if _, _, err := w.CreateProject(ctx, by, mgx.Project{ID: "proj_2", Name: "shop", Path: "/srv/2"}); !mgx.IsCode(err, mgx.CodeConflict) {
		t.Errorf("a name twice: %v", err)
	}
	if _, created, err := w.CreateProject(ctx, theirs, mgx.Project{ID: "proj_1", Name: "shop", Path: "/srv/shop"}); err != nil || !created {
		t.Errorf("for another workspace: %v %v", created, err)
	}
	for i := range 3 {
		if _, _, err := w.CreateProject(ctx, by, mgx.Project{ID: mgx.ProjectID(fmt.Sprint("proj_b", i)), Name: fmt.Sprint("bank ", i), Path: fmt.Sprint("/b/", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if page, err := w.Projects(ctx, ws, "bank 0", 2); err != nil || len(page) != 2 || page[0].Name != "bank 1" || page[1].Name != "bank 2" {
		t.Errorf("%+v %v", page, err)
	}
	size(4)
	if err := w.RenameProject(ctx, by, "proj_1", "bank 0"); !mgx.IsCode(err, mgx.CodeConflict) {
		t.Errorf("renamed to a name that there is: %v", err)
	}
	for _, id := range []mgx.ProjectID{"proj_none"} {
		if err := w.RenameProject(ctx, by, id, "x"); !mgx.IsCode(err, mgx.CodeNotFound) {
			t.Error(err)
		}
		if err := w.RemoveProject(ctx, by, id); !mgx.IsCode(err, mgx.CodeNotFound) {
			t.Error(err)
		}
		if _, err := w.Project(ctx, ws, id); !mgx.IsCode(err, mgx.CodeNotFound) {
			t.Error(err)
		}
	}
	for range 2 { // the second changes nothing
		if err := w.RenameProject(ctx, by, "proj_1", "store"); err != nil {
			t.Error(err)
		}
	}
	size(5)
	if err := w.ChangeProject(ctx, by, "proj_1", "policy", new("ask")); err != nil {
		t.Error(err)
	}
	if err := w.RemoveProject(ctx, by, "proj_1"); err != nil {
		t.Error(err)
	}
	size(7)
	if set, err := w.ProjectSettings(ctx, ws, "proj_1"); err != nil || len(set) > 0 {
		t.Errorf("what was set stays: %v %v", set, err)
	}
	if p, err := w.Project(ctx, elsewhere, "proj_1"); err != nil || p.Name != "shop" {
		t.Errorf("that of the other workspace is %+v %v", p, err)
	}
}
