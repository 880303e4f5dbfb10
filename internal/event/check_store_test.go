package event_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/event"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

// Bad input through the real store: a clear problem, and nothing stored, also
// of what was good in the same change.
func TestBadEventsAreNotStored(t *testing.T) {
	t.Parallel()
	registry, err := event.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("SQLite", func(t *testing.T) { badEvents(t, registry, filepath.Join(t.TempDir(), "mgx.db")) })
	t.Run("PostgreSQL", func(t *testing.T) { badEvents(t, registry, pgtest.NewDatabase(t)) })
}

func badEvents(t *testing.T, registry *event.Registry, at string) {
	s, err := store.Open(context.Background(), at, store.Options{Check: registry.Check})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	sc := mgx.Scope{Workspace: mgx.DefaultWorkspace, Run: mgx.NewRunID()}
	created := sc.Event(mgx.RunCreated, mgx.RunCreatedData{Task: mgx.TaskInfo{ID: mgx.NewTaskID(), Title: "t"}, Settings: mgx.RunSettings{Approve: "auto"}})
	commit(t, s, created, note(sc, "good"))

	for name, c := range map[string]struct {
		spoil func(*mgx.Event)
		code  string // empty: the store itself sees that it is not JSON
	}{
		"an unknown type":     {func(e *mgx.Event) { e.Type = "run.imagined" }, event.CodeUnknownType},
		"a wrong version":     {func(e *mgx.Event) { e.Version = "2.0.0" }, event.CodeBadEvent},
		"no version":          {func(e *mgx.Event) { e.Version = "latest" }, event.CodeBadEvent},
		"one byte too many":   {func(e *mgx.Event) { e.Data = sized(t, *e, mgx.MaxEventSize+1) }, event.CodeTooLarge},
		"nesting too deep":    {func(e *mgx.Event) { e.Data = deep(33) }, event.CodeBadEvent},
		"nesting without end": {func(e *mgx.Event) { e.Data = deep(300_000) }, ""},
		"invalid UTF-8":       {func(e *mgx.Event) { e.Data = json.RawMessage("{\"level\":\"info\",\"text\":\"\xff\"}") }, event.CodeBadEvent},
		"NaN":                 {func(e *mgx.Event) { e.Data = json.RawMessage(`{"level":"info","text":NaN}`) }, ""},
		"a key twice":         {func(e *mgx.Event) { e.Data = json.RawMessage(`{"level":"info","level":"info","text":"x"}`) }, event.CodeBadEvent},
		"an id of a task":     {func(e *mgx.Event) { e.ID = mgx.EventID(mgx.NewTaskID()) }, event.CodeBadEvent},
		"a run as its task":   {func(e *mgx.Event) { e.Task = mgx.TaskID(sc.Run) }, event.CodeBadEvent},
		"a field of its own":  {func(e *mgx.Event) { e.Data = json.RawMessage(`{"level":"info","text":"x","colour":"red"}`) }, event.CodeBadEvent},
	} {
		bad := note(sc, "bad")
		c.spoil(&bad)
		_, err := s.Commit(context.Background(), mgx.Change{Events: []mgx.Event{note(sc, "good beside it"), bad}})
		if _, ours := errors.AsType[*mgx.Error](err); !ours || c.code != "" && !mgx.IsCode(err, c.code) || len(err.Error()) > 1000 {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	if head, err := s.Head(context.Background()); err != nil || head != 2 {
		t.Errorf("the log has %d events, %v", head, err)
	}
	commit(t, s, mgx.Event{
		ID: mgx.NewEventID(), Type: mgx.RunNoted, Time: mgx.Now(), Workspace: sc.Workspace, Run: sc.Run, Stream: mgx.StreamID(sc.Run),
		Data: json.RawMessage(`{"level":"info","text":"` + strings.Repeat("x", mgx.MaxEventSize-1000) + `"}`),
	})
}

// An id is stored once: the same event again is nothing new, another event under
// its id is refused.
func TestOneIDIsOneEvent(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) { oneID(t, filepath.Join(t.TempDir(), "mgx.db")) })
	t.Run("PostgreSQL", func(t *testing.T) { oneID(t, pgtest.NewDatabase(t)) })
}

func oneID(t *testing.T, at string) {
	s := open(t, at)
	sc := begin(t, s)
	first := note(sc, "first")
	commit(t, s, first)
	again, err := s.Commit(context.Background(), mgx.Change{Events: []mgx.Event{first}})
	if err != nil || len(again.Events) != 1 || again.Events[0].Position != 2 {
		t.Errorf("the same event again: %v %v", again, err)
	}
	for name, spoil := range map[string]func(*mgx.Event){
		"data":   func(e *mgx.Event) { e.Data = json.RawMessage(`{"level":"info","text":"second"}`) },
		"type":   func(e *mgx.Event) { e.Type = mgx.RunPhaseChanged },
		"stream": func(e *mgx.Event) { other := begin(t, s); e.Run, e.Stream = other.Run, mgx.StreamID(other.Run) },
	} {
		other := first
		spoil(&other)
		_, err := s.Commit(context.Background(), mgx.Change{Events: []mgx.Event{other}})
		if !mgx.IsCode(err, mgx.CodeConflict) {
			t.Errorf("other %s under the same id: %v, want a conflict", name, err)
		}
	}
	stored, err := s.Events(context.Background(), store.EventQuery{Run: sc.Run})
	if err != nil || len(stored) != 2 || string(stored[1].Data) != string(first.Data) {
		t.Errorf("stored is %v %v", stored, err)
	}
}

// sized is data that makes the event so many bytes long as it is served: with
// the largest sequence and position.
func sized(t *testing.T, e mgx.Event, n int) json.RawMessage {
	t.Helper()
	e.Version, e.Sequence, e.Position = "1.0.0", 1<<62, 1<<62
	e.Data = json.RawMessage(`{"level":"info","text":""}`)
	empty, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return json.RawMessage(`{"level":"info","text":"` + strings.Repeat("x", n-len(empty)) + `"}`)
}

func deep(n int) json.RawMessage {
	return json.RawMessage(`{"level":"info","text":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`)
}
