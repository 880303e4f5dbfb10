package store

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"mgx"
)

// tx is the writer's transaction: prepared statements on its connection and the
// heads of streams it has read. One group of jobs at a time runs in it.
type tx struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	log   *log
	now   time.Time // of this group
	wrote bool
}

func newTx(conn *sql.Conn) *tx {
	return &tx{conn: conn, stmts: map[string]*sql.Stmt{}, log: newLog()}
}

func (t *tx) close() {
	for _, s := range t.stmts {
		s.Close()
	}
}

// group runs the jobs in one transaction and returns an outcome for each. A job
// that fails is undone alone; a failure of the file fails them all.
func (t *tx) group(jobs []*job) (outcome []error, wrote bool) {
	outcome = make([]error, len(jobs))
	err := t.begin()
	for i := 0; err == nil && i < len(jobs); i++ {
		outcome[i], err = t.one(jobs[i].run)
	}
	if err == nil {
		err = t.finish()
	}
	if err != nil {
		t.control(`ROLLBACK`) // fails when SQLite has rolled back by itself
		t.log.forget()
		for i := range outcome {
			outcome[i] = err
		}
		return outcome, false
	}
	return outcome, t.wrote
}

func (t *tx) begin() error {
	t.now, t.wrote = mgx.Now(), false
	if err := t.control(`BEGIN IMMEDIATE`); err != nil {
		return err
	}
	// The number changes exactly when somebody else has committed.
	var v int64
	if _, err := t.row(`PRAGMA data_version`, nil, &v); err != nil {
		return err
	}
	t.log.valid(v)
	return nil
}

func (t *tx) finish() error {
	if err := t.saveRuns(); err != nil {
		return err
	}
	return t.control(`COMMIT`)
}

// one runs a job inside a savepoint. The first result is the job's own failure,
// the second one that ends the whole transaction.
func (t *tx) one(run func(*tx) error) (failed, broken error) {
	if err := t.control(`SAVEPOINT change`); err != nil {
		return nil, err
	}
	t.log.mark()
	err := run(t)
	if err != nil {
		if _, own := errors.AsType[*mgx.Error](err); !own && !constraint(err) {
			return nil, err
		}
		t.log.undo()
		if e := t.control(`ROLLBACK TO change`); e != nil {
			return nil, e
		}
	}
	return err, t.control(`RELEASE change`)
}

// control runs a statement that steers the transaction.
func (t *tx) control(query string) error {
	s, err := t.stmt(query)
	if err == nil {
		_, err = s.ExecContext(context.Background())
	}
	return err
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	s, err := t.stmt(query)
	if err != nil {
		return 0, err
	}
	res, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	t.wrote = t.wrote || n > 0
	return n, err
}

// row reads at most one row into dest and reports whether there was one.
func (t *tx) row(query string, args []any, dest ...any) (bool, error) {
	s, err := t.stmt(query)
	if err != nil {
		return false, err
	}
	err = s.QueryRowContext(context.Background(), args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func (t *tx) stmt(query string) (*sql.Stmt, error) {
	if s := t.stmts[query]; s != nil {
		return s, nil
	}
	s, err := t.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	t.stmts[query] = s
	return s, nil
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
