package store

import (
	"context"
	"math"
	"sync"
	"time"

	"mgx"
)

// numbering lets changes wait for the positions of their events. However many
// wait, one query answers them all.
type numbering struct {
	d    *server
	wake chan struct{} // the log has grown

	mu      sync.Mutex
	head    int64 // as far as is known
	waiting map[*waiter]struct{}
}

type waiter struct {
	events []mgx.Event
	since  time.Time // when they were committed; zero: not yet
	done   chan struct{}
}

func newNumbering(d *server) *numbering {
	return &numbering{d: d, wake: make(chan struct{}, 1), waiting: map[*waiter]struct{}{}}
}

// advance tells that the log has grown to a position.
func (n *numbering) advance(head int64) {
	n.mu.Lock()
	grown := head > n.head
	n.head = max(n.head, head)
	n.mu.Unlock()
	if grown {
		n.d.notify()
		if !n.d.leads.Load() { // the sequencer of this process answers by itself
			signal(n.wake)
		}
	}
}

// expect begins to look for the positions of events that are about to be
// committed: who began later might miss that they are there.
func (n *numbering) expect(events []mgx.Event) *waiter {
	w := &waiter{events: events, done: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiting[w] = struct{}{}
	return w
}

// forget ends looking.
func (n *numbering) forget(w *waiter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.waiting, w)
}

// await waits until the positions of events that were committed are filled in,
// whatever becomes of the caller's context: the change is carried out, and its
// caller may want to read it. It gives up after a while: then the events are in
// the log later, and have position 0 here.
func (n *numbering) await(w *waiter) {
	n.mu.Lock()
	w.since = time.Now()
	n.mu.Unlock()
	if n.d.leads.Load() {
		signal(n.d.poke)
	} else {
		signal(n.d.hints)
	}
	late := time.NewTimer(numberWait)
	defer late.Stop()
	select {
	case <-w.done:
	case <-late.C:
		n.forget(w)
		n.d.notify()
	}
}

// run answers those who wait.
func (n *numbering) run(ctx context.Context) {
	slow := time.NewTicker(sequencerCheck)
	defer slow.Stop()
	for {
		select {
		case <-n.wake:
		case <-slow.C:
			if n.late() {
				n.d.wakes.insist()
			}
		case <-ctx.Done():
			return
		}
		n.answer(ctx)
	}
}

// late reports whether a change waits for longer than a hint takes to arrive.
func (n *numbering) late() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for w := range n.waiting {
		if !w.since.IsZero() && time.Since(w.since) > overdue {
			return true
		}
	}
	return false
}

type eventKey struct {
	stream   mgx.StreamID
	sequence int64
}

func (n *numbering) answer(ctx context.Context) {
	w := n.wanted()
	if len(w.streams) == 0 {
		return
	}
	rows, err := n.d.reads.QueryContext(ctx, `WITH w AS (SELECT * FROM unnest($1::text[], $2::bigint[]) AS w(stream, sequence))
		SELECT stream, sequence, position FROM w JOIN `+leftTable+` USING (stream, sequence) UNION ALL
		SELECT stream, sequence, position FROM w JOIN (SELECT * FROM events WHERE class >= 0 AND time >= $3 AND time <= $4) e USING (stream, sequence)`, w.streams, w.sequences, w.since, w.until)
	if err != nil {
		return // asked again soon
	}
	defer rows.Close()
	found := map[eventKey]int64{}
	for rows.Next() {
		var stream string
		var sequence, position int64
		if rows.Scan(&stream, &sequence, &position) != nil {
			return
		}
		found[eventKey{mgx.StreamID(stream), sequence}] = position
	}
	n.fill(found)
}

// wanted are the events that are waited for, and between which times they are, so
// that few partitions are looked into.
type wanted struct {
	streams      []string
	sequences    []int64
	since, until int64
}

func (n *numbering) wanted() (all wanted) {
	n.mu.Lock()
	defer n.mu.Unlock()
	all.since = math.MaxInt64
	for w := range n.waiting {
		for _, e := range w.events {
			if e.Position == 0 {
				all.streams, all.sequences = append(all.streams, string(e.Stream)), append(all.sequences, e.Sequence)
				all.since, all.until = min(all.since, e.Time.UnixMicro()), max(all.until, e.Time.UnixMicro())
			}
		}
	}
	return all
}

func (n *numbering) fill(found map[eventKey]int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for w := range n.waiting {
		left := 0
		for i := range w.events {
			e := &w.events[i]
			if e.Position == 0 {
				e.Position = found[eventKey{e.Stream, e.Sequence}]
			}
			if e.Position == 0 {
				left++
			}
		}
		if left == 0 {
			delete(n.waiting, w)
			close(w.done)
		}
	}
}
