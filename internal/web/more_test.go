package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
)

// as signs in a person with a role, who then makes the requests.
func (s *stage) as(role string) *stage {
	s.t.Helper()
	owner := access.Actor{User: mgx.LocalUser, Workspace: mgx.DefaultWorkspace, Role: mgx.RoleAdmin, Owner: true}
	_, token, err := s.access.Invite(s.t.Context(), owner, app.NewInvitation{Email: role + "@example.com", Role: role})
	must(s.t, err)
	b, err := s.access.AcceptBrowser(s.t.Context(), app.Accepting{Token: token, Email: role + "@example.com", Name: role, Password: ownersPassword}, "", access.Where{Address: "127.0.0.1"})
	must(s.t, err)
	other := *s
	other.cookie = b.Cookie
	return &other
}

// TestRailOfARole has no place in it that its reader may not go to, and whoever
// goes there all the same is told so.
func TestRailOfARole(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	places := []string{"/approvals"}
	may := map[string]string{mgx.RoleAdmin: "/approvals", mgx.RoleViewer: "/approvals"}
	for role, theirs := range may {
		who := s.as(role)
		rail := who.ask("GET", "/tasks", nil).body
		for _, place := range places {
			allowed := strings.Contains(theirs, place)
			if in := strings.Contains(rail, `<li><a href="`+place+`"`); in != allowed {
				t.Errorf("%s has %s in the rail: %v", role, place, in)
			}
			if got := who.ask("GET", place, nil); (got.StatusCode == http.StatusOK) != allowed || !allowed && (got.StatusCode != http.StatusForbidden || !strings.Contains(got.body, "Not allowed")) {
				t.Errorf("%s at %s: %d %s", role, place, got.StatusCode, words(got.body))
			}
		}
	}
}

// TestInbox shows all that waits, the longest first, and decides on it there.
func TestInbox(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	if got := s.ask("GET", "/approvals", nil); !strings.Contains(got.body, "Nothing waits for you") || strings.Contains(got.body, `class="count"`) {
		t.Errorf("with nothing to decide: %s", words(got.body))
	}
	all := strings.Join(hostile, "\n")
	first := s.working()
	second := s.play(hostile[0]).did(
		mgx.ApprovalRequested, mgx.ApprovalRequestedData{ApprovalID: "decision/" + hostile[3], Effect: all, Hash: "sha256:tool", Call: &mgx.ProposedCall{
			Tool: all, Effect: all, AgentRole: all, Arguments: `{"x":` + quoted(all) + `}`, Paths: hostile, Hosts: hostile, Rule: all, Why: all, Rest: all,
		}},
		mgx.WorkflowWaiting, mgx.WaitingData{For: "decision/" + hostile[3]},
	)
	got := s.ask("GET", "/approvals", nil).body
	if a, b := strings.Index(got, `href="`+first.path()+`"`), strings.Index(got, `href="`+second.path()+`"`); a < 0 || b < a {
		t.Errorf("the order is %d, %d", a, b)
	}
	for _, w := range []string{`<b class="count">2</b>`, "Carry out the plan: 2 steps in 1 file.", "Register GET /healthz", planHash, "sha256:tool", `action="` + first.path() + `/decide"`, "&lt;script&gt;window.pwned=1"} {
		if !strings.Contains(got, w) {
			t.Errorf("the inbox does not have %s", w)
		}
	}
	for _, w := range []string{"<script>window", "<img", "<iframe", "<style", "<base", "<meta http-equiv"} {
		if strings.Contains(got, w) {
			t.Errorf("words became markup: %s", w)
		}
	}
	if viewer := s.as(mgx.RoleViewer).ask("GET", "/approvals", nil).body; strings.Contains(viewer, `name="decision"`) || !strings.Contains(viewer, "Your role lets you see this") {
		t.Error("a viewer is asked to decide")
	}
	done := s.ask("POST", first.path()+"/decide", url.Values{"approval": {"decision/plan"}, "hash": {planHash}, "decision": {"reject"}, "reason": {"Not so."}, "from": {"approvals"}})
	if done.StatusCode != http.StatusSeeOther || done.Header.Get("Location") != "/approvals" {
		t.Errorf("%d %s", done.StatusCode, words(done.body))
	}
	sent, err := s.store.Signals(t.Context(), first.Execution, "decision/plan")
	must(t, err)
	if len(sent) != 1 || !strings.Contains(string(sent[0].Payload), "Not so.") {
		t.Errorf("sent %+v", sent)
	}
}
