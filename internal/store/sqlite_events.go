package store

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"mgx"
)

// packedColumns are eventColumns with all short texts in one, a zero byte between two
// of them, which no text has: a column takes the driver more than a text takes SQLite.
const packedColumns = `position, sequence, time, data, concat_ws(char(0), id, workspace, stream, type, version, project, task, run, agent, execution, correlation, causation, traceparent)`

func (d *sqliteFile) events(ctx context.Context, from string, args []any, take func(mgx.Event) bool) error {
	rows, err := d.reads.query(ctx, `SELECT `+packedColumns+from, args)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scanPacked(rows)
		if err != nil || !take(e) {
			return err
		}
	}
	return rows.Err()
}

func scanPacked(row scanner) (mgx.Event, error) {
	var position, sequence, at int64
	var data, packed string
	if err := row.Scan(&position, &sequence, &at, &data, &packed); err != nil {
		return mgx.Event{}, err
	}
	next := func() (text string) {
		text, packed, _ = strings.Cut(packed, "\x00")
		return text
	}
	e := mgx.Event{
		Position: position, Sequence: sequence, Time: time.UnixMicro(at).UTC(), Data: json.RawMessage(data),
		ID: mgx.EventID(next()), Workspace: mgx.WorkspaceID(next()), Stream: mgx.StreamID(next()), Type: mgx.EventType(next()), Version: next(),
		Project: mgx.ProjectID(next()), Task: mgx.TaskID(next()), Run: mgx.RunID(next()), Agent: mgx.AgentID(next()), Execution: mgx.ExecutionID(next()),
		Correlation: next(), Causation: mgx.EventID(next()), Traceparent: next(),
	}
	if packed != "" {
		return e, badRow("event", errors.New("a text of its holds a zero byte"))
	}
	return e, nil
}
