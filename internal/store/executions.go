package store

import (
	"context"
	"database/sql"
	"time"

	"mgx"
)

const executionColumns = `id, workspace, project, task, run, user_id, parent, parent_step, workflow, input, status, wake_at, awaits, cancel_why, result, failure, deadline, owner, lease_until, term, created_at, updated_at`

// due is the time at which an execution with this status may be claimed: a
// ready one at once when no time is given, a waiting one then never by itself.
func due(status mgx.ExecutionStatus, wake, now time.Time) time.Time {
	switch {
	case status.Ended():
		return time.Time{}
	case wake.IsZero() && status == mgx.ExecReady:
		return now
	case wake.IsZero():
		return wake
	}
	return utc(wake)
}

func (t *tx) create(e mgx.Execution) error {
	if err := t.takes(e.Workspace); err != nil {
		return err
	}
	if e.Parent == "" && e.Run != "" {
		if err := t.room(e.Workspace, mgx.QuotaRunsADay); err != nil {
			return err
		}
		if err := t.roomFor(e.Workspace, e.User); err != nil {
			return err
		}
	}
	created, err := t.exec(`INSERT INTO executions (`+executionColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22) ON CONFLICT (id) DO NOTHING`,
		string(e.Execution), string(e.Workspace), string(e.Project), string(e.Task), string(e.Run), string(e.User), string(e.Parent), e.ParentStep, e.Workflow, text(e.Input),
		string(e.Status), micros(e.WakeAt), names(e.Awaits), e.CancelWhy, text(e.Result), failureText(e.Failure), micros(e.Deadline),
		e.Owner, micros(e.LeaseUntil), e.Term, micros(e.CreatedAt), micros(e.UpdatedAt))
	if err == nil && created == 0 {
		err = mgx.Errorf(mgx.KindInternal, mgx.CodeConflict, "execution %s exists already", e.Execution)
	}
	return err
}

// execution reads a row inside the transaction.
func (t *tx) execution(id mgx.ExecutionID) (mgx.Execution, error) {
	e, err := scanExecution(t.conn.QueryRowContext(t.ctx, `SELECT `+executionColumns+` FROM executions WHERE id = $1`, string(id)))
	if err == sql.ErrNoRows {
		err = noExecution(id)
	}
	return e, err
}

// place is what rows that hang on an execution need to know of it.
type place struct {
	workspace mgx.WorkspaceID
	run       mgx.RunID
}

func (t *tx) place(id mgx.ExecutionID) (p place, err error) {
	found, err := t.row(`SELECT workspace, run FROM executions WHERE id = $1`, []any{string(id)}, &p.workspace, &p.run)
	if err == nil && !found {
		err = noExecution(id)
	}
	return p, err
}

func noExecution(id mgx.ExecutionID) error {
	return mgx.Errorf(mgx.KindInternal, mgx.CodeNotFound, "there is no execution %s", id)
}

// update moves an execution to another status. One that parks although what it
// waits for has come already, or although it shall stop, is due at once.
func (t *tx) update(u mgx.ExecutionUpdate) error {
	e, err := t.execution(u.Execution)
	if err != nil {
		return err
	}
	if e.Status.Ended() {
		return mgx.Errorf(mgx.KindInternal, mgx.CodeConflict, "execution %s has ended (%s)", e.Execution, e.Status)
	}
	wake := due(u.Status, u.WakeAt, t.now)
	if u.Status == mgx.ExecWaiting && (wake.IsZero() || wake.After(t.now)) {
		come, err := t.signalled(u.Execution, u.Awaits)
		if err != nil {
			return err
		}
		if come || e.CancelWhy != "" {
			wake = t.now
		}
	}
	if u.Release || u.Status.Ended() {
		e.Owner, e.LeaseUntil = "", time.Time{}
		if err := t.lose(u.Execution); err != nil { // nobody is left who could settle it
			return err
		}
	}
	_, err = t.exec(`UPDATE executions SET status = $1, wake_at = $2, awaits = $3, result = $4, failure = $5, owner = $6, lease_until = $7, updated_at = $8 WHERE id = $9`,
		string(u.Status), micros(wake), names(u.Awaits), text(u.Result), failureText(u.Failure), e.Owner, micros(e.LeaseUntil), t.now.UnixMicro(), string(u.Execution))
	return err
}

// cancel keeps the first reason and makes an execution that has not ended due.
func (t *tx) cancel(c mgx.CancelRequest) error {
	e, err := t.execution(c.Execution)
	if err != nil || e.Status.Ended() || e.CancelWhy != "" {
		return err
	}
	if c.Why == "" {
		c.Why = "cancelled"
	}
	_, err = t.exec(`UPDATE executions SET cancel_why = $1 WHERE id = $2`, c.Why, string(c.Execution))
	if err == nil {
		err = t.wake(c.Execution)
	}
	return err
}

// wake makes an execution due now unless it is already.
func (t *tx) wake(id mgx.ExecutionID) error {
	_, err := t.exec(`UPDATE executions SET wake_at = $1 WHERE id = $2 AND status IN ('ready', 'waiting') AND (wake_at IS NULL OR wake_at > $1)`,
		t.now.UnixMicro(), string(id))
	return err
}

func scanExecution(row scanner) (e mgx.Execution, err error) {
	var input, awaits, result, failure sql.NullString
	var wake, deadline, lease, created, updated sql.NullInt64
	err = row.Scan(&e.Execution, &e.Workspace, &e.Project, &e.Task, &e.Run, &e.User, &e.Parent, &e.ParentStep, &e.Workflow, &input, &e.Status, &wake, &awaits,
		&e.CancelWhy, &result, &failure, &deadline, &e.Owner, &lease, &e.Term, &created, &updated)
	if err != nil {
		return e, err
	}
	e.Input, e.Result = fromText(input), fromText(result)
	e.WakeAt, e.Deadline, e.LeaseUntil = fromMicros(wake), fromMicros(deadline), fromMicros(lease)
	e.CreatedAt, e.UpdatedAt = fromMicros(created), fromMicros(updated)
	if e.Awaits, err = fromNames(awaits); err != nil {
		return e, err
	}
	e.Failure, err = fromFailure(failure)
	return e, err
}

// Execution returns one execution.
func (s *Store) Execution(ctx context.Context, id mgx.ExecutionID) (mgx.Execution, error) {
	e, found, err := get(ctx, s, scanExecution, `SELECT `+executionColumns+` FROM executions WHERE id = $1`, string(id))
	if err == nil && !found {
		err = noExecution(id)
	}
	return e, err
}

// ExecutionQuery selects executions. Every field that is set narrows the answer.
type ExecutionQuery struct {
	Workspace mgx.WorkspaceID
	Run       mgx.RunID
	Parent    mgx.ExecutionID
	Statuses  []mgx.ExecutionStatus // any of these; none: all
	Limit     int                   // at most MaxListed, which is also what 0 means
}

// Executions lists executions, oldest first.
func (s *Store) Executions(ctx context.Context, q ExecutionQuery) ([]mgx.Execution, error) {
	w := &where{}
	if q.Workspace != "" {
		w.is("workspace =", string(q.Workspace))
	}
	if q.Run != "" {
		w.is("run =", string(q.Run))
	}
	if q.Parent != "" {
		w.is("parent =", string(q.Parent))
	}
	in(w, "status", q.Statuses)
	return list(ctx, s, scanExecution, `SELECT `+executionColumns+` FROM executions`+w.String()+` ORDER BY created_at, id LIMIT `+w.arg(bounded(q.Limit, MaxListed)), w.args...)
}

// NextWake returns the earliest time at which an execution that has not ended
// may become claimable by itself, of one run if given. Work that is leased
// counts from the end of its lease.
func (s *Store) NextWake(ctx context.Context, run mgx.RunID) (at time.Time, ok bool, err error) {
	w := &where{conds: []string{`status IN ('ready', 'waiting')`, `wake_at IS NOT NULL`}}
	if run != "" {
		w.is("run =", string(run))
	}
	var next sql.NullInt64
	query := `SELECT MIN(CASE WHEN owner <> '' AND lease_until > wake_at THEN lease_until ELSE wake_at END) FROM executions` + w.String()
	err = s.reads.QueryRowContext(ctx, query, w.args...).Scan(&next)
	return fromMicros(next), next.Valid, s.explain(err)
}
