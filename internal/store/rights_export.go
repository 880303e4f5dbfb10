package store

import (
	"context"

	"mgx"
)

// personExports say which rows of a table are held on a person, whose id is $1.
var personExports = []struct{ kind, table, order, of string }{
	{"user", `(SELECT id, email, name, password <> '' AS has_password, created_at, updated_at FROM users) users`, "id", `id = $1`},
	{"identity", "identities", "issuer, subject", `user_id = $1`},
	{"member", "members", "workspace", `user_id = $1`},
	{"session", "sessions", "id", `user_id = $1`},
	{"key", `(SELECT id, workspace, user_id, name, scopes, role, models, budget, period, created_at, expires_at, revoked_at, last_used_at FROM api_keys) api_keys`, "id", `user_id = $1`},
	{"invitation", `(SELECT id, workspace, email, role, user_id, created_by, created_at, expires_at, accepted_at, revoked_at, declined_at FROM invitations) invitations`, "id", `(created_by = $1 OR ` + invitationsOf + `)`},
	{"secret", `(SELECT workspace, name, version, created_by, created_at FROM secrets) secrets`, "workspace, name, version", `created_by = $1`},
	{"project_setting", "project_settings", "workspace, project, name", `updated_by = $1`},
	{"setting", "settings", "workspace, name", `updated_by = $1`},
	{"budget", "budgets", "id", `(created_by = $1 OR updated_by = $1 OR scope = 'user' AND scope_id = $1)`},
	{"spending", "ledger", "id", `user_id = $1`},
	{"task", "tasks", "id", `id IN (` + writtenBy + `)`},
	{"event", "events", "position", aboutThem},
}

// aboutThem are the events that name a person, one of their keys or sessions, or
// their address: what they did, decided and wrote, and what was done about them.
const aboutThem = `(data LIKE '%"' || $1 || '"%'
	OR EXISTS (SELECT 1 FROM users u WHERE u.id = $1 AND u.email <> '' AND e.data LIKE '%' || u.email || '%')
	OR EXISTS (SELECT 1 FROM api_keys k WHERE k.user_id = $1 AND e.data LIKE '%"' || k.id || '"%')
	OR EXISTS (SELECT 1 FROM sessions x WHERE x.user_id = $1 AND e.data LIKE '%"' || x.id || '"%'))`

// ExportPerson hands out everything that is held on a person, in every workspace,
// as it is at one moment, record by record: rows that name them, the tasks that
// they wrote, and the events that name them. What they prove themselves with is not
// in it. The form is that of Export.
func (s *Store) ExportPerson(ctx context.Context, id mgx.UserID, each func(kind string, record any) error) error {
	ctx = mgx.ForInstallation(ctx)
	if _, err := s.User(ctx, id); err != nil {
		return err
	}
	tx, err := s.moment(ctx)
	if err != nil {
		return s.explain(err)
	}
	defer tx.Rollback()
	for _, e := range personExports {
		if _, err := exportRows(ctx, tx, s.dialect, exported{kind: e.kind, table: e.table, order: e.order}, e.of, string(id), each); err != nil {
			return s.explain(err)
		}
	}
	return nil
}

// ExportWorkspace is Export of a workspace.
func (s *Store) ExportWorkspace(ctx context.Context, ws mgx.WorkspaceID, each func(kind string, record any) error) error {
	return s.Export(mgx.ForInstallation(ctx), Subject{Workspace: ws}, each)
}
