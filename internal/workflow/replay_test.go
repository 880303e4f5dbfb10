package workflow_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"mgx"
	"mgx/internal/workflow"
)

// plan is a workflow as data, so that a test can change it between runs.
type plan []string

// follow runs a step for each word: "a" with input 1, "a=2" with input 2,
// "?x" awaits signal x; the result is the number of words, or after "!n" n.
func follow(p plan, calls *atomic.Int64) func(*workflow.Context, int) (int, error) {
	return func(c *workflow.Context, _ int) (int, error) {
		n := len(p)
		for _, word := range p {
			name, input, _ := strings.Cut(word, "=")
			switch {
			case strings.HasPrefix(word, "?"):
				if _, err := workflow.Await[int](c, word[1:], 0); err != nil {
					return 0, err
				}
			case strings.HasPrefix(word, "!"):
				fmt.Sscan(word[1:], &n)
			default:
				if _, err := workflow.Step(c, name, input, say(calls, 1)); err != nil {
					return 0, err
				}
			}
		}
		return n, nil
	}
}

func TestReplayFindsTheFirstDifference(t *testing.T) {
	t.Parallel()
	recorded := plan{"a", "b", "c", "!0"}
	for name, tc := range map[string]struct {
		now         plan
		step, asked string
	}{
		"nothing":       {now: recorded},
		"changed input": {plan{"a", "b=2", "c", "!0"}, "b", "step with input"},
		"reordered":     {plan{"b", "a", "c", "!0"}, "", ""}, // names find their records: no difference in what is decided
		"renamed":       {plan{"a", "x", "c", "!0"}, "b", "step x"},
		"missing":       {plan{"a", "c", "!0"}, "b", "nothing: the function ended"},
		"missing last":  {plan{"a", "b", "!0"}, "c", "nothing: the function ended"},
		"added":         {plan{"a", "b", "c", "d", "!0"}, "d", "this step"},
		"added early":   {plan{"z", "a", "b", "c", "!0"}, "a", "step z"},
		"another kind":  {plan{"a", "b", "c", "?d", "!0"}, "await/d", "this step"},
		"result":        {plan{"a", "b", "c", "!5"}, "", "result 5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			var calls atomic.Int64
			workflow.Register(b.engine, "main", follow(recorded, &calls))
			b.start(0)
			wantDone(t, b.drive(), `0`)
			changed := b.newEngine("changed", b.store)
			workflow.Register(changed, "main", follow(tc.now, &calls))
			before := len(b.events())
			report, err := changed.Replay(t.Context(), b.root)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case tc.asked == "" && !report.Identical:
				t.Errorf("difference %+v, want none", report.Difference)
			case tc.asked == "":
			case report.Identical || report.Difference.Step != tc.step || !strings.Contains(report.Difference.Asked, tc.asked):
				t.Errorf("report %+v, difference %+v; want step %q, asked %q", report, report.Difference, tc.step, tc.asked)
			}
			if calls.Load() != 3 || len(b.events()) != before {
				t.Errorf("replay ran %d steps and wrote %d events", calls.Load()-3, len(b.events())-before)
			}
		})
	}
}

// The same differences end a live execution before anything new is done.
func TestChangedCodeEndsALiveExecution(t *testing.T) {
	t.Parallel()
	for name, now := range map[string]plan{
		"changed input": {"a", "b=2", "?go", "c"},
		"renamed":       {"a", "x", "?go", "c"},
		"added early":   {"z", "a", "b", "?go", "c"},
		"missing":       {"a", "?go", "c"},
		"shorter":       {"a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			var calls atomic.Int64
			workflow.Register(b.engine, "main", follow(plan{"a", "b", "?go", "c"}, &calls))
			b.start(0)
			b.drive()
			b.engine.Signal(t.Context(), b.root, "go", 1)
			changed := b.newEngine("changed", b.store)
			workflow.Register(changed, "main", follow(now, &calls))
			x := b.driveBy(changed)
			wantFailed(t, x, mgx.ExecFailed, "nondeterministic")
			if calls.Load() != 2 {
				t.Errorf("%d steps ran, want the 2 from before", calls.Load())
			}
			if name == "changed input" {
				r := b.journal()[1]
				if !strings.Contains(x.Failure.Message, "step b") || strings.Count(x.Failure.Message, "input ") != 2 || !strings.Contains(x.Failure.Message, r.Input) {
					t.Errorf("the failure should name the step and both digests: %s", x.Failure.Message)
				}
			}
			if report, err := changed.Replay(t.Context(), b.root); err != nil || report.Identical {
				t.Errorf("replay with the changed code: %+v, %v", report, err)
			}
			wantIdentical(t, b.engine, b.root)
		})
	}
}

// A struct field that moved, or a map in another order, is the same input.
func TestInputDigestIsCanonical(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var calls atomic.Int64
	type ab struct{ A, B int }
	type ba struct{ B, A int }
	run := func(input any) func(*workflow.Context, int) (int, error) {
		return func(c *workflow.Context, _ int) (int, error) { return workflow.Step(c, "s", input, say(&calls, 1)) }
	}
	workflow.Register(b.engine, "main", run([]any{ab{1, 1 << 60}}))
	b.start(0)
	wantDone(t, b.drive(), `1`)
	for _, input := range []any{ba{1 << 60, 1}, map[string]int{"B": 1 << 60, "A": 1}} {
		e := b.newEngine("x", b.store)
		workflow.Register(e, "main", run([]any{input}))
		wantIdentical(t, e, b.root)
	}
	e := b.newEngine("x", b.store)
	workflow.Register(e, "main", run([]any{ab{1, 1<<60 + 1}}))
	if report, _ := e.Replay(t.Context(), b.root); report.Identical {
		t.Error("a number that differs in its last digit is another input")
	}
}

func TestReplayOfALargeJournal(t *testing.T) {
	b := newBench(t)
	fn, _ := large(500, 20<<10)
	workflow.Register(b.engine, "main", fn)
	b.start(0)
	wantDone(t, b.drive(), `500`)
	report, err := b.engine.Replay(t.Context(), b.root)
	if err != nil || !report.Identical || report.Steps != 500 {
		t.Errorf("replay: %+v, error %v", report, err)
	}
}

// large is a workflow of n steps that each return size bytes of text.
func large(n, size int) (func(*workflow.Context, int) (int, error), string) {
	text := strings.Repeat("All work and no play makes a dull boy.\n", size/39+1)[:size]
	return func(c *workflow.Context, _ int) (int, error) {
		for i := range n {
			if _, err := workflow.Step(c, fmt.Sprintf("step-%d", i), i, func(*workflow.StepContext) (struct{ Text string }, error) {
				return struct{ Text string }{text}, nil
			}, workflow.Quiet()); err != nil {
				return 0, err
			}
		}
		return n, nil
	}, text
}
