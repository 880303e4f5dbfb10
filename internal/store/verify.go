package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mgx"
)

// Verify reads the whole database and checks what must always hold: the file is
// sound, positions and sequences have no gaps but those of events that were
// removed on purpose, every run's row is the fold of its stream, journals are
// whole, and money spent is money recorded. It returns the first thing that does
// not hold (CodeCorrupt).
func (s *Store) Verify(ctx context.Context) error {
	_, err := s.verify(ctx, Checks{}, false)
	return err
}

// Checks are what Problems looks at besides the database itself.
type Checks struct {
	Event func(mgx.Event) error                   // an event of the log, unless it was erased; nil: none
	Run   func(run mgx.Run, trees []string) error // a run, and the trees of its files that are recorded; nil: none
}

// maxProblems is how many are listed; there is hardly need for more.
const maxProblems = 1000

// Problems is Verify that goes on: it returns all that does not hold, a sentence
// each, at most maxProblems. An error means that the database could not be read
// to its end; what was found until then is returned with it.
func (s *Store) Problems(ctx context.Context, c Checks) ([]string, error) {
	return s.verify(ctx, c, true)
}

func (s *Store) verify(ctx context.Context, c Checks, all bool) ([]string, error) {
	ctx = mgx.ForInstallation(ctx)
	tx, err := s.moment(ctx)
	if err != nil {
		return nil, s.explain(err)
	}
	defer tx.Rollback()
	v := &verifier{ctx: ctx, tx: tx, d: s.dialect, name: s.name, extra: c, all: all}
	checks := append(slices.Clone(s.dialect.checks), checkPositions, checkSequences, checkBaselines, checkStrayRuns, checkFolds, checkStored, checkJournals, checkMoney, checkBudgets, checkErased, checkEvents, checkRuns)
	for _, check := range checks {
		if err := v.note(check(v)); err != nil {
			return v.problems, s.explain(err)
		}
	}
	return v.problems, nil
}

// verifier looks at one moment of the database.
type verifier struct {
	ctx      context.Context
	tx       *sql.Tx
	d        *dialect
	name     string
	extra    Checks
	all      bool // go on after a problem
	problems []string
}

func (v *verifier) broken(format string, args ...any) error {
	return mgx.Errorf(mgx.KindConfig, CodeCorrupt, "%s is inconsistent: %w; restore a backup", v.name, fmt.Errorf(format, args...))
}

// note lists a problem, if it is one and there is a list, and returns any other
// error.
func (v *verifier) note(err error) error {
	if !v.all || !mgx.IsCode(err, CodeCorrupt) || len(v.problems) == maxProblems {
		return err
	}
	if cause := errors.Unwrap(err); cause != nil {
		err = cause
	}
	v.problems = append(v.problems, err.Error())
	return nil
}

func checkFile(v *verifier) error {
	// A connection that has checked the index before takes it for what it was then,
	// unless it is asked for something first.
	var found int64
	if err := v.tx.QueryRowContext(v.ctx, `SELECT COUNT(*) FROM task_index WHERE task_index MATCH '"_"'`).Scan(&found); err != nil {
		return err
	}
	var said string
	if err := v.tx.QueryRowContext(v.ctx, `PRAGMA quick_check(1)`).Scan(&said); err != nil {
		return err
	}
	if said != "ok" {
		return v.broken("%s", said)
	}
	return nil
}

func checkReferences(v *verifier) error {
	var table, parent string
	var row, key sql.NullInt64
	err := v.tx.QueryRowContext(v.ctx, `PRAGMA foreign_key_check`).Scan(&table, &row, &parent, &key)
	if err == sql.ErrNoRows {
		return nil
	}
	if err == nil {
		err = v.broken("row %d of %s refers to nothing in %s", row.Int64, table, parent)
	}
	return err
}

// checkPositions counts: what was removed is known, and nothing was removed after
// the last of that.
func checkPositions(v *verifier) error {
	var count, last, removed, gone, after int64
	if err := v.tx.QueryRowContext(v.ctx, `SELECT COUNT(*), COALESCE(MAX(position), 0) FROM events`).Scan(&count, &last); err != nil {
		return err
	}
	if err := v.tx.QueryRowContext(v.ctx, `SELECT COALESCE(SUM(removed), 0), COALESCE(MAX(position), 0) FROM baselines`).Scan(&removed, &gone); err != nil {
		return err
	}
	if err := v.tx.QueryRowContext(v.ctx, `SELECT COUNT(*) FROM events WHERE position > $1`, gone).Scan(&after); err != nil {
		return err
	}
	if count+removed != last || after != last-gone {
		return v.broken("%d events up to position %d, %d of which were removed", count, last, removed)
	}
	return nil
}

func checkSequences(v *verifier) error {
	return v.none("stream %s has a gap, or more than one workspace", `SELECT e.stream FROM (SELECT stream, workspace, sequence FROM `+v.d.allEvents+`) e
		LEFT JOIN baselines b ON b.stream = e.stream GROUP BY e.stream, b.sequence, b.removed, b.workspace
		HAVING MIN(e.sequence) < 1 OR MAX(e.sequence) <> COUNT(*) + COALESCE(b.removed, 0) OR COUNT(DISTINCT e.workspace) <> 1 OR MIN(e.workspace) <> COALESCE(b.workspace, MIN(e.workspace))
		OR SUM(CASE WHEN e.sequence > COALESCE(b.sequence, 0) THEN 1 ELSE 0 END) <> MAX(e.sequence) - COALESCE(b.sequence, 0) LIMIT 1`)
}

func checkBaselines(v *verifier) error {
	return v.none("of stream %s no event is left", `SELECT stream FROM baselines WHERE stream NOT IN (SELECT stream FROM `+v.d.allEvents+`) LIMIT 1`)
}

func checkStrayRuns(v *verifier) error {
	return v.none("run %s has a row but no events", `SELECT id FROM runs WHERE id NOT IN (SELECT stream FROM `+v.d.allEvents+`) LIMIT 1`)
}

// none fails with the first name that a query finds.
func (v *verifier) none(problem, query string) error {
	var name string
	err := v.tx.QueryRowContext(v.ctx, query).Scan(&name)
	if err == sql.ErrNoRows {
		return nil
	}
	if err == nil {
		err = v.broken(problem, name)
	}
	return err
}

// checkFolds goes through all run streams, one event in memory at a time. A run's
// row comes with the event at which it says that the stream stands, and what its
// fold begins with, when events were removed or erased, with the events there.
func checkFolds(v *verifier) error {
	rows, err := v.tx.QueryContext(v.ctx, `SELECT e.*, r.state, r.task, r.status, r.workspace, b.sequence,
		CASE WHEN e.sequence = b.sequence OR e.sequence = b.sequence + 1 THEN b.state END
		FROM (SELECT `+eventColumns+` FROM `+v.d.allEvents+`) e
		LEFT JOIN runs r ON r.id = e.stream AND r.sequence = e.sequence LEFT JOIN baselines b ON b.stream = e.stream
		WHERE e.stream LIKE $1 ESCAPE '\' ORDER BY e.stream, e.sequence`, likePattern(runPrefix+"*"))
	if err != nil {
		return err
	}
	defer rows.Close()
	f := folder{v: v}
	for rows.Next() {
		var row runRow
		e, err := scanEvent(withRun{rows, &row})
		if err != nil {
			return err
		}
		if err := f.next(e, row); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return f.end()
}

// folder folds one stream after the other.
type folder struct {
	v        *verifier
	stream   mgx.StreamID
	position int64
	run      *mgx.Run
	row      runRow
	spoilt   bool // a problem of this stream is known
}

func (f *folder) next(e mgx.Event, row runRow) error {
	if e.Stream != f.stream {
		if err := f.end(); err != nil {
			return err
		}
		*f = folder{v: f.v, stream: e.Stream}
	}
	if f.spoilt {
		return nil
	}
	if e.Position <= f.position {
		return f.spoil("stream %s is out of order at position %d", e.Stream, e.Position)
	}
	f.position, f.row = e.Position, row
	if row.base.Valid && f.run == nil && row.baseState.Valid {
		f.run = new(mgx.Run)
		if err := json.Unmarshal([]byte(row.baseState.String), f.run); err != nil {
			return f.spoil("what the fold of run %s begins with does not decode", e.Stream)
		}
	}
	if row.base.Valid && e.Sequence <= row.base.Int64 {
		return nil // it is in the state already
	}
	var err error
	if f.run, err = fold(f.run, e); err != nil {
		return f.spoil("event %s does not fold: %v", e.ID, err)
	}
	return nil
}

func (f *folder) spoil(format string, args ...any) error {
	f.spoilt = true
	return f.v.note(f.v.broken(format, args...))
}

func (f *folder) end() error {
	if f.stream == "" || f.spoilt {
		return nil
	}
	if f.run == nil {
		return f.v.note(f.v.broken("what the fold of run %s begins with is missing", f.stream))
	}
	return f.v.note(f.v.sameRow(f.run, f.row))
}

// runRow is a run's row, the state and the columns to search by, and where its
// fold begins.
type runRow struct {
	state, task, status, workspace sql.NullString

	base      sql.NullInt64
	baseState sql.NullString
}

// withRun scans an event and the run's row beside it.
type withRun struct {
	rows *sql.Rows
	run  *runRow
}

func (w withRun) Scan(dest ...any) error {
	return w.rows.Scan(append(dest, &w.run.state, &w.run.task, &w.run.status, &w.run.workspace, &w.run.base, &w.run.baseState)...)
}

// sameRow compares a finished fold with the stored row and its search columns.
func (v *verifier) sameRow(run *mgx.Run, row runRow) error {
	if !row.state.Valid {
		return v.broken("run %s has events but no row that stands at the last of them", run.ID)
	}
	var stored mgx.Run
	if err := json.NewDecoder(strings.NewReader(row.state.String)).Decode(&stored); err != nil {
		return v.broken("the row of run %s does not decode", run.ID)
	}
	if mustJSON(stored) != mustJSON(run) || row.task.String != string(run.Task.ID) || row.status.String != string(run.Status) || row.workspace.String != string(run.Workspace) {
		return v.broken("the row of run %s is not the fold of its events", run.ID)
	}
	return nil
}
