package store

import (
	"context"
	"database/sql"
	"time"

	"mgx"
)

// Subject is whose words are to be erased: a task with all its runs, or a run.
type Subject struct {
	Workspace mgx.WorkspaceID `json:"workspace_id"`
	Task      mgx.TaskID      `json:"task_id,omitempty"`
	Run       mgx.RunID       `json:"run_id,omitempty"` // if set, this run alone
}

// Erasure is what would go, or has gone.
type Erasure struct {
	Task   mgx.TaskID `json:"task_id,omitempty"` // empty: other runs of the task stay, and so does it
	Runs   []mgx.Run  `json:"-"`
	Forks  []mgx.Run  `json:"-"` // that took over a part of these runs and stay
	Events int64      `json:"events"`
}

// PlanErasure says what Erase would erase. A run that is the only one of its
// task takes the task with it.
func (s *Store) PlanErasure(ctx context.Context, subject Subject) (Erasure, error) {
	ctx = mgx.ForInstallation(ctx)
	var plan Erasure
	if subject.Run != "" {
		run, err := s.Run(ctx, subject.Workspace, subject.Run)
		if err != nil {
			return plan, err
		}
		subject.Task = run.Task.ID
	}
	all, err := list(ctx, s, scanRun, `SELECT state FROM runs WHERE workspace = $1 AND task = $2 ORDER BY id`, string(subject.Workspace), string(subject.Task))
	if err != nil {
		return plan, err
	}
	going := map[mgx.RunID]bool{}
	for _, run := range all {
		if subject.Run == "" || run.ID == subject.Run {
			plan.Runs, going[run.ID] = append(plan.Runs, run), true
		}
	}
	for _, run := range all {
		if !going[run.ID] && going[run.ForkOf] {
			plan.Forks = append(plan.Forks, run)
		}
	}
	if len(plan.Runs) == len(all) {
		plan.Task = subject.Task
	}
	if err := s.mayErase(ctx, subject, plan); err != nil {
		return plan, err
	}
	return plan, each(plan.streams(), func(id mgx.StreamID) error {
		n, err := s.wordsIn(ctx, id)
		plan.Events += n
		return err
	})
}

// streams are those that lose the words of what is erased.
func (e Erasure) streams() (all []mgx.StreamID) {
	for _, run := range e.Runs {
		all = append(all, mgx.StreamID(run.ID))
	}
	if e.Task != "" {
		all = append(all, mgx.StreamID(e.Task))
	}
	return all
}

// wordsIn counts the events that an erasure of a stream takes the data of.
func (s *Store) wordsIn(ctx context.Context, id mgx.StreamID) (int64, error) {
	n, _, err := get(ctx, s, scanCount, `SELECT COUNT(*) FROM events WHERE (run = $1 OR stream = $1) AND data <> $2 AND type <> $3 AND type NOT LIKE 'billing.%'`,
		string(id), string(mgx.Tombstone), string(mgx.DataErased))
	return n, err
}

// mayErase refuses what is not there, and what is still at work.
func (s *Store) mayErase(ctx context.Context, subject Subject, plan Erasure) error {
	if len(plan.Runs) == 0 {
		n, _, err := get(ctx, s, scanCount, `SELECT COUNT(*) FROM tasks WHERE workspace = $1 AND id = $2`, string(subject.Workspace), string(subject.Task))
		if err == nil && n == 0 {
			err = mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no task %s", subject.Task)
		}
		return err
	}
	for _, run := range plan.Runs {
		n, _, err := get(ctx, s, scanCount, `SELECT COUNT(*) FROM executions WHERE run = $1 AND status IN ('ready', 'waiting')`, string(run.ID))
		if err != nil {
			return err
		}
		if !run.Status.Ended() || n > 0 {
			return mgx.Errorf(mgx.KindUsage, "run_not_ended", "run %s has not ended; stop it first: mgx cancel %s", run.ID, run.ID)
		}
	}
	return nil
}

func scanCount(row scanner) (n int64, err error) { return n, row.Scan(&n) }

// Erase takes the words of a subject out of the database for good: the data of
// its events, what its journals, signals and executions hold, the states of its
// runs, and what endpoints answered when its events were sent to them. What says
// nothing stays: ids, sequences, positions, types, times, counts and money. The
// events say that and when it was done. It may be called again, and then goes on
// where it was interrupted.
//
// Files of runs are the caller's to remove; earlier backups and delivered
// branches are out of its reach.
func (s *Store) Erase(ctx context.Context, subject Subject, by string) (Erasure, error) {
	ctx = mgx.ForInstallation(ctx)
	plan, err := s.eraseSubject(ctx, subject, by)
	if err != nil {
		return plan, err
	}
	return plan, s.scrub(ctx)
}

// eraseSubject does that, and leaves where the database keeps its rows to scrub.
func (s *Store) eraseSubject(ctx context.Context, subject Subject, by string) (Erasure, error) {
	plan, err := s.PlanErasure(ctx, subject)
	if err != nil {
		return plan, err
	}
	plan.Events = 0 // they are counted as they go
	for _, run := range plan.Runs {
		scope := mgx.Scope{Workspace: run.Workspace, Task: run.Task.ID, Run: run.ID, Execution: run.Execution}
		told := !run.ErasedAt.IsZero()
		if err := s.erase(ctx, scope.Event(mgx.DataErased, nil), told, by, &plan, func(t *tx) error { return t.eraseRun(run.ID) }); err != nil {
			return plan, err
		}
	}
	if plan.Task != "" {
		told, _, err := get(ctx, s, scanCount, `SELECT COUNT(*) FROM events WHERE stream = $1 AND type = $2`, string(plan.Task), string(mgx.DataErased))
		if err != nil {
			return plan, err
		}
		e := mgx.NewEvent(mgx.DataErased, nil)
		e.Workspace, e.Task, e.Stream = subject.Workspace, plan.Task, mgx.StreamID(plan.Task)
		if err := s.erase(ctx, e, told > 0, by, &plan, func(t *tx) error { return t.eraseTask(plan.Task) }); err != nil {
			return plan, err
		}
	}
	return plan, nil
}

// erase records that a stream is erased before it is, unless that was recorded
// when it was interrupted.
func (s *Store) erase(ctx context.Context, e mgx.Event, told bool, by string, plan *Erasure, do func(*tx) error) error {
	n, err := s.wordsIn(ctx, e.Stream)
	if err != nil {
		return err
	}
	plan.Events += n
	if !told {
		e.Data = []byte(mustJSON(mgx.DataErasedData{Subject: string(e.Stream), By: by, Events: n}))
		act := mgx.NewAudit(e.Workspace, mgx.AuditData{Actor: by, Action: "subject.erase", Resource: string(e.Stream), Decision: mgx.AuditAllowed})
		if _, err := s.Commit(ctx, mgx.Change{Events: []mgx.Event{e, act}}); err != nil {
			return err
		}
	}
	if s.opts.ReadOnly {
		return readOnly(s.name)
	}
	held := mgx.Change{Expect: []mgx.StreamVersion{{Stream: e.Stream}}} // nobody appends meanwhile
	return s.explain(s.do(ctx, &held, do))
}

// eraseRun erases a run and begins its fold anew with what is left of its row.
func (t *tx) eraseRun(id mgx.RunID) error {
	stream := mgx.StreamID(id)
	h, err := t.head(stream)
	if err != nil || h.run == nil {
		return err
	}
	b, err := t.lockBaseline(stream, h.workspace)
	if err != nil {
		return err
	}
	if err := t.eraseRows("run", string(id)); err != nil {
		return err
	}
	bare := h.run.WithoutWords()
	b.workspace, b.sequence, b.run = h.workspace, h.sequence, &bare
	if err := t.saveBaseline(stream, b); err != nil {
		return err
	}
	if h.added, err = t.recount(id); err != nil {
		return err
	}
	h.run, h.unsaved = &bare, true
	t.log.set(stream, h)
	return nil
}

func (t *tx) eraseTask(id mgx.TaskID) error {
	if err := t.eraseRows("task", string(id)); err != nil {
		return err
	}
	if _, err := t.exec(`DELETE FROM task_words WHERE task = $1`, string(id)); err != nil {
		return err
	}
	bare := mgx.TaskInfo{ID: id, Title: "erased"}
	var ws mgx.WorkspaceID
	if found, err := t.row(`UPDATE tasks SET data = $1 WHERE id = $2 RETURNING workspace`, []any{mustJSON(bare), string(id)}, &ws); err != nil || !found {
		return err
	}
	return t.indexTask(ws, bare)
}

// erasedFailure stands for a recorded error.
var erasedFailure = mustJSON(mgx.Errorf(mgx.KindInternal, mgx.CodeErased, "what happened was erased"))

// eraseRows takes the words out of all rows that hang on a run or a task, which
// column names.
func (t *tx) eraseRows(column, id string) error {
	logs := []string{"events"}
	if !t.d.numbers {
		logs = append(logs, "outbox")
	}
	tombstone := string(mgx.Tombstone)
	for _, name := range logs {
		_, err := t.exec(`UPDATE `+name+` SET data = $1 WHERE (`+column+` = $2 OR stream = $2) AND type <> $3 AND type NOT LIKE 'billing.%' AND data <> $1`, tombstone, id, string(mgx.DataErased))
		if err != nil {
			return err
		}
	}
	if err := t.eraseJournals(column+` = $1`, id); err != nil {
		return err
	}
	for _, query := range answers {
		if _, err := t.exec(query+`event IN (SELECT id FROM events WHERE `+column+` = $1 OR stream = $1)`, id); err != nil {
			return err
		}
	}
	_, err := t.exec(`UPDATE kept_answers SET status = 0, body = '' WHERE made = $1 OR body LIKE '%"' || $1 || '"%'`, id)
	return err
}

// eraseJournals takes the words out of what executions hold, those that are wanted.
func (t *tx) eraseJournals(wanted, id string) error {
	tombstone := string(mgx.Tombstone)
	mine := `(SELECT id FROM executions WHERE ` + wanted + `)`
	for _, s := range []struct {
		query string
		args  []any
	}{
		{`UPDATE steps SET output = CASE WHEN output IS NOT NULL THEN $2 END, failure = CASE WHEN failure IS NOT NULL THEN $3 END WHERE execution IN ` + mine, []any{tombstone, erasedFailure}},
		{`UPDATE signals SET payload = $2 WHERE payload IS NOT NULL AND execution IN ` + mine, []any{tombstone}},
		{`UPDATE executions SET input = CASE WHEN input IS NOT NULL THEN $2 END, result = CASE WHEN result IS NOT NULL THEN $2 END,
			failure = CASE WHEN failure IS NOT NULL THEN $3 END, awaits = NULL, cancel_why = CASE WHEN cancel_why <> '' THEN 'erased' ELSE '' END WHERE ` + wanted, []any{tombstone, erasedFailure}},
	} {
		if _, err := t.exec(s.query, append([]any{id}, s.args...)...); err != nil {
			return err
		}
	}
	return nil
}

// scrubbed are the tables that erasing changes.
const scrubbed = `events, steps, signals, executions, runs, tasks, task_words, baselines, webhook_deliveries, webhook_attempts, consumers, consumer_dead,
	users, identities, members, sessions, session_tokens, api_keys, invitations, workspaces, roles, webhooks, webhook_secrets, secrets, workspace_keys,
	projects, project_settings, settings, budgets, budget_periods, revisions, kept_answers`

// scrub takes what was erased out of where the database keeps its rows, too.
func (s *Store) scrub(ctx context.Context) error {
	s.opts.sums.forget()
	switch d := s.driver.(type) {
	case *sqliteFile:
		return s.explain(d.scrub(ctx))
	case *server:
		_, err := d.db.ExecContext(ctx, `VACUUM `+scrubbed)
		return s.explain(err)
	}
	return nil
}

// scrubWait is how long readers are waited for.
const scrubWait = 5 * time.Second

// scrub writes the whole file anew: SQLite leaves the bytes of earlier rows in
// pages that are free or half full, and in its log.
func (d *sqliteFile) scrub(ctx context.Context) error {
	db, err := sql.Open("sqlite", dsn(d.path, "mode=rw"))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	// The index keeps what was deleted until it is merged; made anew it has nothing of it.
	if _, err := db.ExecContext(ctx, `INSERT INTO task_index (task_index) VALUES ('rebuild')`); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, `VACUUM`); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, `PRAGMA busy_timeout = `+itoa(scrubWait.Milliseconds())); err != nil {
		return err
	}
	var busy, pages, moved int64
	if err := db.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &pages, &moved); err != nil {
		return err
	}
	if busy != 0 {
		return mgx.Errorf(mgx.KindConfig, CodeBusy, "everything is erased, but %s-wal holds earlier pages for as long as another process reads; when that is done, run the command again", d.path)
	}
	return nil
}
