package web_test

import (
	"net/http"
	"testing"

	"mgx"
)

// TestAskAgain fills the form in with what an earlier run was asked for.
func TestAskAgain(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.project("greeter")
	budget := 3 * mgx.USD / 2
	r := s.play("Add a limiter "+hostile[0], func(d *mgx.RunCreatedData) {
		d.Repo.Path = p.Path
		d.Settings.Model, d.Settings.Approve, d.Settings.Plan, d.Settings.Checks, d.Settings.Budget = "anthropic/claude", "never", true, []string{"go test ./...", "go vet ./..."}, &budget
	})
	way := `href="/tasks/new?run=` + string(r.Run) + `"`
	hasNot(t, s.ask("GET", r.path(), nil), way)
	r.did(mgx.TaskCancelled, mgx.TaskCancelledData{Reason: "enough"})
	has(t, s.ask("GET", r.path(), nil), way, "Ask again")
	hasNot(t, s.ask("GET", r.path()+"?at=1", nil), way)
	hasNot(t, s.as(mgx.RoleViewer).ask("GET", r.path(), nil), way)

	got := s.ask("GET", "/tasks/new?run="+string(r.Run), nil)
	has(t, got, "Add a limiter", `value="anthropic/claude"`, `value="1.5"`, `<option value="never" selected>`, `name="plan" value="yes" checked`, "go test ./...\ngo vet ./...", `<option value="`+string(p.ID)+`" selected>`)
	hasNot(t, got, "<script>window")
	elsewhere := s.play("Elsewhere")
	has(t, s.ask("GET", "/tasks/new?run="+string(elsewhere.Run), nil), "Elsewhere")
	if got := s.ask("GET", "/tasks/new?run=run_none", nil); got.StatusCode != http.StatusNotFound {
		t.Errorf("no such run: %d", got.StatusCode)
	}
}

// TestFirstSteps says what comes first until there is a project, and to nobody who may
// not ask for anything.
func TestFirstSteps(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	has(t, s.ask("GET", "/home", nil), "Three steps to a first result", `href="/settings/providers"`)
	has(t, s.ask("GET", "/tasks/new", nil), "Look again")
	hasNot(t, s.as(mgx.RoleViewer).ask("GET", "/home", nil), "Three steps")
	s.project("greeter")
	got := s.ask("GET", "/home", nil)
	has(t, got, "Nothing was asked for yet", "For example:")
	hasNot(t, got, "Three steps")
}
