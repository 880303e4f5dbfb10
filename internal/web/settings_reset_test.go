package web_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
)

// TestNewPassword lets a member set a password by a link that an admin passes on, once,
// after which they are signed in nowhere else; and nobody who is in other workspaces,
// also when they joined one since.
func TestNewPassword(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	admin := s.as(mgx.RoleAdmin) // who is not the owner
	boss := access.Actor{User: mgx.LocalUser, Workspace: mgx.DefaultWorkspace, Role: mgx.RoleAdmin, Session: "ses_1"}
	accept := func(token, mail, password string) (app.Browser, error) {
		return s.access.AcceptBrowser(t.Context(), app.Accepting{Token: token, Email: mail, Name: "Ada", Password: password}, "", access.Where{Address: "127.0.0.1"})
	}
	_, token, err := s.access.Invite(t.Context(), boss, app.NewInvitation{Email: "ada@example.com", Role: mgx.RoleViewer})
	must(t, err)
	before, err := accept(token, "", ownersPassword)
	must(t, err)
	ada := before.Session.User
	link := regexp.MustCompile(`/invitation#(\S+?)<`)
	reset := func() string {
		t.Helper()
		got := admin.must(http.StatusOK, admin.ask("POST", "/settings/members/"+string(ada)+"/reset", url.Values{"once": {mgx.NewID[string]("key")}}))
		has(t, got, "A new password for ada@example.com", "It is shown only now")
		found := link.FindStringSubmatch(got.body)
		if found == nil {
			t.Fatalf("no link is shown: %s", words(got.body))
		}
		return found[1]
	}
	first := reset()
	const fresh = "another passphrase of hers"
	after, err := accept(first, "", fresh)
	must(t, err)
	if after.Session.User != ada {
		t.Errorf("the link let %s in", after.Session.User)
	}
	sessions, err := s.store.Sessions(t.Context(), ada)
	must(t, err)
	if len(sessions) != 1 || sessions[0].ID != after.Session.ID {
		t.Errorf("she is signed in at %+v", sessions)
	}
	where := access.Where{Address: "127.0.0.1"}
	if _, err := s.access.SignIn(t.Context(), "ada@example.com", ownersPassword, where); !mgx.IsCode(err, app.CodeBadCredentials) {
		t.Errorf("the old password: %v", err)
	}
	if _, err := s.access.SignIn(t.Context(), "ada@example.com", fresh, where); err != nil {
		t.Errorf("the new password: %v", err)
	}
	if _, err := accept(first, "", ownersPassword); !mgx.IsCode(err, mgx.CodeInvitationSpent) {
		t.Errorf("the link once more: %v", err)
	}
	entries, err := s.store.AuditEntries(t.Context(), mgx.DefaultWorkspace, 0)
	must(t, err)
	told := false
	for _, e := range entries {
		told = told || strings.Contains(string(e.Data), "invitation.create") && strings.Contains(string(e.Data), `"user_id":"`+string(ada)+`"`)
		if strings.Contains(string(e.Data), first) {
			t.Error("the link is in the audit log")
		}
	}
	if !told {
		t.Error("the audit log does not tell of it")
	}

	// By a link that was made before she joined another workspace nobody becomes her there.
	second := reset()
	elsewhere, err := s.access.CreateWorkspace(t.Context(), boss, "Elsewhere")
	must(t, err)
	there := boss
	there.Workspace = elsewhere.ID
	_, token, err = s.access.Invite(t.Context(), there, app.NewInvitation{Email: "ada@example.com", Role: mgx.RoleViewer})
	must(t, err)
	_, err = accept(token, "", fresh)
	must(t, err)
	if _, err := accept(second, "", ownersPassword); !mgx.IsCode(err, access.CodeForbidden) {
		t.Errorf("a link from before she joined another workspace: %v", err)
	}
	for who, says := range map[mgx.UserID]string{ada: "who are in no other one", mgx.LocalUser: ""} {
		got := admin.ask("POST", "/settings/members/"+string(who)+"/reset", url.Values{})
		if got.StatusCode != http.StatusForbidden || !strings.Contains(words(got.body), says) {
			t.Errorf("%s: %d %s", who, got.StatusCode, words(got.body))
		}
	}
	has(t, admin.ask("GET", "/settings/members", nil), string(ada)+"/reset")
	// Nor does the admin of another workspace have a password of somebody there.
	tenant := access.Actor{User: "user_tenant", Workspace: elsewhere.ID, Role: mgx.RoleAdmin}
	_, token, err = s.access.Invite(t.Context(), there, app.NewInvitation{Role: mgx.RoleViewer})
	must(t, err)
	alone, err := accept(token, "al@example.com", fresh)
	must(t, err)
	if _, _, err := s.access.Invite(t.Context(), tenant, app.NewInvitation{User: alone.Session.User}); !mgx.IsCode(err, access.CodeForbidden) {
		t.Errorf("another workspace's admin: %v", err)
	}
	hasNot(t, admin.ask("GET", "/settings/members", nil), "user_local/reset")
	manager := s.as(mgx.RoleDeveloper)
	if got := manager.ask("POST", "/settings/members/"+string(ada)+"/reset", url.Values{}); got.StatusCode != http.StatusForbidden {
		t.Errorf("a developer: %d", got.StatusCode)
	}
}
