package web_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"mgx"
)

// graphed is an execution that has done steps of several names.
func (s *stage) graphed() *played {
	s.t.Helper()
	r := s.play("A run with a graph")
	names := []string{"prepare/clone", "triage/001/turn", "planner/001/turn", "planner/001/call-1", "plan/proposed", hostile[0] + "/1", "implementer/001/turn", "check/1/1", "implementer/002/turn", "check/1.2/1", "review/1/diff", "reviewer-1/001/turn"}
	for _, name := range names {
		r.recorded(name)
	}
	return r
}

// recorded writes a step that is done.
func (r *played) recorded(name string) {
	r.s.t.Helper()
	now := mgx.Now()
	_, err := r.s.store.Commit(r.s.t.Context(), mgx.Change{
		Steps:  []mgx.StepRecord{{Execution: r.Execution, Name: name, Kind: mgx.StepWork, Input: "i", Attempts: 1, StartedAt: now, RecordedAt: now}},
		Events: []mgx.Event{r.Event(mgx.WorkflowStepCompleted, mgx.StepCompletedData{Step: name, Kind: mgx.StepWork})},
	})
	must(r.s.t, err)
}

// TestGraph goes through the graph of an execution with the keyboard, while it grows.
func TestGraph(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.graphed()
	b := s.tab()
	b.do(chromedp.EmulateViewport(1280, 900))
	b.open("/executions/" + string(r.Execution)).live()
	nodes := `document.querySelectorAll("mgx-graph a.node")`
	before := eval[int](b, nodes+`.length`)
	if before < 10 || eval[int](b, `document.querySelectorAll("mgx-graph path.edge").length`) < before-1 {
		t.Errorf("%d nodes", before)
	}
	width := `Number(document.querySelector(".graph-view > svg").getAttribute("width"))`
	was := eval[float64](b, width)
	eval[any](b, `document.querySelector(".graph-view").focus()`)
	b.keys("+").until(fmt.Sprintf("%s > %f", width, was))
	b.keys(kb.ArrowLeft).until(`document.activeElement.matches("a.node")`)
	last := eval[string](b, `document.activeElement.getAttribute("href")`)
	b.keys(kb.ArrowLeft).until(fmt.Sprintf(`document.activeElement.matches("a.node") && document.activeElement.getAttribute("href") !== %q`, last))
	here := eval[string](b, `document.activeElement.getAttribute("href")`)
	zoomed := eval[float64](b, width)
	// It grows while somebody is there: where they are and what they see stays.
	r.recorded("deliver/branch")
	b.until(fmt.Sprintf(`%s.length === %d`, nodes, before+1))
	b.until(fmt.Sprintf(`document.activeElement.getAttribute("href") === %q`, here))
	if now := eval[float64](b, width); now <= zoomed {
		t.Errorf("it was %f wide and is %f with one node more", zoomed, now)
	}
	b.keys(kb.Enter).until(`location.hash.startsWith("#step-") && document.getElementById(location.hash.slice(1)).matches("tr")`)
	if got := eval[string](b, `String(window.pwned)`); got != "undefined" {
		t.Error("a name of a step was taken for the page's own")
	}
}
