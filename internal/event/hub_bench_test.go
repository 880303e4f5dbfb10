package event_test

import (
	"path/filepath"
	"testing"

	"mgx"
	"mgx/internal/event"
)

// BenchmarkHubCatchUp reads a log of 50,000 events as a subscriber that is that
// far behind does: reading, matching, encoding.
func BenchmarkHubCatchUp(b *testing.B) {
	const events = 50_000
	s := open(b, filepath.Join(b.TempDir(), "mgx.db"))
	sc := begin(b, s)
	for have := 1; have < events; {
		batch := make([]mgx.Event, min(1000, events-have))
		for i := range batch {
			batch[i] = note(sc, "what happened, in a few words")
		}
		commit(b, s, batch...)
		have += len(batch)
	}
	h := startHub(b, event.HubOptions{Source: s, RecentEvents: 1})
	b.ResetTimer()
	for b.Loop() {
		sub := subscribe(b, h, event.SubscribeRequest{After: new(int64)})
		for sub.Position() < events {
			if _, err := sub.Next(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		sub.Close()
	}
	b.ReportMetric(float64(b.N*events)/b.Elapsed().Seconds(), "rows/s")
}
