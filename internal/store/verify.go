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
	tx, err := s.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return explain(s.path, err)
	}
	defer tx.Rollback()
	v := verifier{ctx: ctx, tx: tx, path: s.path}
	for _, check := range []func() error{v.file, v.references, v.positions, v.sequences, v.strayRuns, v.folds} {
		if err := check(); err != nil {
			return explain(s.path, err)
		}
	}
	return nil
}

// verifier looks at one moment of the database.
type verifier struct {
	ctx  context.Context
	tx   *sql.Tx
	path string
}

func (v *verifier) broken(format string, args ...any) error {
	return mgx.Errorf(mgx.KindConfig, CodeCorrupt, "%s is inconsistent: %s; restore a backup", v.path, fmt.Sprintf(format, args...))
}

func (v *verifier) file() error {
	var said string
	if err := v.tx.QueryRowContext(v.ctx, `PRAGMA quick_check(1)`).Scan(&said); err != nil {
		return err
	}
	if said != "ok" {
		return v.broken("%s", said)
	}
	return nil
}

func (v *verifier) references() error {
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

func (v *verifier) positions() error {
	var count, last int64
	if err := v.tx.QueryRowContext(v.ctx, `SELECT COUNT(*), COALESCE(MAX(position), 0) FROM events`).Scan(&count, &last); err != nil {
		return err
	}
	if count != last {
		return v.broken("%d events up to position %d", count, last)
	}
	return nil
}

func (v *verifier) sequences() error {
	return v.none("stream %s has a gap, or more than one workspace", `SELECT stream FROM events GROUP BY stream
		HAVING MIN(sequence) <> 1 OR MAX(sequence) <> COUNT(*) OR COUNT(DISTINCT workspace) <> 1 LIMIT 1`)
}

func (v *verifier) strayRuns() error {
	return v.none("run %s has a row but no events", `SELECT id FROM runs WHERE NOT EXISTS (SELECT 1 FROM events WHERE stream = runs.id) LIMIT 1`)
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

// folds goes through all run streams, one event in memory at a time.
func (v *verifier) folds() error {
	rows, err := v.tx.QueryContext(v.ctx, `SELECT `+eventColumns+` FROM events WHERE stream LIKE $1 ESCAPE '\' ORDER BY stream, sequence`, likePattern(runPrefix+"*"))
	if err != nil {
		return err
	}
	defer rows.Close()
	var run *mgx.Run
	var position int64
	for rows.Next() {
		e, err := scanEvent(rows)
		if err != nil {
			return err
		}
		if e.Sequence == 1 {
			if err := v.sameRow(run); err != nil {
				return err
			}
			run, position = nil, 0
		}
		if e.Position <= position {
			return v.broken("stream %s is out of order at position %d", e.Stream, e.Position)
		}
		position = e.Position
		if run, err = fold(run, e); err != nil {
			return v.broken("event %s does not fold: %v", e.ID, err)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return v.sameRow(run)
}

// sameRow compares a finished fold with the stored row and its search columns.
func (v *verifier) sameRow(run *mgx.Run) error {
	if run == nil {
		return nil
	}
	var state string
	var task, status, workspace string
	var sequence int64
	err := v.tx.QueryRowContext(v.ctx, `SELECT state, task, status, workspace, sequence FROM runs WHERE id = $1`, string(run.ID)).Scan(&state, &task, &status, &workspace, &sequence)
	if err == sql.ErrNoRows {
		return v.broken("run %s has events but no row", run.ID)
	}
	if err != nil {
		return err
	}
	var stored mgx.Run
	if err := json.NewDecoder(strings.NewReader(state)).Decode(&stored); err != nil {
		return v.broken("the row of run %s does not decode", run.ID)
	}
	if mustJSON(stored) != mustJSON(run) || task != string(run.Task.ID) || status != string(run.Status) || workspace != string(run.Workspace) || sequence != run.Sequence {
		return v.broken("the row of run %s is not the fold of its events", run.ID)
	}
	return nil
}
