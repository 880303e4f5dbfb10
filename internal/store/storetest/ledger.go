package storetest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
)

// What an execution reserved and did not settle is lost, in full, when somebody
// else claims it, when it is given back and when it ends.
func lostReservations(t *testing.T, open Opener) {
	s := open(t)
	sc := begin(t, s)
	b := budget(t, s, mgx.ScopeRun, string(sc.Run), mgx.PeriodAbsolute, 1000)
	under := func(l *mgx.Lease, id string) mgx.Change {
		c := reserve(call(sc, id, 100))
		c.Lease = l
		return c
	}
	find := func(id string) (e mgx.LedgerEntry) {
		all, err := s.Ledger(t.Context(), mgx.UsageQuery{Workspace: ws, Run: sc.Run})
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range all {
			if one.ID == id {
				e = one
			}
		}
		return e
	}
	first := lease(t, s, sc, "a")
	commit(t, s, under(first, "done"))
	commit(t, s, mgx.Change{Lease: first, Settle: []mgx.Settlement{{ID: "done", Amount: 1}}})
	commit(t, s, under(first, "claimed"))
	commit(t, s, reserve(call(sc, "foreign", 100))) // not under the lease
	if e := find("claimed"); e.Execution != sc.Execution || e.Term != first.Term || e.Owner != "a" || e.Settled != nil || e.Outcome != "" {
		t.Errorf("reserved as %+v", e)
	}
	x, ok := claim(t, s, mgx.ClaimRequest{Owner: "b", Only: sc.Execution, Now: mgx.Now().Add(time.Hour)})
	if !ok {
		t.Fatal("not claimed")
	}
	second := &mgx.Lease{Execution: x.Execution, Owner: "b", Term: x.Term}
	if e := find("claimed"); e.Outcome != mgx.OutcomeLost || e.Settled == nil || *e.Settled != 100 {
		t.Errorf("then it is %+v", e)
	}
	if e := find("done"); e.Outcome != mgx.OutcomeDone || *e.Settled != 1 {
		t.Errorf("what was settled is %+v", e)
	}
	stands(t, s, b, 101, 100)
	refused(t, s, mgx.CodeFenced, mgx.Change{Lease: first, Settle: []mgx.Settlement{{ID: "claimed", Amount: 5}}})
	refused(t, s, mgx.CodeConflict, settled("claimed", 5))

	commit(t, s, under(second, "parked"))
	commit(t, s, mgx.Change{Lease: second, Update: &mgx.ExecutionUpdate{Execution: sc.Execution, Status: mgx.ExecReady, Release: true}})
	if e := find("parked"); e.Outcome != mgx.OutcomeLost {
		t.Errorf("given back it is %+v", e)
	}
	third := lease(t, s, sc, "c")
	commit(t, s, under(third, "ended"))
	commit(t, s, under(third, "turn"))
	commit(t, s, mgx.Change{
		Lease: third, Settle: []mgx.Settlement{{ID: "turn", Amount: 3}},
		Update: &mgx.ExecutionUpdate{Execution: sc.Execution, Status: mgx.ExecFailed, Failure: mgx.Errorf(mgx.KindGoal, "x", "x")},
	})
	if e, done := find("ended"), find("turn"); e.Outcome != mgx.OutcomeLost || done.Outcome != mgx.OutcomeDone || *done.Settled != 3 {
		t.Errorf("at the end it is %+v and %+v", e, done)
	}
	stands(t, s, b, 304, 100) // only the foreign one is open
	verify(t, s)
}

// A reservation that nobody settles in its time is lost.
func reap(t *testing.T, open Opener) {
	c := newClock()
	s := open(t, c.set)
	sc := begin(t, s)
	b := budget(t, s, mgx.ScopeWorkspace, string(ws), mgx.PeriodAbsolute, 1000)
	r := call(sc, "gateway", 100)
	r.Run, r.Task, r.Owner, r.Until = "", "", "server-1", c.now().Add(time.Minute)
	commit(t, s, reserve(r))
	commit(t, s, reserve(call(sc, "open", 10)))
	commit(t, s, reserve(call(sc, "done", 10)))
	commit(t, s, settled("done", 2))
	reaps := func(want int) {
		t.Helper()
		if n, err := s.Reap(t.Context()); err != nil || n != want {
			t.Errorf("reaped %d %v, want %d", n, err, want)
		}
	}
	reaps(0)
	c.pass(time.Minute)
	reaps(1)
	stands(t, s, b, 102, 10)
	refused(t, s, mgx.CodeConflict, settled("gateway", 5))
	c.pass(mgx.MaxReservation - 2*time.Minute)
	reaps(0)
	c.pass(time.Minute)
	reaps(1)
	reaps(0)
	stands(t, s, b, 112, 0)
	verify(t, s)
}

// What a dead process set aside, without an execution, is lost at once, and once; what
// others did, and what an execution reserved, is not touched.
func reapDead(t *testing.T, open Opener) {
	s := open(t)
	sc := begin(t, s)
	b := budget(t, s, mgx.ScopeWorkspace, string(ws), mgx.PeriodAbsolute, 1000)
	set := func(id, owner string, l *mgx.Lease) {
		t.Helper()
		r := call(sc, id, 100)
		r.Owner = owner
		c := reserve(r)
		c.Lease = l
		commit(t, s, c)
	}
	set("first", "dead", nil)
	set("second", "dead", nil)
	set("settled", "dead", nil)
	set("run", "", lease(t, s, sc, "dead"))
	set("other", "alive", nil)
	commit(t, s, settled("settled", 7))
	for _, want := range []int{2, 0} {
		n, err := s.ReapDead(t.Context(), func(owner string) bool { return owner == "alive" })
		if err != nil || n != want {
			t.Errorf("reaped %d %v, want %d", n, err, want)
		}
		stands(t, s, b, 207, 200)
	}
	refused(t, s, mgx.CodeConflict, settled("first", 5))
	commit(t, s, settled("other", 5))
	stands(t, s, b, 212, 100)
	verify(t, s)
}

// Whatever happens, a reservation is refused exactly when it does not fit, and
// the sums by anything are those of the ledger.
func usageSums(t *testing.T, open Opener) {
	c := newClock()
	c.at = time.Date(2027, 1, 31, 20, 0, 0, 0, time.UTC)
	s := open(t, c.set)
	seed := rand.Uint64()
	t.Log("seed", seed)
	h := &history{t: t, s: s, clock: c, rand: rand.New(rand.NewPCG(seed, 1)), run: begin(t, s), budgets: map[mgx.BudgetID]mgx.Budget{}, calls: map[string]*mgx.LedgerEntry{}}
	for range 250 {
		h.step()
	}
	verify(t, s)
	for id := range h.budgets {
		u, err := s.Budget(t.Context(), ws, id)
		taken, open := h.taken(u.Budget)
		if err != nil || u.Settled != taken-open || u.Reserved != open {
			t.Errorf("%s stands at %d and %d, want %d and %d; %v", u.Budget, u.Settled, u.Reserved, taken-open, open, err)
		}
	}
	h.sums()
}

// history is a store beside a model of what it must say.
type history struct {
	t       *testing.T
	s       Store
	clock   *clock
	rand    *rand.Rand
	run     mgx.Scope
	budgets map[mgx.BudgetID]mgx.Budget
	calls   map[string]*mgx.LedgerEntry
	open    []string
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func (h *history) step() {
	switch n := h.rand.IntN(20); {
	case n < 10:
		h.reserve()
	case n < 15:
		h.settle()
	case n < 17:
		h.setBudget()
	case n < 18:
		h.removeBudget()
	default:
		h.clock.pass(time.Duration(h.rand.Int64N(int64(5 * time.Hour))))
	}
}

func (h *history) reserve() {
	r := mgx.Reservation{
		ID: fmt.Sprint("h", len(h.calls)), Workspace: ws, Run: pick(h.rand, h.run.Run, h.run.Run, "key_a", "key_b"),
		Project: pick(h.rand, mgx.ProjectID(""), "proj_a", "proj_b"), Task: pick(h.rand, mgx.TaskID(""), "task_a"), User: pick(h.rand, mgx.UserID("user_a"), "user_b"),
		Amount: mgx.Money(h.rand.Int64N(1000)), Provider: pick(h.rand, "", "openai", "x"), Model: pick(h.rand, "", "m", "=1+1"), Role: pick(h.rand, "", "planner"),
	}
	fits := true
	for _, b := range h.budgets {
		taken, _ := h.taken(b)
		fits = fits && (b.Scope.Of(r) != b.ScopeID || taken+r.Amount <= b.Limit)
	}
	_, err := h.s.Commit(h.t.Context(), reserve(r))
	if (err == nil) != fits || err != nil && !mgx.IsCode(err, mgx.CodeBudgetExceeded) {
		h.t.Fatalf("%+v fits: %v, got %v", r, fits, err)
	}
	if err == nil {
		h.calls[r.ID] = &mgx.LedgerEntry{Reservation: r, ReservedAt: h.clock.now()}
		h.open = append(h.open, r.ID)
	}
}

// taken is what of a budget is spent and set aside in the period that is now.
func (h *history) taken(b mgx.Budget) (taken, open mgx.Money) {
	start, _ := b.Period.Around(h.clock.now())
	for _, e := range h.calls {
		if at, _ := b.Period.Around(e.ReservedAt); b.Scope.Of(e.Reservation) != b.ScopeID || !at.Equal(start) {
			continue
		}
		if e.Settled != nil {
			taken += *e.Settled
		} else {
			taken, open = taken+e.Amount, open+e.Amount
		}
	}
	return taken, open
}

func (h *history) settle() {
	if len(h.open) == 0 {
		return
	}
	i := h.rand.IntN(len(h.open))
	e := h.calls[h.open[i]]
	h.open = append(h.open[:i], h.open[i+1:]...)
	amount := mgx.Money(h.rand.Int64N(int64(e.Amount) + 1))
	e.Settled, e.Usage = &amount, mgx.Usage{Prompt: h.rand.Int64N(100), Completion: h.rand.Int64N(100), Cached: h.rand.Int64N(9), CacheWrite: h.rand.Int64N(9), Reasoning: h.rand.Int64N(9)}
	commit(h.t, h.s, mgx.Change{Settle: []mgx.Settlement{{ID: e.ID, Amount: amount, Usage: e.Usage}}})
}

func (h *history) setBudget() {
	scope := pick(h.rand, mgx.BudgetScopes...)
	b := mgx.Budget{
		Workspace: ws, Scope: scope, Period: pick(h.rand, mgx.BudgetPeriods...), Limit: mgx.Money(h.rand.Int64N(30_000)),
		ScopeID: map[mgx.BudgetScope]string{mgx.ScopeWorkspace: string(ws), mgx.ScopeProject: "proj_a", mgx.ScopeUser: "user_a", mgx.ScopeTask: "task_a", mgx.ScopeRun: string(h.run.Run), mgx.ScopeKey: "key_a"}[scope],
	}
	b.ID = mgx.BudgetID(fmt.Sprint("bgt_", b.Scope, "_", b.Period))
	do := h.s.UpdateBudget
	if _, there := h.budgets[b.ID]; !there {
		_, _, err := h.s.CreateBudget(h.t.Context(), doer, b)
		if err != nil {
			h.t.Fatal(err)
		}
	} else if _, err := do(h.t.Context(), doer, b); err != nil {
		h.t.Fatal(err)
	}
	h.budgets[b.ID] = b
}

func (h *history) removeBudget() {
	for id := range h.budgets {
		if err := h.s.RemoveBudget(h.t.Context(), doer, ws, id); err != nil {
			h.t.Fatal(err)
		}
		delete(h.budgets, id)
		return
	}
}

// sums compares what the store says of its ledger, page by page, with the model.
func (h *history) sums() {
	since, until := h.clock.at.Add(-40*time.Hour), h.clock.at.Add(-5*time.Hour)
	for _, q := range []mgx.UsageQuery{{}, {Since: since, Until: until}, {Project: "proj_a"}, {User: "user_b"}} {
		q.Workspace, q.Limit = ws, 2
		want := mgx.UsageLine{}
		for _, e := range h.calls {
			in := (q.Since.IsZero() || !e.ReservedAt.Before(q.Since)) && (q.Until.IsZero() || e.ReservedAt.Before(q.Until))
			if in && (q.Project == "" || q.Project == e.Project) && (q.User == "" || q.User == e.User) {
				want = want.Add(lineOf(*e))
			}
		}
		for _, q.By = range mgx.UsageBys {
			got, keys := mgx.UsageLine{}, map[string]bool{}
			for q.After = nil; ; {
				page := h.page(q)
				for _, l := range page {
					if keys[l.Key] {
						h.t.Fatalf("by %s: %q comes twice", q.By, l.Key)
					}
					keys[l.Key], q.After = true, new(l.Key)
					l.Key = ""
					got = got.Add(l)
				}
				if len(page) < q.Limit {
					break
				}
			}
			if got != want {
				h.t.Errorf("by %s: %+v, want %+v", q.By, got, want)
			}
		}
	}
}

func (h *history) page(q mgx.UsageQuery) (lines []mgx.UsageLine) {
	var err error
	if q.By != mgx.ByCall {
		lines, err = h.s.Usage(h.t.Context(), q)
	} else {
		var entries []mgx.LedgerEntry
		entries, err = h.s.Ledger(h.t.Context(), q)
		for _, e := range entries {
			l := lineOf(e)
			l.Key = e.ID
			lines = append(lines, l)
		}
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return lines
}

func lineOf(e mgx.LedgerEntry) mgx.UsageLine {
	if e.Settled == nil {
		return mgx.UsageLine{Calls: 1, OpenRows: 1, Open: e.Amount}
	}
	return mgx.UsageLine{Calls: 1, Usage: e.Usage, Cost: *e.Settled}
}

var _ Store = (*store.Store)(nil)
