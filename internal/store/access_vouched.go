package store

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"mgx"
)

// SignInVouched begins the session of a person for whom an issuer vouches. It
// makes the person where they are new, and remembers who they are to the issuer. An
// account that had the address without anybody having seen that it was theirs is
// theirs from now on alone: its password, sessions and keys end, and of the workspaces
// that somebody became a member of by it they are asked anew, by invitations.
// What the issuer's groups granted before and do no longer ends; roles that somebody
// gave by hand stay as they are, and so does the last admin of a workspace. Skipped
// are the grants that cannot be given, such as of a workspace that there is not.
func (s *Store) SignInVouched(ctx context.Context, by mgx.Doer, v mgx.Vouched) (skipped []mgx.Grant, err error) {
	ctx = mgx.ForInstallation(ctx)
	err = s.write(ctx, func(t *tx) error {
		t.normalEvent, skipped = s.normalEvent, nil
		known, cleared, err := t.vouch(by, v)
		if err != nil {
			return err
		}
		if skipped, err = t.regrant(by, v); err != nil {
			return err
		}
		// Acts on people are of the default workspace, whose log all such
		// sign-ins lock last.
		if v.New {
			v.User.CreatedAt = t.now
			if err := t.audit(by, "user.create", act{resource: string(v.User.ID), after: v.User}); err != nil {
				return err
			}
		}
		if !known {
			after := map[string]string{"issuer": v.Identity.Issuer, "subject": v.Identity.Subject}
			if cleared {
				after["ended"] = "password, sessions and keys of an account whose address nobody had verified"
			}
			if err := t.audit(by, "identity.create", act{resource: string(v.User.ID), after: after}); err != nil {
				return err
			}
		}
		if err := t.addSession(v.Session, v.Tokens); err != nil {
			return err
		}
		return t.audit(by, "session.create", act{resource: string(v.Session.ID), after: map[string]string{"issuer": v.Identity.Issuer}})
	})
	return skipped, err
}

// vouch remembers who a person is to an issuer, and reports whether it was known,
// and whether the account was cleared.
func (t *tx) vouch(by mgx.Doer, v mgx.Vouched) (known, cleared bool, err error) {
	var user string
	known, err = t.row(`SELECT user_id FROM identities WHERE issuer = $1 AND subject = $2`, []any{v.Identity.Issuer, v.Identity.Subject}, &user)
	switch {
	case err != nil:
		return known, false, err
	case known && (v.New || user != string(v.User.ID)):
		return known, false, vouchedMeanwhile()
	case known:
		_, err = t.exec(`UPDATE identities SET email = $1 WHERE issuer = $2 AND subject = $3 AND email <> $1`, v.Identity.Email, v.Identity.Issuer, v.Identity.Subject)
		return known, false, err
	case v.New:
		err = t.addUser(v.User)
	default:
		if err = t.unknownTo(v.Identity.Issuer, v.User.ID); err == nil {
			cleared, err = t.clear(by, v.User)
		}
	}
	if err != nil {
		return known, false, err
	}
	n, err := t.exec(`INSERT INTO identities (issuer, subject, user_id, email, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
		v.Identity.Issuer, v.Identity.Subject, string(v.User.ID), v.Identity.Email, micros(t.now))
	if err == nil && n == 0 {
		err = vouchedMeanwhile()
	}
	return known, cleared, err
}

// clear takes an account from whoever made it under an address that they may not
// have, unless the address was seen to be theirs: what lets them in ends.
func (t *tx) clear(by mgx.Doer, user mgx.User) (cleared bool, err error) {
	id := string(user.ID)
	seen, err := t.row(`SELECT 1 FROM `+verifiedOf+` known LIMIT 1`, []any{id, string(mgx.DefaultWorkspace)}, new(int))
	if err != nil || seen {
		return false, err
	}
	if _, err := t.exec(`UPDATE users SET password = '', updated_at = $1 WHERE id = $2`, micros(t.now), id); err != nil {
		return false, err
	}
	if _, err := t.exec(`UPDATE api_keys SET revoked_at = $1 WHERE user_id = $2 AND revoked_at IS NULL`, micros(t.now), id); err != nil {
		return false, err
	}
	if _, err := t.exec(`UPDATE invitations SET revoked_at = $1 WHERE (user_id = $2 OR created_by = $2) AND accepted_at IS NULL AND revoked_at IS NULL`, micros(t.now), id); err != nil {
		return false, err
	}
	if err := t.endSessions(user.ID, "", "address_taken"); err != nil {
		return false, err
	}
	return true, t.askAnew(by, user)
}

// askTime is how long a person is asked.
const askTime = 30 * 24 * time.Hour

// askAnew makes invitations of memberships that somebody took under a person's address
// before anybody had seen that it was theirs. What groups gave stays, and so does the
// last admin of a workspace.
func (t *tx) askAnew(by mgx.Doer, user mgx.User) error {
	all, err := t.granted(user.ID)
	if err != nil {
		return err
	}
	for _, ws := range slices.Sorted(maps.Keys(all)) {
		m := all[ws]
		if m.issuer != "" {
			continue
		}
		if _, err := t.leaveAdmins(ws, user.ID, ""); mgx.IsCode(err, mgx.CodeLastAdmin) {
			continue
		} else if err != nil {
			return err
		}
		if err := t.removeMember(ws, user.ID); err != nil {
			return err
		}
		i := mgx.Invitation{ID: mgx.NewID[mgx.InvitationID]("inv"), Workspace: ws, Email: user.Email, Role: m.role, ExpiresAt: t.now.Add(askTime)}
		i.Digest = string(i.ID) // which is that of no token
		if err := t.addInvitation(i); err != nil {
			return err
		}
		by.Workspace = ws
		if err := t.audit(by, "member.delete", act{resource: string(user.ID), before: map[string]string{"role": m.role}, after: map[string]string{"invitation_id": string(i.ID)}}); err != nil {
			return err
		}
	}
	return nil
}

// unknownTo refuses somebody whom an issuer knows as another subject already: an
// address that was given to somebody else does not bring the account with it.
func (t *tx) unknownTo(issuer string, user mgx.UserID) error {
	known, err := t.row(`SELECT 1 FROM identities WHERE issuer = $1 AND user_id = $2`, []any{issuer, string(user)}, new(int))
	if err == nil && known {
		err = mgx.Errorf(mgx.KindRefused, "other_identity", "there is an account with your address, and the provider knew its owner as somebody else; tell who runs this server")
	}
	return err
}

// vouchedMeanwhile: the person signed in for the first time twice at once.
func vouchedMeanwhile() error {
	return mgx.Errorf(mgx.KindUsage, mgx.CodeConflict, "you signed in for the first time in another window at the same time; sign in again")
}

// regrant has the roles that an issuer gives a person be the grants and no others.
// It goes through workspaces in the order of their ids, as everybody does who
// locks several.
func (t *tx) regrant(by mgx.Doer, v mgx.Vouched) (skipped []mgx.Grant, err error) {
	before, err := t.granted(v.User.ID)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(v.Grants)
	for ws, m := range before {
		if m.issuer == v.Identity.Issuer && !slices.ContainsFunc(all, func(g mgx.Grant) bool { return g.Workspace == ws }) {
			all = append(all, mgx.Grant{Workspace: ws})
		}
	}
	slices.SortFunc(all, func(a, b mgx.Grant) int { return strings.Compare(string(a.Workspace), string(b.Workspace)) })
	for _, g := range all {
		m, member := before[g.Workspace]
		if member && (m.issuer != v.Identity.Issuer || m.role == g.Role) {
			continue // given by hand, or as it is to be
		}
		by.Workspace = g.Workspace
		err := t.regrantOne(by, v, g, m.role, member)
		if e := mgx.AsError(err); err != nil && e.Kind == mgx.KindUsage {
			skipped = append(skipped, g)
			err = nil
			if e.Code == mgx.CodeLastAdmin {
				err = t.audit(by, "member.update", act{resource: string(v.User.ID), denied: e.Code})
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return skipped, nil
}

// regrantOne makes, changes or ends one membership. It fails with an error of
// kind usage, having done nothing, when that cannot be.
func (t *tx) regrantOne(by mgx.Doer, v mgx.Vouched, g mgx.Grant, before string, member bool) error {
	a := act{resource: string(v.User.ID)}
	if g.Role != "" {
		if err := t.hasRole(g.Workspace, g.Role); err != nil {
			return err
		}
		a.after = map[string]string{"role": g.Role, "issuer": v.Identity.Issuer}
	}
	if !member {
		if err := t.addGranted(g.Workspace, v.User.ID, g.Role, v.Identity.Issuer); err != nil {
			return err
		}
		return t.audit(by, "member.create", a)
	}
	a.before = map[string]string{"role": before, "issuer": v.Identity.Issuer}
	if _, err := t.leaveAdmins(g.Workspace, v.User.ID, g.Role); err != nil {
		return err
	}
	if g.Role == "" {
		if err := t.removeMember(g.Workspace, v.User.ID); err != nil {
			return err
		}
		return t.audit(by, "member.delete", a)
	}
	if _, err := t.exec(`UPDATE members SET role = $1, updated_at = $2 WHERE workspace = $3 AND user_id = $4`, g.Role, micros(t.now), string(g.Workspace), string(v.User.ID)); err != nil {
		return err
	}
	if err := t.revokeInvitations(g.Workspace, v.User.ID); err != nil {
		return err
	}
	return t.audit(by, "member.update", a)
}

// granting is a membership and who gave it.
type granting struct{ role, issuer string }

func (t *tx) granted(user mgx.UserID) (map[mgx.WorkspaceID]granting, error) {
	rows, err := t.conn.QueryContext(t.ctx, `SELECT workspace, role, granted_by FROM members WHERE user_id = $1`, string(user))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[mgx.WorkspaceID]granting{}
	for rows.Next() {
		var ws mgx.WorkspaceID
		var g granting
		if err := rows.Scan(&ws, &g.role, &g.issuer); err != nil {
			return nil, err
		}
		all[ws] = g
	}
	return all, rows.Err()
}

// EndVouched ends the sessions for which an issuer vouches and that began until a time:
// one, by the issuer's name for it, or all of a subject. Ended is how many there were.
func (s *Store) EndVouched(ctx context.Context, by mgx.Doer, issuer, subject, session string, until time.Time) (ended int, err error) {
	ctx = mgx.ForInstallation(ctx)
	err = s.act(ctx, by, "session.delete", func(t *tx, a *act) error {
		all, err := t.vouched(issuer, subject, session, until)
		if ended = len(all); err != nil || ended == 0 {
			return err
		}
		a.resource, a.before = string(all[0]), map[string]any{"sessions": all, "issuer": issuer}
		return each(all, func(id mgx.SessionID) error { return t.endSession(id, "signed_out") })
	})
	return ended, err
}

// vouched lists sessions that go on. Who names neither a subject nor a session
// means none.
func (t *tx) vouched(issuer, subject, session string, until time.Time) (all []mgx.SessionID, err error) {
	rows, err := t.conn.QueryContext(t.ctx, `SELECT id FROM sessions WHERE issuer = $1 AND issuer <> '' AND revoked_at IS NULL AND created_at <= $4 AND (issuer_session = $2 AND issuer_session <> ''
		OR CAST($2 AS TEXT) = '' AND user_id = (SELECT user_id FROM identities WHERE issuer = $1 AND subject = $3)) ORDER BY id`, issuer, session, subject, micros(until))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id mgx.SessionID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		all = append(all, id)
	}
	return all, rows.Err()
}
