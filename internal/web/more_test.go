package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

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
	places := []string{"/approvals", "/usage", "/audit", "/executions"}
	may := map[string]string{mgx.RoleAdmin: "/approvals /usage /audit /executions", mgx.RoleDeveloper: "/approvals /usage /executions", mgx.RoleViewer: "/approvals /usage /executions", mgx.RoleAuditor: "/approvals /usage /audit /executions", "watcher": "/approvals"}
	_, err := s.access.PutRole(t.Context(), access.Actor{User: mgx.LocalUser, Workspace: mgx.DefaultWorkspace, Role: mgx.RoleAdmin, Owner: true}, mgx.Role{
		Name: "watcher", Policy: `permit (principal, action == Action::"read", resource) when { ["tasks", "runs"].contains(resource.kind) };`,
	})
	must(t, err)
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

// called writes calls of models to the ledger that cost a dollar each.
func (s *stage) called(project mgx.ProjectID, models ...string) {
	s.t.Helper()
	for _, model := range models {
		id := mgx.NewID[string]("call")
		_, err := s.store.Commit(s.t.Context(), mgx.Change{Reserve: &mgx.Reservation{ID: id, Workspace: mgx.DefaultWorkspace, Project: project, User: mgx.LocalUser, Amount: 2 * mgx.USD, Provider: "p", Model: model, Role: "planner"}})
		must(s.t, err)
		_, err = s.store.Commit(s.t.Context(), mgx.Change{Settle: []mgx.Settlement{{ID: id, Amount: mgx.USD, Usage: mgx.Usage{Prompt: 1200, Completion: 300}}}})
		must(s.t, err)
	}
}

// TestUsagePage draws what was spent, in seven series of which two are together.
func TestUsagePage(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	if got := s.ask("GET", "/usage", nil).body; !strings.Contains(got, "Nothing was used") || !strings.Contains(got, "There is no budget") {
		t.Errorf("with nothing used: %s", words(got))
	}
	must(t, s.budget(mgx.ScopeWorkspace, string(mgx.DefaultWorkspace), 10*mgx.USD))
	must(t, s.budget(mgx.ScopeRun, hostile[0], 0))
	s.called("", hostile[0], "m1", "m1", "m2", "m3", "m4", "m5", "m6")
	got := s.ask("GET", "/usage", nil).body
	for _, w := range []string{`class="s5"`, "2 others", "$8.00", "9.6k", "&lt;script&gt;", "of $10.00", "$2.00 left", "Spent. Calls of models are refused", "in all"} {
		if !strings.Contains(got, w) {
			t.Errorf("usage does not have %s", w)
		}
	}
	if n := strings.Count(got, `class="s5"`); n < 2 {
		t.Error("what is together is in the legend alone")
	}
	if n := strings.Count(got, `class="bar-of"`); n != 30 {
		t.Errorf("%d days", n)
	}
	if strings.Contains(got, `class="s6"`) || strings.Contains(got, "<script>window") {
		t.Error("usage has a seventh colour, or words became markup")
	}
	for path, w := range map[string]string{"/usage?by=role&of=tokens": "planner", "/usage?by=project": "outside of projects"} {
		if got := s.ask("GET", path, nil); got.StatusCode != http.StatusOK || !strings.Contains(got.body, w) {
			t.Errorf("%s: %d %s", path, got.StatusCode, words(got.body))
		}
	}
	if got := s.ask("GET", "/usage?by=day", nil); got.StatusCode != http.StatusBadRequest {
		t.Errorf("by day: %d", got.StatusCode)
	}
}

// budget makes a daily budget.
func (s *stage) budget(scope mgx.BudgetScope, id string, limit mgx.Money) error {
	by := access.Actor{User: mgx.LocalUser, Workspace: mgx.DefaultWorkspace, Owner: true}.Doer()
	_, _, err := s.store.CreateBudget(s.t.Context(), by, mgx.Budget{ID: mgx.NewID[mgx.BudgetID]("bgt"), Workspace: mgx.DefaultWorkspace, Scope: scope, ScopeID: id, Period: mgx.PeriodAbsolute, Limit: limit})
	return err
}

// TestAuditPage goes back through the log, finds in it, and reads it over.
func TestAuditPage(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var c mgx.Change
	for i := range 250 {
		c.Events = append(c.Events, mgx.NewAudit(mgx.DefaultWorkspace, mgx.AuditData{Actor: "user_ada", Action: "key.create", Resource: fmt.Sprint("key_", i), Decision: mgx.AuditAllowed}))
	}
	c.Events = append(c.Events, mgx.NewAudit(mgx.DefaultWorkspace, mgx.AuditData{Actor: hostile[0], Action: hostile[1], Resource: hostile[2], Decision: mgx.AuditDenied, Reason: hostile[3]}))
	_, err := s.store.Commit(t.Context(), c)
	must(t, err)
	got := s.ask("GET", "/audit", nil).body
	for _, w := range []string{"The log is as it was written", "key_249", "&lt;script&gt;", "denied", "/audit/export?format=csv"} {
		if !strings.Contains(got, w) {
			t.Errorf("the log does not have %s", w)
		}
	}
	if strings.Contains(got, "<script>window") || strings.Contains(got, "<img") || strings.Contains(got, "key_150") {
		t.Error("words became markup, or there is too much")
	}
	_, link, _ := strings.Cut(s.ask("GET", "/audit?denied=true", nil).body, `href="/audit/export`)
	link, _, _ = strings.Cut(link, `"`)
	if csv := s.ask("GET", "/audit/export"+strings.ReplaceAll(link, "&amp;", "&"), nil); csv.StatusCode != http.StatusOK || strings.Count(csv.body, "user_ada") != 0 || !strings.Contains(csv.body, hostile[0]) {
		t.Errorf("the export %s: %d %s", link, csv.StatusCode, csv.body)
	}
	if got := s.as(mgx.RoleDeveloper).ask("GET", "/audit/export", nil); got.StatusCode != http.StatusForbidden || strings.Contains(got.body, "user_ada") {
		t.Errorf("a developer exports %d %s", got.StatusCode, words(got.body))
	}
	seen := 0
	for next := "/audit?actor=user_ada&action=key.*"; next != ""; {
		body := s.ask("GET", next, nil).body
		seen += strings.Count(body, "<tr data-item")
		_, rest, more := strings.Cut(body, `rel="next"`)
		next = ""
		if _ = rest; more {
			before := body[:strings.Index(body, `rel="next"`)]
			link := before[strings.LastIndex(before, `href="`)+6:]
			next = "/audit" + strings.ReplaceAll(link[:strings.Index(link, `"`)], "&amp;", "&")
		}
	}
	if seen != 250 {
		t.Errorf("%d entries of 250", seen)
	}
	for path, status := range map[string]int{"/audit?page=x": 400, "/audit/export?action=[": 400, "/audit/export?format=json&actor=user_ada": 200, "/audit?action=[": 400, "/audit?denied=true": 200, "/audit?actor=nobody": 200} {
		if got := s.ask("GET", path, nil); got.StatusCode != status || path == "/audit?denied=true" && strings.Contains(got.body, "key_249") {
			t.Errorf("%s: %d %s", path, got.StatusCode, words(got.body))
		}
	}
}

// TestExecutions lists executions and draws the steps of one.
func TestExecutions(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	if got := s.ask("GET", "/executions", nil).body; !strings.Contains(got, "Nothing was executed yet") {
		t.Errorf("with nothing executed: %s", words(got))
	}
	r := s.working()
	step := func(name string, after, took time.Duration, failure *mgx.Error) mgx.StepRecord {
		at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC).Add(after)
		return mgx.StepRecord{Execution: r.Execution, Name: name, Kind: mgx.StepWork, Attempts: 1, StartedAt: at, RecordedAt: at.Add(took), Output: []byte("{}"), Failure: failure}
	}
	_, err := s.store.Commit(t.Context(), mgx.Change{Steps: []mgx.StepRecord{
		step("prepare", 0, 30*time.Second, nil), step(hostile[0], 30*time.Second, time.Minute, &mgx.Error{Kind: mgx.KindInternal, Code: "x", Message: hostile[1]}), step("last", 90*time.Second, 30*time.Second, nil),
	}})
	must(t, err)
	list := s.ask("GET", "/executions?status=waiting", nil).body
	path := "/executions/" + string(r.Execution)
	for _, w := range []string{`href="` + path + `"`, `href="` + r.path() + `"`, "waiting"} {
		if !strings.Contains(list, w) {
			t.Errorf("the list does not have %s", w)
		}
	}
	got := s.ask("GET", path, nil).body
	for _, w := range []string{`class="step done" x="0.00" y="1" width="250.00"`, `class="step failed" x="250.00" y="1" width="500.00"`, `class="step done" x="750.00" y="1" width="250.00"`, "&lt;script&gt;", "&lt;img", "2 min 0 s"} {
		if !strings.Contains(got, w) {
			t.Errorf("the execution does not have %s", w)
		}
	}
	if strings.Contains(got, "<script>window") || strings.Contains(got, "<img") {
		t.Error("words became markup")
	}
	for path, status := range map[string]int{"/executions/exec_none": 404, "/executions?status=x": 400, "/executions?status=done": 200} {
		if got := s.ask("GET", path, nil); got.StatusCode != status {
			t.Errorf("%s: %d %s", path, got.StatusCode, words(got.body))
		}
	}
}

// TestInboxKeepsWords has what somebody is writing stay while other decisions come
// and go around it.
func TestInboxKeepsWords(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.working()
	b := s.tab().open("/approvals").live()
	b.do(chromedp.SendKeys(chromedp.CSS(".decision textarea"), "Please also test POST."))
	other := s.play("Another").did(mgx.ApprovalRequested, mgx.ApprovalRequestedData{ApprovalID: "decision/plan", Effect: "Something else.", Hash: "sha256:other"}, mgx.WorkflowWaiting, mgx.WaitingData{For: "decision/plan"})
	b.says("Something else.")
	if got := eval[string](b, `[...document.querySelectorAll(".decision textarea")].map((t) => t.value).join("|") + document.activeElement.tagName`); got != "Please also test POST.|TEXTAREA" {
		t.Errorf("what was written has become %q", got)
	}
	b.click(`form[action="` + other.path() + `/decide"] button[value="reject"]`)
	b.comes(func() bool {
		all, err := s.store.Signals(t.Context(), other.Execution, "decision/plan")
		must(t, err)
		return len(all) == 1
	})
	r.did(mgx.ApprovalDecided, mgx.ApprovalDecidedData{ApprovalID: "decision/plan", By: "user_local", Hash: planHash, Approved: true}, mgx.WorkflowResumed, mgx.ResumedData{Reason: "signal"})
	b.until(`location.pathname === "/approvals" && !document.body.textContent.includes("Carry out the plan")`)
}
