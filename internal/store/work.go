package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"time"

	"mgx"
)

// Lists of work: of one workspace, newest first, a page at a time. What a page
// holds is found in an index first, and only then read: a run's state is long.

// runs adds the conditions of a run's row but that on its status.
func (w *where) runs(f mgx.RunFilter, s *search, d *dialect) {
	w.is("workspace =", string(f.Workspace))
	if f.Task != "" {
		w.is("task =", string(f.Task))
	}
	w.rooted("project", string(f.Project))
	w.rooted("user_id", string(f.User))
	if s != nil {
		w.found("runs.task", *s, d)
	}
}

// rooted narrows runs by a column of their root execution.
func (w *where) rooted(column, value string) {
	if value != "" {
		w.conds = append(w.conds, `id IN (SELECT run FROM executions WHERE workspace = $1 AND parent = '' AND run <> '' AND `+column+` = `+w.arg(value)+`)`)
	}
}

// jsonText is text as it stands within a JSON string.
func jsonText(s string) string {
	quoted, err := json.Marshal(s)
	if err != nil {
		return s
	}
	return string(quoted[1 : len(quoted)-1])
}

// runPage selects the ids of a page of runs. Each of several statuses has a page of
// its own, out of its index, of which the newest make the page.
func (w *where) runPage(f mgx.RunFilter, s *search, d *dialect, after mgx.RunID, limit int) string {
	w.runs(f, s, d)
	if after != "" {
		w.is("id <", string(after))
	}
	most := w.arg(bounded(limit, MaxListed))
	page := func(status string) string {
		return `SELECT id FROM runs` + w.String() + status + ` ORDER BY id DESC LIMIT ` + most
	}
	if len(f.Statuses) == 0 {
		return page("")
	}
	parts := make([]string, len(f.Statuses))
	for i, s := range f.Statuses {
		parts[i] = `SELECT id FROM (` + page(` AND status = `+w.arg(string(s))) + `) s` + itoa(int64(i))
	}
	return `SELECT id FROM (` + strings.Join(parts, ` UNION ALL `) + `) page ORDER BY id DESC LIMIT ` + most
}

const runInfo = `SELECT r.state, r.asked_at, COALESCE(x.project, ''), COALESCE(x.user_id, '') FROM runs r LEFT JOIN executions x ON x.run = r.id AND x.run <> '' AND x.parent = '' `

func (s *Store) scanRunInfo(row scanner) (r mgx.RunInfo, err error) {
	var state string
	var asked sql.NullInt64
	if err := row.Scan(&state, &asked, &r.Project, &r.User); err != nil {
		return r, err
	}
	r.AskedAt = fromMicros(asked)
	run, err := s.decoded.run(state)
	if err != nil {
		return r, err
	}
	r.Run = *run
	return r, nil
}

// RunInfo returns one run of a workspace (CodeNotFound).
func (s *Store) RunInfo(ctx context.Context, ws mgx.WorkspaceID, id mgx.RunID) (mgx.RunInfo, error) {
	r, found, err := one(ctx, s, s.scanRunInfo, runInfo+`WHERE r.workspace = $1 AND r.id = $2`, string(ws), string(id))
	if err == nil && !found {
		err = noRun(string(id))
	}
	return r, err
}

// RunInfos lists runs, newest first, after one: the last of the page before. It
// lists at most MaxListed, which is also what a limit of 0 means.
func (s *Store) RunInfos(ctx context.Context, f mgx.RunFilter, after mgx.RunID, limit int) ([]mgx.RunInfo, error) {
	var words *search
	if f.Text != "" {
		found, none, err := s.find(ctx, f.Workspace, f.Text)
		if err != nil || none {
			return nil, err
		}
		words = &found
	}
	w := &where{}
	page := w.runPage(f, words, s.dialect, after, limit)
	room := make([]mgx.RunInfo, 0, min(bounded(limit, MaxListed), usualPage))
	return fill(ctx, s, room, s.scanRunInfo, runInfo+`WHERE r.id IN (`+page+`) ORDER BY r.id DESC`, w.args...)
}

// usualPage is for how many runs there is room at once. One takes a kilobyte, which
// growing copies.
const usualPage = 51

// AskedRuns lists runs that wait for a person, the longest first, after one of
// which since when it waits is known.
func (s *Store) AskedRuns(ctx context.Context, ws mgx.WorkspaceID, since time.Time, after mgx.RunID, limit int) ([]mgx.RunInfo, error) {
	w := &where{}
	w.is("r.workspace =", string(ws))
	w.conds = append(w.conds, "r.asked_at IS NOT NULL")
	if after != "" {
		at := w.arg(since.UnixMicro())
		w.conds = append(w.conds, `(r.asked_at > `+at+` OR r.asked_at = `+at+` AND r.id > `+w.arg(string(after))+`)`)
	}
	return list(ctx, s, s.scanRunInfo, runInfo+strings.TrimPrefix(w.String(), " ")+` ORDER BY r.asked_at, r.id LIMIT `+w.arg(bounded(limit, MaxListed)), w.args...)
}

func scanTask(row scanner) (t mgx.Task, err error) {
	var data string
	var at int64
	if err := row.Scan(&t.Workspace, &data, &at); err != nil {
		return t, err
	}
	t.CreatedAt = fromTime(at)
	if err := json.Unmarshal([]byte(data), &t.TaskInfo); err != nil {
		return t, badRow("task", err)
	}
	return t, nil
}

// Task returns one task of a workspace (CodeNotFound).
func (s *Store) Task(ctx context.Context, ws mgx.WorkspaceID, id mgx.TaskID) (mgx.Task, error) {
	t, found, err := get(ctx, s, scanTask, `SELECT workspace, data, created_at FROM tasks WHERE workspace = $1 AND id = $2`, string(ws), string(id))
	if err == nil && !found {
		err = mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no task %s", id)
	}
	return t, err
}

// Tasks lists tasks, newest first, after one; with words those that have them.
func (s *Store) Tasks(ctx context.Context, ws mgx.WorkspaceID, words string, after mgx.TaskID, limit int) ([]mgx.Task, error) {
	w := &where{}
	w.is("workspace =", string(ws))
	if words != "" {
		found, none, err := s.find(ctx, ws, words)
		if err != nil || none {
			return nil, err
		}
		w.found("tasks.id", found, s.dialect)
	}
	if after != "" {
		w.is("id <", string(after))
	}
	return list(ctx, s, scanTask, `SELECT workspace, data, created_at FROM tasks`+w.String()+` ORDER BY id DESC LIMIT `+w.arg(bounded(limit, MaxListed)), w.args...)
}

// ListExecutions lists executions, newest first, after one: the last of the page
// before, by when it was made and its id.
func (s *Store) ListExecutions(ctx context.Context, f mgx.ExecutionFilter, made time.Time, after mgx.ExecutionID, limit int) ([]mgx.Execution, error) {
	w := &where{}
	w.is("workspace =", string(f.Workspace))
	if f.Run != "" {
		w.is("run =", string(f.Run))
	}
	if f.Parent != "" {
		w.is("parent =", string(f.Parent))
	}
	in(w, "status", f.Statuses)
	if after != "" {
		at := w.arg(made.UnixMicro())
		w.conds = append(w.conds, `(created_at < `+at+` OR created_at = `+at+` AND id < `+w.arg(string(after))+`)`)
	}
	return list(ctx, s, scanExecution, `SELECT `+executionColumns+` FROM executions`+w.String()+` ORDER BY created_at DESC, id DESC LIMIT `+w.arg(bounded(limit, MaxListed)), w.args...)
}

// DueRuns lists runs that can go on at a time by themselves, of every workspace
// as many as most, those first that could for the longest. Work that is leased can
// from the end of its lease; whoever knows that its owner is gone knows more. Where a
// workspace has a quota of runs at once, of those that nobody works on only as many as
// there is room for.
func (s *Store) DueRuns(ctx context.Context, now time.Time, most int) ([]mgx.DueRun, error) {
	return list(ctx, s, func(row scanner) (d mgx.DueRun, err error) {
		var at int64
		err = row.Scan(&d.Workspace, &d.Run, &at)
		d.Since = fromTime(at)
		return d, err
	}, `SELECT workspace, run, since FROM (
			SELECT workspace, run, since, held, ROW_NUMBER() OVER (PARTITION BY workspace, held ORDER BY since, run) AS nth FROM (
				SELECT workspace, run, MIN(wake_at) AS since, MAX(CASE WHEN owner <> '' AND lease_until > $1 THEN 1 ELSE 0 END) AS held
				FROM executions WHERE status IN ('ready', 'waiting') AND wake_at <= $1 AND run <> '' GROUP BY workspace, run
			) due
		) turns WHERE nth <= $2 AND (held = 1 OR nth <= COALESCE((SELECT CAST(value AS BIGINT) FROM settings q WHERE q.workspace = turns.workspace AND q.name = '`+quotaPrefix+string(mgx.QuotaRunsAtOnce)+`')
			- (SELECT COUNT(DISTINCT run) FROM executions x WHERE x.workspace = turns.workspace AND x.run <> '' AND x.owner <> '' AND x.lease_until > $1 AND x.status IN ('ready', 'waiting')), $2))
		ORDER BY since, run`, now.UnixMicro(), most)
}

// StreamAfter returns events of a stream after a sequence, in order.
func (s *Store) StreamAfter(ctx context.Context, stream mgx.StreamID, sequence int64, limit int) ([]mgx.Event, error) {
	return s.Events(ctx, EventQuery{Stream: stream, AfterSequence: sequence, Limit: limit})
}
