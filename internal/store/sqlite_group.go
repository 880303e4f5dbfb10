package store

import (
	"context"
	"database/sql"
	"errors"

	"mgx"
)

// prepared is the writing connection with every statement it has run, prepared.
type prepared struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

func (p *prepared) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if s := p.stmts[query]; s != nil {
		return s, nil
	}
	s, err := p.conn.PrepareContext(ctx, steady(query))
	if err == nil {
		p.stmts[query] = s
	}
	return s, err
}

func (p *prepared) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	s, err := p.stmt(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

func (p *prepared) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := p.stmt(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

func (p *prepared) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	s, err := p.stmt(ctx, query)
	if err != nil { // fails again, in the row
		return p.conn.QueryRowContext(ctx, query, args...)
	}
	return s.QueryRowContext(ctx, args...)
}

func (p *prepared) close() {
	for _, s := range p.stmts {
		s.Close()
	}
}

func newTx(conn session, o Options) *tx {
	return &tx{clock: o.Now, keep: o.kept, sums: o.sums, conn: conn, d: &sqliteDialect, ctx: context.Background(), log: newLog(), money: newMoney()}
}

// group runs the jobs in one transaction and returns an outcome for each. A job
// that fails is undone alone; a failure of the file fails them all.
func (t *tx) group(jobs []*job) (outcome []error, wrote bool) {
	outcome = make([]error, len(jobs))
	err := t.begin()
	if err == nil && len(jobs) == 1 {
		if outcome[0], err = t.alone(jobs[0]); err == nil && outcome[0] != nil {
			return outcome, false
		}
	}
	for i := 0; err == nil && i < len(jobs) && len(jobs) > 1; i++ {
		outcome[i], err = t.one(jobs[i])
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
	t.now, t.wrote, t.money = t.clock(), false, newMoney()
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
	if err := t.saveMoney(); err != nil {
		return err
	}
	if err := t.saveRuns(); err != nil {
		return err
	}
	return t.control(`COMMIT`)
}

// one runs a job inside a savepoint. The first result is the job's own failure,
// the second one that ends the whole transaction.
func (t *tx) one(j *job) (failed, broken error) {
	if err := t.before(j); err != nil {
		return nil, err
	}
	if err := t.control(`SAVEPOINT change`); err != nil {
		return nil, err
	}
	failed, broken = t.attempt(j)
	if failed != nil {
		if e := t.control(`ROLLBACK TO change`); e != nil {
			return nil, e
		}
	}
	if broken != nil {
		return nil, broken
	}
	return failed, t.control(`RELEASE change`)
}

// alone runs a job that has the transaction to itself, and needs no savepoint, for
// which SQLite would copy every page that the job changes. When it fails the
// transaction has ended.
func (t *tx) alone(j *job) (failed, broken error) {
	if err := t.before(j); err != nil {
		return nil, err
	}
	if failed, broken = t.attempt(j); failed != nil {
		t.control(`ROLLBACK`) // fails when SQLite has rolled back by itself
		t.log.unsaved = t.log.unsaved[:0]
	}
	return failed, broken
}

// before prepares for a job. What is no change may read and write budgets and the
// ledger beside what is remembered of them.
func (t *tx) before(j *job) error {
	if j.change != nil {
		return nil
	}
	err := t.saveMoney()
	t.money = newMoney()
	return err
}

// attempt does a job, and takes back what is remembered of it when it fails.
func (t *tx) attempt(j *job) (failed, broken error) {
	t.mark()
	err := j.do(t)
	if err == nil && j.change == nil {
		if err = t.saveMoney(); err == nil {
			t.money = newMoney()
		}
	}
	if err == nil {
		return nil, nil
	}
	if _, own := errors.AsType[*mgx.Error](err); !own && !constraint(err) {
		return nil, err
	}
	t.undo()
	return err, nil
}
