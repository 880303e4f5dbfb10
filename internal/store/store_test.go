package store_test

import (
	"context"
	"path/filepath"
	"testing"

	"mgx"
	"mgx/internal/store"
)

func open(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), filepath.Join(t.TempDir(), "data", "mgx.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestSmoke(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	sc := mgx.Scope{Workspace: mgx.DefaultWorkspace, Task: mgx.NewTaskID(), Run: mgx.NewRunID(), Execution: mgx.NewExecutionID()}
	_, err := s.Commit(ctx, mgx.Change{
		Create: []mgx.Execution{{Scope: sc, Workflow: "w"}},
		Events: []mgx.Event{sc.Event(mgx.RunCreated, mgx.RunCreatedData{Task: mgx.TaskInfo{Title: "x"}})},
	})
	if err != nil {
		t.Fatal(err)
	}
	e, ok, err := s.Claim(ctx, mgx.ClaimRequest{Owner: "me", TTL: 1e9, Now: mgx.Now()})
	if err != nil || !ok || e.Term != 1 {
		t.Fatal(e, ok, err)
	}
	l := &mgx.Lease{Execution: sc.Execution, Owner: "me", Term: 1}
	out, err := s.Commit(ctx, mgx.Change{Lease: l,
		Events: []mgx.Event{sc.Event(mgx.TaskStarted, mgx.TaskStartedData{}), sc.Event(mgx.RunNoted, mgx.NotedData{})},
		Steps:  []mgx.StepRecord{{Execution: sc.Execution, Name: "a", Kind: mgx.StepWork}},
	})
	if err != nil || out.Steps[0].Sequence != 3 || out.Events[1].Position != 3 {
		t.Fatal(out, err)
	}
	r, err := s.FindRun(ctx, mgx.DefaultWorkspace, string(sc.Run[20:]))
	if err != nil || r.Status != mgx.RunRunning || r.Sequence != 3 {
		t.Fatal(r, err)
	}
	if why, err := s.Heartbeat(ctx, *l, mgx.Now()); err != nil || why != "" {
		t.Fatal(why, err)
	}
	if evs, err := s.Events(ctx, store.EventQuery{Run: sc.Run, Types: []string{"run.*"}}); err != nil || len(evs) != 2 {
		t.Fatal(evs, err)
	}
}
