package web_test

import (
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
)

// owner acts as the owner of the data of a house.
func (h *house) owner(ws mgx.WorkspaceID) access.Actor {
	return access.Actor{User: mgx.LocalUser, Workspace: ws, Role: mgx.RoleAdmin, Owner: true}
}

func (h *house) invites(ws mgx.WorkspaceID, email, role string) mgx.Invitation {
	h.t.Helper()
	i, _, err := h.access.Invite(h.t.Context(), h.owner(ws), app.NewInvitation{Email: email, Role: role})
	must(h.t, err)
	return i
}

// Who was invited signs in at the provider and is what the invitation says, in every
// workspace that has one for the address; for that the provider has verified it.
func TestInvitedPeopleSignInThere(t *testing.T) {
	t.Parallel()
	h := newHouse(t, false)
	h.moveIn()
	b := h.browser()
	h.says(jo())
	turnedAway := func(why string) {
		t.Helper()
		if s := b.toProvider("/"); s.StatusCode != 403 || b.me() != "" {
			t.Errorf("%s: %d %s, and is %q", why, s.StatusCode, words(s.body), b.me())
		}
	}
	turnedAway("nobody invited them")
	h.invites(mgx.DefaultWorkspace, "somebody@example.com", "viewer")
	turnedAway("somebody else was invited")
	revoked := h.invites(mgx.DefaultWorkspace, "jo@example.com", "viewer")
	must(t, h.access.RevokeInvitation(t.Context(), h.owner(mgx.DefaultWorkspace), revoked.ID))
	turnedAway("the invitation was revoked")
	h.invites(mgx.DefaultWorkspace, "jo@example.com", "viewer")
	h.pass(8 * 24 * time.Hour)
	turnedAway("the invitation is over")

	h.invites(mgx.DefaultWorkspace, "jo@example.com", "viewer")
	unverified := jo()
	unverified["email_verified"] = false
	h.says(unverified)
	turnedAway("the provider has not verified the address")

	other, err := h.access.CreateWorkspace(t.Context(), h.owner(mgx.DefaultWorkspace), "other")
	must(t, err)
	h.invites(other.ID, "jo@example.com", "auditor")
	h.says(jo())
	b.signInThere("/")
	var user mgx.User
	if user, err = h.store.UserByEmail(t.Context(), "jo@example.com"); err != nil {
		t.Fatal(err)
	}
	for ws, want := range map[mgx.WorkspaceID]string{mgx.DefaultWorkspace: "viewer", other.ID: "auditor"} {
		if m, err := h.store.Member(t.Context(), ws, user.ID); err != nil || m.Role != want || m.GrantedBy != "" {
			t.Errorf("in %s they are %+v %v, want %s", ws, m, err, want)
		}
	}

	// An invitation to where somebody is already changes nothing, and one is spent once.
	again := h.invites(mgx.DefaultWorkspace, "jo@example.com", "admin")
	b.signInThere("/")
	if m, err := h.store.Member(t.Context(), mgx.DefaultWorkspace, user.ID); err != nil || m.Role != "viewer" {
		t.Errorf("they are %+v %v", m, err)
	}
	all, err := h.store.Invitations(t.Context(), mgx.DefaultWorkspace, "", 100)
	must(t, err)
	spent := 0
	for _, i := range all {
		if !i.AcceptedAt.IsZero() && i.Email == "jo@example.com" {
			spent++
		}
		if i.ID == again.ID && !i.AcceptedAt.IsZero() {
			t.Error("an invitation was spent on somebody who is a member")
		}
	}
	if spent != 1 {
		t.Errorf("%d invitations are spent, want 1", spent)
	}
	must(t, h.store.RemoveMember(t.Context(), mgx.Doer{Workspace: other.ID, Actor: "test"}, other.ID, user.ID))
	b.signInThere("/")
	if _, err := h.store.Member(t.Context(), other.ID, user.ID); !mgx.IsCode(err, mgx.CodeNotFound) {
		t.Errorf("who was removed is back by an invitation that was spent: %v", err)
	}
}

// What lets a member set a password lets nobody in at a provider.
func TestPasswordResetsAreNoInvitations(t *testing.T) {
	t.Parallel()
	h := newHouse(t, false)
	h.moveIn()
	owner, err := h.store.UserByEmail(t.Context(), strings.ToLower(ownersAddress))
	must(t, err)
	_, _, err = h.access.Invite(t.Context(), h.owner(mgx.DefaultWorkspace), app.NewInvitation{User: owner.ID})
	must(t, err)
	found, err := h.store.InvitationsTo(t.Context(), owner.Email)
	must(t, err)
	if len(found) != 0 {
		t.Errorf("%+v", found)
	}
}

// Somebody who was invited, and is in no group that lets people in, signs in at a real
// OpenID provider, in a real browser.
func TestBrowserIsInvitedThere(t *testing.T) {
	t.Parallel()
	there := startProvider(t)
	h := houseWith(t, there.issuer, false)
	h.moveIn()
	h.invites(mgx.DefaultWorkspace, "jo@example.com", "viewer")
	there.begin(h.url, map[string]any{"jo": person("nobodies")})
	b := h.window()
	b.open("/signin").click(`a[href^="/signin/with/corp"]`)
	b.signInAt(there).isIn(h, "jo@example.com viewer")
}
