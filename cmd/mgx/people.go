package main

import (
	"context"
	"slices"
	"time"

	"mgx"
	"mgx/client"
	"mgx/internal/access"
	"mgx/internal/app"
)

// people is what commands do with people and keys: on a server, or on the data
// directory, as its owner.
type people interface {
	Me(ctx context.Context) (client.Me, error)
	Keys(ctx context.Context) ([]mgx.APIKey, error)
	CreateKey(ctx context.Context, n client.NewKey) (mgx.APIKey, string, error)
	RevokeKey(ctx context.Context, id mgx.KeyID) error
	RotateKey(ctx context.Context, id mgx.KeyID, overlap time.Duration) (string, error)
	Members(ctx context.Context) ([]mgx.Member, error)
	SetRole(ctx context.Context, id mgx.UserID, role string) error
	RemoveMember(ctx context.Context, id mgx.UserID) error
	Invite(ctx context.Context, n client.NewInvitation) (mgx.Invitation, string, error)
	Invitations(ctx context.Context) ([]mgx.Invitation, error)
	RevokeInvitation(ctx context.Context, id mgx.InvitationID) error
	Workspaces(ctx context.Context) ([]mgx.Workspace, error)
	Quotas(ctx context.Context, ws mgx.WorkspaceID) ([]mgx.QuotaUse, error)
	SetQuotas(ctx context.Context, ws mgx.WorkspaceID, set map[string]*int64) ([]mgx.QuotaUse, error)
	CreateWorkspace(ctx context.Context, name string) (mgx.Workspace, error)
	RenameWorkspace(ctx context.Context, ws mgx.WorkspaceID, name string) (mgx.Workspace, error)
	Roles(ctx context.Context) ([]mgx.Role, error)
	PutRole(ctx context.Context, r mgx.Role) (mgx.Role, error)
	EditRole(ctx context.Context, name string, change func(*mgx.Role) error) (mgx.Role, error)
	RemoveRole(ctx context.Context, name string) error
}

// withPeople does something with people where a command says.
func (c *cli) withPeople(ctx context.Context, f func(context.Context, people) error) error {
	return reach(ctx, c,
		func(_ context.Context, n *node) (people, error) { return n.asOwner(), nil },
		func(remote *client.Client) people { return remote }, f)
}

// access is who may do what on this node's data. Local is the secret of the
// owner; empty: it is taken from nobody.
func (n *node) access(local string) *app.Access {
	return app.NewAccess(app.AccessOptions{Store: n.store, Local: local, Log: n.log, Providers: n.providers})
}

// ownData acts as the owner of the data directory.
type ownData struct {
	*app.Access
	actor access.Actor
	seen  func(ctx context.Context, ws mgx.WorkspaceID, kind, id string) (int64, error)
}

// asOwner is the owner in the workspace of the command.
func (n *node) asOwner() *ownData {
	return &ownData{n.access(""), access.Actor{
		User: mgx.LocalUser, Workspace: n.workspace, Role: mgx.RoleAdmin, Owner: true, Where: access.Where{Address: "cli", Agent: "mgx"},
	}, n.store.Revision}
}

const mostListed = 10_000

func (l *ownData) Me(ctx context.Context) (client.Me, error) {
	me, err := l.Access.Me(ctx, l.actor)
	return client.Me{User: me.User, Workspace: me.Workspace, Role: me.Role, Owner: me.Owner, Members: me.Members}, err
}

func (l *ownData) Keys(ctx context.Context) ([]mgx.APIKey, error) {
	return l.Access.Keys(ctx, l.actor, "", mostListed)
}

func (l *ownData) CreateKey(ctx context.Context, n client.NewKey) (mgx.APIKey, string, error) {
	return l.CreateKeyFor(ctx, n, "")
}

// CreateKeyFor makes a key on somebody's behalf, which only the owner can.
func (l *ownData) CreateKeyFor(ctx context.Context, n client.NewKey, user mgx.UserID) (mgx.APIKey, string, error) {
	return l.Access.CreateKey(ctx, l.actor, app.NewAPIKey{
		Name: n.Name, Scopes: n.Scopes, Service: n.Service, Models: n.Models, Budget: n.Budget, Period: n.Period, Expires: n.Expires, User: user,
	})
}

func (l *ownData) RevokeKey(ctx context.Context, id mgx.KeyID) error {
	return l.Access.RevokeKey(ctx, l.actor, id)
}

func (l *ownData) RotateKey(ctx context.Context, id mgx.KeyID, overlap time.Duration) (string, error) {
	return l.Access.RotateKey(ctx, l.actor, id, overlap)
}

func (l *ownData) Members(ctx context.Context) ([]mgx.Member, error) {
	return l.Access.Members(ctx, l.actor, "", mostListed)
}

func (l *ownData) SetRole(ctx context.Context, id mgx.UserID, role string) error {
	_, err := l.ChangeRole(ctx, l.actor, id, role)
	return err
}

func (l *ownData) RemoveMember(ctx context.Context, id mgx.UserID) error {
	return l.Access.RemoveMember(ctx, l.actor, id)
}

func (l *ownData) Invite(ctx context.Context, n client.NewInvitation) (mgx.Invitation, string, error) {
	return l.Access.Invite(ctx, l.actor, app.NewInvitation(n))
}

func (l *ownData) Invitations(ctx context.Context) ([]mgx.Invitation, error) {
	return l.Access.Invitations(ctx, l.actor, "", mostListed)
}

func (l *ownData) RevokeInvitation(ctx context.Context, id mgx.InvitationID) error {
	return l.Access.RevokeInvitation(ctx, l.actor, id)
}

func (l *ownData) Workspaces(ctx context.Context) ([]mgx.Workspace, error) {
	return l.Access.Workspaces(ctx, l.actor, "", mostListed)
}

func (l *ownData) CreateWorkspace(ctx context.Context, name string) (mgx.Workspace, error) {
	return l.Access.CreateWorkspace(ctx, l.actor, name)
}

func (l *ownData) RenameWorkspace(ctx context.Context, ws mgx.WorkspaceID, name string) (mgx.Workspace, error) {
	there := l.actor
	there.Workspace = ws
	return l.Access.RenameWorkspace(ctx, there, name)
}

func (l *ownData) Roles(ctx context.Context) ([]mgx.Role, error) { return l.Access.Roles(ctx, l.actor) }

func (l *ownData) PutRole(ctx context.Context, r mgx.Role) (mgx.Role, error) {
	return l.Access.PutRole(ctx, l.actor, r)
}

func (l *ownData) EditRole(ctx context.Context, name string, change func(*mgx.Role) error) (r mgx.Role, err error) {
	was, err := l.seen(ctx, l.actor.Workspace, "role", name)
	if err != nil {
		return r, err
	}
	if r, err = oneRole(ctx, l, name); err != nil {
		return r, err
	}
	if err := change(&r); err != nil {
		return r, err
	}
	return l.PutRole(mgx.OnTerms(ctx, &mgx.Terms{Kind: "role", ID: name, Match: []int64{was}}), r)
}

func (l *ownData) RemoveRole(ctx context.Context, name string) error {
	return l.Access.RemoveRole(ctx, l.actor, name)
}

// oneRole finds a role of the workspace by its name (CodeNotFound).
func oneRole(ctx context.Context, p people, name string) (mgx.Role, error) {
	all, err := p.Roles(ctx)
	if err != nil {
		return mgx.Role{}, err
	}
	at := slices.IndexFunc(all, func(r mgx.Role) bool { return r.Name == name })
	if at < 0 {
		return mgx.Role{}, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "the workspace has no role %q", name)
	}
	return all[at], nil
}

// oneMember finds the member that somebody means, by address or id.
func oneMember(ctx context.Context, p people, name string) (mgx.Member, error) {
	all, err := p.Members(ctx)
	if err != nil {
		return mgx.Member{}, err
	}
	if i := slices.IndexFunc(all, func(m mgx.Member) bool { return m.Email != "" && m.Email == name }); i >= 0 {
		return all[i], nil
	}
	return one(all, name, "member", "mgx members", func(m mgx.Member) string { return string(m.User) })
}
