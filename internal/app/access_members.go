package app

import (
	"context"
	"regexp"
	"slices"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/guard"
	"mgx/internal/lazy"
)

// Found makes the first person of an installation, its owner, when there is
// nobody yet, and returns what lets them set a password, once. It is empty when
// there is somebody.
func (a *Access) Found(ctx context.Context, where access.Where) (setup string, err error) {
	setup = access.NewSecret(access.InvitationPrefix)
	by := where.Doer()
	by.Actor = "system"
	made, err := a.o.Store.Found(ctx, by, mgx.User{ID: mgx.LocalUser, Name: "owner"}, mgx.Invitation{
		ID: mgx.NewID[mgx.InvitationID]("inv"), Workspace: mgx.DefaultWorkspace, Role: mgx.RoleAdmin, User: mgx.LocalUser, Digest: access.Digest(setup),
		CreatedBy: mgx.LocalUser, ExpiresAt: a.o.Now().Add(SetupTime),
	})
	if err != nil || !made {
		setup = ""
	}
	return setup, a.changed(err)
}

// Workspaces lists the workspaces of a person, or of the installation for its
// owner and the admins of the default workspace.
func (a *Access) Workspaces(ctx context.Context, actor access.Actor, after mgx.WorkspaceID, limit int) ([]mgx.Workspace, error) {
	if actor.Owner || actor.Workspace == mgx.DefaultWorkspace && full(actor) == nil {
		return a.o.Store.Workspaces(ctx, after, limit)
	}
	if actor.Key != nil {
		w, err := a.o.Store.Workspace(ctx, actor.Workspace)
		if err != nil || w.ID <= after {
			return nil, err
		}
		return []mgx.Workspace{w}, nil
	}
	all, err := a.o.Store.Memberships(ctx, actor.User)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(x, y mgx.Member) int { return compare(x.Workspace, y.Workspace) })
	var out []mgx.Workspace
	for _, m := range all {
		if m.Workspace <= after || len(out) == limit {
			continue
		}
		w, err := a.o.Store.Workspace(mgx.ForInstallation(ctx), m.Workspace)
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, nil
}

func compare[T ~string](x, y T) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// Workspace returns the one in which an actor acts.
func (a *Access) Workspace(ctx context.Context, actor access.Actor) (mgx.Workspace, error) {
	return a.o.Store.Workspace(ctx, actor.Workspace)
}

// CreateWorkspace makes a workspace, whose first admin is the actor. It is for
// admins of the installation.
func (a *Access) CreateWorkspace(ctx context.Context, actor access.Actor, name string) (mgx.Workspace, error) {
	name, err := access.Name(name)
	if err != nil {
		return mgx.Workspace{}, err
	}
	w, err := a.o.Store.CreateWorkspace(ctx, installation(actor), mgx.Workspace{ID: mgx.NewID[mgx.WorkspaceID]("ws"), Name: name}, actor.User)
	return w, a.changed(err)
}

// RenameWorkspace gives the actor's workspace another name.
func (a *Access) RenameWorkspace(ctx context.Context, actor access.Actor, name string) (mgx.Workspace, error) {
	name, err := access.Name(name)
	if err != nil {
		return mgx.Workspace{}, err
	}
	if err := a.o.Store.RenameWorkspace(ctx, actor.Doer(), actor.Workspace, name); err != nil {
		return mgx.Workspace{}, err
	}
	a.Forget()
	return a.o.Store.Workspace(ctx, actor.Workspace)
}

// Members lists who is in the actor's workspace, by id, after one.
func (a *Access) Members(ctx context.Context, actor access.Actor, after mgx.UserID, limit int) ([]mgx.Member, error) {
	return a.o.Store.Members(ctx, actor.Workspace, after, limit)
}

// Member returns one member of the actor's workspace.
func (a *Access) Member(ctx context.Context, actor access.Actor, id mgx.UserID) (mgx.Member, error) {
	return a.o.Store.Member(ctx, actor.Workspace, id)
}

// ChangeRole gives a member another role. To make somebody admin, to make an admin
// anything else and to give a role that the workspace made takes an admin.
func (a *Access) ChangeRole(ctx context.Context, actor access.Actor, id mgx.UserID, role string) (mgx.Member, error) {
	if err := a.mayTouch(ctx, actor, id, role); err != nil {
		return mgx.Member{}, err
	}
	if err := a.o.Store.ChangeRole(ctx, actor.Doer(), actor.Workspace, id, role); err != nil {
		return mgx.Member{}, err
	}
	a.Forget()
	return a.o.Store.Member(ctx, actor.Workspace, id)
}

// RemoveMember ends a membership.
func (a *Access) RemoveMember(ctx context.Context, actor access.Actor, id mgx.UserID) error {
	if err := a.mayTouch(ctx, actor, id, mgx.RoleViewer); err != nil {
		return err
	}
	return a.changed(a.o.Store.RemoveMember(ctx, actor.Doer(), actor.Workspace, id))
}

// mayTouch refuses to let somebody change a member who is mightier, or make one.
func (a *Access) mayTouch(ctx context.Context, actor access.Actor, id mgx.UserID, role string) error {
	m, err := a.o.Store.Member(ctx, actor.Workspace, id)
	if err != nil {
		return err
	}
	if err = mayGrant(actor, m.Role); err == nil {
		err = mayGrant(actor, role)
	}
	return a.refused(ctx, actor, "manage", access.Resource{Kind: "users", ID: string(id)}, err)
}

// mayGrant refuses to give a role to those who could not do all that it may: a key
// with scopes could so become somebody who has none.
func mayGrant(actor access.Actor, role string) error {
	if actor.Scopes == nil && slices.Contains([]string{mgx.RoleDeveloper, mgx.RoleViewer, mgx.RoleAuditor}, role) {
		return nil
	}
	return full(actor)
}

// NewInvitation is whom to invite.
type NewInvitation struct {
	Email   string `json:"email"` // empty: whoever has the link
	Role    string `json:"role"`
	Expires int64  `json:"expires_in"` // seconds; 0: a week
	// User is a member who is to set a password with it, instead of somebody who is to
	// come; Email and Role are left out then, and 0 seconds are a day.
	User mgx.UserID `json:"user_id"`
}

// Invite makes an invitation and returns it with its secret, which is not shown
// again.
func (a *Access) Invite(ctx context.Context, actor access.Actor, n NewInvitation) (i mgx.Invitation, secret string, err error) {
	if n.User != "" {
		return a.reset(ctx, actor, n)
	}
	if n.Email != "" {
		if n.Email, err = access.Email(n.Email); err != nil {
			return i, "", err
		}
	}
	if err := a.refused(ctx, actor, "manage", access.Resource{Kind: "users"}, mayGrant(actor, n.Role)); err != nil {
		return i, "", err
	}
	return a.invite(ctx, actor, n)
}

func (a *Access) invite(ctx context.Context, actor access.Actor, n NewInvitation) (i mgx.Invitation, secret string, err error) {
	valid := time.Duration(n.Expires) * time.Second
	switch {
	case n.Expires == 0:
		valid = InvitationTime
	case n.Expires < 60 || n.Expires > int64(maxInvitation/time.Second):
		return i, "", mgx.Errorf(mgx.KindUsage, "bad_expiry", "an invitation is good for a minute to 30 days")
	}
	secret = access.NewSecret(access.InvitationPrefix)
	now := a.o.Now().UTC().Truncate(time.Microsecond)
	i = mgx.Invitation{
		ID: mgx.NewID[mgx.InvitationID]("inv"), Workspace: actor.Workspace, Email: n.Email, Role: n.Role, User: n.User, Digest: access.Digest(secret),
		CreatedBy: actor.User, CreatedAt: now, ExpiresAt: now.Add(valid),
	}
	if err := a.o.Store.Invite(ctx, actor.Doer(), i); err != nil {
		return i, "", err
	}
	return i, secret, nil
}

// reset makes an invitation with which a member sets a password, once; then all their
// sessions end. The owner of the data directory lets every member. An admin of the
// default workspace lets those who are in no other one, where the admin would so become
// somebody else, and not the owner. Admins of other workspaces let nobody: whoever they
// invited may become somebody elsewhere later, and they would have the password.
func (a *Access) reset(ctx context.Context, actor access.Actor, n NewInvitation) (i mgx.Invitation, secret string, err error) {
	if n.Email != "" || n.Role != "" {
		return i, "", mgx.Errorf(mgx.KindUsage, "bad_reset", "who is to set a password is a member already, so leave the address and the role out")
	}
	on := access.Resource{Kind: "users", ID: string(n.User)}
	if err := a.refused(ctx, actor, "manage", on, full(actor)); err != nil {
		return i, "", err
	}
	m, err := a.o.Store.Member(ctx, actor.Workspace, n.User)
	if err == nil && !actor.Owner {
		err = a.refused(ctx, actor, "manage", on, a.onlyIn(ctx, actor.Workspace, m.User))
	}
	if err != nil {
		return i, "", err
	}
	n.Email, n.Role = m.Email, m.Role
	if n.Expires == 0 {
		n.Expires = int64(SetupTime / time.Second)
	}
	return a.invite(ctx, actor, n)
}

// onlyIn refuses to have the password set of somebody who is in other workspaces, or
// who stands for whoever has the data directory.
func (a *Access) onlyIn(ctx context.Context, ws mgx.WorkspaceID, user mgx.UserID) error {
	all, err := a.o.Store.Memberships(ctx, user)
	if err != nil {
		return err
	}
	if ws != mgx.DefaultWorkspace || user == mgx.LocalUser || slices.ContainsFunc(all, func(m mgx.Member) bool { return m.Workspace != ws }) {
		return mgx.Errorf(mgx.KindRefused, access.CodeForbidden, "only admins of the default workspace may do this, for members who are in no other one and are not the owner of the installation; let the operator of the server help, with mgx members reset %s", user)
	}
	return nil
}

// Invitations lists the invitations of the actor's workspace, by id, after one.
func (a *Access) Invitations(ctx context.Context, actor access.Actor, after mgx.InvitationID, limit int) ([]mgx.Invitation, error) {
	return a.o.Store.Invitations(ctx, actor.Workspace, after, limit)
}

// RevokeInvitation makes an invitation worthless.
func (a *Access) RevokeInvitation(ctx context.Context, actor access.Actor, id mgx.InvitationID) error {
	return a.o.Store.RevokeInvitation(ctx, actor.Doer(), actor.Workspace, id)
}

// Accepting is what somebody says who was invited. Who has an account gives its
// password; who has none sets one.
type Accepting struct {
	Token    string `json:"token"`
	Email    string `json:"email"`
	Name     string `json:"name"`
	Password string `json:"password"`
}

// Accept spends an invitation and signs in.
func (a *Access) Accept(ctx context.Context, c Accepting, where access.Where) (Signed, error) {
	var s Signed
	err := a.accept(ctx, c, where, func(user mgx.UserID) (mgx.Session, []mgx.SessionToken) {
		s = a.mint(a.newSession(user, where))
		return s.Session, s.tokens
	})
	if err != nil {
		return Signed{}, err
	}
	return a.described(ctx, s)
}

// accept spends an invitation, with the session that begin makes.
func (a *Access) accept(ctx context.Context, c Accepting, where access.Where, begin func(mgx.UserID) (mgx.Session, []mgx.SessionToken)) error {
	i, err := a.o.Store.InvitationOf(ctx, access.Digest(c.Token))
	if err != nil {
		return err
	}
	user, fresh, err := a.invited(ctx, i, c, where)
	if err != nil {
		return err
	}
	session, tokens := begin(user.ID)
	if !fresh && i.User == "" {
		session.Proved = user.Password
	}
	by := where.Doer()
	by.Workspace, by.Actor = i.Workspace, string(user.ID)
	return a.changed(a.o.Store.Accept(ctx, by, mgx.Acceptance{Digest: i.Digest, User: user, New: fresh, Session: session, Tokens: tokens}))
}

// invited is the person who accepts an invitation, as they are to be.
func (a *Access) invited(ctx context.Context, i mgx.Invitation, c Accepting, where access.Where) (user mgx.User, fresh bool, err error) {
	if i.User != "" {
		if i.CreatedBy != mgx.LocalUser {
			if err := a.onlyIn(ctx, i.Workspace, i.User); err != nil { // they may have joined another since
				return user, false, err
			}
		}
		if user, err = a.o.Store.User(ctx, i.User); err != nil {
			return user, false, err
		}
		if user.Email != "" {
			c.Email = user.Email
		}
		if c.Name == "" {
			c.Name = user.Name
		}
	}
	if i.Email != "" {
		c.Email = i.Email
	}
	email, err := access.Email(c.Email)
	if err != nil {
		return user, false, err
	}
	if i.User == "" {
		switch _, err := a.o.Store.UserByEmail(ctx, email); {
		case err == nil:
			user, err = a.prove(ctx, email, c.Password, where)
			return user, false, err
		case !mgx.IsCode(err, mgx.CodeNotFound):
			return user, false, err
		}
		user.ID = mgx.NewID[mgx.UserID]("user")
	}
	user.Email = email
	if user.Name, err = access.Name(c.Name); err != nil {
		return user, false, err
	}
	if err := access.CheckPassword(c.Password, user.Email, user.Name); err != nil {
		return user, false, err
	}
	user.Password, err = a.hasher.Hash(ctx, c.Password)
	return user, i.User == "", err
}

// Roles lists the roles that the members of the actor's workspace can have.
func (a *Access) Roles(ctx context.Context, actor access.Actor) ([]mgx.Role, error) {
	own, err := a.o.Store.Roles(ctx, actor.Workspace)
	return append(access.BuiltIn(), own...), err
}

var roleNames = lazy.Regexp(`^[a-z][a-z0-9_-]{1,49}$`)

// PutRole makes a role or replaces it.
func (a *Access) PutRole(ctx context.Context, actor access.Actor, r mgx.Role) (mgx.Role, error) {
	if err := a.refused(ctx, actor, "manage", access.Resource{Kind: "users", ID: r.Name}, full(actor)); err != nil {
		return r, err
	}
	if err := checkRole(r, roleNames()); err != nil {
		return r, err
	}
	var err error
	if r.Description, err = guard.Line("bad_role", "the description of a role", r.Description, 500); err != nil {
		return r, err
	}
	r.Workspace = actor.Workspace
	if err := a.o.Store.PutRole(ctx, actor.Doer(), r); err != nil {
		return r, err
	}
	a.Forget()
	return a.o.Store.Role(ctx, actor.Workspace, r.Name)
}

// ownRole refuses what changes a role that is not of a workspace's own.
func ownRole(name string) error {
	if slices.Contains(mgx.BuiltInRoles, name) || name == mgx.RoleService {
		return mgx.Errorf(mgx.KindUsage, "bad_role", "the role %s is built in and stays as it is", name)
	}
	return nil
}

func checkRole(r mgx.Role, names *regexp.Regexp) error {
	err := ownRole(r.Name)
	switch {
	case err != nil:
		return err
	case !names.MatchString(r.Name):
		return mgx.Errorf(mgx.KindUsage, "bad_role", "a role's name has 2 to 50 small letters, digits, - and _, and begins with a letter")
	}
	return access.CheckPolicy(r.Policy)
}

// RemoveRole deletes a role that nobody has.
func (a *Access) RemoveRole(ctx context.Context, actor access.Actor, name string) error {
	if err := a.refused(ctx, actor, "manage", access.Resource{Kind: "users", ID: name}, full(actor)); err != nil {
		return err
	}
	if err := ownRole(name); err != nil {
		return err
	}
	return a.changed(a.o.Store.RemoveRole(ctx, actor.Doer(), actor.Workspace, name))
}
