package natstest

import (
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	client "github.com/nats-io/nats.go"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/store/nats"
	"mgx/internal/store/pgtest"
)

// Two stores on one database wake each other, and not one on another database.
// Whatever others publish there changes nothing.
func TestWakeAndForge(t *testing.T) {
	t.Parallel()
	address, p := pgtest.NewDatabase(t), newPeer(t)
	p.start()
	one, two := open(t, address, p.waker(password, io.Discard)), open(t, address, p.waker(password, io.Discard))
	foreign := open(t, pgtest.NewDatabase(t), p.waker(password, io.Discard))
	all := []*store.Store{one, two, foreign}
	for _, s := range all {
		until(t, "NATS is reached", func() bool { return up(s) })
	}
	streams := []*stream{newStream(one), newStream(two)}
	grow := func() {
		for _, g := range streams {
			if err := g.grow(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for before := heard(one); heard(one) < before+10 || heard(two) < 10; {
		grow()
	}
	if n := heard(foreign); n != 0 {
		t.Errorf("a store on another database heard %d hints", n)
	}

	conn, err := client.Connect(p.address(password))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	head := settled(t, one)
	for _, s := range all {
		before := heard(s)
		forge(t, conn, s)
		until(t, "forged hints are heard", func() bool { return heard(s) > before })
	}
	for _, s := range []*store.Store{one, two} {
		if n, err := s.Head(t.Context()); err != nil || n != head {
			t.Errorf("head %d %v, want %d", n, err, head)
		}
	}
	grow()
	last := settled(t, two)
	for _, s := range []*store.Store{one, two} {
		if err := follow(t.Context(), s, func() int64 { return last }); err != nil {
			t.Error(err)
		}
	}
	if err := one.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// settled is the head when everything is numbered.
func settled(t *testing.T, s *store.Store) int64 {
	t.Helper()
	var n store.Numbering
	until(t, "the log is numbered", func() bool {
		var err error
		n, _, err = s.Numbering(t.Context())
		return err == nil && n.Waiting == 0
	})
	return n.Position
}

// forge publishes what no store sends.
func forge(t *testing.T, conn *client.Conn, s *store.Store) {
	t.Helper()
	epoch, err := s.Epoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{"grown", "unnumbered", "nothing", "grown.more"} {
		for _, said := range []string{"", "9223372036854775807", "-1", "{\"head\":99999}", "\x00\xff\xfe", strings.Repeat("9", 1<<19)} {
			for range 50 {
				if err := conn.Publish("mgx."+epoch+"."+subject, []byte(said)); err != nil {
					t.Fatal(err)
				}
				if len(said) > 1<<16 {
					break
				}
			}
		}
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
}

// NATS is killed, comes back, hangs and comes back while four streams grow on two
// stores. All is numbered and read, once and in order.
func TestNATSFailsUnderLoad(t *testing.T) {
	t.Parallel()
	address, p := pgtest.NewDatabase(t), newPeer(t)
	p.start()
	stores := []*store.Store{open(t, address, p.waker(password, io.Discard)), open(t, address, p.waker(password, io.Discard))}
	var committed, last atomic.Int64
	var over atomic.Bool
	var growing, reading sync.WaitGroup
	for _, s := range stores {
		for range 2 {
			growing.Go(func() {
				for g := newStream(s); !over.Load(); committed.Add(1) {
					if err := g.grow(t.Context()); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		reading.Go(func() {
			if err := follow(t.Context(), s, last.Load); err != nil {
				t.Error(err)
			}
		})
	}
	both := func(isUp bool) func() bool {
		return func() bool { return up(stores[0]) == isUp && up(stores[1]) == isUp }
	}
	more := func() {
		n := committed.Load()
		until(t, "streams grow", func() bool { return committed.Load() >= n+20 })
	}
	for _, fail := range []func(){p.kill, p.hang, p.kill} {
		until(t, "NATS is reached", both(true))
		before := heard(stores[0]) + heard(stores[1])
		until(t, "NATS wakes", func() bool { return heard(stores[0])+heard(stores[1]) > before+5 })
		fail()
		more()
		until(t, "NATS is missed", both(false))
		more()
		p.kill() // what hangs does not come back by itself
		p.start()
	}
	until(t, "NATS is reached", both(true))
	more()
	over.Store(true)
	growing.Wait()
	if n := settled(t, stores[0]); n != committed.Load() {
		t.Errorf("%d events in the log, %d committed", n, committed.Load())
	}
	last.Store(committed.Load() + 1)
	if err := newStream(stores[0]).grow(t.Context()); err != nil { // whoever waits is woken by it
		t.Fatal(err)
	}
	reading.Wait()
	if err := stores[1].Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// A store opens without NATS and finds it later; what does not let it in is named.
// The log says each once, and nothing tells the password.
func TestNATSLate(t *testing.T) {
	t.Parallel()
	address, p := pgtest.NewDatabase(t), newPeer(t)
	log := &logged{}
	s := open(t, address, p.waker(password, log))
	trouble := func(code string) func() bool {
		return func() bool { u, _ := s.WakeUps(); return mgx.IsCode(u.Trouble, code) }
	}
	until(t, "the store misses NATS", func() bool { return strings.Count(log.String(), "level=WARN") == 1 })
	if err := newStream(s).grow(t.Context()); err != nil || !trouble(nats.CodeUnavailable)() {
		t.Error(err)
	}
	p.start()
	until(t, "NATS is found", func() bool { return up(s) })
	p.kill()
	p.allowed = "other.>"
	p.start()
	until(t, "what is not allowed shows", trouble(nats.CodeRefused))
	p.kill()
	p.allowed = "mgx.>"
	p.start()
	until(t, "NATS is back", func() bool { return up(s) })
	if said := log.String(); strings.Count(said, "level=WARN") != 2 || strings.Count(said, "level=INFO") != 2 || strings.Contains(said, password) {
		t.Errorf("logged:\n%s", said)
	}

	other, err := nats.New(p.address("hunter23"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Try(t.Context()); !mgx.IsCode(err, nats.CodeRefused) || strings.Contains(err.Error(), "hunter") {
		t.Errorf("got %v", err)
	}
}
