package web_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/access/oidc/oidctest"
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

// Who was invited gets in at the provider, is led to the invitations that wait for the
// address, and is a member of what they accept; for that the provider has verified it.
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

	first := h.invites(mgx.DefaultWorkspace, "jo@example.com", "viewer")
	unverified := jo()
	unverified["email_verified"] = false
	h.says(unverified)
	turnedAway("the provider has not verified the address")

	other := h.space("<b>other</b>")
	no := h.invites(other, "jo@example.com", "auditor")
	h.says(jo())
	s := b.wants(200, b.follow(b.signInThere("/runs/x")))
	if at := s.Request.URL; at.Path != "/invitations" || at.Query().Get("next") != "/runs/x" {
		t.Errorf("they are led to %s", at)
	}
	if text := words(s.body); !strings.Contains(text, "&lt;b&gt;other&lt;/b&gt;") || !strings.Contains(text, "As viewer Invited by Owner Your address jo@example.com") || strings.Contains(text, "Not now") {
		t.Errorf("they read %s", text)
	}
	if me := b.me(); me != "jo@example.com" {
		t.Errorf("before they accept they are %q", me)
	}
	if s := b.get("/"); s.Header.Get("Location") != "/invitations" {
		t.Errorf("from elsewhere they come to %d %s", s.StatusCode, s.Header)
	}
	decide := func(id mgx.InvitationID, how string) seen {
		t.Helper()
		return b.do("POST", "/invitations/"+string(id)+"/"+how, url.Values{"next": {"/runs/x"}})
	}
	b.wants(303, decide(no.ID, "decline"))
	b.wants(303, decide(first.ID, "accept"))
	if s := b.wants(303, b.get("/invitations?next=/runs/x")); s.Header.Get("Location") != "/runs/x" || b.me() != "jo@example.com viewer" {
		t.Errorf("afterwards they are sent to %q and are %q", s.Header.Get("Location"), b.me())
	}
	for what, s := range map[string]seen{"a second time": decide(first.ID, "accept"), "declined before": decide(no.ID, "accept")} {
		if b.wants(404, s); !strings.Contains(words(s.body), "waits for you") {
			t.Errorf("%s: %s", what, words(s.body))
		}
	}
	b.wants(403, b.do("POST", "/invitations/"+string(no.ID)+"/accept", url.Values{}, "Origin", "https://evil.example.com", "Sec-Fetch-Site", "cross-site"))
}

func (h *house) space(name string) mgx.WorkspaceID {
	h.t.Helper()
	w, err := h.access.CreateWorkspace(h.t.Context(), h.owner(mgx.DefaultWorkspace), name)
	must(h.t, err)
	return w.ID
}

// Being invited elsewhere changes nothing for a member until they accept: signing in
// leaves them where they are, and their requests mean what they meant.
func TestInvitedMembersStayWhatTheyAre(t *testing.T) {
	t.Parallel()
	h := newHouse(t, false)
	h.moveIn()
	h.says(jo("builders"))
	b := h.browser()
	b.signInThere("/")
	other := h.space("other")
	i := h.invites(other, "jo@example.com", "admin")
	s := b.follow(b.signInThere("/tasks"))
	if at := s.Request.URL; at.Path != "/invitations" || !strings.Contains(words(s.body), "Not now") {
		t.Errorf("they are led to %s: %s", at, words(s.body))
	}
	if me := b.me(); me != "jo@example.com developer" {
		t.Errorf("without a workspace they are %q", me)
	}
	b.wants(200, b.get("/api/v1/members"))
	must(t, h.access.RevokeInvitation(t.Context(), h.owner(other), i.ID))
	if s := b.do("POST", "/invitations/"+string(i.ID)+"/accept", url.Values{}); s.StatusCode != 404 || b.me() != "jo@example.com developer" {
		t.Errorf("one that was revoked meanwhile: %d, and they are %q", s.StatusCode, b.me())
	}
	// Somebody else sees and decides nothing of it.
	i = h.invites(other, "jo@example.com", "admin")
	h.there.Say(oidctest.Said{Person: map[string]any{"sub": "kim", "email": "kim@example.com", "email_verified": true, "name": "Kim", "groups": []string{"builders"}}})
	kim := h.browser()
	if s := kim.signInThere("/tasks"); s.Header.Get("Location") != "/tasks" {
		t.Errorf("somebody else is led to %s", s.Header.Get("Location"))
	}
	kim.wants(404, kim.do("POST", "/invitations/"+string(i.ID)+"/decline", url.Values{}))
	b.wants(303, b.do("POST", "/invitations/"+string(i.ID)+"/accept", url.Values{}))
	if me := b.me("Mgx-Workspace", string(other)); me != "jo@example.com admin" {
		t.Errorf("who accepted is %q there", me)
	}
	nobody := h.browser()
	if s := nobody.get("/invitations"); s.StatusCode != 303 || !strings.HasPrefix(s.Header.Get("Location"), "/signin?next=") {
		t.Errorf("nobody in particular sees %d %s", s.StatusCode, words(s.body))
	}
	nobody.wants(401, nobody.do("POST", "/invitations/"+string(i.ID)+"/accept", url.Values{}))
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
	found, err := h.store.Invited(t.Context(), owner.Email)
	must(t, err)
	if found {
		t.Error("who forgot the password is invited")
	}
}

// Somebody who was invited, and is in no group that lets people in, signs in at a real
// OpenID provider, in a real browser.
func TestBrowserIsInvitedThere(t *testing.T) {
	t.Parallel()
	there := startProvider(t)
	h := build(t, blueprint{corp: there.issuer})
	h.moveIn()
	h.invites(mgx.DefaultWorkspace, "jo@example.com", "viewer")
	there.begin(h, nil, map[string]any{"jo": person("nobodies")})
	b := h.window()
	b.open("/signin").click(`a[href^="/signin/with/corp"]`)
	b.signInAt(there).says("You are invited.")
	b.submit(eval[string](b.tab, `new URL(document.querySelector('form[action$="/accept"]').action).pathname`)).until(`location.pathname !== "/invitations"`).isIn(h, "jo@example.com viewer")
}
