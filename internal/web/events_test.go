package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"mgx"
)

// eventsAt are the rows of a page of events, and the address of the next page.
func (s *stage) eventsAt(path string) (ids []string, next string) {
	s.t.Helper()
	got := s.ask("GET", path, nil)
	if got.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %d %s", path, got.StatusCode, words(got.body))
	}
	for _, m := range regexp.MustCompile(`<tr data-item id="(evt_[^"]+)"`).FindAllStringSubmatch(got.body, -1) {
		ids = append(ids, m[1])
	}
	if m := regexp.MustCompile(`href="([^"]+)" rel="next"`).FindStringSubmatch(got.body); m != nil {
		next = "/events" + strings.ReplaceAll(m[1], "&amp;", "&")
	}
	return ids, next
}

// TestEvents finds events by all that the form asks for, page by page, each once, and
// shows nobody what they may not see.
func TestEvents(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	must(t, s.role("watcher", "events"))
	must(t, s.role("stranger", "tasks"))
	long := s.play("A long run")
	var some []any
	for i := range 230 {
		some = append(some, mgx.RunNoted, mgx.NotedData{Level: "info", Text: fmt.Sprint("note ", i, " of it")})
	}
	long.did(some...)
	all := strings.Join(hostile, "\n")
	other := s.play(hostile[0]).did(
		mgx.AgentMessage, mgx.AgentMessageData{Role: "assistant", AgentRole: hostile[1], Text: all},
		mgx.ToolCalled, mgx.ToolCallData{CallID: "c1", Name: hostile[2], Effect: "read", Summary: all, Arguments: `{"x":` + quoted(all) + `}`},
	)
	seen := map[string]bool{}
	pages := 0
	for next := "/events?of=" + string(long.Run); next != ""; pages++ {
		var ids []string
		ids, next = s.eventsAt(next)
		for _, id := range ids {
			if seen[id] {
				t.Errorf("%s comes twice", id)
			}
			seen[id] = true
		}
	}
	if len(seen) != 232 || pages != 3 {
		t.Errorf("%d events on %d pages", len(seen), pages)
	}
	for path, n := range map[string]int{
		"/events?type=tool.*": 1, "/events?type=agent.message,tool.call": 2, "/events?of=" + string(other.Task): 4, "/events?text=NOTE+22+of": 1, "/events?text=%3Cscript%3Ewindow": 3, "/events?text=no+such+words": 0,
		"/events?type=run.created&person=user_local": 2, "/events?type=run.created&person=user_other": 0, "/events?to=2020-01-01T00:00": 0, "/events?type=tool.*&from=2020-01-01T00:00": 1,
		"/events?type=tool.*&to=" + time.Now().UTC().Add(48*time.Hour).Format("2006-01-02T15:04"): 1, "/events?of=" + url.QueryEscape(hostile[3]): 0,
	} {
		if ids, _ := s.eventsAt(path); len(ids) != n {
			t.Errorf("%s has %d events, not %d", path, len(ids), n)
		}
	}
	for path, status := range map[string]int{
		"/events?page=x": 400, "/events?from=yesterday": 400, "/events?from=2026-02-02T00:00&to=2026-01-01T00:00": 400, "/events?text=" + strings.Repeat("x", 300): 400, "/events?type=" + strings.Repeat("x", 300): 400,
		"/events/evt_none": 404, "/events/%3Cscript%3E": 404, "/events?text=%00": 400,
	} {
		if got := s.ask("GET", path, nil); got.StatusCode != status || strings.Contains(got.body, "<script>") {
			t.Errorf("%s: %d %s", path, got.StatusCode, words(got.body))
		}
	}

	// One event, with its contract, and the way to others.
	ids, _ := s.eventsAt("/events?type=tool.call")
	got := s.ask("GET", "/events/"+ids[0], nil)
	has(t, got, "tool.call", `href="`+other.path()+`?at=4"`, `rel="prev"`, `\u003cscript\u003e`, `\u202e`, "agent_role", "$schema", "/api/v1/events/schemas/tool.call/", `href="/executions/`+string(other.Execution)+`"`, "mgx events --since")
	hasNot(t, got, "<script>window", "<img", "\u202e", `rel="next"`)

	// The audit log is for those who may read that.
	audit, _ := s.eventsAt("/events?type=audit.*")
	if len(audit) == 0 {
		t.Fatal("the owner sees no entry of the audit log")
	}
	watcher := s.as("watcher")
	if theirs, _ := watcher.eventsAt("/events?type=audit.*"); len(theirs) != 0 {
		t.Errorf("who may not read the audit log sees %d entries", len(theirs))
	}
	if got := watcher.ask("GET", "/events/"+audit[0], nil); got.StatusCode != http.StatusNotFound {
		t.Errorf("who may not read the audit log gets %d", got.StatusCode)
	}
	if got := s.ask("GET", "/events/"+audit[0], nil); got.StatusCode != http.StatusOK {
		t.Errorf("the owner gets %d", got.StatusCode)
	}
	if got := s.as("stranger").ask("GET", "/events", nil); got.StatusCode != http.StatusForbidden {
		t.Errorf("who may not read events gets %d", got.StatusCode)
	}
}

// TestTail follows the log in a browser: what happens appears, stands still while it
// is paused, is counted meanwhile, and comes after; only what is chosen, and never
// more than a page.
func TestTail(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.play("Say hello")
	b := s.tab().open("/events?type=run.noted").live().says("No event matches")
	eval[any](b, `(() => { window.came = 0; document.addEventListener("mgx:event", () => window.came++) })()`)
	note := func(text string) { r.did(mgx.RunNoted, mgx.NotedData{Level: "info", Text: text}) }
	note("the first <b>one</b>")
	r.did(mgx.RunPhaseChanged, mgx.PhaseData{Phase: mgx.PhasePlan})
	b.says("the first <b>one</b>").until(`window.came === 1`) // else it would count as one that came meanwhile
	if n := eval[int](b, `document.querySelectorAll(".event-list tbody tr").length`); n != 1 {
		t.Errorf("%d events are shown", n)
	}
	b.click("mgx-tail button").until(`document.querySelector("mgx-stream").hasAttribute("paused")`)
	note("the second")
	note("the third")
	b.until(`document.querySelector("mgx-tail .waiting").textContent.includes("2 new")`)
	time.Sleep(1200 * time.Millisecond) // a page that is not paused would have become another by now
	if eval[bool](b, `document.querySelector("main").textContent.includes("the second")`) {
		t.Error("the page changes while it is paused")
	}
	b.click("mgx-tail button").says("the second").says("the third")
	var many []any
	for i := range 150 {
		many = append(many, mgx.RunNoted, mgx.NotedData{Level: "info", Text: fmt.Sprint("note ", i)})
	}
	r.did(many...)
	b.says("note 149")
	if n := eval[int](b, `document.querySelectorAll(".event-list tbody tr").length`); n != 100 {
		t.Errorf("%d events are shown", n)
	}
	live := eval[string](b, `[...document.querySelectorAll(".event-list tbody tr")].map((e) => e.id).join()`)
	b.open("/events?type=run.noted").live()
	if again := eval[string](b, `[...document.querySelectorAll(".event-list tbody tr")].map((e) => e.id).join()`); again != live {
		t.Error("a reload shows something else than what was seen live")
	}
	b.press(".event-list a").until(`location.pathname.startsWith("/events/evt_")`).says("note 149")
}
