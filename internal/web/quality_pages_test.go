package web_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"mgx"
	"mgx/internal/web"
)

// Paths that are no pages: files, and ways to pages of others.
var noPages = []string{"/static/", "/runs/{run}/artifacts/{name}", "/usage/export", "/audit/export", "/signin/with/{provider}", "/signin/with/{provider}/back", "/settings/data/workspace.jsonl", "/settings/data/people/{id}/person.jsonl"}

// everyPage are pages of a console with much on them, by name. It fails the test when
// the console has a page of which there is none.
func (s *stage) everyPage() map[string]string {
	s.t.Helper()
	all := s.pages()
	seen := map[string]bool{}
	m := http.NewServeMux()
	for _, pattern := range s.patterns() {
		m.HandleFunc(pattern, func(http.ResponseWriter, *http.Request) { seen[pattern] = true })
	}
	for _, path := range all {
		r, err := http.NewRequest(http.MethodGet, path, nil)
		must(s.t, err)
		m.ServeHTTP(nil, r)
	}
	for _, pattern := range s.patterns() {
		path := strings.TrimPrefix(pattern, "GET ")
		if seen[pattern] {
			continue
		}
		if strings.Contains(path, "{") {
			s.t.Errorf("there is no page of %s to look at: add one to what pages() returns", path)
			continue
		}
		all[strings.Trim(strings.ReplaceAll(path, "/", "-"), "-")] = path
	}
	return all
}

// patterns are those of all pages.
func (s *stage) patterns() (all []string) {
	for _, pattern := range web.Patterns(s.options) {
		if path, get := strings.CutPrefix(pattern, "GET "); get && path != "/" && !slices.Contains(noPages, path) {
			all = append(all, pattern)
		}
	}
	return all
}

// emptyPages are those of a workspace where nothing has happened yet.
func (s *stage) emptyPages() map[string]string {
	all := map[string]string{"nowhere": "/nowhere"}
	for _, pattern := range s.patterns() {
		if path := strings.TrimPrefix(pattern, "GET "); !strings.Contains(path, "{") {
			all["empty "+path] = path
		}
	}
	return all
}

// strangers are the pages of people who are not signed in.
func stranger(path string) bool {
	return path == "/signin" || path == "/invitation" || path == "/signedout"
}

// axe are the rules of axe-core, as a script.
func axe(t *testing.T) string {
	t.Helper()
	rules, err := os.ReadFile("../../tools/axe/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Skip("axe-core is not installed; make sdk installs it")
	}
	return string(rules) + ";0"
}

// accessible holds pages to all rules of axe-core, and in the dark once more to those of
// colours, which are all that differs there.
func (b *tab) accessible(rules string, pages map[string]string) {
	b.t.Helper()
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		b.visit(map[bool]string{true: "signin", false: name}[stranger(pages[name])], pages[name])
		_, err := chromedp.Run(b.ctx, chromedp.Evaluate[any](rules))
		must(b.t, err)
		for scheme, only := range map[string]string{"light": "", "dark": `runOnly: {type: "rule", values: ["color-contrast", "link-in-text-block"]}, `} {
			b.scheme(scheme)
			found, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`axe.run(document, {`+only+`resultTypes: ["violations"]}).then((r) => JSON.stringify(r.violations.map((v) => ({rule: v.id, help: v.help, nodes: v.nodes.slice(0, 4).map((n) => n.html.slice(0, 160) + " :: " + n.failureSummary)}))))`, chromedp.EvalAwaitPromise))
			if err != nil {
				b.t.Fatal(name, err)
			}
			var all []struct {
				Rule, Help string
				Nodes      []string
			}
			must(b.t, json.Unmarshal([]byte(found), &all))
			for _, v := range all {
				b.t.Errorf("%s in the %s: %s (%s)\n%s", name, scheme, v.Help, v.Rule, strings.Join(v.Nodes, "\n"))
			}
		}
	}
}

// TestAccessible holds every page to the rules of axe-core: with much on it, with
// nothing, and where something is refused.
func TestAccessible(t *testing.T) {
	t.Parallel()
	rules := axe(t)
	s := newStage(t)
	s.tab().accessible(rules, s.everyPage())
	viewer := s.as(mgx.RoleViewer)
	viewer.tab().accessible(rules, map[string]string{"forbidden": "/audit", "forbidden settings": "/settings/webhooks", "may not create": "/tasks/new", "sees": s.working().path()})
}

// TestAccessibleEmpty is the same for a workspace where nothing has happened yet.
func TestAccessibleEmpty(t *testing.T) {
	t.Parallel()
	rules := axe(t)
	s := newStage(t)
	s.tab().accessible(rules, s.emptyPages())
}

// TestEveryPageIsLight has every page load one script and one style from its own
// origin, little of both, and leave nothing moving where its reader wants no motion.
func TestEveryPageIsLight(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	b := s.tab()
	for name, path := range s.everyPage() {
		b.visit(map[bool]string{true: "signin", false: name}[stranger(path)], path)
		b.scheme("light") // and reduced motion
		b.until(`document.readyState === "complete"`)
		got := eval[string](b, `(() => { const files = performance.getEntriesByType("resource").filter((e) => /\.(js|css)$/.test(new URL(e.name).pathname)); return JSON.stringify([files.length, files.reduce((n, e) => n + e.decodedBodySize, 0), document.getAnimations().length]) })()`)
		var is [3]int
		must(t, json.Unmarshal([]byte(got), &is))
		if is[0] != 2 || is[1] == 0 || is[1] > 100<<10 || is[2] != 0 {
			t.Errorf("%s loads %d files of %d KB, and %d things move", name, is[0], is[1]>>10, is[2])
		}
	}
	b.open(s.play("Still at it").path())
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "no-preference"}}})
	b.until(`document.getAnimations().length > 0`)
}

// TestPrint has every page on paper without what is only of use on a screen, and
// with all that is folded.
func TestPrint(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	b := s.tab()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
	for name, path := range s.everyPage() {
		b.visit(map[bool]string{true: "signin", false: name}[stranger(path)], path)
		got := eval[string](b, `(() => {
			const seen = [...document.querySelectorAll(".rail, .skip:focus, .pill-new, .replay, form.say, .cli")].filter((e) => e.checkVisibility()).map((e) => "shows " + e.className);
			for (const d of document.querySelectorAll("main details:not(.cli):not(.actions *):not(nav *):not(.rail *)")) {
				const inside = [...d.children].find((e) => e.tagName !== "SUMMARY");
				if (d.checkVisibility() && inside && inside.textContent.trim() && inside.getBoundingClientRect().height === 0 && getComputedStyle(inside).display !== "none") seen.push("folds " + d.outerHTML.slice(0, 120));
			}
			return seen.slice(0, 4).join("; ")
		})()`)
		if got != "" {
			t.Errorf("%s on paper %s", name, got)
		}
	}
}

// TestZone tells times in the zone of who reads, and names it.
func TestZone(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.working()
	b := s.tab()
	call(b, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Asia/Tokyo"})
	call(b, emulation.SetLocaleOverride, emulation.SetLocaleOverrideParams{Locale: "en-GB"})
	for _, path := range []string{r.path(), r.path() + "?item=6", "/approvals", "/executions/" + string(r.Execution), "/tasks"} {
		b.open(path).until(`document.querySelector("main time") !== null`)
		got := eval[string](b, `[...document.querySelectorAll("main time")].filter((e) => {
			const at = new Date(e.dateTime);
			const clock = (zone) => at.toLocaleTimeString("en-GB", { timeZone: zone });
			return e.textContent.includes("UTC") || (/:/.test(e.textContent) && !e.textContent.includes(clock("Asia/Tokyo"))) || (!e.title.includes("Asia/Tokyo") && !/GMT\+9/.test(e.textContent));
		}).map((e) => e.outerHTML).join()`)
		if got != "" {
			t.Errorf("%s tells %s", path, got)
		}
	}
	b.open(r.path()).until(`document.querySelector(".foot-links time") !== null`)
	if eval[bool](b, `document.querySelector(".foot-links time").textContent === new Date(document.querySelector(".foot-links time").dateTime).toISOString().slice(11, 19)`) {
		t.Error("the timeline tells the time of somewhere else")
	}
}

// TestFocusStays has the focus stay where it is while everything around it is brought
// up to date, with what is being written and what is open there.
func TestFocusStays(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.working()
	n := 0
	happen := func(b *tab) {
		n++
		title := fmt.Sprint("happened ", n)
		before := eval[string](b, `document.querySelector("#tabs")?.textContent ?? document.querySelector("#runs, #home")?.textContent`)
		s.play(title)
		r.did(mgx.RunNoted, mgx.NotedData{Level: "info", Text: title}, mgx.LLMCallCompleted, mgx.LLMCallData{Provider: "p", Model: "m", AgentRole: "planner", CostUSD: mgx.USD, PriceKnown: true})
		b.until(fmt.Sprintf(`(document.querySelector("#tabs")?.textContent ?? document.querySelector("#runs, #home")?.textContent) !== %q`, before))
	}
	b := s.tab()
	for path, stops := range map[string][]string{
		r.path():             {`#cancel summary`, `#pause summary`, `#pause-why`, `.decision textarea`, `.decision button[value="reject"]`, `#tabs a[href$="/checks"]`, `#e6 summary`, `#e6 .foot-links .at`, `#say-words`, `main`},
		r.path() + "/checks": {`#tab summary`, `#tabs a[aria-current]`},
		"/tasks":             {`#runs [href="` + r.path() + `"]`, `#q`},
		"/home":              {`#home [href="` + r.path() + `#ask-1"]`},
	} {
		b.open(path).live()
		for _, stop := range stops {
			if !eval[bool](b, `(() => { const e = document.querySelector(`+fmt.Sprintf("%q", stop)+`); if (!e) return false; for (let d = e.parentElement.closest("details"); d; d = d.parentElement.closest("details")) d.open = true; e.focus(); return document.activeElement === e })()`) {
				t.Errorf("%s has no %s to be at", path, stop)
				continue
			}
			if strings.Contains(stop, "-why") || strings.Contains(stop, "textarea") {
				b.keys("abc")
				eval[any](b, `document.activeElement.setSelectionRange(1, 1)`)
			}
			happen(b)
			if !eval[bool](b, `document.activeElement === document.querySelector(`+fmt.Sprintf("%q", stop)+`)`) {
				t.Errorf("%s: the focus went from %s to %s", path, stop, eval[string](b, `document.activeElement.outerHTML.slice(0, 200)`))
			}
			if strings.Contains(stop, "-why") || strings.Contains(stop, "textarea") {
				if got := eval[string](b, `document.activeElement.value + document.activeElement.selectionStart`); got != "abc1" {
					t.Errorf("%s: what was written at %s has become %q", path, stop, got)
				}
			}
		}
	}
	// What had the focus is gone: it is where that was, and not at the beginning.
	b.open(r.path()).live()
	eval[any](b, `document.querySelector('.decision button[value="approve"]').focus()`)
	r.did(mgx.ApprovalDecided, mgx.ApprovalDecidedData{ApprovalID: "decision/plan", By: "user_local", Hash: planHash, Approved: true}, mgx.WorkflowResumed, mgx.ResumedData{Reason: "signal"})
	b.until(`document.querySelector(".decision") === null`)
	if at := eval[string](b, `document.activeElement.id`); at != "decisions" {
		t.Errorf("the focus is at %q", at)
	}
}
