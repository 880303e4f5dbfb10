package ui

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mgx"

	"pgregory.net/rapid"
)

// plainProgress is what is printed without a terminal.
func plainProgress(o Options, events ...mgx.Event) string {
	var out bytes.Buffer
	p := New(&out, o)
	for _, e := range events {
		p.Event(e)
	}
	p.Close()
	return out.String()
}

// A repository is called what the person calls it, where events say where a server has it.
func TestProgressOfARepositoryElsewhere(t *testing.T) {
	t.Parallel()
	contains(t, plainProgress(Options{Repo: "/home/jo/shop"}, wholeRun()...), "model openai/gpt-5 · /home/jo/shop at 0123456789 ·")
}

func TestProgressTellsTheRun(t *testing.T) {
	t.Parallel()
	out := plainProgress(Options{}, wholeRun()...)
	for _, want := range []string{
		"add a /healthz endpoint\n",
		"model openai/gpt-5 · /home/ada/greeter at 0123456789 · budget $2.00",
		"\n\n▸ Plan  size M\n",
		"✕ Checks before any change: failed\n    ✓ vet: go vet ./...  0.9 s\n    ✕ test: go test ./...  exit 1 · 3.1 s\n      three\n      four\n      FAIL\n",
		"planner  Two causes, four files.\n",
		"Plan: GET /healthz answers 200\n    1 ○ Fix the limiter\n    2 ○ Add the handler\n      risk: the limiter wraps every route\n",
		"◆ Decision needed: change 2 files as planned\n  ✓ Approved by policy: --approve auto\n",
		"tools run in a sandbox: basic\n",
		"✓ grep   Limiter  12 ms\n  ✓ read   server.go  2 ms\n",
		"Plan: 1 of 2 steps done, now: Add the handler\n",
		"✕ shell  go test ./...  exit 2 · 1 min 1 s\n      l3\n      l4\n      l5\n",
		"⊠ write  ../evil  refused · 0 ms\n      policy forbids it\n",
		"! openai/gpt-5: rate limit: slow down; trying again (1)\n",
		"◆ Review, round 1: asks for changes: one thing missed\n    P1 server.go:28  POST answers 200\n",
		"✓ Review, round 2: approved: all good\n",
		"✓ Checks, round 2: passed\n    ✓ go test ./...  3.1 s\n",
		"! the checkout had uncommitted changes, which are left out\n",
		"· kept the cache\n",
		"✓ Delivered mgx/add-healthz/run-1  fedcba9876 · 2 commits · 4 files, +50 -4\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("not printed: %q", want)
		}
	}
	for _, no := range []string{"the prompt", "two\n", "l2", "\x1b", "echo done"} {
		if strings.Contains(out, no) {
			t.Errorf("printed: %q", no)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

// What the policy does not let run, or could not run, is no failure of the change, and no
// success.
func TestChecksThatDidNotRunAreSaidToHaveNot(t *testing.T) {
	t.Parallel()
	made := mgx.CheckResult{Name: "vet", Command: "vet", Status: "passed"}
	not := mgx.CheckResult{Name: "make", Command: "make", Status: "refused", ExitCode: -1, Output: "It was not run."}
	gone := mgx.CheckResult{Name: "tox", Command: "tox", Status: "unavailable", ExitCode: 127}
	wrong := mgx.CheckResult{Name: "test", Command: "test", Status: "failed", ExitCode: 1}
	for want, checks := range map[string][]mgx.CheckResult{
		"✓ Checks, round 1: passed\n": {made}, "⊠ Checks, round 1: refused\n": {made, not, gone}, "✕ Checks, round 1: failed\n": {made, not, gone, wrong},
		"○ Checks, round 1: unavailable\n": {made, gone}, "○ tox  unavailable · exit 127 · ": {gone}, "○ Checks, round 1: none\n": {},
	} {
		for _, passed := range []bool{true, false} { // as it was said of what could not run, before 1.1.1 of the contract
			out := plainProgress(Options{}, event(mgx.RunChecksCompleted, mgx.ChecksData{Round: "1", Passed: passed, Checks: checks}))
			if !strings.Contains(out, want) {
				t.Errorf("not %q: %s", want, out)
			}
		}
	}
}

func TestVerboseTellsMore(t *testing.T) {
	t.Parallel()
	out := plainProgress(Options{Verbose: true}, append(wholeRun(),
		event(mgx.WorkflowStepStarted, mgx.StepStartedData{Step: "implement/turn-1"}))...)
	for _, want := range []string{"the prompt", "More of it.", "openai/gpt-5: 12.0k in, 345 out, $0.25, 2.3 s", "implement/turn-1"} {
		if !strings.Contains(out, want) {
			t.Errorf("not printed: %q\n%s", want, out)
		}
	}
}

func TestColorOnlyWhenAskedWithoutTerminal(t *testing.T) {
	t.Parallel()
	if out := plainProgress(Options{Color: On}, wholeRun()...); !strings.Contains(out, "\x1b[32m✓\x1b[0m") {
		t.Errorf("no green tick in %q", out)
	}
	for _, c := range []Choice{Auto, Off} {
		if out := plainProgress(Options{Color: c}, wholeRun()...); strings.Contains(out, "\x1b") {
			t.Errorf("escape codes with colour choice %d", c)
		}
	}
}

func TestSandboxOffIsAWarning(t *testing.T) {
	t.Parallel()
	out := plainProgress(Options{}, event(mgx.ToolCalled, mgx.ToolCallData{CallID: "a", Name: "shell", SandboxLevel: "off"}))
	if !strings.Contains(out, "! tools run without a sandbox") {
		t.Errorf("got %q", out)
	}
}

func TestProgramThatFailedIsShownSo(t *testing.T) {
	t.Parallel()
	out := plainProgress(Options{}, event(mgx.ToolReturned, mgx.ToolResultData{Name: "shell", Status: "success", ExitCode: new(3), Output: "why"}),
		event(mgx.ToolReturned, mgx.ToolResultData{Name: "shell", Status: "success", ExitCode: new(0), Output: "fine"}),
		event(mgx.ToolReturned, mgx.ToolResultData{Name: "shell", Status: "timeout", DurationMS: 1000}))
	if want := "  ✕ shell    exit 3 · 0 ms\n      why\n  ✓ shell    0 ms\n  ✕ shell    timed out · 1.0 s\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestCloseNamesCallsWithoutResult(t *testing.T) {
	t.Parallel()
	out := plainProgress(Options{}, event(mgx.ToolCalled, mgx.ToolCallData{CallID: "a", Name: "shell", Summary: "sleep 99"}))
	if want := "  ⊘ shell  sleep 99  no result\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestEventsThatDoNotDecodeAreSkipped(t *testing.T) {
	t.Parallel()
	e := event(mgx.RunPhaseChanged, mgx.PhaseData{})
	e.Data = []byte(`{"phase":7}`)
	if out := plainProgress(Options{}, e); out != "" {
		t.Errorf("printed %q", out)
	}
}

func TestWriteKeepsLinesWhole(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := New(&out, Options{})
	io.WriteString(p, "half a ")
	p.Event(event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: "note"}))
	io.WriteString(p, "line\x1b[2J\n\nand ")
	io.WriteString(p, "the rest")
	p.Close()
	if want := "  · note\nhalf a line\n\nand the rest\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	if n, _ := p.Write(bytes.Repeat([]byte("x"), 3*maxText)); n != 3*maxText {
		t.Errorf("Write returned %d", n)
	}
}

// live runs f in a bubble against a terminal of the given width, lets time pass
// before Close, and returns the terminal.
func live(t *testing.T, width int, f func(*Progress, *vt)) *vt {
	term := newVT(width)
	synctest.Test(t, func(t *testing.T) {
		p := New(term, Options{Live: On, Color: On, Width: width})
		f(p, term)
		p.Close()
	})
	if term.fault != "" {
		t.Errorf("terminal got %s", term.fault)
	}
	return term
}

func TestLiveLineShowsWhatRunsAndIsGoneAfterClose(t *testing.T) {
	t.Parallel()
	term := live(t, 80, func(p *Progress, term *vt) {
		look := func(wants ...string) {
			t.Helper()
			time.Sleep(2 * frameTime)
			synctest.Wait()
			rows := strings.Split(term.screen(), "\n")
			for _, want := range wants {
				if last := rows[len(rows)-1]; !strings.Contains(last, want) {
					t.Errorf("live line %q lacks %q", last, want)
				}
			}
		}
		look("Starting", "thinking", "0 tokens", "$0.00")
		p.Event(event(mgx.RunPhaseChanged, mgx.PhaseData{Phase: mgx.PhaseImplement}))
		p.Delta("reading the\nserver")
		look("Implement", "reading the server")
		p.Event(event(mgx.LLMCallCompleted, mgx.LLMCallData{Usage: mgx.Usage{Prompt: 12000, Completion: 345}, CostUSD: mgx.USD, PriceKnown: true}))
		look("thinking", "12.3k tokens", "$1.00")
		p.Event(event(mgx.ToolCalled, mgx.ToolCallData{CallID: "a", Name: "read", Summary: "a.go"}))
		p.Event(event(mgx.ToolCalled, mgx.ToolCallData{CallID: "b", Name: "shell", Summary: "go test"}))
		look("shell go test and 1 more")
		p.Event(event(mgx.ToolReturned, mgx.ToolResultData{CallID: "b", Name: "shell", Status: "success"}))
		look("read a.go")
		time.Sleep(65 * time.Second)
		look("1 min 5 s")
		p.Event(event(mgx.ToolReturned, mgx.ToolResultData{CallID: "a", Name: "read", Status: "success"}))
		look("thinking")
	})
	want := "\n▸ Implement\n  ✓ shell  go test  0 ms\n  ✓ read   a.go  0 ms"
	if got := term.screen(); got != want {
		t.Errorf("screen after Close:\n%q, want\n%q", got, want)
	}
}

func TestLiveLineKeepsTheEndOfLongText(t *testing.T) {
	t.Parallel()
	live(t, 60, func(p *Progress, term *vt) {
		p.Delta(strings.Repeat("word ", 400) + "the very end")
		time.Sleep(2 * frameTime)
		synctest.Wait()
		if got := term.screen(); !strings.Contains(got, "…") || !strings.Contains(got, "very end") || strings.Contains(got, "\n") {
			t.Errorf("live line %q", got)
		}
	})
}

func TestLiveLineIsDrawnTwelveTimesASecondAtMost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := New(&out, Options{Live: On, Width: 80})
		for range 3000 {
			p.Delta("x")
			p.Event(event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: "note"}))
			time.Sleep(time.Millisecond)
		}
		p.Close()
		if n := strings.Count(out.String(), " tokens · "); n < 30 || n > 37 {
			t.Errorf("drawn %d times in 3 s, want about 36", n)
		}
	})
}

func TestHoldTakesTheLiveLineAway(t *testing.T) {
	t.Parallel()
	live(t, 80, func(p *Progress, term *vt) {
		time.Sleep(time.Second)
		release := p.Hold()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := term.screen(); got != "" {
			t.Errorf("screen while held: %q", got)
		}
		release()
		release()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := term.screen(); !strings.Contains(got, "thinking") {
			t.Errorf("screen after release: %q", got)
		}
	})
}

func TestNarrowedTerminalIsCleared(t *testing.T) {
	t.Parallel()
	term := newVT(40)
	s := screen{w: term, live: true, drawn: 79}
	term.Write([]byte(strings.Repeat("x", 79))) // as it wraps at the new width
	s.print([]string{"line"}, 40)
	if got := term.screen(); got != "line" {
		t.Errorf("screen %q", got)
	}
}

// Whatever happens in whatever order: what stays on a terminal is what would
// have been printed without one.
func TestScreenHoldsExactlyThePrintedLines(t *testing.T) {
	t.Parallel()
	all := wholeRun()
	rapid.Check(t, func(rt *rapid.T) {
		width := rapid.IntRange(10, 120).Draw(rt, "width")
		picks := rapid.SliceOfN(rapid.IntRange(0, len(all)-1), 0, 30).Draw(rt, "events")
		pause := rapid.SliceOfN(rapid.IntRange(0, 300), len(picks), len(picks)).Draw(rt, "pauses")
		text := rapid.String().Draw(rt, "text")
		var plain bytes.Buffer
		q := New(&plain, Options{Width: width})
		term := live(t, width, func(p *Progress, _ *vt) {
			for i, pick := range picks {
				e := all[pick]
				if pick%5 == 0 {
					e = event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: text})
				}
				p.Delta(text)
				p.Event(e)
				q.Event(e)
				time.Sleep(time.Duration(pause[i]) * time.Millisecond)
			}
		})
		q.Close()
		want := newVT(width)
		want.Write(plain.Bytes())
		if got := term.screen(); got != want.screen() {
			rt.Fatalf("terminal shows\n%s\nprinted without one\n%s", got, want.screen())
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := New(&out, Options{Live: On, Width: 80})
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 50 {
				id := fmt.Sprint(g, "-", i)
				p.Event(event(mgx.ToolCalled, mgx.ToolCallData{CallID: id, Name: "read", Summary: id}))
				p.Delta("text")
				fmt.Fprintf(p, "log %s\n", id)
				p.Event(event(mgx.ToolReturned, mgx.ToolResultData{CallID: id, Name: "read", Status: "success"}))
			}
		})
	}
	all.Wait()
	p.Close()
	p.Close()
	term := newVT(80)
	term.Write(out.Bytes())
	screen := "\n" + term.screen() + "\n"
	for g := range 8 {
		for i := range 50 {
			for _, want := range []string{fmt.Sprintf("\nlog %d-%d\n", g, i), fmt.Sprintf("\n  ✓ read   %d-%d  0 ms\n", g, i)} {
				if !strings.Contains(screen, want) {
					t.Fatalf("screen lacks %q", want)
				}
			}
		}
	}
}

func TestDeltaDoesNotWaitForTheTerminal(t *testing.T) {
	t.Parallel()
	stuck := blocked{make(chan struct{}), make(chan struct{})}
	p := New(stuck, Options{Width: 80})
	go p.Event(event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: "x"}))
	<-stuck.entered
	said := make(chan struct{})
	go func() { p.Delta("goes on"); close(said) }()
	select {
	case <-said:
	case <-time.After(5 * time.Second):
		t.Error("Delta waits for the terminal")
	}
	close(stuck.until)
	p.Close()
}

// blocked is a terminal that takes nothing until it is told to.
type blocked struct{ entered, until chan struct{} }

func (b blocked) Write(p []byte) (int, error) {
	close(b.entered)
	<-b.until
	return len(p), nil
}

func TestSeedContinuesTheTotals(t *testing.T) {
	t.Parallel()
	run := folded(wholeRun())
	live(t, 80, func(p *Progress, term *vt) {
		p.Seed(run)
		time.Sleep(2 * frameTime)
		synctest.Wait()
		if got := term.screen(); !strings.Contains(got, "12.3k tokens · $0.25") || !strings.Contains(got, "Deliver") {
			t.Errorf("live line %q", got)
		}
	})
}
