package store

import (
	"context"

	"mgx"
)

const userColumns = `id, email, name, password, created_at`

// User returns a person (CodeNotFound).
func (s *Store) User(ctx context.Context, id mgx.UserID) (mgx.User, error) {
	ctx = mgx.ForInstallation(ctx)
	u, found, err := get(ctx, s, scanUser, `SELECT `+userColumns+` FROM users WHERE id = $1`, string(id))
	return u, orNo(found, err, "person", string(id))
}

// UserByEmail returns the person with an address, which is in lower case.
func (s *Store) UserByEmail(ctx context.Context, email string) (mgx.User, error) {
	ctx = mgx.ForInstallation(ctx)
	if email == "" {
		return mgx.User{}, orNo(false, nil, "person", email)
	}
	u, found, err := get(ctx, s, scanUser, `SELECT `+userColumns+` FROM users WHERE email = $1`, email)
	return u, orNo(found, err, "person", email)
}

// UserByIdentity returns the person that an issuer knows as subject.
func (s *Store) UserByIdentity(ctx context.Context, issuer, subject string) (mgx.User, error) {
	ctx = mgx.ForInstallation(ctx)
	u, found, err := get(ctx, s, scanUser, `SELECT `+userColumns+` FROM users WHERE id = (SELECT user_id FROM identities WHERE issuer = $1 AND subject = $2)`, issuer, subject)
	return u, orNo(found, err, "person", subject)
}

// Found makes the installation's first person, admin of the default workspace,
// with an invitation to set a password, when there is nobody yet. Of several
// processes that try at once one does it.
func (s *Store) Found(ctx context.Context, by mgx.Doer, owner mgx.User, i mgx.Invitation) (made bool, err error) {
	ctx = mgx.ForInstallation(ctx)
	if n, _, err := get(ctx, s, scanCount, `SELECT COUNT(*) FROM users`); err != nil || n > 0 {
		return false, err
	}
	err = s.act(ctx, by, "user.create", func(t *tx, a *act) error {
		owner.CreatedAt = t.now
		a.resource, a.after = string(owner.ID), owner
		n, err := t.exec(`INSERT INTO workspaces (id, name, created_at, updated_at) VALUES ($1, 'default', $2, $2) ON CONFLICT (id) DO NOTHING`, string(mgx.DefaultWorkspace), micros(t.now))
		if err != nil {
			return err
		}
		if n == 0 {
			return mgx.Errorf(mgx.KindInternal, "founded", "there is somebody already")
		}
		if err := t.addUser(owner); err != nil {
			return err
		}
		if err := t.addMember(mgx.DefaultWorkspace, owner.ID, mgx.RoleAdmin); err != nil {
			return err
		}
		return t.addInvitation(i)
	})
	if mgx.IsCode(err, "founded") {
		return false, nil
	}
	return err == nil, err
}

func (t *tx) addUser(u mgx.User) error {
	if u.Email != "" {
		if taken, err := t.row(`SELECT 1 FROM users WHERE email = $1`, []any{u.Email}, new(int)); err != nil || taken {
			return orTaken(err)
		}
	}
	n, err := t.exec(`INSERT INTO users (id, email, name, password, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT DO NOTHING`,
		string(u.ID), u.Email, u.Name, u.Password, micros(t.now))
	if err == nil && n == 0 { // somebody else was first
		return orTaken(nil)
	}
	return err
}

func orTaken(err error) error {
	if err != nil {
		return err
	}
	return mgx.Errorf(mgx.KindUsage, mgx.CodeConflict, "there is an account with this address already; sign in with it")
}

// SetPassword replaces the digest of a person's password, which was another one that
// somebody proved to know (mgx.CodeBadCredentials: it is not that any more). When why is
// not empty it is an act, and every session but one ends, for that reason; else the same
// password got a new digest.
func (s *Store) SetPassword(ctx context.Context, by mgx.Doer, id mgx.UserID, was, digest, why string, keep mgx.SessionID) error {
	ctx = mgx.ForInstallation(ctx)
	set := func(t *tx) error {
		n, err := t.exec(`UPDATE users SET password = $1, updated_at = $2 WHERE id = $3 AND password = $4`, digest, micros(t.now), string(id), was)
		if err != nil || n == 0 {
			return orOutdated(err)
		}
		return nil
	}
	if why == "" {
		return s.write(ctx, set)
	}
	return s.act(ctx, by, "user.password", func(t *tx, a *act) error {
		a.resource = string(id)
		if err := set(t); err != nil {
			return err
		}
		return t.endSessions(id, keep, why)
	})
}

func scanUser(row scanner) (u mgx.User, err error) {
	var created int64
	err = row.Scan(&u.ID, &u.Email, &u.Name, &u.Password, &created)
	u.HasPassword, u.CreatedAt = u.Password != "", fromTime(created)
	return u, err
}

// orNo is the error of a look-up that found nothing.
func orNo(found bool, err error, what, id string) error {
	if err != nil || found {
		return err
	}
	return mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no %s %s", what, id)
}
