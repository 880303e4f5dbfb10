package workflow_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/workflow"
)

var errCrashed = errors.New("the machine is gone")

// mortal is a store as a process sees it that dies at its n-th commit: just
// before it, or just after it without learning of it.
type mortal struct {
	*store.Store
	left  atomic.Int64 // commits to live for
	after bool
	dead  atomic.Bool
}

func newMortal(s *store.Store, commits int, after bool) *mortal {
	m := &mortal{Store: s, after: after}
	m.left.Store(int64(commits))
	return m
}

func (m *mortal) Commit(ctx context.Context, c mgx.Change) (mgx.Committed, error) {
	if m.dead.Load() {
		return mgx.Committed{}, errCrashed
	}
	if m.left.Add(-1) == 0 {
		m.dead.Store(true)
		if m.after {
			m.Store.Commit(ctx, c)
		}
		return mgx.Committed{}, errCrashed
	}
	return m.Store.Commit(ctx, c)
}

func (m *mortal) Claim(ctx context.Context, r mgx.ClaimRequest) (mgx.Execution, bool, error) {
	if m.dead.Load() {
		return mgx.Execution{}, false, errCrashed
	}
	return m.Store.Claim(ctx, r)
}

func (m *mortal) Heartbeat(ctx context.Context, l mgx.Lease, until time.Time) (string, error) {
	if m.dead.Load() {
		return "", errCrashed
	}
	return m.Store.Heartbeat(ctx, l, until)
}

// effects counts how often each step was run, over all processes.
type effects struct {
	mu sync.Mutex
	n  map[string]int
}

func (f *effects) add(s *workflow.StepContext) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n == nil {
		f.n = map[string]int{}
	}
	f.n[string(s.Scope().Execution)+" "+s.Name()]++
}

// repeats returns how many runs were more than one per step.
func (f *effects) repeats() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, times := range f.n {
		n += times - 1
	}
	return n
}

// everything registers a workflow that uses all of the engine.
func everything(e *workflow.Engine, f *effects) {
	step := func(c *workflow.Context, name string, opts ...workflow.StepOption) (string, error) {
		return workflow.Step(c, name, name, func(s *workflow.StepContext) (string, error) {
			f.add(s)
			s.Emit(s.Scope().Event(mgx.RunNoted, mgx.NotedData{Text: s.Name()}))
			return "<" + name + ">", nil
		}, opts...)
	}
	workflow.Register(e, "child", func(c *workflow.Context, n int) (string, error) {
		a, err := step(c, "one")
		if err != nil {
			return "", err
		}
		b, err := step(c, "two", workflow.Quiet())
		return fmt.Sprint(n, a, b), err
	})
	workflow.Register(e, "main", func(c *workflow.Context, _ int) (string, error) {
		out := make([]string, 6)
		var err error
		if out[0], err = step(c, "begin"); err != nil {
			return "", err
		}
		err = workflow.Parallel(c,
			func(c *workflow.Context) (err error) {
				if err = workflow.Sleep(c, "nap", time.Minute); err != nil {
					return err
				}
				out[1], err = step(c, "rested")
				return err
			},
			func(c *workflow.Context) (err error) {
				out[2], err = workflow.Child[int, string](c, "kid", "child", 7)
				return err
			},
			func(c *workflow.Context) (err error) { out[3], err = workflow.Await[string](c, "go", 0); return err })
		if err != nil {
			return "", err
		}
		if workflow.Version(c, "v", 1) == 1 {
			out[4], err = step(c, "new")
		}
		if err != nil {
			return "", err
		}
		if err := workflow.Record(c, "note", c.Scope().Event(mgx.RunPhaseChanged, mgx.PhaseData{Phase: mgx.PhaseDeliver})); err != nil {
			return "", err
		}
		if word, ok, err := workflow.Poll[string](c, "heard", "word", "end"); err != nil || !ok {
			return "", errors.Join(err, errors.New("nothing was heard"))
		} else {
			out[4] += word
		}
		if _, ok, err := workflow.Poll[string](c, "heard-2", "word", "end"); err != nil || ok {
			return "", errors.Join(err, errors.New("a word was heard twice"))
		}
		out[5], err = step(c, "end")
		return strings.Join(out, " "), err
	}, workflow.OnEnd(func(_ context.Context, x mgx.Execution) ([]mgx.Event, error) {
		return []mgx.Event{x.Scope.Event(mgx.RunAnswered, mgx.AnsweredData{Answer: string(x.Result)})}, nil
	}))
}

const everythingResult = `"\u003cbegin\u003e \u003crested\u003e 7\u003cone\u003e\u003ctwo\u003e yes \u003cnew\u003e! \u003cend\u003e"`

// wantWhole checks what must hold of a finished run however often it crashed.
func (b *bench) wantWhole() {
	b.t.Helper()
	completed := map[string]int{}
	ends := 0
	var run mgx.Run
	for _, e := range b.events() {
		var err error
		if run, err = run.Apply(e); err != nil {
			b.t.Error(err)
		}
		switch e.Type {
		case mgx.WorkflowStepCompleted:
			var d mgx.StepCompletedData
			e.Decode(&d)
			completed[string(e.Execution)+" "+d.Step]++
			if want := b.order(e.Execution, d.Step); d.Order != want {
				b.t.Errorf("step.completed of %s says order %d, the record %d", d.Step, d.Order, want)
			}
		case mgx.RunAnswered:
			ends++
		}
	}
	for step, n := range completed {
		if n != 1 {
			b.t.Errorf("step %s was completed %d times", step, n)
		}
	}
	if ends != 1 {
		b.t.Errorf("the end was told %d times, want once", ends)
	}
}

func (b *bench) order(x mgx.ExecutionID, step string) int64 {
	records, _ := b.store.Journal(b.t.Context(), x)
	for _, r := range records {
		if r.Name == step {
			return r.Order
		}
	}
	return -1
}

// The process dies at every commit in turn, before and after it; another one
// finishes the run.
func TestCrashAtEveryCommit(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after=%t", after), func(t *testing.T) {
			t.Parallel()
			for k, crashed := 1, true; crashed; k++ {
				synctest.Test(t, func(t *testing.T) { crashed = crashOnce(t, k, after) })
				if k > 200 {
					t.Fatal("the run never finishes")
				}
			}
		})
	}
}

// crashOnce runs everything with one crash at commit k and reports whether the
// run was long enough for it.
func crashOnce(t *testing.T, k int, after bool) bool {
	b := newBench(t)
	defer b.store.Close()
	f := &effects{}
	everything(b.engine, f)
	b.start(0)
	b.engine.Signal(t.Context(), b.root, "go", "yes")
	b.engine.Signal(t.Context(), b.root, "word", "!")

	m := newMortal(b.store, k, after)
	first := b.newEngine("first", m)
	everything(first, f)
	first.Drive(t.Context(), b.run, b.root)
	crashed := m.dead.Load()

	second := workflow.New(b.store, workflow.Options{Owner: "second", Alive: func(o string) bool { return o == "second" }})
	everything(second, f)
	wantDone(t, b.driveBy(second), everythingResult)
	b.wantWhole()
	if n := f.repeats(); n > 1 {
		t.Errorf("crash at commit %d: %d steps were run again: %v", k, n, f.n)
	}
	wantIdentical(t, second, b.root)
	return crashed
}

// stuck is a store whose n-th commit hangs until it is let go.
type stuck struct {
	*store.Store
	left atomic.Int64
	hung chan struct{} // closed when it hangs
	free chan struct{}
}

func (s *stuck) Commit(ctx context.Context, c mgx.Change) (mgx.Committed, error) {
	if s.left.Add(-1) == 0 {
		close(s.hung)
		<-s.free
	}
	return s.Store.Commit(context.WithoutCancel(ctx), c)
}

func (s *stuck) Heartbeat(ctx context.Context, l mgx.Lease, until time.Time) (string, error) {
	select {
	case <-s.hung: // the whole process is frozen
		<-s.free
	default:
	}
	return s.Store.Heartbeat(ctx, l, until)
}

// A process freezes in the middle of every commit in turn; when it comes back,
// another one has the lease, and nothing of what it holds gets in.
func TestFrozenProcessIsFenced(t *testing.T) {
	t.Parallel()
	for k, froze := 1, true; froze; k++ {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			defer b.store.Close()
			f := &effects{}
			s := &stuck{Store: b.store, hung: make(chan struct{}), free: make(chan struct{})}
			s.left.Store(int64(k))
			first := workflow.New(s, workflow.Options{Owner: "first"})
			everything(b.engine, f)
			everything(first, f)
			b.start(0)
			b.engine.Signal(t.Context(), b.root, "go", "yes")
			b.engine.Signal(t.Context(), b.root, "word", "!")

			done := make(chan error, 1)
			go func() { _, err := first.Drive(t.Context(), b.run, b.root); done <- err }()
			select {
			case err := <-done:
				froze = false
				if err != nil {
					t.Error(err)
				}
				return
			case <-s.hung:
			}
			second := workflow.New(b.store, workflow.Options{Owner: "second"})
			everything(second, f)
			var x mgx.Execution
			for x.Status != mgx.ExecDone { // others are busy until their lease ends
				var err error
				if x, err = second.Drive(t.Context(), b.run, b.root); err != nil && !mgx.IsCode(err, "run_busy") {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
			}
			before := len(b.events())
			close(s.free)
			if err := <-done; err != nil && !mgx.IsCode(err, "run_busy") {
				t.Errorf("the frozen process: %v", err)
			}
			if after := len(b.events()); after != before {
				t.Errorf("frozen at commit %d, the process added %d events afterwards", k, after-before)
			}
			wantDone(t, x, everythingResult)
			b.wantWhole()
			wantIdentical(t, second, b.root)
		})
		if k > 200 {
			t.Fatal("the run never finishes")
		}
	}
}

// deaf is a store that takes no heartbeats, and gives a number of claims.
type deaf struct {
	*store.Store
	claims atomic.Int64
}

func newDeaf(s *store.Store, claims int64) *deaf {
	d := &deaf{Store: s}
	d.claims.Store(claims)
	return d
}

func (d *deaf) Claim(ctx context.Context, r mgx.ClaimRequest) (mgx.Execution, bool, error) {
	if d.claims.Load() == 0 {
		return mgx.Execution{}, false, nil
	}
	x, found, err := d.Store.Claim(ctx, r)
	if found {
		d.claims.Add(-1)
	}
	return x, found, err
}

func (*deaf) Heartbeat(context.Context, mgx.Lease, time.Time) (string, error) {
	return "", errors.New("no route to host")
}

// A worker whose heartbeats get nowhere gives up by its own clock; what its step
// still returns is not recorded once another worker has the execution.
func TestWorkerWithoutHeartbeatsGivesUp(t *testing.T) {
	t.Parallel()
	for _, obedient := range []bool{true, false} {
		t.Run(fmt.Sprintf("obedient=%t", obedient), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				defer b.store.Close()
				var cause atomic.Value
				slow := func(who string) func(*workflow.Context, int) (string, error) {
					return func(c *workflow.Context, _ int) (string, error) {
						return workflow.Step(c, "slow", nil, func(s *workflow.StepContext) (string, error) {
							if who == "second" {
								time.Sleep(time.Minute)
								return who, nil
							}
							if obedient {
								<-s.Done()
								cause.Store(context.Cause(s).Error())
								return "", s.Err()
							}
							time.Sleep(time.Hour)
							return who, nil
						})
					}
				}
				first := workflow.New(newDeaf(b.store, 1), workflow.Options{Owner: "first"})
				second := workflow.New(b.store, workflow.Options{Owner: "second"})
				workflow.Register(first, "main", slow("first"))
				workflow.Register(second, "main", slow("second"))
				b.startAs(second, 0, time.Time{})
				begin := time.Now()
				done := make(chan error, 1)
				go func() { _, err := first.Drive(t.Context(), b.run, b.root); done <- err }()
				synctest.Wait()
				time.Sleep(14 * time.Second)
				if _, err := second.Drive(t.Context(), b.run, b.root); !mgx.IsCode(err, "run_busy") || !strings.Contains(err.Error(), "first") {
					t.Errorf("second drive: %v, want run_busy naming first", err)
				}
				time.Sleep(2 * time.Second)
				x := b.driveBy(second)
				wantDone(t, x, `"second"`)
				if err := <-done; obedient && !mgx.IsCode(err, "run_busy") {
					t.Errorf("first drive: %v, want run_busy", err)
				}
				if obedient && (cause.Load() != "workflow: the lease was lost" || time.Since(begin) > 2*time.Minute) {
					t.Errorf("the step's context ended because of %v after %s", cause.Load(), time.Since(begin))
				}
				if n := len(b.journal()); n != 1 {
					t.Errorf("%d records, want 1", n)
				}
			})
		})
	}
}

// A process that claims anew what it has lost waits for its own step to return.
func TestLostClaimAndNewOneNeverOverlap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		defer b.store.Close()
		var inside, overlaps, calls atomic.Int64
		e := workflow.New(newDeaf(b.store, 100), workflow.Options{Owner: "deaf"})
		workflow.Register(e, "main", func(c *workflow.Context, _ int) (int64, error) {
			return workflow.Step(c, "stubborn", nil, func(*workflow.StepContext) (int64, error) {
				if inside.Add(1) > 1 {
					overlaps.Add(1)
				}
				defer inside.Add(-1)
				if calls.Add(1) == 1 {
					time.Sleep(time.Minute)
				}
				return calls.Load(), nil
			})
		})
		b.startAs(e, 0, time.Time{})
		wantDone(t, b.driveBy(e), `2`)
		if overlaps.Load() > 0 {
			t.Error("the step ran twice at the same time")
		}
	})
}

// Two processes drive one run at the same time.
func TestTwoProcessesNeverBothWork(t *testing.T) {
	t.Parallel()
	for round := range 8 {
		b := newBench(t)
		f := &effects{}
		var inside, both atomic.Int64
		fn := func(c *workflow.Context, _ int) (int, error) {
			for i := range 10 {
				if _, err := workflow.Step(c, fmt.Sprint(i), i, func(s *workflow.StepContext) (int, error) {
					if inside.Add(1) > 1 {
						both.Add(1)
					}
					defer inside.Add(-1)
					f.add(s)
					return i, nil
				}); err != nil {
					return 0, err
				}
			}
			return 10, nil
		}
		other := openStore(t, b.path)
		engines := []*workflow.Engine{b.engine, b.newEngine("two", other)}
		for _, e := range engines {
			workflow.Register(e, "main", fn)
		}
		b.start(0)
		var done sync.WaitGroup
		var finished atomic.Int64
		for _, e := range engines {
			done.Go(func() {
				x, err := e.Drive(t.Context(), b.run, b.root)
				switch {
				case err == nil && x.Status == mgx.ExecDone:
					finished.Add(1)
				case !mgx.IsCode(err, "run_busy"):
					t.Errorf("round %d: %s, %v", round, x.Status, err)
				}
			})
		}
		done.Wait()
		if finished.Load() == 0 || both.Load() > 0 || f.repeats() > 0 || len(f.n) != 10 {
			t.Errorf("round %d: %d finished, %d steps at the same time, runs %v", round, finished.Load(), both.Load(), f.n)
		}
	}
}

func TestShutdownGivesTheLeaseBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		defer b.store.Close()
		var attempts atomic.Int64
		unwound := false
		fn := func(c *workflow.Context, _ int) (int, error) {
			defer func() { unwound = true }()
			if _, err := workflow.Step(c, "finishes", nil, func(s *workflow.StepContext) (int, error) {
				if attempts.Add(1) == 1 {
					<-s.Done()
				}
				return 1, nil // done in spite of the shutdown: recorded
			}); err != nil {
				return 0, err
			}
			return workflow.Step(c, "fails", nil, func(s *workflow.StepContext) (int, error) {
				if attempts.Add(1) == 2 {
					<-s.Done()
					return 0, mgx.Errorf(mgx.KindProvider, "connection", "the connection broke: %w", s.Err())
				}
				return 2, nil
			})
		}
		workflow.Register(b.engine, "main", fn)
		second := b.newEngine("second", b.store)
		workflow.Register(second, "main", fn)
		b.start(0)
		for i := range 2 {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Minute, cancel)
			if _, err := b.engine.Drive(ctx, b.run, b.root); !errors.Is(err, context.Canceled) {
				t.Fatalf("drive %d: %v, want canceled", i, err)
			}
		}
		if x, _ := b.store.Execution(t.Context(), b.root); x.Owner != "" || x.Status != mgx.ExecReady || !unwound {
			t.Errorf("after shutdown: %+v, deferred functions ran: %t", x, unwound)
		}
		if b.names() != "finishes" {
			t.Errorf("recorded %s, want only the step that succeeded", b.names())
		}
		begin := time.Now()
		wantDone(t, b.driveBy(second), `2`)
		if time.Since(begin) > time.Second {
			t.Errorf("the other process had to wait %s", time.Since(begin))
		}
	})
}

func TestServeWorksOnEverything(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		defer b.store.Close()
		var most, now atomic.Int64
		workflow.Register(b.engine, "main", func(c *workflow.Context, n int) (int, error) {
			if err := workflow.Sleep(c, "nap", time.Minute); err != nil {
				return 0, err
			}
			return workflow.Step(c, "s", n, func(*workflow.StepContext) (int, error) {
				most.Store(max(most.Load(), now.Add(1)))
				defer now.Add(-1)
				time.Sleep(time.Second)
				return n * 2, nil
			})
		})
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error)
		go func() { served <- b.engine.Serve(ctx, 3) }()
		var ids []mgx.ExecutionID
		for i := range 10 {
			x := mgx.Execution{Workflow: "main", Input: json.RawMessage(fmt.Sprint(i))}
			x.Workspace, x.Execution = mgx.DefaultWorkspace, mgx.NewExecutionID()
			ids = append(ids, x.Execution)
			if err := b.engine.Start(t.Context(), x); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Minute)
		for i, id := range ids {
			x, err := b.store.Execution(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			wantDone(t, x, fmt.Sprint(2*i))
		}
		if most.Load() != 3 {
			t.Errorf("%d steps ran at once, want 3", most.Load())
		}
		cancel()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

func TestUnknownWorkflowIsLeftAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	workflow.Register(b.engine, "main", func(*workflow.Context, int) (int, error) { return 1, nil })
	b.start(0)
	older := b.newEngine("older", b.store)
	if _, err := older.Drive(t.Context(), b.run, b.root); !mgx.IsCode(err, "unknown_workflow") {
		t.Errorf("drive: %v, want unknown_workflow", err)
	}
	if err := older.Start(t.Context(), mgx.Execution{Scope: mgx.Scope{Workspace: "ws", Execution: "exec_x"}, Workflow: "main"}); !mgx.IsCode(err, "unknown_workflow") {
		t.Errorf("start: %v, want unknown_workflow", err)
	}
	wantDone(t, b.drive(), `1`)
}
