package event_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mgx"
	"mgx/internal/event"
	"mgx/internal/store"
)

func open(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func begin(t testing.TB, s *store.Store) mgx.Scope {
	t.Helper()
	sc := mgx.Scope{Workspace: mgx.DefaultWorkspace, Run: mgx.NewRunID()}
	commit(t, s, sc.Event(mgx.RunCreated, mgx.RunCreatedData{}))
	return sc
}

func commit(t testing.TB, s *store.Store, events ...mgx.Event) {
	t.Helper()
	if _, err := s.Commit(context.Background(), mgx.Change{Events: events}); err != nil {
		t.Error(err)
	}
}

func note(sc mgx.Scope, text string) mgx.Event {
	return sc.Event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: text})
}

func ends(e mgx.Event) bool { return e.Type == mgx.TaskCompleted }

// Writers in two processes; each follower sees every event once, in order,
// wherever it starts.
func TestFollowMissesNothing(t *testing.T) {
	t.Parallel()
	const writers, rounds = 6, 40
	path := filepath.Join(t.TempDir(), "mgx.db")
	a, b := open(t, path), open(t, path)
	sc := begin(t, a)
	last := int64(1 + 2*writers*rounds + 1)

	var followers sync.WaitGroup
	for _, after := range []int64{0, 1, 100} {
		for _, s := range []*store.Store{a, b} {
			followers.Go(func() {
				want := after
				for e, err := range event.Follow(t.Context(), s, event.FollowQuery{Workspace: sc.Workspace, After: after, Until: ends}) {
					if want++; err != nil || e.Position != want {
						t.Errorf("after %d: got position %d %v, want %d", after, e.Position, err, want)
						return
					}
				}
				if want != last {
					t.Errorf("after %d: ended at %d, want %d", after, want, last)
				}
			})
		}
	}
	var wg sync.WaitGroup
	for _, s := range []*store.Store{a, b} {
		for range writers {
			wg.Go(func() {
				for i := range rounds {
					commit(t, s, note(sc, fmt.Sprint(i)))
				}
			})
		}
	}
	wg.Wait()
	commit(t, b, sc.Event(mgx.TaskCompleted, mgx.TaskCompletedData{}))
	followers.Wait()
}

func TestFollowFilters(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "mgx.db"))
	a, b := begin(t, s), begin(t, s)
	commit(t, s, note(a, "1"), note(b, "2"), a.Event(mgx.ToolCalled, mgx.ToolCallData{}), note(a, "3"))
	commit(t, s, a.Event(mgx.TaskCompleted, mgx.TaskCompletedData{}), b.Event(mgx.TaskCompleted, mgx.TaskCompletedData{}))
	for name, c := range map[string]struct {
		q    event.FollowQuery
		want []int64
	}{
		"run":    {event.FollowQuery{Run: b.Run}, []int64{2, 4, 8}},
		"stream": {event.FollowQuery{Stream: mgx.StreamID(a.Run)}, []int64{1, 3, 5, 6, 7}},
		"types":  {event.FollowQuery{Run: a.Run, Types: []string{"tool.*", "task.*"}}, []int64{5, 7}},
		"after":  {event.FollowQuery{Run: a.Run, After: 5}, []int64{6, 7}},
	} {
		c.q.Workspace, c.q.Until = mgx.DefaultWorkspace, ends
		var got []int64
		for e, err := range event.Follow(t.Context(), s, c.q) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e.Position)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// A commit of this process is seen at once, one of another process at the next
// poll, and an idle log costs nothing but polls.
func TestFollowDelay(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mgx.db")
	synctest.Test(t, func(t *testing.T) {
		own, other := open(t, path), open(t, path)
		sc := begin(t, own)
		seen := make(chan time.Time)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			for _, err := range event.Follow(ctx, own, event.FollowQuery{Workspace: sc.Workspace}) {
				if err != nil {
					ended <- err
					return
				}
				seen <- time.Now()
			}
		}()
		<-seen
		time.Sleep(time.Hour + time.Millisecond)
		for name, c := range map[string]struct {
			s    *store.Store
			most time.Duration
		}{"own": {own, 0}, "other": {other, 200 * time.Millisecond}} {
			start := time.Now()
			go commit(t, c.s, note(sc, name))
			if took := (<-seen).Sub(start); took > c.most {
				t.Errorf("%s: seen after %v", name, took)
			}
		}
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}

// Events that do not match are passed over, and never the one behind them.
func TestFollowFiltersLive(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mgx.db")
	synctest.Test(t, func(t *testing.T) {
		s := open(t, path)
		sc := begin(t, s)
		var got []int64
		go func() {
			for e, err := range event.Follow(t.Context(), s, event.FollowQuery{Workspace: sc.Workspace, Types: []string{"tool.call"}}) {
				if err == nil {
					got = append(got, e.Position)
				}
			}
		}()
		for range 3 {
			commit(t, s, note(sc, "passed over"))
			time.Sleep(time.Second)
			commit(t, s, sc.Event(mgx.ToolCalled, mgx.ToolCallData{}))
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if !slices.Equal(got, []int64{3, 5, 7}) {
			t.Errorf("got %v", got)
		}
	})
}

// meddled is a source in which something happens after a page was read.
type meddled struct {
	*store.Store
	meddle func()
}

func (m *meddled) EventsAfter(ctx context.Context, ws mgx.WorkspaceID, stream mgx.StreamID, run mgx.RunID, types []string, position int64, limit int) ([]mgx.Event, error) {
	page, err := m.Store.EventsAfter(ctx, ws, stream, run, types, position, limit)
	if f := m.meddle; f != nil {
		m.meddle = nil
		f()
	}
	return page, err
}

// A commit between reading and waiting is not slept through, whoever makes it.
func TestFollowCommitWhileReading(t *testing.T) {
	t.Parallel()
	for name, most := range map[string]time.Duration{"own": 0, "other": 200 * time.Millisecond} {
		path := filepath.Join(t.TempDir(), "mgx.db")
		synctest.Test(t, func(t *testing.T) {
			own := open(t, path)
			by := map[string]*store.Store{"own": own, "other": open(t, path)}[name]
			sc := begin(t, own)
			src := &meddled{own, func() { commit(t, by, sc.Event(mgx.TaskCompleted, mgx.TaskCompletedData{})) }}
			ctx, stop := context.WithTimeout(t.Context(), time.Hour)
			defer stop()
			start := time.Now()
			for _, err := range event.Follow(ctx, src, event.FollowQuery{Workspace: sc.Workspace, Until: ends}) {
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			if took := time.Since(start); took > most {
				t.Errorf("%s: seen after %v", name, took)
			}
		})
	}
}

// The loop may be left at any time, and what follows goes on from there.
func TestFollowResumes(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "mgx.db"))
	sc := begin(t, s)
	for i := range 20 {
		commit(t, s, note(sc, fmt.Sprint(i)))
	}
	var got []int64
	for after := int64(0); after < 21; {
		for e, err := range event.Follow(t.Context(), s, event.FollowQuery{Workspace: sc.Workspace, After: after}) {
			if err != nil {
				t.Fatal(err)
			}
			got, after = append(got, e.Position), e.Position
			if after%4 == 0 || after == 21 {
				break
			}
		}
	}
	for i, p := range got {
		if p != int64(i+1) {
			t.Fatalf("got %v", got)
		}
	}
}

// broken is a source whose reads fail.
type broken struct {
	*store.Store
	err error
}

func (b broken) EventsAfter(context.Context, mgx.WorkspaceID, mgx.StreamID, mgx.RunID, []string, int64, int) ([]mgx.Event, error) {
	return nil, b.err
}

func TestFollowReportsErrors(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "mgx.db"))
	sc := begin(t, s)
	cause := errors.New("the disk is gone")
	for name, c := range map[string]struct {
		src  event.Source
		q    event.FollowQuery
		want func(error) bool
	}{
		"source":       {broken{s, cause}, event.FollowQuery{Workspace: sc.Workspace}, func(err error) bool { return errors.Is(err, cause) }},
		"no workspace": {s, event.FollowQuery{}, func(err error) bool { return mgx.IsCode(err, "no_workspace") }},
		"filters":      {s, event.FollowQuery{Workspace: sc.Workspace, Types: make([]string, 99)}, func(err error) bool { return mgx.IsCode(err, "too_many_filters") }},
	} {
		var errs []error
		for _, err := range event.Follow(t.Context(), c.src, c.q) {
			errs = append(errs, err)
		}
		if len(errs) != 1 || !c.want(errs[0]) {
			t.Errorf("%s: got %v", name, errs)
		}
	}
}

// What retention removes from under a reader is said, not skipped; a reader from
// the beginning takes what is left, and one of a run minds only that run.
func TestFollowSaysWhatWasRemoved(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mgx.db")
	synctest.Test(t, func(t *testing.T) {
		s := open(t, path)
		say := func(stream mgx.StreamID, n int) {
			list := make([]mgx.Event, n)
			for i := range list {
				list[i] = mgx.NewEvent(mgx.RunNoted, mgx.NotedData{Level: "info"})
				list[i].Workspace, list[i].Stream = mgx.DefaultWorkspace, stream
			}
			commit(t, s, list...)
		}
		remove := func() {
			t.Helper()
			time.Sleep(70 * 24 * time.Hour) // until the month is over, and the time of what happened in it
			say("task_a", 1)
			keep := store.Retention{Keep: map[mgx.EventType]time.Duration{mgx.RunNoted: 24 * time.Hour}}
			if done, err := s.Retain(t.Context(), mgx.Now(), keep); err != nil || done.Removed == 0 {
				t.Fatal(done, err)
			}
		}
		follow := func(q event.FollowQuery, each func(mgx.Event)) (seen []int64, err error) {
			q.Workspace = mgx.DefaultWorkspace
			for e, err := range event.Follow(t.Context(), s, q) {
				if err != nil {
					return seen, err
				}
				seen = append(seen, e.Position)
				if each != nil {
					each(e)
				}
				if head, _ := s.Head(t.Context()); e.Position == head {
					break
				}
			}
			return seen, nil
		}
		say("task_a", 3)
		say("task_b", 1)
		say("task_a", 2)
		remove() // 1 to 3 and 5, 6; the last of each stream stays
		if seen, err := follow(event.FollowQuery{}, nil); err != nil || !slices.Equal(seen, []int64{4, 7}) {
			t.Errorf("from the beginning %v %v", seen, err)
		}
		var reset *event.Reset
		for _, after := range []int64{1, 5} {
			q := event.FollowQuery{After: after}
			if seen, err := follow(q, nil); !errors.As(err, &reset) || reset.Reason != event.ResetTooOld || reset.Earliest != 7 || len(seen) != 0 {
				t.Errorf("after %d: %v %v", after, seen, err)
			}
			if q.Workspace = mgx.DefaultWorkspace; !errors.As(event.Resumable(t.Context(), s, q), &reset) {
				t.Errorf("%d counts as resumable", after)
			}
		}
		if seen, err := follow(event.FollowQuery{After: 6}, nil); err != nil || !slices.Equal(seen, []int64{7}) {
			t.Errorf("after what was removed %v %v", seen, err)
		}
		if _, err := follow(event.FollowQuery{After: 1, Stream: "task_b", Until: func(mgx.Event) bool { return true }}, nil); err != nil {
			t.Errorf("another stream's reader: %v", err)
		}
		// While it reads: more than a page, so that it has to read again.
		say("task_a", 600)
		seen, err := follow(event.FollowQuery{}, func(e mgx.Event) {
			if e.Position == 7 {
				remove()
			}
		})
		if !errors.As(err, &reset) || len(seen) == 0 || len(seen) > 500 {
			t.Errorf("while it reads %d events %v", len(seen), err)
		}
	})
}
