package access

import (
	"context"

	"mgx"
)

// Due reports whether it has to be noted that a browser has shown a cookie: it is
// old, it is the first time that it came back, or it should not come any more. What
// cannot be looked up is not due.
func (a *Authenticator) Due(ctx context.Context, cookie string) bool {
	if a.o.Store == nil {
		return false
	}
	s, err := a.session(ctx, Digest(cookie))
	now, t := a.o.Now(), s.kept
	switch {
	case err != nil || !s.Alive(now):
		return false
	case t.ReplacedAt.IsZero():
		return now.Before(t.ExpiresAt) && (t.Confirms || now.Sub(t.IssuedAt) >= mgx.BrowserRotate)
	}
	return !now.Before(t.ExpiresAt) || now.Sub(t.ReplacedAt) >= mgx.BrowserGrace && t.ExpiresAt.Sub(now) > mgx.BrowserGrace
}

// Noted has a cookie looked up anew when it comes next.
func (a *Authenticator) Noted(cookie string) { a.sessions.drop(Digest(cookie)) }
