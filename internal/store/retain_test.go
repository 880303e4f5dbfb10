package store_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mgx"
	"mgx/internal/store"
)

const day = 24 * time.Hour

// keep is a retention of a few classes; run.noted is kept for ever.
var keep = map[mgx.EventType]time.Duration{
	mgx.RunCreated: 90 * day, mgx.TaskCreated: 90 * day, mgx.ToolCalled: 30 * day, mgx.ToolReturned: 60 * day, mgx.TaskCompleted: 90 * day,
	mgx.LLMCallCompleted: 30 * day, mgx.WorkflowWaiting: 30 * day,
}

// monthEnd is when the month of a time is over: from then on its events age.
func monthEnd(t time.Time) time.Time {
	y, m, _ := t.UTC().Date()
	return time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC)
}

// Whatever happened and however time passes, what is removed is old enough and
// of a run that has ended; rows stay what they were, numbers are never given out
// again, everything still verifies, and a backup of it too.
func TestRetention(t *testing.T) {
	t.Parallel()
	dir, n := t.TempDir(), 0
	checkFew(t, often(25, 100), func(rt *rapid.T) {
		n++
		s, err := store.Open(rt.Context(), filepath.Join(dir, fmt.Sprint(n), "mgx.db"), store.Options{})
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		history(rt, s)
		for range rapid.IntRange(1, 4).Draw(rt, "times") {
			age := time.Duration(rapid.SampledFrom([]int{1, 31, 61, 91, 122, 1000}).Draw(rt, "days")) * day
			retainOnce(rt, s, age)
			history(rt, s)
		}
		var file bytes.Buffer
		if _, err := s.WriteBackup(rt.Context(), &file, store.BackupOptions{}); err != nil {
			rt.Fatal(err)
		}
		path := filepath.Join(dir, fmt.Sprint(n), "copy.db")
		if _, err := store.Restore(rt.Context(), &file, path, store.RestoreOptions{}); err != nil {
			rt.Fatal(err)
		}
		copied, err := store.Open(rt.Context(), path, store.Options{ReadOnly: true})
		if err != nil {
			rt.Fatal(err)
		}
		defer copied.Close()
		want, _ := s.Earliest(rt.Context())
		if got, err := copied.Earliest(rt.Context()); err != nil || got != want {
			rt.Fatalf("the copy's earliest is %d, not %d: %v", got, want, err)
		}
		if err := copied.Verify(rt.Context()); err != nil {
			rt.Fatal(err)
		}
	})
}

func retainOnce(t *rapid.T, s *store.Store, age time.Duration) {
	now := mgx.Now().Add(age)
	before, runs := all(t, s), rowsOf(t, s)
	counted, err := s.Retain(t.Context(), now, store.Retention{Keep: keep, Dry: true})
	if err != nil || len(all(t, s)) != len(before) {
		t.Fatalf("a dry run: %v, %d events of %d are left", err, len(all(t, s)), len(before))
	}
	done, err := s.Retain(t.Context(), now, store.Retention{Keep: keep})
	if err != nil || done.Removed != counted.Removed || done.Emptied != counted.Emptied {
		t.Fatalf("%+v %v, counted %+v", done, err, counted)
	}
	after := all(t, s)
	if len(after)+int(done.Removed) != len(before) {
		t.Fatalf("%d events of %d, %d removed", len(after), len(before), done.Removed)
	}
	ended, last := map[mgx.RunID]bool{}, map[mgx.StreamID]mgx.Event{}
	for _, r := range runs {
		ended[r.ID] = r.Status.Ended()
	}
	for _, e := range before {
		last[e.Stream] = e
	}
	at := map[int64]mgx.Event{}
	for _, e := range after {
		at[e.Position] = e
	}
	for _, e := range before {
		old := keep[e.Type] > 0 && !now.Before(monthEnd(e.Time).Add(keep[e.Type]))
		left, there := at[e.Position]
		switch {
		case !there && (!old || e.Run != "" && !ended[e.Run] || last[e.Stream].ID == e.ID):
			t.Fatalf("%s %d of %s was removed", e.Type, e.Sequence, e.Stream)
		case there && left.Erased() && !e.Erased() && (!old || last[e.Stream].ID != e.ID):
			t.Fatalf("%s %d of %s was emptied", e.Type, e.Sequence, e.Stream)
		case there && !left.Erased() && old && ended[e.Run]:
			t.Fatalf("%s %d of %s was kept", e.Type, e.Sequence, e.Stream)
		case there && (left.ID != e.ID || left.Sequence != e.Sequence || left.Stream != e.Stream || left.Type != e.Type || !left.Time.Equal(e.Time)):
			t.Fatalf("an envelope has changed: %+v %+v", left, e)
		}
	}
	if got := rowsOf(t, s); !slices.EqualFunc(got, runs, func(a, b mgx.Run) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
		t.Fatal("a run's row has changed")
	}
	earliest, err := s.Earliest(t.Context())
	if err != nil || earliest != done.Earliest {
		t.Fatalf("earliest %d %v, %d", earliest, err, done.Earliest)
	}
	for p := earliest; p <= before[len(before)-1].Position; p++ {
		if _, there := at[p]; !there {
			t.Fatalf("position %d is missing, and %d is the earliest", p, earliest)
		}
	}
	if again, err := s.Retain(t.Context(), now, store.Retention{Keep: keep}); err != nil || again.Removed+again.Emptied != 0 {
		t.Fatalf("again: %+v %v", again, err)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func all(t *rapid.T, s *store.Store) []mgx.Event {
	events, err := s.Events(t.Context(), store.EventQuery{})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func rowsOf(t *rapid.T, s *store.Store) []mgx.Run {
	runs, err := s.Runs(t.Context(), store.RunQuery{Workspace: mgx.DefaultWorkspace})
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

// On both databases, more events than fit into a batch, while others append.
func TestRetainWhileAppending(t *testing.T) {
	t.Parallel()
	for name, place := range map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return place(t) },
		"postgres": func(t *testing.T) string { return newDatabase(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, place(t), store.Options{Keep: keep})
			ended, going := begin(t, s), begin(t, s)
			var calls []mgx.Event
			for range 700 {
				calls = append(calls, ended.Event(mgx.ToolCalled, mgx.ToolCallData{CallID: "x"}), going.Event(mgx.ToolCalled, mgx.ToolCallData{}))
			}
			commit(t, s, mgx.Change{Events: calls})
			commit(t, s, mgx.Change{Events: []mgx.Event{ended.Event(mgx.TaskCompleted, mgx.TaskCompletedData{}), note(going, "y")}})
			numbered(t, s, 1404)
			done := make(chan error)
			for range 3 {
				go func() {
					_, err := s.Retain(t.Context(), monthEnd(mgx.Now()).Add(31*day), store.Retention{Keep: keep})
					done <- err
				}()
			}
			for i := range 20 {
				commit(t, s, mgx.Change{Events: []mgx.Event{note(going, fmt.Sprint(i))}})
			}
			for range 3 {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			numbered(t, s, 1424)
			if n, err := s.Earliest(t.Context()); err != nil || n < 1390 || n > 1405 {
				t.Errorf("earliest %d %v", n, err)
			}
			if err := s.Verify(t.Context()); err != nil {
				t.Error(err)
			}
			left, err := s.Events(t.Context(), store.EventQuery{Run: ended.Run})
			if err != nil || len(left) != 2 {
				t.Errorf("%d events are left of the run that has ended: %v", len(left), err)
			}
			if left, _ := s.Events(t.Context(), store.EventQuery{Run: going.Run}); len(left) != 722 {
				t.Errorf("%d events are left of the run that goes on", len(left))
			}
		})
	}
}

// What was removed in a way that nobody recorded is found.
func TestVerifyFindsWhatWasNotRetained(t *testing.T) {
	t.Parallel()
	for name, tamper := range map[string]string{
		"another event removed": `DELETE FROM events WHERE type = 'run.noted'`,
		"a baseline lost":       `DELETE FROM baselines`,
		"a count that differs":  `UPDATE baselines SET removed = removed + 1`,
		"a state that differs":  `UPDATE baselines SET state = json_set(state, '$.tool_calls', 9) WHERE state IS NOT NULL`,
		"a state lost":          `UPDATE baselines SET state = NULL`,
		"a state of nonsense":   `UPDATE baselines SET state = '{'`,
		"a baseline of nothing": `INSERT INTO baselines VALUES ('run_none', 'w', 1, 0, 0, NULL)`,
		"a baseline too early":  `UPDATE baselines SET sequence = sequence - 1`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := place(t)
			s := open(t, path, store.Options{})
			sc := begin(t, s)
			commit(t, s, mgx.Change{Events: []mgx.Event{sc.Event(mgx.ToolCalled, mgx.ToolCallData{}), note(sc, strings.Repeat("x", 10)), sc.Event(mgx.TaskCompleted, mgx.TaskCompletedData{})}})
			if _, err := s.Retain(t.Context(), monthEnd(mgx.Now()).Add(31*day), store.Retention{Keep: keep}); err != nil {
				t.Fatal(err)
			}
			if err := s.Verify(t.Context()); err != nil {
				t.Fatal(err)
			}
			raw(t, path, tamper)
			if err := s.Verify(t.Context()); !mgx.IsCode(err, store.CodeCorrupt) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// An earlier event that is kept for longer goes later, and then the log is not
// whole from any earlier position on.
func TestEarliestNeverGoesBack(t *testing.T) {
	t.Parallel()
	s := open(t, place(t), store.Options{})
	sc := begin(t, s)
	began := commit(t, s, mgx.Change{Events: []mgx.Event{
		sc.Event(mgx.ToolReturned, mgx.ToolResultData{}), sc.Event(mgx.ToolCalled, mgx.ToolCallData{}), sc.Event(mgx.TaskCompleted, mgx.TaskCompletedData{}),
	}})
	for _, c := range []struct {
		days              time.Duration
		removed, earliest int64
	}{{1, 0, 1}, {31, 1, 4}, {61, 1, 4}, {91, 1, 4}} {
		done, err := s.Retain(t.Context(), monthEnd(began.Events[0].Time).Add(c.days*day), store.Retention{Keep: keep})
		if err != nil || done.Removed != c.removed || done.Earliest != c.earliest {
			t.Errorf("after %d days: %+v %v", c.days, done, err)
		}
		if err := s.Verify(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
