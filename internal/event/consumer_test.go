package event_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mgx"
	"mgx/internal/event"
	"mgx/internal/store"
)

// mortal is a process's way to the database. It dies at a commit: before it or,
// with the commit made, before anybody hears of it.
type mortal struct {
	*store.Store
	commits int // until it dies; negative: never
	after   bool
	dead    atomic.Bool
	died    chan struct{}
}

var errDead = errors.New("the process is dead")

func (m *mortal) Commit(ctx context.Context, c mgx.Change) (out mgx.Committed, err error) {
	if m.dead.Load() {
		return out, errDead
	}
	if m.commits--; m.commits != 0 {
		return m.Store.Commit(ctx, c)
	}
	if m.after {
		m.Store.Commit(ctx, c)
	}
	m.dead.Store(true)
	close(m.died)
	return out, errDead
}

func (m *mortal) ReleaseConsumer(ctx context.Context, l mgx.ConsumerLease) error {
	if m.dead.Load() {
		return errDead
	}
	return m.Store.ReleaseConsumer(ctx, l)
}

// consume works for consumers until stop is called.
func consume(t testing.TB, o event.ConsumeOptions, consumers ...event.Consumer) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { event.Consume(ctx, o, consumers...) })
	stop = func() { cancel(); done.Wait() }
	t.Cleanup(stop)
	return stop
}

func consumer(t testing.TB, s *store.Store, name string) mgx.Consumer {
	t.Helper()
	c, err := s.Consumer(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Processes die between an effect and the position, on either side of the commit,
// one after the other. What is committed with the position is there once for each
// event, in order; other effects are there at least once.
func TestConsumerKilledAtEveryCommit(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mgx.db")
	synctest.Test(t, func(t *testing.T) {
		s := open(t, path)
		sc := begin(t, s)
		effects := mgx.Scope{Workspace: sc.Workspace, Run: mgx.NewRunID()}
		commit(t, s, effects.Event(mgx.RunCreated, mgx.RunCreatedData{}))
		const n = 60
		var want, outside []string
		tries := map[string]int{}
		for i := range n {
			commit(t, s, note(sc, fmt.Sprint(i)))
			want = append(want, fmt.Sprint(i))
		}
		handle := func(_ context.Context, e mgx.Event) (mgx.Change, error) {
			var d mgx.NotedData
			if err := e.Decode(&d); err != nil {
				return mgx.Change{}, err
			}
			outside = append(outside, d.Text)
			if tries[d.Text]++; tries[d.Text] < 3 && rand.N(3) == 0 {
				return mgx.Change{}, errors.New("not this time")
			}
			return mgx.Change{Events: []mgx.Event{effects.Event(mgx.ToolCalled, mgx.ToolCallData{Name: d.Text})}}, nil
		}
		c := event.Consumer{Name: "killed", Types: []string{"run.noted"}, Handle: handle, Attempts: 100}
		for process := 0; ; process++ {
			m := &mortal{Store: s, commits: 1 + rand.N(4), after: process%2 == 0, died: make(chan struct{})}
			stop := consume(t, event.ConsumeOptions{Store: m, Owner: fmt.Sprint("own_", process), Alive: func(string) bool { return false }}, c)
			select {
			case <-m.died:
			case <-time.After(time.Minute): // nothing left to die of
			}
			stop()
			if !m.dead.Load() {
				break
			}
		}
		var got []string
		for e, err := range s.EachEvent(t.Context(), store.EventQuery{Stream: mgx.StreamID(effects.Run), Types: []string{"tool.call"}}) {
			if err != nil {
				t.Fatal(err)
			}
			var d mgx.ToolCallData
			e.Decode(&d)
			got = append(got, d.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("effects %v", got)
		}
		if slices.Sort(outside); !slices.Equal(slices.Compact(outside), sorted(want)) {
			t.Errorf("handled %v", slices.Compact(outside))
		}
		if c := consumer(t, s, "killed"); c.Lag != 0 || c.Dead != 0 || c.Failing != "" {
			t.Errorf("in the end it is %+v", c)
		}
	})
}

// pass lets time go by, and what is to happen in it.
func pass(d time.Duration) { time.Sleep(d); synctest.Wait() }

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

// An event that fails becomes a dead letter after its attempts, and the consumer
// goes on; asked to, it tries again.
func TestConsumerDeadLetters(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mgx.db")
	synctest.Test(t, func(t *testing.T) {
		s := open(t, path)
		sc := begin(t, s)
		for _, text := range []string{"good", "bad", "panics", "hopeless", "slow", "good"} {
			commit(t, s, note(sc, text))
		}
		tries := map[string]int{}
		var mended atomic.Bool
		c := event.Consumer{Name: "letters", Types: []string{"run.noted"}, Attempts: 3, Timeout: time.Second, Handle: func(ctx context.Context, e mgx.Event) (mgx.Change, error) {
			var d mgx.NotedData
			e.Decode(&d)
			tries[d.Text]++
			switch {
			case d.Text == "good" || mended.Load():
				return mgx.Change{}, nil
			case d.Text == "panics":
				panic("no")
			case d.Text == "hopeless":
				return mgx.Change{}, event.GiveUp(errors.New("never"))
			case d.Text == "slow":
				<-ctx.Done()
				return mgx.Change{}, ctx.Err()
			}
			return mgx.Change{}, errors.New("not this one")
		}}
		stop := consume(t, event.ConsumeOptions{Store: s}, c)
		pass(30 * time.Second)
		if want := map[string]int{"good": 2, "bad": 3, "panics": 3, "hopeless": 1, "slow": 3}; fmt.Sprint(tries) != fmt.Sprint(want) {
			t.Errorf("tried %v, want %v", tries, want)
		}
		if c := consumer(t, s, "letters"); c.Dead != 4 || c.Lag != 0 || c.Failing != "" {
			t.Errorf("it is %+v", c)
		}
		letters, err := s.DeadLetters(t.Context(), "letters", 0, 0)
		if err != nil || len(letters) != 4 || letters[0].LastError != "not this one" || letters[0].Attempts != 3 || letters[2].Attempts != 1 {
			t.Fatalf("%+v %v", letters, err)
		}
		// Tried again in vain it is dead again, after as many attempts.
		synctest.Wait()
		clear(tries)
		s.RetryDeadLetters(t.Context(), "letters", letters[0].Event)
		pass(30 * time.Second)
		if c := consumer(t, s, "letters"); tries["bad"] != 3 || c.Dead != 4 || c.Pending != 0 {
			t.Errorf("tried %v: %+v", tries, c)
		}
		mended.Store(true)
		s.RetryDeadLetters(t.Context(), "letters", "")
		pass(30 * time.Second)
		if c := consumer(t, s, "letters"); c.Dead != 0 || c.Pending != 0 || tries["slow"] != 1 {
			t.Errorf("mended %v: %+v", tries, c)
		}
		stop()
		if c := consumer(t, s, "letters"); c.Lease.Owner != "" || c.Position != 7 {
			t.Errorf("stopped it is %+v", c)
		}
	})
}

// What is wrong with the machine is not the event's fault.
func TestConsumerWaitsForTheMachine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mgx.db")
	synctest.Test(t, func(t *testing.T) {
		s := open(t, path)
		sc := begin(t, s)
		commit(t, s, note(sc, "x"))
		var mended atomic.Bool
		var tries atomic.Int64
		consume(t, event.ConsumeOptions{Store: s}, event.Consumer{Name: "patient", Types: []string{"run.noted"}, Handle: func(context.Context, mgx.Event) (mgx.Change, error) {
			if tries.Add(1); !mended.Load() {
				return mgx.Change{}, mgx.Errorf(mgx.KindConfig, store.CodeDiskFull, "the disk is full")
			}
			return mgx.Change{}, nil
		}})
		pass(30 * time.Second)
		if c := consumer(t, s, "patient"); c.Dead != 0 || c.Attempts != 0 || c.LastError != "the disk is full" || c.Position != 0 || tries.Load() > 20 {
			t.Errorf("after a while and %d tries it is %+v", tries.Load(), c)
		}
		mended.Store(true)
		pass(2 * time.Minute)
		if c := consumer(t, s, "patient"); c.Lag != 0 || c.LastError != "" {
			t.Errorf("afterwards it is %+v", c)
		}
	})
}

// One of two processes works. The other takes over when the lease of one that
// fell silent has run out, and what that one does late is refused.
func TestConsumerTakeOver(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mgx.db")
	synctest.Test(t, func(t *testing.T) {
		a, b := open(t, path), open(t, path)
		sc := begin(t, a)
		effects := mgx.Scope{Workspace: sc.Workspace, Run: mgx.NewRunID()}
		commit(t, a, effects.Event(mgx.RunCreated, mgx.RunCreatedData{}))
		commit(t, a, note(sc, "x"))
		begun, goOn := make(chan string, 10), make(chan struct{})
		works := func(owner string, hangs bool) event.Consumer {
			return event.Consumer{Name: "shared", Types: []string{"run.noted"}, Timeout: 20 * time.Second, Handle: func(context.Context, mgx.Event) (mgx.Change, error) {
				begun <- owner
				if hangs {
					<-goOn
				}
				return mgx.Change{Events: []mgx.Event{effects.Event(mgx.ToolCalled, mgx.ToolCallData{Name: owner})}}, nil
			}}
		}
		stopA := consume(t, event.ConsumeOptions{Store: a, Owner: "own_a"}, works("a", true))
		if who := <-begun; who != "a" {
			t.Fatalf("%s works", who)
		}
		start := time.Now()
		stopB := consume(t, event.ConsumeOptions{Store: b, Owner: "own_b"}, works("b", false))
		if who := <-begun; who != "b" || time.Since(start) < 30*time.Second {
			t.Errorf("%s took over after %s, while the lease ran", who, time.Since(start))
		}
		synctest.Wait()
		close(goOn)
		pass(time.Minute)
		done, err := a.Events(t.Context(), store.EventQuery{Types: []string{"tool.call"}})
		if c := consumer(t, a, "shared"); err != nil || len(done) != 1 || c.Lease.Owner != "own_b" || c.Position != 3 && c.Lag != 0 {
			t.Errorf("%d effects, %+v %v", len(done), c, err)
		}
		stopA()
		stopB()
	})
}

// A new consumer begins where it says, and one that stands before what retention
// has removed says so, once.
func TestConsumerBeginningAndGap(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mgx.db")
	synctest.Test(t, func(t *testing.T) {
		s := open(t, path)
		sc := mgx.Scope{Workspace: mgx.DefaultWorkspace}
		say := func(n int) {
			for range n {
				e := mgx.NewEvent(mgx.RunNoted, mgx.NotedData{Level: "info"})
				e.Workspace, e.Stream = sc.Workspace, "ws_default"
				commit(t, s, e)
			}
		}
		var mu sync.Mutex
		seen := map[string][]int64{}
		reads := func(name string, head bool, types ...string) event.Consumer {
			return event.Consumer{Name: name, FromHead: head, Types: types, Handle: func(_ context.Context, e mgx.Event) (mgx.Change, error) {
				mu.Lock()
				defer mu.Unlock()
				seen[name] = append(seen[name], e.Position)
				return mgx.Change{}, nil
			}}
		}
		all := []event.Consumer{reads("first", false), reads("last", true), reads("some", false, "run.*")}
		say(3)
		stop := consume(t, event.ConsumeOptions{Store: s}, all...)
		pass(time.Minute)
		say(2)
		pass(time.Minute)
		stop()
		say(5)
		time.Sleep(70 * 24 * time.Hour) // the months of what is to be removed are over
		say(2)
		if done, err := s.Retain(t.Context(), mgx.Now(), store.Retention{Keep: map[mgx.EventType]time.Duration{mgx.RunNoted: 24 * time.Hour}}); err != nil || done.Removed != 10 {
			t.Fatalf("%+v %v", done, err)
		}
		late := append(all, reads("late", false))
		stop = consume(t, event.ConsumeOptions{Store: s}, late...)
		pass(time.Minute)
		stop()
		consume(t, event.ConsumeOptions{Store: s}, late...)
		say(1)
		pass(time.Minute)
		for name, want := range map[string][]int64{"first": {1, 2, 3, 4, 5, 11, 12, 13}, "last": {4, 5, 11, 12, 13}, "some": {1, 2, 3, 4, 5, 11, 12, 13}, "late": {11, 12, 13}} {
			if !slices.Equal(seen[name], want) {
				t.Errorf("%s saw %v, want %v", name, seen[name], want)
			}
			gap := consumer(t, s, name).Gap
			if name == "late" && gap != nil || name != "late" && (gap == nil || gap.Count != 1 || gap.After != 5 || gap.To != 10) {
				t.Errorf("%s has the gap %+v", name, gap)
			}
		}
	})
}

func TestConsumersThatCannotBe(t *testing.T) {
	t.Parallel()
	handle := func(context.Context, mgx.Event) (mgx.Change, error) { return mgx.Change{}, nil }
	s := open(t, filepath.Join(t.TempDir(), "mgx.db"))
	for name, list := range map[string][]event.Consumer{
		"no name": {{Handle: handle}}, "a bad name": {{Name: "webhook:x", Handle: handle}}, "no handle": {{Name: "a"}},
		"two of a name": {{Name: "a", Handle: handle}, {Name: "a", Handle: handle}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was taken", name)
				}
			}()
			event.Consume(t.Context(), event.ConsumeOptions{Store: s}, list...)
		}()
	}
}
