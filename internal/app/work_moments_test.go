package app

import (
	"fmt"
	"testing"

	"mgx"
)

// TestMoments keeps few moments of however long a run, none of them far from any event.
func TestMoments(t *testing.T) {
	t.Parallel()
	m := &moments{apart: thenApart}
	const total = 400_000
	for n := int64(1); n <= total; n++ {
		if m.keep(mgx.Run{Sequence: n}); len(m.kept) >= thenMoments {
			t.Fatalf("%d moments are kept of %d events", len(m.kept), n)
		}
	}
	for at := int64(1); at <= total; at++ {
		then := m.before(at)
		if from := at - then.Sequence; from < 1 || from > 2*total*2/thenMoments {
			t.Fatalf("the moment before event %d is %d events before it", at, from)
		}
	}
}

// TestThens keeps what was looked at last, and nothing of what has lost its words.
func TestThens(t *testing.T) {
	t.Parallel()
	var all thens
	run := func(i int) mgx.Run { return mgx.Run{ID: mgx.RunID(fmt.Sprint("run_", i))} }
	first := all.of(run(0))
	for i := 1; i < thenRuns; i++ {
		all.of(run(i))
	}
	if all.of(run(0)) != first {
		t.Error("what was looked at before is not kept")
	}
	all.of(run(thenRuns)) // in the place of run_1
	if all.of(run(0)) != first || len(all.runs) != thenRuns {
		t.Errorf("%d runs are kept, and not what was looked at last", len(all.runs))
	}
	erased := run(0)
	erased.ErasedAt = mgx.Now()
	if now := all.of(erased); now == first || all.of(erased) != now {
		t.Error("what lost its words is kept with them")
	}
}
