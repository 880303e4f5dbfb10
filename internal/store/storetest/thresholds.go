package storetest

import (
	"testing"

	"mgx"
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
