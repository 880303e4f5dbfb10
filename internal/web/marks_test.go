package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"mgx"
)

// TestMarks acts on several things at once: each as if it was asked for alone.
func TestMarks(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	waits, busy, over := s.working(), s.play("Still at it"), s.play("Over").did(mgx.TaskCancelled, mgx.TaskCancelledData{Reason: "enough"})
	list := s.ask("GET", "/tasks", nil)
	has(t, list, `id="mark-`+string(waits.Run)+`"`, `id="mark-`+string(busy.Run)+`"`, `action="/tasks/cancel"`)
	hasNot(t, list, `id="mark-`+string(over.Run)+`"`)

	mark := func(hash string) string {
		return url.Values{"run": {string(waits.Run)}, "approval": {"decision/plan"}, "hash": {hash}}.Encode()
	}
	viewer := s.as(mgx.RoleViewer)
	hasNot(t, viewer.ask("GET", "/tasks", nil), `class="mark"`, `id="marked"`)
	hasNot(t, viewer.ask("GET", "/approvals", nil), `class="mark"`, `id="marked"`)
	for name, c := range map[string]struct {
		who  *stage
		path string
		form url.Values
		want int
	}{
		"nothing is marked":      {s, "/tasks/cancel", url.Values{}, http.StatusBadRequest},
		"too much is marked":     {s, "/tasks/cancel", url.Values{"run": strings.Split(strings.Repeat("run_x ", 201), " ")}, http.StatusBadRequest},
		"a run that is none":     {s, "/tasks/cancel", url.Values{"run": {"run_none"}}, http.StatusNotFound},
		"a viewer cancels":       {viewer, "/tasks/cancel", url.Values{"run": {string(busy.Run)}}, http.StatusForbidden},
		"a viewer approves":      {viewer, "/approvals/approve", url.Values{"ask": {mark(planHash)}}, http.StatusForbidden},
		"a decision of no hash":  {s, "/approvals/approve", url.Values{"ask": {mark("")}}, http.StatusBadRequest},
		"what is no decision":    {s, "/approvals/approve", url.Values{"ask": {"%zz"}}, http.StatusBadRequest},
		"another plan than this": {s, "/approvals/approve", url.Values{"ask": {mark("sha256:another")}}, http.StatusConflict},
	} {
		if got := c.who.ask("POST", c.path, c.form); got.StatusCode != c.want {
			t.Errorf("%s: %d %s", name, got.StatusCode, words(got.body))
		}
	}

	// What ended meanwhile is as it should be; what cannot be done is told with what was.
	part := s.ask("POST", "/tasks/cancel", url.Values{"run": {string(over.Run), string(busy.Run), "run_none"}, "reason": {"not today"}})
	if part.StatusCode != http.StatusNotFound {
		t.Errorf("%d", part.StatusCode)
	}
	has(t, part, "2 of 3 were done before that")
	x, err := s.store.Execution(t.Context(), busy.Execution)
	must(t, err)
	if x.CancelWhy != "not today" {
		t.Error("the run that was marked is not cancelled")
	}
}

// TestMarksByKey marks with the keyboard alone, and approves what is marked.
func TestMarksByKey(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r, other := s.working(), s.working()
	b := s.tab().open("/approvals").live()
	b.until(`!document.querySelector("#marked").checkVisibility()`)
	b.keys("j").keys("x").keys("j").keys("x").until(`document.querySelectorAll(".mark:checked").length === 2 && document.querySelector("#marked").checkVisibility()`)

	// Marks stay while more happens around them.
	third := s.working()
	b.until(`document.querySelectorAll(".mark").length === 3`)
	if n := eval[int](b, `document.querySelectorAll(".mark:checked").length`); n != 2 {
		t.Fatalf("%d marks are left", n)
	}
	told := func(words string) {
		b.until(`document.querySelector(".notices").textContent.includes("` + words + `")`)
	}
	b.click("#marked button")
	told("Approved: 2.")
	for run, want := range map[*played]int{r: 1, other: 1, third: 0} {
		sent, err := s.store.Signals(t.Context(), run.Execution, "decision/plan")
		must(t, err)
		if len(sent) != want || want == 1 && !strings.Contains(string(sent[0].Payload), `"approved":true`) {
			t.Errorf("%+v was sent, want %d decisions", sent, want)
		}
	}
	b.open("/tasks").live()
	b.click("#mark-" + string(third.Run)).click("#marked summary").says("Each stops before its next step").click("#marked button.danger")
	told("Asked to stop: 1.")
}
