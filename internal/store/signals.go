package store

import (
	"context"
	"database/sql"
	"slices"

	"mgx"
)

// signal queues a signal, once per id, and makes an execution that waits for
// its name due. One for an execution that has ended is kept and never read.
func (t *tx) signal(g mgx.Signal) error {
	e, err := t.execution(g.Execution)
	if err != nil {
		return err
	}
	queued, err := t.exec(`INSERT INTO signals (id, workspace, execution, name, payload, sent_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING`,
		string(g.ID), string(e.Workspace), string(g.Execution), g.Name, text(g.Payload), g.SentAt.UnixMicro())
	if err != nil || queued == 0 {
		return err
	}
	if e.Status == mgx.ExecWaiting && slices.Contains(e.Awaits, g.Name) {
		err = t.wake(g.Execution)
	}
	return err
}

// signalled reports whether a signal with one of the names is queued.
func (t *tx) signalled(id mgx.ExecutionID, names []string) (bool, error) {
	for _, name := range names {
		var one int
		found, err := t.row(`SELECT 1 FROM signals WHERE execution = $1 AND name = $2 AND taken_at IS NULL LIMIT 1`, []any{string(id), name}, &one)
		if err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// consume takes a signal, which can be done once.
func (t *tx) consume(id mgx.SignalID) error {
	taken, err := t.exec(`UPDATE signals SET taken_at = $1 WHERE id = $2 AND taken_at IS NULL`, t.now.UnixMicro(), string(id))
	if err == nil && taken == 0 {
		err = mgx.Errorf(mgx.KindInternal, mgx.CodeConflict, "signal %s is not queued: it was taken, or never sent", id)
	}
	return err
}

func scanSignal(row scanner) (g mgx.Signal, err error) {
	var payload sql.NullString
	var sent sql.NullInt64
	err = row.Scan(&g.ID, &g.Execution, &g.Name, &payload, &sent)
	g.Payload, g.SentAt = fromText(payload), fromMicros(sent)
	return g, err
}

// Signals returns the queued signals of an execution with this name that no
// step has taken, oldest first.
func (s *Store) Signals(ctx context.Context, id mgx.ExecutionID, name string) ([]mgx.Signal, error) {
	return list(ctx, s, scanSignal, `SELECT id, execution, name, payload, sent_at FROM signals WHERE execution = $1 AND name = $2 AND taken_at IS NULL ORDER BY sent_at, id`,
		string(id), name)
}
