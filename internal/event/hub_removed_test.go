package event_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"mgx"
	"mgx/internal/event"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

// A subscriber that is behind while a month goes is told, and so is one who reads
// by pages. Who has read it all is not disturbed, and who begins afterwards gets what
// is left.
func TestHubSaysWhatWasRemoved(t *testing.T) {
	t.Parallel()
	for name, place := range map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return filepath.Join(t.TempDir(), "mgx.db") },
		"postgres": func(t *testing.T) string { return pgtest.NewDatabase(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			removedWhileReading(t, place(t))
		})
	}
}

func removedWhileReading(t *testing.T, place string) {
	const events = 5000
	keep := map[mgx.EventType]time.Duration{mgx.RunNoted: 24 * time.Hour}
	s, err := store.Open(t.Context(), place, store.Options{Keep: keep})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range events / 1000 {
		list := make([]mgx.Event, 1000)
		for i := range list {
			list[i] = loose()
		}
		commit(t, s, list...)
	}
	h := startHub(t, event.HubOptions{Source: s, RecentEvents: 8, QueueEvents: 8})
	if err := h.Reached(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	behind := subscribe(t, h, event.SubscribeRequest{After: new(int64)})
	defer behind.Close()
	done := subscribe(t, h, event.SubscribeRequest{After: new(int64)})
	defer done.Close()
	readOn(t, done, 0, events)
	last := readOn(t, behind, 0, 300)
	first, err := h.Page(t.Context(), event.PageRequest{Channels: channels(t), After: new(int64), Limit: 10})
	if err != nil || len(first.Events) != 10 {
		t.Fatal(len(first.Events), err)
	}

	if r, err := s.Retain(t.Context(), mgx.Now().Add(70*24*time.Hour), store.Retention{Keep: keep}); err != nil || r.Removed != events-1 {
		t.Fatal(r, err)
	}
	for err == nil {
		var batch []event.Delivery
		batch, err = behind.Next(t.Context())
		for _, d := range batch {
			if last++; d.Kind != event.DeliverEvent || d.Position != last {
				t.Fatalf("got %+v after %d", d, last-1)
			}
		}
	}
	if reset, _ := errors.AsType[*event.Reset](err); reset == nil || reset.Reason != event.ResetTooOld || reset.Earliest != events || reset.Head != events {
		t.Errorf("the one behind ended with %v", err)
	}
	if _, err := h.Page(t.Context(), event.PageRequest{Channels: channels(t), Resume: first.Resume}); !errors.As(err, new(*event.Reset)) {
		t.Errorf("the next page: %v", err)
	}
	fresh := subscribe(t, h, event.SubscribeRequest{After: new(int64)})
	defer fresh.Close()
	readOn(t, fresh, events-1, events) // the last of its stream stays

	commit(t, s, loose())
	for _, sub := range []*event.Subscription{done, fresh} {
		readOn(t, sub, events, events+1)
	}
}

// loose is an event of no run.
func loose() mgx.Event {
	e := mgx.NewEvent(mgx.RunNoted, mgx.NotedData{Level: "info"})
	e.Workspace, e.Stream = mgx.DefaultWorkspace, "task_a"
	return e
}

// readOn reads until a position at least, without a hole, and returns how far it is.
func readOn(t *testing.T, sub *event.Subscription, last, until int64) int64 {
	t.Helper()
	for last < until {
		batch, err := sub.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range batch {
			if d.Kind != event.DeliverEvent {
				continue
			}
			if last++; d.Position != last {
				t.Fatalf("position %d instead of %d", d.Position, last)
			}
		}
	}
	return last
}
