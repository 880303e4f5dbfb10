package event

import "sync/atomic"

type counters struct {
	events, deliveries, drops, tooSlow, holes                atomic.Int64
	unreadable, fromMemory, fromStore, liveSent, liveDropped atomic.Int64
}

// Metrics are the hub's counters since it began, and its state now.
type Metrics struct {
	Subscribers int
	Head        int64
	Lag         int64 // events between the slowest subscriber and the head
	Unacked     int64 // the same for what subscribers have acknowledged, of those that do
	Queued      int64 // bytes that wait for subscribers

	Events      int64 // read from the log
	Deliveries  int64 // of events to subscribers
	Drops       int64 // of full queues, after which the subscriber read the log
	TooSlow     int64 // subscribers let go for making no progress
	Holes       int64 // looks at the log in which the next position was missing
	Unreadable  int64 // deliveries as stored, because the version asked for could not be made
	FromMemory  int64 // pages that subscribers behind got from memory
	FromStore   int64 // and from the store
	LiveSent    int64
	LiveDropped int64
}

// Metrics returns the counters.
func (h *Hub) Metrics() Metrics {
	m := Metrics{
		Head: h.last.Load(), Events: h.counts.events.Load(), Deliveries: h.counts.deliveries.Load(),
		Drops: h.counts.drops.Load(), TooSlow: h.counts.tooSlow.Load(), Holes: h.counts.holes.Load(), Unreadable: h.counts.unreadable.Load(),
		FromMemory: h.counts.fromMemory.Load(), FromStore: h.counts.fromStore.Load(),
		LiveSent: h.counts.liveSent.Load(), LiveDropped: h.counts.liveDropped.Load(),
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	m.Subscribers = len(h.subs)
	for s := range h.subs {
		m.Lag = max(m.Lag, m.Head-s.cursor.Load())
		if acked := s.acked.Load(); acked > 0 {
			m.Unacked = max(m.Unacked, m.Head-acked)
		}
		m.Queued += s.waiting()
	}
	return m
}

// waiting is how many bytes are queued. Records are shared, so several
// subscribers may count the same ones.
func (s *Subscription) waiting() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(s.bytes)
}
