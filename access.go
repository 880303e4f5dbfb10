package mgx

import (
	"slices"
	"strings"
	"time"
)

type (
	SessionID    string // ses_… one sign-in, and all tokens that came of it
	InvitationID string // inv_…
	KeyID        string // key_…
)

// LocalUser is the owner of the data directory: whoever can read its files may
// do everything, in every workspace. On a server it is the first person.
const LocalUser UserID = "user_local"

// User is a person. What they may do is said by where they are a [Member].
type User struct {
	ID          UserID    `json:"id"`
	Email       string    `json:"email,omitempty"` // in lower case; empty until an owner sets one
	Name        string    `json:"name"`
	Password    string    `json:"-"` // digest in PHC form; empty: none
	HasPassword bool      `json:"has_password"`
	CreatedAt   time.Time `json:"created_at"`
}

// Identity is who somebody else says a person is: the subject of an issuer.
type Identity struct {
	Issuer    string    `json:"issuer"`
	Subject   string    `json:"subject"`
	User      UserID    `json:"user_id"`
	Email     string    `json:"email,omitempty"` // that the issuer verified last, in lower case
	CreatedAt time.Time `json:"created_at"`
}

// Workspace is a tenant. The default one is also that of the installation: who
// is admin there makes workspaces and sees how MGX itself is doing.
type Workspace struct {
	ID        WorkspaceID `json:"id"`
	Name      string      `json:"name"`
	CreatedAt time.Time   `json:"created_at"`
	UpdatedAt time.Time   `json:"updated_at"`
}

// Member is a person in a workspace.
type Member struct {
	Workspace WorkspaceID `json:"workspace_id"`
	User      UserID      `json:"user_id"`
	Email     string      `json:"email,omitempty"`
	Name      string      `json:"name"`
	Role      string      `json:"role"`
	JoinedAt  time.Time   `json:"joined_at"`
	// GrantedBy is the issuer whose groups gave the role; empty: somebody here.
	GrantedBy string `json:"granted_by,omitempty"`
	// WorkspaceName is set where memberships of one person are listed.
	WorkspaceName string `json:"workspace_name,omitempty"`
}

// Roles that every workspace has.
const (
	RoleAdmin     = "admin"     // everything
	RoleDeveloper = "developer" // works: tasks, runs, repositories, models; sees budgets and members
	RoleViewer    = "viewer"    // sees the work
	RoleAuditor   = "auditor"   // sees everything, the audit log too; changes nothing

	// RoleService is of keys that stand for no member: they may call models.
	RoleService = "service"
)

// BuiltInRoles are those that people can have, the mightiest first.
var BuiltInRoles = []string{RoleAdmin, RoleDeveloper, RoleAuditor, RoleViewer}

// Role is a role that a workspace made: Cedar policies, which hold for those who
// have it.
type Role struct {
	Workspace   WorkspaceID `json:"workspace_id,omitempty"`
	Name        string      `json:"name"`
	Description string      `json:"description"`
	Policy      string      `json:"policy"`
	BuiltIn     bool        `json:"built_in"`
	CreatedAt   time.Time   `json:"created_at,omitzero"`
	UpdatedAt   time.Time   `json:"updated_at,omitzero"`
}

// Session is one sign-in. It ends when it expires, is signed out of or revoked.
type Session struct {
	ID         SessionID `json:"id"`
	User       UserID    `json:"user_id"`
	Address    string    `json:"address"` // where it began
	Agent      string    `json:"user_agent"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"` // when its tokens were renewed last
	ExpiresAt  time.Time `json:"expires_at"`
	RevokedAt  time.Time `json:"revoked_at,omitzero"`
	RevokedWhy string    `json:"revoked_why,omitempty"` // signed_out, revoked, token_reuse, password_changed, removed, replaced
	Kind       string    `json:"kind"`                  // SessionClient, SessionBrowser
	Issuer     string    `json:"issuer,omitempty"`      // who vouched for the person; empty: a password did
	Vouched    string    `json:"-"`                     // what the issuer calls its own session; empty: it did not say
	Proved     string    `json:"-"`                     // of one that begins: the digest of the password that was shown, if one was; not kept
	Current    bool      `json:"current,omitempty"`     // the one that asks
}

// Kinds of sessions.
const (
	SessionClient  = "client"  // of a program, which renews its tokens
	SessionBrowser = "browser" // of a browser, which keeps a cookie
)

// Alive reports whether the session's tokens may be used.
func (s Session) Alive(now time.Time) bool { return s.RevokedAt.IsZero() && now.Before(s.ExpiresAt) }

// SessionToken is a token of a session, as it is kept.
type SessionToken struct {
	Digest    string
	Session   SessionID
	Refresh   bool // it makes other tokens, or
	Browser   bool // it is a browser's cookie; else it gives access
	ExpiresAt time.Time

	// Of a cookie that is kept already:
	IssuedAt   time.Time
	ReplacedAt time.Time // by its successor; zero: it has none
	Confirms   bool      // it was not seen yet, so the one before it goes on
}

// How cookies of browsers live. A cookie in use is replaced now and then. The one
// before it goes on until the browser has shown the new one, and for the grace after
// that: answers get lost, and a page asks for many things at once.
const (
	BrowserIdle   = 24 * time.Hour // unused for so long, a session is over
	BrowserRotate = time.Hour      // a cookie of this age is replaced when it is used
	BrowserGrace  = time.Minute
)

// Invitation lets one person in, once. One that names a user lets that person,
// who is a member already, set a password.
type Invitation struct {
	ID         InvitationID `json:"id"`
	Workspace  WorkspaceID  `json:"workspace_id"`
	Email      string       `json:"email,omitempty"`
	Role       string       `json:"role"`
	User       UserID       `json:"user_id,omitempty"`
	Digest     string       `json:"-"`
	CreatedBy  UserID       `json:"created_by"`
	CreatedAt  time.Time    `json:"created_at"`
	ExpiresAt  time.Time    `json:"expires_at"`
	AcceptedAt time.Time    `json:"accepted_at,omitzero"`
	RevokedAt  time.Time    `json:"revoked_at,omitzero"`
	DeclinedAt time.Time    `json:"declined_at,omitzero"` // by whom it was for; then it is revoked, too
}

// WaitingInvitation is an invitation as whom it is for sees it.
type WaitingInvitation struct {
	ID            InvitationID `json:"id"`
	Workspace     WorkspaceID  `json:"workspace_id"`
	WorkspaceName string       `json:"workspace_name"`
	Email         string       `json:"email"` // the address that was invited
	Role          string       `json:"role"`
	InvitedBy     string       `json:"invited_by,omitempty"` // name of who invited
	CreatedAt     time.Time    `json:"created_at"`
	ExpiresAt     time.Time    `json:"expires_at"`
	Digest        string       `json:"-"`
}

// Acceptance is what somebody brings who was invited.
type Acceptance struct {
	Digest  string // of the invitation
	User    User   // who joins; with New made, else known already
	New     bool
	Session Session // that begins; without an id none does
	Tokens  []SessionToken
}

// Grant is a role in a workspace that somebody has by being in a group.
type Grant struct {
	Workspace WorkspaceID
	Role      string
}

// Vouched is a sign-in for which an issuer vouches. From then on the person's
// roles by that issuer are the grants and no others.
type Vouched struct {
	Identity Identity // of User
	User     User     // known by the identity, or else by the address; with New made
	New      bool
	Grants   []Grant // at most one for a workspace
	Session  Session
	Tokens   []SessionToken
}

// Codes of errors about people and what they prove themselves with.
const (
	CodeLastAdmin       = "last_admin"       // a workspace is not left without an admin
	CodeInvitationSpent = "invitation_spent" // it is not good, or no longer; which is not said
	CodeTokenReused     = "token_reused"     // a refresh token was used before: its session has ended
	CodeTokenUnknown    = "token_unknown"    // a token is not good, or no longer
	CodeBadCredentials  = "bad_credentials"  // an address or a password is wrong, or is not the one any more
)

func NewKeyID() KeyID { return NewID[KeyID]("key") }

// APIKey lets a program act in a workspace, on behalf of a person and at most as
// far as its scopes go. The key itself is shown once and never read back: what is
// kept is its digest.
type APIKey struct {
	ID        KeyID       `json:"id"`
	Workspace WorkspaceID `json:"workspace_id"`
	User      UserID      `json:"user_id"` // on whose behalf it acts
	Name      string      `json:"name"`    // what it is for
	Digest    string      `json:"-"`       // SHA-256 of the key, in hexadecimal
	OldDigest string      `json:"-"`       // of the key before it was rotated
	OldUntil  time.Time   `json:"old_until,omitzero"`
	// Scopes bound what it may do, each as [Scope] describes. None: nothing.
	Scopes []string `json:"scopes"`
	// Role is what it acts as; empty: as whatever its user is in the workspace.
	Role   string   `json:"role,omitempty"`
	Models []string `json:"models,omitempty"` // that it may call; none: all
	// Budget bounds what all calls of the key may cost together within Period,
	// which is "daily", "monthly" or "" for ever; nil: no bound of its own.
	Budget    *Money    `json:"budget_usd,omitempty"`
	Period    string    `json:"budget_period,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: never
	RevokedAt time.Time `json:"revoked_at,omitzero"` // zero: not revoked
	// LastUsedAt is exact to a minute or so.
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
}

// Resources are what may be done something to.
var Resources = []string{
	"tasks", "runs", "workflows", "repositories", "agents", "tools", "artifacts", "budgets", "settings", "users", "keys", "secrets",
	"audit", "events", "webhooks", "models",
}

// Actions are what may be done.
var Actions = []string{"create", "read", "update", "delete", "execute", "approve", "manage", "connect"}

// CheckScope refuses what is no scope of a key: a resource ("runs"), a resource
// and an action ("runs:read"), or * in place of either.
func CheckScope(scope string) error {
	resource, action, both := strings.Cut(scope, ":")
	if (resource == "*" || slices.Contains(Resources, resource)) && (!both || action == "*" || slices.Contains(Actions, action)) {
		return nil
	}
	return Errorf(KindUsage, "bad_scope", "a scope is a resource such as runs, a resource and an action such as runs:read, or * for all; resources are %s; actions are %s",
		strings.Join(Resources, ", "), strings.Join(Actions, ", "))
}

// InScope reports whether any of the scopes allows an action on a resource. Either
// may be *, which only a scope that says so too allows.
func InScope(scopes []string, resource, action string) bool {
	return slices.ContainsFunc(scopes, func(scope string) bool {
		r, a, both := strings.Cut(scope, ":")
		return (r == "*" || r == resource) && (!both || a == "*" || a == action)
	})
}

// Within reports whether a scope allows nothing that the scopes do not.
func Within(scope string, scopes []string) bool {
	resource, action, both := strings.Cut(scope, ":")
	if !both {
		action = "*"
	}
	return InScope(scopes, resource, action)
}

// Doer says who does a security-relevant thing, where and from where, for the
// audit log.
type Doer struct {
	Workspace WorkspaceID // whose log tells of it
	Actor     string      // id of a user or key; "system", "anonymous"
	From      string      // address, "cli"
	Agent     string      // what the client calls itself
	Request   string      // id of the request

	// Role is what the actor was in the workspace when they were permitted to do it.
	// What lasts beyond them, such as an invitation, is done only if they are so still.
	// Empty: nobody was asked.
	Role string
	User UserID // who is that; empty: the key itself is
	Key  KeyID  // that it used, if any
}
