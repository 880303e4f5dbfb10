package store_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

// BenchmarkCall reserves and settles, the latter with the event of a turn, for 64
// runs at once, held against no budget, against one of the workspace that all
// share, and against one of each scope; and prints how many calls that is a
// second, next to how often the same writers append two events in two changes,
// measured in the same run.
func BenchmarkCall(b *testing.B) {
	for name, create := range map[string]func(*testing.B) *store.Store{
		"SQLite":     func(b *testing.B) *store.Store { return open(b, place(b), store.Options{}) },
		"PostgreSQL": func(b *testing.B) *store.Store { return open(b, pgtest.NewDatabase(b), store.Options{}) },
	} {
		for budgets, scopes := range map[string][]mgx.BudgetScope{
			"none": nil, "shared": {mgx.ScopeWorkspace}, "all": mgx.BudgetScopes,
		} {
			b.Run(name+"/"+budgets, func(b *testing.B) { benchmarkCall(b, create(b), scopes) })
		}
	}
}

func benchmarkCall(b *testing.B, s *store.Store, budgets []mgx.BudgetScope) {
	const writers = 64
	runs := make([]mgx.Scope, writers)
	for i := range runs {
		runs[i] = begin(b, s)
		runs[i].Project, runs[i].User = "proj_a", "user_a"
		for _, scope := range budgets {
			id := scope.Of(mgx.Reservation{Workspace: runs[i].Workspace, Project: "proj_a", User: "user_a", Task: runs[i].Task, Run: runs[i].Run})
			budget := mgx.Budget{ID: mgx.BudgetID(fmt.Sprint("bgt_", scope, id)), Workspace: runs[i].Workspace, Scope: scope, ScopeID: id, Period: mgx.PeriodMonth, Limit: mgx.MaxBudget}
			if _, _, err := s.CreateBudget(b.Context(), mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: "user_1"}, budget); err != nil {
				b.Fatal(err)
			}
		}
	}
	appended := everyWriter(b, runs, func(sc mgx.Scope, n int64) error {
		for range 2 {
			if _, err := s.Commit(context.Background(), mgx.Change{Events: []mgx.Event{note(sc, "x")}}); err != nil {
				return err
			}
		}
		return nil
	})
	called := everyWriter(b, runs, func(sc mgx.Scope, n int64) error {
		r := mgx.Reservation{
			ID: fmt.Sprint("r", n), Workspace: sc.Workspace, Project: sc.Project, User: sc.User, Task: sc.Task, Run: sc.Run, Amount: 1000,
			Provider: "openai", Model: "m", Role: "implementer", PriceVersion: "p",
		}
		if _, err := s.Commit(context.Background(), mgx.Change{Reserve: &r}); err != nil {
			return err
		}
		_, err := s.Commit(context.Background(), mgx.Change{Settle: []mgx.Settlement{{ID: r.ID, Amount: 900}}, Events: []mgx.Event{note(sc, "x")}})
		return err
	})
	b.ReportMetric(called, "calls/s")
	b.ReportMetric(called/appended, "x-appends")
}

// everyWriter does b.N things in as many goroutines as there are runs, and
// returns how many a second that were.
func everyWriter(b *testing.B, runs []mgx.Scope, do func(sc mgx.Scope, n int64) error) float64 {
	b.ResetTimer()
	var next atomic.Int64
	var wg sync.WaitGroup
	for _, sc := range runs {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if err := do(sc, n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return float64(b.N) / b.Elapsed().Seconds()
}
