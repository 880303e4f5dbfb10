package audit

import (
	"context"
	"slices"
	"time"

	"mgx"
)

// claims are what was signed of a log, in the order of sizes: the checkpoints that are
// stored, a page at a time, and between them those that were given.
type claims struct {
	due   []State // of this page, still to be held against the tree
	given []State // of pages to come
	after int64   // where the next page begins
	end   bool    // there is none
}

// done takes away the claim that is due first.
func (c *claims) done() { c.due = c.due[1:] }

// claimPage is how many checkpoints are read at once.
const claimPage = 500

// begin finds how long the log is, and what was signed of a longer one.
func (v *verifier) begin(ctx context.Context) (err error) {
	if v.size, err = v.Store.AuditSize(ctx, v.Workspace); err != nil {
		return err
	}
	beyond, err := v.Store.AuditCheckpoints(ctx, v.Workspace, v.size, claimPage)
	if err != nil {
		return err
	}
	if len(beyond) > 0 { // the log may have grown between the two
		if v.size, err = v.Store.AuditSize(ctx, v.Workspace); err != nil {
			return err
		}
	}
	v.claims.after = -1
	for _, c := range beyond {
		if c.Size > v.size {
			v.signed(c)
		}
	}
	for _, text := range v.o.Also {
		if state, err := Read(text, v.o.Trusted); err != nil {
			v.report.found("a checkpoint of the second place: %v", err)
		} else if state.Workspace == v.Workspace && !v.cut(state) {
			v.claims.given = append(v.claims.given, state)
		}
	}
	bySize(v.claims.given)
	return nil
}

func bySize(all []State) {
	slices.SortStableFunc(all, func(a, b State) int { return int(a.Size - b.Size) })
}

// signed reads a checkpoint that is stored, and says what is wrong with it.
func (v *verifier) signed(c mgx.AuditCheckpoint) (s State, ok bool) {
	s, err := Read(c.Note, v.o.Trusted)
	switch {
	case err != nil:
		v.report.found("checkpoint over %d entries: %v; a key that is not kept here is named with --key", c.Size, err)
	case s.Workspace != v.Workspace:
		v.report.found("a checkpoint over %d entries is of another workspace, %s", s.Size, s.Workspace)
	case s.Size != c.Size:
		v.report.found("what is kept as a checkpoint over %d entries is one over %d", c.Size, s.Size)
		v.cut(s)
	default:
		return s, !v.cut(s)
	}
	return s, false
}

// cut reports whether more was signed than there is.
func (v *verifier) cut(s State) bool {
	if s.Size <= v.size {
		return false
	}
	v.report.found("the log was cut off: it has %d entries, and %s signed %d on %s", v.size, s.Key, s.Size, s.Time.Format(time.RFC3339))
	return true
}

// claim is the first that is due over at least so many entries, which are no fewer
// than the last time; without one claimed is false.
func (v *verifier) claim(ctx context.Context, least int64) (s State, claimed bool, err error) {
	c := &v.claims
	for {
		for len(c.due) > 0 && c.due[0].Size < least {
			c.done()
		}
		if len(c.due) > 0 {
			return c.due[0], true, nil
		}
		if c.end {
			return s, false, nil
		}
		if err := v.moreClaims(ctx); err != nil {
			return s, false, err
		}
	}
}

// moreClaims reads the next page.
func (v *verifier) moreClaims(ctx context.Context) error {
	c := &v.claims
	stored, err := v.Store.AuditCheckpoints(ctx, v.Workspace, c.after, claimPage)
	if err != nil {
		return err
	}
	c.end = len(stored) < claimPage || stored[len(stored)-1].Size >= v.size
	if c.after = v.size; !c.end {
		c.after = stored[len(stored)-1].Size
	}
	c.due = nil
	for _, one := range stored {
		if one.Size > v.size { // begin has seen to it
			break
		}
		if state, ok := v.signed(one); ok {
			c.due = append(c.due, state)
		}
	}
	for len(c.given) > 0 && c.given[0].Size <= c.after {
		c.due, c.given = append(c.due, c.given[0]), c.given[1:]
	}
	bySize(c.due)
	return nil
}

// old reports whether what was signed shows that an entry is older than entries are
// kept. Whoever asks has not asked for a later one yet.
func (v *verifier) old(ctx context.Context, sequence int64) (bool, error) {
	s, claimed, err := v.claim(ctx, sequence)
	return claimed && time.Since(s.Time) > v.o.Keep, err
}
