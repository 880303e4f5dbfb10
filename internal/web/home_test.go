package web_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"mgx"
)

// project gives the workspace one.
func (s *stage) project(name string) mgx.Project {
	s.t.Helper()
	path := "/home/ada/src/" + name
	p, _, err := s.store.CreateProject(s.t.Context(), s.owner(), mgx.Project{ID: mgx.ProjectOf(path), Workspace: mgx.DefaultWorkspace, Name: name, Path: path, CreatedBy: string(mgx.LocalUser)})
	must(s.t, err)
	return p
}

func (s *stage) owner() mgx.Doer {
	return mgx.Doer{Actor: string(mgx.LocalUser), Workspace: mgx.DefaultWorkspace}
}

// spent has the workspace spend most of its budget.
func (s *stage) spent() {
	s.t.Helper()
	_, _, err := s.store.CreateBudget(s.t.Context(), s.owner(), mgx.Budget{
		ID: mgx.NewID[mgx.BudgetID]("bgt"), Workspace: mgx.DefaultWorkspace, Scope: mgx.ScopeWorkspace, ScopeID: string(mgx.DefaultWorkspace), Period: mgx.PeriodAbsolute, Limit: 10 * mgx.USD,
	})
	must(s.t, err)
	id := mgx.NewID[string]("call")
	_, err = s.store.Commit(s.t.Context(), mgx.Change{Reserve: &mgx.Reservation{ID: id, Workspace: mgx.DefaultWorkspace, User: mgx.LocalUser, Amount: 9 * mgx.USD, Provider: "scripted", Model: "demo"}})
	must(s.t, err)
	_, err = s.store.Commit(s.t.Context(), mgx.Change{Settle: []mgx.Settlement{{ID: id, Amount: 17 * mgx.USD / 2, Usage: mgx.Usage{Prompt: 12_000, Completion: 345}}}})
	must(s.t, err)
}

// ended are runs of the project that took so long and so much.
func (s *stage) ended(p mgx.Project, n int, more ...any) {
	for range n {
		r := s.play("Done before", func(d *mgx.RunCreatedData) { d.Repo.Path = p.Path })
		r.did(append([]any{mgx.LLMCallCompleted, mgx.LLMCallData{Provider: "p", Model: "m", AgentRole: "implementer", Usage: mgx.Usage{Prompt: 2000}, CostUSD: mgx.USD / 4, PriceKnown: true}}, more...)...)
		r.did(mgx.TaskCompleted, mgx.TaskCompletedData{DurationMS: 90_000})
	}
}

func has(t *testing.T, got seen, all ...string) {
	t.Helper()
	for _, w := range all {
		if !strings.Contains(got.body, w) {
			t.Errorf("%s does not have %q: %s", got.Request.URL.Path, w, words(got.body))
		}
	}
}

func hasNot(t *testing.T, got seen, all ...string) {
	t.Helper()
	for _, w := range all {
		if strings.Contains(got.body, w) {
			t.Errorf("%s has %q", got.Request.URL.Path, w)
		}
	}
}

// TestHome teaches who has nothing yet, then shows what waits, runs, ended and cost.
func TestHome(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	if at := s.ask("GET", "/", nil).Header.Get("Location"); at != "/home" {
		t.Errorf("/ leads to %q", at)
	}
	has(t, s.ask("GET", "/home", nil), "Three steps to a first result", "mgx project add PATH", `href="/tasks/new"`, "No budget is set", "$0.00")
	viewer := s.as(mgx.RoleViewer)
	hasNot(t, viewer.ask("GET", "/home", nil), `href="/tasks/new"`)

	waits := s.working()
	s.play("Still at it")
	s.ended(s.project("greeter"), 1)
	today := time.Now().UTC().YearDay()
	s.spent()
	s.play(hostile[0])
	got := s.ask("GET", "/home", nil)
	if today == time.Now().UTC().YearDay() { // else it was spent yesterday
		has(t, got, "Calls 1, tokens 12.3k")
	}
	has(t, got, "Waits for you", "Carry out the plan: 2 steps in 1 file.", `href="`+waits.path()+`#ask-1"`, "Still at it", "Recent results", "Done before",
		"$8.50 of $10.00", "Workspace, in all: $8.50 of the budget of $10.00 is spent.", "Workspace, in all", "&lt;script&gt;window.pwned=1")
	hasNot(t, got, "Three steps", "Nothing was asked for yet", "<script>window")
	theirs := viewer.ask("GET", "/home", nil)
	has(t, theirs, "Waits for a decision")
	hasNot(t, theirs, "Waits for you", ">Decide<")
}

// TestNewTask sends the form as browsers do without a script.
func TestNewTask(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	has(t, s.ask("GET", "/tasks/new", nil), "This workspace has no project yet", "mgx project add PATH")
	p, other := s.project("greeter"), s.project("another")
	runs := func() int { return strings.Count(s.ask("GET", "/tasks", nil).body, `class="rows-title"`) }

	// What is wrong is told beside what was typed.
	typed := url.Values{
		"key": {"form_1"}, "words": {hostile[4] + hostile[20]}, "project": {string(p.ID)}, "model": {hostile[2]}, "budget": {"1.50"}, "checks": {"go test ./...\n\n go vet ./... "}, "approve": {"ask"}, "plan": {"yes"}, "do": {"start"},
	}
	with := func(pairs ...string) url.Values {
		next := url.Values{}
		maps.Copy(next, typed)
		for i := 0; i < len(pairs); i += 2 {
			next.Set(pairs[i], pairs[i+1])
		}
		return next
	}
	for name, wrong := range map[string]struct {
		form  url.Values
		says  string
		field string
	}{
		"words":   {with("words", "  "), "Say what should be done.", "words"},
		"project": {with("project", ""), "Choose the project that it is about.", "project"},
		"unknown": {with("project", "prj_none"), "Nothing was started", "project"},
		"budget":  {with("budget", "lots"), "The budget is an amount of US dollars such as 2 or 0.50, not “lots”.", "budget"},
		"approve": {with("approve", "maybe"), "auto, ask or never", "approve"},
		"repo":    {with("project", "", "repo", "/etc"), "Nothing was started", ""},
	} {
		got := s.ask("POST", "/tasks/new", wrong.form)
		if got.StatusCode < 400 || got.StatusCode >= 500 {
			t.Errorf("%s: %d", name, got.StatusCode)
		}
		has(t, got, wrong.says, `value="form_1"`, "go vet ./...", `name="plan" value="yes" checked`, `&#34;&gt;&lt;svg onload=window.pwned=1&gt;`)
		hasNot(t, got, "<svg onload", "<script>window")
		if wrong.field != "" {
			if _, rest, _ := strings.Cut(got.body, ` name="`+wrong.field+`"`); !strings.Contains(rest[:strings.Index(rest, ">")], `aria-invalid="true"`) {
				t.Errorf("%s: the field is not marked", name)
			}
		}
	}
	if n := runs(); n != 0 {
		t.Fatalf("%d runs began", n)
	}

	// Sent twice it is one task, and goes to its run; changed, it is refused and kept.
	typed.Set("model", "")
	first, again := s.ask("POST", "/tasks/new", typed), s.ask("POST", "/tasks/new", typed)
	at := first.Header.Get("Location")
	if first.StatusCode != http.StatusSeeOther || !strings.HasPrefix(at, "/runs/run_") || again.Header.Get("Location") != at || runs() != 1 {
		t.Fatalf("%d %s, then %d %s; %d runs", first.StatusCode, at, again.StatusCode, again.Header.Get("Location"), runs())
	}
	has(t, s.ask("GET", at, nil), "&lt;/textarea&gt;", "of $1.50")
	id := mgx.RunID(strings.TrimPrefix(at, "/runs/"))
	run, err := s.store.RunInfo(t.Context(), mgx.DefaultWorkspace, id)
	must(t, err)
	if run.Repo.Path != p.Path || !run.Settings.Plan || run.Settings.Approve != "ask" || strings.Join(run.Settings.Checks, "|") != "go test ./...|go vet ./..." {
		t.Errorf("it is %+v on %s", run.Settings, run.Repo.Path)
	}
	got := s.ask("POST", "/tasks/new", with("project", string(other.ID)))
	has(t, got, "This form has begun a task already.")
	hasNot(t, got, `value="form_1"`)
	if n := runs(); got.StatusCode != http.StatusConflict || n != 1 {
		t.Errorf("%d; %d runs", got.StatusCode, n)
	}

	// Who may not, reads why, and cannot all the same.
	viewer := s.as(mgx.RoleViewer)
	has(t, viewer.ask("GET", "/tasks/new", nil), "You cannot create tasks here", "viewer")
	hasNot(t, viewer.ask("GET", "/tasks", nil), `href="/tasks/new"`)
	if got := viewer.ask("POST", "/tasks/new", typed); got.StatusCode != http.StatusForbidden || runs() != 1 {
		t.Errorf("a viewer gets %d; %d runs", got.StatusCode, runs())
	}
}

// TestEstimate says what runs like it took, and that it does not know where none are.
func TestEstimate(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.project("greeter")
	has(t, s.ask("GET", "/tasks/new", nil), "Nothing to go by yet")
	s.ended(p, 3)
	ask := url.Values{"words": {"Say hello"}, "project": {string(p.ID)}, "do": {"estimate"}}
	got := s.ask("POST", "/tasks/new", ask)
	has(t, got, "By 3 runs of this project", "3 of 3 reached their goal.", "$0.25", "Say hello")
	hasNot(t, got, "Nothing was started")
	ask.Set("project", string(s.project("another").ID))
	has(t, s.ask("POST", "/tasks/new", ask), "By 3 runs of the whole workspace")
}

// TestCreateInABrowser asks for something with the keyboard and lands on its run,
// however often the button is pressed.
func TestCreateInABrowser(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p, other := s.project("greeter"), s.project("another")
	s.ended(p, 3)
	b := s.tab().open("/tasks")
	b.until(`document.querySelector("[data-open=help]").hidden === false`)
	b.keys("c").until(`location.pathname === "/tasks/new" && document.activeElement.id === "words"`)
	b.says("By 3 runs of the whole workspace")
	b.until(`document.querySelector("[data-open=help]").hidden === false`)
	choose := func(id mgx.ProjectID) {
		eval[any](b, `(() => { const p = document.querySelector("#project"); p.value = "`+string(id)+`"; p.dispatchEvent(new Event("change", {bubbles: true})) })()`)
	}
	b.keys("Say hello <script>window.pwned=1</script>")
	choose(p.ID)
	b.says("By 3 runs of this project")
	choose(other.ID)
	b.says("By 3 runs of the whole workspace")
	if got := eval[string](b, `document.querySelector("#words").value`); !strings.Contains(got, "Say hello") {
		t.Errorf("the words became %q", got)
	}
	_, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](`(() => { const f = document.querySelector("form.ask-for"); const again = new FormData(f); again.set("do", "start"); return fetch(f.action, {method: "POST", body: new URLSearchParams(again)}).then((r) => r.status) })()`, chromedp.EvalAwaitPromise))
	must(t, err)
	b.do(chromedp.Click(chromedp.CSS(`button[value="start"]`)))
	b.until(`location.pathname.startsWith("/runs/run_")`).says("Asked for: Say hello").says("<script>window.pwned=1</script>")
	b.open("/tasks").says("Say hello")
	if n := eval[int](b, `[...document.querySelectorAll(".rows-title")].filter((e) => e.textContent.includes("Say hello")).length`); n != 1 || eval[string](b, `String(window.pwned)`) != "undefined" {
		t.Errorf("%d tasks", n)
	}
	b.open("/home").live().says("Say hello")
	r := s.play("Begun meanwhile")
	b.says("Begun meanwhile")
	r.did(mgx.TaskFailed, mgx.TaskErrorData{ErrorType: "llm_error", Kind: mgx.KindProvider, Code: "overloaded", Message: "Overloaded."})
	b.until(`[...document.querySelectorAll("[aria-labelledby=h-recent] .rows-title")].some((e) => e.textContent === "Begun meanwhile")`)
}
