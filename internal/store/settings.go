package store

import (
	"context"

	"mgx"
)

// Settings returns what is set for a workspace, by the names of settings.
func (s *Store) Settings(ctx context.Context, ws mgx.WorkspaceID) (map[string]string, error) {
	rows, err := list(ctx, s, func(row scanner) (r [2]string, err error) { return r, row.Scan(&r[0], &r[1]) },
		`SELECT name, value FROM settings WHERE workspace = $1 ORDER BY name`, string(ws))
	set := map[string]string{}
	for _, r := range rows {
		set[r[0]] = r[1]
	}
	return set, err
}

// ReplaceSettings replaces all settings of the doer's workspace whose names begin
// with a prefix by others, which is one act. Nothing happens when they are the same.
func (s *Store) ReplaceSettings(ctx context.Context, by mgx.Doer, prefix string, values map[string]string) error {
	return s.ChangeSettings(ctx, by, "settings.update", string(by.Workspace), prefix, func(map[string]string) (map[string]string, error) { return values, nil })
}

// ChangeSettings replaces all settings of the doer's workspace whose names begin with
// a prefix by what change makes of them, which is one act on a resource. Change is
// called in the transaction, perhaps more than once: it only decides, and an error of
// its own ends the act. Nothing happens when they are the same.
func (s *Store) ChangeSettings(ctx context.Context, by mgx.Doer, action, resource, prefix string, change func(was map[string]string) (map[string]string, error)) error {
	return s.act(ctx, by, action, func(t *tx, a *act) error {
		if err := t.d.lockStream(t, mgx.AuditStream(by.Workspace)); err != nil { // so that what it says was before, was
			return err
		}
		was, err := t.settings(by.Workspace, prefix)
		if err != nil {
			return err
		}
		values, err := change(was)
		if err != nil {
			return err
		}
		if action == "template.create" {
			if err := t.room(by.Workspace, mgx.QuotaTemplates); err != nil {
				return err
			}
		}
		before, after := map[string]string{}, map[string]string{}
		for name, value := range was {
			if values[name] == value {
				continue
			}
			before[name] = value
			if _, err := t.exec(`DELETE FROM settings WHERE workspace = $1 AND name = $2`, string(by.Workspace), name); err != nil {
				return err
			}
		}
		for name, value := range values {
			if was[name] == value {
				continue
			}
			after[name] = value
			_, err := t.exec(`INSERT INTO settings (workspace, name, value, updated_by, updated_at) VALUES ($1, $2, $3, $4, $5)`,
				string(by.Workspace), name, value, by.Actor, micros(t.now))
			if err != nil {
				return err
			}
		}
		if len(before)+len(after) > 0 {
			a.resource, a.before, a.after = resource, before, after
		}
		return nil
	})
}

func (t *tx) settings(ws mgx.WorkspaceID, prefix string) (map[string]string, error) {
	rows, err := t.conn.QueryContext(t.ctx, `SELECT name, value FROM settings WHERE workspace = $1 AND substr(name, 1, $2) = $3`, string(ws), len(prefix), prefix)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, err
		}
		all[name] = value
	}
	return all, rows.Err()
}
