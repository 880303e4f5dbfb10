package app

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"path"
	"strconv"
	"time"

	"mgx"
	"mgx/internal/audit"
)

// AuditStore keeps audit logs; *store.Store is one.
type AuditStore interface {
	audit.Store
}

// Audit is what a person may see of the audit log of one workspace.
type Audit struct {
	By    mgx.Doer // in whose workspace
	Store AuditStore
	Keep  time.Duration // how long entries are kept at least
	// Key is what checkpoints are signed with here; make: also when there is none yet.
	Key func(make bool) (*audit.Key, error)
	// Second is where checkpoints are kept apart; nil: nowhere.
	Second func(note string) error
}

// AuditEntry is an entry as it is shown.
type AuditEntry struct {
	Sequence int64     `json:"sequence"`
	Time     time.Time `json:"timestamp"`
	ID       string    `json:"event_id"`
	Version  string    `json:"version,omitempty"`
	mgx.AuditData
}

// AuditFilter chooses entries. What is empty chooses all.
type AuditFilter struct {
	Actor  string
	Action string // a glob: "key.*"
	Denied bool
	Since  time.Time
	Until  time.Time
}

func (f AuditFilter) check() error {
	if _, err := path.Match(f.Action, ""); err != nil {
		return mgx.Errorf(mgx.KindUsage, "bad_glob", "an action is chosen by a pattern such as key.*, not %q", f.Action)
	}
	return nil
}

// Wants reports whether the filter chooses an entry.
func (f AuditFilter) Wants(e AuditEntry) bool {
	like := f.Action == ""
	if !like {
		like, _ = path.Match(f.Action, e.Action)
	}
	return like && (f.Actor == "" || f.Actor == e.Actor) && (!f.Denied || e.Decision == mgx.AuditDenied) &&
		(f.Since.IsZero() || !e.Time.Before(f.Since)) && (f.Until.IsZero() || e.Time.Before(f.Until))
}

// mostRead is how many entries one page looks at: a filter may choose few of many.
const mostRead = 50_000

// Page returns chosen entries after a sequence, at most limit, and the sequence to
// go on after; 0: there are no more now. A page may hold fewer than there are.
func (a *Audit) Page(ctx context.Context, f AuditFilter, after int64, limit int) (page []AuditEntry, next int64, err error) {
	read := 0
	err = a.each(ctx, f, after, func(e AuditEntry, chosen bool) bool {
		next = e.Sequence
		if read++; chosen {
			page = append(page, e)
		}
		return len(page) < limit && read < mostRead
	})
	if len(page) < limit && read < mostRead {
		next = 0
	}
	return page, next, err
}

// each calls back for every entry after a sequence until it is told to stop.
func (a *Audit) each(ctx context.Context, f AuditFilter, after int64, do func(AuditEntry, bool) bool) error {
	if err := f.check(); err != nil {
		return err
	}
	for {
		entries, err := a.Store.AuditEntries(ctx, a.By.Workspace, after)
		if err != nil || len(entries) == 0 {
			return err
		}
		for _, e := range entries {
			after = e.Sequence
			one := AuditEntry{Sequence: e.Sequence, Time: e.Time, ID: string(e.ID), Version: e.Version}
			if err := e.Decode(&one.AuditData); err != nil {
				return err
			}
			if !do(one, f.Wants(one)) {
				return nil
			}
		}
	}
}

// Entry returns one entry (CodeNotFound).
func (a *Audit) Entry(ctx context.Context, sequence int64) (AuditEntry, error) {
	page, _, err := a.Page(ctx, AuditFilter{}, sequence-1, 1)
	if err == nil && (sequence < 1 || len(page) == 0 || page[0].Sequence != sequence) {
		err = mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no audit entry %d", sequence)
	}
	if err != nil {
		return AuditEntry{}, err
	}
	return page[0], nil
}

// Export writes the chosen entries, as lines of JSON or as CSV.
func (a *Audit) Export(ctx context.Context, f AuditFilter, format string, w io.Writer) error {
	if format == "csv" {
		return a.csv(ctx, f, w)
	}
	var failed error
	enc := json.NewEncoder(w)
	err := a.each(ctx, f, 0, func(e AuditEntry, chosen bool) bool {
		if chosen {
			failed = enc.Encode(e)
		}
		return failed == nil
	})
	if err == nil {
		err = failed
	}
	return err
}

func (a *Audit) csv(ctx context.Context, f AuditFilter, out io.Writer) error {
	w := csv.NewWriter(out)
	w.Write(AuditColumns)
	err := a.each(ctx, f, 0, func(e AuditEntry, chosen bool) bool {
		if chosen {
			w.Write(e.Row())
		}
		return w.Error() == nil
	})
	w.Flush()
	if err == nil {
		err = w.Error()
	}
	return err
}

// AuditColumns are the columns of the audit log as CSV.
var AuditColumns = []string{"sequence", "timestamp", "event_id", "actor", "action", "resource", "decision", "reason", "request_id", "from", "user_agent", "before", "after", "erased"}

// Row is an entry as a row of these columns, none of which a spreadsheet takes for
// a formula.
func (e AuditEntry) Row() []string {
	d := e.Details
	if d == nil {
		d = &mgx.AuditDetails{}
	}
	row := []string{
		strconv.FormatInt(e.Sequence, 10), e.Time.Format(time.RFC3339Nano), e.ID, e.Actor, e.Action, e.Resource, e.Decision,
		e.Reason, e.Request, d.From, d.Agent, string(d.Before), string(d.After), e.Erased,
	}
	for i, field := range row {
		row[i] = Cell(field)
	}
	return row
}

func (a *Audit) log() audit.Log { return audit.Log{Store: a.Store, Workspace: a.By.Workspace} }

// Verify reads the whole log over and holds it against its checkpoints, those that
// this installation signed.
func (a *Audit) Verify(ctx context.Context) (audit.Report, error) {
	key, err := a.Key(true)
	if err != nil {
		return audit.Report{}, err
	}
	trusted, err := audit.Trusted(key.Public())
	if err != nil {
		return audit.Report{}, err
	}
	r, err := a.log().Verify(ctx, audit.Options{Trusted: trusted, Keep: a.Keep, Wait: func() bool {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(50 * time.Millisecond):
			return true
		}
	}})
	r.Problems = append([]string{}, r.Problems...)
	return r, err
}

// Checkpoints lists the checkpoints of the log over more than so many entries,
// oldest first, and the key that this installation signs with.
func (a *Audit) Checkpoints(ctx context.Context, after int64, limit int) (all []mgx.AuditCheckpoint, key string, err error) {
	k, err := a.Key(true)
	if err != nil {
		return nil, "", err
	}
	all, err = a.Store.AuditCheckpoints(ctx, a.By.Workspace, after, limit)
	return all, k.Public(), err
}

// Sign makes a checkpoint, unless the last one says how the log stands already, and
// returns the last.
func (a *Audit) Sign(ctx context.Context) (mgx.AuditCheckpoint, error) {
	key, err := a.Key(true)
	if err != nil {
		return mgx.AuditCheckpoint{}, err
	}
	c, made, err := a.log().Sign(ctx, key, mgx.Now())
	if err == nil && made && a.Second != nil {
		err = a.Second(c.Note)
	}
	if err != nil || made {
		return c, err
	}
	last, found, err := a.Store.LastAuditCheckpoint(ctx, a.By.Workspace)
	if err == nil && !found {
		err = mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "nothing is in the audit log yet")
	}
	return last, err
}

// Prove proves an entry to others, who need nothing but the key.
func (a *Audit) Prove(ctx context.Context, sequence int64) (audit.Proof, error) {
	return a.log().Prove(ctx, sequence)
}
