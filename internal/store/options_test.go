package store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/event"
	"mgx/internal/store"
)

func TestCheckedBeforeStored(t *testing.T) {
	t.Parallel()
	r, err := event.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, place(t), store.Options{Check: r.Check})
	sc := begin(t, s)
	mine := note(sc, "x")
	out := commit(t, s, mgx.Change{Events: []mgx.Event{mine}})
	if out.Events[0].Version != "1.0.0" || mine.Version != "" {
		t.Errorf("stored version %q, the caller's %q", out.Events[0].Version, mine.Version)
	}
	wrong := sc.Event(mgx.RunNoted, map[string]any{"level": "shouted"})
	if _, err := s.Commit(t.Context(), mgx.Change{Events: []mgx.Event{note(sc, "y"), wrong}}); !mgx.IsCode(err, event.CodeBadEvent) {
		t.Errorf("got %v", err)
	}
	if n, _ := s.Head(t.Context()); n != 2 {
		t.Errorf("head %d, want 2", n)
	}
}

// Secrets are gone from everything that is stored, and the caller's values are
// as they were.
func TestRedactedBeforeStored(t *testing.T) {
	t.Parallel()
	redact := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("s3cret"), []byte("***")) }
	path := place(t)
	s := open(t, path, store.Options{Redact: func(mgx.WorkspaceID) func([]byte) []byte { return redact }})
	sc := begin(t, s)
	secret := json.RawMessage(`"s3cret"`)
	failure := mgx.Errorf(mgx.KindGoal, "c", "said s3cret")
	child := newScope()
	c := mgx.Change{
		Create:  []mgx.Execution{{Scope: child, Workflow: "w", Input: secret}},
		Events:  []mgx.Event{note(sc, "s3cret")},
		Steps:   []mgx.StepRecord{{Execution: sc.Execution, Name: "a", Output: secret, Failure: failure}},
		Signals: []mgx.Signal{{ID: mgx.NewSignalID(), Execution: sc.Execution, Name: "n", Payload: secret}},
		Update:  &mgx.ExecutionUpdate{Execution: sc.Execution, Status: mgx.ExecFailed, Result: secret, Failure: failure},
	}
	commit(t, s, c)
	commit(t, s, mgx.Change{Cancel: &mgx.CancelRequest{Execution: child.Execution, Why: strings.Repeat("x", 1997) + "s3cret"}})
	if string(secret) != `"s3cret"` || failure.Message != "said s3cret" || c.Update.Failure != failure || !strings.Contains(string(c.Events[0].Data), "s3cret") {
		t.Error("the caller's values were changed")
	}
	journal, _ := s.Journal(t.Context(), sc.Execution)
	signals, _ := s.Signals(t.Context(), sc.Execution, "n")
	e, _ := s.Execution(t.Context(), sc.Execution)
	made, _ := s.Execution(t.Context(), child.Execution)
	stored, _ := s.Events(t.Context(), store.EventQuery{Run: sc.Run})
	all, err := json.Marshal([]any{journal, signals, e, made, stored})
	if err != nil || bytes.Contains(all, []byte("s3c")) || bytes.Count(all, []byte("***")) != 8 {
		t.Errorf("stored %s %v", all, err)
	}
}

// Each part of a change loses the secrets of the workspace that it is of, and no
// other's: an event and an execution those of their own, all else those of whose change
// it is, which the events, the context or the change itself say. Of which nothing says
// whose it is, loses everybody's.
func TestRedactedByWorkspace(t *testing.T) {
	t.Parallel()
	const a, b = "secret-of-a", "secret-of-b"
	hides := map[mgx.WorkspaceID]*strings.Replacer{"": strings.NewReplacer(a, "-", b, "-"), "ws_a": strings.NewReplacer(a, "-"), "ws_b": strings.NewReplacer(b, "-")}
	s := open(t, place(t), store.Options{Redact: func(of mgx.WorkspaceID) func([]byte) []byte {
		return func(raw []byte) []byte { return []byte(hides[of].Replace(string(raw))) }
	}})
	both, failure := json.RawMessage(`"`+a+" "+b+`"`), mgx.Errorf(mgx.KindGoal, "c", "%s", a+" "+b)
	scope := func(ws mgx.WorkspaceID) mgx.Scope {
		sc := newScope()
		sc.Workspace = ws
		return sc
	}
	step := func(sc mgx.Scope, name string) []mgx.StepRecord {
		return []mgx.StepRecord{{Execution: sc.Execution, Name: name, Output: both, Failure: failure}}
	}
	made := func(sc mgx.Scope, title string) mgx.Event {
		return sc.Event(mgx.RunCreated, mgx.RunCreatedData{Task: mgx.TaskInfo{ID: sc.Task, Title: title}, Settings: mgx.RunSettings{Approve: "auto"}})
	}
	ofA, ofB := scope("ws_a"), scope("ws_b")
	commit(t, s, mgx.Change{
		Create: []mgx.Execution{{Scope: ofA, Workflow: "w", Input: both}, {Scope: ofB, Workflow: "w", Input: both}},
		Events: []mgx.Event{made(ofA, a+" "+b), made(ofB, a+" "+b)},
	})
	signal := []mgx.Signal{{ID: mgx.NewSignalID(), Execution: ofB.Execution, Name: "n", Payload: both}}
	commit(t, s, mgx.Change{Workspace: "ws_b", Steps: step(ofB, "said"), Signals: signal, Update: &mgx.ExecutionUpdate{Execution: ofB.Execution, Status: mgx.ExecFailed, Result: both, Failure: failure}})
	commit(t, s, mgx.Change{Events: []mgx.Event{note(ofA, "by its events")}, Steps: step(ofA, "events")})
	if _, err := s.Commit(mgx.InWorkspace(t.Context(), "ws_a"), mgx.Change{Steps: step(ofA, "context")}); err != nil {
		t.Fatal(err)
	}
	commit(t, s, mgx.Change{Steps: step(ofA, "unknown")})

	whole := func(sc mgx.Scope) string {
		t.Helper()
		journal, err := s.Journal(t.Context(), sc.Execution)
		x, err2 := s.Execution(t.Context(), sc.Execution)
		signals, err3 := s.Signals(t.Context(), sc.Execution, "n")
		events, err4 := s.Events(t.Context(), store.EventQuery{Run: sc.Run})
		text, err5 := json.Marshal([]any{journal, x, signals, events})
		if err := errors.Join(err, err2, err3, err4, err5); err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if got := whole(ofA); strings.Contains(got, a) || strings.Count(got, b) != 1+1+2+2 || !strings.Contains(got, `"- -"`) {
		t.Errorf("of a: %s", got)
	}
	if got := whole(ofB); strings.Contains(got, b) || strings.Count(got, a) != 1+1+2+1+2 {
		t.Errorf("of b: %s", got)
	}
}

func TestRedactionMustKeepJSON(t *testing.T) {
	t.Parallel()
	s := open(t, place(t), store.Options{Redact: func(mgx.WorkspaceID) func([]byte) []byte { return func(b []byte) []byte { return b[:len(b)-1] } }})
	if _, err := s.Commit(t.Context(), mgx.Change{Events: []mgx.Event{note(newScope(), "x")}}); !mgx.IsCode(err, "bad_json") {
		t.Errorf("got %v", err)
	}
}

func TestMalformedChanges(t *testing.T) {
	t.Parallel()
	s := open(t, place(t), store.Options{})
	sc := begin(t, s)
	spoil := func(f func(*mgx.Event)) mgx.Change {
		e := note(sc, "x")
		f(&e)
		return mgx.Change{Events: []mgx.Event{e}}
	}
	for name, c := range map[string]struct {
		change mgx.Change
		code   string
	}{
		"no id":          {spoil(func(e *mgx.Event) { e.ID = "" }), "bad_event"},
		"no type":        {spoil(func(e *mgx.Event) { e.Type = "" }), "bad_event"},
		"no stream":      {spoil(func(e *mgx.Event) { e.Stream = "" }), "bad_event"},
		"no workspace":   {spoil(func(e *mgx.Event) { e.Workspace = "" }), "bad_event"},
		"no data":        {spoil(func(e *mgx.Event) { e.Data = nil }), "bad_event"},
		"zero byte":      {spoil(func(e *mgx.Event) { e.Correlation = "a\x00b" }), "bad_text"},
		"no UTF-8":       {spoil(func(e *mgx.Event) { e.Traceparent = "\xff" }), "bad_text"},
		"broken data":    {spoil(func(e *mgx.Event) { e.Data = []byte("{") }), "bad_json"},
		"execution":      {mgx.Change{Create: []mgx.Execution{{}}}, "bad_execution"},
		"signal":         {mgx.Change{Signals: []mgx.Signal{{}}}, "bad_signal"},
		"reservation":    {mgx.Change{Reserve: &mgx.Reservation{}}, "bad_reservation"},
		"settlement":     {mgx.Change{Settle: []mgx.Settlement{{Amount: -1}}}, "bad_settlement"},
		"broken output":  {mgx.Change{Steps: []mgx.StepRecord{{Output: []byte("{")}}}, "bad_json"},
		"broken payload": {mgx.Change{Signals: []mgx.Signal{{ID: "sig_1", Name: "n", Payload: []byte("{")}}}, "bad_json"},
	} {
		if _, err := s.Commit(t.Context(), c.change); !mgx.IsCode(err, c.code) {
			t.Errorf("%s: got %v, want code %s", name, err, c.code)
		}
	}
	if _, err := s.Commit(t.Context(), mgx.Change{}); err != nil {
		t.Errorf("an empty change: %v", err)
	}
	if err := errors.Join(s.Verify(t.Context())); err != nil {
		t.Error(err)
	}
}
