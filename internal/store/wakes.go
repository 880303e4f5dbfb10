package store

import (
	"context"
	"sync/atomic"
	"time"

	"mgx"
)

// Waker joins processes that share a PostgreSQL database by something faster to
// be woken by than the database: they tell each other when to look into it.
//
// A hint is never a fact. It carries nothing; whoever hears one looks into the
// database, which alone says what there is. So a hint may be lost, repeated, late
// or forged: a lost one costs the time until the next look, a forged one a look.
type Waker interface {
	// Join takes part in the hints about one log, whose epoch is given, until the
	// line is closed. It returns at once; that it cannot reach anybody yet, or no
	// more, is the line's trouble, which it overcomes by itself. hear is called for
	// every hint of others, and with Missed whenever hints may have been lost: the
	// line was joined, or broke. It does not block.
	Join(epoch string, hear func(Hint)) Line
}

// Line is one store's part in a Waker.
type Line interface {
	// Tell passes Grown or Unnumbered to all others and reports whether they can be
	// expected to hear it. It does not wait for them.
	Tell(Hint) bool
	// Trouble is why hints would not arrive now; nil: they would. It is cheap.
	Trouble() error
	Close()
}

// Hint is why to look into the database.
type Hint int

const (
	Missed     Hint = iota // whatever happened, it was not told
	Grown                  // there are new events in the log
	Unnumbered             // there is something in the outbox
)

// How often a store with a line looks by itself.
const (
	lookWhenHeard = time.Second          // while the line is up
	lookWhenDeaf  = sequencerCheck       // while it is not
	lookPause     = 2 * time.Millisecond // after each look, whatever is heard: floods cost little
	overdue       = sequencerCheck       // a change waits for so long before the database carries its hint too
)

// wakes are what a line adds to the hints that the database carries. While the
// line is up the database is spared its NOTIFY. Where the line fails a hint, the
// database carries it.
type wakes struct {
	d    *server
	line Line // nil: there is none, and nothing here happens

	heard   chan struct{} // the log has grown
	missed  chan struct{}
	insists chan struct{} // for the hinter: tell everybody by the database

	told, hints, insisted atomic.Int64
}

func newWakes(d *server) *wakes {
	return &wakes{d: d, heard: make(chan struct{}, 1), missed: make(chan struct{}, 1), insists: make(chan struct{}, 1)}
}

// join begins to hear. It comes before whatever tells.
func (w *wakes) join(ctx context.Context, by Waker) error {
	if by == nil {
		return nil
	}
	var epoch string
	if err := w.d.reads.QueryRowContext(ctx, `SELECT id FROM epoch`).Scan(&epoch); err != nil {
		return err
	}
	w.line = by.Join(epoch, w.hear)
	return nil
}

func (w *wakes) hear(h Hint) {
	switch h {
	case Missed:
		signal(w.missed)
	case Grown:
		w.hints.Add(1)
		signal(w.heard)
	case Unnumbered:
		w.hints.Add(1)
		if w.d.leads.Load() {
			signal(w.d.poke)
		}
	}
}

// up reports whether the line can be relied upon for now.
func (w *wakes) up() bool { return w.line != nil && w.line.Trouble() == nil }

// tell reports whether the line carries the hint.
func (w *wakes) tell(h Hint) bool {
	if w.line == nil || !w.line.Tell(h) {
		return false
	}
	w.told.Add(1)
	return true
}

// insist has the database carry both hints.
func (w *wakes) insist() {
	if w.line != nil {
		signal(w.insists)
	}
}

// run looks into the database for what is heard, and by itself when nothing is.
func (w *wakes) run(ctx context.Context) {
	if w.line == nil {
		return
	}
	for {
		quiet := time.NewTimer(w.patience())
		select {
		case <-w.heard:
		case <-quiet.C:
		case <-w.missed:
			w.insist() // what was told last may be lost as well
		case <-ctx.Done():
		}
		quiet.Stop()
		if ctx.Err() != nil {
			return
		}
		w.d.look(ctx)
		sleep(ctx, lookPause)
	}
}

func (w *wakes) patience() time.Duration {
	if w.up() {
		return lookWhenHeard
	}
	return lookWhenDeaf
}

func (w *wakes) leave() {
	if w.line != nil {
		w.line.Close()
	}
}

// WakeUps is how processes that share the database wake each other.
type WakeUps struct {
	Trouble  error // why the line does not carry hints; PostgreSQL does while it does not
	Told     int64 // hints given to the line
	Heard    int64 // hints that came by it
	Insisted int64 // times that hints went through PostgreSQL although there is a line
}

// WakeUps returns that; false: there is no Waker, so PostgreSQL's notifications do it.
func (s *Store) WakeUps() (u WakeUps, apart bool) {
	d, ok := s.driver.(*server)
	if !ok || d.wakes.line == nil {
		return u, false
	}
	w := d.wakes
	return WakeUps{Trouble: w.line.Trouble(), Told: w.told.Load(), Heard: w.hints.Load(), Insisted: w.insisted.Load()}, true
}

// needsPostgres refuses a Waker beside a database that one machine has to itself.
func needsPostgres() error {
	return mgx.Errorf(mgx.KindConfig, "nats_needs_postgres", "wake-ups are for processes that share a PostgreSQL database; name one with --database, or leave --nats out")
}
