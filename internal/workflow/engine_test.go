package workflow_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/workflow"
)

// bench is a store with an engine on it, and one run.
type bench struct {
	t      testing.TB
	store  *store.Store
	engine *workflow.Engine
	run    mgx.RunID
	root   mgx.ExecutionID
	path   string
}

// newBench opens a fresh store. Inside a synctest bubble all of it belongs to
// the bubble.
func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "mgx.db"), run: mgx.NewRunID(), root: mgx.NewExecutionID()}
	b.store = openStore(t, b.path)
	b.engine = b.newEngine("one", b.store)
	return b
}

func openStore(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func (b *bench) newEngine(owner string, s workflow.Store) *workflow.Engine {
	return workflow.New(s, workflow.Options{Owner: owner, Alive: func(string) bool { return true }})
}

// start creates the run's root execution of the workflow "main".
func (b *bench) start(input any) {
	b.t.Helper()
	b.startAs(b.engine, input, time.Time{})
}

func (b *bench) startAs(e *workflow.Engine, input any, deadline time.Time) {
	b.t.Helper()
	data, _ := json.Marshal(input)
	x := mgx.Execution{Workflow: "main", Input: data, Deadline: deadline}
	x.Workspace, x.Run, x.Execution = mgx.DefaultWorkspace, b.run, b.root
	if err := e.Start(b.t.Context(), x, x.Scope.Event(mgx.RunCreated, mgx.RunCreatedData{Workflow: "main"})); err != nil {
		b.t.Fatal(err)
	}
}

// drive drives the run to its end or until it waits.
func (b *bench) drive() mgx.Execution {
	b.t.Helper()
	return b.driveBy(b.engine)
}

func (b *bench) driveBy(e *workflow.Engine) mgx.Execution {
	b.t.Helper()
	x, err := e.Drive(b.t.Context(), b.run, b.root)
	if err != nil {
		b.t.Fatalf("drive: %v", err)
	}
	return x
}

func (b *bench) events() []mgx.Event {
	b.t.Helper()
	events, err := b.store.Events(b.t.Context(), store.EventQuery{Stream: mgx.StreamID(b.run)})
	if err != nil {
		b.t.Fatal(err)
	}
	return events
}

// types are the event types of the run, shortened, in order.
func (b *bench) types() string {
	var names []string
	for _, e := range b.events() {
		names = append(names, strings.TrimPrefix(string(e.Type), "workflow."))
	}
	return strings.Join(names, " ")
}

func (b *bench) journal() []mgx.StepRecord {
	b.t.Helper()
	records, err := b.store.Journal(b.t.Context(), b.root)
	if err != nil {
		b.t.Fatal(err)
	}
	return records
}

func (b *bench) names() string {
	var names []string
	for _, r := range b.journal() {
		names = append(names, r.Name)
	}
	return strings.Join(names, " ")
}

func wantDone(t testing.TB, x mgx.Execution, result string) {
	t.Helper()
	if x.Status != mgx.ExecDone || string(x.Result) != result {
		t.Fatalf("execution is %s with result %s and failure %v, want done with %s", x.Status, x.Result, x.Failure, result)
	}
}

func wantFailed(t testing.TB, x mgx.Execution, status mgx.ExecutionStatus, code string) {
	t.Helper()
	if x.Status != status || x.Failure == nil || x.Failure.Code != code {
		t.Fatalf("execution is %s with failure %+v and result %s, want %s with code %s", x.Status, x.Failure, x.Result, status, code)
	}
}

func wantIdentical(t testing.TB, e *workflow.Engine, x mgx.ExecutionID) {
	t.Helper()
	report, err := e.Replay(t.Context(), x)
	if err != nil || !report.Identical {
		t.Fatalf("replay: %+v %+v, error %v; want identical", report, report.Difference, err)
	}
}

// say returns a step function that counts its calls and returns v.
func say[T any](calls *atomic.Int64, v T) func(*workflow.StepContext) (T, error) {
	return func(*workflow.StepContext) (T, error) {
		calls.Add(1)
		return v, nil
	}
}

func TestStepsAreRecordedWithTheirEvents(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	workflow.Register(b.engine, "main", func(c *workflow.Context, who string) (string, error) {
		hello, err := workflow.Step(c, "hello", who, func(s *workflow.StepContext) (string, error) {
			s.Emit(s.Scope().Event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: "emitted"}))
			return "hello " + who, s.Announce(s.Scope().Event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: "announced"}))
		}, workflow.Before(func() []mgx.Event {
			return []mgx.Event{c.Scope().Event(mgx.RunPhaseChanged, mgx.PhaseData{Phase: "greet"})}
		}))
		if err != nil {
			return "", err
		}
		if err := workflow.Record(c, "note", c.Scope().Event(mgx.RunNoted, mgx.NotedData{Text: "recorded"})); err != nil {
			return "", err
		}
		return workflow.Step(c, "bye", nil, func(*workflow.StepContext) (string, error) { return hello + ", bye", nil }, workflow.Quiet())
	}, workflow.OnEnd(func(_ context.Context, x mgx.Execution) ([]mgx.Event, error) {
		return []mgx.Event{x.Scope.Event(mgx.RunAnswered, mgx.AnsweredData{Answer: string(x.Result)})}, nil
	}))
	b.start("ada")
	wantDone(t, b.drive(), `"hello ada, bye"`)
	want := "run.created started step.started run.phase.changed run.noted run.noted step.completed run.noted step.completed step.completed completed run.answered"
	if got := b.types(); got != want {
		t.Errorf("events are\n%s, want\n%s", got, want)
	}
	for i, r := range b.journal() {
		if r.Order != int64(i+1) || r.Attempts != 1 || r.Failure != nil || len(r.Input) != 64 {
			t.Errorf("record %d is %+v", i, r)
		}
	}
	wantIdentical(t, b.engine, b.root)
}

func TestStepErrorIsTheSameLiveAndReplayed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var seen []error
	workflow.Register(b.engine, "main", func(c *workflow.Context, _ int) (string, error) {
		_, err := workflow.Step(c, "fail", nil, func(*workflow.StepContext) (int, error) {
			return 7, mgx.Errorf(mgx.KindProvider, "overloaded", "busy: %w", errors.New("secret cause"))
		})
		seen = append(seen, err)
		_, err = workflow.Await[int](c, "go", 0)
		return "handled", err
	})
	b.start(0)
	b.drive()
	if err := b.engine.Signal(t.Context(), b.root, "go", 1); err != nil {
		t.Fatal(err)
	}
	wantDone(t, b.drive(), `"handled"`)
	if len(seen) != 2 {
		t.Fatalf("the function was called %d times, want 2", len(seen))
	}
	for _, err := range seen {
		if e, ok := err.(*mgx.Error); !ok || *e != (mgx.Error{Kind: mgx.KindProvider, Code: "overloaded", Message: "busy: secret cause"}) {
			t.Errorf("the function saw %#v", err)
		}
	}
}

func TestPanicsFailTheExecutionNotTheProcess(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(*workflow.Context, int) (int, error){
		"workflow": func(*workflow.Context, int) (int, error) { panic("boom") },
		"step": func(c *workflow.Context, _ int) (int, error) {
			return workflow.Step(c, "s", nil, func(*workflow.StepContext) (int, error) { panic("boom") },
				workflow.Retry(workflow.RetryPolicy{Max: 5}))
		},
		"branch": func(c *workflow.Context, _ int) (int, error) {
			return 0, workflow.Parallel(c,
				func(*workflow.Context) error { panic("boom") },
				func(c *workflow.Context) error { return workflow.Sleep(c, "long", time.Hour) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			workflow.Register(b.engine, "main", f)
			b.start(0)
			x := b.drive()
			wantFailed(t, x, mgx.ExecFailed, "panic")
			if x.Failure.Kind != mgx.KindInternal || !strings.Contains(x.Failure.Message, "boom") {
				t.Errorf("failure is %+v", x.Failure)
			}
			wantIdentical(t, b.engine, b.root)
		})
	}
}

func TestMisuseEndsTheExecution(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	for code, f := range map[string]func(*workflow.Context, int) (int, error){
		"duplicate_step": func(c *workflow.Context, _ int) (int, error) {
			workflow.Step(c, "same", 1, say(&calls, 1))
			return workflow.Step(c, "same", 1, say(&calls, 1))
		},
		"nested_call": func(c *workflow.Context, _ int) (int, error) {
			return workflow.Step(c, "outer", nil, func(*workflow.StepContext) (int, error) {
				return workflow.Step(c, "inner", nil, say(&calls, 1))
			})
		},
		"bad_step_name": func(c *workflow.Context, _ int) (int, error) {
			return workflow.Step(c, strings.Repeat("x", 300), nil, say(&calls, 1))
		},
		"bad_input": func(c *workflow.Context, _ int) (int, error) { return workflow.Step(c, "s", func() {}, say(&calls, 1)) },
		"bad_output": func(c *workflow.Context, _ int) (int, error) {
			return 0, second(workflow.Step(c, "s", 1, say(&calls, func() {})))
		},
		"output_too_large": func(c *workflow.Context, _ int) (int, error) {
			return 0, second(workflow.Step(c, "s", 1, say(&calls, strings.Repeat("x", 9<<20))))
		},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			workflow.Register(b.engine, "main", f)
			b.start(0)
			wantFailed(t, b.drive(), mgx.ExecFailed, code)
		})
	}
}

func second[T any](_ T, err error) error { return err }

func TestTimersOfDaysHoldNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var calls atomic.Int64
		workflow.Register(b.engine, "main", func(c *workflow.Context, _ int) (time.Duration, error) {
			begin, err := workflow.Step(c, "begin", nil, func(*workflow.StepContext) (time.Time, error) { calls.Add(1); return time.Now(), nil })
			if err != nil {
				return 0, err
			}
			if err := workflow.Sleep(c, "over a day", 30*time.Hour); err != nil {
				return 0, err
			}
			return workflow.Step(c, "end", nil, func(*workflow.StepContext) (time.Duration, error) { return time.Since(begin), nil })
		})
		b.start(0)
		x := b.drive()
		var slept time.Duration
		json.Unmarshal(x.Result, &slept)
		if slept < 30*time.Hour || slept > 30*time.Hour+10*time.Second || calls.Load() != 1 {
			t.Errorf("slept %s, first step ran %d times", slept, calls.Load())
		}
		want := "run.created started step.started step.completed step.started waiting resumed step.completed step.started step.completed completed"
		if got := b.types(); got != want {
			t.Errorf("events are\n%s, want\n%s", got, want)
		}
		var d mgx.ResumedData
		for _, e := range b.events() {
			if e.Type == mgx.WorkflowResumed {
				e.Decode(&d)
			}
		}
		if d.Reason != "timer" {
			t.Errorf("resumed because of %q, want timer", d.Reason)
		}
		wantIdentical(t, b.engine, b.root)
		b.store.Close()
	})
}

func TestAwait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		workflow.Register(b.engine, "main", func(c *workflow.Context, _ int) ([]string, error) {
			var got []string
			for range 2 {
				s, err := workflow.Await[string](c, "word", 0)
				if err != nil {
					return nil, err
				}
				got = append(got, s)
			}
			_, err := workflow.Await[string](c, "word", time.Hour)
			if !mgx.IsCode(err, mgx.CodeTimedOut) {
				return nil, fmt.Errorf("third await: %v", err)
			}
			return got, nil
		})
		b.start(0)
		b.engine.Signal(t.Context(), b.root, "word", "early")
		x := b.drive()
		if x.Status != mgx.ExecWaiting || !slices.Equal(x.Awaits, []string{"word"}) || x.Owner != "" {
			t.Fatalf("execution is %+v, want it waiting for word without an owner", x)
		}
		b.engine.Signal(t.Context(), b.root, "word", "late")
		begin := time.Now()
		wantDone(t, b.drive(), `["early","late"]`)
		if d := time.Since(begin); d < time.Hour || d > time.Hour+10*time.Second {
			t.Errorf("timed out after %s, want an hour", d)
		}
		if got, want := b.names(), "await/word await/word#2 await/word#3/start await/word#3"; got != want {
			t.Errorf("journal is %s, want %s", got, want)
		}
		wantIdentical(t, b.engine, b.root)
		b.store.Close()
	})
}

func TestParallelBranchesWaitTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		workflow.Register(b.engine, "main", func(c *workflow.Context, _ int) (string, error) {
			var out [3]string
			err := workflow.Parallel(c,
				func(c *workflow.Context) (err error) { out[0], err = workflow.Await[string](c, "b", 0); return err },
				func(c *workflow.Context) (err error) { out[1], err = workflow.Await[string](c, "a", 0); return err },
				func(c *workflow.Context) error {
					if err := workflow.Sleep(c, "nap", time.Hour); err != nil {
						return err
					}
					return workflow.Parallel(c, func(c *workflow.Context) (err error) {
						out[2], err = workflow.Step(c, "deep", nil, func(s *workflow.StepContext) (string, error) { return s.Name(), nil })
						return err
					})
				})
			if err == nil && out[0] == "" {
				panic("the function went on without the branches' results")
			}
			return strings.Join(out[:], " "), err
		})
		b.start(0)
		x := b.drive() // through the nap
		if x.Status != mgx.ExecWaiting || !slices.Equal(x.Awaits, []string{"a", "b"}) || !x.WakeAt.IsZero() {
			t.Fatalf("execution is %+v, want it waiting for a and b", x)
		}
		if got := strings.Count(b.types(), "waiting"); got != 2 {
			t.Errorf("parked %d times, want once before and once after the nap: %s", got, b.types())
		}
		b.engine.Signal(t.Context(), b.root, "a", "A")
		b.engine.Signal(t.Context(), b.root, "b", "B")
		wantDone(t, b.drive(), `"B A p1.3/p1.1/deep"`)
		wantIdentical(t, b.engine, b.root)
		b.store.Close()
	})
}

// A branch must not be held up by another one that works for hours.
func TestSignalReachesABranchWhileAnotherWorks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var took time.Duration
		workflow.Register(b.engine, "main", func(c *workflow.Context, _ int) (int, error) {
			begin := time.Now()
			return 0, workflow.Parallel(c,
				func(c *workflow.Context) error {
					_, err := workflow.Step(c, "long", nil, func(s *workflow.StepContext) (int, error) { time.Sleep(10 * time.Minute); return 0, nil })
					return err
				},
				func(c *workflow.Context) error {
					_, err := workflow.Await[int](c, "go", 0)
					took = time.Since(begin)
					return err
				})
		})
		b.start(0)
		go func() {
			time.Sleep(time.Minute)
			b.engine.Signal(context.Background(), b.root, "go", 1)
		}()
		wantDone(t, b.drive(), `0`)
		if took > time.Minute+5*time.Second {
			t.Errorf("the signal was seen after %s, want a minute", took)
		}
		b.store.Close()
	})
}

func TestParallelReturnsTheFirstErrorByOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	gate := make(chan struct{})
	workflow.Register(b.engine, "main", func(c *workflow.Context, _ int) (int, error) {
		return 0, workflow.Parallel(c,
			func(c *workflow.Context) error { <-gate; return mgx.Errorf(mgx.KindGoal, "first", "first") },
			func(c *workflow.Context) error {
				defer close(gate)
				return mgx.Errorf(mgx.KindGoal, "second", "second")
			})
	})
	b.start(0)
	wantFailed(t, b.drive(), mgx.ExecFailed, "first")
}

func TestChildren(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	workflow.Register(b.engine, "square", func(c *workflow.Context, n int) (int, error) {
		if n == 13 {
			return 0, mgx.Errorf(mgx.KindGoal, "unlucky", "13 is not squared")
		}
		return workflow.Step(c, "square", n, func(*workflow.StepContext) (int, error) { return n * n, nil })
	})
	workflow.Register(b.engine, "main", func(c *workflow.Context, n int) (int, error) {
		squares := make([]int, n)
		var branches []func(*workflow.Context) error
		for i := range squares {
			branches = append(branches, func(c *workflow.Context) (err error) {
				squares[i], err = workflow.Child[int, int](c, "child", "square", i)
				return err
			})
		}
		if err := workflow.Parallel(c, branches...); err != nil {
			return 0, err
		}
		if _, err := workflow.Child[int, int](c, "bad", "square", 13); !mgx.IsCode(err, "unlucky") {
			return 0, fmt.Errorf("13 gave %v", err)
		}
		sum := 0
		for _, s := range squares {
			sum += s
		}
		return sum, nil
	})
	b.start(5)
	wantDone(t, b.drive(), `30`)
	if types := b.types(); strings.Contains(types, "waiting") || strings.Contains(types, "resumed") {
		t.Errorf("a run whose children work is not waiting: %s", types)
	}
	report, err := b.engine.Replay(t.Context(), b.root)
	if err != nil || !report.Identical || report.Steps != 6+5 {
		t.Errorf("replay: %+v, error %v; want 11 records compared, identical", report, err)
	}
}

func TestRetryBacksOffAndGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var at []time.Time
		workflow.Register(b.engine, "main", func(c *workflow.Context, _ int) (int, error) {
			_, err := workflow.Step(c, "flaky", nil, func(s *workflow.StepContext) (int, error) {
				at = append(at, time.Now())
				s.Emit(s.Scope().Event(mgx.RunNoted, mgx.NotedData{Text: fmt.Sprint(s.Attempt())}))
				return 0, mgx.Errorf(mgx.KindProvider, "overloaded", "attempt %d", s.Attempt())
			}, workflow.Retry(workflow.RetryPolicy{Max: 6, Base: time.Minute, Cap: 4 * time.Minute, If: func(err error) bool { return mgx.IsCode(err, "overloaded") }}))
			if !mgx.IsCode(err, "overloaded") {
				return 0, err
			}
			return workflow.Step(c, "final", nil, func(s *workflow.StepContext) (int, error) {
				if s.Attempt() == 2 {
					return 0, mgx.Errorf(mgx.KindRefused, "no", "no")
				}
				return 0, mgx.Errorf(mgx.KindProvider, "overloaded", "x")
			}, workflow.Retry(workflow.RetryPolicy{Max: 9, If: func(err error) bool { return !mgx.IsCode(err, "no") }}))
		})
		b.start(0)
		wantFailed(t, b.drive(), mgx.ExecFailed, "no")
		if len(at) != 6 {
			t.Fatalf("tried %d times, want 6", len(at))
		}
		for i, limit := range []time.Duration{1, 2, 4, 4, 4} {
			if gap := at[i+1].Sub(at[i]); gap > limit*time.Minute+time.Second {
				t.Errorf("pause %d was %s, want at most %d minutes", i, gap, limit)
			}
		}
		if total := at[5].Sub(at[0]); total < 5*time.Second {
			t.Errorf("five pauses took %s in all: no jitter below the limit is that small", total)
		}
		if r := b.journal(); r[0].Attempts != 6 || r[1].Attempts != 2 {
			t.Errorf("recorded %d and %d attempts, want 6 and 2", r[0].Attempts, r[1].Attempts)
		}
		if got := strings.Count(b.types(), "run.noted"); got != 6 {
			t.Errorf("%d events of attempts were committed, want 6", got)
		}
		b.store.Close()
	})
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	hang := func(s *workflow.StepContext) (int, error) { <-s.Done(); return 0, s.Err() }
	t.Run("step", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			workflow.Register(b.engine, "main", func(c *workflow.Context, _ int) (string, error) {
				_, err := workflow.Step(c, "hang", nil, hang, workflow.Timeout(time.Minute))
				return err.Error(), nil
			})
			b.start(0)
			wantDone(t, b.drive(), `"step hang did not finish within 1m0s"`)
			b.store.Close()
		})
	})
	t.Run("execution", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			workflow.Register(b.engine, "main", func(c *workflow.Context, _ int) (int, error) {
				// Waiting does not count against the deadline.
				if err := workflow.Sleep(c, "nap", 3*time.Hour); err != nil {
					return 0, err
				}
				return workflow.Step(c, "hang", nil, hang)
			})
			b.startAs(b.engine, 0, time.Now().Add(10*time.Minute))
			x := b.drive()
			wantFailed(t, x, mgx.ExecFailed, mgx.CodeTimedOut)
			if x.Failure.Kind != mgx.KindStopped || b.names() != "nap/start nap" {
				t.Errorf("failure is %+v, journal %s; want the hanging step unrecorded", x.Failure, b.names())
			}
			if ran := time.Since(x.CreatedAt); ran < 3*time.Hour+9*time.Minute || ran > 3*time.Hour+11*time.Minute {
				t.Errorf("ended after %s, want three hours and ten minutes", ran)
			}
			wantIdentical(t, b.engine, b.root)
			b.store.Close()
		})
	})
}

func TestVersionKeepsOldExecutionsOnTheOldPath(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var calls atomic.Int64
	old := func(c *workflow.Context, _ int) (string, error) {
		workflow.Step(c, "a", nil, say(&calls, 1))
		workflow.Step(c, "b", nil, say(&calls, 1))
		return workflow.Await[string](c, "go", 0)
	}
	changed := func(c *workflow.Context, _ int) (string, error) {
		workflow.Step(c, "a", nil, say(&calls, 1))
		v := workflow.Version(c, "extra", 2)
		if v >= 1 {
			workflow.Step(c, "extra", nil, say(&calls, 1))
		}
		workflow.Step(c, "b", nil, say(&calls, 1))
		s, err := workflow.Await[string](c, "go", 0)
		return fmt.Sprint(s, v, workflow.Version(c, "extra", 2)), err
	}
	workflow.Register(b.engine, "main", old)
	b.start(0)
	b.drive()
	newer := b.newEngine("two", b.store)
	workflow.Register(newer, "main", changed)
	b.engine.Signal(t.Context(), b.root, "go", "x")
	wantDone(t, b.driveBy(newer), `"x0 0"`)
	wantIdentical(t, newer, b.root)

	b.root, b.run = mgx.NewExecutionID(), mgx.NewRunID()
	b.startAs(newer, 0, time.Time{})
	newer.Signal(t.Context(), b.root, "go", "x")
	wantDone(t, b.driveBy(newer), `"x2 2"`)
	wantIdentical(t, newer, b.root)

	// The question may go once nobody is left on the old path.
	newest := b.newEngine("three", b.store)
	workflow.Register(newest, "main", func(c *workflow.Context, _ int) (string, error) {
		for _, name := range []string{"a", "extra", "b"} {
			workflow.Step(c, name, nil, say(&calls, 1))
		}
		s, err := workflow.Await[string](c, "go", 0)
		return s + "2 2", err
	})
	wantIdentical(t, newest, b.root)
}

func TestBeforeLiveRunsOnceBeforeWorkThatIsNotReplayed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var log []string
	workflow.Register(b.engine, "main", func(c *workflow.Context, _ int) (int, error) {
		c.BeforeLive(func(context.Context) error { log = append(log, "restore"); return nil })
		for i := range 4 {
			workflow.Step(c, fmt.Sprint(i), nil, func(s *workflow.StepContext) (int, error) { log = append(log, s.Name()); return 0, nil })
			if i == 1 {
				workflow.Await[int](c, "go", 0)
				log = append(log, fmt.Sprint("live=", c.Live()))
			}
		}
		return 0, nil
	})
	b.start(0)
	b.drive()
	b.engine.Signal(t.Context(), b.root, "go", 1)
	b.drive()
	wantIdentical(t, b.engine, b.root)
	if got, want := strings.Join(log, " "), "restore 0 1 live=true restore 2 3 live=false"; got != want {
		t.Errorf("happened: %s; want %s", got, want)
	}
}

func TestMoneyIsReservedAndSettled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	limit := 3 * mgx.USD
	workflow.Register(b.engine, "main", func(c *workflow.Context, _ int) (string, error) {
		return workflow.Step(c, "call", nil, func(s *workflow.StepContext) (string, error) {
			if err := s.Reserve(mgx.Reservation{ID: "a", Amount: 2 * mgx.USD, Cap: &limit}); err != nil {
				return "", err
			}
			if err := s.SettleNow(mgx.Settlement{ID: "a", Amount: mgx.USD}); err != nil {
				return "", err
			}
			if err := s.Reserve(mgx.Reservation{ID: "b", Amount: 2 * mgx.USD, Cap: &limit}); err != nil {
				return "", err
			}
			s.Settle(mgx.Settlement{ID: "b", Amount: mgx.USD})
			err := s.Reserve(mgx.Reservation{ID: "c", Amount: 2 * mgx.USD, Cap: &limit})
			return mgx.AsError(err).Code, nil
		})
	})
	b.start(0)
	wantDone(t, b.drive(), `"`+mgx.CodeBudgetExceeded+`"`)
}
