package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
)

func sorted[T ~string](list []T) []T {
	slices.Sort(list)
	return list
}

// park makes an execution wait and gives its lease back.
func park(t testing.TB, s Store, l *mgx.Lease, u mgx.ExecutionUpdate) {
	t.Helper()
	u.Execution, u.Status, u.Release = l.Execution, mgx.ExecWaiting, true
	commit(t, s, mgx.Change{Lease: l, Update: &u})
}

// A worker that lost its lease can write nothing.
func fencing(t *testing.T, open Opener) {
	s := open(t)
	sc := begin(t, s)
	old := lease(t, s, sc, "old")
	commit(t, s, mgx.Change{Lease: old, Events: []mgx.Event{note(sc, "mine")}})
	e, ok := claim(t, s, mgx.ClaimRequest{Owner: "new", Now: mgx.Now().Add(time.Hour), Only: sc.Execution})
	if !ok || e.Term != old.Term+1 || e.Owner != "new" {
		t.Fatalf("the expired lease was not taken over: %+v", e)
	}
	for name, l := range map[string]*mgx.Lease{
		"the old term":       old,
		"another's name":     {Execution: sc.Execution, Owner: "old", Term: e.Term},
		"a term to come":     {Execution: sc.Execution, Owner: "new", Term: e.Term + 1},
		"no such execution":  {Execution: "exec_none", Owner: "new", Term: 1},
		"without any holder": {Execution: sc.Execution},
	} {
		if _, err := s.Commit(t.Context(), mgx.Change{Lease: l, Events: []mgx.Event{note(sc, "stale")}}); !mgx.IsCode(err, mgx.CodeFenced) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.Heartbeat(t.Context(), *l, mgx.Now().Add(time.Hour)); !mgx.IsCode(err, mgx.CodeFenced) {
			t.Errorf("%s, heartbeat: %v", name, err)
		}
	}
	held := &mgx.Lease{Execution: sc.Execution, Owner: "new", Term: e.Term}
	commit(t, s, mgx.Change{Lease: held, Update: &mgx.ExecutionUpdate{Execution: sc.Execution, Status: mgx.ExecDone}})
	refused(t, s, mgx.CodeFenced, mgx.Change{Lease: held})
	if got := texts(t, events(t, s, store.EventQuery{Run: sc.Run})); got != "mine" {
		t.Errorf("got %q", got)
	}
}

func heartbeat(t *testing.T, open Opener) {
	s := open(t)
	sc := begin(t, s)
	l := lease(t, s, sc, "w")
	until := mgx.Now().Add(time.Hour)
	if why, err := s.Heartbeat(t.Context(), *l, until); err != nil || why != "" {
		t.Fatal(why, err)
	}
	if e := execution(t, s, sc); !e.LeaseUntil.Equal(until) || e.Term != l.Term {
		t.Errorf("the lease did not move: %+v", e)
	}
	commit(t, s, mgx.Change{Cancel: &mgx.CancelRequest{Execution: sc.Execution, Why: "changed my mind"}})
	if why, err := s.Heartbeat(t.Context(), *l, until); err != nil || why != "changed my mind" {
		t.Errorf("got %q %v", why, err)
	}
}

// Many workers, in two processes, claim many executions: each goes to one.
func claimOnce(t *testing.T, open Opener) {
	const executions, workers = 30, 8
	a, b := open(t), open(t)
	for range executions {
		begin(t, a)
	}
	var mu sync.Mutex
	taken := map[mgx.ExecutionID]string{}
	var wg sync.WaitGroup
	for w := range workers {
		s := []Store{a, b}[w%2]
		owner := fmt.Sprint("worker ", w)
		wg.Go(func() {
			for {
				e, ok, err := s.Claim(t.Context(), mgx.ClaimRequest{Owner: owner, TTL: time.Hour, Now: mgx.Now(), Alive: func(string) bool { return true }})
				if err != nil {
					t.Error(err)
				}
				if err != nil || !ok {
					return
				}
				mu.Lock()
				if first, twice := taken[e.Execution]; twice {
					t.Errorf("%s and %s both have %s", first, owner, e.Execution)
				}
				taken[e.Execution] = owner
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(taken) != executions {
		t.Errorf("%d of %d were claimed", len(taken), executions)
	}
}

// The longest due comes first; what is not due does not come.
func claimOrder(t *testing.T, open Opener) {
	s := open(t)
	now := mgx.Now()
	var made []mgx.Scope
	for _, wake := range []time.Duration{-time.Minute, -time.Hour, time.Hour, -time.Second} {
		sc := scope()
		c := created(sc)
		c.Create[0].WakeAt = now.Add(wake)
		commit(t, s, c)
		made = append(made, sc)
	}
	if _, ok := claim(t, s, mgx.ClaimRequest{Owner: "w", Now: now, Only: made[2].Execution}); ok {
		t.Error("claimed what is not due")
	}
	if _, ok := claim(t, s, mgx.ClaimRequest{Owner: "w", Now: now, Run: "run_none"}); ok {
		t.Error("claimed for a run that has none")
	}
	if e, ok := claim(t, s, mgx.ClaimRequest{Owner: "w", Now: now, Run: made[3].Run}); !ok || e.Execution != made[3].Execution {
		t.Errorf("claimed %s for run %s", e.Execution, made[3].Run)
	}
	for _, want := range []mgx.Scope{made[1], made[0]} {
		if e, ok := claim(t, s, mgx.ClaimRequest{Owner: "w", Now: now}); !ok || e.Scope != want {
			t.Errorf("claimed %+v, want %+v", e.Scope, want)
		}
	}
	if e, ok := claim(t, s, mgx.ClaimRequest{Owner: "w", Now: now}); ok {
		t.Errorf("claimed %s, which is leased or not due", e.Execution)
	}
	if _, _, err := s.Claim(t.Context(), mgx.ClaimRequest{Now: now}); !mgx.IsCode(err, "bad_claim") {
		t.Errorf("a claim by nobody: %v", err)
	}
}

func claimDeadOwner(t *testing.T, open Opener) {
	s := open(t)
	sc := begin(t, s)
	lease(t, s, sc, "dead")
	alive := func(owner string) bool { return owner != "dead" }
	if _, ok := claim(t, s, mgx.ClaimRequest{Owner: "b"}); ok {
		t.Error("without Alive, a lease holds until it expires")
	}
	e, ok := claim(t, s, mgx.ClaimRequest{Owner: "b", Alive: alive})
	if !ok || e.Term != 2 || e.Owner != "b" {
		t.Fatalf("not taken over: %+v", e)
	}
	if _, ok := claim(t, s, mgx.ClaimRequest{Owner: "c", Alive: alive}); ok {
		t.Error("taken from a living owner")
	}
}

func claimExpired(t *testing.T, open Opener) {
	s := open(t)
	sc := begin(t, s)
	now := mgx.Now()
	claim(t, s, mgx.ClaimRequest{Owner: "a", TTL: time.Minute, Now: now})
	if _, ok := claim(t, s, mgx.ClaimRequest{Owner: "b", Now: now.Add(59 * time.Second)}); ok {
		t.Error("claimed before the lease expired")
	}
	if e, ok := claim(t, s, mgx.ClaimRequest{Owner: "b", Now: now.Add(time.Minute)}); !ok || e.Scope != sc {
		t.Error("not claimed when the lease expired")
	}
}

// The deadline counts working time: parked time and time after a lost lease
// are added to it.
func waitingUsesNoTime(t *testing.T, open Opener) {
	c := newClock()
	s := open(t, c.set)
	sc := scope()
	begun := created(sc)
	deadline := c.now().Add(time.Hour)
	begun.Create[0].CreatedAt, begun.Create[0].Deadline = c.now(), deadline
	commit(t, s, begun)
	claimed := func(owner string) mgx.Execution {
		e, ok := claim(t, s, mgx.ClaimRequest{Owner: owner, TTL: time.Minute, Now: c.now()})
		if !ok || e.Status != mgx.ExecReady {
			t.Fatalf("%s claimed %v %+v", owner, ok, e)
		}
		return e
	}
	l := &mgx.Lease{Execution: sc.Execution, Owner: "a", Term: claimed("a").Term}
	c.pass(10 * time.Minute) // working
	park(t, s, l, mgx.ExecutionUpdate{Awaits: []string{"go"}})
	c.pass(72 * time.Hour)
	commit(t, s, mgx.Change{Signals: []mgx.Signal{{ID: mgx.NewSignalID(), Execution: sc.Execution, Name: "go"}}})
	c.pass(time.Hour) // due, nobody there
	if e, want := claimed("b"), deadline.Add(73*time.Hour); !e.Deadline.Equal(want) {
		t.Errorf("deadline %v, want %v (%+v)", e.Deadline, want, e)
	}
	c.pass(time.Minute + 5*time.Hour) // b dies
	if e, want := claimed("c"), deadline.Add(78*time.Hour); !e.Deadline.Equal(want) {
		t.Errorf("after a crash: deadline %v, want %v", e.Deadline, want)
	}
}

// Days pass without holding anything.
func sleepForDays(t *testing.T, open Opener) {
	c := newClock()
	s := open(t, c.set)
	sc := begin(t, s)
	c.pass(time.Hour)
	l := lease(t, s, sc, "a")
	wake := c.now().Add(72 * time.Hour)
	park(t, s, l, mgx.ExecutionUpdate{WakeAt: wake})
	if at, ok, err := s.NextWake(t.Context(), sc.Run); err != nil || !ok || !at.Equal(wake) {
		t.Fatalf("next wake %v %v %v, want %v", at, ok, err, wake)
	}
	c.pass(72*time.Hour - time.Microsecond)
	if _, ok := claim(t, s, mgx.ClaimRequest{Owner: "b", Now: c.now()}); ok {
		t.Error("claimed too early")
	}
	c.pass(time.Microsecond)
	if e, ok := claim(t, s, mgx.ClaimRequest{Owner: "b", Now: c.now()}); !ok || e.Term != 2 {
		t.Errorf("not claimed in time: %+v", e)
	}
}

func nextWake(t *testing.T, open Opener) {
	s := open(t)
	next := func(run mgx.RunID) (time.Time, bool) {
		at, ok, err := s.NextWake(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}
		return at, ok
	}
	if at, ok := next(""); ok {
		t.Errorf("an empty store wakes at %v", at)
	}
	a, b := begin(t, s), begin(t, s)
	soon := mgx.Now().Add(time.Hour)
	park(t, s, lease(t, s, a, "w"), mgx.ExecutionUpdate{WakeAt: soon})
	l := lease(t, s, b, "w")
	if at, _ := next(b.Run); !at.Equal(execution(t, s, b).LeaseUntil) {
		t.Errorf("leased work wakes at %v, want the end of the lease", at)
	}
	park(t, s, l, mgx.ExecutionUpdate{Awaits: []string{"x"}})
	if at, ok := next(b.Run); ok {
		t.Errorf("waiting for a signal alone wakes at %v", at)
	}
	if at, ok := next(""); !ok || !at.Equal(soon) {
		t.Errorf("got %v %v, want %v", at, ok, soon)
	}
	commit(t, s, mgx.Change{Update: &mgx.ExecutionUpdate{Execution: a.Execution, Status: mgx.ExecDone}})
	if at, ok := next(""); ok {
		t.Errorf("ended work wakes at %v", at)
	}
}

func cancel(t *testing.T, open Opener) {
	s := open(t)
	ask := func(sc mgx.Scope, why string) {
		commit(t, s, mgx.Change{Cancel: &mgx.CancelRequest{Execution: sc.Execution, Why: why}})
	}
	waiting := begin(t, s)
	park(t, s, lease(t, s, waiting, "w"), mgx.ExecutionUpdate{Awaits: []string{"x"}})
	ask(waiting, "first")
	ask(waiting, "second")
	if e, ok := claim(t, s, mgx.ClaimRequest{Owner: "w", Only: waiting.Execution}); !ok || e.CancelWhy != "first" {
		t.Errorf("a cancel did not wake it, or the reason changed: %+v", e)
	}

	working := begin(t, s)
	l := lease(t, s, working, "w")
	ask(working, "")
	park(t, s, l, mgx.ExecutionUpdate{Awaits: []string{"x"}})
	if e, ok := claim(t, s, mgx.ClaimRequest{Owner: "w", Only: working.Execution}); !ok || e.CancelWhy == "" {
		t.Errorf("parked over a cancel: %+v", e)
	}

	ended := begin(t, s)
	commit(t, s, mgx.Change{Update: &mgx.ExecutionUpdate{Execution: ended.Execution, Status: mgx.ExecDone}})
	ask(ended, "too late")
	if e := execution(t, s, ended); e.CancelWhy != "" || e.Status != mgx.ExecDone {
		t.Errorf("cancelled after its end: %+v", e)
	}
}

func endedStaysEnded(t *testing.T, open Opener) {
	s := open(t)
	for _, status := range []mgx.ExecutionStatus{mgx.ExecDone, mgx.ExecFailed, mgx.ExecCancelled} {
		sc := begin(t, s)
		l := lease(t, s, sc, "w")
		u := mgx.ExecutionUpdate{Execution: sc.Execution, Status: status, Result: json.RawMessage(`{"a":1}`), Failure: mgx.Errorf(mgx.KindGoal, "why", "because")}
		commit(t, s, mgx.Change{Lease: l, Update: &u})
		e := execution(t, s, sc)
		if e.Status != status || string(e.Result) != `{"a":1}` || e.Failure == nil || e.Failure.Code != "why" || e.Failure.Message != "because" || e.Owner != "" {
			t.Errorf("stored %+v", e)
		}
		u.Status = mgx.ExecReady
		refused(t, s, mgx.CodeConflict, mgx.Change{Update: &u})
		commit(t, s, mgx.Change{Signals: []mgx.Signal{{ID: mgx.NewSignalID(), Execution: sc.Execution, Name: "late"}}})
		if _, ok := claim(t, s, mgx.ClaimRequest{Owner: "w", Now: mgx.Now().Add(1e6 * time.Hour), Alive: func(string) bool { return false }}); ok {
			t.Errorf("claimed a %s execution", status)
		}
	}
}

func executionsQuery(t *testing.T, open Opener) {
	s := open(t)
	sc := begin(t, s)
	made := mgx.Execution{
		Scope:  mgx.Scope{Workspace: ws, Task: sc.Task, Run: sc.Run, Execution: mgx.NewExecutionID()},
		Parent: sc.Execution, ParentStep: "child/1", Workflow: "sub", Input: json.RawMessage(`{"n":1}`), Status: mgx.ExecWaiting,
		Awaits: []string{"a", "b"}, Deadline: mgx.Now().Add(time.Hour), CreatedAt: mgx.Now().Add(time.Second),
	}
	commit(t, s, mgx.Change{Create: []mgx.Execution{made}})
	made.UpdatedAt = made.CreatedAt
	if e, err := s.Execution(t.Context(), made.Execution); err != nil || !reflect.DeepEqual(e, made) {
		t.Errorf("stored %+v\nwant   %+v (%v)", e, made, err)
	}
	for name, c := range map[string]struct {
		q    store.ExecutionQuery
		want []mgx.ExecutionID
	}{
		"all":     {store.ExecutionQuery{}, []mgx.ExecutionID{sc.Execution, made.Execution}},
		"run":     {store.ExecutionQuery{Workspace: ws, Run: sc.Run}, []mgx.ExecutionID{sc.Execution, made.Execution}},
		"parent":  {store.ExecutionQuery{Parent: sc.Execution}, []mgx.ExecutionID{made.Execution}},
		"status":  {store.ExecutionQuery{Statuses: []mgx.ExecutionStatus{mgx.ExecReady}}, []mgx.ExecutionID{sc.Execution}},
		"limit":   {store.ExecutionQuery{Limit: 1}, []mgx.ExecutionID{sc.Execution}},
		"another": {store.ExecutionQuery{Workspace: "ws_other"}, nil},
	} {
		list, err := s.Executions(t.Context(), c.q)
		if err != nil {
			t.Fatal(err)
		}
		var ids []mgx.ExecutionID
		for _, e := range list {
			ids = append(ids, e.Execution)
		}
		if !slices.Equal(ids, c.want) {
			t.Errorf("%s: got %v, want %v", name, ids, c.want)
		}
	}
	if _, err := s.Execution(t.Context(), "exec_none"); !mgx.IsCode(err, mgx.CodeNotFound) {
		t.Errorf("got %v", err)
	}
}

// A step has one record, whoever else tries.
func stepsOnce(t *testing.T, open Opener) {
	s := open(t)
	sc := begin(t, s)
	commit(t, s, mgx.Change{Steps: []mgx.StepRecord{step(sc, "a")}})
	refused(t, s, mgx.CodeAlreadyRecorded, mgx.Change{Steps: []mgx.StepRecord{step(sc, "a")}})
	refused(t, s, mgx.CodeAlreadyRecorded, mgx.Change{Steps: []mgx.StepRecord{step(sc, "b"), step(sc, "b")}})
	refused(t, s, mgx.CodeNotFound, mgx.Change{Steps: []mgx.StepRecord{{Execution: "exec_none", Name: "a"}}})
	var wg sync.WaitGroup
	var mu sync.Mutex
	recorded := 0
	for range 20 {
		wg.Go(func() {
			_, err := s.Commit(t.Context(), mgx.Change{Steps: []mgx.StepRecord{step(sc, "raced")}})
			switch {
			case err == nil:
				mu.Lock()
				recorded++
				mu.Unlock()
			case !mgx.IsCode(err, mgx.CodeAlreadyRecorded):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if recorded != 1 {
		t.Errorf("recorded %d times", recorded)
	}
	other := begin(t, s)
	out := commit(t, s, mgx.Change{Steps: []mgx.StepRecord{step(other, "a"), step(sc, "c")}})
	if out.Steps[0].Order != 1 || out.Steps[1].Order != 3 {
		t.Errorf("orders %d %d, want 1 3", out.Steps[0].Order, out.Steps[1].Order)
	}
}

func journalKeepsValues(t *testing.T, open Opener) {
	s := open(t)
	sc := begin(t, s)
	full := mgx.StepRecord{
		Execution: sc.Execution, Name: "a", Kind: mgx.StepSleep, Input: "digest", Output: json.RawMessage(`{"b":[1,"ü"]}`),
		Failure: &mgx.Error{Kind: mgx.KindGoal, Code: "c", Message: "m"}, Attempts: 3, StartedAt: mgx.Now().Add(-time.Second), RecordedAt: mgx.Now(),
	}
	out := commit(t, s, mgx.Change{Events: []mgx.Event{note(sc, "1"), note(sc, "2")}, Steps: []mgx.StepRecord{full, step(sc, "b")}})
	full.Order, full.Sequence = 1, 3
	journal, err := s.Journal(t.Context(), sc.Execution)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(journal[0], full) {
		t.Errorf("stored %+v\nwant   %+v", journal[0], full)
	}
	if !reflect.DeepEqual(journal, out.Steps) {
		t.Errorf("Commit returned %+v\nthe journal has %+v", out.Steps, journal)
	}
	if journal[1].Output != nil || journal[1].Failure != nil || journal[1].RecordedAt.IsZero() {
		t.Errorf("an empty step became %+v", journal[1])
	}
	lone := mgx.Scope{Workspace: ws, Execution: mgx.NewExecutionID()}
	out = commit(t, s, mgx.Change{Create: []mgx.Execution{{Scope: lone, Workflow: "w"}}, Steps: []mgx.StepRecord{step(lone, "a")}})
	if out.Steps[0].Sequence != 0 {
		t.Errorf("outside a run, sequence %d", out.Steps[0].Sequence)
	}
}

func signalWakes(t *testing.T, open Opener) {
	s := open(t)
	sc := begin(t, s)
	send := func(name string) {
		commit(t, s, mgx.Change{Signals: []mgx.Signal{{ID: mgx.NewSignalID(), Execution: sc.Execution, Name: name, Payload: json.RawMessage(`{"ok":true}`)}}})
	}
	park(t, s, lease(t, s, sc, "a"), mgx.ExecutionUpdate{Awaits: []string{"approve", "reject"}})
	send("unrelated")
	if _, ok := claim(t, s, mgx.ClaimRequest{Owner: "b"}); ok {
		t.Error("woken by a signal it does not await")
	}
	send("reject")
	e, ok := claim(t, s, mgx.ClaimRequest{Owner: "b"})
	if !ok || e.Status != mgx.ExecReady {
		t.Fatalf("not woken: %+v", e)
	}
	got, err := s.Signals(t.Context(), sc.Execution, "reject")
	if err != nil || len(got) != 1 || string(got[0].Payload) != `{"ok":true}` || got[0].SentAt.IsZero() {
		t.Errorf("got %+v %v", got, err)
	}
}

// A signal that came first is not slept through.
func signalBeforeParking(t *testing.T, open Opener) {
	s := open(t)
	sc := begin(t, s)
	l := lease(t, s, sc, "a")
	id := mgx.NewSignalID()
	commit(t, s, mgx.Change{Signals: []mgx.Signal{{ID: id, Execution: sc.Execution, Name: "go"}}})
	park(t, s, l, mgx.ExecutionUpdate{Awaits: []string{"go"}, WakeAt: mgx.Now().Add(time.Hour)})
	if _, ok := claim(t, s, mgx.ClaimRequest{Owner: "a"}); !ok {
		t.Fatal("slept through a signal")
	}
	l = &mgx.Lease{Execution: sc.Execution, Owner: "a", Term: 2}
	commit(t, s, mgx.Change{Lease: l, Consume: []mgx.SignalID{id}, Steps: []mgx.StepRecord{step(sc, "await")}})
	park(t, s, l, mgx.ExecutionUpdate{Awaits: []string{"go"}})
	if _, ok := claim(t, s, mgx.ClaimRequest{Owner: "a"}); ok {
		t.Error("woken by a signal that was taken")
	}
}

func signalsOnce(t *testing.T, open Opener) {
	s := open(t)
	sc := begin(t, s)
	now := mgx.Now()
	sig := func(id mgx.SignalID, age time.Duration) mgx.Signal {
		return mgx.Signal{ID: id, Execution: sc.Execution, Name: "n", SentAt: now.Add(-age)}
	}
	queued := func() (ids []mgx.SignalID) {
		list, err := s.Signals(t.Context(), sc.Execution, "n")
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range list {
			ids = append(ids, g.ID)
		}
		return ids
	}
	commit(t, s, mgx.Change{Signals: []mgx.Signal{sig("sig_young", 0), sig("sig_old", time.Minute), sig("sig_old", 0)}})
	commit(t, s, mgx.Change{Signals: []mgx.Signal{sig("sig_young", 0)}})
	if got := queued(); !slices.Equal(got, []mgx.SignalID{"sig_old", "sig_young"}) {
		t.Errorf("queued %v", got)
	}
	commit(t, s, mgx.Change{Consume: []mgx.SignalID{"sig_old"}})
	refused(t, s, mgx.CodeConflict, mgx.Change{Consume: []mgx.SignalID{"sig_old"}})
	commit(t, s, mgx.Change{Signals: []mgx.Signal{sig("sig_old", 0)}}) // its id stays spent
	if got := queued(); !slices.Equal(got, []mgx.SignalID{"sig_young"}) {
		t.Errorf("queued %v", got)
	}
}

// A thousand calls at once reserve against one cap.
func capNeverExceeded(t *testing.T, open Opener) {
	const calls, amount = 1000, mgx.Money(7)
	s := open(t)
	sc := begin(t, s)
	budget := mgx.Money(3003) // 429 of them
	var wg sync.WaitGroup
	var mu sync.Mutex
	reserved := 0
	for i := range calls {
		wg.Go(func() {
			_, err := s.Commit(context.Background(), mgx.Change{Reserve: &mgx.Reservation{ID: fmt.Sprint("r", i), Workspace: ws, Run: sc.Run, Amount: amount, Cap: &budget}})
			switch {
			case err == nil:
				mu.Lock()
				reserved++
				mu.Unlock()
			case !mgx.IsCode(err, mgx.CodeBudgetExceeded):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	settled, open2, err := s.Spent(t.Context(), sc.Run)
	if err != nil || reserved != int(budget/amount) || settled != 0 || open2 != budget {
		t.Errorf("%d reserved, settled %v, open %v, %v", reserved, settled, open2, err)
	}
	other := begin(t, s)
	commit(t, s, mgx.Change{Reserve: &mgx.Reservation{ID: "other", Workspace: ws, Run: other.Run, Amount: amount, Cap: &budget}})
	refused(t, s, mgx.CodeBudgetExceeded, mgx.Change{Reserve: &mgx.Reservation{ID: "uncapped", Workspace: ws, Run: sc.Run, Amount: amount}}) // the run has its budget
	refused(t, s, mgx.CodeConflict, mgx.Change{Reserve: &mgx.Reservation{ID: "other", Workspace: ws, Run: other.Run, Amount: amount}})
	refused(t, s, "bad_reservation", mgx.Change{Reserve: &mgx.Reservation{ID: "negative", Workspace: ws, Run: other.Run, Amount: -1}})
}

func settleOnce(t *testing.T, open Opener) {
	s := open(t)
	sc := begin(t, s)
	budget := mgx.Money(100)
	reserve := func(id string, amount mgx.Money) mgx.Change {
		return mgx.Change{Reserve: &mgx.Reservation{ID: id, Workspace: ws, Run: sc.Run, Amount: amount, Cap: &budget}}
	}
	commit(t, s, reserve("a", 100))
	refused(t, s, mgx.CodeBudgetExceeded, reserve("b", 1))
	var wg sync.WaitGroup
	var mu sync.Mutex
	times := 0
	for range 20 {
		wg.Go(func() {
			_, err := s.Commit(t.Context(), mgx.Change{Settle: []mgx.Settlement{{ID: "a", Amount: 30, Usage: mgx.Usage{Prompt: 1}}}})
			switch {
			case err == nil:
				mu.Lock()
				times++
				mu.Unlock()
			case !mgx.IsCode(err, mgx.CodeConflict):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if times != 1 {
		t.Errorf("settled %d times", times)
	}
	commit(t, s, reserve("c", 70)) // what was not spent is free again
	refused(t, s, mgx.CodeBudgetExceeded, reserve("d", 1))
	settled, left, err := s.Spent(t.Context(), sc.Run)
	if err != nil || settled != 30 || left != 70 {
		t.Errorf("settled %v, open %v, %v", settled, left, err)
	}
}
