package mgx

import (
	"slices"
	"testing"
	"time"
)

// TestReproduce is not parallel: what it changes is the whole process's.
func TestReproduce(t *testing.T) {
	t.Cleanup(func() { reproduced.Store(nil) })
	start := time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)
	draw := func(seed string, stamp time.Time) []string {
		Reproduce(seed, "0", stamp)
		var ids []string
		for range 20 {
			ids = append(ids, string(NewTaskID()), string(NewRunID()), string(NewEventID()), string(NewExecutionID()), string(NewSignalID()))
		}
		return ids
	}
	first := draw("a", start)
	if unique := slices.Compact(slices.Sorted(slices.Values(first))); len(unique) != len(first) {
		t.Errorf("%d of %d identifiers are repeated", len(first)-len(unique), len(first))
	}
	if again := draw("a", start); !slices.Equal(first, again) {
		t.Error("the same seed gives other identifiers")
	}
	if other := draw("b", start); slices.ContainsFunc(other, func(id string) bool { return slices.Contains(first, id) }) {
		t.Error("another seed gives the same identifiers")
	}
	if !Stamp().Equal(start.Truncate(time.Microsecond)) {
		t.Errorf("stamp %s", Stamp())
	}

	// Kinds do not disturb each other, ids sort, and their form is the usual one.
	Reproduce("a", "0", start)
	NewTaskID()
	if id := NewRunID(); string(id) != first[1] || id.TraceID() == "" {
		t.Errorf("%s, want %s", id, first[1])
	}
	if last := NewRunID(); last <= RunID(first[1]) {
		t.Error("identifiers do not sort in the order drawn")
	}
	if a, b := NewID[string]("rsv"), NewID[string]("rsv"); a == b {
		t.Error("a reservation's id is repeated")
	}

	// A repetition under other identifiers keeps the secret.
	secret := NewSecret()
	Reproduce("a", "1", start)
	if NewSecret() != secret || NewRunID() == RunID(first[1]) {
		t.Error("the second of a seed has the identifiers of the first, or another secret")
	}
	if Reproduce("b", "0", start); NewSecret() == secret {
		t.Error("another seed has the same secret")
	}

	end := Reproduce("a", "0", time.Time{})
	if d := time.Since(Stamp()); d < 0 || d > time.Hour {
		t.Errorf("a stamp %s ago without a fixed one", d)
	}
	end()
	if a, b := NewSecret(), NewSecret(); a == b || a == secret {
		t.Error("secrets of runs that are not reproduced repeat")
	}
	if id := NewRunID(); id == RunID(first[1]) || reproduced.Load() != nil {
		t.Error("it does not end")
	}
}
