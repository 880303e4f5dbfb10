package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"mgx"
)

// TestTemplates keeps what the form holds, fills it in again for its project, and
// gives it up, each for those who may.
func TestTemplates(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p, other := s.project("greeter"), s.project("another")
	has(t, s.ask("GET", "/tasks/new", nil), "Begin with", `href="/tasks/new?template=built-in%3Afix-a-bug"`, "Keep this as a template")
	has(t, s.ask("GET", "/tasks/new?template=built-in:add-a-feature", nil), "What is to be possible: …", `name="plan" value="yes" checked`)
	has(t, s.ask("GET", "/tasks/templates", nil), "The workspace has no template of its own", "Update a dependency")

	form := url.Values{
		"key": {"form_1"}, "words": {"Add a limiter to " + hostile[4] + hostile[20]}, "project": {string(p.ID)}, "model": {hostile[2]}, "budget": {"1.50"}, "approve": {"ask"}, "checks": {"go test ./...\ngo vet ./..."}, "do": {"template"},
		"template_name": {" Limit  <b>it</b> "}, "template_for": {"project"},
	}
	done := s.ask("POST", "/tasks/new", form)
	at := done.Header.Get("Location")
	if done.StatusCode != http.StatusSeeOther || !strings.HasPrefix(at, "/tasks/new?kept=1&template=tpl_") {
		t.Fatalf("%d %s %s", done.StatusCode, at, words(done.body))
	}
	got := s.ask("GET", at, nil)
	has(t, got, "It is kept as a template. Nothing was started.", "Limit &lt;b&gt;it&lt;/b&gt;", "Add a limiter to", `value="1.5"`, "go vet ./...", `<option value="ask" selected>`, `<option value="`+string(p.ID)+`" selected>`)
	hasNot(t, got, "<b>it", "<script>window", "<svg onload")
	if strings.Contains(s.ask("GET", "/tasks", nil).body, `class="rows-title"`) {
		t.Error("keeping a template began a task")
	}
	hasNot(t, s.ask("GET", "/tasks/new?project="+string(other.ID), nil), "Limit &lt;b&gt;")
	has(t, s.ask("GET", "/tasks/new?project="+string(p.ID), nil), "Limit &lt;b&gt;")

	// Again under the same name it is another one's place; what is none comes back.
	form.Set("words", "Another limiter")
	if again := s.ask("POST", "/tasks/new", form).Header.Get("Location"); again != at {
		t.Errorf("the same name is kept at %s, then at %s", at, again)
	}
	list := s.ask("GET", "/tasks/templates", nil)
	has(t, list, "Another limiter", "greeter", "$1.50")
	if n := strings.Count(list.body, "/delete"); n != 1 {
		t.Errorf("%d templates can be deleted", n)
	}
	for name, says := range map[string]string{"": "A template needs a name", strings.Repeat("x", 90): "has at most 80 characters"} {
		form.Set("template_name", name)
		wrong := s.ask("POST", "/tasks/new", form)
		has(t, wrong, "The template was not kept", says, "Another limiter", `aria-invalid="true"`)
		if wrong.StatusCode != http.StatusBadRequest {
			t.Errorf("%d", wrong.StatusCode)
		}
	}
	form.Set("template_name", "Long")
	form.Set("words", strings.Repeat("x", 20_000))
	has(t, s.ask("POST", "/tasks/new", form), "A template has at most 16 KB")
	if got := s.ask("GET", "/tasks/new?template=tpl_none", nil); got.StatusCode != http.StatusNotFound {
		t.Errorf("no such template: %d", got.StatusCode)
	}

	// Who may not create tasks sees templates, and neither keeps nor deletes any.
	_, id, _ := strings.Cut(at, "template=")
	viewer := s.as(mgx.RoleViewer)
	theirs := viewer.ask("GET", "/tasks/templates", nil)
	has(t, theirs, "Limit &lt;b&gt;")
	hasNot(t, theirs, "/delete", `href="/tasks/new`)
	form.Set("words", "Short")
	for path, form := range map[string]url.Values{"/tasks/new": form, "/tasks/templates/" + id + "/delete": nil} {
		if got := viewer.ask("POST", path, form); got.StatusCode != http.StatusForbidden {
			t.Errorf("a viewer at %s: %d %s", path, got.StatusCode, words(got.body))
		}
	}
	for path, status := range map[string]int{"/tasks/templates/built-in:explain/delete": 404, "/tasks/templates/" + id + "/delete": 303} {
		if got := s.ask("POST", path, nil); got.StatusCode != status {
			t.Errorf("%s: %d %s", path, got.StatusCode, words(got.body))
		}
	}
	hasNot(t, s.ask("GET", "/tasks/templates", nil), "Limit &lt;b&gt;")
}

// TestTemplateInABrowser begins with a template, changes it, and keeps it.
func TestTemplateInABrowser(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.project("greeter")
	b := s.tab().open("/tasks/new").click(`.template-choice a[href*="explain"]`)
	b.until(`document.querySelector("#words")?.value.includes("Question about the repository")`)
	b.click("#keep > summary").until(`document.querySelector("#keep").open`)
	b.do(chromedp.SendKeys(chromedp.CSS("#template_name"), "Explain it to me"))
	b.click(`button[value="template"]`).says("It is kept as a template.").says("Explain it to me")
	b.open("/tasks/templates").click(".template-row details summary").click(".template-row button.danger").says("The workspace has no template of its own")
}
