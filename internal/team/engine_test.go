package team

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/workflow"
)

// begun is an execution of a workflow, on a store that hides nothing.
type begun struct {
	t      testing.TB
	store  *store.Store
	engine *workflow.Engine
	scope  mgx.Scope
}

func begin[T any](t testing.TB, main func(*workflow.Context) (T, error)) begun {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "mgx.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	b := begun{t, s, workflow.New(s, workflow.Options{Owner: "one", Alive: func(string) bool { return true }}), mgx.Scope{
		Workspace: mgx.DefaultWorkspace, Run: mgx.NewRunID(), Execution: mgx.NewExecutionID(),
	}}
	workflow.Register(b.engine, "main", func(c *workflow.Context, _ struct{}) (T, error) { return main(c) })
	x := mgx.Execution{Scope: b.scope, Workflow: "main", Input: json.RawMessage("{}")}
	if err := b.engine.Start(t.Context(), x, b.scope.Event(mgx.RunCreated, mgx.RunCreatedData{Workflow: "main"})); err != nil {
		t.Fatal(err)
	}
	return b
}

// drive goes on until it ends, or waits.
func (b begun) drive() mgx.Execution {
	b.t.Helper()
	x, err := b.engine.Drive(b.t.Context(), b.scope.Run, b.scope.Execution)
	if err != nil {
		b.t.Fatal(err)
	}
	return x
}

func (b begun) events() []mgx.Event {
	b.t.Helper()
	events, err := b.store.Events(b.t.Context(), store.EventQuery{Stream: mgx.StreamID(b.scope.Run)})
	if err != nil {
		b.t.Fatal(err)
	}
	return events
}
