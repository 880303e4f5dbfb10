package access

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"mgx"
)

// Store is what an authenticator reads; *store.Store is one.
type Store interface {
	KeyStore
	// SessionOf returns the session of an access token or a browser's cookie by its
	// digest, and how that stands. An error of kind refused: there is none.
	SessionOf(ctx context.Context, digest string) (mgx.Session, mgx.SessionToken, error)
	// Session returns a session (CodeNotFound).
	Session(context.Context, mgx.SessionID) (mgx.Session, error)
	// Member returns a membership (CodeNotFound).
	Member(context.Context, mgx.WorkspaceID, mgx.UserID) (mgx.Member, error)
	// Memberships lists those of a person.
	Memberships(context.Context, mgx.UserID) ([]mgx.Member, error)
	// Workspace returns a workspace (CodeNotFound).
	Workspace(context.Context, mgx.WorkspaceID) (mgx.Workspace, error)
	// Role returns a role that a workspace made (CodeNotFound).
	Role(ctx context.Context, ws mgx.WorkspaceID, name string) (mgx.Role, error)
}

// Authenticator tells who somebody is.
type Authenticator struct {
	o        Options
	keys     *Keyring
	sessions recent[string, token]
	members  recent[place, mgx.Member]
	spaces   recent[mgx.UserID, []mgx.Member]
	roles    recent[[2]string, mgx.Role]

	mu      sync.Mutex
	changed chan struct{}
}

// Options are what an authenticator works with.
type Options struct {
	Store Store            // nil: there is nobody but the owner
	Local string           // secret of the owner of the data directory; empty: it is not taken
	Owner mgx.UserID       // LocalUser
	Now   func() time.Time // time.Now
}

type token struct {
	mgx.Session
	kept mgx.SessionToken
}

type place struct {
	workspace mgx.WorkspaceID
	user      mgx.UserID
}

// NewAuthenticator returns an authenticator.
func NewAuthenticator(o Options) *Authenticator {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Owner == "" {
		o.Owner = mgx.LocalUser
	}
	a := &Authenticator{o: o, changed: make(chan struct{})}
	a.keys = NewKeyring(o.Store, o.Now)
	a.sessions.now, a.members.now, a.spaces.now, a.roles.now = o.Now, o.Now, o.Now, o.Now
	if o.Local != "" {
		a.o.Local = Digest(o.Local)
	}
	return a
}

// Proof is what a request proves itself with.
type Proof struct {
	Secret    string          // a key, a token, the owner's secret
	Workspace mgx.WorkspaceID // in which it wants to act; empty: its only one
	Local     bool            // it came from this machine and through no proxy
	Where     Where
}

// Identify returns who shows a proof.
func (a *Authenticator) Identify(ctx context.Context, p Proof) (Actor, error) {
	switch {
	case a.o.Local != "" && p.Local && isSame(p.Secret, a.o.Local):
		return a.owner(ctx, p)
	case a.o.Store == nil:
		return Actor{}, unauthenticated()
	case strings.HasPrefix(p.Secret, AccessPrefix), strings.HasPrefix(p.Secret, BrowserPrefix):
		return a.person(ctx, p)
	case strings.HasPrefix(p.Secret, KeyPrefix):
		return a.program(ctx, p)
	}
	return Actor{}, unauthenticated()
}

// owner may act in every workspace that there is.
func (a *Authenticator) owner(ctx context.Context, p Proof) (Actor, error) {
	ws := p.Workspace
	if ws == "" {
		ws = mgx.DefaultWorkspace
	}
	if ws != mgx.DefaultWorkspace {
		if a.o.Store == nil {
			return Actor{}, notMember()
		}
		if _, err := a.o.Store.Workspace(ctx, ws); err != nil {
			return Actor{}, orNotMember(err)
		}
	}
	return Actor{User: a.o.Owner, Workspace: ws, Role: mgx.RoleAdmin, Owner: true, Where: p.Where}, nil
}

func (a *Authenticator) person(ctx context.Context, p Proof) (Actor, error) {
	t, err := a.session(ctx, Digest(p.Secret))
	switch now := a.o.Now(); {
	case err != nil && mgx.AsError(err).Kind == mgx.KindRefused, err == nil && !t.Alive(now):
		return Actor{}, unauthenticated()
	case err != nil:
		return Actor{}, err
	case !now.Before(t.kept.ExpiresAt) && t.kept.Browser:
		return Actor{}, unauthenticated()
	case !now.Before(t.kept.ExpiresAt):
		return Actor{}, mgx.Errorf(mgx.KindRefused, CodeTokenExpired, "this access token has expired; make another with the refresh token")
	}
	actor := Actor{User: t.User, Session: t.Session.ID, Workspace: p.Workspace, Where: p.Where}
	return a.settle(ctx, actor)
}

func (a *Authenticator) session(ctx context.Context, digest string) (token, error) {
	return a.sessions.get(digest, func(token) (token, error) {
		s, t, err := a.o.Store.SessionOf(ctx, digest)
		return token{s, t}, err
	})
}

// settle finds in which workspace a person acts, and as what. Who is member of
// none, or of several and names none, acts in none.
func (a *Authenticator) settle(ctx context.Context, actor Actor) (Actor, error) {
	if actor.Workspace == "" {
		all, err := a.spaces.get(actor.User, func([]mgx.Member) ([]mgx.Member, error) { return a.o.Store.Memberships(ctx, actor.User) })
		if err != nil || len(all) != 1 {
			return actor, err
		}
		actor.Workspace, actor.Role = all[0].Workspace, all[0].Role
		return actor, nil
	}
	m, err := a.member(ctx, actor.Workspace, actor.User)
	actor.Role = m.Role
	return actor, orNotMember(err)
}

func (a *Authenticator) member(ctx context.Context, ws mgx.WorkspaceID, user mgx.UserID) (mgx.Member, error) {
	return a.members.get(place{ws, user}, func(mgx.Member) (mgx.Member, error) { return a.o.Store.Member(ctx, ws, user) })
}

func (a *Authenticator) program(ctx context.Context, p Proof) (Actor, error) {
	key, err := a.keys.Find(ctx, p.Secret)
	if err != nil {
		return Actor{}, err
	}
	if p.Workspace != "" && p.Workspace != key.Workspace {
		return Actor{User: key.User, Key: &key, Where: p.Where}, notMember()
	}
	return a.Holder(ctx, key, p.Where)
}

// Holder is who acts with a key that was found.
func (a *Authenticator) Holder(ctx context.Context, key mgx.APIKey, where Where) (Actor, error) {
	actor := Actor{User: key.User, Workspace: key.Workspace, Role: key.Role, Scopes: append([]string{}, key.Scopes...), Key: &key, Where: where}
	if key.Role != "" {
		return actor, nil
	}
	m, err := a.member(ctx, key.Workspace, key.User)
	if mgx.IsCode(err, mgx.CodeNotFound) {
		err = unauthenticated() // whoever it stood for has left
	}
	actor.Role = m.Role
	return actor, err
}

// Policy is that of an actor's role; empty: the role is built in. A role that is
// no more permits nothing.
func (a *Authenticator) Policy(ctx context.Context, actor Actor) (string, error) {
	if actor.Role == "" || actor.Role == mgx.RoleService || slices.Contains(mgx.BuiltInRoles, actor.Role) {
		return "", nil
	}
	r, err := a.roles.get([2]string{string(actor.Workspace), actor.Role}, func(mgx.Role) (mgx.Role, error) { return a.o.Store.Role(ctx, actor.Workspace, actor.Role) })
	if mgx.IsCode(err, mgx.CodeNotFound) {
		return "", nil
	}
	return r.Policy, err
}

// Find returns the key of a secret.
func (a *Authenticator) Find(ctx context.Context, secret string) (mgx.APIKey, error) {
	if a.o.Store == nil {
		return mgx.APIKey{}, unauthenticated()
	}
	return a.keys.Find(ctx, secret)
}

// Again returns what an actor, who was identified before, is by now: an error
// when it is nobody any more. A session stands for itself here, though the token
// that began with it may have expired.
func (a *Authenticator) Again(ctx context.Context, actor Actor, secret string) (Actor, error) {
	if actor.Session == "" {
		return a.Identify(ctx, Proof{Secret: secret, Workspace: actor.Workspace, Local: actor.Owner, Where: actor.Where})
	}
	s, err := a.o.Store.Session(ctx, actor.Session)
	if mgx.IsCode(err, mgx.CodeNotFound) || err == nil && !s.Alive(a.o.Now()) {
		return actor, unauthenticated()
	}
	if err != nil {
		return actor, err
	}
	return a.settle(ctx, actor)
}

// Forget has everything looked up anew, since something was changed.
func (a *Authenticator) Forget() {
	a.keys.known.forget()
	a.sessions.forget()
	a.members.forget()
	a.spaces.forget()
	a.roles.forget()
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.changed)
	a.changed = make(chan struct{})
}

// Changed returns a channel that is closed when something is changed next.
func (a *Authenticator) Changed() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.changed
}

func notMember() error {
	return mgx.Errorf(mgx.KindRefused, CodeNotMember, "there is no such workspace, or you are not a member of it; yours are listed by mgx whoami and GET /api/v1/me")
}

func orNotMember(err error) error {
	if mgx.IsCode(err, mgx.CodeNotFound) {
		return notMember()
	}
	return err
}
