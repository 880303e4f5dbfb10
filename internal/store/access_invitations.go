package store

import (
	"context"
	"database/sql"
	"time"

	"mgx"
)

const invitationColumns = `id, workspace, email, role, user_id, digest, created_by, created_at, expires_at, accepted_at, revoked_at, declined_at`

// Invite stores an invitation, if whoever makes it is still what they were when they
// were permitted to.
func (s *Store) Invite(ctx context.Context, by mgx.Doer, i mgx.Invitation) error {
	return s.act(ctx, by, "invitation.create", func(t *tx, a *act) error {
		if err := t.lockWorkspace(i.Workspace); err != nil {
			return err
		}
		if err := t.stands(by); err != nil {
			return err
		}
		if err := t.hasRole(i.Workspace, i.Role); err != nil {
			return err
		}
		if i.User != "" {
			found, err := t.row(`SELECT 1 FROM members WHERE workspace = $1 AND user_id = $2`, []any{string(i.Workspace), string(i.User)}, new(int))
			if err = orNo(found, err, "member", string(i.User)); err != nil {
				return err
			}
		}
		if err := t.room(i.Workspace, mgx.QuotaInvitations); err != nil {
			return err
		}
		a.resource, a.after = string(i.ID), i
		return t.addInvitation(i)
	})
}

func (t *tx) addInvitation(i mgx.Invitation) error {
	_, err := t.exec(`INSERT INTO invitations (`+invitationColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL, NULL, NULL)`,
		string(i.ID), string(i.Workspace), i.Email, i.Role, string(i.User), i.Digest, string(i.CreatedBy), micros(t.now), micros(i.ExpiresAt))
	return err
}

// Invitations lists the invitations of a workspace, by id, after one.
func (s *Store) Invitations(ctx context.Context, ws mgx.WorkspaceID, after mgx.InvitationID, limit int) ([]mgx.Invitation, error) {
	return list(ctx, s, scanInvitation, `SELECT `+invitationColumns+` FROM invitations WHERE workspace = $1 AND id > $2 ORDER BY id LIMIT $3`, string(ws), string(after), bounded(limit, MaxInvitations))
}

// InvitationOf returns the open invitation of a digest (mgx.CodeInvitationSpent).
func (s *Store) InvitationOf(ctx context.Context, digest string) (mgx.Invitation, error) {
	ctx = mgx.ForInstallation(ctx)
	i, found, err := get(ctx, s, scanInvitation, `SELECT `+invitationColumns+` FROM invitations WHERE digest = $1`, digest)
	if err == nil && (!found || !open(i, s.opts.Now())) {
		err = spent()
	}
	return i, err
}

// verifiedOf are the addresses that are known to be a person's ($1), and an empty one of
// whom an issuer knows without one: an issuer verified it, or an admin of the
// installation ($2) invited that very address, or that person. Admins of other workspaces
// may invite any address, and accept it themselves.
const verifiedOf = `(SELECT email FROM identities WHERE user_id = $1 UNION
	SELECT u.email FROM users u JOIN invitations a ON a.workspace = $2 AND a.accepted_at IS NOT NULL AND (a.user_id = u.id OR a.user_id = '' AND a.email = u.email) WHERE u.id = $1)`

// InvitationsTo lists the open invitations of all workspaces, but those where they are
// already, that are for an address of a person, by id: 100 at most.
func (s *Store) InvitationsTo(ctx context.Context, id mgx.UserID) ([]mgx.WaitingInvitation, error) {
	return list(mgx.ForInstallation(ctx), s, scanWaiting, `SELECT i.id, i.workspace, w.name, i.email, i.role, COALESCE(u.name, ''), i.digest, i.created_at, i.expires_at
		FROM invitations i JOIN workspaces w ON w.id = i.workspace LEFT JOIN users u ON u.id = i.created_by
		WHERE i.email <> '' AND i.email IN `+verifiedOf+` AND i.user_id = '' AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > $3
		AND NOT EXISTS (SELECT 1 FROM members m WHERE m.workspace = i.workspace AND m.user_id = $1) ORDER BY i.id LIMIT 100`,
		string(id), string(mgx.DefaultWorkspace), micros(s.opts.Now()))
}

func scanWaiting(row scanner) (i mgx.WaitingInvitation, err error) {
	var created, expires int64
	err = row.Scan(&i.ID, &i.Workspace, &i.WorkspaceName, &i.Email, &i.Role, &i.InvitedBy, &i.Digest, &created, &expires)
	i.CreatedAt, i.ExpiresAt = fromTime(created), fromTime(expires)
	return i, err
}

// Invited reports whether there is an open invitation to an address anywhere.
func (s *Store) Invited(ctx context.Context, email string) (bool, error) {
	if email == "" {
		return false, nil
	}
	n, _, err := get(mgx.ForInstallation(ctx), s, scanCount, `SELECT COUNT(*) FROM invitations
		WHERE email = $1 AND email <> '' AND user_id = '' AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > $2`, email, micros(s.opts.Now()))
	return n > 0, err
}

func open(i mgx.Invitation, now time.Time) bool {
	return i.AcceptedAt.IsZero() && i.RevokedAt.IsZero() && now.Before(i.ExpiresAt)
}

func spent() error {
	return mgx.Errorf(mgx.KindRefused, mgx.CodeInvitationSpent, "this invitation is not good, or no longer: it was used or revoked, or its time is over; ask for another")
}

// RevokeInvitation makes an invitation worthless.
func (s *Store) RevokeInvitation(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.InvitationID) error {
	return s.act(ctx, by, "invitation.delete", func(t *tx, a *act) error {
		a.resource = string(id)
		n, err := t.exec(`UPDATE invitations SET revoked_at = COALESCE(revoked_at, $1) WHERE workspace = $2 AND id = $3 AND accepted_at IS NULL`, micros(t.now), string(ws), string(id))
		return orNo(n > 0, err, "open invitation", string(id))
	})
}

// Decline ends an open invitation for whom it is for (mgx.CodeInvitationSpent).
func (s *Store) Decline(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.InvitationID) error {
	ctx = mgx.ForInstallation(ctx)
	return s.act(ctx, by, "invitation.decline", func(t *tx, a *act) error {
		a.resource = string(id)
		n, err := t.exec(`UPDATE invitations SET revoked_at = $1, declined_at = $1 WHERE workspace = $2 AND id = $3 AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > $1`,
			micros(t.now), string(ws), string(id))
		if err == nil && n == 0 {
			err = spent()
		}
		return err
	})
}

// Accept spends an invitation, once: it makes the person or sets their password,
// makes them a member, and signs them in, unless they are signed in: then the
// acceptance has no session.
func (s *Store) Accept(ctx context.Context, by mgx.Doer, c mgx.Acceptance) error {
	ctx = mgx.ForInstallation(ctx)
	return s.act(ctx, by, "invitation.accept", func(t *tx, a *act) error {
		var id, ws, role, user, email string
		found, err := t.row(`UPDATE invitations SET accepted_at = $1 WHERE digest = $2 AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > $1
			RETURNING id, workspace, role, user_id, email`, []any{micros(t.now), c.Digest}, &id, &ws, &role, &user, &email)
		if err != nil {
			return err
		}
		if !found {
			return spent()
		}
		t.wrote, t.done = true, true
		a.resource, a.after = id, map[string]string{"user_id": string(c.User.ID), "role": role}
		if err := t.join(c, mgx.WorkspaceID(ws), role, user); err != nil {
			return err
		}
		if c.Session.ID == "" {
			return nil
		}
		return t.addSession(c.Session, c.Tokens)
	})
}

// join makes the person of an acceptance a member, or, where the invitation was
// for a member, sets their address and password.
func (t *tx) join(c mgx.Acceptance, ws mgx.WorkspaceID, role, invited string) error {
	if invited == "" {
		if c.New {
			if err := t.addUser(c.User); err != nil {
				return err
			}
		}
		if err := t.addMember(ws, c.User.ID, role); err != nil {
			return err
		}
		return t.hasRole(ws, role)
	}
	if invited != string(c.User.ID) {
		return spent()
	}
	if taken, err := t.row(`SELECT 1 FROM users WHERE email = $1 AND id <> $2 AND email <> ''`, []any{c.User.Email, invited}, new(int)); err != nil || taken {
		return orTaken(err)
	}
	n, err := t.exec(`UPDATE users SET email = $1, name = $2, password = $3, updated_at = $4 WHERE id = $5`, c.User.Email, c.User.Name, c.User.Password, micros(t.now), invited)
	if err = orNo(n > 0, err, "person", invited); err != nil {
		return err
	}
	return t.endSessions(c.User.ID, "", "password_changed")
}

func scanInvitation(row scanner) (i mgx.Invitation, err error) {
	var created, expires int64
	var accepted, revoked, declined sql.NullInt64
	err = row.Scan(&i.ID, &i.Workspace, &i.Email, &i.Role, &i.User, &i.Digest, &i.CreatedBy, &created, &expires, &accepted, &revoked, &declined)
	i.CreatedAt, i.ExpiresAt, i.AcceptedAt = fromTime(created), fromTime(expires), fromMicros(accepted)
	i.RevokedAt, i.DeclinedAt = fromMicros(revoked), fromMicros(declined)
	return i, err
}
