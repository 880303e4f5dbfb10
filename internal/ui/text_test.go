package ui

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"mgx"

	"pgregory.net/rapid"
)

func TestClean(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"plain", "go test ./...", "go test ./..."},
		{"colour", "\x1b[1;31mred\x1b[0m text", "red text"},
		{"title and bell", "a\x1b]0;owned\x07b\ac", "abc"},
		{"hyperlink", "\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\", "click"},
		{"string sequence without end", "a\x1b]52;c;aGk=\nb", "a52;c;aGk= b"},
		{"one character CSI", "a\u009b2Jb", "ab"},
		{"one character OSC", "a\u009d0;x\u009cb", "ab"},
		{"cursor, erase, reset", "\x1b[2J\x1b[Hx\x1bcy\x1b(Bz", "xyz"},
		{"unfinished", "x\x1b", "x"},
		{"white space", "a\tb\r\nc\u2028d\u00a0e", "a b c d e"},
		{"backspace, delete, null", "a\bb\x7fc\x00d", "bcd"},
		{"direction override", "a\u202eb\u2066c", "abc"},
		{"zero width", "a\u200bb\ufeffc", "abc"},
		{"not UTF-8", "a\xff\xfeb", "a\ufffd\ufffdb"},
		{"raw C1 byte", "a\x9b31mb", "a\ufffd31mb"},
		{"many marks", "e" + strings.Repeat("\u0301", 50), "e\u0301\u0301"},
		{"marks on many letters", "e\u0301e\u0301e\u0301e\u0301", "e\u0301e\u0301e\u0301e\u0301"},
		{"other scripts", "日本語 naïve ✓", "日本語 naïve ✓"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := clean(tt.in); got != tt.want {
				t.Errorf("clean(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

// faultOf says what is wrong with text that should be safe on one line.
func faultOf(s string) string {
	for _, r := range s {
		if r != ' ' && !unicode.IsPrint(r) && !unicode.IsMark(r) {
			return fmt.Sprintf("holds %U", r)
		}
	}
	if !utf8.ValidString(s) {
		return "is not UTF-8"
	}
	return ""
}

func FuzzText(f *testing.F) {
	f.Add("\x1b[31mred\x1b]0;t\x07 日本 e\u0301\u0301\u0301\n\ttwo", 7)
	f.Add("\u009b\u009d\x90\x9b?25l", 1)
	f.Fuzz(func(t *testing.T, s string, width int) {
		width = min(max(width, 0), 300)
		c := clean(s)
		if fault := faultOf(c); fault != "" {
			t.Fatalf("clean(%q) %s", s, fault)
		}
		if again := clean(c); again != c {
			t.Fatalf("clean is not stable: %q, then %q", c, again)
		}
		for name, got := range map[string]string{"cut": cut(c, width), "cutFront": cutFront(c, width), "line": style{width: width}.line(span{text: s}, span{text: s, flex: true}, span{text: s})} {
			if columns(got) > width {
				t.Fatalf("%s(%q, %d) = %q is %d wide", name, c, width, got, columns(got))
			}
		}
		for _, l := range wrap(s, width, 50) {
			if columns(l) > max(width, 2) || faultOf(l) != "" {
				t.Fatalf("wrap(%q, %d) made %q", s, width, l)
			}
		}
	})
}

func TestWrapLosesNoWord(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.StringMatching(`[a-zé日]{1,20}`), 1, 40).Draw(t, "words")
		width := rapid.IntRange(2, 60).Draw(t, "width")
		lines := wrap(strings.Join(words, " "), width, 1000)
		if got, want := strings.ReplaceAll(strings.Join(lines, ""), " ", ""), strings.Join(words, ""); got != want {
			t.Fatalf("wrapped to %q, lost something of %q", lines, words)
		}
	})
}

func TestWrapIsBounded(t *testing.T) {
	t.Parallel()
	got := wrap(strings.Repeat("word\n", 100), 20, 5)
	if len(got) != 5 || got[4] != "…" {
		t.Errorf("got %q", got)
	}
}

func TestFlexibleSpanGivesWay(t *testing.T) {
	t.Parallel()
	got := style{width: 20}.line(span{text: "> "}, span{text: strings.Repeat("x", 50), flex: true}, span{text: "  end"})
	if want := "> xxxxxxxxxxxx…  end"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Whatever a text field holds, every way to show a run is safe and fits.
func FuzzHostileRun(f *testing.F) {
	f.Add("\x1b[2J\x1b]0;owned\x07\u202e evil\r\nline", 80)
	f.Add("漢字かな交じり文\u009b31m"+strings.Repeat("\u0300", 9), 11)
	f.Fuzz(func(t *testing.T, s string, width int) {
		width = min(max(width, 1), 200)
		events := hostile(s)
		o := Options{Width: width, Verbose: true}
		out := bytes.NewBufferString(plainProgress(o, events...))
		run := folded(events)
		Summary(out, run, SummaryOptions{Width: width})
		show(out, run, []mgx.StepRecord{{Name: s, Failure: &mgx.Error{Message: s}}}, style{width: width})
		runsTable(out, []mgx.Run{run}, run.CreatedAt, style{width: width})
		for line := range strings.Lines(out.String()) {
			line = strings.TrimSuffix(line, "\n")
			if fault := faultOf(line); fault != "" {
				t.Fatalf("line %q %s", line, fault)
			}
			if columns(line) > width {
				t.Fatalf("line %q is wider than %d", line, width)
			}
		}
		for _, e := range events {
			if fault := faultOf(EventLine(e)); fault != "" {
				t.Fatalf("event line %q %s", EventLine(e), fault)
			}
		}
	})
}

// hostile is a run with s in every field that others fill.
func hostile(s string) []mgx.Event {
	plan := mgx.Plan{Goal: s, Steps: []mgx.PlanStep{{Text: s, Status: s}}, Files: []string{s}, Risks: []string{s}, Verify: []string{s}}
	return numbered(
		event(mgx.RunCreated, mgx.RunCreatedData{
			Task: mgx.TaskInfo{Title: s, Description: "d" + s}, Repo: mgx.RepoInfo{Path: s, Head: s, Branch: s},
			Settings: mgx.RunSettings{Model: s, Approve: s, Sandbox: s, Checks: []string{s}},
		}),
		event(mgx.RunPhaseChanged, mgx.PhaseData{Phase: s, Note: s}),
		event(mgx.AgentMessage, mgx.AgentMessageData{Role: "assistant", AgentRole: s, Text: s, ToolCalls: []string{s}}),
		event(mgx.AgentMessage, mgx.AgentMessageData{Role: s, Text: s}),
		event(mgx.RunPlanUpdated, mgx.PlanUpdatedData{Plan: plan, Hash: "1"}),
		event(mgx.RunPlanUpdated, mgx.PlanUpdatedData{Plan: plan, Hash: "1"}),
		event(mgx.ApprovalRequested, mgx.ApprovalRequestedData{ApprovalID: s, Effect: s, Hash: s}),
		event(mgx.ApprovalDecided, mgx.ApprovalDecidedData{ApprovalID: s, By: s, Reason: s, Hash: s}),
		event(mgx.ToolCalled, mgx.ToolCallData{CallID: "1", Name: s, Summary: s, SandboxLevel: s}),
		event(mgx.ToolReturned, mgx.ToolResultData{CallID: "1", Name: s, Status: "error", Output: s, ExitCode: new(1)}),
		event(mgx.ToolCalled, mgx.ToolCallData{CallID: "2", Name: s, Summary: s}),
		event(mgx.LLMCallCompleted, mgx.LLMCallData{Provider: s, Model: s}),
		event(mgx.LLMProviderError, mgx.ProviderErrorData{Provider: s, Model: s, ErrorType: s, Message: s}),
		event(mgx.RunChecksCompleted, mgx.ChecksData{Round: s, Checks: []mgx.CheckResult{{Name: s, Command: "c" + s, Status: s, Output: s}}}),
		event(mgx.RunReviewCompleted, mgx.ReviewData{Round: 1, Verdict: s, Summary: s, Findings: []mgx.Finding{{Title: s, Body: s, Priority: s, File: s, Line: 3}}}),
		event(mgx.RunNoted, mgx.NotedData{Level: "warning", Text: s}),
		event(mgx.RunNoted, mgx.NotedData{Level: s, Text: s}),
		event(mgx.WorkflowWaiting, mgx.WaitingData{For: s}),
		event(mgx.WorkflowResumed, mgx.ResumedData{Reason: s}),
		event(mgx.RunDelivered, mgx.DeliveredData{Branch: s, Commit: s, Base: s, Stat: []string{s}}),
		event(mgx.RunAnswered, mgx.AnsweredData{Answer: s}),
		event(mgx.TaskFailed, mgx.TaskErrorData{Code: s, Message: s, LastStep: s, SuggestedActions: []string{s}}),
	)
}
