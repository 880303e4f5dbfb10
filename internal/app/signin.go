package app

import (
	"context"
	"net/url"
	"strings"
	"time"

	"mgx"
	"mgx/internal/access"
)

// SignInStore keeps what browsers and providers of identities need; *store.Store
// documents and is one.
type SignInStore interface {
	UserByIdentity(ctx context.Context, issuer, subject string) (mgx.User, error)
	RenewBrowser(ctx context.Context, by mgx.Doer, digest string, fresh func(mgx.Session) mgx.SessionToken) (mgx.Session, bool, error)
	SignInVouched(context.Context, mgx.Doer, mgx.Vouched) (skipped []mgx.Grant, err error)
	EndVouched(ctx context.Context, by mgx.Doer, issuer, subject, session string, until time.Time) (ended int, err error)
}

// BrowserTime is how long the session of a browser lasts, however much it is used.
const BrowserTime = 7 * 24 * time.Hour

// Browser is what a browser gets that signed in. The cookie is shown here alone.
type Browser struct {
	Cookie  string
	Session mgx.Session
}

// browser begins a session of a browser.
func (a *Access) browser(user mgx.UserID, where access.Where) (Browser, []mgx.SessionToken) {
	s := a.newSession(user, where)
	s.Kind, s.ExpiresAt = mgx.SessionBrowser, s.CreatedAt.Add(BrowserTime)
	cookie, token := a.cookie(s)
	return Browser{Cookie: cookie, Session: s}, []mgx.SessionToken{token}
}

// cookie makes a cookie of a session.
func (a *Access) cookie(s mgx.Session) (secret string, kept mgx.SessionToken) {
	secret = access.NewSecret(access.BrowserPrefix)
	until := a.o.Now().Add(mgx.BrowserIdle)
	if until.After(s.ExpiresAt) {
		until = s.ExpiresAt
	}
	return secret, mgx.SessionToken{Digest: access.Digest(secret), Session: s.ID, Browser: true, ExpiresAt: until}
}

// SignInBrowser begins the session of a browser by address and password. Old is the
// cookie that it had, whose session ends: nobody goes on with one that somebody else
// may have put there.
func (a *Access) SignInBrowser(ctx context.Context, email, password, old string, where access.Where) (Browser, error) {
	user, err := a.prove(ctx, strings.ToLower(strings.TrimSpace(email)), password, where)
	if err != nil {
		return Browser{}, err
	}
	b, tokens := a.browser(user.ID, where)
	b.Session.Proved = user.Password
	by := where.Doer()
	by.Actor = string(user.ID)
	if err := a.o.Store.SignIn(ctx, by, b.Session, tokens); err != nil {
		return Browser{}, err
	}
	return b, a.endOld(ctx, old, where)
}

// AcceptBrowser spends an invitation and begins the session of a browser.
func (a *Access) AcceptBrowser(ctx context.Context, c Accepting, old string, where access.Where) (b Browser, err error) {
	err = a.accept(ctx, c, where, func(user mgx.UserID) (mgx.Session, []mgx.SessionToken) {
		var tokens []mgx.SessionToken
		b, tokens = a.browser(user, where)
		return b.Session, tokens
	})
	if err != nil {
		return Browser{}, err
	}
	return b, a.endOld(ctx, old, where)
}

// endOld ends the session that a browser had before it signed in.
func (a *Access) endOld(ctx context.Context, old string, where access.Where) error {
	if old == "" {
		return nil
	}
	s, _, err := a.o.Store.SessionOf(ctx, access.Digest(old))
	if err != nil || !s.Alive(a.o.Now()) {
		return nil // there is nothing to end
	}
	by := where.Doer()
	by.Actor = string(s.User)
	return a.changed(a.o.Store.RevokeSession(ctx, by, s.User, s.ID, "replaced"))
}

// SignOutBrowser ends the session of an actor, and names the provider at which the
// person may be signed in still; empty: there is none.
func (a *Access) SignOutBrowser(ctx context.Context, actor access.Actor) (provider string, err error) {
	if err := person(actor); err != nil {
		return "", err
	}
	s, err := a.o.Store.Session(mgx.ForInstallation(ctx), actor.Session)
	if err != nil {
		return "", err
	}
	return a.vouchesFor(s), a.SignOut(ctx, actor)
}

// Renew notes that a browser has shown its cookie, and returns the one that takes
// its place; empty: it goes on. An error means that the session is over.
func (a *Access) Renew(ctx context.Context, cookie string, where access.Where) (fresh string, until time.Time, err error) {
	if !a.Due(ctx, cookie) {
		return "", until, nil
	}
	s, made, err := a.o.Store.RenewBrowser(ctx, where.Doer(), access.Digest(cookie), func(s mgx.Session) mgx.SessionToken {
		var token mgx.SessionToken
		fresh, token = a.cookie(s)
		return token
	})
	a.Noted(cookie)
	if mgx.IsCode(err, mgx.CodeTokenReused) {
		a.Forget()
	}
	if err != nil || !made {
		fresh = ""
	}
	return fresh, s.ExpiresAt, err
}

// Next is where a browser goes after it signed in: the path that it asked for, when
// that is one of this server, and the first page otherwise.
func Next(text string) string {
	u, err := url.Parse(text)
	if err != nil || len(text) > 1000 || !strings.HasPrefix(text, "/") || strings.HasPrefix(text, "//") || strings.HasPrefix(u.Path, "//") ||
		strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == '\\' }) || strings.Contains(u.Path, "\\") {
		return "/"
	}
	return u.RequestURI()
}
