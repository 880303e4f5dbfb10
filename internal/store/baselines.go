package store

import (
	"database/sql"
	"strings"

	"mgx"
)

// baseline is where the fold of a stream begins. Events up to it may have been
// removed or erased; those after it are all there, as they were. The last event
// of a stream always stays, so sequences and positions go on from it and none is
// given out twice.
type baseline struct {
	workspace mgx.WorkspaceID
	sequence  int64
	removed   int64
	position  int64
	run       *mgx.Run // nil for streams that are not folded, and before the first event
}

// lockBaseline reads a stream's baseline and keeps others from changing it until
// the transaction ends, also when there was none.
func (t *tx) lockBaseline(stream mgx.StreamID, ws mgx.WorkspaceID) (b baseline, err error) {
	_, err = t.exec(`INSERT INTO baselines (stream, workspace, sequence, removed, position) VALUES ($1, $2, 0, 0, 0)
		ON CONFLICT (stream) DO UPDATE SET workspace = excluded.workspace`, string(stream), string(ws))
	if err != nil {
		return b, err
	}
	var state sql.NullString
	found, err := t.row(`SELECT workspace, sequence, removed, position, state FROM baselines WHERE stream = $1`, []any{string(stream)},
		&b.workspace, &b.sequence, &b.removed, &b.position, &state)
	if err != nil || !found || !state.Valid {
		return b, err
	}
	r, err := scanRun(textRow(state.String))
	b.run = &r
	return b, err
}

// textRow is a row of one column.
type textRow string

func (s textRow) Scan(dest ...any) error { *dest[0].(*string) = string(s); return nil }

func (t *tx) saveBaseline(stream mgx.StreamID, b baseline) error {
	var state any
	if b.run != nil {
		state = mustJSON(b.run)
	}
	_, err := t.exec(`INSERT INTO baselines (stream, workspace, sequence, removed, position, state) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (stream) DO UPDATE SET sequence = excluded.sequence, removed = excluded.removed, position = excluded.position, state = excluded.state`,
		string(stream), string(b.workspace), b.sequence, b.removed, b.position, state)
	return err
}

// advance folds the events up to a sequence into the baseline.
func (t *tx) advance(stream mgx.StreamID, b *baseline, to int64) error {
	if to <= b.sequence {
		return nil
	}
	if !strings.HasPrefix(string(stream), runPrefix) {
		b.sequence = to
		return nil
	}
	from, err := t.d.logOf(t, stream)
	if err != nil {
		return err
	}
	rows, err := t.conn.QueryContext(t.ctx, `SELECT `+eventColumns+` FROM `+from+` WHERE stream = $1 AND sequence > $2 AND sequence <= $3 ORDER BY sequence`,
		string(stream), b.sequence, to)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scanEvent(rows)
		if err != nil {
			return err
		}
		if b.run, err = fold(b.run, e); err != nil {
			return err
		}
	}
	b.sequence = to
	return rows.Err()
}
