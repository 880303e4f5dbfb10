package store

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"mgx"
)

// tenantRows are the tables whose rows go with their workspace, each with how to
// know them. What hangs on other rows comes before these.
var tenantRows = []struct{ table, of string }{
	{"budget_periods", `budget IN (SELECT id FROM budgets WHERE workspace = $1)`},
	{"budgets", ofWorkspace},
	{"webhook_attempts", `webhook IN (SELECT id FROM webhooks WHERE workspace = $1)`},
	{"webhook_deliveries", `webhook IN (SELECT id FROM webhooks WHERE workspace = $1)`},
	{"webhook_secrets", `webhook IN (SELECT id FROM webhooks WHERE workspace = $1)`},
	{"webhooks", ofWorkspace},
	{"consumer_dead", ofWorkspace},
	{"members", ofWorkspace},
	{"invitations", ofWorkspace},
	{"roles", ofWorkspace},
	{"api_keys", ofWorkspace},
	{"secrets", ofWorkspace},
	{"workspace_keys", ofWorkspace},
	{"project_settings", ofWorkspace},
	{"projects", ofWorkspace},
	{"settings", ofWorkspace},
	{"revisions", ofWorkspace},
	{"kept_answers", ofWorkspace},
}

// erasureBegan is the setting of a workspace that says what there was when its erasure
// began, of what goes at once or grows meanwhile, for whoever goes on with it.
const erasureBegan = "erasing"

type erasingFrom struct {
	Members int64 `json:"members"`
	Secrets int64 `json:"secrets"`
	Entries int64 `json:"audit_entries"`
}

// PlanWorkspaceErasure says what EraseWorkspace would erase. The default workspace
// is that of the installation and stays for as long as that does.
func (s *Store) PlanWorkspaceErasure(ctx context.Context, ws mgx.WorkspaceID) (p mgx.WorkspaceErasure, err error) {
	ctx = mgx.ForInstallation(ctx)
	if ws == mgx.DefaultWorkspace {
		return p, mgx.Errorf(mgx.KindRefused, "installation_stays", "%s is the workspace of the installation, and is erased with its data directory and database; single runs and tasks go by: mgx erase --run RUN", ws)
	}
	w, err := s.Workspace(ctx, ws)
	if err != nil {
		return p, err
	}
	p.Workspace, p.Name = ws, w.Name
	done, _, err := get(ctx, s, scanCount, `SELECT COALESCE(done_at, 0) FROM erasures WHERE subject = $1`, string(ws))
	if err != nil {
		return p, err
	}
	if done != 0 {
		p.ErasedAt = timeOf(done)
	}
	for _, q := range []struct {
		into  *int64
		query string
	}{
		{&p.Tasks, `SELECT COUNT(*) FROM tasks WHERE workspace = $1`},
		{&p.Members, `SELECT COUNT(*) FROM members WHERE workspace = $1`},
		{&p.Keys, `SELECT COUNT(*) FROM api_keys WHERE workspace = $1`},
		{&p.Secrets, `SELECT COUNT(DISTINCT name) FROM secrets WHERE workspace = $1`},
		{&p.Webhooks, `SELECT COUNT(*) FROM webhooks WHERE workspace = $1`},
		{&p.Projects, `SELECT COUNT(*) FROM projects WHERE workspace = $1`},
	} {
		if *q.into, _, err = get(ctx, s, scanCount, q.query, string(ws)); err != nil {
			return p, err
		}
	}
	if p.Entries, err = s.AuditSize(ctx, ws); err != nil {
		return p, err
	}
	if begun, found, err := get(ctx, s, scanText, `SELECT value FROM settings WHERE workspace = $1 AND name = $2`, string(ws), erasureBegan); err != nil {
		return p, err
	} else if found {
		var was erasingFrom
		if err := json.Unmarshal([]byte(begun), &was); err != nil {
			return p, badRow("settings", err)
		}
		p.Members, p.Secrets, p.Entries = was.Members, was.Secrets, was.Entries
	}
	for _, q := range []struct {
		into  *[]mgx.RunID
		query string
	}{
		{&p.Runs, `SELECT id FROM runs WHERE workspace = $1 ORDER BY id`},
		{&p.Running, `SELECT DISTINCT run FROM executions WHERE workspace = $1 AND run <> '' AND status IN ('ready', 'waiting') ORDER BY run`},
	} {
		all, err := list(ctx, s, scanText, q.query, string(ws))
		if err != nil {
			return p, err
		}
		for _, id := range all {
			*q.into = append(*q.into, mgx.RunID(id))
		}
	}
	return p, nil
}

// EraseWorkspace takes a workspace out of the database for good: the words of all
// its tasks, runs and events, the details of its audit log, its members' places,
// keys, secrets with the key that sealed them, roles, invitations, webhooks,
// projects, budgets, settings and kept answers. What stays is what says nothing: ids, types,
// times, sums of money, and the hashes that prove the audit log. That it was done,
// and by whom, is in the audit log of the installation.
//
// From its beginning on the workspace takes nothing new. It may be called again,
// and then goes on where it was interrupted, or had to wait for runs to end, and
// takes whatever else is there; it returns what there was when it began.
//
// Files are the caller's to remove, and answers of models.
func (s *Store) EraseWorkspace(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID) (mgx.WorkspaceErasure, error) {
	ctx = mgx.ForInstallation(ctx)
	p, err := s.PlanWorkspaceErasure(ctx, ws)
	if err == nil {
		err = ended(p)
	}
	if err != nil {
		return p, err
	}
	by.Workspace = mgx.DefaultWorkspace
	if err := s.closeWorkspace(ctx, by, p); err != nil {
		return p, err
	}
	if p, err = s.PlanWorkspaceErasure(ctx, ws); err == nil { // nothing begins any more
		err = ended(p)
	}
	if err != nil {
		return p, err
	}
	tasks, err := list(ctx, s, scanText, `SELECT id FROM tasks WHERE workspace = $1 ORDER BY id`, string(ws))
	if err != nil {
		return p, err
	}
	for _, id := range tasks {
		if _, err := s.eraseSubject(ctx, Subject{Workspace: ws, Task: mgx.TaskID(id)}, by.Actor); err != nil {
			return p, err
		}
	}
	for _, id := range p.Runs { // those of no task
		run, err := s.Run(ctx, ws, id)
		if err != nil {
			return p, err
		}
		if !run.ErasedAt.IsZero() {
			continue
		}
		if _, err := s.eraseSubject(ctx, Subject{Workspace: ws, Run: id}, by.Actor); err != nil {
			return p, err
		}
	}
	if err := s.eraseLog(ctx, by, ws); err != nil {
		return p, err
	}
	if err := s.write(ctx, func(t *tx) error { return t.eraseWorkspace(ws) }); err != nil {
		return p, err
	}
	return p, s.scrub(ctx)
}

// ended refuses a workspace in which something is at work.
func ended(p mgx.WorkspaceErasure) error {
	if len(p.Running) == 0 {
		return nil
	}
	names := make([]string, min(len(p.Running), 5))
	for i := range names {
		names[i] = string(p.Running[i])
	}
	return mgx.Errorf(mgx.KindUsage, "run_not_ended", "%d runs of %s have not ended, such as %s; cancel them first", len(p.Running), p.Workspace, strings.Join(names, ", "))
}

// closeWorkspace has a workspace take nothing new, and records, once, that it is erased,
// or that it is erased again. What gave access to it, and what opens its secrets, goes at once.
func (s *Store) closeWorkspace(ctx context.Context, by mgx.Doer, p mgx.WorkspaceErasure) error {
	ws := p.Workspace
	return s.act(ctx, by, "workspace.erase", func(t *tx, a *act) error {
		if t.d.closeWorkspace != "" {
			if _, err := t.conn.ExecContext(t.ctx, t.d.closeWorkspace, string(ws)); err != nil {
				return err
			}
		}
		if err := t.lockWorkspace(ws); err != nil {
			return err
		}
		begun, err := t.exec(`INSERT INTO erasures (subject, begun_by, begun_at) VALUES ($1, $2, $3) ON CONFLICT (subject) DO NOTHING`, string(ws), by.Actor, micros(t.now))
		if err != nil {
			return err
		}
		if begun > 0 || !p.ErasedAt.IsZero() {
			a.resource = string(ws)
			was := mustJSON(erasingFrom{p.Members, p.Secrets, p.Entries})
			if _, err := t.exec(`INSERT INTO settings (workspace, name, value, updated_by, updated_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (workspace, name) DO NOTHING`, string(ws), erasureBegan, was, by.Actor, micros(t.now)); err != nil {
				return err
			}
		}
		for _, query := range []string{
			`UPDATE api_keys SET revoked_at = COALESCE(revoked_at, $2) WHERE workspace = $1`,
			`UPDATE invitations SET revoked_at = COALESCE(revoked_at, $2) WHERE workspace = $1`,
			`UPDATE webhooks SET enabled = 0, disabled_why = 'erased', updated_at = $2 WHERE workspace = $1`,
		} {
			if _, err := t.exec(query, string(ws), micros(t.now)); err != nil {
				return err
			}
		}
		for _, table := range []string{"secrets", "workspace_keys", "members"} {
			if _, err := t.exec(`DELETE FROM `+table+` WHERE workspace = $1`, string(ws)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Erased reports whether a workspace was erased.
func (s *Store) Erased(ctx context.Context, ws mgx.WorkspaceID) (bool, error) {
	err := s.wasErased(mgx.ForInstallation(ctx), string(ws))
	if mgx.IsCode(err, mgx.CodeErased) {
		return true, nil
	}
	return false, err
}

// takes refuses what is new in a workspace that is being erased, or was. Until the
// commit no erasure of it begins.
func (t *tx) takes(ws mgx.WorkspaceID) error {
	if ws == mgx.DefaultWorkspace || ws == t.open {
		return nil // the first is never erased
	}
	if t.d.shareWorkspace != "" {
		if _, err := t.conn.ExecContext(t.ctx, t.d.shareWorkspace, string(ws)); err != nil {
			return err
		}
	}
	closed, err := t.row(`SELECT 1 FROM erasures WHERE subject = $1`, []any{string(ws)}, new(int))
	if err == nil && closed {
		err = mgx.Errorf(mgx.KindRefused, mgx.CodeErased, "workspace %s is erased, or is being erased, and takes nothing new", ws)
	}
	if err == nil && t.d.shareWorkspace != "" {
		t.open = ws
	}
	return err
}

// admits refuses an event of a run that is erased, and of a workspace that is being
// erased, or was. Every act has
// its entry in the audit log and every run its events, so what is written of a
// workspace passes here; what has no event asks by itself, as executions do and kept
// answers. What an erasure tells of itself says nothing, and neither do sums of money.
func (t *tx) admits(e mgx.Event, run *mgx.Run) error {
	switch {
	case e.Type == mgx.DataErased, strings.HasPrefix(string(e.Type), "billing."):
		return nil
	case run != nil && run.ErasedAt.IsZero(): // it is erased yet, with this
		return nil
	case run != nil:
		return mgx.Errorf(mgx.KindRefused, mgx.CodeErased, "run %s was erased and takes nothing new; start another for what is to be done yet: mgx run", run.ID)
	}
	err := t.takes(e.Workspace)
	if e.Type == mgx.AuditRecorded && mgx.IsCode(err, mgx.CodeErased) {
		var d mgx.AuditData
		if err := e.Decode(&d); err != nil {
			return err
		}
		if slices.Contains(erasing, d.Action) {
			return nil
		}
	}
	return err
}

// erasing are the acts that an erasure records in the log of what it erases.
var erasing = []string{"subject.erase", "audit.erase"}

// eraseLog takes the words out of what is left of a workspace's events once its
// tasks are erased, page by page, and out of what the log of the installation says
// of it.
func (s *Store) eraseLog(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID) error {
	for _, log := range []mgx.WorkspaceID{ws, mgx.DefaultWorkspace} {
		var batch []mgx.Event
		err := s.eachEntry(ctx, log, func(e mgx.Event, d mgx.AuditData) error {
			if d.Details == nil || d.Erased != "" || log != ws && d.Resource != string(ws) {
				return nil
			}
			if batch = append(batch, e); len(batch) < retainBatch {
				return nil
			}
			err := s.eraseTogether(ctx, by, string(ws), batch)
			batch = batch[:0]
			return err
		})
		if err == nil && len(batch) > 0 {
			err = s.eraseTogether(ctx, by, string(ws), batch)
		}
		if err != nil {
			return err
		}
	}
	if err := s.allNumbered(ctx, ws); err != nil {
		return err
	}
	for after := int64(0); ; {
		page, err := s.Events(ctx, EventQuery{Workspace: ws, AfterPosition: after, Limit: retainBatch})
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].Position
		if err := s.write(ctx, func(t *tx) error {
			return each(page, func(e mgx.Event) error {
				if e.Erased() || e.Type == mgx.AuditRecorded || e.Type == mgx.DataErased || strings.HasPrefix(string(e.Type), "billing.") {
					return nil
				}
				return t.eraseTrace(e)
			})
		}); err != nil {
			return err
		}
	}
}

// allNumbered waits until the events of a workspace that are on their way into the
// log are in it.
func (s *Store) allNumbered(ctx context.Context, ws mgx.WorkspaceID) error {
	if s.dialect.numbers {
		return nil
	}
	for {
		n, _, err := get(ctx, s, scanCount, `SELECT COUNT(*) FROM outbox WHERE workspace = $1`, string(ws))
		if err != nil || n == 0 {
			return err
		}
		if !sleep(ctx, shortWait/4) {
			return ctx.Err()
		}
	}
}

// eraseWorkspace removes the rows of a workspace.
func (t *tx) eraseWorkspace(ws mgx.WorkspaceID) error {
	if err := t.eraseJournals(`workspace = $1 AND run = ''`, string(ws)); err != nil {
		return err
	}
	for _, rows := range tenantRows {
		if _, err := t.exec(`DELETE FROM `+rows.table+` WHERE `+rows.of, string(ws)); err != nil {
			return err
		}
	}
	// Elsewhere somebody was told of it, such as who made it. That they asked stays known.
	if _, err := t.exec(`UPDATE kept_answers SET status = 0, body = '' WHERE made = $1 OR body LIKE '%"' || $1 || '"%'`, string(ws)); err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE workspaces SET name = 'erased', updated_at = $2 WHERE id = $1`, string(ws), micros(t.now)); err != nil {
		return err
	}
	_, err := t.exec(`UPDATE erasures SET done_at = $1 WHERE subject = $2`, micros(t.now), string(ws))
	return err
}
