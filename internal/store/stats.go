package store

import (
	"context"
	"time"

	"mgx"
)

// Numbering is how the log is being numbered on a database that does that apart
// from the changes.
type Numbering struct {
	Waiting  int64         // events that are committed and not in the log yet
	Leads    bool          // this process numbers
	Term     int64         // raised at every take-over
	Lease    time.Duration // that is left of the lease; less than nothing: nobody numbers
	Position int64         // up to which the log is numbered
}

// Numbering returns that; false: the log is numbered as changes are made.
func (s *Store) Numbering(ctx context.Context) (n Numbering, apart bool, err error) {
	ctx = mgx.ForInstallation(ctx)
	d, apart := s.driver.(*server)
	if !apart {
		return n, false, nil
	}
	var left int64
	err = s.reads.QueryRowContext(ctx, `SELECT (SELECT COUNT(*) FROM outbox), term, until - `+serverTime+`, position FROM sequencer WHERE name = 'log'`).
		Scan(&n.Waiting, &n.Term, &left, &n.Position)
	n.Leads, n.Lease = d.leads.Load(), time.Duration(left)*time.Microsecond
	return n, true, s.explain(err)
}
