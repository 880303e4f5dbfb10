package store

import (
	"context"
	"database/sql"
	"time"

	"mgx"
)

// Claim leases one execution that is due, the longest due first, and returns it
// as leased; false: there is none. A claim raises the term, so that whoever had
// the lease before can write nothing more.
//
// Time in which nobody worked does not use up the deadline: it moves by as long
// as the execution was parked, or by as long as its last lease had run out.
func (s *Store) Claim(ctx context.Context, r mgx.ClaimRequest) (mgx.Execution, bool, error) {
	if r.Owner == "" || r.TTL <= 0 {
		return mgx.Execution{}, false, mgx.Errorf(mgx.KindInternal, "bad_claim", "a claim needs an owner and a time to live")
	}
	r.Now = utc(r.Now)
	// Look first without the write lock: most claims by idle workers find nothing.
	idle, err := s.idle(ctx, r)
	if err != nil || idle {
		return mgx.Execution{}, false, err
	}
	var e mgx.Execution
	var found bool
	err = s.writeMoney(ctx, func(t *tx) error {
		e, found, err = t.claim(r)
		return err
	})
	return e, found && err == nil, err
}

// candidates lists what may be claimed if its lease allows it.
func candidates(r mgx.ClaimRequest) (string, []any) {
	w := &where{}
	w.conds = append(w.conds, `status IN ('ready', 'waiting')`)
	w.is("wake_at <=", r.Now.UnixMicro())
	if r.Only != "" {
		w.is("id =", string(r.Only))
	}
	if r.Run != "" {
		w.is("run =", string(r.Run))
	}
	if r.Alive == nil {
		w.conds = append(w.conds, `(owner = '' OR lease_until IS NULL OR lease_until <= `+w.arg(r.Now.UnixMicro())+`)`)
	}
	return `SELECT id, owner, lease_until FROM executions` + w.String() + ` ORDER BY wake_at, id`, w.args
}

// first returns the first candidate that is free.
func first(rows *sql.Rows, r mgx.ClaimRequest) (id mgx.ExecutionID, err error) {
	defer rows.Close()
	for rows.Next() {
		var owner string
		var until sql.NullInt64
		if err := rows.Scan(&id, &owner, &until); err != nil {
			return "", err
		}
		if owner == "" || !fromMicros(until).After(r.Now) || !r.Alive(owner) {
			return id, nil
		}
	}
	return "", rows.Err()
}

func (s *Store) idle(ctx context.Context, r mgx.ClaimRequest) (bool, error) {
	query, args := candidates(r)
	rows, err := s.reads.QueryContext(ctx, query, args...)
	if err != nil {
		return false, s.explain(err)
	}
	id, err := first(rows, r)
	return id == "", s.explain(err)
}

func (t *tx) claim(r mgx.ClaimRequest) (e mgx.Execution, found bool, err error) {
	id, err := t.d.pick(t, r)
	if err != nil || id == "" {
		return e, false, err
	}
	if e, err = t.execution(id); err != nil {
		return e, false, err
	}
	if may, err := t.mayRun(e, r.Now); err != nil || !may {
		return e, false, err
	}
	e = leased(e, r)
	_, err = t.exec(`UPDATE executions SET status = $1, deadline = $2, owner = $3, lease_until = $4, term = $5, updated_at = $6 WHERE id = $7`,
		string(e.Status), micros(e.Deadline), e.Owner, micros(e.LeaseUntil), e.Term, micros(e.UpdatedAt), string(e.Execution))
	if err == nil {
		err = t.lose(e.Execution) // by whoever had it before
	}
	return e, err == nil, err
}

// pickFirst takes the first candidate that is free; nobody else can meanwhile.
func pickFirst(t *tx, r mgx.ClaimRequest) (mgx.ExecutionID, error) {
	query, args := candidates(r)
	rows, err := t.conn.QueryContext(t.ctx, query, args...)
	if err != nil {
		return "", err
	}
	return first(rows, r)
}

// leased is the execution as the claim makes it.
func leased(e mgx.Execution, r mgx.ClaimRequest) mgx.Execution {
	idleSince := e.UpdatedAt
	if e.Owner != "" {
		idleSince = e.LeaseUntil
	}
	if idle := r.Now.Sub(idleSince); idle > 0 && !e.Deadline.IsZero() {
		e.Deadline = e.Deadline.Add(idle)
	}
	e.Status, e.Owner, e.LeaseUntil, e.Term, e.UpdatedAt = mgx.ExecReady, r.Owner, r.Now.Add(r.TTL).Truncate(time.Microsecond), e.Term+1, r.Now
	return e
}

// Heartbeat extends a lease until the given time and returns the reason if the
// execution was asked to stop. CodeFenced means that the lease was lost.
func (s *Store) Heartbeat(ctx context.Context, l mgx.Lease, until time.Time) (cancelWhy string, err error) {
	err = s.write(ctx, func(t *tx) error {
		held, err := t.row(`UPDATE executions SET lease_until = $1 WHERE id = $2 AND owner = $3 AND term = $4 AND status IN ('ready', 'waiting') RETURNING cancel_why`,
			[]any{micros(utc(until)), string(l.Execution), l.Owner, l.Term}, &cancelWhy)
		if err == nil && !held {
			err = fenced(l)
		}
		return err
	})
	return cancelWhy, err
}

// holds refuses a change under a lease that was lost. A lease whose time has
// run out but that nobody else has claimed is still held: the term fences.
func (t *tx) holds(l *mgx.Lease) error {
	if l == nil {
		return nil
	}
	var one int
	held, err := t.row(`SELECT 1 FROM executions WHERE id = $1 AND owner = $2 AND term = $3 AND status IN ('ready', 'waiting')`,
		[]any{string(l.Execution), l.Owner, l.Term}, &one)
	if err == nil && !held {
		err = fenced(*l)
	}
	return err
}

func fenced(l mgx.Lease) error {
	return mgx.Errorf(mgx.KindStopped, mgx.CodeFenced, "%s no longer has the lease of execution %s: it was taken over, given back or has ended", l.Owner, l.Execution)
}
