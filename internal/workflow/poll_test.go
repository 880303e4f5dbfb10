package workflow_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mgx/internal/workflow"
)

// poller does n steps and asks before each what was said.
func poller(b *bench, n int, during func(step int)) {
	workflow.Register(b.engine, "main", func(c *workflow.Context, _ int) (string, error) {
		var heard []string
		for i := range n {
			step := fmt.Sprint("step-", i)
			for k := 0; ; k++ {
				word, ok, err := workflow.Poll[string](c, fmt.Sprintf("%s/heard-%d", step, k), "word", step)
				if err != nil {
					return "", err
				}
				if !ok {
					break
				}
				heard = append(heard, fmt.Sprint(i, word))
			}
			_, err := workflow.Step(c, step, heard, func(*workflow.StepContext) (int, error) {
				during(i)
				return i, nil
			})
			if err != nil {
				return "", err
			}
		}
		return strings.Join(heard, " "), nil
	})
}

// TestPoll has words come before a run, between its steps and too late, and holds
// that a replay and another process hear each at the same place.
func TestPoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		say := func(word string) {
			if err := b.engine.Signal(t.Context(), b.root, "word", word); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Millisecond) // so that they have an order
		}
		poller(b, 4, func(step int) {
			switch step {
			case 1:
				say("b")
				say("c")
			case 3:
				say("late")
			}
		})
		b.start(0)
		say("a")
		wantDone(t, b.drive(), `"0a 2b 2c"`)
		if got, want := b.names(), "step-0/heard-0 step-0 step-1 step-2/heard-0 step-2/heard-1 step-2 step-3"; got != want {
			t.Errorf("journal is %s, want %s", got, want)
		}
		wantIdentical(t, b.engine, b.root)
		b.store.Close()
	})
}
