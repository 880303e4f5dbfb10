package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"time"

	"mgx"
)

// exported says which rows of a table are held on a subject, by what the subject
// is. An empty condition: none. Secrets are in no export.
type exported struct {
	kind, table, order         string
	byWorkspace, byTask, byRun string // conditions on $1
}

const (
	ofWorkspace  = `workspace = $1`
	executionsOf = `execution IN (SELECT id FROM executions WHERE `
	budgetsOf    = `budget IN (SELECT id FROM budgets WHERE `
	eventsOf     = `event IN (SELECT id FROM events WHERE `
	taskOrStream = `(task = $1 OR stream = $1)`
	runOrStream  = `(run = $1 OR stream = $1)`
)

var exports = []exported{
	{"task", "tasks", "id", ofWorkspace, `id = $1`, `id IN (SELECT task FROM runs WHERE id = $1)`},
	{"run", "runs", "id", ofWorkspace, `task = $1`, `id = $1`},
	{"event", "events", "position", ofWorkspace, taskOrStream, runOrStream},
	{"execution", "executions", "id", ofWorkspace, `task = $1`, `run = $1`},
	{"step", "steps", "execution, ord", ofWorkspace, executionsOf + `task = $1)`, executionsOf + `run = $1)`},
	{"signal", "signals", "id", ofWorkspace, executionsOf + `task = $1)`, executionsOf + `run = $1)`},
	{"spending", "ledger", "id", ofWorkspace, `(task = $1 OR run IN (SELECT id FROM runs WHERE task = $1))`, `run = $1`},
	{"budget", "budgets", "id", ofWorkspace, `scope = 'task' AND scope_id = $1`, `scope = 'run' AND scope_id = $1`},
	{"budget_period", "budget_periods", "budget, starts_at", budgetsOf + `workspace = $1)`, budgetsOf + `scope = 'task' AND scope_id = $1)`, budgetsOf + `scope = 'run' AND scope_id = $1)`},
	{"webhook", "webhooks", "id", ofWorkspace, "", ""},
	{"workspace", "workspaces", "id", `id = $1`, "", ""},
	{"member", "members", "workspace, user_id", ofWorkspace, "", ""},
	{"user", `(SELECT id, email, name, created_at, updated_at FROM users) users`, "id", `id IN (SELECT user_id FROM members WHERE workspace = $1)`, "", ""},
	{"role", "roles", "name", ofWorkspace, "", ""},
	{"invitation", `(SELECT id, workspace, email, role, user_id, created_by, created_at, expires_at, accepted_at, revoked_at, declined_at FROM invitations) invitations`, "id", ofWorkspace, "", ""},
	{"key", `(SELECT id, workspace, user_id, name, scopes, role, models, budget, period, created_at, expires_at, revoked_at, last_used_at FROM api_keys) api_keys`, "id", ofWorkspace, "", ""},
	{"project", "projects", "id", ofWorkspace, "", ""},
	{"project_setting", "project_settings", "project, name", ofWorkspace, "", ""},
	{"setting", "settings", "name", ofWorkspace, "", ""},
	{"audit_hash", "audit_hashes", "workspace, idx", ofWorkspace, "", ""},
	{"audit_checkpoint", "audit_checkpoints", "workspace, size", ofWorkspace, "", ""},
	{"webhook_delivery", "webhook_deliveries", "webhook, position", `webhook IN (SELECT id FROM webhooks WHERE workspace = $1)`, eventsOf + taskOrStream + `)`, eventsOf + runOrStream + `)`},
	{"webhook_attempt", "webhook_attempts", "webhook, event, ord", `webhook IN (SELECT id FROM webhooks WHERE workspace = $1)`, eventsOf + taskOrStream + `)`, eventsOf + runOrStream + `)`},
	{"consumer_dead_letter", "consumer_dead", "consumer, position", ofWorkspace, eventsOf + taskOrStream + `)`, eventsOf + runOrStream + `)`},
}

// ExportKinds lists the kinds of records that Export yields, in its order.
func ExportKinds() []string {
	kinds := make([]string, len(exports))
	for i, e := range exports {
		kinds[i] = e.kind
	}
	return kinds
}

// Export hands out everything that is held on a subject, or on its workspace
// when it names neither task nor run, as it is at one moment, record by record
// in the order of ExportKinds. Events are envelopes, runs their states; other
// records have the names of their columns, times as text and JSON as JSON.
func (s *Store) Export(ctx context.Context, subject Subject, each func(kind string, record any) error) error {
	ctx = mgx.ForInstallation(ctx)
	tx, err := s.moment(ctx)
	if err != nil {
		return s.explain(err)
	}
	defer tx.Rollback()
	held, err := subject.held(ctx, tx)
	if err != nil {
		return s.explain(err)
	}
	found := 0
	for _, e := range exports {
		where, id := e.of(subject)
		if where == "" || !held {
			continue
		}
		n, err := exportRows(ctx, tx, s.dialect, e, where, id, each)
		if err != nil {
			return s.explain(err)
		}
		found += n
	}
	if found == 0 {
		return mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "nothing is held on %s", subject.id())
	}
	return nil
}

// held reports whether a task or a run is of the workspace that is asked about.
func (s Subject) held(ctx context.Context, tx *sql.Tx) (bool, error) {
	table := "tasks"
	switch {
	case s.Run != "":
		table = "runs"
	case s.Task == "":
		return true, nil
	}
	n := 0
	err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM `+table+` WHERE workspace = $1 AND id = $2`, string(s.Workspace), s.id()).Scan(&n)
	return n > 0, err
}

func (e exported) of(subject Subject) (where, id string) {
	switch {
	case subject.Run != "":
		return e.byRun, string(subject.Run)
	case subject.Task != "":
		return e.byTask, string(subject.Task)
	}
	return e.byWorkspace, string(subject.Workspace)
}

func (s Subject) id() string {
	_, id := exported{}.of(s)
	return id
}

func exportRows(ctx context.Context, tx *sql.Tx, d *dialect, e exported, where, id string, each func(string, any) error) (n int, err error) {
	from, scan := `SELECT * FROM `+e.table, scanRecord
	if e.kind == "event" {
		from, scan = `SELECT * FROM (SELECT `+eventColumns+` FROM `+d.allEvents+`) e`, scanEnvelope
	}
	rows, err := tx.QueryContext(ctx, from+` WHERE `+where+` ORDER BY `+e.order, id)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for ; rows.Next(); n++ {
		record, err := scan(rows)
		if err != nil {
			return n, err
		}
		if r, ok := record.(map[string]any); ok && e.kind == "run" {
			record = r["state"]
		}
		if err := each(e.kind, record); err != nil {
			return n, err
		}
	}
	return n, rows.Err()
}

func scanEnvelope(rows *sql.Rows) (any, error) { return scanEvent(rows) }

// scanRecord reads a row for people and other programs.
func scanRecord(rows *sql.Rows) (any, error) {
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	if err := rows.Scan(into...); err != nil {
		return nil, err
	}
	row := make(map[string]any, len(columns))
	for i, name := range columns {
		row[name] = readable(name, values[i])
		if address, ok := row[name].(string); ok && name == "url" {
			row[name] = mgx.ShownAddress(address)
		}
	}
	return row, nil
}

// jsonColumns hold JSON as text.
const jsonColumns = " data state input result failure awaits output payload types channels thresholds models scopes "

func readable(column string, v any) any {
	switch v := v.(type) {
	case string:
		if strings.Contains(jsonColumns, " "+column+" ") && json.Valid([]byte(v)) {
			return json.RawMessage(v)
		}
	case int64:
		switch {
		case strings.HasSuffix(column, "_at"), column == "at", column == "time", column == "deadline", column == "lease_until", column == "failing_since":
			if v == 0 { // no time
				return nil
			}
			return time.UnixMicro(v).UTC()
		case column == "reserved", column == "settled", column == "hard_limit", column == "soft_limit":
			return mgx.Money(v)
		}
	}
	return v
}
