package workflow

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"mgx"
)

// Store is what the engine needs of durable storage.
//
// Commit applies a change whole or not at all. Claim gives the lease of one due
// execution under a term higher than all before; Heartbeat extends it, and both
// Heartbeat and Commit refuse with mgx.CodeFenced once the lease is lost. A signal
// that is queued before an execution parks makes it due as one that comes later
// does. Changed returns a channel that is closed by the next change made through
// this Store; Version differs after any change, also by another process.
type Store interface {
	Commit(ctx context.Context, c mgx.Change) (mgx.Committed, error)
	Claim(ctx context.Context, r mgx.ClaimRequest) (mgx.Execution, bool, error)
	Heartbeat(ctx context.Context, l mgx.Lease, until time.Time) (cancelWhy string, err error)
	Execution(ctx context.Context, id mgx.ExecutionID) (mgx.Execution, error)
	Journal(ctx context.Context, id mgx.ExecutionID) ([]mgx.StepRecord, error)
	Signals(ctx context.Context, id mgx.ExecutionID, name string) ([]mgx.Signal, error)
	NextWake(ctx context.Context, run mgx.RunID) (time.Time, bool, error)
	Changed() <-chan struct{}
	Version(ctx context.Context) (int64, error)
}

// Options configure an engine.
type Options struct {
	// Owner names this engine in leases. It must be unique among all engines
	// that ever share the store, so a process id alone is not enough.
	Owner string
	// TTL is how long a lease lasts without a heartbeat; 15 s when zero. A third
	// of it passes between heartbeats.
	TTL time.Duration
	// Alive says whether the owner of an unexpired lease may still be working;
	// nil takes every owner for alive until its lease expires.
	Alive func(owner string) bool
	// Log receives what no caller is told: stacks of panics, lost leases.
	Log *slog.Logger
}

// Engine works on executions. Its methods may be called from any goroutine;
// [Register] belongs before the first of them.
type Engine struct {
	store     Store
	options   Options
	workflows map[string]workflow

	mu     sync.Mutex
	claims map[mgx.ExecutionID]*claim // worked on right now
}

// workflow is a registered function, with its types erased.
type workflow struct {
	call  func(*Context, json.RawMessage) (any, error)
	onEnd func(context.Context, mgx.Execution) ([]mgx.Event, error)
}

// New returns an engine that keeps everything in store.
func New(store Store, o Options) *Engine {
	if o.TTL <= 0 {
		o.TTL = 15 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Engine{
		store:     store,
		options:   o,
		workflows: map[string]workflow{},
		claims:    map[mgx.ExecutionID]*claim{},
	}
}

// RegisterOption adds to what the engine does for a workflow.
type RegisterOption func(*workflow)

// OnEnd adds events to the transaction that ends an execution of the workflow.
// The execution it is given has its final Status, Result and Failure. An error
// leaves the execution as it was, to be ended by a later claim.
func OnEnd(f func(ctx context.Context, x mgx.Execution) ([]mgx.Event, error)) RegisterOption {
	return func(w *workflow) { w.onEnd = f }
}

// Register makes fn known as the workflow name. It panics when the name is taken.
func Register[I, O any](e *Engine, name string, fn func(*Context, I) (O, error), opts ...RegisterOption) {
	if _, taken := e.workflows[name]; taken || name == "" {
		panic("workflow: the name " + name + " is empty or registered twice")
	}
	w := workflow{call: func(c *Context, input json.RawMessage) (any, error) {
		var in I
		if len(input) > 0 {
			if err := json.Unmarshal(input, &in); err != nil {
				return nil, mgx.Errorf(mgx.KindUsage, "bad_input", "the input of workflow %s does not decode: %w", name, err)
			}
		}
		return fn(c, in)
	}}
	for _, opt := range opts {
		opt(&w)
	}
	e.workflows[name] = w
}

// Start creates an execution that is due now, together with the events given
// and, within a run, workflow.started after them. Execution, Workspace and
// Workflow must be set; an id that exists is refused with mgx.CodeConflict.
func (e *Engine) Start(ctx context.Context, x mgx.Execution, events ...mgx.Event) error {
	return e.StartFrom(ctx, x, nil, events...)
}

// StartFrom is Start with a journal taken over from another execution of the same
// workflow: what it records is not done again.
func (e *Engine) StartFrom(ctx context.Context, x mgx.Execution, journal []mgx.StepRecord, events ...mgx.Event) error {
	if x.Execution == "" || x.Workspace == "" {
		return mgx.Errorf(mgx.KindInternal, "bad_execution", "an execution needs an id and a workspace")
	}
	if _, known := e.workflows[x.Workflow]; !known {
		return unknownWorkflow(x.Workflow)
	}
	x, started := begun(x)
	taken := slices.Clone(journal)
	for i := range taken {
		taken[i].Execution = x.Execution
	}
	_, err := e.store.Commit(ctx, mgx.Change{Create: []mgx.Execution{x}, Events: append(events, started...), Steps: taken})
	return err
}

// begun fills what a new execution needs to be due, and returns the event that
// says it exists.
func begun(x mgx.Execution) (mgx.Execution, []mgx.Event) {
	now := mgx.Now()
	x.Status, x.WakeAt, x.CreatedAt, x.UpdatedAt = mgx.ExecReady, now, now, now
	if x.Run == "" {
		return x, nil
	}
	return x, []mgx.Event{x.Scope.Event(mgx.WorkflowStarted, mgx.WorkflowStartedData{Workflow: x.Workflow, Trigger: "manual"})}
}

// Signal queues a message for an execution, which takes it with [Await], and
// commits the events with it.
func (e *Engine) Signal(ctx context.Context, x mgx.ExecutionID, name string, payload any, events ...mgx.Event) error {
	data, err := json.Marshal(payload)
	if err != nil {
		return mgx.Errorf(mgx.KindInternal, "bad_signal", "the payload of signal %s is not JSON: %w", name, err)
	}
	_, err = e.store.Commit(ctx, mgx.Change{Events: events, Signals: []mgx.Signal{{
		ID: mgx.NewSignalID(), Execution: x, Name: name, Payload: data, SentAt: mgx.Now(),
	}}})
	return err
}

// Cancel asks an execution and its children to stop. Those in this process stop
// at once, others when their worker next looks (within a second), and those that
// nobody works on at their next claim, without running again. The events are
// committed with what is asked of x.
func (e *Engine) Cancel(ctx context.Context, x mgx.ExecutionID, why string, events ...mgx.Event) error {
	return e.cancel(ctx, mgx.Change{Events: events}.In(ctx).Workspace, x, why, events...)
}

// cancel is Cancel of an execution of a workspace; empty: it is not known which.
func (e *Engine) cancel(ctx context.Context, ws mgx.WorkspaceID, x mgx.ExecutionID, why string, events ...mgx.Event) error {
	if why == "" {
		why = "no reason given"
	}
	if _, err := e.store.Commit(ctx, mgx.Change{Workspace: ws, Events: events, Cancel: &mgx.CancelRequest{Execution: x, Why: why}}); err != nil {
		return err
	}
	if c := e.claimed(x); c != nil {
		c.stop(cancelled(why))
	}
	records, err := e.store.Journal(ctx, x)
	if err != nil {
		return err
	}
	for _, child := range newJournal(records).openChildren() {
		if err := e.cancel(ctx, ws, child, why); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) claimed(x mgx.ExecutionID) *claim {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.claims[x]
}

func unknownWorkflow(name string) *mgx.Error {
	return mgx.Errorf(mgx.KindConfig, "unknown_workflow", "this version of mgx does not know the workflow %q; use the version that started it, or a newer one", name)
}
