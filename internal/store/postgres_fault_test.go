package store_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

// A connection that is cut at the commit, before the server has heard of it or
// after it has carried it out, loses nothing and doubles nothing, and nobody is
// told a conflict with his own change.
func TestConnectionCutAtCommit(t *testing.T) {
	t.Parallel()
	address := newDatabase(t)
	p, proxied := throughProxy(t, address)
	s := open(t, proxied, store.Options{})
	sc := begin(t, s)
	for i, cut := range []func(){
		func() {},
		func() { p.before.Store(1) },
		func() { p.after.Store(1) },
		func() { p.after.Store(3) },
		func() { p.after.Store(1); p.before.Store(1) },
	} {
		cuts := p.cut.Load()
		cut()
		id := fmt.Sprint("r", i)
		budget := mgx.Money(1000)
		out := commit(t, s, mgx.Change{
			Expect:  []mgx.StreamVersion{{Stream: mgx.StreamID(sc.Run), Version: int64(i) + 1}},
			Events:  []mgx.Event{note(sc, id)},
			Reserve: &mgx.Reservation{ID: id, Workspace: sc.Workspace, Run: sc.Run, Amount: 1, Cap: &budget},
			Steps:   []mgx.StepRecord{{Execution: sc.Execution, Name: id, Kind: mgx.StepWork, Attempts: 1}},
		})
		if out.Events[0].Sequence != int64(i)+2 || out.Steps[0].Order != int64(i)+1 {
			t.Errorf("%d: got %+v", i, out)
		}
		if i > 0 && p.cut.Load() == cuts {
			t.Errorf("%d: nothing was cut", i)
		}
		cut()
		commit(t, s, mgx.Change{Settle: []mgx.Settlement{{ID: id, Amount: 1}}}) // no event to find it by
	}
	if n, err := s.Head(t.Context()); err != nil || n != 6 {
		t.Errorf("head %d %v, want 6", n, err)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// follower reads a log by position while it grows, and fails on a gap, a repeat
// or a stream out of order.
type follower struct {
	s         *store.Store
	position  int64
	sequences map[mgx.StreamID]int64
	ids       map[mgx.EventID]bool
}

func newFollower(s *store.Store) *follower {
	return &follower{s: s, sequences: map[mgx.StreamID]int64{}, ids: map[mgx.EventID]bool{}}
}

func (f *follower) catchUp(ctx context.Context) error {
	for e, err := range f.s.EachEvent(ctx, store.EventQuery{AfterPosition: f.position}) {
		switch {
		case err != nil:
			return err
		case e.Position != f.position+1:
			return fmt.Errorf("position %d follows %d", e.Position, f.position)
		case e.Sequence != f.sequences[e.Stream]+1:
			return fmt.Errorf("%s: sequence %d follows %d", e.Stream, e.Sequence, f.sequences[e.Stream])
		case f.ids[e.ID]:
			return fmt.Errorf("%s was seen twice", e.ID)
		}
		f.position, f.sequences[e.Stream], f.ids[e.ID] = e.Position, e.Sequence, true
	}
	return nil
}

// process is a child that commits, and tells of each event it knows committed.
type process struct {
	cmd  *exec.Cmd
	told chan string // ids
}

func committing(t *testing.T, address string) *process {
	t.Helper()
	p := &process{cmd: child(t, address), told: make(chan string, 1<<16)}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	go func() {
		defer close(p.told)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if id, ok := strings.CutPrefix(lines.Text(), "committed "); ok {
				p.told <- id
			}
		}
	}()
	return p
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	for range p.told {
	}
	p.cmd.Wait()
}

// wait returns after n more commits, adding them to told.
func (p *process) wait(t *testing.T, n int, told map[string]bool) {
	t.Helper()
	late := time.After(60 * time.Second)
	for range n {
		select {
		case id, going := <-p.told:
			if !going {
				t.Fatal("the child ended by itself")
			}
			told[id] = true
		case <-late:
			t.Fatal("the child commits no more")
		}
	}
}

// commitAndTell is what the child does.
func commitAndTell(t *testing.T, address string) {
	s := open(t, address, store.Options{})
	shared := mgx.StreamID("task_shared")
	for range 4 {
		sc := begin(t, s)
		go func() {
			for {
				e, other := note(sc, "x"), note(sc, "y")
				other.Stream = shared
				out, err := s.Commit(context.Background(), mgx.Change{Events: []mgx.Event{e, other}})
				switch {
				case mgx.IsCode(err, store.CodeUnavailable), mgx.IsCode(err, store.CodeBusy):
					continue // it was stalled, or waited for one that was, for longer than changes wait
				case err != nil:
					panic(err)
				}
				if out.Events[0].Position > 0 { // numbered: its sequencer, or another's, is at work
					fmt.Printf("committed %s\ncommitted %s\n", e.ID, other.ID)
				}
			}
		}()
	}
	select {}
}

// Whichever process numbers the log dies or stalls, another takes over, and
// nothing is lost, doubled or out of order.
func TestSequencerFails(t *testing.T) {
	if address, yes := inChild(); yes {
		commitAndTell(t, address)
		return
	}
	t.Parallel()
	address := newDatabase(t)
	told := map[string]bool{}
	first := committing(t, address)
	first.wait(t, 50, told) // it made the schema, and numbers
	second := committing(t, address)
	second.wait(t, 50, told)

	s := open(t, address, store.Options{})
	reader := newFollower(s)
	ctx, stop := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			if err := reader.catchUp(context.Background()); err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	}()

	term := func() string { return pgtest.SQL(t, address, `SELECT term FROM sequencer`) }
	if term() != "1" {
		t.Fatalf("term %s, want 1", term())
	}
	first.kill()
	second.wait(t, 200, told)
	if term() == "1" {
		t.Error("nobody took over from the dead")
	}
	third := committing(t, address)
	third.wait(t, 50, told)
	before := term()
	for _, p := range []*process{second, third} { // one of them, or we, have it now
		p.cmd.Process.Signal(syscall.SIGSTOP)
	}
	sc := begin(t, s)
	deadline := time.Now().Add(60 * time.Second)
	for commit(t, s, mgx.Change{Events: []mgx.Event{note(sc, "x")}}).Events[0].Position == 0 {
		if time.Now().After(deadline) {
			t.Fatalf("nobody took over from the stalled (term %s, was %s)", term(), before)
		}
	}
	for _, p := range []*process{second, third} {
		p.cmd.Process.Signal(syscall.SIGCONT)
		p.wait(t, 200, told)
		p.kill()
	}
	commit(t, s, mgx.Change{Events: []mgx.Event{note(sc, "last")}})
	stop()
	if err := <-failed; err != nil {
		t.Error(err)
	}
	// What the dead have committed is numbered by whoever is left, in its time.
	for until := time.Now().Add(60 * time.Second); pgtest.SQL(t, address, `SELECT COUNT(*) FROM outbox`) != "0"; {
		if time.Now().After(until) {
			t.Fatal("some events are not numbered")
		}
	}
	if err := reader.catchUp(t.Context()); err != nil {
		t.Error(err)
	}
	for id := range told {
		if !reader.ids[mgx.EventID(id)] {
			t.Errorf("%s was committed and is lost", id)
		}
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// A server that is restarted under load, in order or as by a power cut, is found
// again without help; what was committed is there once, what was refused is not.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	c := pgtest.New(t)
	s := open(t, c.NewDatabase(t), store.Options{})
	var stop atomic.Bool
	var mu sync.Mutex
	committed, refused := map[mgx.EventID]bool{}, map[mgx.EventID]bool{}
	var wg sync.WaitGroup
	for range 8 {
		sc := begin(t, s)
		wg.Go(func() {
			for !stop.Load() {
				e := note(sc, "x")
				_, err := s.Commit(context.Background(), mgx.Change{Events: []mgx.Event{e}})
				mu.Lock()
				if err == nil {
					committed[e.ID] = true
				} else {
					refused[e.ID] = true
				}
				mu.Unlock()
				if err != nil && !mgx.IsCode(err, store.CodeUnavailable) {
					t.Error(err)
					return
				}
			}
		})
	}
	many := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(committed)
	}
	for _, how := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGQUIT} {
		going(t, many, 100)
		c.Stop(how)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}
	going(t, many, 100)
	stop.Store(true)
	wg.Wait()
	commit(t, s, mgx.Change{Events: []mgx.Event{note(begin(t, s), "last")}})
	reader := newFollower(s)
	if err := reader.catchUp(t.Context()); err != nil {
		t.Error(err)
	}
	for id := range committed {
		if !reader.ids[id] {
			t.Errorf("%s was committed and is lost", id)
		}
	}
	for id := range refused {
		if reader.ids[id] {
			t.Errorf("%s was refused and is there", id)
		}
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	t.Logf("%d committed, %d refused", len(committed), len(refused))
}

// going waits until a count has grown by n.
func going(t *testing.T, count func() int, n int) {
	t.Helper()
	want := count() + n
	for range 6000 {
		if count() >= want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("stands at %d, want %d", count(), want)
}

// A server that stays away is a clear error, and soon.
func TestServerAway(t *testing.T) {
	t.Parallel()
	c := pgtest.New(t)
	address := c.NewDatabase(t)
	s := open(t, address, store.Options{})
	sc := begin(t, s)
	c.Stop(syscall.SIGINT)
	if _, err := s.Commit(t.Context(), mgx.Change{Events: []mgx.Event{note(sc, "x")}}); !mgx.IsCode(err, store.CodeUnavailable) {
		t.Errorf("Commit: %v", err)
	}
	if _, err := s.Events(t.Context(), store.EventQuery{}); !mgx.IsCode(err, store.CodeUnavailable) {
		t.Errorf("Events: %v", err)
	}
	if _, err := store.Open(t.Context(), address, store.Options{}); !mgx.IsCode(err, store.CodeUnavailable) || strings.Contains(err.Error(), "\n") {
		t.Errorf("Open: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if _, err := s.Commit(ctx, mgx.Change{Events: []mgx.Event{note(sc, "x")}}); err == nil || time.Since(begun) > 4*time.Second {
		t.Errorf("with a deadline: %v after %v", err, time.Since(begun))
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	commit(t, s, mgx.Change{Events: []mgx.Event{note(sc, "y")}})
	if n, err := s.Head(t.Context()); err != nil || n != 2 {
		t.Errorf("head %d %v, want 2", n, err)
	}
}

// Whoever listens hears of others' events again after its connection was lost.
func TestListensAgain(t *testing.T) {
	t.Parallel()
	address := newDatabase(t)
	a, b := open(t, address, store.Options{}), open(t, address, store.Options{})
	sc := begin(t, b)
	for range 2 {
		pgtest.SQL(t, address, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		changed := a.Changed()
		head, err := a.Head(t.Context())
		if err != nil { // one connection of the pool was a dead one
			head, err = a.Head(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		commit(t, b, mgx.Change{Events: []mgx.Event{note(sc, "x")}})
		for now := head; now == head; now, _ = a.Head(t.Context()) {
			select {
			case <-changed:
				changed = a.Changed()
			case <-time.After(20 * time.Second):
				t.Fatal("not told of another's event")
			}
		}
	}
}

// A thousand reservations against one cap, from several processes' pools.
func TestCapAcrossProcesses(t *testing.T) {
	t.Parallel()
	address := newDatabase(t)
	stores := make([]*store.Store, 4)
	for i := range stores {
		stores[i] = open(t, address, store.Options{})
	}
	sc := begin(t, stores[0])
	budget := mgx.Money(3003)
	var reserved atomic.Int64
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			_, err := stores[i%len(stores)].Commit(context.Background(), mgx.Change{
				Reserve: &mgx.Reservation{ID: fmt.Sprint("r", i), Workspace: sc.Workspace, Run: sc.Run, Amount: 7, Cap: &budget},
			})
			switch {
			case err == nil:
				reserved.Add(1)
			case !mgx.IsCode(err, mgx.CodeBudgetExceeded):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, left, err := stores[1].Spent(t.Context(), sc.Run); err != nil || reserved.Load() != 429 || left != budget {
		t.Errorf("%d reserved, %v in all, %v", reserved.Load(), left, err)
	}
}

// While nobody can number the log, changes are committed all the same; their
// events are in the log when somebody can again.
func TestNumberedLater(t *testing.T) {
	t.Parallel()
	address := newDatabase(t)
	s := open(t, address, store.Options{})
	sc := begin(t, s)
	held := make(chan struct{})
	go func() {
		defer close(held)
		pgtest.SQL(t, address, `BEGIN; SELECT FROM sequencer FOR UPDATE; SELECT pg_sleep(4); COMMIT`)
	}()
	for pgtest.SQL(t, address, `SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'`) != "1" {
		time.Sleep(5 * time.Millisecond)
	}
	e := note(sc, "x")
	out := commit(t, s, mgx.Change{Events: []mgx.Event{e}})
	if out.Events[0].Position != 0 || out.Events[0].Sequence != 2 {
		t.Errorf("committed as %+v", out.Events[0])
	}
	if r, err := s.Run(t.Context(), sc.Workspace, sc.Run); err != nil || r.Sequence != 2 {
		t.Errorf("the run stands at %d %v", r.Sequence, err)
	}
	if n, err := s.Head(t.Context()); err != nil || n != 1 {
		t.Errorf("head %d %v, want 1", n, err)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	<-held
	again := commit(t, s, mgx.Change{Events: []mgx.Event{e}}) // its id is stored
	if again.Events[0].Position != 2 || again.Events[0].Sequence != 2 {
		t.Errorf("then it is %+v", again.Events[0])
	}
}

// Changes that are committed together do not fail together: one that is refused
// after it has written takes only itself along.
func TestRefusedAlone(t *testing.T) {
	t.Parallel()
	const workers, rounds = 24, 15
	s := open(t, newDatabase(t), store.Options{})
	shared := begin(t, s)
	var wg sync.WaitGroup
	for w := range workers {
		own := begin(t, s)
		wg.Go(func() {
			for i := range rounds {
				name := fmt.Sprint(w, "/", i)
				c := mgx.Change{
					Events:  []mgx.Event{note(own, name), note(shared, name)},
					Reserve: &mgx.Reservation{ID: name, Workspace: own.Workspace, Run: own.Run, Amount: 1},
					Steps:   []mgx.StepRecord{{Execution: own.Execution, Name: name, Kind: mgx.StepWork, Attempts: 1}},
				}
				fails := (w+i)%3 == 0
				if fails {
					c.Consume = []mgx.SignalID{"sig_unknown"}
				}
				if _, err := s.Commit(t.Context(), c); fails != mgx.IsCode(err, mgx.CodeConflict) || !fails && err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			journal, err := s.Journal(t.Context(), own.Execution)
			if err != nil || len(journal) != rounds*2/3 {
				t.Errorf("%d steps %v", len(journal), err)
			}
			if _, left, err := s.Spent(t.Context(), own.Run); err != nil || left != rounds*2/3 {
				t.Errorf("reserved %d %v", left, err)
			}
		})
	}
	wg.Wait()
	if n, err := s.Head(t.Context()); err != nil || n != 1+workers+2*workers*rounds*2/3 {
		t.Errorf("head %d %v", n, err)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}
