package storetest

import (
	"slices"
	"testing"

	"mgx"
	"mgx/internal/store"
)

// A threshold is told of budgets of every scope and period, where what the budget is
// for is read: webhooks and channels find it by its run, task and project.
func thresholdsEverywhere(t *testing.T, open Opener) {
	s := open(t, newClock().set) // no day ends
	sc := begin(t, s)
	byRun, byKey := call(sc, "run", 50), mgx.Reservation{ID: "key", Workspace: ws, Run: "key_a", User: "user_k", Amount: 50, Provider: "openai"}
	var all []mgx.Budget
	for _, scope := range mgx.BudgetScopes {
		id := scope.Of(byRun)
		if scope == mgx.ScopeKey {
			id = scope.Of(byKey)
		}
		for _, p := range mgx.BudgetPeriods {
			all = append(all, budget(t, s, scope, id, p, 100))
		}
	}
	for _, r := range []mgx.Reservation{byRun, byKey} {
		commit(t, s, reserve(r))
		commit(t, s, settled(r.ID, 50))
	}
	types := map[mgx.BudgetPeriod]string{mgx.PeriodDay: "daily", mgx.PeriodMonth: "monthly", mgx.PeriodAbsolute: "absolute"}
	for _, b := range all {
		e, d := toldOf[mgx.ThresholdReachedData](t, s, b, mgx.BillingThresholdReached, 1)
		want := map[mgx.BudgetScope]mgx.Event{
			mgx.ScopeRun: {Run: sc.Run, Traceparent: sc.Run.Traceparent()}, mgx.ScopeTask: {Task: sc.Task}, mgx.ScopeProject: {Project: "proj_a"},
		}[b.Scope]
		if e.Workspace != ws || e.Run != want.Run || e.Task != want.Task || e.Project != want.Project || e.Traceparent != want.Traceparent {
			t.Errorf("%s is told as of run %q, task %q, project %q, trace %q", b, e.Run, e.Task, e.Project, e.Traceparent)
		}
		if d.Scope != string(b.Scope) || d.ScopeID != b.ScopeID || d.ThresholdType != types[b.Period] || d.ThresholdUSD != 50 || d.UsageUSD != 50 || d.Percentage != 50 || d.ByProvider["openai"] != 50 {
			t.Errorf("%s is told as %+v", b, d)
		}
		if absolute := b.Period == mgx.PeriodAbsolute; (d.PeriodStart == nil) != absolute || (d.PeriodEnd == nil) != absolute {
			t.Errorf("%s is told as from %v to %v", b, d.PeriodStart, d.PeriodEnd)
		}
	}
	verify(t, s)
}

// What is spent before there is a budget, or before its limit is lowered, may have
// reached thresholds already: that is told at once, and once.
func thresholdsReachedBefore(t *testing.T, open Opener) {
	s := open(t, newClock().set) // no day ends
	sc := begin(t, s)
	commit(t, s, reserve(call(sc, "a", 60)))
	commit(t, s, settled("a", 60))
	var all []mgx.Budget
	for _, scope := range mgx.BudgetScopes {
		if scope == mgx.ScopeKey {
			continue
		}
		for _, p := range mgx.BudgetPeriods {
			b, _, err := s.CreateBudget(t.Context(), doer, mgx.Budget{
				ID: mgx.BudgetID("bgt_" + string(scope) + string(p)), Workspace: ws, Scope: scope, ScopeID: scope.Of(call(sc, "", 0)), Period: p, Limit: 100, Soft: new(mgx.Money(55)),
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.CreateBudget(t.Context(), doer, b); err != nil { // once more, which makes none
				t.Fatal(err)
			}
			all = append(all, b)
		}
	}
	expect := func(when string, b mgx.Budget, want ...mgx.Money) {
		t.Helper()
		toldOf[mgx.ThresholdReachedData](t, s, b, mgx.BillingThresholdReached, len(want))
		var got []mgx.Money
		for _, e := range events(t, s, store.EventQuery{Stream: mgx.StreamID(b.ID)}) {
			var d mgx.ThresholdReachedData
			if err := e.Decode(&d); err != nil || e.Type != mgx.BillingThresholdReached {
				t.Fatal(e, err)
			}
			got = append(got, d.ThresholdUSD)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: of %s it tells %d, want %d", when, b, got, want)
		}
	}
	for _, b := range all {
		expect("made", b, 50, 55)
	}
	commit(t, s, reserve(call(sc, "b", 20)))
	commit(t, s, settled("b", 20))
	for _, b := range all {
		expect("spent", b, 50, 55, 80)
	}
	for _, b := range all {
		b.Limit, b.Soft = 80, nil
		for range 2 {
			if _, err := s.UpdateBudget(t.Context(), doer, b); err != nil {
				t.Fatal(err)
			}
		}
		expect("lowered", b, 50, 55, 80, 80)
	}

	// So it is with the budget that a key's call brings along.
	byKey := mgx.Reservation{ID: "key", Workspace: ws, Run: "key_a", User: "user_k", Provider: "openai"}
	for _, b := range all {
		if err := s.RemoveBudget(t.Context(), doer, ws, b.ID); err != nil {
			t.Fatal(err)
		}
	}
	byKey.Amount = 60
	commit(t, s, reserve(byKey))
	commit(t, s, settled("key", 60))
	byKey.ID, byKey.Amount, byKey.Cap = "again", 10, new(mgx.Money(100))
	commit(t, s, reserve(byKey))
	commit(t, s, settled("again", 10))
	own, err := s.Budgets(t.Context(), mgx.BudgetQuery{Workspace: ws, Scopes: []mgx.BudgetScope{mgx.ScopeKey}})
	if err != nil || len(own) != 1 {
		t.Fatal(own, err)
	}
	expect("brought along", own[0].Budget, 50)
	verify(t, s)
}
