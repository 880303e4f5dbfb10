package app

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"time"

	"mgx"
	"mgx/internal/access"
)

// signInWait is how long a person may take at a provider.
const signInWait = 10 * time.Minute

// ProviderInfo is a provider at which people may sign in.
type ProviderInfo struct {
	Name  string `json:"name" doc:"In paths: /signin/with/{name}"`
	Title string `json:"title" doc:"For people"`
}

// Providers lists where people may sign in besides here.
func (a *Access) Providers() []ProviderInfo {
	all := make([]ProviderInfo, len(a.o.Providers))
	for i, p := range a.o.Providers {
		all[i] = ProviderInfo{p.Name(), p.Title()}
	}
	return all
}

func (a *Access) provider(name string) (access.Provider, error) {
	for _, p := range a.o.Providers {
		if p.Name() == name {
			return p, nil
		}
	}
	return nil, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "this server knows no such provider")
}

// BeginSignIn begins a sign-in at a provider, which comes back to the address back.
// Keep is what the browser keeps meanwhile: kept, when it has something already.
func (a *Access) BeginSignIn(ctx context.Context, provider, kept, back, next string) (address, keep string, err error) {
	p, err := a.provider(provider)
	if err != nil {
		return "", "", err
	}
	if keep = kept; keep == "" {
		keep = access.NewSecret("")
	}
	state, err := (underWay{Provider: provider, Next: Next(next), Until: a.o.Now().Add(signInWait)}).seal(keep)
	if err != nil {
		return "", "", err
	}
	if address, err = p.Begin(ctx, attempt(keep, state, back)); err != nil {
		a.o.Log.Warn("a sign-in cannot begin", "provider", provider, "error", err, "cause", cause(err))
		return "", "", err
	}
	return address, keep, nil
}

// underWay is a sign-in that has to come back from a provider. It is nowhere but in the
// state that comes back with it, sealed under what the browser keeps: nobody else can
// make one or read it, and however many there are, none costs another its place. That
// it counts once is up to the provider, whose code does, and to the browser, which
// forgets what it kept when it is in.
type underWay struct {
	Provider string
	Next     string // path where the person wanted to go
	Until    time.Time
}

// stateSeal seals what is under way in a browser.
func stateSeal(keep string) (cipher.AEAD, error) {
	h := hmac.New(sha256.New, []byte(keep))
	h.Write([]byte("state"))
	block, err := aes.NewCipher(h.Sum(nil))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (u underWay) seal(keep string) (state string, err error) {
	text, err := json.Marshal(u)
	if err != nil {
		return "", err
	}
	seal, err := stateSeal(keep)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(seal.Seal(nil, nil, text, nil)), nil
}

// opened is what came back to a browser (mgx.CodeTokenUnknown).
func opened(keep, state, provider string, now time.Time) (u underWay, err error) {
	unknown := mgx.Errorf(mgx.KindRefused, mgx.CodeTokenUnknown, "this sign-in did not begin in this browser, was finished already or took too long; begin again")
	sealed, err := base64.RawURLEncoding.DecodeString(state)
	if err != nil || keep == "" {
		return u, unknown
	}
	seal, err := stateSeal(keep)
	if err != nil {
		return u, err
	}
	text, err := seal.Open(nil, nil, sealed, nil)
	if err != nil || json.Unmarshal(text, &u) != nil || u.Provider != provider || !now.Before(u.Until) {
		return underWay{}, unknown
	}
	return u, nil
}

// attempt is a sign-in of a browser, whose secrets follow from what it keeps: so
// they are nowhere else.
func attempt(keep, state, back string) access.Attempt {
	secret := func(what string) string {
		h := hmac.New(sha256.New, []byte(keep))
		h.Write([]byte(what + " " + state))
		return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
	}
	return access.Attempt{Redirect: back, State: state, Nonce: secret("nonce"), Verifier: secret("verifier")}
}

// Returned is what a browser brings back from a provider.
type Returned struct {
	Provider string
	Kept     string     // what it kept meanwhile
	Back     string     // the address that it came back to
	Query    url.Values // and what the provider added
	Old      string     // the cookie that it has
}

// FinishSignIn begins the session of a browser that comes back from a provider, and
// says where the person wanted to go.
func (a *Access) FinishSignIn(ctx context.Context, r Returned, where access.Where) (b Browser, next string, err error) {
	p, err := a.provider(r.Provider)
	if err != nil {
		return b, "", err
	}
	state := r.Query.Get("state")
	began, err := opened(r.Kept, state, r.Provider, a.o.Now())
	if err != nil {
		return b, "", a.notVouched(ctx, "session.create", r.Provider, where, err)
	}
	claims, err := p.Finish(ctx, attempt(r.Kept, state, r.Back), r.Query)
	if err == nil {
		b, err = a.vouched(ctx, p, claims, where)
	}
	if err != nil {
		return b, "", a.notVouched(ctx, "session.create", r.Provider, where, err)
	}
	return b, began.Next, a.endOld(ctx, r.Old, where)
}

// notVouched remembers that what came from a provider, or as if, did not do what it was
// for, and why.
func (a *Access) notVouched(ctx context.Context, action, provider string, where access.Where, why error) error {
	what := map[string]string{"session.create": "somebody could not sign in", "session.delete": "nobody was signed out by a provider"}[action]
	a.o.Log.Warn(what, "provider", provider, "request", where.Request, "error", why, "cause", cause(why))
	if mgx.AsError(why).Kind == mgx.KindRefused && a.again("sign-in") <= mostFailures {
		if err := a.recordDenied(context.WithoutCancel(ctx), where.Doer(), action, "unknown", mgx.AsError(why).Code); err != nil {
			a.o.Log.Error("a failed attempt to sign in cannot be recorded", "error", err)
		}
	}
	return why
}

// cause is what an error does not tell people.
func cause(err error) error { return mgx.AsError(err).Err }

// vouched begins the session of a person for whom a provider vouches.
func (a *Access) vouched(ctx context.Context, p access.Provider, c access.Claims, where access.Where) (Browser, error) {
	v := mgx.Vouched{Identity: mgx.Identity{Issuer: c.Issuer, Subject: c.Subject, Email: c.Email}, Grants: c.Grants}
	var err error
	if v.User, v.New, err = a.whom(ctx, p, c); err != nil {
		return Browser{}, err
	}
	v.Identity.User = v.User.ID
	b, tokens := a.browser(v.User.ID, where)
	b.Session.Issuer, b.Session.Vouched = c.Issuer, c.Session
	v.Session, v.Tokens = b.Session, tokens
	by := where.Doer()
	by.Actor = string(v.User.ID)
	skipped, err := a.o.Store.SignInVouched(ctx, by, v)
	if a.changed(err) != nil {
		return Browser{}, err
	}
	for _, g := range skipped {
		a.o.Log.Warn("a role that groups give, or no longer give, stays as it is: there is no such workspace or role, it is full, or somebody is its last admin",
			"provider", p.Name(), "user", v.User.ID, "workspace", g.Workspace, "role", g.Role)
	}
	return b, nil
}

// whom is the person whom claims are of: whoever the issuer knows by the subject,
// or else has verified the address of, or somebody new, who has been invited or is in
// a group that lets people in. Being invited makes nobody a member: the invitation
// waits for them.
func (a *Access) whom(ctx context.Context, p access.Provider, c access.Claims) (user mgx.User, fresh bool, err error) {
	user, err = a.o.Store.UserByIdentity(ctx, c.Issuer, c.Subject)
	if mgx.IsCode(err, mgx.CodeNotFound) && c.Email != "" {
		user, err = a.o.Store.UserByEmail(ctx, c.Email)
	}
	if !mgx.IsCode(err, mgx.CodeNotFound) {
		return user, false, err
	}
	if c.New && len(c.Grants) > 0 {
		return newcomer(c), true, nil
	}
	invited, err := a.o.Store.Invited(ctx, c.Email)
	if err != nil {
		return user, false, err
	}
	if !invited {
		return user, false, mgx.Errorf(mgx.KindRefused, "no_account", "%s knows you, and here you have no account yet; ask an admin for an invitation", p.Title())
	}
	return newcomer(c), true, nil
}

func newcomer(c access.Claims) mgx.User {
	return mgx.User{ID: mgx.NewID[mgx.UserID]("user"), Email: c.Email, Name: c.Name}
}

// SignedOutAt ends the sessions of whoever signed out at a provider, which says so
// by a token.
func (a *Access) SignedOutAt(ctx context.Context, provider, token string, where access.Where) error {
	p, err := a.provider(provider)
	if err != nil {
		return err
	}
	out, err := p.SignedOut(ctx, token)
	if err != nil {
		return a.notVouched(ctx, "session.delete", provider, where, err)
	}
	by := where.Doer()
	by.Actor = "system"
	_, err = a.o.Store.EndVouched(ctx, by, out.Issuer, out.Subject, out.Session, out.Until)
	return a.changed(err)
}

// vouchesFor is the provider that vouched for a session; empty: a password did, or
// it is known no more.
func (a *Access) vouchesFor(s mgx.Session) string {
	for _, p := range a.o.Providers {
		if s.Issuer != "" && p.Issuer() == s.Issuer {
			return p.Name()
		}
	}
	return ""
}

// SignOutAt is where somebody signs out at a provider itself, and comes back from
// to an address; empty: there is no such place.
func (a *Access) SignOutAt(ctx context.Context, provider, back string) (info ProviderInfo, address string) {
	p, err := a.provider(provider)
	if err != nil {
		return info, ""
	}
	return ProviderInfo{p.Name(), p.Title()}, p.Out(ctx, back)
}
