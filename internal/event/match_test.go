package event_test

import (
	"slices"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/event"
)

func TestMatcher(t *testing.T) {
	t.Parallel()
	e := mgx.Event{Type: "task.created", Workspace: "ws_a", Task: "task_1"}
	for _, c := range []struct {
		ws              mgx.WorkspaceID
		channels, types []string
		match           bool
	}{
		{"ws_a", nil, nil, true},
		{"ws_b", nil, nil, false},
		{"ws_a", []string{"task:task_1"}, nil, true},
		{"ws_a", []string{"task:task_2", "task:*"}, nil, true},
		{"ws_a", []string{"run:*"}, nil, false},
		{"ws_a", nil, []string{"task.*"}, true},
		{"ws_a", nil, []string{"run.*", "*.created"}, true},
		{"ws_a", nil, []string{"run.*"}, false},
		{"ws_a", []string{"run:*"}, []string{"task.*"}, false},
	} {
		match, err := event.Matcher(c.ws, c.channels, c.types)
		if err != nil {
			t.Fatal(err)
		}
		if got := match(&e); got != c.match {
			t.Errorf("%s %v %v: %v", c.ws, c.channels, c.types, got)
		}
	}
	for _, text := range []string{"", "a\x00", "\xff", strings.Repeat("a", 129)} {
		if _, err := event.Matcher("ws_a", nil, []string{text}); !mgx.IsCode(err, event.CodeBadFilter) {
			t.Errorf("the type %q is taken: %v", text, err)
		}
	}
	// Entries of the audit log go to who asks for them by type, and to nobody else.
	entry := mgx.Event{Type: mgx.AuditRecorded, Workspace: "ws_a", Stream: mgx.AuditStream("ws_a")}
	for types, want := range map[string]bool{"": false, "*": false, "aud*": false, "audit.*": true, "audit.recorded": true} {
		match, err := event.Matcher("ws_a", nil, strings.Fields(types))
		if err != nil || match(&entry) != want {
			t.Errorf("types %q: %v %v", types, !want, err)
		}
	}
	for _, c := range []struct{ channels, types []string }{
		{[]string{"weather"}, nil},
		{[]string{"workspace:ws_b"}, nil},
		{nil, []string{""}},
		{nil, slices.Repeat([]string{"a"}, 33)},
		{nil, []string{strings.Repeat("a", 200)}},
	} {
		if _, err := event.Matcher("ws_a", c.channels, c.types); err == nil {
			t.Errorf("%v %v is accepted", c.channels, c.types)
		}
	}
}
