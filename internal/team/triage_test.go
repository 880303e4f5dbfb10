package team

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/workflow"
)

// TestTriageIsQuarantined gives the role that sorts tasks a tool. It is not begun then:
// what it decides by others wrote.
func TestTriageIsQuarantined(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "mgx.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	engine := workflow.New(s, workflow.Options{Owner: "one", Alive: func(string) bool { return true }})
	workflow.Register(engine, "main", func(c *workflow.Context, _ struct{}) (triaged, error) {
		r := &run{c: c, prep: prepared{Roles: map[string]Role{"triage": {Tools: []string{"read"}}}}}
		return r.triage()
	})
	scope := mgx.Scope{Workspace: mgx.DefaultWorkspace, Run: mgx.NewRunID(), Execution: mgx.NewExecutionID()}
	if err := engine.Start(t.Context(), mgx.Execution{Scope: scope, Workflow: "main", Input: json.RawMessage("{}")}, scope.Event(mgx.RunCreated, mgx.RunCreatedData{Workflow: "main"})); err != nil {
		t.Fatal(err)
	}
	if x, err := engine.Drive(t.Context(), scope.Run, scope.Execution); err != nil || x.Failure == nil || x.Failure.Code != "reader_with_tools" {
		t.Errorf("%s %+v, %v", x.Status, x.Failure, err)
	}
}
