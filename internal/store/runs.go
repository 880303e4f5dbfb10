package store

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"mgx"
)

// run reads a run's row inside the transaction.
func (t *tx) run(id mgx.RunID) (*mgx.Run, error) {
	var state string
	found, err := t.row(`SELECT state FROM runs WHERE id = $1`, []any{string(id)}, &state)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, mgx.Errorf(mgx.KindConfig, CodeCorrupt, "run %s has events but no row; restore a backup", id)
	}
	return decodeRun(state)
}

func decodeRun(state string) (*mgx.Run, error) {
	var r mgx.Run
	if err := json.Unmarshal([]byte(state), &r); err != nil {
		return nil, badRow("run", err)
	}
	return &r, nil
}

// saveRuns writes the rows of the runs that this transaction has moved, once
// each however many events it appended.
func (t *tx) saveRuns() error {
	slices.Sort(t.log.unsaved) // everybody's rows in one order
	for _, id := range t.log.unsaved {
		h := t.log.heads[id]
		var err error
		switch {
		case h.unsaved:
			err = t.saveRun(h.run, h.added)
		case h.added != 0:
			err = t.put(`UPDATE runs SET stored = stored + $1 WHERE id = $2`, h.added, string(id))
		default:
			continue // the change that moved it was undone
		}
		if err != nil {
			return err
		}
		t.sums.add(h.workspace, h.added)
		h.unsaved, h.added = false, 0
		t.log.heads[id] = h
	}
	t.log.unsaved = t.log.unsaved[:0]
	return nil
}

func (t *tx) saveRun(r *mgx.Run, added int64) error {
	var asked any // since when it waits for a person
	if len(r.Pending()) > 0 {
		asked = r.UpdatedAt.UnixMicro()
	}
	return t.put(`INSERT INTO runs (id, workspace, task, status, sequence, created_at, updated_at, state, asked_at, stored, attached) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (id) DO UPDATE SET task = excluded.task, status = excluded.status, sequence = excluded.sequence, updated_at = excluded.updated_at, state = excluded.state,
		asked_at = CASE WHEN excluded.asked_at IS NULL THEN NULL ELSE COALESCE(runs.asked_at, excluded.asked_at) END,
		stored = runs.stored + excluded.stored, attached = excluded.attached`,
		string(r.ID), string(r.Workspace), string(r.Task.ID), string(r.Status), r.Sequence, r.CreatedAt.UnixMicro(), r.UpdatedAt.UnixMicro(), mustJSON(r), asked, added, attached(r))
}

func scanRun(row scanner) (r mgx.Run, err error) {
	var state string
	if err := row.Scan(&state); err != nil {
		return r, err
	}
	if err := json.Unmarshal([]byte(state), &r); err != nil {
		return r, badRow("run", err)
	}
	return r, nil
}

// Run returns one run of a workspace.
func (s *Store) Run(ctx context.Context, ws mgx.WorkspaceID, id mgx.RunID) (mgx.Run, error) {
	r, found, err := get(ctx, s, scanRun, `SELECT state FROM runs WHERE workspace = $1 AND id = $2`, string(ws), string(id))
	if err == nil && !found {
		err = noRun(string(id))
	}
	return r, err
}

// FindRun returns the run that a person means: its id, or a part from the
// beginning or the end of it that only one run has. The prefix "run_" may be
// left out and letters may be of either case.
func (s *Store) FindRun(ctx context.Context, ws mgx.WorkspaceID, part string) (mgx.Run, error) {
	asked := strings.TrimSpace(part)
	part = strings.ToUpper(asked)
	part = strings.TrimPrefix(part, strings.ToUpper(runPrefix))
	if part == "" {
		return mgx.Run{}, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "name a run by its id, or by the beginning or end of it")
	}
	runs, err := list(ctx, s, scanRun, `SELECT state FROM runs WHERE workspace = $1
		AND (UPPER(id) = $2 || $3 OR UPPER(id) LIKE $2 || $4 ESCAPE '\' OR UPPER(id) LIKE $5 ESCAPE '\')
		ORDER BY UPPER(id) = $2 || $3 DESC, id DESC LIMIT 6`,
		string(ws), strings.ToUpper(runPrefix), part, likeText(part)+"%", "%"+likeText(part))
	switch {
	case err != nil:
		return mgx.Run{}, err
	case len(runs) == 0:
		return mgx.Run{}, noRun(asked)
	case len(runs) > 1 && !strings.EqualFold(string(runs[0].ID), runPrefix+part):
		return mgx.Run{}, ambiguous(part, runs)
	}
	return runs[0], nil
}

func noRun(id string) error {
	return mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no run %s; `mgx runs` lists them", id)
}

func ambiguous(part string, runs []mgx.Run) error {
	ids := make([]string, 0, len(runs))
	for _, r := range runs[:min(len(runs), 5)] {
		ids = append(ids, string(r.ID))
	}
	if len(runs) > 5 {
		ids = append(ids, "…")
	}
	return mgx.Errorf(mgx.KindUsage, "ambiguous_run", "%s is more than one run: %s; give more of the id", part, strings.Join(ids, ", "))
}

// RunQuery selects runs of a workspace.
type RunQuery struct {
	Workspace mgx.WorkspaceID
	Statuses  []mgx.RunStatus // any of these; none: all
	Before    mgx.RunID       // only runs older than this one: the last of the page before
	Limit     int             // at most MaxListed, which is also what 0 means
}

// Runs lists runs, newest first.
func (s *Store) Runs(ctx context.Context, q RunQuery) ([]mgx.Run, error) {
	w := &where{}
	w.is("workspace =", string(q.Workspace))
	in(w, "status", q.Statuses)
	if q.Before != "" {
		w.is("id <", string(q.Before))
	}
	return list(ctx, s, scanRun, `SELECT state FROM runs`+w.String()+` ORDER BY id DESC LIMIT `+w.arg(bounded(q.Limit, MaxListed)), w.args...)
}
