package workflow_test

import (
	"context"
	"fmt"
	"testing"

	"mgx"
	"mgx/internal/workflow"
)

// Each step is recorded by a durable commit. "quiet" steps cost one, the others
// two (workflow.step.started first). ns/op is per step.
func BenchmarkSteps(b *testing.B) {
	for _, executions := range []int{1, 64} {
		for _, quiet := range []bool{true, false} {
			b.Run(fmt.Sprintf("executions=%d/quiet=%t", executions, quiet), func(b *testing.B) { benchmarkSteps(b, executions, quiet) })
		}
	}
}

func benchmarkSteps(b *testing.B, executions int, quiet bool) {
	w := newBench(b)
	var opts []workflow.StepOption
	if quiet {
		opts = append(opts, workflow.Quiet())
	}
	workflow.Register(w.engine, "main", func(c *workflow.Context, n int) (int, error) {
		for i := range n {
			if _, err := workflow.Step(c, fmt.Sprint(i), i, func(*workflow.StepContext) (int, error) { return i, nil }, opts...); err != nil {
				return 0, err
			}
		}
		return n, nil
	})
	each := max(1, b.N/executions)
	type started struct {
		run  mgx.RunID
		root mgx.ExecutionID
	}
	var all []started
	for range executions {
		w.run, w.root = mgx.NewRunID(), mgx.NewExecutionID()
		w.start(each)
		all = append(all, started{w.run, w.root})
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	b.ResetTimer()
	go func() { done <- w.engine.Serve(ctx, executions) }()
	for _, s := range all {
		for {
			from := w.store.Changed()
			x, err := w.store.Execution(b.Context(), s.root)
			if err != nil {
				b.Fatal(err)
			}
			if x.Status.Ended() {
				break
			}
			<-from
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(each*executions)/b.Elapsed().Seconds(), "steps/s")
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

// One claim of an execution with 500 recorded steps of 20 KB: reading the
// journal and handing every output to the function again.
func BenchmarkReplayOfALargeJournal(b *testing.B) {
	w := newBench(b)
	fn, _ := large(500, 20<<10)
	workflow.Register(w.engine, "main", fn)
	w.start(0)
	wantDone(b, w.drive(), `500`)
	for b.Loop() {
		wantIdentical(b, w.engine, w.root)
	}
	b.SetBytes(500 * 20 << 10)
}
