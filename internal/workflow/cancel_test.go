package workflow_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/workflow"
)

func hang(s *workflow.StepContext) (int, error) { <-s.Done(); return 0, context.Cause(s) }

func TestCancel(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		fn    func(*workflow.Context, int) (int, error)
		steps string // recorded afterwards
	}{
		{"running", func(c *workflow.Context, _ int) (int, error) { return workflow.Step(c, "hang", nil, hang) }, ""},
		{"retrying", func(c *workflow.Context, _ int) (int, error) {
			return workflow.Step(c, "flaky", nil, func(*workflow.StepContext) (int, error) {
				return 0, mgx.Errorf(mgx.KindProvider, "overloaded", "busy")
			}, workflow.Retry(workflow.RetryPolicy{Max: 1000, Base: time.Hour, Cap: time.Hour}))
		}, ""},
		{"sleeping", func(c *workflow.Context, _ int) (int, error) { return 0, workflow.Sleep(c, "year", 8760*time.Hour) }, "year/start"},
		{"awaiting", func(c *workflow.Context, _ int) (int, error) { return workflow.Await[int](c, "never", 0) }, ""},
		{"with a child", func(c *workflow.Context, _ int) (int, error) {
			return workflow.Child[int, int](c, "kid", "hanging", 1)
		}, "kid/start"},
		{"in branches", func(c *workflow.Context, _ int) (int, error) {
			return 0, workflow.Parallel(c,
				func(c *workflow.Context) error { return second(workflow.Step(c, "hang", nil, hang)) },
				func(c *workflow.Context) error { return second(workflow.Await[int](c, "never", 0)) })
		}, ""},
	}
	for _, tc := range cases {
		for _, from := range []string{"this process", "another process"} {
			t.Run(tc.name+" from "+from, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b := newBench(t)
					defer b.store.Close()
					claims := 0
					workflow.Register(b.engine, "hanging", func(c *workflow.Context, _ int) (int, error) { return workflow.Step(c, "hang", nil, hang) })
					workflow.Register(b.engine, "main", func(c *workflow.Context, n int) (int, error) {
						claims++
						return tc.fn(c, n)
					}, workflow.OnEnd(func(_ context.Context, x mgx.Execution) ([]mgx.Event, error) {
						return []mgx.Event{x.Scope.Event(mgx.TaskCancelled, mgx.TaskCancelledData{Reason: x.Failure.Message, By: "test"})}, nil
					}))
					canceller := b.engine
					if from == "another process" {
						other := openStore(t, b.path)
						defer other.Close()
						canceller = b.newEngine("two", other)
					}
					b.start(0)
					ctx, stopDrive := context.WithTimeout(t.Context(), time.Hour)
					defer stopDrive()
					done := make(chan mgx.Execution, 1)
					go func() { x, _ := b.engine.Drive(ctx, b.run, b.root); done <- x }()
					time.Sleep(30 * time.Second)
					if err := canceller.Cancel(t.Context(), b.root, "changed my mind"); err != nil {
						t.Fatal(err)
					}
					asked := time.Now()
					x := <-done
					if x.Status == mgx.ExecWaiting { // it had parked and returned before
						x = b.drive()
					}
					wantFailed(t, x, mgx.ExecCancelled, mgx.CodeCancelled)
					if x.Failure.Message != "cancelled: changed my mind" || x.Failure.Kind != mgx.KindStopped {
						t.Errorf("failure is %+v", x.Failure)
					}
					if took := time.Since(asked); took > 1100*time.Millisecond {
						t.Errorf("the cancel took %s", took)
					}
					if claims != 1 {
						t.Errorf("the function was called %d times, want once", claims)
					}
					if b.names() != tc.steps {
						t.Errorf("recorded %q, want %q", b.names(), tc.steps)
					}
					run, err := b.store.Run(t.Context(), mgx.DefaultWorkspace, b.run)
					if err != nil || run.Status != mgx.RunCancelled {
						t.Errorf("the run is %s, error %v", run.Status, err)
					}
					for _, e := range b.executions() {
						if e.Status != mgx.ExecCancelled {
							t.Errorf("execution %s of %s is %s, want cancelled", e.Execution, e.Workflow, e.Status)
						}
					}
					wantIdentical(t, b.engine, b.root)
				})
			})
		}
	}
}

// A parent that ends without waiting for its children takes them with it.
func TestParentsEndEndsChildren(t *testing.T) {
	t.Parallel()
	for code, other := range map[string]func(c *workflow.Context) error{
		mgx.CodeTimedOut: func(c *workflow.Context) error { return second(workflow.Step(c, "hang", nil, hang)) },
		"panic": func(c *workflow.Context) error {
			workflow.Sleep(c, "nap", time.Second)
			panic("boom")
		},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				defer b.store.Close()
				workflow.Register(b.engine, "hanging", func(c *workflow.Context, _ int) (int, error) { return workflow.Step(c, "hang", nil, hang) })
				workflow.Register(b.engine, "main", func(c *workflow.Context, _ int) (int, error) {
					return 0, workflow.Parallel(c, other,
						func(c *workflow.Context) error { return second(workflow.Child[int, int](c, "kid", "hanging", 1)) })
				})
				b.startAs(b.engine, 0, time.Now().Add(time.Minute))
				x := b.drive()
				wantFailed(t, x, mgx.ExecFailed, code)
				if took := time.Since(x.CreatedAt); code == "panic" && took > 10*time.Second {
					t.Errorf("the child held up the end for %s", took)
				}
				for _, e := range b.executions() {
					if !e.Status.Ended() {
						t.Errorf("execution of %s is %s, want ended", e.Workflow, e.Status)
					}
				}
			})
		})
	}
}

// The clock of a parent that only waits stands still; the child has its own.
func TestChildHasTheParentsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		defer b.store.Close()
		workflow.Register(b.engine, "hanging", func(c *workflow.Context, _ int) (int, error) { return workflow.Step(c, "hang", nil, hang) })
		workflow.Register(b.engine, "main", func(c *workflow.Context, _ int) (string, error) {
			_, err := workflow.Child[int, int](c, "kid", "hanging", 1)
			return mgx.AsError(err).Code, nil
		})
		b.startAs(b.engine, 0, time.Now().Add(time.Minute))
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		x, err := b.engine.Drive(ctx, b.run, b.root)
		if err != nil {
			t.Fatal(err)
		}
		wantDone(t, x, `"timed_out"`)
	})
}

func TestCancelOfEndedChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	workflow.Register(b.engine, "main", func(*workflow.Context, int) (int, error) { return 1, nil })
	b.start(0)
	wantDone(t, b.drive(), `1`)
	if err := b.engine.Cancel(t.Context(), b.root, "late"); err != nil {
		t.Error(err)
	}
	wantDone(t, b.drive(), `1`)
	if err := b.engine.Cancel(t.Context(), "exec_none", "x"); !mgx.IsCode(err, mgx.CodeNotFound) {
		t.Errorf("cancel of nothing: %v, want not_found", err)
	}
}

func (b *bench) executions() []mgx.Execution {
	b.t.Helper()
	all, err := b.store.Executions(b.t.Context(), store.ExecutionQuery{Run: b.run})
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}
