package access

import (
	"context"

	"mgx"
)

// Actor is who does something, where, and what with.
type Actor struct {
	User      mgx.UserID
	Workspace mgx.WorkspaceID // in which it acts
	Role      string          // there
	Scopes    []string        // beyond which it may do nothing; nil: no such bound
	Owner     bool            // of the data directory
	Key       *mgx.APIKey     // that it used, or
	Session   mgx.SessionID   // whose token it used; neither: the owner's
	Where     Where
}

// Where is where a request came from.
type Where struct {
	Address string
	Agent   string // what the client calls itself
	Request string // id of the request
}

// ID names the actor in logs: its key, or the person.
func (a Actor) ID() string {
	if a.Key != nil {
		return string(a.Key.ID)
	}
	return string(a.User)
}

// Doer is the actor for the audit log of its workspace. The owner of the data directory
// is what they are by that.
func (a Actor) Doer() mgx.Doer {
	by := mgx.Doer{Workspace: a.Workspace, Actor: a.ID(), From: a.Where.Address, Agent: a.Where.Agent, Request: a.Where.Request}
	if a.Owner {
		return by
	}
	by.Role, by.User = a.Role, a.User
	if a.Key == nil {
		return by
	}
	if by.Key = a.Key.ID; a.Key.Role != "" {
		by.User = ""
	}
	return by
}

// Doer is somebody unknown for the audit log of the installation.
func (w Where) Doer() mgx.Doer {
	return mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: "anonymous", From: w.Address, Agent: w.Agent, Request: w.Request}
}

type actorKey struct{}

// With returns a context in which an actor acts, and in which everything is asked
// on behalf of its workspace.
func With(ctx context.Context, a Actor) context.Context {
	return context.WithValue(mgx.InWorkspace(ctx, a.Workspace), actorKey{}, a)
}

type originKey struct{}

type origin struct {
	where Where
	local bool
}

// Coming says in a context where a request comes from, and whether that is this
// machine, for what finds out by itself who makes it.
func Coming(ctx context.Context, w Where, local bool) context.Context {
	return context.WithValue(ctx, originKey{}, origin{w, local})
}

// CameFrom returns what Coming said.
func CameFrom(ctx context.Context) (w Where, local, known bool) {
	o, known := ctx.Value(originKey{}).(origin)
	return o.where, o.local, known
}

// From returns who acts in a context.
func From(ctx context.Context) (Actor, bool) {
	a, ok := ctx.Value(actorKey{}).(Actor)
	return a, ok
}
