package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

// Every version's database opens, becomes current, and loses nothing. A new
// migration adds the dump of a database that the version before it wrote.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	dumps, _ := filepath.Glob("testdata/v*.sql")
	migrations, _ := filepath.Glob("migrations/sqlite/*.sql")
	if len(dumps) != len(migrations) {
		t.Errorf("%d dumps for %d migrations", len(dumps), len(migrations))
	}
	for i := range dumps {
		name := fmt.Sprintf("testdata/v%d.sql", i+1)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := place(t)
			os.MkdirAll(filepath.Dir(path), 0o700)
			dump, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			raw(t, path, string(dump))
			s := open(t, path, store.Options{})
			if err := s.Verify(t.Context()); err != nil {
				t.Error(err)
			}
			usable(t, s)
		})
	}
}

// The same for PostgreSQL, where the last event was not numbered yet.
func TestUpgradePostgres(t *testing.T) {
	t.Parallel()
	dumps, _ := filepath.Glob("testdata/postgres/v*.sql")
	migrations, _ := filepath.Glob("migrations/postgres/*.sql")
	if len(dumps) != len(migrations) {
		t.Errorf("%d dumps for %d migrations", len(dumps), len(migrations))
	}
	for i := range dumps {
		name := fmt.Sprintf("testdata/postgres/v%d.sql", i+1)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := pgtest.NewDatabase(t)
			dump, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			pgtest.SQL(t, address, string(dump))
			s := open(t, address, store.Options{Keep: keep})
			if err := s.Verify(t.Context()); err != nil {
				t.Error(err)
			}
			usable(t, s)
			numbered(t, s, 8)
			if n, err := s.Head(t.Context()); err != nil || n != 8 {
				t.Errorf("head %d %v, want 8", n, err)
			}
			all, err := s.Events(t.Context(), store.EventQuery{})
			for i, e := range all {
				if e.Position != int64(i)+1 {
					t.Errorf("event %d is at position %d", i, e.Position)
				}
			}
			if len(all) != 8 || err != nil {
				t.Errorf("%d events, %v", len(all), err)
			}
			if err := s.Verify(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// usable goes on with the run that is in every dump: it waits for an approval
// that has come.
func usable(t *testing.T, s *store.Store) {
	r, err := s.FindRun(t.Context(), mgx.DefaultWorkspace, "R1")
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != mgx.RunWaiting || r.Cost != mgx.USD/50 || r.Task.Title != "Add a /healthz endpoint" {
		t.Errorf("the run is %+v", r)
	}
	if settled, open, err := s.Spent(t.Context(), r.ID); err != nil || settled != mgx.USD/50 || open != mgx.USD/5 {
		t.Errorf("spent %v, open %v, %v", settled, open, err)
	}
	e, ok, err := s.Claim(t.Context(), mgx.ClaimRequest{Owner: "worker-2", TTL: 1e9, Now: mgx.Now(), Run: r.ID})
	if err != nil || !ok || e.Term != 2 {
		t.Fatalf("claimed %+v %v %v", e, ok, err)
	}
	if settled, open, err := s.Spent(t.Context(), r.ID); err != nil || settled != mgx.USD/50+mgx.USD/5 || open != 0 {
		t.Errorf("then spent %v, open %v, %v", settled, open, err)
	}
	keys, err := s.Budgets(t.Context(), mgx.BudgetQuery{Workspace: mgx.DefaultWorkspace, Scopes: []mgx.BudgetScope{mgx.ScopeKey}})
	for _, u := range keys {
		if u.ScopeID != "key_01JDT0000000000000000000K1" || u.Limit != 2*mgx.USD {
			t.Errorf("the budget of a key is %+v", u)
		}
	}
	if runs, _ := s.Budgets(t.Context(), mgx.BudgetQuery{Workspace: mgx.DefaultWorkspace, Scopes: []mgx.BudgetScope{mgx.ScopeRun}, ScopeID: "key_01JDT0000000000000000000K1"}); err != nil || len(runs) > 0 {
		t.Errorf("a key has the budget of a run: %+v, %v", runs, err)
	}
	journal, err := s.Journal(t.Context(), e.Execution)
	if err != nil || len(journal) != 2 || string(journal[0].Output) != `{"goal":"GET /healthz answers 200"}` || journal[1].Failure.Code != "rate_limit" {
		t.Errorf("journal %+v %v", journal, err)
	}
	signals, err := s.Signals(t.Context(), e.Execution, "approval_plan")
	if err != nil || len(signals) != 1 {
		t.Fatalf("signals %+v %v", signals, err)
	}
	out := commit(t, s, mgx.Change{
		Lease:   &mgx.Lease{Execution: e.Execution, Owner: "worker-2", Term: 2},
		Events:  []mgx.Event{e.Scope.Event(mgx.WorkflowResumed, mgx.ResumedData{Reason: "signal"})},
		Steps:   []mgx.StepRecord{{Execution: e.Execution, Name: "approval", Kind: mgx.StepAwait, Attempts: 1}},
		Consume: []mgx.SignalID{signals[0].ID},
	})
	if out.Events[0].Sequence != r.Sequence+1 || out.Steps[0].Order != 3 {
		t.Errorf("went on at %+v", out)
	}
}
