package app

import (
	"context"
	"slices"
	"sync"

	"mgx"
	"mgx/internal/access"
)

// RunAt returns a run of the actor's workspace as it was after an event of its
// stream: the fold of the events up to there. What a long run was on the way is kept
// for a while, so that going through its time reads few events at each moment.
func (w *Work) RunAt(ctx context.Context, actor access.Actor, id mgx.RunID, at int64) (mgx.RunInfo, error) {
	info, err := w.runFor(ctx, actor, "read", "events", id)
	if err != nil {
		return info, err
	}
	if at < 1 || at > info.Sequence {
		return info, mgx.Errorf(mgx.KindUsage, "bad_sequence", "run %s has the events 1 to %d, and not %d", id, info.Sequence, at)
	}
	known := w.then.of(info.Run)
	known.mu.Lock()
	defer known.mu.Unlock()
	then := known.before(at)
	for then.Sequence < at {
		page, err := w.o.Store.StreamAfter(ctx, mgx.StreamID(id), then.Sequence, int(min(at-then.Sequence, MaxEventsPage)))
		if err != nil {
			return info, err
		}
		if len(page) == 0 {
			return info, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "the events of run %s that lead there were removed", id)
		}
		for _, e := range page {
			if then, err = then.Apply(e); err != nil {
				return info, err
			}
			known.keep(then)
		}
	}
	info.Run = then
	return info, nil
}

// Bounds of what is kept of runs that somebody looks back at.
const (
	thenRuns    = 8   // whose time somebody went through last
	thenMoments = 64  // of one run
	thenApart   = 512 // events between two of them, at first
)

// thens are runs as they were at moments of theirs, in memory alone. Of those that
// nobody looked at for longest nothing is kept.
type thens struct {
	mu   sync.Mutex
	runs []*moments // what somebody looked at last is last
}

// moments are what one run was, in order. Folds never write into what a run held
// before, so these share what did not change.
type moments struct {
	run    mgx.RunID
	erased bool // they have no words, as the run has none

	mu    sync.Mutex
	kept  []mgx.Run
	apart int64
}

// of finds what is kept of a run. What was kept of one whose words are erased since
// is given up.
func (t *thens) of(run mgx.Run) *moments {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := &moments{run: run.ID, erased: !run.ErasedAt.IsZero(), apart: thenApart}
	if i := slices.IndexFunc(t.runs, func(m *moments) bool { return m.run == run.ID }); i >= 0 {
		if t.runs[i].erased == m.erased {
			m = t.runs[i]
		}
		t.runs = slices.Delete(t.runs, i, i+1)
	}
	if len(t.runs) == thenRuns {
		t.runs = slices.Delete(t.runs, 0, 1)
	}
	t.runs = append(t.runs, m)
	return m
}

// before is the run at the last moment before an event, which that event is then
// read after: so one of which the events were removed is found to be gone.
func (m *moments) before(at int64) mgx.Run {
	i, _ := slices.BinarySearchFunc(m.kept, at, func(r mgx.Run, at int64) int { return int(r.Sequence - at) })
	if i == 0 {
		return mgx.Run{}
	}
	return m.kept[i-1]
}

// keep keeps a moment that is far enough after the last. When there are too many,
// every other goes, and from then on they are twice as far apart.
func (m *moments) keep(r mgx.Run) {
	last := int64(0)
	if n := len(m.kept); n > 0 {
		last = m.kept[n-1].Sequence
	}
	if r.Sequence < last+m.apart {
		return
	}
	m.kept = append(m.kept, r)
	if len(m.kept) < thenMoments {
		return
	}
	var fewer []mgx.Run
	for i := 1; i < len(m.kept); i += 2 {
		fewer = append(fewer, m.kept[i])
	}
	m.kept, m.apart = fewer, 2*m.apart
}
