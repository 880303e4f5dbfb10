package store

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"mgx"
)

// tx is a transaction that changes are applied in: the connection it runs on and
// the heads of streams it knows.
type tx struct {
	conn   session
	d      *dialect
	ctx    context.Context // of its statements
	log    *log
	money  *money
	clock  func() time.Time
	now    time.Time // of this transaction
	keep   *keeping
	sums   *sums
	wrote  bool
	done   bool                            // something was written that only a rollback undoes
	tenant tenant                          // on behalf of whom it is written
	terms  *mgx.Terms                      // on which it is done; nil: on none
	heeded bool                            // the terms were held to
	open   mgx.WorkspaceID                 // that nobody begins to erase until the commit
	later  func(query string, args ...any) // nil: now
	events []mgx.Event                     // of the change that was applied last, as it returns them

	normalEvent func(mgx.Event) (mgx.Event, error) // makes an event ready to be appended
}

// mark begins a change of its own within the transaction, which undo takes back.
func (t *tx) mark() {
	t.log.mark()
	t.money.mark()
}

func (t *tx) undo() {
	t.log.undo()
	t.money.undo()
}

// session runs statements on one connection; *sql.Conn is one.
type session interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// control runs a statement that steers the transaction.
func (t *tx) control(query string) error {
	_, err := t.conn.ExecContext(t.ctx, query)
	return err
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	res, err := t.conn.ExecContext(t.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	t.wrote = t.wrote || n > 0
	t.done = t.done || n > 0
	return n, err
}

// put runs a statement whose outcome nobody reads before the commit. Where the
// database is at the end of a wire it travels with the commit.
func (t *tx) put(query string, args ...any) error {
	t.wrote = true
	if t.later != nil {
		t.later(query, args...)
		return nil
	}
	_, err := t.exec(query, args...)
	return err
}

// row reads at most one row into dest and reports whether there was one.
func (t *tx) row(query string, args []any, dest ...any) (bool, error) {
	err := t.conn.QueryRowContext(t.ctx, query, args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
