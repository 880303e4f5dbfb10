package ui

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"mgx"
)

func summaryOf(t *testing.T, run mgx.Run, o SummaryOptions) string {
	t.Helper()
	var out bytes.Buffer
	o.Width = cmp.Or(o.Width, 80)
	if err := Summary(&out, run, o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// contains checks that out has every want, and no line of it is too wide.
func contains(t *testing.T, out string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q", want)
		}
	}
	for line := range strings.Lines(out) {
		if columns(strings.TrimSuffix(line, "\n")) > 80 {
			t.Errorf("wider than 80: %q", line)
		}
	}
	if t.Failed() {
		t.Log("\n" + out)
	}
}

func TestSummaryOfADeliveredRun(t *testing.T) {
	t.Parallel()
	out := summaryOf(t, folded(wholeRun()), SummaryOptions{
		Elapsed: 192 * time.Second, Own: 400 * time.Millisecond, Next: []string{"mgx show run_1", "mgx diff run_1"},
	})
	contains(t, out,
		"╭─ ✓ Done: delivered on mgx/add-healthz/run-1 ──",
		"│ branch   mgx/add-healthz/run-1\n",
		"│ commit   fedcba9876 (2 commits on 0123456789)\n",
		"│ changes  4 files, +50 -4\n│          server.go | +10 -2\n",
		"│ checks   ✓ 1 passed: go test ./...\n",
		"│ review   ✓ approved in round 2: all good\n",
		"│ work     1 model call, 4 tool calls (1 refused)\n",
		"│ tokens   12.0k prompt, 345 completion, 4.0k of the prompt cached\n",
		"│ cost     $0.25\n",
		"│ time     3 min 12 s (0.4 s of it MGX itself)\n",
		"\nNext:  mgx show run_1\n       mgx diff run_1\n")
}

func TestSummaryWordsTheCost(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		model string
		run   mgx.Run
		open  mgx.Money
		want  string
	}{
		{"scripted", "scripted/demo", mgx.Run{}, 0, "cost     $0.0000 (scripted model)\n"},
		{"scripted, no price", "scripted/demo", mgx.Run{CostUnknown: true}, 0, "cost     $0.0000 (scripted model)\n"},
		{"unknown", "my/model", mgx.Run{CostUnknown: true}, 0, "cost     unknown: my/model has no known price\n"},
		{"partly known", "my/model", mgx.Run{CostUnknown: true, Cost: mgx.USD}, 0, "cost     at least $1.00: my/model has no known price\n"},
		{"small", "my/model", mgx.Run{Cost: mgx.USD / 1000}, 0, "cost     $0.0010\n"},
		{"unsettled", "my/model", mgx.Run{Cost: mgx.USD}, mgx.USD / 2, "cost     $1.00, and up to $0.50 for calls that were cut off\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.run.Settings.Model, tt.run.Status = tt.model, mgx.RunDone
			contains(t, summaryOf(t, tt.run, SummaryOptions{Unsettled: tt.open}), tt.want)
		})
	}
}

func TestOutcomeInWords(t *testing.T) {
	t.Parallel()
	tests := []struct {
		run  mgx.Run
		want string
	}{
		{mgx.Run{Status: mgx.RunDone, Answer: "42"}, "✓ Done: answered"},
		{mgx.Run{Status: mgx.RunDone}, "✓ Done: nothing had to be changed"},
		{mgx.Run{Status: mgx.RunFailed, Failure: &mgx.TaskErrorData{Kind: mgx.KindGoal, Message: "checks still fail", SuggestedActions: []string{"raise --max-turns"}}}, "✕ Failed: checks still fail"},
		{mgx.Run{Status: mgx.RunFailed}, "✕ Failed: "},
		{mgx.Run{Status: mgx.RunRefused, Failure: &mgx.TaskErrorData{Kind: mgx.KindRefused, Message: "you said no"}}, "⊠ Refused: you said no"},
		{mgx.Run{Status: mgx.RunCancelled, Reason: "Ctrl-C"}, "⊘ Cancelled: Ctrl-C"},
		{mgx.Run{Status: mgx.RunCancelled, Failure: &mgx.TaskErrorData{Code: mgx.CodeTimedOut, Message: "after 1 h"}}, "⊘ Timed out: after 1 h"},
		{mgx.Run{Status: mgx.RunCancelled, Failure: &mgx.TaskErrorData{Code: mgx.CodeCancelled, Message: "stop"}}, "⊘ Cancelled: stop"},
		{mgx.Run{Status: mgx.RunWaiting, Waiting: "plan-1", Approval: &mgx.Approval{ID: "plan-1", Effect: "change 2 files"}}, "◆ Waiting for your decision: change 2 files"},
		{mgx.Run{Status: mgx.RunWaiting, Waiting: "answer-1"}, "◆ Waiting: for answer-1"},
		{mgx.Run{Status: mgx.RunRunning, Phase: mgx.PhaseCheck}, "◔ Not ended: in phase check"},
		{mgx.Run{Status: mgx.RunQueued}, "○ Queued"},
		{mgx.Run{Status: "new_status"}, "? new_status ─"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			out := summaryOf(t, tt.run, SummaryOptions{})
			contains(t, out, "╭─ "+tt.want)
			if f := tt.run.Failure; f != nil && len(f.SuggestedActions) > 0 {
				contains(t, out, "│ → raise --max-turns\n")
			}
		})
	}
}

func TestSummaryTellsLongReasonsWhole(t *testing.T) {
	t.Parallel()
	run := mgx.Run{Status: mgx.RunFailed, Failure: &mgx.TaskErrorData{Message: strings.Repeat("many words ", 20) + "at last"}}
	out := summaryOf(t, run, SummaryOptions{})
	contains(t, out, "╭─ ✕ Failed ──", "│ many words", "at last\n")
}

func TestSummaryBoundsTheStat(t *testing.T) {
	t.Parallel()
	run := mgx.Run{Status: mgx.RunDone, Delivered: &mgx.DeliveredData{}}
	for i := range 25 {
		run.Delivered.Stat = append(run.Delivered.Stat, fmt.Sprintf("f%d.go | +1 -0", i))
	}
	contains(t, summaryOf(t, run, SummaryOptions{}), "f9.go", "and 15 more")
}

func TestShow(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	start := time.Date(2025, 3, 14, 9, 0, 0, 0, time.UTC)
	steps := []mgx.StepRecord{
		{Order: 1, Name: "prepare", Kind: mgx.StepWork, Attempts: 1, StartedAt: start, RecordedAt: start.Add(time.Second)},
		{Order: 2, Name: "approval", Kind: mgx.StepAwait, Attempts: 1},
		{Order: 3, Name: "turn-1", Kind: mgx.StepWork, Attempts: 3, Failure: &mgx.Error{Message: "no answer"}},
	}
	run := folded(wholeRun())
	run.Checks.Checks[0].Status, run.Checks.Checks[0].Output = "failed", "assertion failed"
	run.Review.Findings = []mgx.Finding{{Title: "POST answers 200", Body: "FEATURE.md asks for 405.", Priority: "P1", File: "server.go", Line: 28}}
	if err := Show(&out, run, steps); err != nil {
		t.Fatal(err)
	}
	contains(t, out.String(),
		"add a /healthz endpoint\n✓ done  run_01J", "Done: delivered on mgx/add-healthz/run-1",
		"\nTask\n  add a /healthz endpoint with a test\n\n  and more\n",
		"path        /home/ada/greeter\n", "from        main 0123456789abcdef\n", "uncommitted changes, which were left out",
		"model       openai/gpt-5\n", "limits      60 model turns, 1 h, $2.00\n",
		"created     2025-03-14 09:00:00 UTC\n", "took        ",
		"\nPlan\n  GET /healthz answers 200\n   1 ✓ done     Fix the limiter\n   2 ◔ doing    Add the handler\n",
		"risks       the limiter wraps every route\n", "verify      go test ./...\n",
		"state       approved by policy: --approve auto\n",
		"✕ go test ./...  3.1 s\n      assertion failed\n",
		"P1 server.go:28  POST answers 200\n     FEATURE.md asks for 405.\n",
		"commit      fedcba9876543210\n", "server.go | +10 -2\n",
		"tool calls  4, 1 refused\n", "cost        $0.25\n",
		"\nSteps (3)\n     1 ✓ prepare  1.0 s\n     2 ✓ approval  await\n     3 ✕ turn-1  3 attempts\n         no answer\n")
	if strings.Contains(out.String(), "\x1b") {
		t.Error("escape codes without a terminal")
	}
}

// What is piped can be searched for paths and commands, however long.
func TestShowPiped(t *testing.T) {
	t.Parallel()
	run := folded(wholeRun())
	path := "/srv/" + strings.Repeat("a folder/", 20) + "repository"
	run.Repo.Path, run.Plan.Verify = path, []string{"go test ." + path}
	run.Failure = &mgx.TaskErrorData{Message: "it takes " + path, SuggestedActions: []string{"mgx run --repo " + path}}
	var out bytes.Buffer
	if err := errors.Join(Show(&out, run, nil), Summary(&out, run, SummaryOptions{})); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.Contains(text, "path        "+path+"\n") || !strings.Contains(text, "verify      go test ."+path+"\n") || !strings.Contains(text, "│ → mgx run --repo "+path+"\n") {
		t.Error(text)
	}
}

func TestShowOfANewRun(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	Show(&out, folded(wholeRun()[:1]), nil)
	for _, no := range []string{"Plan", "Review", "Steps", "Delivered", "Approval\n", "ended"} {
		if strings.Contains(out.String(), no) {
			t.Errorf("shows %q, which there is not:\n%s", no, out.String())
		}
	}
}

func TestRunsTable(t *testing.T) {
	t.Parallel()
	run := folded(wholeRun())
	waiting := folded(wholeRun()[:3])
	waiting.Status, waiting.Settings.Model, waiting.CostUnknown = mgx.RunWaiting, "my/model", true
	waiting.Task.Title = strings.Repeat("a long title ", 20)
	now := run.CreatedAt.Add(3 * time.Minute)

	var out bytes.Buffer
	runsTable(&out, []mgx.Run{run, waiting}, now, style{width: 80})
	contains(t, out.String(),
		"✓ done      run_01JTESTTESTTESTTESTTESTTE   3 min ago   $0.25",
		"\n  add a /healthz endpoint  mgx/add-healthz/run-1\n",
		"◆ waiting   run_", "unknown", "a long title")

	out.Reset()
	runsTable(&out, []mgx.Run{run, waiting}, now, style{width: 160})
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("%d lines on a wide terminal, want 2:\n%s", n, out.String())
	}

	out.Reset()
	RunsTable(&out, []mgx.Run{run, waiting}, now) // to no terminal
	if lines := strings.Split(out.String(), "\n"); len(lines) != 3 || !strings.HasSuffix(lines[1], waiting.Task.Title[:len(waiting.Task.Title)-1]) {
		t.Errorf("where nothing sets the width:\n%s", out.String())
	}

	out.Reset()
	RunsTable(&out, nil, now)
	contains(t, out.String(), "mgx demo")
}

const testDiff = "diff --git a/f b/f\nindex 1..2 100644\n--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@ func\n one\n-two\x1b[2J\n+three\tx\r\n\\ No newline at end of file\n"

func TestDiffIsExactWithoutTerminal(t *testing.T) {
	t.Parallel()
	for _, c := range []Choice{Auto, Off} {
		var out bytes.Buffer
		if err := Diff(&out, testDiff, c); err != nil || out.String() != testDiff {
			t.Errorf("choice %d changed the diff: %q, %v", c, out.String(), err)
		}
	}
}

func TestDiffInColour(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	Diff(&out, testDiff, On)
	contains(t, out.String(), "\x1b[1mdiff --git a/f b/f\x1b[0m\n", "\x1b[1m--- a/f\x1b[0m\n", "\x1b[36m@@ -1,2 +1,2 @@ func\x1b[0m\n",
		" one\n", "\x1b[31m-two<U+001B>[2J\x1b[0m\n", "\x1b[32m+three\tx\x1b[0m\n", "\\ No newline")
}

func TestEventLine(t *testing.T) {
	t.Parallel()
	for _, e := range wholeRun() {
		line := EventLine(e)
		if strings.Contains(line, "\n") || !strings.Contains(line, string(e.Type)) || !strings.Contains(line, "2025-03-14 09:00:") {
			t.Errorf("event line %q", line)
		}
	}
	for want, e := range map[string]mgx.Event{
		"shell go test":                event(mgx.ToolCalled, mgx.ToolCallData{Name: "shell", Summary: "go test"}),
		"shell error in 1.0 s, exit 1": event(mgx.ToolReturned, mgx.ToolResultData{Name: "shell", Status: "error", DurationMS: 1000, ExitCode: new(1)}),
		"baseline: 0 of 1 passed":      event(mgx.RunChecksCompleted, mgx.ChecksData{Round: "baseline", Checks: make([]mgx.CheckResult, 1)}),
		"turn-1 failed in 40 ms: why":  event(mgx.WorkflowStepCompleted, mgx.StepCompletedData{Step: "turn-1", Status: "failed", DurationMS: 40, Error: "why"}),
		"(does not decode)":            {Type: mgx.RunNoted, Data: []byte(`[]`)},
		"some.future.event":            {Type: "some.future.event", Data: []byte(`{}`)},
	} {
		if line := EventLine(e); !strings.HasSuffix(line, want) {
			t.Errorf("event line %q, want it to end in %q", line, want)
		}
	}
}

func TestEveryEventTypeIsDescribed(t *testing.T) {
	t.Parallel()
	for typ := range tellers {
		if describers[typ] == nil {
			t.Errorf("%s has no description", typ)
		}
	}
}

func TestErrorShowsTheMessageAlone(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  *mgx.Error
		want string
	}{
		{"cause", &mgx.Error{Message: "the key was not accepted", Err: errors.New("key sk-secret")}, "mgx: the key was not accepted\n"},
		{"lines", &mgx.Error{Message: "no model found; looked for:\n\tOPENAI_API_KEY\n"}, "mgx: no model found; looked for:\n    OPENAI_API_KEY\n"},
		{"control", &mgx.Error{Message: "bad name \x1b[2Jx"}, "mgx: bad name x\n"},
		{"empty", &mgx.Error{Code: "odd"}, "mgx: failed without saying why (odd)\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			Error(&out, tt.err)
			if out.String() != tt.want {
				t.Errorf("got %q, want %q", out.String(), tt.want)
			}
		})
	}
}

func TestSection(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	Section(&out, "native: level basic", []Row{
		{Name: "user namespaces", Text: "as it should be", Mark: MarkOK},
		{Name: "overlay", Text: strings.Repeat("needs a newer kernel ", 6) + "\x1b[2J", Mark: MarkFail},
		{Name: "engine", Text: "install one", Mark: MarkNo},
	})
	want := "native: level basic\n  ok   user namespaces        as it should be\n  FAIL overlay                " +
		strings.TrimRight(strings.Repeat("needs a newer kernel ", 6), " ") + "\n  no   engine                 install one\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestTextKeepsItsLines(t *testing.T) {
	t.Parallel()
	if got := Text("\none\x1b[31m\n\n\ttwo\r\n"); got != "one\n\n    two" {
		t.Errorf("got %q", got)
	}
}

// The types of events stand below each other, whatever the ids of their streams.
func TestEventLinesAlign(t *testing.T) {
	t.Parallel()
	at := -1
	for _, stream := range []mgx.StreamID{"run_01J0000000000000000000000R", "task_01J0000000000000000000000T", "audit_ws_default"} {
		line := EventLine(mgx.Event{Position: 7, Stream: stream, Sequence: 12, Type: mgx.TaskStarted})
		if here := strings.Index(line, string(mgx.TaskStarted)); at >= 0 && here != at || here < 0 {
			t.Errorf("%q: the type is at %d, before at %d", line, here, at)
		} else {
			at = here
		}
	}
}
