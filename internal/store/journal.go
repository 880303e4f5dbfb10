package store

import (
	"context"
	"database/sql"

	"mgx"
)

const stepColumns = `execution, ord, name, kind, input, output, failure, attempts, sequence, started_at, recorded_at`

// record stores a step's result as the next of its execution's journal.
func (t *tx) record(r mgx.StepRecord) (mgx.StepRecord, error) {
	p, err := t.place(r.Execution)
	if err != nil {
		return r, err
	}
	if r.Sequence, err = t.sequence(p.run); err != nil {
		return r, err
	}
	if _, err = t.row(`SELECT COALESCE(MAX(ord), 0) + 1 FROM steps WHERE execution = $1`, []any{string(r.Execution)}, &r.Order); err != nil {
		return r, err
	}
	output, failure := text(r.Output), failureText(r.Failure)
	stored, err := t.exec(`INSERT INTO steps (workspace, `+stepColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (execution, name) DO NOTHING`,
		string(p.workspace), string(r.Execution), r.Order, r.Name, string(r.Kind), r.Input, output, failure,
		r.Attempts, r.Sequence, micros(r.StartedAt), micros(r.RecordedAt))
	if err == nil && stored == 0 {
		err = mgx.Errorf(mgx.KindInternal, mgx.CodeAlreadyRecorded, "step %q of execution %s has a record already", r.Name, r.Execution)
	}
	if err == nil {
		t.keeps(p.run, lengthOf(r.Input, output, failure))
	}
	return r, err
}

// sequence is where a run's stream stands; 0 for executions outside a run.
func (t *tx) sequence(run mgx.RunID) (int64, error) {
	if run == "" {
		return 0, nil
	}
	h, err := t.head(mgx.StreamID(run))
	return h.sequence, err
}

func scanStep(row scanner) (r mgx.StepRecord, err error) {
	var output, failure sql.NullString
	var started, recorded sql.NullInt64
	err = row.Scan(&r.Execution, &r.Order, &r.Name, &r.Kind, &r.Input, &output, &failure, &r.Attempts, &r.Sequence, &started, &recorded)
	if err != nil {
		return r, err
	}
	r.Output, r.StartedAt, r.RecordedAt = fromText(output), fromMicros(started), fromMicros(recorded)
	r.Failure, err = fromFailure(failure)
	return r, err
}

// Journal returns the recorded steps of an execution, in order.
func (s *Store) Journal(ctx context.Context, id mgx.ExecutionID) ([]mgx.StepRecord, error) {
	return list(ctx, s, scanStep, `SELECT `+stepColumns+` FROM steps WHERE execution = $1 ORDER BY ord`, string(id))
}
