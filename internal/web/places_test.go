package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp/kb"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
	"mgx/internal/event"
	"mgx/internal/web"
)

// places are the options of a console with all that pages about the workspace need.
func (s *stage) places(contracts *event.Registry, o web.Options) web.Options {
	o.Events = &app.Log{Access: s.access, Store: s.store, Contracts: contracts}
	o.Queues = &app.Queues{Access: s.access, Store: s.store}
	o.Templates = &app.Templates{Access: s.access, Store: s.store}
	return o
}

// role gives the workspace one that may read some kinds of things.
func (s *stage) role(name string, kinds ...string) error {
	owner := access.Actor{User: mgx.LocalUser, Workspace: mgx.DefaultWorkspace, Role: mgx.RoleAdmin, Owner: true}
	_, err := s.access.PutRole(s.t.Context(), owner, mgx.Role{
		Name: name, Policy: `permit (principal, action in [Action::"read", Action::"connect"], resource) when { ["` + strings.Join(kinds, `", "`) + `"].contains(resource.kind) };`,
	})
	return err
}

// press clicks on what is there at that moment, of a page that may become another one
// at any.
func (b *tab) press(selector string) *tab {
	b.t.Helper()
	return b.until(fmt.Sprintf(`(() => { const e = document.querySelector(%q); e?.click(); return e })()`, selector))
}

// around are the pages about the workspace, with something on each.
func (s *stage) around() map[string]string {
	run := s.play("Add a limiter").did(mgx.AgentMessage, mgx.AgentMessageData{Role: "assistant", AgentRole: "planner", Text: "Looking at server.go."})
	for _, outcome := range []mgx.Outcome{mgx.OutcomeDone, mgx.OutcomeDone, "rate_limited", ""} {
		s.turn(run.Run, "planner", "claude-sonnet", outcome)
	}
	s.turn("", "gateway", "small", mgx.OutcomeDone)
	must(s.t, s.monthly(40*mgx.USD))
	hook, told := s.undelivered("https://example.com/hooks/mgx", 2)
	s.gaveUp("metrics", told[0])
	return map[string]string{
		"agents": "/agents", "agent": "/agents/planner", "agent-idle": "/agents/answerer", "events": "/events", "events-none": "/events?text=no+such+words", "event": "/events/" + string(told[0].ID),
		"templates": "/tasks/templates", "newtask-kept": "/tasks/new?kept=1&template=built-in:fix-a-bug",
		"queues": "/queues", "queues-hook": "/queues/webhooks/" + string(hook), "queues-reader": "/queues/readers/metrics",
	}
}

// monthly gives the workspace a budget by the month.
func (s *stage) monthly(limit mgx.Money) error {
	_, _, err := s.store.CreateBudget(s.t.Context(), s.owner(), mgx.Budget{ID: mgx.NewID[mgx.BudgetID]("bgt"), Workspace: mgx.DefaultWorkspace, Scope: mgx.ScopeWorkspace, ScopeID: string(mgx.DefaultWorkspace), Period: mgx.PeriodMonth, Limit: limit})
	return err
}

// TestBottomBar has four places at the bottom of a small screen and the others behind
// "more", with the keyboard and without a script.
func TestBottomBar(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	b := s.tab()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 360, Height: 780, DeviceScaleFactor: 1})
	b.open("/queues")
	shown := `[...document.querySelectorAll(".rail a, .rail summary")].filter((e) => e.checkVisibility() && e.getBoundingClientRect().width > 0).map((e) => e.textContent.trim()).join()`
	if got := eval[string](b, shown); got != "Home,Tasks,Approvals,Executions,More" {
		t.Errorf("the bar has %s", got)
	}
	if !eval[bool](b, `document.querySelector(".rail-more").hasAttribute("data-here") && [...document.querySelectorAll(".rail > ul > li:not(.rest), .rail-more")].every((e) => { const r = e.getBoundingClientRect(); return r.left >= 0 && r.right <= 360 && r.width >= 44 })`) {
		t.Error("an entry is cut off or too narrow, or where one is does not show")
	}
	b.click(".rail-more > summary").until(`document.querySelector(".rail-more").open`)
	b.until(`document.querySelector(".rail-sheet [data-open]").hidden === false`)
	if got := eval[string](b, shown); !strings.HasPrefix(got, "Home,Tasks,Approvals,Executions,More,Agents,Events,Usage,Queues,Audit") {
		t.Errorf("opened, the bar has %s", got)
	}
	b.keys(kb.Escape).until(`!document.querySelector(".rail-more").open && document.activeElement.matches(".rail-more > summary")`)
	b.keys(kb.Enter).until(`document.querySelector(".rail-more").open`)
	b.click(`.rail-sheet a[href="/agents"]`).until(`location.pathname === "/agents"`)
	b.until(`document.querySelector("[data-open=help]").hidden === false`)
	b.keys("g").keys("q").until(`location.pathname === "/queues"`)
}

// TestUsageOverTime draws what is left of a budget, has usage to download, and shows
// none of it to who may not see it.
func TestUsageOverTime(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	must(t, s.monthly(8*mgx.USD))
	month := time.Now().UTC().Month()
	s.called("", hostile[0], "m1")
	got := s.ask("GET", "/usage?by=user", nil)
	has(t, got, "owner", `class="chart burn`, "of $8.00 are left", `<polyline class="left"`, "Each call as CSV", "by agent", "by person")
	if time.Now().UTC().Month() == month { // else it was spent in another
		has(t, got, "$6.00 of $8.00")
	}
	csv := s.ask("GET", "/usage/export?by=model&format=csv", nil)
	if !strings.HasPrefix(csv.Header.Get("Content-Type"), "text/csv") || !strings.HasPrefix(csv.body, "model,calls,") || strings.Count(csv.body, "\n") != 3 || !strings.Contains(csv.body, "p/m1,1,1200,300,0,0,0,1.000000000") {
		t.Errorf("the CSV is %s", csv.body)
	}
	if calls := s.ask("GET", "/usage/export?by=call&format=csv", nil); strings.Count(calls.body, "\n") != 3 || !strings.Contains(calls.body, "planner") {
		t.Errorf("the calls are %s", calls.body)
	}
	if lines := s.ask("GET", "/usage/export?by=role&format=json", nil); strings.Count(lines.body, "\n") != 1 || !strings.Contains(lines.body, `"key":"planner","calls":2`) || lines.Header.Get("Content-Disposition") != `attachment; filename="usage-by-role.jsonl"` {
		t.Errorf("the JSON is %s", lines.body)
	}
	for path, status := range map[string]int{"/usage/export?by=x&format=csv": 400, "/usage/export?by=model": 400, "/usage/export?format=csv": 400} {
		if got := s.ask("GET", path, nil); got.StatusCode != status {
			t.Errorf("%s: %d %s", path, got.StatusCode, words(got.body))
		}
	}
	must(t, s.role("watcher", "tasks", "runs"))
	watcher := s.as("watcher")
	if got := watcher.ask("GET", "/usage/export?by=call&format=csv", nil); got.StatusCode != 403 || strings.Contains(got.body, "planner") {
		t.Errorf("who may not see budgets gets %d %s", got.StatusCode, words(got.body))
	}
	has(t, s.ask("GET", "/home", nil), `class="chart burn`)
	hasNot(t, watcher.ask("GET", "/home", nil), `class="chart burn`)
}

// TestHomeHealth says to everybody whether the server can do its work and what does
// not, and why only to who keeps it.
func TestHomeHealth(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	has(t, s.ask("GET", "/home", nil), "The server cannot do its work", "disk: failed", "the disk is full", "1.2.3", `href="/settings/health"`)
	theirs := s.as(mgx.RoleViewer).ask("GET", "/home", nil)
	has(t, theirs, "The server cannot do its work", "disk: failed")
	hasNot(t, theirs, "the disk is full", "1.2.3", `href="/settings/health"`)
}

// TestHostileAround has hostile words in a browser where pages about the workspace
// show words of others.
func TestHostileAround(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	all := strings.Join(hostile, "\n")
	p := s.project("greeter")
	r := s.play(hostile[0]).did(mgx.AgentMessage, mgx.AgentMessageData{Role: "assistant", AgentRole: "planner", Text: all}, mgx.ToolCalled, mgx.ToolCallData{CallID: "c1", Name: hostile[1], Effect: hostile[2], Summary: all, Arguments: "{}"})
	for i, w := range hostile[:8] {
		s.turn(r.Run, w, hostile[i+1], mgx.OutcomeDone)
		s.turn(r.Run, "planner", w, mgx.Outcome(w))
	}
	hook, told := s.undelivered("https://example.com/"+hostile[2], 1)
	s.gaveUp("metrics", told[0])
	for i, w := range hostile[:6] {
		form := url.Values{"words": {all}, "project": {string(p.ID)}, "model": {w}, "do": {"template"}, "template_name": {w}, "key": {"form_" + strings.Repeat("x", i)}}
		if got := s.ask("POST", "/tasks/new", form); got.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s: %d %s", w, got.StatusCode, words(got.body))
		}
	}
	ids, _ := s.eventsAt("/events?type=agent.message")
	query := url.QueryEscape(hostile[2])
	b := s.tab()
	for _, path := range []string{
		"/agents", "/agents/planner", "/events", "/events?type=" + query + "&of=" + query + "&person=" + query + "&text=" + query, "/events/" + ids[0], "/events/" + string(told[0].ID),
		"/queues", "/queues/webhooks/" + string(hook), "/queues/readers/metrics", "/tasks/templates", "/tasks/new?template=" + query, "/usage?by=role",
	} {
		b.open(path)
		eval[any](b, `for (const d of document.querySelectorAll("details")) d.open = true`)
		b.until(`document.readyState === "complete"`)
		if got := eval[string](b, `String(window.pwned) + [...document.querySelectorAll("main script, main iframe, main style, main link, main base, main meta, main img, main math, main [onerror], main [onload], main [onfocus], main [onclick], main a[href^='javascript'], main a[href*=':1/']")].map((e) => e.outerHTML)`); got != "undefined" {
			t.Errorf("%s took words for its own: %s", path, got)
		}
	}
}
