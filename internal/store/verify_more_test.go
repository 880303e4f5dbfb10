package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/store"
)

// Problems goes on after the first and says each once, and every check of what
// is beside the log finds what it is for.
func TestProblems(t *testing.T) {
	t.Parallel()
	path := place(t)
	s := open(t, path, store.Options{})
	sc := begin(t, s)
	for i := range 3 {
		commit(t, s, mgx.Change{
			Reserve: &mgx.Reservation{ID: string(rune('a' + i)), Workspace: sc.Workspace, Run: sc.Run, Amount: 5},
			Steps:   []mgx.StepRecord{{Execution: sc.Execution, Name: string(rune('a' + i)), Kind: mgx.StepWork}},
		})
		commit(t, s, mgx.Change{
			Settle: []mgx.Settlement{{ID: string(rune('a' + i)), Amount: 4}},
			Events: []mgx.Event{sc.Event(mgx.LLMCallCompleted, mgx.LLMCallData{CostUSD: 4, PriceKnown: true})},
		})
	}
	commit(t, s, mgx.Change{Events: []mgx.Event{sc.Event(mgx.TaskCompleted, mgx.TaskCompletedData{})}})
	intact := begin(t, s)
	problems := func(c store.Checks) []string {
		t.Helper()
		found, err := s.Problems(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if found := problems(store.Checks{}); len(found) != 0 {
		t.Fatalf("of a sound database: %v", found)
	}
	seen, runs := 0, []mgx.RunID{}
	found := problems(store.Checks{
		Event: func(e mgx.Event) error {
			seen++
			if e.Position == 3 {
				return errors.New("odd words")
			}
			return nil
		},
		Run: func(run mgx.Run, _ []string) error {
			runs = append(runs, run.ID)
			if run.ID == intact.Run {
				return mgx.Errorf(mgx.KindConfig, "x", "no files")
			}
			return nil
		},
	})
	if seen != 6 || len(runs) != 2 || len(found) != 2 || !strings.Contains(found[0], "position 3: odd words") || found[1] != "no files" {
		t.Errorf("looked at %d events and %d runs, and found %q", seen, len(runs), found)
	}
	raw(t, path, `DELETE FROM steps WHERE ord = 2`, `UPDATE ledger SET settled = 1 WHERE id = 'a'`, `UPDATE runs SET status = 'failed' WHERE id = '`+string(sc.Run)+`'`,
		`UPDATE runs SET state = json_set(state, '$.tool_calls', 7) WHERE id = '`+string(intact.Run)+`'`, `DELETE FROM events WHERE position = 3`)
	found = problems(store.Checks{})
	for _, want := range []string{
		"journal of execution " + string(sc.Execution) + " has a gap", "the ledger $0.00", "stream " + string(sc.Run) + " has a gap",
		"the row of run " + string(intact.Run), "5 events up to position 6", "does not fold", "run " + string(sc.Run) + " counts other bytes than it keeps",
	} {
		if !slices.ContainsFunc(found, func(p string) bool { return strings.Contains(p, want) }) {
			t.Errorf("nothing says %q: %q", want, found)
		}
	}
	if len(found) != 7 {
		t.Errorf("%d problems: %q", len(found), found)
	}
	if err := s.Verify(t.Context()); !mgx.IsCode(err, store.CodeCorrupt) || !strings.Contains(err.Error(), "restore a backup") {
		t.Errorf("Verify: %v", err)
	}
}
