package store_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

// bus is a Waker within this process that does what it is told to.
type bus struct {
	mu    sync.Mutex
	lines map[*busLine]bool
	down  atomic.Bool // it knows that nothing arrives
	mute  atomic.Bool // nothing arrives, and it does not know
}

type busLine struct {
	bus   *bus
	epoch string
	hear  func(store.Hint)
}

func (b *bus) Join(epoch string, hear func(store.Hint)) store.Line {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := &busLine{b, epoch, hear}
	if b.lines == nil {
		b.lines = map[*busLine]bool{}
	}
	b.lines[l] = true
	hear(store.Missed)
	return l
}

func (b *bus) each(f func(*busLine)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for l := range b.lines {
		f(l)
	}
}

func (b *bus) set(down bool) {
	b.down.Store(down)
	b.each(func(l *busLine) { l.hear(store.Missed) })
}

func (l *busLine) Trouble() error {
	if l.bus.down.Load() {
		return errors.New("down")
	}
	return nil
}

func (l *busLine) Tell(h store.Hint) bool {
	if l.Trouble() != nil {
		return false
	}
	if !l.bus.mute.Load() {
		l.bus.each(func(o *busLine) {
			if o != l && o.epoch == l.epoch {
				o.hear(h)
			}
		})
	}
	return true
}

func (l *busLine) Close() {
	l.bus.mu.Lock()
	defer l.bus.mu.Unlock()
	delete(l.bus.lines, l)
}

// sides are the store that numbers a log and one that does not.
func sides(t *testing.T, address string, w store.Waker) (leads, other *store.Store) {
	t.Helper()
	leads = open(t, address, store.Options{Waker: w})
	begin(t, leads) // returns when it is numbered, and nobody else could
	until(t, "the first store numbers", func() bool { n, _, _ := leads.Numbering(t.Context()); return n.Leads })
	return leads, open(t, address, store.Options{Waker: w})
}

// until waits for what must come.
func until(t *testing.T, what string, come func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !come(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came that %s", what)
		}
	}
}

func heard(s *store.Store) int64 { u, _ := s.WakeUps(); return u.Heard }

// Stores with a Waker wake each other by it, the one that numbers and the other,
// and PostgreSQL carries no hint but those that are accounted for.
func TestWakeUps(t *testing.T) {
	t.Parallel()
	address := pgtest.NewDatabase(t)
	leads, other := sides(t, address, &bus{})
	sc := begin(t, other)
	notified := notifications(t, address)
	one, two := heard(leads), heard(other)
	for heard(leads) < one+20 || heard(other) < two+20 {
		commit(t, other, mgx.Change{Events: []mgx.Event{note(sc, "x")}})
		commit(t, leads, mgx.Change{Events: []mgx.Event{note(sc, "y")}}) // should they have changed roles
	}
	n, accounted := notified(), int64(0)
	for _, s := range []*store.Store{leads, other} {
		u, apart := s.WakeUps()
		if !apart || u.Trouble != nil || u.Told == 0 {
			t.Errorf("got %+v %v", u, apart)
		}
		accounted += 2 * u.Insisted
	}
	if n > accounted {
		t.Errorf("PostgreSQL carried %d notifications, of which %d are accounted for", n, accounted)
	}
}

// notifications listens as a store does; the function it returns says how many
// there were until it was called.
func notifications(t *testing.T, address string) func() int64 {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	if _, err := conn.Exec(t.Context(), `LISTEN mgx_events; LISTEN mgx_outbox`); err != nil {
		t.Fatal(err)
	}
	return func() (n int64) {
		pgtest.SQL(t, address, `NOTIFY mgx_events, 'end'`)
		for {
			got, err := conn.WaitForNotification(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got.Payload == "end" {
				return n
			}
			n++
		}
	}
}

// A line that is down, or silent without knowing it, costs time and nothing else,
// and hints that mean nothing change nothing.
func TestWakeUpsFail(t *testing.T) {
	t.Parallel()
	address := pgtest.NewDatabase(t)
	b := &bus{}
	leads, other := sides(t, address, b)
	sc := begin(t, other)
	sent := int64(2)
	for _, fail := range []func(){
		func() {},
		func() { b.set(true) },
		func() { b.set(false) },
		func() { b.mute.Store(true) },
		func() { b.mute.Store(false); b.each(func(l *busLine) { l.hear(99); l.hear(-1) }) },
	} {
		fail()
		for range 3 {
			commit(t, other, mgx.Change{Events: []mgx.Event{note(sc, "x")}})
			commit(t, leads, mgx.Change{Events: []mgx.Event{note(sc, "y")}})
			sent += 2
		}
		for _, s := range []*store.Store{leads, other} {
			for f := newFollower(s); f.position < sent; {
				changed := s.Changed()
				if err := f.catchUp(t.Context()); err != nil {
					t.Fatal(err)
				}
				if f.position < sent {
					<-changed // the store itself has to notice
				}
			}
		}
	}
	if err := leads.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWakeUpsNeedPostgres(t *testing.T) {
	t.Parallel()
	if s, err := store.Open(t.Context(), place(t), store.Options{Waker: &bus{}}); !mgx.IsCode(err, "nats_needs_postgres") {
		t.Errorf("got %v %v", s, err)
	}
}
