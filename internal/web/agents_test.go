package web_test

import (
	"net/http"
	"strings"
	"testing"

	"mgx"
)

// turn has a role call a model for a run, with what came of it.
func (s *stage) turn(run mgx.RunID, role, model string, outcome mgx.Outcome) {
	s.t.Helper()
	id := mgx.NewID[string]("call")
	_, err := s.store.Commit(s.t.Context(), mgx.Change{Reserve: &mgx.Reservation{ID: id, Workspace: mgx.DefaultWorkspace, User: mgx.LocalUser, Run: run, Amount: mgx.USD / 5, Provider: "p", Model: model, Role: role}})
	must(s.t, err)
	if outcome == "" {
		return
	}
	_, err = s.store.Commit(s.t.Context(), mgx.Change{Settle: []mgx.Settlement{{ID: id, Amount: mgx.USD / 10, Outcome: outcome, Usage: mgx.Usage{Prompt: 1200, Completion: 300}}}})
	must(s.t, err)
}

// TestAgents has every role of the team with what it did, by the ledger, and what it
// may; live, and for a role that may not see money without it.
func TestAgents(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	got := s.ask("GET", "/agents", nil)
	has(t, got, "implementer", "changes the code until the checks pass", `href="/agents/planner"`, "11 tools, at most 80 turns", "No tools, at most 4 turns")
	has(t, s.ask("GET", "/agents/triage", nil), "It has called no model in these days.", "No turn yet", "None: it sees the task")

	done := s.play("Well done").did(mgx.TaskCompleted, mgx.TaskCompletedData{DurationMS: 1})
	failed := s.play("Not done").did(mgx.TaskFailed, mgx.TaskErrorData{ErrorType: "llm_error", Kind: mgx.KindProvider, Code: "overloaded", Message: "Overloaded."})
	open := s.play(hostile[0]).did(mgx.AgentMessage, mgx.AgentMessageData{Role: "assistant", AgentRole: "planner", Text: "Looking."})
	for _, r := range []*played{done, failed, open} {
		s.turn(r.Run, "planner", hostile[1], mgx.OutcomeDone)
	}
	s.turn(open.Run, "planner", "the-slow-one", "rate_limited")
	s.turn(open.Run, "planner", "m2", "")
	s.turn("", hostile[2], "m3", mgx.OutcomeDone)
	has(t, s.ask("GET", "/agents", nil), "1 at work", "$0.40", "Tokens</dt><dd class=\"num\" title=\"6,000\">6k", "1 of 2", "Others", "&#34;&gt;&lt;svg onload")
	got = s.ask("GET", "/agents/planner", nil)
	has(t, got, "&lt;script&gt;window.pwned", "3 of the newest 5 calls of models were answered.", "Under way: 1.", "rate_limited", `href="`+done.path()+`"`, "What planner cost day by day: $0.40 in all", `class="tag">execute<`, "They are mounted read-only.", "It has not:", "<code>write</code>", "sha256:")
	hasNot(t, got, "<script>window", "<img", "<svg onload")
	hasNot(t, s.ask("GET", "/agents/implementer", nil), "They are mounted read-only.")
	for path, status := range map[string]int{"/agents/none": 404, "/agents/%3Cscript%3E": 404, "/agents/planner?part=1": 200} {
		if got := s.ask("GET", path, nil); got.StatusCode != status || strings.Contains(got.body, "<script>") {
			t.Errorf("%s: %d %s", path, got.StatusCode, words(got.body))
		}
	}
	must(t, s.role("watcher", "tasks", "agents"))
	must(t, s.role("stranger", "tasks"))
	theirs := s.as("watcher").ask("GET", "/agents/planner", nil)
	has(t, theirs, "What it may")
	hasNot(t, theirs, "$0.40", "Newest turns", "the-slow-one", "At work")
	if got := s.as("stranger").ask("GET", "/agents", nil); got.StatusCode != http.StatusForbidden {
		t.Errorf("who may not read agents gets %d", got.StatusCode)
	}

	b := s.tab().open("/agents").live().says("1 at work")
	s.play("Begun meanwhile").did(mgx.AgentMessage, mgx.AgentMessageData{Role: "assistant", AgentRole: "planner", Text: "Looking."})
	b.says("2 at work")
	b.press(`main a[href="/agents/planner"]`).until(`location.pathname === "/agents/planner"`).says("Begun meanwhile")
}
