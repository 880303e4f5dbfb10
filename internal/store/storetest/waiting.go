package storetest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx"
)

// invites makes an invitation of a workspace to an address.
func invites(t *testing.T, s SignInStore, c *clock, at mgx.WorkspaceID, email, role string) mgx.Invitation {
	t.Helper()
	i := invitation(mgx.NewID[string]("digest"), email, role, "")
	i.Workspace, i.ExpiresAt = at, c.now().Add(time.Hour)
	must(t, s.Invite(t.Context(), byIn(at), i))
	return i
}

func byIn(at mgx.WorkspaceID) mgx.Doer {
	in := by
	in.Workspace = at
	return in
}

// waitingFor is what waits for somebody, by workspace.
func waitingFor(t *testing.T, s SignInStore, user mgx.UserID) string {
	t.Helper()
	all, err := s.InvitationsTo(t.Context(), user)
	must(t, err)
	var list []string
	for _, i := range all {
		list = append(list, fmt.Sprintf("%s(%s) %s by %s", i.Workspace, i.WorkspaceName, i.Role, i.InvitedBy))
	}
	slices.Sort(list) // ids of one millisecond have no order
	return strings.Join(list, ", ")
}

// An invitation to an address waits for the person who has it: signing in makes them no
// member, they see what is open and no more, and what they declined or took is over.
func waiting(t *testing.T, s SignInStore, c *clock) {
	ctx := t.Context()
	for _, at := range []string{"b", "c", "d", "e"} {
		_, err := s.CreateWorkspace(ctx, by, mgx.Workspace{ID: mgx.WorkspaceID("ws_" + at), Name: at}, mgx.LocalUser)
		must(t, err)
	}
	const address = "user_1@example.com"
	if invited, err := s.Invited(ctx, address); invited || err != nil {
		t.Error(invited, err)
	}
	b, late := invites(t, s, c, "ws_b", address, mgx.RoleViewer), invites(t, s, c, "ws_d", address, mgx.RoleViewer)
	if invited, err := s.Invited(ctx, address); !invited || err != nil {
		t.Error(invited, err)
	}
	_, err := signsIn(t, s, c, "user_1", true, "ws_default viewer")
	must(t, err)
	is := func(what, waits, roles string) {
		t.Helper()
		if got := waitingFor(t, s, "user_1"); got != waits {
			t.Errorf("%s: %q waits, want %q", what, got, waits)
		}
		if got := rolesOf(t, s, "user_1"); got != roles {
			t.Errorf("%s: they are %q, want %q", what, got, roles)
		}
	}
	const groups = "ws_default viewer by groups"
	is("signed in", "ws_b(b) viewer by owner, ws_d(d) viewer by owner", groups)
	c.pass(time.Hour)
	is("an hour later", "", groups)
	wants(t, mgx.CodeInvitationSpent, s.Decline(ctx, byIn("ws_d"), "ws_d", late.ID))
	wants(t, mgx.CodeInvitationSpent, s.Accept(ctx, byIn("ws_b"), mgx.Acceptance{Digest: b.Digest, User: mgx.User{ID: "user_1"}}))

	// One that says nothing of an address is for whoever has its token, one to where they
	// are already for nobody, and what lets somebody set a password is no invitation.
	invites(t, s, c, "ws_b", "", mgx.RoleAdmin)
	invites(t, s, c, ws, address, mgx.RoleAdmin)
	reset := invitation("reset", address, mgx.RoleViewer, "user_1")
	reset.ExpiresAt = c.now().Add(time.Hour)
	must(t, s.Invite(ctx, by, reset))
	is("others", "", groups)

	fresh, no := invites(t, s, c, "ws_c", address, mgx.RoleDeveloper), invites(t, s, c, "ws_e", address, mgx.RoleAdmin)
	must(t, s.Accept(ctx, byIn("ws_c"), mgx.Acceptance{Digest: fresh.Digest, User: mgx.User{ID: "user_1"}}))
	is("accepted", "ws_e(e) admin by owner", "ws_c developer, "+groups)
	must(t, s.Decline(ctx, byIn("ws_e"), "ws_e", no.ID))
	is("declined", "", "ws_c developer, "+groups)
	wants(t, mgx.CodeInvitationSpent, s.Decline(ctx, byIn("ws_e"), "ws_e", no.ID))
	wants(t, mgx.CodeInvitationSpent, s.Accept(ctx, byIn("ws_e"), mgx.Acceptance{Digest: no.Digest, User: mgx.User{ID: "user_1"}}))
	all, err := s.Invitations(ctx, "ws_e", "", 10)
	if err != nil || len(all) != 1 || all[0].DeclinedAt.IsZero() || all[0].RevokedAt.IsZero() {
		t.Errorf("who invited sees %+v %v", all, err)
	}
	must(t, s.Verify(ctx))
}

// What waits is for the address that the issuer verified last. An account that nobody
// has seen to be its holder's address has nothing that waits.
func wrongAddress(t *testing.T, s SignInStore, c *clock) {
	ctx := t.Context()
	_, err := s.CreateWorkspace(ctx, by, mgx.Workspace{ID: "ws_b", Name: "b"}, mgx.LocalUser)
	must(t, err)
	_, err = signsIn(t, s, c, "user_1", true)
	must(t, err)
	invites(t, s, c, "ws_b", "user_1@example.com", mgx.RoleViewer)
	invites(t, s, c, "ws_b", "new@example.com", mgx.RoleAuditor)
	is := func(what, email, want string) {
		t.Helper()
		_, err := s.SignInVouched(ctx, by, mgx.Vouched{
			Identity: mgx.Identity{Issuer: issuer, Subject: "sub of user_1", User: "user_1", Email: email}, User: mgx.User{ID: "user_1"}, Session: session("user_1"),
		})
		must(t, err)
		if got := waitingFor(t, s, "user_1"); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	is("the same", "user_1@example.com", "ws_b(b) viewer by owner")
	is("another", "new@example.com", "ws_b(b) auditor by owner")
	is("none that is verified", "", "")

	// By an invitation of the default workspace to it an address is seen, by a link for
	// anybody it is not, nor by one of any other workspace.
	join(t, s, "user_2", mgx.RoleViewer)
	invites(t, s, c, "ws_b", "user_2@example.com", mgx.RoleViewer)
	if got := waitingFor(t, s, "user_2"); got != "ws_b(b) viewer by owner" {
		t.Errorf("for whom the default workspace invited: %q", got)
	}
	link := invites(t, s, c, ws, "", mgx.RoleViewer)
	must(t, s.Accept(ctx, by, mgx.Acceptance{Digest: link.Digest, New: true, User: mgx.User{ID: "user_3", Email: "user_3@example.com", Name: "x", Password: "$p"}}))
	own := invites(t, s, c, "ws_b", "user_4@example.com", mgx.RoleViewer)
	must(t, s.Accept(ctx, byIn("ws_b"), mgx.Acceptance{Digest: own.Digest, New: true, User: mgx.User{ID: "user_4", Email: "user_4@example.com", Name: "x", Password: "$p"}}))
	for _, user := range []mgx.UserID{"user_3", "user_4"} {
		_, err = s.CreateWorkspace(ctx, by, mgx.Workspace{ID: mgx.WorkspaceID("ws_of_" + user), Name: "c"}, mgx.LocalUser)
		must(t, err)
		invites(t, s, c, mgx.WorkspaceID("ws_of_"+user), string(user)+"@example.com", mgx.RoleViewer)
		if got := waitingFor(t, s, user); got != "" {
			t.Errorf("for %s, whose address nobody has seen: %q", user, got)
		}
	}
}

// Of accepting, declining and revoking at once one wins, and a member is there only when
// it was accepting.
func declineOrRevoke(t *testing.T, s SignInStore, c *clock) {
	ctx := t.Context()
	_, err := signsIn(t, s, c, "user_1", true)
	must(t, err)
	for n := range 20 {
		at := mgx.WorkspaceID(fmt.Sprintf("ws_%d", n))
		_, err := s.CreateWorkspace(ctx, by, mgx.Workspace{ID: at, Name: "x"}, mgx.LocalUser)
		must(t, err)
		i := invites(t, s, c, at, "user_1@example.com", mgx.RoleViewer)
		var accepted, revoked, declined error
		var all sync.WaitGroup
		all.Go(func() {
			accepted = s.Accept(ctx, byIn(at), mgx.Acceptance{Digest: i.Digest, User: mgx.User{ID: "user_1"}})
		})
		all.Go(func() { revoked = s.RevokeInvitation(ctx, byIn(at), at, i.ID) })
		all.Go(func() { declined = s.Decline(ctx, byIn(at), at, i.ID) })
		all.Wait()
		_, err = s.Member(ctx, at, "user_1")
		if (accepted == nil) != (err == nil) || accepted == nil && (revoked == nil || declined == nil) || accepted != nil && revoked != nil {
			t.Errorf("accepted %v, revoked %v, declined %v, member %v", accepted, revoked, declined, err)
		}
	}
	must(t, s.Verify(ctx))
}

// Of what somebody joined under the address of somebody else that one is asked, once
// an issuer vouches for them.
func askedAnew(t *testing.T, s SignInStore, c *clock) {
	ctx := t.Context()
	_, err := s.CreateWorkspace(ctx, by, mgx.Workspace{ID: "ws_b", Name: "b"}, mgx.LocalUser)
	must(t, err)
	i := invites(t, s, c, "ws_b", "user_1@example.com", mgx.RoleDeveloper)
	must(t, s.Accept(ctx, byIn("ws_b"), mgx.Acceptance{Digest: i.Digest, New: true, User: mgx.User{ID: "user_1", Email: "user_1@example.com", Name: "x", Password: "$p"}}))
	_, err = s.CreateWorkspace(ctx, by, mgx.Workspace{ID: "ws_c", Name: "c"}, "user_1")
	must(t, err)
	_, err = signsIn(t, s, c, "user_1", false, "ws_default viewer")
	must(t, err)
	if got := rolesOf(t, s, "user_1"); got != "ws_c admin, ws_default viewer by groups" {
		t.Errorf("they are %q", got)
	}
	if got := waitingFor(t, s, "user_1"); got != "ws_b(b) developer by " {
		t.Errorf("for them waits %q", got)
	}
	all, err := s.InvitationsTo(ctx, "user_1")
	must(t, err)
	must(t, s.Accept(ctx, byIn("ws_b"), mgx.Acceptance{Digest: all[0].Digest, User: mgx.User{ID: "user_1"}}))
	if _, err = signsIn(t, s, c, "user_1", false, "ws_default viewer"); err != nil || !strings.Contains(rolesOf(t, s, "user_1"), "ws_b developer") {
		t.Errorf("they are asked again: %s %v", rolesOf(t, s, "user_1"), err)
	}
}
