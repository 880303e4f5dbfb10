package store

import (
	"context"

	"mgx"
)

// ProjectSettings returns what was set for a project, by the names of settings.
func (s *Store) ProjectSettings(ctx context.Context, ws mgx.WorkspaceID, project mgx.ProjectID) (mgx.ProjectSettings, error) {
	rows, err := list(ctx, s, func(row scanner) (r [2]string, err error) { return r, row.Scan(&r[0], &r[1]) },
		`SELECT name, value FROM project_settings WHERE workspace = $1 AND project = $2 ORDER BY name`, string(ws), string(project))
	set := mgx.ProjectSettings{}
	for _, r := range rows {
		set[r[0]] = r[1]
	}
	return set, err
}

// ChangeProject sets one setting of a project, or takes it back when there is no
// value; one that is not set is CodeNotFound.
func (s *Store) ChangeProject(ctx context.Context, by mgx.Doer, project mgx.ProjectID, name string, value *string) error {
	action := "project.set"
	if value == nil {
		action = "project.unset"
	}
	return s.act(ctx, by, action, func(t *tx, a *act) error {
		if err := t.d.lockStream(t, mgx.AuditStream(by.Workspace)); err != nil { // so that what it says was before, was
			return err
		}
		a.resource = string(project)
		var was string
		found, err := t.row(`SELECT value FROM project_settings WHERE workspace = $1 AND project = $2 AND name = $3`, []any{string(by.Workspace), string(project), name}, &was)
		if err != nil {
			return err
		}
		if found {
			a.before = mgx.ProjectSettings{name: was}
		}
		if value == nil {
			_, err = t.exec(`DELETE FROM project_settings WHERE workspace = $1 AND project = $2 AND name = $3`, string(by.Workspace), string(project), name)
			return orNo(found, err, "setting", name)
		}
		a.after = mgx.ProjectSettings{name: *value}
		_, err = t.exec(`INSERT INTO project_settings (workspace, project, name, value, updated_by, updated_at) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (workspace, project, name) DO UPDATE SET value = $4, updated_by = $5, updated_at = $6`,
			string(by.Workspace), string(project), name, *value, by.Actor, micros(t.now))
		return err
	})
}
