package store

import (
	"context"

	"mgx"
)

// Bounds of one workspace, and of the installation.
const (
	MaxMembers     = 1000
	MaxInvitations = 1000 // that are open
	MaxWorkspaces  = 10_000
)

const memberColumns = `m.workspace, m.user_id, u.email, u.name, m.role, m.created_at, m.granted_by, w.name`

const memberTables = ` FROM members m JOIN users u ON u.id = m.user_id JOIN workspaces w ON w.id = m.workspace `

// CreateWorkspace makes a workspace with its first admin.
func (s *Store) CreateWorkspace(ctx context.Context, by mgx.Doer, w mgx.Workspace, admin mgx.UserID) (mgx.Workspace, error) {
	ctx = mgx.ForInstallation(ctx)
	err := s.act(ctx, by, "workspace.create", func(t *tx, a *act) error {
		var all int
		if _, err := t.row(`SELECT COUNT(*) FROM workspaces`, nil, &all); err != nil {
			return err
		}
		if all >= MaxWorkspaces {
			return mgx.Errorf(mgx.KindUsage, "too_many_workspaces", "an installation has at most %d workspaces", MaxWorkspaces)
		}
		w.CreatedAt, w.UpdatedAt = t.now, t.now
		a.resource, a.after = string(w.ID), w
		if _, err := t.exec(`INSERT INTO workspaces (id, name, created_at, updated_at) VALUES ($1, $2, $3, $3)`, string(w.ID), w.Name, micros(t.now)); err != nil {
			return err
		}
		return t.addMember(w.ID, admin, mgx.RoleAdmin)
	})
	return w, err
}

// Workspace returns a workspace (CodeNotFound).
func (s *Store) Workspace(ctx context.Context, id mgx.WorkspaceID) (mgx.Workspace, error) {
	w, found, err := get(ctx, s, scanWorkspace, `SELECT id, name, created_at, updated_at FROM workspaces WHERE id = $1`, string(id))
	return w, orNo(found, err, "workspace", string(id))
}

// Workspaces lists all workspaces, by id, after one.
func (s *Store) Workspaces(ctx context.Context, after mgx.WorkspaceID, limit int) ([]mgx.Workspace, error) {
	ctx = mgx.ForInstallation(ctx)
	return list(ctx, s, scanWorkspace, `SELECT id, name, created_at, updated_at FROM workspaces WHERE id > $1 ORDER BY id LIMIT $2`, string(after), bounded(limit, MaxListed))
}

// RenameWorkspace gives a workspace another name.
func (s *Store) RenameWorkspace(ctx context.Context, by mgx.Doer, id mgx.WorkspaceID, name string) error {
	return s.act(ctx, by, "workspace.update", func(t *tx, a *act) error {
		var before string
		found, err := t.row(`SELECT name FROM workspaces WHERE id = $1`, []any{string(id)}, &before)
		if err = orNo(found, err, "workspace", string(id)); err != nil {
			return err
		}
		a.resource, a.before, a.after = string(id), map[string]string{"name": before}, map[string]string{"name": name}
		_, err = t.exec(`UPDATE workspaces SET name = $1, updated_at = $2 WHERE id = $3`, name, micros(t.now), string(id))
		return err
	})
}

// Member returns a person's membership in a workspace (CodeNotFound).
func (s *Store) Member(ctx context.Context, ws mgx.WorkspaceID, id mgx.UserID) (mgx.Member, error) {
	m, found, err := get(ctx, s, scanMember, `SELECT `+memberColumns+memberTables+`WHERE m.workspace = $1 AND m.user_id = $2`, string(ws), string(id))
	return m, orNo(found, err, "member", string(id))
}

// Members lists the members of a workspace, by id, after one.
func (s *Store) Members(ctx context.Context, ws mgx.WorkspaceID, after mgx.UserID, limit int) ([]mgx.Member, error) {
	return list(ctx, s, scanMember, `SELECT `+memberColumns+memberTables+`WHERE m.workspace = $1 AND m.user_id > $2 ORDER BY m.user_id LIMIT $3`, string(ws), string(after), bounded(limit, MaxMembers))
}

// Memberships lists the workspaces of a person, in the order in which they were
// joined.
func (s *Store) Memberships(ctx context.Context, id mgx.UserID) ([]mgx.Member, error) {
	ctx = mgx.ForInstallation(ctx)
	return list(ctx, s, scanMember, `SELECT `+memberColumns+memberTables+`WHERE m.user_id = $1 ORDER BY m.created_at, m.workspace LIMIT $2`, string(id), MaxListed)
}

// ChangeRole gives a member another role, and revokes the invitations that they
// have made and nobody used: they may be of roles that they could not give any
// more. The role is from then on given by hand, whatever groups say. The last
// admin keeps theirs.
func (s *Store) ChangeRole(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.UserID, role string) error {
	return s.act(ctx, by, "member.update", func(t *tx, a *act) error {
		before, err := t.leaveAdmins(ws, id, role)
		if err != nil {
			return err
		}
		if err := t.stands(by); err != nil {
			return err
		}
		if err := t.hasRole(ws, role); err != nil {
			return err
		}
		a.resource, a.before, a.after = string(id), map[string]string{"role": before}, map[string]string{"role": role}
		if _, err := t.exec(`UPDATE members SET role = $1, granted_by = '', updated_at = $2 WHERE workspace = $3 AND user_id = $4`, role, micros(t.now), string(ws), string(id)); err != nil {
			return err
		}
		return t.revokeInvitations(ws, id)
	})
}

// revokeInvitations makes those worthless that somebody has made.
func (t *tx) revokeInvitations(ws mgx.WorkspaceID, by mgx.UserID) error {
	_, err := t.exec(`UPDATE invitations SET revoked_at = $1 WHERE workspace = $2 AND created_by = $3 AND accepted_at IS NULL AND revoked_at IS NULL`, micros(t.now), string(ws), string(by))
	return err
}

// RemoveMember ends a membership, and revokes the person's keys there, but for those of
// services, and the invitations that they have made. The last admin stays.
func (s *Store) RemoveMember(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.UserID) error {
	return s.act(ctx, by, "member.delete", func(t *tx, a *act) error {
		before, err := t.leaveAdmins(ws, id, "")
		if err == nil {
			err = t.stands(by)
		}
		if err != nil {
			return err
		}
		a.resource, a.before = string(id), map[string]string{"role": before}
		return t.removeMember(ws, id)
	})
}

func (t *tx) removeMember(ws mgx.WorkspaceID, id mgx.UserID) error {
	if _, err := t.exec(`DELETE FROM members WHERE workspace = $1 AND user_id = $2`, string(ws), string(id)); err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE api_keys SET revoked_at = $1 WHERE workspace = $2 AND user_id = $3 AND role <> $4 AND revoked_at IS NULL`, micros(t.now), string(ws), string(id), mgx.RoleService); err != nil {
		return err
	}
	return t.revokeInvitations(ws, id)
}

// leaveAdmins returns a member's role, and refuses when it is the last admin who
// would become something else.
func (t *tx) leaveAdmins(ws mgx.WorkspaceID, id mgx.UserID, role string) (before string, err error) {
	if err := t.lockWorkspace(ws); err != nil {
		return "", err
	}
	found, err := t.row(`SELECT role FROM members WHERE workspace = $1 AND user_id = $2`, []any{string(ws), string(id)}, &before)
	if err = orNo(found, err, "member", string(id)); err != nil || before != mgx.RoleAdmin || role == mgx.RoleAdmin {
		return before, err
	}
	var others int
	if _, err := t.row(`SELECT COUNT(*) FROM members WHERE workspace = $1 AND role = $2 AND user_id <> $3`, []any{string(ws), mgx.RoleAdmin, string(id)}, &others); err != nil {
		return before, err
	}
	if others == 0 {
		return before, mgx.Errorf(mgx.KindUsage, mgx.CodeLastAdmin, "%s is the last admin of the workspace; make somebody else admin first", id)
	}
	return before, nil
}

// lockWorkspace keeps everybody else from changing who is in a workspace until
// the commit: two who each see the other as the remaining admin would leave none.
func (t *tx) lockWorkspace(ws mgx.WorkspaceID) error {
	n, err := t.exec(`UPDATE workspaces SET updated_at = $1 WHERE id = $2`, micros(t.now), string(ws))
	return orNo(n > 0, err, "workspace", string(ws))
}

// stands refuses whoever is not, or no more, what they were when they were permitted
// what they do, since it would last beyond their membership or their key. Until the
// commit they stay so. Who locks the workspace, too, does so before.
func (t *tx) stands(by mgx.Doer) error {
	if by.Role == "" {
		return nil
	}
	good, role := true, by.Role
	var err error
	if by.Key != "" {
		good, err = t.row(`SELECT 1 FROM api_keys WHERE id = $1 AND revoked_at IS NULL`+t.d.lockRead, []any{string(by.Key)}, new(int))
	}
	if err == nil && good && by.User != "" {
		good, err = t.row(`SELECT role FROM members WHERE workspace = $1 AND user_id = $2`+t.d.lockRead, []any{string(by.Workspace), string(by.User)}, &role)
	}
	if err == nil && (!good || role != by.Role) {
		err = mgx.Errorf(mgx.KindRefused, "forbidden", "what you are in this workspace was changed meanwhile, so nothing was done; ask again if you still may")
	}
	return err
}

func (t *tx) addMember(ws mgx.WorkspaceID, id mgx.UserID, role string) error {
	return t.addGranted(ws, id, role, "")
}

// addGranted makes somebody a member, with a role that an issuer's groups gave.
func (t *tx) addGranted(ws mgx.WorkspaceID, id mgx.UserID, role, issuer string) error {
	if err := t.lockWorkspace(ws); err != nil {
		return err
	}
	if err := t.room(ws, mgx.QuotaMembers); err != nil {
		return err
	}
	n, err := t.exec(`INSERT INTO members (workspace, user_id, role, created_at, updated_at, granted_by) VALUES ($1, $2, $3, $4, $4, $5) ON CONFLICT (workspace, user_id) DO NOTHING`,
		string(ws), string(id), role, micros(t.now), issuer)
	if err == nil && n == 0 {
		err = mgx.Errorf(mgx.KindUsage, mgx.CodeConflict, "%s is a member of the workspace already", id)
	}
	return err
}

func scanWorkspace(row scanner) (w mgx.Workspace, err error) {
	var created, updated int64
	err = row.Scan(&w.ID, &w.Name, &created, &updated)
	w.CreatedAt, w.UpdatedAt = fromTime(created), fromTime(updated)
	return w, err
}

func scanMember(row scanner) (m mgx.Member, err error) {
	var joined int64
	err = row.Scan(&m.Workspace, &m.User, &m.Email, &m.Name, &m.Role, &joined, &m.GrantedBy, &m.WorkspaceName)
	m.JoinedAt = fromTime(joined)
	return m, err
}
