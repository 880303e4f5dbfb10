package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"mgx"
)

// Report is what reading over a log found.
type Report struct {
	Workspace mgx.WorkspaceID `json:"workspace_id"`
	Entries   int64           `json:"entries"`
	Removed   int64           `json:"removed"` // because their time was over
	Erased    int64           `json:"erased"`  // whose details were, as a signed erasure tells
	// ErasedBefore are entries without details from before erasures were recorded: nobody
	// can tell whether they were erased or taken away.
	ErasedBefore int64    `json:"erased_before"`
	Checkpoints  int      `json:"checkpoints"`
	Covered      int64    `json:"covered"` // entries, by the last checkpoint that holds
	Problems     []string `json:"problems"`
}

// codeMissing is the code of the store's error for a hash that is not there.
const codeMissing = "audit_hash_missing"

// maxProblems bounds what is listed; there is hardly need for more.
const maxProblems = 100

func (r *Report) found(format string, args ...any) {
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	}
}

// Options say what a log is held against.
type Options struct {
	Trusted note.Verifiers // of checkpoints
	Also    []string       // checkpoints from a second place
	Keep    time.Duration  // how long entries are kept at least
	Wait    func() bool    // waits for entries on their way into the log; false: no longer
}

// Verify reads a whole log over. The error says that it could not be read.
func (l Log) Verify(ctx context.Context, o Options) (Report, error) {
	v := verifier{Log: l, o: o, report: Report{Workspace: l.Workspace}}
	err := v.run(ctx)
	return v.report, err
}

// verifier builds the tree anew beside the stored one. Of its own it needs the
// last hash of each level alone.
type verifier struct {
	Log
	o       Options
	report  Report
	size    int64
	removed int64 // up to here retention says that it removed entries
	last    [64]tlog.Hash
	claims  claims
	pending []int64 // stored hashes still to be compared
	fresh   []tlog.Hash
	gone    mgx.Spans // entries without details, of which an erasure must tell
	earlier mgx.Spans // the same, from before erasures did
	told    mgx.Spans // of which erasures tell
}

func (v *verifier) run(ctx context.Context) (err error) {
	if err := v.begin(ctx); err != nil {
		return err
	}
	if v.removed, err = v.Store.AuditRemoved(ctx, v.Workspace); err != nil {
		return err
	}
	next, err := v.walk(ctx)
	if err != nil {
		return err
	}
	if err := v.gap(ctx, next, v.size+1); err != nil {
		return err
	}
	v.report.Entries = v.size
	if err := v.account(ctx); err != nil {
		return err
	}
	return v.compare(ctx)
}

// walk takes every entry of the log into the tree and returns the sequence after
// the last.
func (v *verifier) walk(ctx context.Context) (int64, error) {
	next := int64(1)
	for next <= v.size {
		entries, err := v.Store.AuditEntries(ctx, v.Workspace, next-1)
		if err != nil {
			return next, err
		}
		if len(entries) == 0 {
			if v.o.Wait == nil || !v.o.Wait() {
				return next, nil
			}
		}
		if err := v.filed(ctx, entries); err != nil {
			return next, err
		}
		for _, e := range entries {
			if e.Sequence > v.size {
				return next, nil
			}
			if next, err = v.step(ctx, next, e); err != nil {
				return next, err
			}
		}
	}
	return next, nil
}

// step takes one entry and returns the sequence that is due next.
func (v *verifier) step(ctx context.Context, next int64, e mgx.Event) (int64, error) {
	if e.Sequence < next {
		v.report.found("entry %d stands behind entry %d", e.Sequence, next-1)
		return next, nil
	}
	if err := v.gap(ctx, next, e.Sequence); err != nil {
		return next, err
	}
	return e.Sequence + 1, v.entry(ctx, e)
}

// entry adds an entry to the tree as it stands in the log.
func (v *verifier) entry(ctx context.Context, e mgx.Event) error {
	if e.Type != mgx.AuditRecorded || string(e.Project)+string(e.Task)+string(e.Run)+string(e.Execution)+string(e.Agent)+e.Correlation+string(e.Causation)+e.Traceparent != "" {
		v.report.found("the row of entry %d (%s) says that it is something else: an event %s, or one of a task", e.Sequence, e.ID, e.Type)
	}
	leaf, err := leafOf(e)
	if err != nil {
		v.report.found("entry %d (%s): %v", e.Sequence, e.ID, err)
		return v.stored(ctx, e.Sequence)
	}
	var d mgx.AuditData
	if err := e.Decode(&d); err != nil {
		return err
	}
	if own, err := json.Marshal(d); err != nil || !bytes.Equal(own, e.Data) {
		v.report.found("entry %d (%s) holds something that no entry does", e.Sequence, e.ID)
	}
	// What an earlier kind of leaf does not hold has one value in entries of that kind.
	if d.Leaf < 1 && d.Erased != "" || d.Leaf < 2 && (d.Kept != 0 || e.Version != versions[d.Leaf]) {
		v.report.found("entry %d (%s) says what entries of its age do not: for how long it is kept, of which version it is, or what was erased", e.Sequence, e.ID)
	}
	v.lacking(e, d)
	v.hear(e, d)
	return v.add(ctx, e.Sequence, leaf)
}

// versions are those of the contract of an entry, by the kind of its leaf, before the tree
// held them.
var versions = [2]string{"1.0.0", "1.1.0"}

// filed looks for entries that would be kept for another time than they are to be.
func (v *verifier) filed(ctx context.Context, entries []mgx.Event) error {
	wrong, err := v.Store.AuditMisfiled(ctx, v.Workspace, entries, v.o.Keep)
	for _, sequence := range wrong {
		v.report.found("the row of entry %d says that it is kept for another time than audit entries are", sequence)
	}
	return err
}

// gap takes the leaves of entries that are missing from the stored tree.
func (v *verifier) gap(ctx context.Context, from, to int64) error {
	for ; from < to; from++ {
		old, err := v.old(ctx, from)
		if err != nil {
			return err
		}
		if from <= v.removed && old {
			v.report.Removed++
		} else {
			v.report.found("entry %d is missing", from)
		}
		if err := v.stored(ctx, from); err != nil {
			return err
		}
	}
	return nil
}

// stored adds a leaf as the stored tree has it.
func (v *verifier) stored(ctx context.Context, sequence int64) error {
	hashes, err := v.Store.AuditHashes(ctx, v.Workspace, []int64{tlog.StoredHashIndex(0, sequence-1)})
	if err != nil {
		return v.missing(err)
	}
	return v.add(ctx, sequence, hashes[0])
}

// missing makes a problem of hashes that are not there.
func (v *verifier) missing(err error) error {
	if mgx.IsCode(err, codeMissing) {
		v.report.found("%v", err)
		return nil
	}
	return err
}

// add grows the tree by a leaf and looks what was signed of it.
func (v *verifier) add(ctx context.Context, sequence int64, leaf tlog.Hash) error {
	n := sequence - 1
	own := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(at))
		for i, idx := range at {
			level, _ := tlog.SplitStoredHashIndex(idx)
			out[i] = v.last[level]
		}
		return out, nil
	})
	hashes, err := tlog.StoredHashesForRecordHash(n, leaf, own)
	if err != nil {
		return err
	}
	for level, h := range hashes {
		v.last[level] = h
		v.pending = append(v.pending, tlog.StoredHashIndex(0, n)+int64(level))
		v.fresh = append(v.fresh, h)
	}
	for {
		s, claimed, err := v.claim(ctx, sequence)
		if err != nil {
			return err
		}
		if !claimed || s.Size > sequence {
			break
		}
		v.claims.done()
		root, err := tlog.TreeHash(sequence, own)
		if err != nil {
			return err
		}
		v.report.Checkpoints++
		if root != s.Root {
			v.report.found("the first %d entries are not those that %s signed on %s", sequence, s.Key, s.Time.Format(time.RFC3339))
			continue
		}
		v.report.Covered = max(v.report.Covered, sequence)
	}
	if len(v.pending) >= 500 {
		return v.compare(ctx)
	}
	return nil
}

// compare holds the stored tree against the one made anew.
func (v *verifier) compare(ctx context.Context) error {
	stored, err := v.Store.AuditHashes(ctx, v.Workspace, v.pending)
	if err != nil {
		err = v.missing(err)
	} else {
		for i, h := range stored {
			if h != v.fresh[i] {
				v.report.found("the tree does not fit the entries from %d on", entryOf(v.pending[i]))
				break
			}
		}
	}
	v.pending, v.fresh = v.pending[:0], v.fresh[:0]
	return err
}

// entryOf is the first entry below a stored hash.
func entryOf(idx int64) int64 {
	level, n := tlog.SplitStoredHashIndex(idx)
	return n<<level + 1
}
