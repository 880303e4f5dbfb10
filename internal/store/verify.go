package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"mgx"
)

// Verify reads the whole database and checks what must always hold: the file is
// sound, positions and sequences have no gaps, and every run's row is the fold
// of its stream. It returns the first thing that does not hold (CodeCorrupt).
func (s *Store) Verify(ctx context.Context) error {
	tx, err := s.reads.BeginTx(ctx, &sql.TxOptions{Isolation: s.dialect.snapshot, ReadOnly: true})
	if err != nil {
		return s.explain(err)
	}
	defer tx.Rollback()
	v := &verifier{ctx: ctx, tx: tx, d: s.dialect, name: s.name}
	for _, check := range append(s.dialect.checks, checkPositions, checkSequences, checkStrayRuns, checkFolds) {
		if err := check(v); err != nil {
			return s.explain(err)
		}
	}
	return nil
}

// verifier looks at one moment of the database.
type verifier struct {
	ctx  context.Context
	tx   *sql.Tx
	d    *dialect
	name string
}

func (v *verifier) broken(format string, args ...any) error {
	return mgx.Errorf(mgx.KindConfig, CodeCorrupt, "%s is inconsistent: %s; restore a backup", v.name, fmt.Sprintf(format, args...))
}

func checkFile(v *verifier) error {
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

func checkPositions(v *verifier) error {
	var count, last int64
	if err := v.tx.QueryRowContext(v.ctx, `SELECT COUNT(*), COALESCE(MAX(position), 0) FROM events`).Scan(&count, &last); err != nil {
		return err
	}
	if count != last {
		return v.broken("%d events up to position %d", count, last)
	}
	return nil
}

func checkSequences(v *verifier) error {
	return v.none("stream %s has a gap, or more than one workspace", `SELECT stream FROM `+v.d.allEvents+` GROUP BY stream
		HAVING MIN(sequence) <> 1 OR MAX(sequence) <> COUNT(*) OR COUNT(DISTINCT workspace) <> 1 LIMIT 1`)
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
// row comes with the event at which it says that the stream stands.
func checkFolds(v *verifier) error {
	rows, err := v.tx.QueryContext(v.ctx, `SELECT e.*, r.state, r.task, r.status, r.workspace FROM (SELECT `+eventColumns+` FROM `+v.d.allEvents+`) e
		LEFT JOIN runs r ON r.id = e.stream AND r.sequence = e.sequence
		WHERE e.stream LIKE $1 ESCAPE '\' ORDER BY e.stream, e.sequence`, likePattern(runPrefix+"*"))
	if err != nil {
		return err
	}
	defer rows.Close()
	var run *mgx.Run
	var row runRow
	var position int64
	for rows.Next() {
		var next runRow
		e, err := scanEvent(withRun{rows, &next})
		if err != nil {
			return err
		}
		if e.Sequence == 1 {
			if err := v.sameRow(run, row); err != nil {
				return err
			}
			run, position = nil, 0
		}
		if e.Position <= position {
			return v.broken("stream %s is out of order at position %d", e.Stream, e.Position)
		}
		position, row = e.Position, next
		if run, err = fold(run, e); err != nil {
			return v.broken("event %s does not fold: %v", e.ID, err)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return v.sameRow(run, row)
}

// runRow is a run's row: the state and the columns to search by.
type runRow struct{ state, task, status, workspace sql.NullString }

// withRun scans an event and the run's row beside it.
type withRun struct {
	rows *sql.Rows
	run  *runRow
}

func (w withRun) Scan(dest ...any) error {
	return w.rows.Scan(append(dest, &w.run.state, &w.run.task, &w.run.status, &w.run.workspace)...)
}

// sameRow compares a finished fold with the stored row and its search columns.
func (v *verifier) sameRow(run *mgx.Run, row runRow) error {
	if run == nil {
		return nil
	}
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
