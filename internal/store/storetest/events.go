package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
)

// Whichever part of a change fails, nothing of the others is there.
func allOrNothing(t *testing.T, open Opener) {
	s := open(t)
	sc := begin(t, s)
	l := lease(t, s, sc, "worker")
	commit(t, s, mgx.Change{Steps: []mgx.StepRecord{step(sc, "taken")}, Reserve: &mgx.Reservation{ID: "open", Workspace: ws, Run: sc.Run, Amount: 1}})

	budget := mgx.Money(5)
	for part, spoil := range map[string]struct {
		code string
		set  func(*mgx.Change)
	}{
		"Lease":  {mgx.CodeFenced, func(c *mgx.Change) { c.Lease = &mgx.Lease{Execution: sc.Execution, Owner: "worker", Term: l.Term + 1} }},
		"Expect": {mgx.CodeConflict, func(c *mgx.Change) { c.Expect = []mgx.StreamVersion{{Stream: mgx.StreamID(sc.Run), Version: 7}} }},
		"Create": {mgx.CodeConflict, func(c *mgx.Change) { c.Create = append(c.Create, mgx.Execution{Scope: sc, Workflow: "again"}) }},
		"Events": {"bad_event", func(c *mgx.Change) {
			c.Events[1].Data = []byte(`{"level":7}`)
			c.Events[1].Type = mgx.RunPhaseChanged
			c.Events[1].Data = []byte(`[]`)
		}},
		"Reserve": {mgx.CodeBudgetExceeded, func(c *mgx.Change) { c.Reserve.Amount, c.Reserve.Cap = 6, &budget }},
		"Settle":  {mgx.CodeConflict, func(c *mgx.Change) { c.Settle = append(c.Settle, mgx.Settlement{ID: "unknown"}) }},
		"Steps":   {mgx.CodeAlreadyRecorded, func(c *mgx.Change) { c.Steps = append(c.Steps, step(sc, "taken")) }},
		"Signals": {mgx.CodeNotFound, func(c *mgx.Change) {
			c.Signals = append(c.Signals, mgx.Signal{ID: "sig_x", Execution: "exec_none", Name: "n"})
		}},
		"Consume": {mgx.CodeConflict, func(c *mgx.Change) { c.Consume = append(c.Consume, "sig_unknown") }},
		"Update":  {mgx.CodeNotFound, func(c *mgx.Change) { c.Update = &mgx.ExecutionUpdate{Execution: "exec_none", Status: mgx.ExecDone} }},
		"Cancel":  {mgx.CodeNotFound, func(c *mgx.Change) { c.Cancel = &mgx.CancelRequest{Execution: "exec_none"} }},
	} {
		child := mgx.Scope{Workspace: ws, Run: sc.Run, Execution: mgx.NewExecutionID()}
		c := mgx.Change{
			Lease:   l,
			Create:  []mgx.Execution{{Scope: child, Workflow: "child"}},
			Events:  []mgx.Event{note(sc, "before"), note(sc, "after")},
			Reserve: &mgx.Reservation{ID: "new " + part, Workspace: ws, Run: sc.Run, Amount: 1},
			Settle:  []mgx.Settlement{{ID: "open", Amount: 1}},
			Steps:   []mgx.StepRecord{step(sc, "new")},
			Signals: []mgx.Signal{{ID: mgx.NewSignalID(), Execution: sc.Execution, Name: "go"}},
			Update:  &mgx.ExecutionUpdate{Execution: sc.Execution, Status: mgx.ExecWaiting, Release: true},
			Cancel:  &mgx.CancelRequest{Execution: sc.Execution, Why: "no"},
		}
		before := everything(t, s, sc)
		spoil.set(&c)
		if _, err := s.Commit(t.Context(), c); !mgx.IsCode(err, spoil.code) {
			t.Errorf("%s: got %v, want code %s", part, err, spoil.code)
		}
		if after := everything(t, s, sc); after != before {
			t.Errorf("%s: something stayed:\n%s\n%s", part, before, after)
		}
		if _, err := s.Execution(t.Context(), child.Execution); !mgx.IsCode(err, mgx.CodeNotFound) {
			t.Errorf("%s: the child stayed: %v", part, err)
		}
	}
	verify(t, s)
}

// everything is what can be seen of a run and its execution.
func everything(t testing.TB, s Store, sc mgx.Scope) string {
	ctx := context.Background()
	journal, err1 := s.Journal(ctx, sc.Execution)
	signals, err2 := s.Signals(ctx, sc.Execution, "go")
	settled, reserved, err3 := s.Spent(ctx, sc.Run)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%+v\n%+v\n%v %v %v\n%v %v\n%+v", execution(t, s, sc), run(t, s, sc), journal, signals, settled, reserved, len(events(t, s, store.EventQuery{Stream: mgx.StreamID(sc.Run)})), sc)
}

// Twenty-four writers append to streams of their own and to shared ones, every
// tenth change fails after it has written; a reader that follows by position
// misses nothing, sees nothing of what failed, and each stream in order.
func appendConcurrently(t *testing.T, open Opener) {
	const writers, rounds = 24, 40
	s := open(t)
	shared := []mgx.Scope{begin(t, s), begin(t, s), begin(t, s)}
	start, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	var wg sync.WaitGroup
	var mu sync.Mutex
	want := map[string]bool{}
	for w := range writers {
		own := begin(t, s)
		wg.Go(func() {
			for i := range rounds {
				text := fmt.Sprintf("%d/%d", w, i)
				c := mgx.Change{Events: []mgx.Event{note(own, text+"/own"), note(shared[(w+i)%len(shared)], text+"/shared")}}
				if fails := (w+i)%10 == 0; fails {
					c.Consume = []mgx.SignalID{"sig_unknown"}
					refused(t, s, mgx.CodeConflict, c)
					continue
				}
				if _, err := s.Commit(t.Context(), c); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				want[text+"/own"], want[text+"/shared"] = true, true
				mu.Unlock()
			}
		})
	}
	finished := make(chan struct{})
	go func() { wg.Wait(); close(finished) }()

	seen := reader{t: t, s: s, position: start, sequences: map[mgx.StreamID]int64{}, texts: map[string]bool{}}
	for done := false; !done; {
		select {
		case <-finished:
			done = true
		default:
		}
		seen.catchUp()
	}
	if !reflect.DeepEqual(seen.texts, want) {
		t.Errorf("saw %d notes, %d were committed", len(seen.texts), len(want))
	}
	verify(t, s)
}

// reader follows the log by position.
type reader struct {
	t         *testing.T
	s         Store
	position  int64
	sequences map[mgx.StreamID]int64
	texts     map[string]bool
}

func (r *reader) catchUp() {
	for {
		page := events(r.t, r.s, store.EventQuery{Workspace: ws, AfterPosition: r.position, Limit: 100})
		if len(page) == 0 {
			return
		}
		for _, e := range page {
			r.see(e)
		}
	}
}

func (r *reader) see(e mgx.Event) {
	if e.Position != r.position+1 {
		r.t.Fatalf("position %d follows %d", e.Position, r.position)
	}
	r.position = e.Position
	if last, ok := r.sequences[e.Stream]; ok && e.Sequence != last+1 {
		r.t.Fatalf("%s: sequence %d follows %d", e.Stream, e.Sequence, last)
	}
	r.sequences[e.Stream] = e.Sequence
	if e.Type == mgx.RunNoted {
		text := noteText(r.t, e)
		if r.texts[text] {
			r.t.Fatalf("%s was seen twice", text)
		}
		r.texts[text] = true
	}
}

func expectVersions(t *testing.T, open Opener) {
	s := open(t)
	sc := begin(t, s)
	at := func(v int64) []mgx.StreamVersion {
		return []mgx.StreamVersion{{Stream: mgx.StreamID(sc.Run), Version: v}}
	}
	commit(t, s, mgx.Change{Expect: at(1), Events: []mgx.Event{note(sc, "a"), note(sc, "b")}})
	refused(t, s, mgx.CodeConflict, mgx.Change{Expect: at(1), Events: []mgx.Event{note(sc, "c")}})
	refused(t, s, mgx.CodeConflict, mgx.Change{Expect: at(0)})
	commit(t, s, mgx.Change{Expect: append(at(3), mgx.StreamVersion{Stream: "run_new"})})
	if got := texts(t, events(t, s, store.EventQuery{Run: sc.Run})); got != "a b" {
		t.Errorf("got %q", got)
	}
}

// Of many who expect the same version one wins.
func expectConcurrently(t *testing.T, open Opener) {
	s := open(t)
	sc := begin(t, s)
	for version := int64(1); version <= 5; version++ {
		var won sync.Map
		var wg sync.WaitGroup
		for w := range 20 {
			wg.Go(func() {
				_, err := s.Commit(t.Context(), mgx.Change{
					Expect: []mgx.StreamVersion{{Stream: mgx.StreamID(sc.Run), Version: version}},
					Events: []mgx.Event{note(sc, "x")},
				})
				switch {
				case err == nil:
					won.Store(w, true)
				case !mgx.IsCode(err, mgx.CodeConflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		winners := 0
		won.Range(func(any, any) bool { winners++; return true })
		if winners != 1 {
			t.Fatalf("version %d: %d winners", version, winners)
		}
	}
}

// An event whose id is stored is skipped and not folded again.
func eventsOnce(t *testing.T, open Opener) {
	s := open(t)
	sc := begin(t, s)
	call := sc.Event(mgx.ToolCalled, mgx.ToolCallData{CallID: "1"})
	first := commit(t, s, mgx.Change{Events: []mgx.Event{call}}).Events[0]

	again := commit(t, s, mgx.Change{Events: []mgx.Event{call, note(sc, "new"), call}})
	if again.Events[0].Position != first.Position || again.Events[2].Sequence != first.Sequence {
		t.Errorf("a repeated event got another number: %+v", again.Events)
	}
	var wg sync.WaitGroup
	twin := note(sc, "twin")
	for range 10 {
		wg.Go(func() {
			if _, err := s.Commit(t.Context(), mgx.Change{Events: []mgx.Event{call, twin}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(events(t, s, store.EventQuery{Run: sc.Run})); n != 4 {
		t.Errorf("%d events are stored, want 4", n)
	}
	if r := run(t, s, sc); r.ToolCalls != 1 {
		t.Errorf("folded %d times", r.ToolCalls)
	}
	verify(t, s)
}

func eventsQuery(t *testing.T, open Opener) {
	s := open(t)
	a, b := begin(t, s), begin(t, s)
	full := a.Event(mgx.ToolReturned, mgx.ToolResultData{CallID: "1", Output: "ü\u2028\"<\\"})
	full.Project, full.Agent, full.Correlation, full.Causation = "proj_p", "agent_a", "corr", full.ID
	full.Traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	full.Version = "1.0.0"
	commit(t, s, mgx.Change{Events: []mgx.Event{note(a, "1"), note(b, "2"), full, a.Event(mgx.ToolCalled, mgx.ToolCallData{})}})
	other := mgx.Event{ID: mgx.NewEventID(), Type: mgx.RunNoted, Workspace: "ws_other", Stream: "task_other", Time: mgx.Now(), Data: []byte(`{}`)}
	commit(t, s, mgx.Change{Events: []mgx.Event{other}})

	for name, c := range map[string]struct {
		q    store.EventQuery
		want []int64
	}{
		"all":            {store.EventQuery{}, []int64{1, 2, 3, 4, 5, 6, 7}},
		"workspace":      {store.EventQuery{Workspace: ws}, []int64{1, 2, 3, 4, 5, 6}},
		"run":            {store.EventQuery{Run: b.Run}, []int64{2, 4}},
		"stream":         {store.EventQuery{Stream: mgx.StreamID(a.Run), AfterSequence: 2}, []int64{5, 6}},
		"after":          {store.EventQuery{AfterPosition: 5}, []int64{6, 7}},
		"limit":          {store.EventQuery{AfterPosition: 1, Limit: 2}, []int64{2, 3}},
		"type":           {store.EventQuery{Workspace: ws, Types: []string{"run.noted"}}, []int64{3, 4}},
		"globs":          {store.EventQuery{Workspace: ws, Types: []string{"tool.*", "*.created"}}, []int64{1, 2, 5, 6}},
		"any":            {store.EventQuery{Types: []string{"*"}, Limit: 1}, []int64{1}},
		"no joker":       {store.EventQuery{Types: []string{"tool_*", "%", "t__l.call"}}, nil},
		"other's run":    {store.EventQuery{Workspace: "ws_other", Run: a.Run}, nil},
		"past the end":   {store.EventQuery{AfterPosition: 7}, nil},
		"quoted pattern": {store.EventQuery{Types: []string{`x' OR '1'='1`}}, nil},
	} {
		var got []int64
		for _, e := range events(t, s, c.q) {
			got = append(got, e.Position)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: positions %v, want %v", name, got, c.want)
		}
	}
	stored := events(t, s, store.EventQuery{AfterPosition: 4, Limit: 1})[0]
	full.Sequence, full.Position = 3, 5
	if !reflect.DeepEqual(stored, full) {
		t.Errorf("the envelope changed:\n%+v\n%+v", full, stored)
	}
	if _, err := s.Events(t.Context(), store.EventQuery{Types: make([]string, 1000)}); !mgx.IsCode(err, "too_many_filters") {
		t.Errorf("a thousand filters: %v", err)
	}
}

// Tenants never meet, not even on one stream.
func streamOfOneWorkspace(t *testing.T, open Opener) {
	s := open(t)
	sc := begin(t, s)
	intruder := note(sc, "x")
	intruder.Workspace = "ws_other"
	refused(t, s, "wrong_workspace", mgx.Change{Events: []mgx.Event{intruder}})
	if _, err := s.Run(t.Context(), "ws_other", sc.Run); !mgx.IsCode(err, mgx.CodeNotFound) {
		t.Errorf("the other workspace sees the run: %v", err)
	}
	if _, err := s.FindRun(t.Context(), "ws_other", string(sc.Run)); !mgx.IsCode(err, mgx.CodeNotFound) {
		t.Errorf("the other workspace finds the run: %v", err)
	}
	if runs, err := s.Runs(t.Context(), store.RunQuery{Workspace: "ws_other"}); err != nil || len(runs) != 0 {
		t.Errorf("the other workspace lists the run: %v %v", runs, err)
	}
}

// If ctx ends before a change is picked up it is not applied; either way the
// answer says which.
func contextEnds(t *testing.T, open Opener) {
	s := open(t)
	sc := begin(t, s)
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := s.Commit(ended, mgx.Change{Events: []mgx.Event{note(sc, "never")}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var applied []string
	for i := range 200 {
		ctx, stop := context.WithCancel(t.Context())
		wg.Go(func() {
			text := fmt.Sprint(i)
			_, err := s.Commit(ctx, mgx.Change{Events: []mgx.Event{note(sc, text)}})
			switch {
			case err == nil:
				mu.Lock()
				applied = append(applied, text)
				mu.Unlock()
			case !errors.Is(err, context.Canceled):
				t.Error(err)
			}
		})
		wg.Go(stop)
	}
	wg.Wait()
	stored := strings.Fields(texts(t, events(t, s, store.EventQuery{Run: sc.Run})))
	slices.Sort(stored)
	slices.Sort(applied)
	if !slices.Equal(stored, applied) {
		t.Errorf("%d are stored, %d were told so", len(stored), len(applied))
	}
}

// What was accepted before Close is committed and answered; later it is refused.
func closeAnswers(t *testing.T, open Opener) {
	s, other := open(t), open(t)
	sc := begin(t, s)
	var wg sync.WaitGroup
	var mu sync.Mutex
	applied, handed := 0, make(chan struct{}, 100)
	for range 100 {
		wg.Go(func() {
			handed <- struct{}{}
			_, err := s.Commit(context.Background(), mgx.Change{Events: []mgx.Event{note(sc, "x")}})
			switch {
			case err == nil:
				mu.Lock()
				applied++
				mu.Unlock()
			case !mgx.IsCode(err, "store_closed"):
				t.Error(err)
			}
		})
	}
	for range 50 {
		<-handed
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if n := len(events(t, other, store.EventQuery{Run: sc.Run, Types: []string{"run.noted"}})); n != applied {
		t.Errorf("%d are stored, %d were told so", n, applied)
	}
	if _, err := s.Commit(context.Background(), mgx.Change{}); !mgx.IsCode(err, "store_closed") {
		t.Errorf("after Close: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func changed(t *testing.T, open Opener) {
	s, other := open(t), open(t)
	sc := begin(t, s)
	before, seen := s.Changed(), version(t, other)
	select {
	case <-before:
		t.Fatal("closed without a commit")
	default:
	}
	commit(t, s, mgx.Change{Events: []mgx.Event{note(sc, "x")}})
	select {
	case <-before:
	case <-time.After(10 * time.Second):
		t.Fatal("not told of a commit")
	}
	if version(t, other) == seen {
		t.Error("the other process's version did not move")
	}
	if s.Changed() == before {
		t.Error("the channel was not replaced")
	}
	if head, err := other.Head(t.Context()); err != nil || head != 2 {
		t.Errorf("head %d %v", head, err)
	}
}

func version(t testing.TB, s Store) int64 {
	t.Helper()
	v, err := s.Version(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Two processes write to one database, to streams of their own and to one they
// share; numbers stay without gap and rows stay folds.
func twoHandles(t *testing.T, open Opener) {
	const writers, rounds = 4, 25
	a, b := open(t), open(t)
	shared := begin(t, a)
	var wg sync.WaitGroup
	for _, s := range []Store{a, b} {
		for range writers {
			own := begin(t, s)
			wg.Go(func() {
				for range rounds {
					_, err := s.Commit(t.Context(), mgx.Change{Events: []mgx.Event{note(own, "x"), shared.Event(mgx.ToolCalled, mgx.ToolCallData{})}})
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	verify(t, a)
	if r := run(t, b, shared); r.ToolCalls != 2*writers*rounds {
		t.Errorf("folded %d of %d", r.ToolCalls, 2*writers*rounds)
	}
}
