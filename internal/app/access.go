package app

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/event"
)

// AccessStore keeps people, workspaces and what they prove themselves with;
// *store.Store documents and is one.
type AccessStore interface {
	access.Store
	access.AttemptStore
	SignInStore
	Commit(ctx context.Context, c mgx.Change) (mgx.Committed, error)
	RecordDenied(ctx context.Context, by mgx.Doer, action, resource, why string) error
	Quotas(context.Context, mgx.WorkspaceID) ([]mgx.QuotaUse, error)
	SetQuotas(ctx context.Context, by mgx.Doer, quotas map[mgx.Quota]*int64) error

	User(context.Context, mgx.UserID) (mgx.User, error)
	UserByEmail(context.Context, string) (mgx.User, error)
	Found(ctx context.Context, by mgx.Doer, owner mgx.User, i mgx.Invitation) (made bool, err error)
	SetPassword(ctx context.Context, by mgx.Doer, id mgx.UserID, was, digest, why string, keep mgx.SessionID) error

	CreateWorkspace(ctx context.Context, by mgx.Doer, w mgx.Workspace, admin mgx.UserID) (mgx.Workspace, error)
	Workspaces(ctx context.Context, after mgx.WorkspaceID, limit int) ([]mgx.Workspace, error)
	RenameWorkspace(ctx context.Context, by mgx.Doer, id mgx.WorkspaceID, name string) error
	Members(ctx context.Context, ws mgx.WorkspaceID, after mgx.UserID, limit int) ([]mgx.Member, error)
	ChangeRole(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.UserID, role string) error
	RemoveMember(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.UserID) error
	Roles(context.Context, mgx.WorkspaceID) ([]mgx.Role, error)
	PutRole(context.Context, mgx.Doer, mgx.Role) error
	RemoveRole(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, name string) error
	Invite(context.Context, mgx.Doer, mgx.Invitation) error
	Invitations(ctx context.Context, ws mgx.WorkspaceID, after mgx.InvitationID, limit int) ([]mgx.Invitation, error)
	InvitationOf(ctx context.Context, digest string) (mgx.Invitation, error)
	InvitationsTo(context.Context, mgx.UserID) ([]mgx.WaitingInvitation, error)
	Invited(ctx context.Context, email string) (bool, error)
	Decline(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.InvitationID) error
	RevokeInvitation(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.InvitationID) error
	Accept(context.Context, mgx.Doer, mgx.Acceptance) error

	SignIn(ctx context.Context, by mgx.Doer, s mgx.Session, tokens []mgx.SessionToken) error
	Refresh(ctx context.Context, by mgx.Doer, digest string, fresh func(mgx.Session) []mgx.SessionToken) (mgx.Session, error)
	Sessions(context.Context, mgx.UserID) ([]mgx.Session, error)
	RevokeSession(ctx context.Context, by mgx.Doer, user mgx.UserID, id mgx.SessionID, why string) error

	CreateKey(context.Context, mgx.Doer, mgx.APIKey) error
	Keys(ctx context.Context, ws mgx.WorkspaceID, user mgx.UserID, after mgx.KeyID, limit int) ([]mgx.APIKey, error)
	RevokeKey(context.Context, mgx.Doer, mgx.WorkspaceID, mgx.KeyID) error
	RotateKey(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.KeyID, digest string, overlap time.Duration) error
}

// Access is who may do what, and what people do about it. [Access.Authorize] is
// the one place where that is decided, whoever asks for whatever.
type Access struct {
	*access.Authenticator
	o        AccessOptions
	engine   *access.Engine
	hasher   *access.Hasher
	attempts *access.Attempts

	mu      sync.Mutex
	denials map[string]*denials  // by what is bounded
	told    map[string]time.Time // of what is suspicious, by what and whose

	unrecorded atomic.Int64 // denials that the audit log does not know
	missing    atomic.Int64 // of these, those that the log was not told of
}

// AccessOptions are what Access works with.
type AccessOptions struct {
	Store AccessStore // nil: there is nobody but the owner
	Local string      // secret of the owner of the data directory; empty: it is not taken
	Owner mgx.UserID  // mgx.LocalUser
	Costs access.Params
	Log   *slog.Logger
	Now   func() time.Time

	Providers []access.Provider // at which people may sign in, too
}

// NewAccess returns the use cases of who may do what.
func NewAccess(o AccessOptions) *Access {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	var store access.Store
	var attempts access.AttemptStore
	if o.Store != nil {
		store, attempts = o.Store, o.Store
	}
	return &Access{
		Authenticator: access.NewAuthenticator(access.Options{Store: store, Local: o.Local, Owner: o.Owner, Now: o.Now}),
		o:             o, engine: access.NewEngine(), hasher: access.NewHasher(o.Costs), attempts: access.NewAttempts(o.Now, attempts),
		denials: map[string]*denials{},
	}
}

// People reports whether there is anybody but the owner.
func (a *Access) People() bool { return a.o.Store != nil }

// Authorize decides whether an actor may do something. It returns nil when it
// may, an error of kind refused that says what is missing when it may not, and any
// other when that could not be found out, which means no. A resource without a
// workspace is of the actor's.
func (a *Access) Authorize(ctx context.Context, actor access.Actor, action string, on access.Resource) error {
	if actor.Workspace == "" {
		return mgx.Errorf(mgx.KindUsage, access.CodeWorkspace, "say in which of your workspaces, with the header Mgx-Workspace; GET /api/v1/me lists them")
	}
	if on.Workspace == "" {
		on.Workspace = actor.Workspace
	}
	policy, err := a.Policy(ctx, actor)
	if err != nil {
		return err
	}
	return a.refused(ctx, actor, action, on, a.engine.Decide(actor, policy, action, on))
}

// refused remembers that somebody may not do something, if that is what the error says,
// and returns it. Who asks for more than policies know of, such as for all the rights of
// an admin, is remembered alike.
func (a *Access) refused(ctx context.Context, actor access.Actor, action string, on access.Resource, err error) error {
	if err != nil && mgx.AsError(err).Kind == mgx.KindRefused {
		a.denied(ctx, actor, action, on, err)
	}
	return err
}

// may reports whether an actor may do something, without anybody hearing of it
// when not.
func (a *Access) may(ctx context.Context, actor access.Actor, action string, on access.Resource) bool {
	on.Workspace = actor.Workspace
	policy, err := a.Policy(ctx, actor)
	return err == nil && a.engine.Decide(actor, policy, action, on) == nil
}

// Find returns the key of a secret, when it may call models, and remembers secrets
// that are none, where the context says where they come from.
func (a *Access) Find(ctx context.Context, secret string) (mgx.APIKey, error) {
	where, _, known := access.CameFrom(ctx)
	key, err := a.Authenticator.Find(ctx, secret)
	if known && mgx.IsCode(err, access.CodeUnauthenticated) {
		a.strange(ctx, where)
	}
	if err != nil {
		return key, err
	}
	actor, err := a.Holder(ctx, key, where)
	if err != nil {
		return key, err
	}
	return key, a.Authorize(ctx, actor, "execute", access.Resource{Kind: "models"})
}

// Channels limits what a subscriber asks for to what the actor of the context may
// see: the events of its workspace, with those of the audit log if it may read that.
func (a *Access) Channels(ctx context.Context, _ string, channels []event.Channel) ([]event.Channel, error) {
	actor, ok := access.From(ctx)
	if !ok {
		return nil, mgx.Errorf(mgx.KindRefused, event.CodeChannelRefused, "nobody has said who asks")
	}
	if err := a.Authorize(ctx, actor, "connect", access.Resource{Kind: "events"}); err != nil {
		return nil, err
	}
	granted, err := event.OneWorkspace(actor.Workspace)(ctx, "", channels)
	audit := a.SeesAudit(ctx, actor)
	for i := range granted {
		granted[i].NoAudit = !audit
	}
	return granted, err
}

// SeesAudit reports whether entries of the audit log may be among the events that an
// actor gets.
func (a *Access) SeesAudit(ctx context.Context, actor access.Actor) bool {
	return a.may(ctx, actor, "read", access.Resource{Kind: "audit"})
}

// Sends returns what refuses to have events sent to an endpoint that the actor may
// not read: whoever may keep endpoints could otherwise read all of them elsewhere.
func (a *Access) Sends(actor access.Actor) func(context.Context, mgx.Webhook) error {
	return func(ctx context.Context, w mgx.Webhook) error {
		err := a.Authorize(ctx, actor, "connect", access.Resource{Kind: "events"})
		if err == nil && event.AskForAudit(w.Types) {
			err = a.Authorize(ctx, actor, "read", access.Resource{Kind: "audit"})
		}
		return err
	}
}

// denials is what somebody was denied in a minute.
type denials struct {
	since time.Time
	n     int
	told  bool // that it became as many as is told of
}

const (
	denialsWindow = time.Minute
	probing       = 20 // denials in a window that look like looking for a way in
	maxDenials    = 10_000
)

// again counts one more of something and returns how many there are in this
// minute.
func (a *Access) again(what string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counted(what).n
}

// counted counts one more. The caller has the lock.
func (a *Access) counted(what string) *denials {
	now := a.o.Now()
	d := a.denials[what]
	if d == nil || now.Sub(d.since) >= denialsWindow {
		if len(a.denials) >= maxDenials {
			clear(a.denials)
		}
		d = &denials{since: now}
		a.denials[what] = d
	}
	d.n++
	return d
}

// tellOnce counts one more of something and tells of it once in a minute, when there are
// many. What could not be told is told the next time.
func (a *Access) tellOnce(what string, many int, tell func() error) error {
	a.mu.Lock()
	d := a.counted(what)
	due := d.n >= many && !d.told
	d.told = d.told || due
	a.mu.Unlock()
	if !due {
		return nil
	}
	err := tell()
	if err != nil {
		a.mu.Lock()
		d.told = false
		a.mu.Unlock()
	}
	return err
}

// denied remembers that somebody was not allowed to do something: the first of a
// kind in a minute in the audit log, and very many as suspicious. Reading is not
// worth an entry.
func (a *Access) denied(ctx context.Context, actor access.Actor, action string, on access.Resource, why error) {
	if a.o.Store == nil {
		return
	}
	ctx = context.WithoutCancel(ctx)
	if action != "read" {
		err := a.tellOnce(actor.ID()+" "+action+" "+on.Kind, 1, func() error {
			return a.recordDenied(ctx, actor.Doer(), on.Kind+"."+action, cmp.Or(on.ID, on.Kind), mgx.AsError(why).Code)
		})
		if err != nil {
			a.o.Log.Error("what was denied cannot be recorded", "actor", actor.ID(), "action", action, "resource", on.Kind, "error", err)
		}
	}
	err := a.tellOnce(actor.ID(), probing, func() error {
		return a.suspect(ctx, actor.Workspace, mgx.SuspicionData{
			Severity: "medium", Actor: actor.ID(), Address: actor.Where.Address, What: "permission_probing", Blocked: true, Count: probing,
			Detail: fmt.Sprintf("%d requests in a minute were denied, the last one to %s %s.", probing, action, on.Kind),
		})
	})
	if err != nil {
		a.o.Log.Error("that very much was denied cannot be recorded", "actor", actor.ID(), "error", err)
	}
}

// recordDenied puts what was denied into the audit log. It is denied all the same where
// that fails; then it is counted, and the log is told how many are missing as soon as it
// takes anything again.
func (a *Access) recordDenied(ctx context.Context, by mgx.Doer, action, resource, why string) error {
	if err := a.o.Store.RecordDenied(ctx, by, action, resource, why); err != nil {
		a.unrecorded.Add(1)
		a.missing.Add(1)
		return err
	}
	n := a.missing.Swap(0)
	if n == 0 {
		return nil
	}
	err := a.suspect(ctx, mgx.DefaultWorkspace, mgx.SuspicionData{
		Severity: "high", What: "other", Blocked: true, Count: n,
		Detail: fmt.Sprintf("%d acts that were denied are not in the audit log, which took no entries.", n),
	})
	if err != nil {
		a.missing.Add(n)
	}
	return err
}

// Unrecorded is how many acts were denied since the process began that the audit log
// could not be told of.
func (a *Access) Unrecorded() int64 { return a.unrecorded.Load() }

// suspect tells the log of something suspicious: of a workspace, or, where that is
// erased, of the installation.
func (a *Access) suspect(ctx context.Context, ws mgx.WorkspaceID, d mgx.SuspicionData) error {
	tell := func(ws mgx.WorkspaceID) error {
		e := mgx.NewEvent(mgx.SuspiciousActivity, d)
		e.Workspace, e.Stream = ws, mgx.StreamID(ws)
		_, err := a.o.Store.Commit(mgx.ForInstallation(ctx), mgx.Change{Events: []mgx.Event{e}})
		return err
	}
	err := tell(ws)
	if mgx.IsCode(err, mgx.CodeErased) {
		err = tell(mgx.DefaultWorkspace)
	}
	return err
}

// full refuses actors that have not all the rights of an admin: what makes
// somebody mightier is for those alone who could do everything themselves.
func full(actor access.Actor) error {
	if actor.Role == mgx.RoleAdmin && (actor.Scopes == nil || slices.Contains(actor.Scopes, "*")) {
		return nil
	}
	return mgx.Errorf(mgx.KindRefused, access.CodeForbidden, "only an admin may do this, and only with a key whose scope is *")
}

// changed has everybody hear of a change that was made.
func (a *Access) changed(err error) error {
	if err == nil {
		a.Forget()
	}
	return err
}
