package store

import (
	"context"
	"database/sql"

	"mgx"
)

// RenewBrowser notes that a browser has shown a cookie, which ends the grace of
// the one before it, and when the cookie is old stores what takes its place, as
// made by fresh for the session. Made says whether it did. Requests that come at
// once with one cookie are all good, and one of them gets the new one. A cookie
// that comes after its successor was seen is in two hands: then the session ends
// and the log tells of it (mgx.CodeTokenReused).
func (s *Store) RenewBrowser(ctx context.Context, by mgx.Doer, digest string, fresh func(mgx.Session) mgx.SessionToken) (ses mgx.Session, made bool, err error) {
	ctx = mgx.ForInstallation(ctx)
	reused := false
	err = s.write(ctx, func(t *tx) error {
		made, reused = false, false
		t.normalEvent = s.normalEvent
		var session string
		var created, expires int64
		var replaced sql.NullInt64
		found, err := t.row(`SELECT session, created_at, expires_at, used_at FROM session_tokens WHERE digest = $1 AND kind = 'browser'`+t.d.lockRead,
			[]any{digest}, &session, &created, &expires, &replaced)
		if err != nil || !found {
			return orUnknown(err)
		}
		if ses, err = scanSession(t.conn.QueryRowContext(t.ctx, `SELECT `+sessionColumns+` FROM sessions WHERE id = $1`+t.d.lockRead, session)); err != nil {
			return err
		}
		now := t.now.UnixMicro()
		switch {
		case !ses.Alive(t.now), expires <= now && !replaced.Valid:
			return orUnknown(nil)
		case expires <= now:
			reused = true
			return t.stolen(by, ses)
		case !replaced.Valid:
			if err := t.confirm(ses.ID, digest); err != nil || now < created+mgx.BrowserRotate.Microseconds() {
				return err
			}
		// Replaced long ago by one that never came back: the answer with it got lost.
		case now >= replaced.Int64+mgx.BrowserGrace.Microseconds() && expires > now+mgx.BrowserGrace.Microseconds():
			if _, err := t.exec(`DELETE FROM session_tokens WHERE session = $1 AND kind = 'browser' AND used_at IS NULL`, session); err != nil {
				return err
			}
		default:
			return nil
		}
		made = true
		return t.replace(ses, digest, fresh(ses))
	})
	if err == nil && reused {
		err = mgx.Errorf(mgx.KindRefused, mgx.CodeTokenReused, "this cookie was replaced before, so the session has ended; sign in again")
	}
	return ses, made, err
}

// confirm ends the grace of all cookies that came before one.
func (t *tx) confirm(ses mgx.SessionID, digest string) error {
	until := micros(t.now.Add(mgx.BrowserGrace))
	_, err := t.exec(`UPDATE session_tokens SET expires_at = $1 WHERE session = $2 AND kind = 'browser' AND digest <> $3 AND used_at IS NOT NULL AND expires_at > $1`,
		until, string(ses), digest)
	return err
}

// replace puts another cookie in the place of one. What is long over goes; until
// then it would tell of a thief.
func (t *tx) replace(ses mgx.Session, digest string, next mgx.SessionToken) error {
	now := micros(t.now)
	if _, err := t.exec(`DELETE FROM session_tokens WHERE session = $1 AND kind = 'browser' AND expires_at < $2`, string(ses.ID), micros(t.now.Add(-mgx.BrowserIdle))); err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE session_tokens SET used_at = $1 WHERE digest = $2`, now, digest); err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE sessions SET last_used_at = $1 WHERE id = $2`, now, string(ses.ID)); err != nil {
		return err
	}
	return t.addToken(next)
}
