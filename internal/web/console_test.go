package web_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"mgx"
)

var plan = mgx.Plan{
	Goal: "GET /healthz answers 200.", Files: []string{"server.go"}, Verify: []string{"go test ./..."},
	Steps: []mgx.PlanStep{{Text: "Register GET /healthz", Status: "doing"}, {Text: "Test it", Status: "todo"}},
}

const planHash = "sha256:2b1e0f6d6a5f3b0c9a7e"

// working is a run that has done much and waits for a decision on its plan.
func (s *stage) working() *played {
	exit := 1
	r := s.play("Add a /healthz endpoint with a test")
	return r.did(
		mgx.RunPhaseChanged, mgx.PhaseData{Phase: mgx.PhasePlan, Note: "size M"},
		mgx.LLMCallCompleted, mgx.LLMCallData{Provider: "scripted", Model: "demo", AgentRole: "planner", Usage: mgx.Usage{Prompt: 1200, Completion: 80}, CostUSD: mgx.USD / 100, PriceKnown: true, DurationMS: 900, Step: "planner/001/turn"},
		mgx.AgentMessage, mgx.AgentMessageData{Role: "assistant", AgentRole: "planner", Conversation: "planner", Text: "I will look at **server.go** first.\n\n- one\n- two\n\n```go\nfunc main() {}\n```"},
		mgx.ToolCalled, mgx.ToolCallData{CallID: "c1", Name: "shell", Effect: "execute", Arguments: `{"command":"go test ./..."}`, Summary: "go test ./...", AgentRole: "planner", Verdict: "allow", Why: "a rule allows it"},
		mgx.ToolReturned, mgx.ToolResultData{CallID: "c1", Name: "shell", Status: "error", DurationMS: 1730, ExitCode: &exit, Output: strings.Repeat("\x1b[31m--- FAIL: TestHealthz\x1b[0m\n", 60)},
		mgx.RunPlanUpdated, mgx.PlanUpdatedData{Plan: plan, Hash: planHash},
		mgx.RunChecksCompleted, mgx.ChecksData{Round: "baseline", Checks: []mgx.CheckResult{{Name: "test", Command: "go test ./...", Status: "failed", ExitCode: 1, DurationMS: 618, Output: "FAIL"}, {Name: "vet", Command: "go vet ./...", Status: "passed"}}},
		mgx.RunReviewCompleted, mgx.ReviewData{Round: 1, Verdict: "revise", Summary: "One requirement is missed.", Findings: []mgx.Finding{{Title: "POST answers 200", Body: "It has no method.", Priority: "P1", File: "server.go", Line: 28}}},
		mgx.RunCheckpointed, mgx.CheckpointData{Tree: strings.Repeat("b", 40), Step: "implementer/1"},
		mgx.RunPhaseChanged, mgx.PhaseData{Phase: mgx.PhaseApproval},
		mgx.ApprovalRequested, mgx.ApprovalRequestedData{ApprovalID: "decision/plan", Effect: "Carry out the plan: 2 steps in 1 file.", Hash: planHash},
		mgx.WorkflowWaiting, mgx.WaitingData{For: "decision/plan"},
	)
}

const patch = `diff --git a/server.go b/server.go
--- a/server.go
+++ b/server.go
@@ -1,3 +1,3 @@ func NewServer
 package main
-// old
+// new, and "quoted"
 func main() {}
`

// pages are all pages of a console, by name.
func (s *stage) pages() map[string]string {
	s.host.show(patch)
	waiting := s.working()
	ended := s.play("Say hello").did(mgx.TaskFailed, mgx.TaskErrorData{ErrorType: "llm_error", Kind: mgx.KindProvider, Code: "overloaded", Message: "The provider is overloaded.", SuggestedActions: []string{"Try again later."}})
	all := map[string]string{
		"storybook": "/storybook", "tasks": "/tasks", "tasks-none": "/tasks?status=refused", "missing": "/runs/run_none", "home": "/home", "newtask": "/tasks/new", "approvals": "/approvals", "usage": "/usage", "audit": "/audit", "executions": "/executions", "execution": "/executions/" + string(waiting.Execution), "signin": "/signin", "invitation": "/invitation",
		"run": waiting.path(), "run-item": waiting.path() + "?item=6", "run-then": waiting.path() + "?at=5", "run-failed": ended.path(), "run-new": s.play("Nothing yet").path(),
	}
	s.project("greeter")
	s.spent()
	maps.Copy(all, s.settled())
	maps.Copy(all, s.around())
	for _, tab := range []string{"plan", "diff", "checks", "review", "artifacts", "routing", "security", "events"} {
		all["run-"+tab] = waiting.path() + "/" + tab
	}
	all["run-judged"] = s.judged().path() + "/diff"
	all["execution-graph"] = "/executions/" + string(s.graphed().Execution)
	return all
}

// TestScreenshots writes how every page looks to the directory in MGX_SCREENSHOTS.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("MGX_SCREENSHOTS")
	if dir == "" {
		t.Skip("MGX_SCREENSHOTS names no directory for pictures of all pages")
	}
	must(t, os.MkdirAll(dir, 0o755))
	s := newStage(t)
	pages := s.everyPage()
	b := s.tab()
	for _, width := range []int64{360, 1280, 2560} {
		b.do(chromedp.EmulateViewport(width, map[int64]int64{360: 780, 1280: 900, 2560: 1440}[width]))
		for _, scheme := range []string{"light", "dark"} {
			b.scheme(scheme)
			for name, path := range pages {
				b.visit(name, path)
				if wide := eval[int64](b, "document.documentElement.scrollWidth"); wide > width {
					t.Errorf("%s at %d is %d wide", name, width, wide)
				}
				shot, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
				must(t, err)
				must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, scheme)), shot, 0o644))
			}
		}
	}
}

// widestIDs makes the ids on a page as wide as ids can be.
const widestIDs = `for (const w = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT); w.nextNode();) w.currentNode.data = w.currentNode.data.replace(/_[0-9A-Z]{26}/g, "_" + "W".repeat(26));
`

// TestNarrow has no page wider than the smallest screen.
func TestNarrow(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	long := strings.Repeat("a-word-without-an-end", 12)
	r := s.play(long, func(d *mgx.RunCreatedData) { d.Repo.Path, d.Repo.Branch = "/"+long+"/"+long, long })
	r.did(mgx.ToolCalled, mgx.ToolCallData{CallID: "1", Name: "read", Effect: "read", Summary: long, Arguments: `{"path":"` + long + `"}`}, mgx.ToolReturned, mgx.ToolResultData{CallID: "1", Name: "read", Status: "success", Output: long},
		mgx.AgentMessage, mgx.AgentMessageData{Role: "assistant", AgentRole: long[:40], Text: long + "\n\n```\n" + long + "\n```"}, mgx.RunNoted, mgx.NotedData{Level: "info", Text: long})
	pages := s.everyPage()
	pages["long"] = r.path()
	b := s.tab()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 360, Height: 780, DeviceScaleFactor: 1})
	for name, path := range pages {
		b.open(path)
		if wide := eval[int64](b, widestIDs+"document.documentElement.scrollWidth"); wide > 360 {
			t.Errorf("%s is %d wide on a screen of 360", name, wide)
		}
	}
}

// TestWatch watches a run live: what it does appears without a reload, a reload
// shows the same, and two people see the same decision.
func TestWatch(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.play("Say hello")
	a, b := s.tab().open(r.path()).live(), s.tab().open(r.path()).live()
	r.did(mgx.RunPhaseChanged, mgx.PhaseData{Phase: mgx.PhaseImplement}, mgx.ToolCalled, mgx.ToolCallData{CallID: "c1", Name: "shell", Effect: "execute", Summary: "sh check.sh"})
	a.until(`document.querySelector(".tool .status.running") !== null`).says("sh check.sh")
	r.did(mgx.ToolReturned, mgx.ToolResultData{CallID: "c1", Name: "shell", Status: "success", DurationMS: 12, Output: "fine"})
	a.until(`document.querySelector(".tool .status.done") !== null && document.querySelector(".tool .status.running") === null`)
	r.did(mgx.LLMCallCompleted, mgx.LLMCallData{Provider: "p", Model: "m", AgentRole: "implementer", CostUSD: mgx.USD * 7 / 4, PriceKnown: true},
		mgx.AgentMessage, mgx.AgentMessageData{Role: "assistant", AgentRole: "implementer", Text: "All done."})
	a.says("All done.").says("$1.75")
	b.says("All done.")
	shown := `[...document.querySelectorAll("mgx-timeline .item:not(.pieces)")].map((e) => e.id + e.className).join()`
	live := eval[string](a, shown)
	if reloaded := eval[string](a.open(r.path()), shown); live == "" || live != reloaded {
		t.Errorf("live it was %s\nand then %s", live, reloaded)
	}

	// A decision appears for both, and keeps what one is writing while more happens.
	r.did(mgx.RunPlanUpdated, mgx.PlanUpdatedData{Plan: plan, Hash: planHash}, mgx.ApprovalRequested, mgx.ApprovalRequestedData{ApprovalID: "decision/plan", Effect: "Carry out the plan.", Hash: planHash}, mgx.WorkflowWaiting, mgx.WaitingData{For: "decision/plan"})
	a.says("Carry out the plan.")
	b.says("Carry out the plan.")
	a.do(chromedp.SendKeys(chromedp.CSS(".decision textarea"), "Please also"))
	r.did(mgx.RunNoted, mgx.NotedData{Level: "info", Text: "Meanwhile."})
	a.says("Meanwhile.")
	if got := eval[string](a, `document.querySelector(".decision textarea").value + document.activeElement.tagName`); got != "Please alsoTEXTAREA" {
		t.Errorf("what was written has become %q", got)
	}
	a.do(chromedp.SendKeys(chromedp.CSS(".decision textarea"), " test POST."))
	a.click(`button[value="reject"]`)
	signals := func() []mgx.Signal {
		all, err := s.store.Signals(t.Context(), r.Execution, "decision/plan")
		must(t, err)
		return all
	}
	var sent []mgx.Signal
	a.comes(func() bool { sent = signals(); return len(sent) > 0 })
	if len(sent) != 1 || !strings.Contains(string(sent[0].Payload), "Please also test POST.") || !strings.Contains(string(sent[0].Payload), planHash) || strings.Contains(string(sent[0].Payload), `"approved":true`) {
		t.Fatalf("the decision was sent as %+v", sent)
	}
	r.did(mgx.ApprovalDecided, mgx.ApprovalDecidedData{ApprovalID: "decision/plan", By: "user_local", Hash: planHash, Reason: "Please also test POST."}, mgx.WorkflowResumed, mgx.ResumedData{Reason: "signal"})
	for _, tab := range []*tab{a, b} {
		tab.until(`document.querySelector(".decision") === null`).says("by user_local")
	}
	r.did(mgx.TaskCancelled, mgx.TaskCancelledData{Reason: "enough", By: "user_local"})
	b.says("Cancelled: enough")
}

// TestKeyboardAlone does without a pointer.
func TestKeyboardAlone(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.play("Another task")
	r := s.working()
	b := s.tab().open("/tasks")
	b.until(`document.querySelector("[data-open=help]").hidden === false`)
	b.keys("?").until(`document.querySelector("#help").open`)
	b.keys(kb.Escape).until(`!document.querySelector("#help").open`)
	b.keys("j").until(`document.activeElement.classList.contains("rows-title")`)
	b.keys(kb.Enter).until(`location.pathname === ` + fmt.Sprintf("%q", r.path()))
	b.until(`document.querySelector("[data-open=help]")?.hidden === false`)
	b.keys("a").until(`document.activeElement.value === "approve"`)
	b.keys("r").until(`document.activeElement.value === "reject"`)
	b.keys("a").until(`document.activeElement.value === "approve"`)
	b.keys(kb.Enter)
	var sent []mgx.Signal
	b.comes(func() bool {
		var err error
		sent, err = s.store.Signals(t.Context(), r.Execution, "decision/plan")
		must(t, err)
		return len(sent) > 0
	})
	b.open(r.path())
	b.until(`document.querySelector("[data-open=help]")?.hidden === false`)
	if len(sent) != 1 || !strings.Contains(string(sent[0].Payload), `"approved":true`) {
		t.Fatalf("sent %+v", sent)
	}
	b.do(chromedp.KeyEvent("k", chromedp.KeyModifiers(2)))
	b.until(`document.querySelector("#palette").open`)
	b.keys("checks")
	b.until(`document.querySelector("#palette-list li")?.textContent.includes("Checks")`)
	b.keys(kb.Enter).until(`location.pathname.endsWith("/checks")`)
	b.until(`document.querySelector("[data-open=help]")?.hidden === false`)
	b.keys("g").keys("t").until(`location.pathname === "/tasks"`)
}
