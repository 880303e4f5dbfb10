package team

import (
	"testing"

	"mgx/internal/workflow"
)

// TestTriageIsQuarantined gives the role that sorts tasks a tool. It is not begun then:
// what it decides by others wrote.
func TestTriageIsQuarantined(t *testing.T) {
	t.Parallel()
	b := begin(t, func(c *workflow.Context) (triaged, error) {
		r := &run{c: c, prep: prepared{Roles: map[string]Role{"triage": {Tools: []string{"read"}}}}}
		return r.triage()
	})
	if x := b.drive(); x.Failure == nil || x.Failure.Code != "reader_with_tools" {
		t.Errorf("%s %+v", x.Status, x.Failure)
	}
}
