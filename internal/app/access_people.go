package app

import (
	"context"
	"fmt"
	"math/bits"
	"strings"
	"time"

	"mgx"
	"mgx/internal/access"
)

// How long what proves who somebody is lasts.
const (
	AccessTime     = 15 * time.Minute    // an access token
	SessionTime    = 30 * 24 * time.Hour // a session, however often its tokens are renewed
	InvitationTime = 7 * 24 * time.Hour  // an invitation, unless it says
	SetupTime      = 24 * time.Hour      // the invitation of the first owner
	maxInvitation  = 30 * 24 * time.Hour
)

// CodeBadCredentials is the one answer to whoever cannot sign in.
const CodeBadCredentials = mgx.CodeBadCredentials

// Signed is what somebody gets who signed in. The tokens are shown here alone.
type Signed struct {
	Access  string       `json:"access_token"`
	Type    string       `json:"token_type"` // Bearer
	Expires int64        `json:"expires_in"` // seconds until the access token does
	Refresh string       `json:"refresh_token"`
	Session mgx.Session  `json:"session"`
	User    mgx.User     `json:"user"`
	Members []mgx.Member `json:"memberships"`
	tokens  []mgx.SessionToken
}

// mint makes tokens for a session.
func (a *Access) mint(s mgx.Session) Signed {
	now := a.o.Now()
	out := Signed{Access: access.NewSecret(access.AccessPrefix), Refresh: access.NewSecret(access.RefreshPrefix), Type: "Bearer", Expires: int64(AccessTime / time.Second), Session: s}
	out.tokens = []mgx.SessionToken{
		{Digest: access.Digest(out.Access), Session: s.ID, ExpiresAt: now.Add(AccessTime)},
		{Digest: access.Digest(out.Refresh), Session: s.ID, Refresh: true, ExpiresAt: s.ExpiresAt},
	}
	return out
}

func (a *Access) newSession(user mgx.UserID, where access.Where) mgx.Session {
	now := a.o.Now().UTC().Truncate(time.Microsecond)
	return mgx.Session{ID: mgx.NewID[mgx.SessionID]("ses"), User: user, Address: where.Address, Agent: where.Agent, CreatedAt: now, LastUsedAt: now, ExpiresAt: now.Add(SessionTime), Kind: mgx.SessionClient}
}

// described adds who a session is of.
func (a *Access) described(ctx context.Context, s Signed) (Signed, error) {
	var err error
	if s.User, err = a.o.Store.User(ctx, s.Session.User); err == nil {
		s.Members, err = a.o.Store.Memberships(ctx, s.Session.User)
	}
	return s, err
}

// SignIn begins a session of the person with an address and a password. Whatever
// is wrong, it is refused with CodeBadCredentials after the same time.
func (a *Access) SignIn(ctx context.Context, email, password string, where access.Where) (Signed, error) {
	user, err := a.prove(ctx, strings.ToLower(strings.TrimSpace(email)), password, where)
	if err != nil {
		return Signed{}, err
	}
	s := a.mint(a.newSession(user.ID, where))
	s.Session.Proved = user.Password
	by := where.Doer()
	by.Actor = string(user.ID)
	if err := a.o.Store.SignIn(ctx, by, s.Session, s.tokens); err != nil {
		return Signed{}, err
	}
	return a.described(ctx, s)
}

// prove checks a password, and returns the person with its digest, which what is done
// with that takes to be the same still.
func (a *Access) prove(ctx context.Context, email, password string, where access.Where) (mgx.User, error) {
	failures, succeeded, err := a.attempts.Try(ctx, email, where.Address)
	if err != nil {
		return mgx.User{}, err
	}
	user, err := a.o.Store.UserByEmail(ctx, email)
	if err != nil && !mgx.IsCode(err, mgx.CodeNotFound) {
		return user, err
	}
	if len(password) > 1024 { // longer than any that was ever set
		password = password[:1024]
	}
	ok, stale, err := a.hasher.Check(ctx, user.Password, password)
	if err != nil {
		return user, err
	}
	if !ok {
		a.failed(ctx, user, failures, where)
		return mgx.User{}, mgx.Errorf(mgx.KindRefused, CodeBadCredentials, "the address or the password is wrong")
	}
	succeeded()
	if stale {
		if digest, err := a.hasher.Hash(ctx, password); err == nil && a.o.Store.SetPassword(ctx, mgx.Doer{}, user.ID, user.Password, digest, "", "") == nil {
			user.Password = digest // else the old one is good, too
		}
	}
	return user, nil
}

// mostFailures is how many failed attempts a minute are told one by one.
const mostFailures = 10

// manyGuesses is how many failed attempts a minute at one account, from wherever, look
// like somebody who guesses from many networks.
const manyGuesses = 20

// failed tells of a failed attempt, alike for people that there are and that
// there are not.
func (a *Access) failed(ctx context.Context, user mgx.User, failures int, where access.Where) {
	ctx = context.WithoutCancel(ctx)
	target := string(user.ID)
	if target == "" {
		target = "unknown"
	}
	var err error
	if n := a.again("sign-in from " + access.Network(where.Address)); n == manyAccounts {
		a.warn(ctx, mgx.DefaultWorkspace, mgx.SuspicionData{
			Severity: "medium", Address: where.Address, What: "authentication_failures", Blocked: true, Count: manyAccounts,
			Detail: fmt.Sprintf("%d attempts to sign in failed in a minute from one network.", manyAccounts),
		})
	}
	if user.ID != "" && a.again("sign-in of "+target) == manyGuesses {
		a.warn(ctx, mgx.DefaultWorkspace, mgx.SuspicionData{
			Severity: "high", Address: where.Address, What: "authentication_failures", Count: manyGuesses, Target: target,
			Detail: fmt.Sprintf("%d attempts to sign in as one person failed in a minute; no one network made so many.", manyGuesses),
		})
	}
	if a.again("sign-in") <= mostFailures {
		err = a.recordDenied(ctx, where.Doer(), "session.create", target, CodeBadCredentials)
	}
	if err == nil && failures >= 8 && bits.OnesCount(uint(failures)) == 1 {
		err = a.suspect(ctx, mgx.DefaultWorkspace, mgx.SuspicionData{
			Severity: "medium", Address: where.Address, What: "authentication_failures", Blocked: true, Count: int64(failures), Target: target,
			Detail: "Attempts to sign in failed again and again from one address; each has to wait longer.",
		})
	}
	if err != nil {
		a.o.Log.Error("a failed attempt to sign in cannot be recorded", "error", err)
	}
}

// Refresh spends a refresh token and returns what takes the place of all tokens.
func (a *Access) Refresh(ctx context.Context, token string, where access.Where) (Signed, error) {
	var s Signed
	_, err := a.o.Store.Refresh(ctx, where.Doer(), access.Digest(token), func(ses mgx.Session) []mgx.SessionToken {
		s = a.mint(ses)
		return s.tokens
	})
	if mgx.IsCode(err, mgx.CodeTokenReused) {
		a.Forget()
	}
	if err != nil {
		return Signed{}, err
	}
	return a.described(ctx, s)
}

// person refuses actors that are not a person who signed in: a key does not
// become more than it is by the sessions of whom it stands for.
func person(actor access.Actor) error {
	if actor.Session == "" {
		return mgx.Errorf(mgx.KindRefused, "session_required", "sign in to do this; keys and the token of the data directory have no sessions")
	}
	return nil
}

// installation is the actor for the audit log of the installation, which has what
// is of people and not of workspaces.
func installation(actor access.Actor) mgx.Doer {
	by := actor.Doer()
	by.Workspace = mgx.DefaultWorkspace
	return by
}

// SignOut ends the session of an actor.
func (a *Access) SignOut(ctx context.Context, actor access.Actor) error {
	if err := person(actor); err != nil {
		return err
	}
	return a.changed(a.o.Store.RevokeSession(ctx, installation(actor), actor.User, actor.Session, "signed_out"))
}

// Sessions lists the sessions of a person.
func (a *Access) Sessions(ctx context.Context, actor access.Actor) ([]mgx.Session, error) {
	if err := person(actor); err != nil {
		return nil, err
	}
	all, err := a.o.Store.Sessions(ctx, actor.User)
	for i := range all {
		all[i].Current = all[i].ID == actor.Session
	}
	return all, err
}

// RevokeSession ends one session of a person.
func (a *Access) RevokeSession(ctx context.Context, actor access.Actor, id mgx.SessionID) error {
	if err := person(actor); err != nil {
		return err
	}
	return a.changed(a.o.Store.RevokeSession(ctx, installation(actor), actor.User, id, "revoked"))
}

// ChangePassword sets another password and ends all other sessions.
func (a *Access) ChangePassword(ctx context.Context, actor access.Actor, old, fresh string) error {
	if err := person(actor); err != nil {
		return err
	}
	user, err := a.o.Store.User(ctx, actor.User)
	if err != nil {
		return err
	}
	if user, err = a.prove(ctx, user.Email, old, actor.Where); mgx.IsCode(err, CodeBadCredentials) {
		return mgx.Errorf(mgx.KindRefused, CodeBadCredentials, "this is not your password now; whoever forgot theirs asks an admin for a link")
	} else if err != nil {
		return err
	}
	if err := access.CheckPassword(fresh, user.Email, user.Name); err != nil {
		return err
	}
	digest, err := a.hasher.Hash(ctx, fresh)
	if err != nil {
		return err
	}
	return a.changed(a.o.Store.SetPassword(ctx, installation(actor), actor.User, user.Password, digest, "password_changed", actor.Session))
}

// Me is who somebody is.
type Me struct {
	User      mgx.User        `json:"user"`
	Workspace mgx.WorkspaceID `json:"workspace_id,omitempty"` // in which the request acts
	Role      string          `json:"role,omitempty"`
	Scopes    []string        `json:"scopes,omitempty"`
	Key       mgx.KeyID       `json:"key_id,omitempty"`
	Session   mgx.SessionID   `json:"session_id,omitempty"`
	Owner     bool            `json:"owner,omitempty"` // of the data directory
	Members   []mgx.Member    `json:"memberships"`
}

// Me says who an actor is. A key learns of no other workspace than its own.
func (a *Access) Me(ctx context.Context, actor access.Actor) (Me, error) {
	me := Me{
		User: mgx.User{ID: actor.User}, Workspace: actor.Workspace, Role: actor.Role, Scopes: actor.Scopes, Session: actor.Session, Owner: actor.Owner, Members: []mgx.Member{},
	}
	if actor.Key != nil {
		me.Key = actor.Key.ID
	}
	if a.o.Store == nil {
		return me, nil
	}
	user, err := a.o.Store.User(ctx, actor.User)
	if mgx.IsCode(err, mgx.CodeNotFound) {
		return me, nil
	}
	if err != nil {
		return me, err
	}
	if actor.Key != nil { // nor of a name or an address, which takes the scope of members
		me.User.HasPassword, me.User.CreatedAt = user.HasPassword, user.CreatedAt
		return me, nil
	}
	all, err := a.o.Store.Memberships(ctx, actor.User)
	me.User, me.Members = user, append(me.Members, all...)
	return me, err
}
