package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
)

// call is a reservation that is in every scope.
func call(sc mgx.Scope, id string, amount mgx.Money) mgx.Reservation {
	return mgx.Reservation{
		ID: id, Workspace: sc.Workspace, Project: "proj_a", Task: sc.Task, Run: sc.Run, User: "user_a", Amount: amount,
		Provider: "openai", Model: "m1", Role: "planner", PriceVersion: "p1",
	}
}

func reserve(r mgx.Reservation) mgx.Change { return mgx.Change{Reserve: &r} }

func settled(id string, amount mgx.Money) mgx.Change {
	return mgx.Change{Settle: []mgx.Settlement{{ID: id, Amount: amount, Usage: mgx.Usage{Prompt: 7, Completion: 2, Cached: 3, CacheWrite: 1, Reasoning: 1}}}}
}

func budget(t testing.TB, s Store, scope mgx.BudgetScope, id string, p mgx.BudgetPeriod, limit mgx.Money) mgx.Budget {
	t.Helper()
	b, created, err := s.CreateBudget(context.Background(), doer, mgx.Budget{
		ID: mgx.NewID[mgx.BudgetID]("bgt"), Workspace: ws, Scope: scope, ScopeID: id, Period: p, Limit: limit, CreatedBy: "user_a", UpdatedBy: "user_a",
	})
	if err != nil || !created {
		t.Fatal(created, err)
	}
	return b
}

func stands(t testing.TB, s Store, b mgx.Budget, settled, reserved mgx.Money) {
	t.Helper()
	u, err := s.Budget(context.Background(), b.Workspace, b.ID)
	if err != nil || u.Settled != settled || u.Reserved != reserved {
		t.Errorf("%s stands at %d and %d, want %d and %d; %v", b, u.Settled, u.Reserved, settled, reserved, err)
	}
}

// A key of the gateway has a budget of its own, which is none of a run, and which
// is what it brought along until somebody changes it.
func budgetsOfKeys(t *testing.T, open Opener) {
	s := open(t, newClock().set)
	sc := begin(t, s)
	limit := mgx.Money(10)
	byKey := func(id string, amount mgx.Money) mgx.Reservation {
		return mgx.Reservation{ID: id, Workspace: ws, Run: "key_a", User: "user_a", Amount: amount, Cap: &limit, CapPeriod: mgx.PeriodDay}
	}
	commit(t, s, reserve(byKey("a", 7)))
	all, err := s.Budgets(t.Context(), mgx.BudgetQuery{Workspace: ws, Scopes: []mgx.BudgetScope{mgx.ScopeKey}})
	if err != nil || len(all) != 1 || all[0].ScopeID != "key_a" || all[0].Period != mgx.PeriodDay || all[0].Limit != limit || all[0].String() != "the daily budget of key key_a" {
		t.Fatalf("%+v %v", all, err)
	}
	_, err = s.Commit(t.Context(), reserve(byKey("b", 4)))
	if !mgx.IsCode(err, mgx.CodeBudgetExceeded) || !strings.Contains(err.Error(), "mgx budget set --key key_a --period day --limit USD") {
		t.Errorf("got %v", err)
	}
	commit(t, s, reserve(call(sc, "a run's", 100)))
	commit(t, s, settled("a", 7))
	stands(t, s, all[0].Budget, 7, 0)
	for _, wrong := range []mgx.Budget{{Scope: mgx.ScopeRun, ScopeID: "key_a"}, {Scope: mgx.ScopeKey, ScopeID: string(sc.Run)}} {
		wrong.Workspace, wrong.Period = ws, mgx.PeriodDay
		if _, err := wrong.Normal(); !mgx.IsCode(err, "bad_budget") {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
}

// A call is held against the budgets of everything it is in, in every period,
// and the first that refuses, the narrowest, is named.
func budgetsOfEveryScope(t *testing.T, open Opener) {
	s := open(t, newClock().set) // no day ends
	sc := begin(t, s)
	var all []mgx.Budget
	for _, scope := range slices.Backward(mgx.BudgetScopes) {
		id := scope.Of(call(sc, "", 0))
		if scope == mgx.ScopeKey {
			continue // no run is one
		}
		for _, p := range slices.Backward(mgx.BudgetPeriods) {
			b := budget(t, s, scope, id, p, 10)
			_, err := s.Commit(t.Context(), reserve(call(sc, "refused", 11)))
			if !mgx.IsCode(err, mgx.CodeBudgetExceeded) || mgx.AsError(err).Kind != mgx.KindBudget || !strings.Contains(err.Error(), b.String()) {
				t.Errorf("%s: got %v", b, err)
			}
			if temporary := p != mgx.PeriodAbsolute; err != nil && strings.Contains(err.Error(), "until 2") != temporary {
				t.Errorf("%s: %v", b, err)
			}
			all = append(all, b)
		}
	}
	if u, err := s.Budgets(t.Context(), mgx.BudgetQuery{Workspace: ws, Scopes: []mgx.BudgetScope{mgx.ScopeTask}}); err != nil || len(u) != 3 {
		t.Errorf("of tasks %+v %v", u, err)
	}
	commit(t, s, reserve(call(sc, "a", 10)))
	for _, b := range all {
		stands(t, s, b, 0, 10)
	}
	refused(t, s, mgx.CodeBudgetExceeded, reserve(call(sc, "b", 1)))
	other := call(sc, "c", 1)
	other.Workspace = "ws_other"
	commit(t, s, reserve(other)) // has nothing to do with any of them
	commit(t, s, settled("a", 4))
	commit(t, s, reserve(call(sc, "b", 6)))
	commit(t, s, settled("b", 0))
	for _, b := range all {
		stands(t, s, b, 4, 0)
	}
	verify(t, s)
}

// A period begins anew by the calendar in UTC, and what was reserved in one is
// settled in it.
func budgetPeriods(t *testing.T, open Opener) {
	c := newClock()
	c.at = time.Date(2027, 1, 31, 23, 59, 59, 0, time.UTC)
	s := open(t, c.set)
	sc := begin(t, s)
	day := budget(t, s, mgx.ScopeWorkspace, string(ws), mgx.PeriodDay, 10)
	month := budget(t, s, mgx.ScopeWorkspace, string(ws), mgx.PeriodMonth, 15)
	ever := budget(t, s, mgx.ScopeWorkspace, string(ws), mgx.PeriodAbsolute, 30)
	commit(t, s, reserve(call(sc, "a", 10)))
	refused(t, s, mgx.CodeBudgetExceeded, reserve(call(sc, "b", 1)))
	c.pass(time.Second) // the first of February
	stands(t, s, day, 0, 0)
	stands(t, s, month, 0, 0)
	stands(t, s, ever, 0, 10)
	commit(t, s, reserve(call(sc, "b", 10)))
	commit(t, s, settled("a", 9))
	stands(t, s, day, 0, 10)
	stands(t, s, month, 0, 10)
	stands(t, s, ever, 9, 10)
	refused(t, s, mgx.CodeBudgetExceeded, reserve(call(sc, "c", 1)))
	c.pass(24 * time.Hour)
	refused(t, s, mgx.CodeBudgetExceeded, reserve(call(sc, "c", 6))) // the month's
	commit(t, s, reserve(call(sc, "c", 5)))
	if u, err := s.Budget(t.Context(), ws, month.ID); err != nil || !u.Start.Equal(time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)) || !u.End.Equal(time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("the month is %+v %v", u, err)
	}
	verify(t, s)
}

// A changed limit is one for new calls.
func budgetChanges(t *testing.T, open Opener) {
	s := open(t)
	sc := begin(t, s)
	b := budget(t, s, mgx.ScopeProject, "proj_a", mgx.PeriodAbsolute, 100)
	commit(t, s, reserve(call(sc, "a", 60)))
	commit(t, s, settled("a", 50))
	commit(t, s, reserve(call(sc, "b", 40)))
	b.Limit, b.UpdatedBy, b.Thresholds = 20, "user_b", []int{90, 10, 10}
	changed, err := s.UpdateBudget(t.Context(), doer, b)
	if err != nil || changed.Limit != 20 || changed.UpdatedBy != "user_b" || changed.CreatedBy != "user_a" || !slices.Equal(changed.Thresholds, []int{10, 90}) {
		t.Errorf("changed to %+v %v", changed, err)
	}
	refused(t, s, mgx.CodeBudgetExceeded, reserve(call(sc, "c", 0)))
	commit(t, s, settled("b", 40)) // goes on
	stands(t, s, b, 90, 0)
	b.Limit = 91
	if _, err := s.UpdateBudget(t.Context(), doer, b); err != nil {
		t.Error(err)
	}
	commit(t, s, reserve(call(sc, "c", 1)))
	refused(t, s, mgx.CodeBudgetExceeded, reserve(call(sc, "d", 1)))

	again := b
	if got, created, err := s.CreateBudget(t.Context(), doer, again); err != nil || created || got.Limit != 91 {
		t.Errorf("the same id: %+v %v %v", got, created, err)
	}
	again.ID = "bgt_other"
	if _, _, err := s.CreateBudget(t.Context(), doer, again); !mgx.IsCode(err, mgx.CodeConflict) {
		t.Errorf("the same scope and period: %v", err)
	}
	for what, bad := range map[string]func(*mgx.Budget){
		"scope": func(b *mgx.Budget) { b.Scope = "team" }, "id": func(b *mgx.Budget) { b.ScopeID = "" }, "period": func(b *mgx.Budget) { b.Period = "year" },
		"limit": func(b *mgx.Budget) { b.Limit = -1 }, "soft": func(b *mgx.Budget) { b.Soft = new(b.Limit + 1) }, "threshold": func(b *mgx.Budget) { b.Thresholds = []int{101} },
		"workspace": func(b *mgx.Budget) { b.Scope, b.ScopeID = mgx.ScopeWorkspace, "ws_other" },
	} {
		b := b
		b.ID = mgx.BudgetID("bgt_" + what)
		bad(&b)
		if _, _, err := s.CreateBudget(t.Context(), doer, b); !mgx.IsCode(err, "bad_budget") {
			t.Errorf("%s: %v", what, err)
		}
	}
	verify(t, s)
	if err := s.RemoveBudget(t.Context(), doer, "ws_other", b.ID); !mgx.IsCode(err, mgx.CodeNotFound) {
		t.Errorf("another workspace removed it: %v", err)
	}
	if err := s.RemoveBudget(t.Context(), doer, ws, b.ID); err != nil {
		t.Error(err)
	}
	if _, err := s.Budget(t.Context(), ws, b.ID); !mgx.IsCode(err, mgx.CodeNotFound) {
		t.Errorf("it is still there: %v", err)
	}
	commit(t, s, reserve(call(sc, "d", 1000)))
	commit(t, s, settled("c", 1)) // of a budget that is gone
	verify(t, s)
	acted(t, s, "budget.create", "budget.update", "budget.update", "budget.remove")
}

// What was spent before there was a budget counts, also what is settled after.
func budgetHistory(t *testing.T, open Opener) {
	c := newClock()
	c.at = time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	s := open(t, c.set)
	sc := begin(t, s)
	commit(t, s, reserve(call(sc, "yesterday", 500)))
	c.pass(24 * time.Hour)
	commit(t, s, reserve(call(sc, "a", 30)))
	commit(t, s, settled("a", 20))
	commit(t, s, reserve(call(sc, "b", 40)))
	elsewhere := call(sc, "x", 1000)
	elsewhere.User = "user_b"
	commit(t, s, reserve(elsewhere))
	b := budget(t, s, mgx.ScopeUser, "user_a", mgx.PeriodDay, 100)
	stands(t, s, b, 20, 40)
	refused(t, s, mgx.CodeBudgetExceeded, reserve(call(sc, "c", 41)))
	commit(t, s, settled("b", 30))
	commit(t, s, settled("yesterday", 400))
	stands(t, s, b, 50, 0)
	commit(t, s, reserve(call(sc, "c", 50)))
	refused(t, s, mgx.CodeBudgetExceeded, reserve(call(sc, "d", 1)))
	verify(t, s)
}

// A call whose price is not known is allowed where nothing limits it.
func budgetOfUnpriced(t *testing.T, open Opener) {
	s := open(t)
	sc := begin(t, s)
	r := call(sc, "a", 0)
	r.Unpriced = true
	commit(t, s, reserve(r))
	budget(t, s, mgx.ScopeTask, string(sc.Task), mgx.PeriodMonth, 100)
	r.ID = "b"
	refused(t, s, mgx.CodePriceUnknown, reserve(r))
}

// Each threshold is told once in a period, however many calls cross it at once
// and from wherever.
func thresholdsOnce(t *testing.T, open Opener) {
	const calls = 40
	c := newClock() // no day ends
	s, other := open(t, c.set), open(t, c.set)
	sc := begin(t, s)
	soft := mgx.Money(60 * calls)
	b, _, err := s.CreateBudget(t.Context(), doer, mgx.Budget{
		ID: "bgt_x", Workspace: ws, Scope: mgx.ScopeRun, ScopeID: string(sc.Run), Period: mgx.PeriodDay, Limit: 100 * calls, Soft: &soft,
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			from, id := []Store{s, other}[i%2], fmt.Sprint("r", i)
			commit(t, from, reserve(call(sc, id, 100)))
			commit(t, from, settled(id, 100))
		})
	}
	wg.Wait()
	var told []string
	var last mgx.ThresholdReachedData
	until(t, func() bool { // on a server the log may lag
		told = nil
		for _, e := range events(t, s, store.EventQuery{Stream: mgx.StreamID(b.ID)}) {
			if e.Type != mgx.BillingThresholdReached || e.Run != sc.Run || e.Sequence != int64(len(told)+1) {
				t.Fatalf("event %+v", e)
			}
			if err := e.Decode(&last); err != nil {
				t.Fatal(err)
			}
			told = append(told, fmt.Sprint(int64(last.ThresholdUSD)/calls, " ", last.Level))
		}
		return len(told) >= 4
	})
	slices.Sort(told)
	if want := []string{"100 critical", "50 info", "60 warning", "80 warning"}; !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
	if last.UsageUSD != 100*calls || last.Percentage != 100 || last.ThresholdType != "daily" || last.Scope != "run" || last.ScopeID != string(sc.Run) ||
		last.ByProvider["openai"] != 100*calls || last.LimitUSD == nil || *last.LimitUSD != b.Limit || last.PeriodEnd == nil || !last.PeriodEnd.After(*last.PeriodStart) {
		t.Errorf("the last is %+v", last)
	}
	verify(t, s)
}

// until waits for a condition that must come.
func until(t testing.TB, there func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !there(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come")
		}
	}
}

// A call that cost more than was set aside is told at its narrowest budget, once,
// and counts in full.
func dearCalls(t *testing.T, open Opener) {
	s := open(t)
	sc := begin(t, s)
	b := budget(t, s, mgx.ScopeRun, string(sc.Run), mgx.PeriodMonth, 100)
	wide := budget(t, s, mgx.ScopeWorkspace, string(ws), mgx.PeriodDay, 1000)
	commit(t, s, reserve(call(sc, "a", 40)))
	commit(t, s, settled("a", 40))
	commit(t, s, reserve(call(sc, "b", 40)))
	commit(t, s, settled("b", 4000))
	commit(t, s, mgx.Change{Events: []mgx.Event{note(sc, "last")}})
	until(t, func() bool { return strings.Contains(texts(t, events(t, s, store.EventQuery{Run: sc.Run})), "last") })
	all := events(t, s, store.EventQuery{Types: []string{string(mgx.BillingUsageAlert)}})
	var told mgx.UsageAlertData
	if len(all) != 1 || all[0].Run != sc.Run || all[0].Stream != mgx.StreamID(b.ID) {
		t.Fatalf("told %+v", all)
	}
	if err := all[0].Decode(&told); err != nil {
		t.Fatal(err)
	}
	if told.UsageUSD != 4040 || told.Level != "critical" || told.ScopeID != string(sc.Run) || !strings.HasPrefix(told.Message, "a call of openai/") {
		t.Errorf("told %+v", told)
	}
	stands(t, s, b, 4040, 0)
	stands(t, s, wide, 4040, 0)
	verify(t, s)
}

// That a budget refuses calls is told once an hour.
func alertsHourly(t *testing.T, open Opener) {
	c := newClock()
	s, other := open(t, c.set), open(t, c.set)
	sc := begin(t, s)
	limit := mgx.Money(100)
	told := func() int {
		return len(events(t, s, store.EventQuery{Run: sc.Run, Types: []string{string(mgx.BillingUsageAlert)}}))
	}
	try := func() {
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				r := call(sc, fmt.Sprint("r", i), 101)
				r.Cap = &limit
				refused(t, []Store{s, other}[i%2], mgx.CodeBudgetExceeded, reserve(r))
			})
		}
		wg.Wait()
	}
	try()
	until(t, func() bool { return told() >= 1 })
	c.pass(59 * time.Minute)
	try()
	c.pass(time.Minute)
	try()
	until(t, func() bool { return told() >= 2 })
	// All that were appended are in the log when a later event is.
	commit(t, s, mgx.Change{Events: []mgx.Event{note(sc, "last")}})
	until(t, func() bool { return strings.Contains(texts(t, events(t, s, store.EventQuery{Run: sc.Run})), "last") })
	if n := told(); n != 2 {
		t.Errorf("told %d times", n)
	}
	verify(t, s)
}
