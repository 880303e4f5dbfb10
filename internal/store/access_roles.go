package store

import (
	"context"
	"slices"

	"mgx"
)

const roleColumns = `workspace, name, description, policy, created_at, updated_at`

// Role returns a role that a workspace made (CodeNotFound).
func (s *Store) Role(ctx context.Context, ws mgx.WorkspaceID, name string) (mgx.Role, error) {
	r, found, err := get(ctx, s, scanRole, `SELECT `+roleColumns+` FROM roles WHERE workspace = $1 AND name = $2`, string(ws), name)
	return r, orNo(found, err, "role", name)
}

// Roles lists the roles that a workspace made, by name.
func (s *Store) Roles(ctx context.Context, ws mgx.WorkspaceID) ([]mgx.Role, error) {
	return list(ctx, s, scanRole, `SELECT `+roleColumns+` FROM roles WHERE workspace = $1 ORDER BY name`, string(ws))
}

// PutRole makes a role of a workspace, or replaces it.
func (s *Store) PutRole(ctx context.Context, by mgx.Doer, r mgx.Role) error {
	return s.act(ctx, by, "role.update", func(t *tx, a *act) error {
		if err := t.lockWorkspace(r.Workspace); err != nil {
			return err
		}
		if err := t.stands(by); err != nil {
			return err
		}
		var before mgx.Role
		found, err := t.row(`SELECT name, description, policy FROM roles WHERE workspace = $1 AND name = $2`, []any{string(r.Workspace), r.Name}, &before.Name, &before.Description, &before.Policy)
		if err != nil {
			return err
		}
		if found {
			a.before = before
		}
		if !found {
			if err := t.room(r.Workspace, mgx.QuotaRoles); err != nil {
				return err
			}
		}
		a.resource, a.after = r.Name, mgx.Role{Name: r.Name, Description: r.Description, Policy: r.Policy}
		_, err = t.exec(`INSERT INTO roles (`+roleColumns+`) VALUES ($1, $2, $3, $4, $5, $5)
			ON CONFLICT (workspace, name) DO UPDATE SET description = $3, policy = $4, updated_at = $5`, string(r.Workspace), r.Name, r.Description, r.Policy, micros(t.now))
		return err
	})
}

// RemoveRole deletes a role that nobody has, is invited as or acts as.
func (s *Store) RemoveRole(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, name string) error {
	return s.act(ctx, by, "role.delete", func(t *tx, a *act) error {
		if err := t.lockWorkspace(ws); err != nil {
			return err
		}
		var used int
		_, err := t.row(`SELECT (SELECT COUNT(*) FROM members WHERE workspace = $1 AND role = $2) +
			(SELECT COUNT(*) FROM invitations WHERE workspace = $1 AND role = $2 AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > $3) +
			(SELECT COUNT(*) FROM api_keys WHERE workspace = $1 AND role = $2 AND revoked_at IS NULL)`, []any{string(ws), name, micros(t.now)}, &used)
		if err != nil {
			return err
		}
		if used > 0 {
			return mgx.Errorf(mgx.KindUsage, mgx.CodeConflict, "%d members, invitations or keys have the role %s; give them another first", used, name)
		}
		a.resource = name
		n, err := t.exec(`DELETE FROM roles WHERE workspace = $1 AND name = $2`, string(ws), name)
		return orNo(n > 0, err, "role", name)
	})
}

// hasRole refuses roles that a workspace has not. Its lock is held.
func (t *tx) hasRole(ws mgx.WorkspaceID, name string) error {
	if slices.Contains(mgx.BuiltInRoles, name) {
		return nil
	}
	found, err := t.row(`SELECT 1 FROM roles WHERE workspace = $1 AND name = $2`, []any{string(ws), name}, new(int))
	if err == nil && !found {
		err = mgx.Errorf(mgx.KindUsage, "bad_role", "the workspace has no role %q", name)
	}
	return err
}

func scanRole(row scanner) (r mgx.Role, err error) {
	var created, updated int64
	err = row.Scan(&r.Workspace, &r.Name, &r.Description, &r.Policy, &created, &updated)
	r.CreatedAt, r.UpdatedAt = fromTime(created), fromTime(updated)
	return r, err
}
