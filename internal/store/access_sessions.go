package store

import (
	"cmp"
	"context"
	"database/sql"

	"mgx"
)

// MaxSessions is how many sessions of a person are alive at once; a new one ends
// the oldest.
const MaxSessions = 50

const sessionColumns = `id, user_id, address, agent, created_at, last_used_at, expires_at, revoked_at, revoked_why, kind, issuer, issuer_session`

// SignIn stores a session with its first tokens, if the password that was shown for it
// is still the person's (mgx.CodeBadCredentials).
func (s *Store) SignIn(ctx context.Context, by mgx.Doer, ses mgx.Session, tokens []mgx.SessionToken) error {
	ctx = mgx.ForInstallation(ctx)
	return s.act(ctx, by, "session.create", func(t *tx, a *act) error {
		a.resource = string(ses.ID)
		return t.addSession(ses, tokens)
	})
}

func (t *tx) addSession(ses mgx.Session, tokens []mgx.SessionToken) error {
	if ses.Proved != "" {
		same, err := t.row(`SELECT 1 FROM users WHERE id = $1 AND password = $2`+t.d.lockRead, []any{string(ses.User), ses.Proved}, new(int))
		if err != nil || !same {
			return orOutdated(err)
		}
	}
	now := micros(t.now)
	// What ended long ago goes; what is one too many ends.
	for _, q := range []string{
		`DELETE FROM session_tokens WHERE session IN (SELECT id FROM sessions WHERE user_id = $1 AND expires_at < $2)`,
		`DELETE FROM sessions WHERE user_id = $1 AND expires_at < $2`,
	} {
		if _, err := t.exec(q, string(ses.User), now); err != nil {
			return err
		}
	}
	if _, err := t.exec(`UPDATE sessions SET revoked_at = $1, revoked_why = 'too_many' WHERE user_id = $2 AND revoked_at IS NULL AND id NOT IN
		(SELECT id FROM sessions WHERE user_id = $2 AND revoked_at IS NULL ORDER BY last_used_at DESC, id DESC LIMIT $3)`, now, string(ses.User), MaxSessions-1); err != nil {
		return err
	}
	if _, err := t.exec(`INSERT INTO sessions (`+sessionColumns+`) VALUES ($1, $2, $3, $4, $5, $5, $6, NULL, '', $7, $8, $9)`,
		string(ses.ID), string(ses.User), ses.Address, ses.Agent, now, micros(ses.ExpiresAt), cmp.Or(ses.Kind, mgx.SessionClient), ses.Issuer, ses.Vouched); err != nil {
		return err
	}
	return each(tokens, t.addToken)
}

// orOutdated: the password was changed while somebody proved to know the one before.
func orOutdated(err error) error {
	if err != nil {
		return err
	}
	return mgx.Errorf(mgx.KindRefused, mgx.CodeBadCredentials, "the password was changed meanwhile; use the new one")
}

func (t *tx) addToken(k mgx.SessionToken) error {
	kind := "access"
	switch {
	case k.Refresh:
		kind = "refresh"
	case k.Browser:
		kind = "browser"
	}
	_, err := t.exec(`INSERT INTO session_tokens (digest, session, kind, created_at, expires_at, used_at) VALUES ($1, $2, $3, $4, $5, NULL)`,
		k.Digest, string(k.Session), kind, micros(t.now), micros(k.ExpiresAt))
	return err
}

// Refresh spends a refresh token and stores those that take its place, made by
// fresh for its session. A refresh token that was spent before is in two hands, of
// which one stole it: then the session ends and the log tells of it
// (mgx.CodeTokenReused).
func (s *Store) Refresh(ctx context.Context, by mgx.Doer, digest string, fresh func(mgx.Session) []mgx.SessionToken) (ses mgx.Session, err error) {
	ctx = mgx.ForInstallation(ctx)
	reused := false
	err = s.write(ctx, func(t *tx) error {
		reused = false
		t.normalEvent = s.normalEvent
		var session string
		var used sql.NullInt64
		var expires int64
		found, err := t.row(`SELECT session, used_at, expires_at FROM session_tokens WHERE digest = $1 AND kind = 'refresh'`+t.d.lockRead, []any{digest}, &session, &used, &expires)
		if err != nil || !found {
			return orUnknown(err)
		}
		if ses, err = scanSession(t.conn.QueryRowContext(t.ctx, `SELECT `+sessionColumns+` FROM sessions WHERE id = $1`+t.d.lockRead, session)); err != nil {
			return err
		}
		switch {
		case !ses.Alive(t.now), expires <= t.now.UnixMicro():
			return orUnknown(nil)
		case used.Valid:
			reused = true
			return t.stolen(by, ses)
		}
		return t.rotate(ses, digest, fresh(ses))
	})
	if err == nil && reused {
		err = mgx.Errorf(mgx.KindRefused, mgx.CodeTokenReused, "this refresh token was used before, so the session has ended; sign in again")
	}
	return ses, err
}

func orUnknown(err error) error {
	if err != nil {
		return err
	}
	return mgx.Errorf(mgx.KindRefused, mgx.CodeTokenUnknown, "this token is not good, or no longer; sign in again")
}

func (t *tx) rotate(ses mgx.Session, digest string, tokens []mgx.SessionToken) error {
	now := micros(t.now)
	if _, err := t.exec(`UPDATE session_tokens SET used_at = $1 WHERE digest = $2`, now, digest); err != nil {
		return err
	}
	if _, err := t.exec(`DELETE FROM session_tokens WHERE session = $1 AND kind = 'access' AND expires_at <= $2`, string(ses.ID), now); err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE sessions SET last_used_at = $1 WHERE id = $2`, now, string(ses.ID)); err != nil {
		return err
	}
	return each(tokens, t.addToken)
}

// stolen ends a session, of which a token was used twice.
func (t *tx) stolen(by mgx.Doer, ses mgx.Session) error {
	if err := t.endSession(ses.ID, "token_reuse"); err != nil {
		return err
	}
	e := mgx.NewEvent(mgx.SuspiciousActivity, mgx.SuspicionData{
		Severity: "high", Actor: string(ses.User), Address: by.From, What: "token_reuse", Target: string(ses.ID), Blocked: true,
		Detail: "A refresh token was used a second time, so two parties have it; its session was ended.",
	})
	e.Workspace, e.Stream, e.Time = by.Workspace, mgx.StreamID(ses.User), t.now
	if err := t.tell(e); err != nil {
		return err
	}
	by.Actor = string(ses.User)
	return t.audit(by, "session.refresh", act{resource: string(ses.ID), denied: "token_reuse"})
}

// SessionOf returns the session of an access token or a browser's cookie, as both
// stand (mgx.CodeTokenUnknown).
func (s *Store) SessionOf(ctx context.Context, digest string) (ses mgx.Session, until mgx.SessionToken, err error) {
	ctx = mgx.ForInstallation(ctx)
	var issued, expires int64
	var kind string
	var replaced sql.NullInt64
	err = s.reads.QueryRowContext(ctx, `SELECT session, kind, created_at, expires_at, used_at, EXISTS
		(SELECT 1 FROM session_tokens b WHERE b.session = t.session AND t.kind = 'browser' AND b.kind = 'browser' AND b.used_at IS NOT NULL AND b.digest <> t.digest AND b.expires_at > $2)
		FROM session_tokens t WHERE digest = $1 AND kind IN ('access', 'browser')`, digest, micros(s.opts.Now().Add(mgx.BrowserGrace))).
		Scan(&until.Session, &kind, &issued, &expires, &replaced, &until.Confirms)
	if err == sql.ErrNoRows {
		return ses, until, orUnknown(nil)
	}
	if err != nil {
		return ses, until, s.explain(err)
	}
	until.Browser, until.IssuedAt, until.ExpiresAt, until.ReplacedAt = kind == "browser", fromTime(issued), fromTime(expires), fromMicros(replaced)
	ses, err = s.Session(ctx, until.Session)
	if mgx.IsCode(err, mgx.CodeNotFound) {
		err = orUnknown(nil)
	}
	return ses, until, err
}

// Session returns a session (CodeNotFound).
func (s *Store) Session(ctx context.Context, id mgx.SessionID) (mgx.Session, error) {
	ctx = mgx.ForInstallation(ctx)
	ses, found, err := get(ctx, s, scanSession, `SELECT `+sessionColumns+` FROM sessions WHERE id = $1`, string(id))
	return ses, orNo(found, err, "session", string(id))
}

// Sessions lists the sessions of a person that have not ended, oldest first.
func (s *Store) Sessions(ctx context.Context, user mgx.UserID) ([]mgx.Session, error) {
	ctx = mgx.ForInstallation(ctx)
	return list(ctx, s, scanSession, `SELECT `+sessionColumns+` FROM sessions WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2 ORDER BY id`, string(user), micros(s.opts.Now()))
}

// RevokeSession ends a session of a person.
func (s *Store) RevokeSession(ctx context.Context, by mgx.Doer, user mgx.UserID, id mgx.SessionID, why string) error {
	ctx = mgx.ForInstallation(ctx)
	return s.act(ctx, by, "session.delete", func(t *tx, a *act) error {
		a.resource = string(id)
		found, err := t.row(`SELECT 1 FROM sessions WHERE id = $1 AND user_id = $2`, []any{string(id), string(user)}, new(int))
		if err = orNo(found, err, "session", string(id)); err != nil {
			return err
		}
		return t.endSession(id, why)
	})
}

func (t *tx) endSession(id mgx.SessionID, why string) error {
	_, err := t.exec(`UPDATE sessions SET revoked_at = $1, revoked_why = $2 WHERE id = $3 AND revoked_at IS NULL`, micros(t.now), why, string(id))
	return err
}

// endSessions ends all sessions of a person but one.
func (t *tx) endSessions(user mgx.UserID, keep mgx.SessionID, why string) error {
	_, err := t.exec(`UPDATE sessions SET revoked_at = $1, revoked_why = $2 WHERE user_id = $3 AND id <> $4 AND revoked_at IS NULL`, micros(t.now), why, string(user), string(keep))
	return err
}

func scanSession(row scanner) (ses mgx.Session, err error) {
	var created, used, expires int64
	var revoked sql.NullInt64
	err = row.Scan(&ses.ID, &ses.User, &ses.Address, &ses.Agent, &created, &used, &expires, &revoked, &ses.RevokedWhy, &ses.Kind, &ses.Issuer, &ses.Vouched)
	ses.CreatedAt, ses.LastUsedAt, ses.ExpiresAt, ses.RevokedAt = fromTime(created), fromTime(used), fromTime(expires), fromMicros(revoked)
	return ses, err
}
