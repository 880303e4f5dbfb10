package web_test

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"mgx"
)

// hostile are words that would do something if a page took them for its own.
var hostile = []string{
	`<script>window.pwned=1</script>`, `<img src=x onerror="window.pwned=1">`, `"><svg onload=window.pwned=1>`, `' autofocus onfocus='window.pwned=1`, `{{.Run}}${window.pwned=1}`,
	`<iframe srcdoc="<script>parent.pwned=1</script>">`, `<a href="javascript:window.pwned=1">x</a>`, `[x](javascript:window.pwned=1)`, `![x](http://127.0.0.1:1/pixel.png)`, `[x](http://127.0.0.1:1/)`,
	`<link rel=stylesheet href=//127.0.0.1:1/x.css>`, `<style>@import "http://127.0.0.1:1/x"</style>`, `<meta http-equiv=refresh content="0;url=http://127.0.0.1:1/">`, `<base href="http://127.0.0.1:1/">`,
	`<form action=http://127.0.0.1:1/><button autofocus>`, `<math><mtext></form><form><mglyph><style></math><img src onerror=window.pwned=1>`, `<mgx-stream channel=all part="//127.0.0.1:1/">`,
	"\x1b]8;;javascript:window.pwned=1\x07x\x1b]8;;\x07", "\x1b[31;\"onclick=window.pwned=1m", "\u202egnp.exe\u2066", "</title></textarea></template></noscript><script>window.pwned=1</script>",
}

// TestHostileWords has them everywhere where words of others are shown.
func TestHostileWords(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	all := strings.Join(hostile, "\n")
	var diff strings.Builder
	for i, w := range hostile {
		line := strings.ReplaceAll(w, "\n", " ")
		fmt.Fprintf(&diff, "diff --git a/%[1]d b/%[1]d\n--- a/%[1]d%[2]s\n+++ b/%[1]d%[2]s\n@@ -1 +1 @@ %[2]s\n-%[2]s\n+%[2]s %[2]s\n", i, line)
	}
	diff.WriteString("diff --git a/x.svg b/x.svg\n--- a/x.svg\n+++ b/x.svg\n@@ -0,0 +1 @@\n+<svg xmlns=\"http://www.w3.org/2000/svg\"><script>window.pwned=1</script></svg>\n")
	s.host.show(diff.String())
	label := &mgx.Label{Untrusted: true, Sources: hostile}
	r := s.play(hostile[0]+hostile[1]+hostile[3], func(d *mgx.RunCreatedData) {
		d.Repo.Path, d.Repo.Branch, d.Settings.Model = all, hostile[2], hostile[3]
		d.Settings.AllowHosts, d.Settings.Policy = hostile, &mgx.PolicyInfo{Name: hostile[1], Text: all, Hash: hostile[3]}
	})
	for i, w := range hostile {
		id := fmt.Sprint("c", i)
		r.did(
			mgx.RunPhaseChanged, mgx.PhaseData{Phase: w, Note: w},
			mgx.LLMCallCompleted, mgx.LLMCallData{Provider: w, Model: w, AgentRole: w, PriceKnown: true, Routing: &mgx.RoutingData{Why: w, Policy: w, Passed: []mgx.PassedModel{{Model: w, Why: w}}}},
			mgx.AgentMessage, mgx.AgentMessageData{Role: "assistant", AgentRole: w, Text: w + "\n\n# " + w + "\n\n- " + w + "\n\n> " + w + "\n\n```" + w + "\n" + w + "\n```\n\n**" + w + "** `" + w + "`"},
			mgx.ToolCalled, mgx.ToolCallData{CallID: id, Name: w, Effect: w, Summary: w, Arguments: `{"command":` + quoted(w) + `}`, Why: w, Verdict: "ask"},
			mgx.ToolReturned, mgx.ToolResultData{CallID: id, Name: w, Status: "success", Output: w + "\n" + all},
			mgx.RunNoted, mgx.NotedData{Level: "warning", Text: w},
			mgx.LLMProviderError, mgx.ProviderErrorData{Provider: w, Model: w, ErrorType: w, Message: w},
			mgx.RunNetworkUsed, mgx.NetworkUsedData{Hosts: []mgx.NetworkUse{{Host: w, Port: 1, Decision: "refused", Reason: w, Times: 1}}},
		)
	}
	r.did(
		mgx.RunPlanUpdated, mgx.PlanUpdatedData{Plan: mgx.Plan{Goal: all, Steps: []mgx.PlanStep{{Text: all, Status: hostile[0]}}, Files: hostile, Risks: hostile, Verify: hostile}, Hash: planHash},
		mgx.RunChecksCompleted, mgx.ChecksData{Round: hostile[1], Checks: []mgx.CheckResult{{Name: all, Command: all, Status: "failed", Output: all}}},
		mgx.RunReviewCompleted, mgx.ReviewData{Verdict: hostile[0], Summary: all, Findings: []mgx.Finding{{Title: all, Body: all, Priority: hostile[3], File: all, Line: 1}}},
		mgx.RunCheckpointed, mgx.CheckpointData{Tree: "t"},
		mgx.ApprovalRequested, mgx.ApprovalRequestedData{ApprovalID: "decision/" + hostile[3], Effect: all, Hash: hostile[3], Call: &mgx.ProposedCall{
			Tool: all, Effect: all, AgentRole: all, Arguments: `{"x":` + quoted(all) + `}`, Paths: hostile, Hosts: hostile, Rule: all, Why: all, Rest: all, Label: label,
		}},
		mgx.ApprovalRequested, mgx.ApprovalRequestedData{ApprovalID: "decision/plan", Effect: all, Hash: planHash},
		mgx.WorkflowWaiting, mgx.WaitingData{For: all},
		mgx.RunDelivered, mgx.DeliveredData{Branch: all, Commit: all, Stat: hostile},
	)
	s.project(hostile[2])
	b := s.tab()
	for _, path := range s.hostilePaths(r, all) {
		b.open(path)
		eval[any](b, `for (const d of document.querySelectorAll("details")) d.open = true`)
		b.until(`document.readyState === "complete"`)
		if got := eval[string](b, `String(window.pwned) + [...document.querySelectorAll("main script, main iframe, main style, main link, main base, main meta, main img, main math, main form[action*=':1'], main [onerror], main [onload], main [onfocus], main [onclick], main a[href^='javascript'], main a[href*=':1/']")].map((e) => e.outerHTML)`); got != "undefined" {
			t.Errorf("%s took words for its own: %s", path, got)
		}
	}
	// The same words as they come live, and in the palette.
	b.open(r.path()).live()
	r.did(mgx.AgentMessage, mgx.AgentMessageData{Role: "assistant", AgentRole: "live", Text: all + " the end"})
	b.says("the end")
	b.do(chromedp.KeyEvent("k", chromedp.KeyModifiers(2)))
	b.until(`document.querySelector("#palette").open`)
	b.keys("script")
	if got := eval[string](b, `String(window.pwned)`); got != "undefined" {
		t.Error("the live page took words for its own")
	}
	// Not even the page itself can make markup of a string.
	b.mu.Lock()
	b.deaf = true
	b.mu.Unlock()
	if got := eval[string](b, `(() => { try { document.body.innerHTML = "<b>x</b>"; return "made" } catch (e) { return e.name } })()`); got != "TypeError" {
		t.Errorf("a string became markup: %s", got)
	}
}

// hostilePaths are all pages: those of runs and executions of a run whose words are
// hostile, the others with what is on them, and each with a query of such words.
func (s *stage) hostilePaths(r *played, all string) []string {
	s.t.Helper()
	q := url.Values{}
	for _, name := range []string{"q", "text", "actor", "action", "status", "type", "run", "project", "model", "page", "by", "template", "role", "next"} {
		q.Set(name, hostile[0]+hostile[3])
	}
	run := strings.NewReplacer("{run}", string(r.Run), "{execution}", string(r.Execution))
	paths := map[string]bool{
		"/tasks/new?model=" + url.QueryEscape(hostile[3]) + "&words=" + url.QueryEscape(all): true, r.path() + "?item=6": true, r.path() + "?at=9": true,
		"/%3Cscript%3Ewindow.pwned=1%3C/script%3E": true, "/runs/%3Cscript%3E": true,
	}
	for _, pattern := range s.patterns() {
		if path := run.Replace(strings.TrimPrefix(pattern, "GET ")); !strings.Contains(path, "{") {
			paths[path+"?"+q.Encode()] = true
		}
	}
	for name, path := range s.everyPage() {
		if !strings.HasPrefix(name, "run") {
			paths[path] = true
		}
	}
	return slices.Sorted(maps.Keys(paths))
}

func quoted(s string) string { return fmt.Sprintf("%q", strings.ToValidUTF8(s, "")) }
