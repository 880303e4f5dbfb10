package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"mgx"
)

// Signed is what somebody gets who signed in.
type Signed struct {
	Access  string       `json:"access_token"`
	Expires int64        `json:"expires_in"` // seconds until the access token does
	Refresh string       `json:"refresh_token"`
	Session mgx.Session  `json:"session"`
	User    mgx.User     `json:"user"`
	Members []mgx.Member `json:"memberships"`
}

// SignIn begins a session.
func (c *Client) SignIn(ctx context.Context, email, password string) (s Signed, err error) {
	return c.signed(ctx, "sign-in", map[string]string{"email": email, "password": password})
}

// signed makes a request that is answered with a session.
func (c *Client) signed(ctx context.Context, path string, body any) (s Signed, err error) {
	err = c.send(ctx, http.MethodPost, "/api/v1/auth/"+path, nil, body, &s)
	if err == nil && (s.Access == "" || s.User.ID == "") {
		err = c.strange("it holds no session")
	}
	return s, err
}

// Acceptance is what somebody says who was invited.
type Acceptance struct {
	Token    string `json:"token"`
	Email    string `json:"email"`
	Name     string `json:"name"`
	Password string `json:"password"`
}

// Accept spends an invitation and begins a session.
func (c *Client) Accept(ctx context.Context, a Acceptance) (s Signed, err error) {
	return c.signed(ctx, "accept", a)
}

// Refresh spends a refresh token. One that is spent twice ends its session.
func (c *Client) Refresh(ctx context.Context, token string) (s Signed, err error) {
	return c.signed(ctx, "refresh", map[string]string{"refresh_token": token})
}

// SignOut ends the session whose token the client has.
func (c *Client) SignOut(ctx context.Context) error {
	return c.send(ctx, http.MethodPost, "/api/v1/auth/sign-out", nil, nil, nil)
}

// Me is who a client stands for.
type Me struct {
	User      mgx.User        `json:"user"`
	Workspace mgx.WorkspaceID `json:"workspace_id"`
	Role      string          `json:"role"`
	Scopes    []string        `json:"scopes"`
	Key       mgx.KeyID       `json:"key_id"`
	Session   mgx.SessionID   `json:"session_id"`
	Owner     bool            `json:"owner"`
	Members   []mgx.Member    `json:"memberships"`
}

// Me says who the client stands for.
func (c *Client) Me(ctx context.Context) (me Me, err error) {
	if err = c.get(ctx, "/api/v1/me", nil, &me); err == nil && me.User.ID == "" {
		err = c.strange("it names nobody")
	}
	return me, err
}

// Sessions lists those of the person whom the client stands for.
func (c *Client) Sessions(ctx context.Context) ([]mgx.Session, error) {
	var all struct {
		Sessions []mgx.Session `json:"sessions"`
	}
	return all.Sessions, c.get(ctx, "/api/v1/sessions", nil, &all)
}

// EndSession ends one of those.
func (c *Client) EndSession(ctx context.Context, id mgx.SessionID) error {
	return c.send(ctx, http.MethodDelete, "/api/v1/sessions/"+url.PathEscape(string(id)), nil, nil, nil)
}

// ChangePassword sets another password for the person, whose other sessions end.
func (c *Client) ChangePassword(ctx context.Context, old, fresh string) error {
	return c.send(ctx, http.MethodPut, "/api/v1/me/password", nil, map[string]string{"current_password": old, "new_password": fresh}, nil)
}

// NewKey is what it takes to make a key.
type NewKey struct {
	Name    string     `json:"name"`
	Scopes  []string   `json:"scopes"`
	Service bool       `json:"service,omitempty"` // it stands for no member, and can only call models
	Models  []string   `json:"models,omitempty"`
	Budget  *mgx.Money `json:"budget_usd,omitempty"`
	Period  string     `json:"budget_period,omitempty"`
	Expires int64      `json:"expires_in,omitempty"` // seconds; 0: never
}

// Keys lists keys: all that the client may see.
func (c *Client) Keys(ctx context.Context) ([]mgx.APIKey, error) {
	return pages[mgx.APIKey](ctx, c, "/api/v1/keys", "keys")
}

// CreateKey makes a key and returns it with its secret, which is not shown again.
func (c *Client) CreateKey(ctx context.Context, n NewKey) (mgx.APIKey, string, error) {
	var made struct {
		Key    mgx.APIKey
		Secret string
	}
	err := c.send(ctx, http.MethodPost, "/api/v1/keys", nil, n, &made)
	return made.Key, made.Secret, err
}

// RevokeKey makes a key worthless for good.
func (c *Client) RevokeKey(ctx context.Context, id mgx.KeyID) error {
	return c.send(ctx, http.MethodDelete, "/api/v1/keys/"+url.PathEscape(string(id)), nil, nil, nil)
}

// RotateKey gives a key another secret; the one before is good for overlap.
func (c *Client) RotateKey(ctx context.Context, id mgx.KeyID, overlap time.Duration) (string, error) {
	var made struct{ Secret string }
	err := c.send(ctx, http.MethodPost, "/api/v1/keys/"+url.PathEscape(string(id))+"/rotate", nil, map[string]int64{"overlap": int64(overlap / time.Second)}, &made)
	return made.Secret, err
}

// Members lists who is in the workspace.
func (c *Client) Members(ctx context.Context) ([]mgx.Member, error) {
	return pages[mgx.Member](ctx, c, "/api/v1/members", "members")
}

// SetRole gives a member another role.
func (c *Client) SetRole(ctx context.Context, id mgx.UserID, role string) error {
	return c.send(ctx, http.MethodPatch, "/api/v1/members/"+url.PathEscape(string(id)), nil, map[string]string{"role": role}, nil)
}

// RemoveMember ends a membership.
func (c *Client) RemoveMember(ctx context.Context, id mgx.UserID) error {
	return c.send(ctx, http.MethodDelete, "/api/v1/members/"+url.PathEscape(string(id)), nil, nil, nil)
}

// NewInvitation is whom to invite.
type NewInvitation struct {
	Email   string `json:"email,omitempty"` // empty: whoever has the token
	Role    string `json:"role,omitempty"`
	Expires int64  `json:"expires_in,omitempty"` // seconds; 0: a week, or with User a day

	User mgx.UserID `json:"user_id,omitempty"` // a member who is to set a password with it; Email and Role are empty then
}

// Invite makes an invitation and returns it with its token, which is not shown
// again.
func (c *Client) Invite(ctx context.Context, n NewInvitation) (mgx.Invitation, string, error) {
	var made struct {
		Invitation mgx.Invitation
		Token      string
	}
	err := c.send(ctx, http.MethodPost, "/api/v1/invitations", nil, n, &made)
	return made.Invitation, made.Token, err
}

// Invitations lists invitations, those that are over too.
func (c *Client) Invitations(ctx context.Context) ([]mgx.Invitation, error) {
	return pages[mgx.Invitation](ctx, c, "/api/v1/invitations", "invitations")
}

// RevokeInvitation makes an invitation worthless.
func (c *Client) RevokeInvitation(ctx context.Context, id mgx.InvitationID) error {
	return c.send(ctx, http.MethodDelete, "/api/v1/invitations/"+url.PathEscape(string(id)), nil, nil, nil)
}

// MyInvitations lists those that wait for the person whom the client stands for.
func (c *Client) MyInvitations(ctx context.Context) ([]mgx.WaitingInvitation, error) {
	var all struct {
		Invitations []mgx.WaitingInvitation `json:"invitations"`
	}
	return all.Invitations, c.get(ctx, "/api/v1/me/invitations", nil, &all)
}

// AcceptMine makes the person a member, as one of those says.
func (c *Client) AcceptMine(ctx context.Context, id mgx.InvitationID) (m mgx.Member, err error) {
	return m, c.send(ctx, http.MethodPost, "/api/v1/me/invitations/"+url.PathEscape(string(id))+"/accept", nil, nil, &m)
}

// DeclineMine ends one of those.
func (c *Client) DeclineMine(ctx context.Context, id mgx.InvitationID) error {
	return c.send(ctx, http.MethodPost, "/api/v1/me/invitations/"+url.PathEscape(string(id))+"/decline", nil, nil, nil)
}

// Roles lists the roles that members can have.
func (c *Client) Roles(ctx context.Context) ([]mgx.Role, error) {
	var all struct {
		Roles []mgx.Role `json:"roles"`
	}
	return all.Roles, c.get(ctx, "/api/v1/roles", nil, &all)
}

// Role returns a role by its name.
func (c *Client) Role(ctx context.Context, name string) (r mgx.Role, err error) {
	return r, c.get(ctx, "/api/v1/roles/"+url.PathEscape(name), nil, &r)
}

// EditRole replaces a role by what change makes of it, unless somebody else changes
// it meanwhile (mgx.CodeChanged).
func (c *Client) EditRole(ctx context.Context, name string, change func(*mgx.Role) error) (mgx.Role, error) {
	var seen string
	r, err := c.Seeing(&seen).Role(ctx, name)
	if err == nil {
		err = change(&r)
	}
	if err != nil {
		return r, err
	}
	return c.If(seen).PutRole(ctx, r)
}

// PutRole makes a role of the workspace's own, or replaces it.
func (c *Client) PutRole(ctx context.Context, r mgx.Role) (kept mgx.Role, err error) {
	body := map[string]string{"description": r.Description, "policy": r.Policy}
	return kept, c.send(ctx, http.MethodPut, "/api/v1/roles/"+url.PathEscape(r.Name), nil, body, &kept)
}

// RemoveRole deletes a role that nobody has.
func (c *Client) RemoveRole(ctx context.Context, name string) error {
	return c.send(ctx, http.MethodDelete, "/api/v1/roles/"+url.PathEscape(name), nil, nil, nil)
}

// Workspaces lists those that the client may act in.
func (c *Client) Workspaces(ctx context.Context) ([]mgx.Workspace, error) {
	return pages[mgx.Workspace](ctx, c, "/api/v1/workspaces", "workspaces")
}

// CreateWorkspace makes a workspace.
func (c *Client) CreateWorkspace(ctx context.Context, name string) (w mgx.Workspace, err error) {
	return w, c.send(ctx, http.MethodPost, "/api/v1/workspaces", nil, map[string]string{"name": name}, &w)
}

// RenameWorkspace gives a workspace another name, whichever the client acts in.
func (c *Client) RenameWorkspace(ctx context.Context, ws mgx.WorkspaceID, name string) (w mgx.Workspace, err error) {
	return w, c.send(ctx, http.MethodPatch, workspacePath(ws), nil, map[string]string{"name": name}, &w)
}
