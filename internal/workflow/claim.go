package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"mgx"
)

// claim is one call of a workflow function under one lease: what it has
// recorded, who of its branches waits for what, and why it is left if it is.
type claim struct {
	engine   *Engine
	workflow workflow
	x        mgx.Execution
	lease    mgx.Lease
	ctx      context.Context // ends with a *stop as its cause
	cancel   context.CancelCauseFunc
	offline  bool // a replay: nothing is run or written
	log      *slog.Logger

	before    <-chan struct{} // closed when an earlier claim here has ended; nil: there is none
	done      chan struct{}   // closed when this one has
	recording chan struct{}   // held around each record's commit, so that its order is known
	restoring chan struct{}   // held while hooks run

	mu       sync.Mutex
	journal  *journal
	used     map[string]bool
	missed   bool // something without a record was asked for
	left     bool // an unwinding was begun
	hooks    []func(context.Context) error
	active   int // branches that are not waiting
	waits    map[*wait]struct{}
	compared int         // records asked for again
	frontier string      // offline: the first step without a record
	diff     *Difference // between the journal and the code
}

func (e *Engine) newClaim(ctx context.Context, x mgx.Execution) *claim {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	return &claim{
		engine: e, workflow: e.workflows[x.Workflow], x: x, ctx: ctx, cancel: cancel,
		lease:     mgx.Lease{Execution: x.Execution, Owner: e.options.Owner, Term: x.Term},
		log:       e.options.Log.With("workspace_id", x.Workspace, "task_id", x.Task, "run_id", x.Run, "execution_id", x.Execution, "trace_id", x.Run.TraceID()),
		done:      make(chan struct{}),
		recording: make(chan struct{}, 1),
		restoring: make(chan struct{}, 1),
		journal:   newJournal(nil),
		used:      map[string]bool{},
		active:    1,
		waits:     map[*wait]struct{}{},
	}
}

// work makes one claim of an execution and leaves it parked, released or ended.
// The error says that this machine could not go on.
func (e *Engine) work(ctx context.Context, x mgx.Execution) error {
	c := e.newClaim(ctx, x)
	defer context.AfterFunc(ctx, func() { c.stop(&stop{fate: released}) })()
	defer c.cancel(nil)
	defer e.enlist(c)()
	defer c.keepLease()()
	result, why := c.run()
	return c.finish(result, why)
}

// enlist makes a claim the one that Cancel reaches, until the function it
// returns is called. An earlier claim of the same execution in this process has
// lost its lease; the new one begins when that one's step has returned.
func (e *Engine) enlist(c *claim) (dismiss func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if before := e.claims[c.x.Execution]; before != nil {
		before.stop(&stop{fate: lost})
		c.before = before.done
	}
	e.claims[c.x.Execution] = c
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		close(c.done)
		if e.claims[c.x.Execution] == c {
			delete(e.claims, c.x.Execution)
		}
	}
}

// run calls the function. It returns either the JSON of its result or why there
// is none.
func (c *claim) run() (json.RawMessage, *stop) {
	if why := c.begin(); why != nil {
		return nil, why
	}
	if !c.x.Deadline.IsZero() {
		defer time.AfterFunc(time.Until(c.x.Deadline), func() { c.stop(overdue()) }).Stop()
	}
	return c.invoke()
}

// begin does what comes before the function: it settles executions that are not
// to run at all, reads the journal and says that work goes on.
func (c *claim) begin() *stop {
	if c.before != nil {
		<-c.before
	}
	if why := c.cause(); why != nil {
		return why
	}
	switch {
	case c.workflow.call == nil:
		return &stop{fate: released, err: unknownWorkflow(c.x.Workflow)}
	case !c.load():
		return c.cause()
	case c.x.CancelWhy != "":
		return cancelled(c.x.CancelWhy)
	case !c.x.Deadline.IsZero() && !time.Now().Before(c.x.Deadline):
		return overdue()
	}
	if event, ok := c.resumed(); ok {
		if _, err := c.commit(mgx.Change{Events: []mgx.Event{event}}); err != nil {
			c.stop(&stop{fate: released, err: err})
			return c.cause()
		}
	}
	return nil
}

func (c *claim) load() bool {
	records, err := c.engine.store.Journal(context.WithoutCancel(c.ctx), c.x.Execution)
	if err != nil {
		c.stop(&stop{fate: released, err: err})
		return false
	}
	c.journal = newJournal(records)
	return true
}

// invoke runs the function to its return, its unwinding or its panic.
func (c *claim) invoke() (data json.RawMessage, why *stop) {
	var out any
	var err error
	_, crash := c.caught("workflow "+c.x.Workflow, func() { out, err = c.workflow.call(newContext(c, ""), c.x.Input) })
	if crash != nil {
		return nil, failed(crash)
	}
	if why := c.cause(); why != nil && (c.unwound() || err != nil) {
		return nil, why
	}
	if c.unwound() { // offline, at the frontier
		return nil, &stop{fate: parked}
	}
	if err == nil {
		data, err = json.Marshal(out)
	}
	if err != nil {
		return nil, failed(mgx.AsError(err))
	}
	return data, c.unused()
}

// unused returns the failure of a function that ended although its journal
// goes on.
func (c *claim) unused() *stop {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.journal.firstUnread("")
	if e == nil {
		return nil
	}
	return failed(c.note(e.Name, describe(e.Kind, e.Input), "nothing: the function ended"))
}

// stop has the function left as soon as it calls the engine again. The first
// reason holds.
func (c *claim) stop(why *stop) { c.cancel(why) }

// cause returns why the claim was stopped, or nil.
func (c *claim) cause() *stop {
	why, _ := context.Cause(c.ctx).(*stop)
	return why
}

// leaveIfStopped begins the unwinding of a function that was stopped.
func (c *claim) leaveIfStopped() {
	if c.ctx.Err() != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.leave()
	}
}

// leave unwinds; the caller holds mu.
func (c *claim) leave() {
	c.left = true
	panic(unwinding{})
}

func (c *claim) unwound() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left
}

// fail ends the execution with an error that is not the function's to handle,
// and unwinds it.
func (c *claim) fail(err *mgx.Error) {
	c.stop(failed(err))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leave()
}

// differ ends the execution because journal and code differ; the caller holds mu.
func (c *claim) differ(step, recorded, asked string) {
	c.stop(failed(c.note(step, recorded, asked)))
	c.leave()
}

// note keeps the first difference and returns the failure that tells it; the
// caller holds mu.
func (c *claim) note(step, recorded, asked string) *mgx.Error {
	if c.diff == nil {
		c.diff = &Difference{Step: step, Recorded: recorded, Asked: asked}
	}
	return nondeterministic("the workflow's code differs from its journal at step %s: recorded was %s, the code asks for %s; resume with the version of mgx that started it", step, recorded, asked)
}

// live: see Context.Live.
func (c *claim) live() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.offline && (c.missed || c.journal.unread == 0)
}

// goLive runs the hooks that wait for the first step that really runs. Branches
// that come meanwhile wait until the files, or whatever it is, are in place.
func (c *claim) goLive() {
	c.restoring <- struct{}{}
	defer func() { <-c.restoring }()
	c.leaveIfStopped()
	c.mu.Lock()
	hooks := c.hooks
	c.hooks, c.missed = nil, true
	c.mu.Unlock()
	for _, hook := range hooks {
		err := hook(c.ctx)
		c.leaveIfStopped()
		if err != nil {
			e := mgx.AsError(err)
			c.fail(mgx.Errorf(e.Kind, "restore_failed", "what the next step relies on could not be put back: %w", e))
		}
	}
}

// commit applies a change under the lease. It does not end with the claim's
// context, so that work which is done gets recorded also while stopping; nor
// does it wait longer than the lease can last.
func (c *claim) commit(ch mgx.Change) (mgx.Committed, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), c.engine.options.TTL)
	defer cancel()
	ch.Lease, ch.Workspace = &c.lease, c.x.Workspace
	done, err := c.engine.store.Commit(ctx, ch)
	switch {
	case err == nil:
	case mgx.IsCode(err, mgx.CodeFenced):
		c.stop(&stop{fate: lost})
	case repeatable(err):
		c.stop(&stop{fate: released, err: err})
	}
	return done, err
}

// write is commit for what the function cannot go on without: where it fails,
// the function is left.
func (c *claim) write(ch mgx.Change) mgx.Committed {
	done, err := c.commit(ch)
	if err != nil {
		c.leaveIfStopped()
		c.fail(mgx.AsError(err))
	}
	return done
}

// record commits a step's record with what belongs to it. It returns the record
// as it was stored. A result that the store refuses is recorded as the step's
// failure, so that no step can be run for ever.
func (c *claim) record(r mgx.StepRecord, with mgx.Change) *mgx.StepRecord {
	if why := c.cause(); why != nil && why.fate == lost {
		c.leaveIfStopped()
	}
	c.recording <- struct{}{}
	defer func() { <-c.recording }()
	return c.recordHeld(r, with)
}

// recordHeld is record for a caller that holds recording.
func (c *claim) recordHeld(r mgx.StepRecord, with mgx.Change) *mgx.StepRecord {
	r.Execution, r.RecordedAt = c.x.Execution, mgx.Now()
	r.Order = c.nextOrder()
	done, err := c.commit(c.recordChange(r, with))
	if err != nil {
		c.leaveIfStopped()
		r.Output, r.Failure = nil, mgx.AsError(err)
		done = c.write(c.recordChange(r, mgx.Change{}))
	}
	stored := &entry{StepRecord: r, read: true}
	if len(done.Steps) > 0 {
		stored.StepRecord = done.Steps[len(done.Steps)-1]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.journal.add(stored)
	return &stored.StepRecord
}

func (c *claim) nextOrder() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.journal.order >= maxRecords {
		c.stop(failed(mgx.Errorf(mgx.KindInternal, "too_many_steps", "the execution has recorded %d steps, which is the limit", maxRecords)))
		c.leave()
	}
	return c.journal.order + 1
}

// recordChange is the change that stores a record: with it, once it is over,
// workflow.step.completed.
func (c *claim) recordChange(r mgx.StepRecord, with mgx.Change) mgx.Change {
	with.Steps = append(slices.Clip(with.Steps), r)
	if _, opens := openingOf(r); opens || c.x.Run == "" {
		return with
	}
	d := mgx.StepCompletedData{
		Step: r.Name, Kind: r.Kind, Order: r.Order, Status: "done", Attempts: r.Attempts,
		DurationMS: r.RecordedAt.Sub(r.StartedAt).Milliseconds(),
	}
	if r.Failure != nil {
		d.Status, d.Error = "failed", r.Failure.Message
	}
	with.Events = append(slices.Clip(with.Events), c.x.Scope.Event(mgx.WorkflowStepCompleted, d))
	return with
}

// started is the event that opens a step; none outside a run.
func (c *claim) started(name string, kind mgx.StepKind, attempt int) []mgx.Event {
	if c.x.Run == "" {
		return nil
	}
	return []mgx.Event{c.x.Scope.Event(mgx.WorkflowStepStarted, mgx.StepStartedData{Step: name, Kind: kind, Attempt: attempt})}
}

// finish writes what became of the execution.
func (c *claim) finish(result json.RawMessage, why *stop) error {
	if why == nil {
		return c.end(mgx.ExecDone, result, nil)
	}
	switch why.fate {
	case lost:
		c.log.Warn("lease lost; another worker goes on", "term", c.lease.Term)
		return nil
	case parked:
		return c.park()
	case ended:
		c.cancelChildren(why)
		return c.end(why.status, nil, why.failure)
	}
	return errors.Join(why.err, c.release(why.err != nil))
}

// release gives the lease back so that another process can go on at once. When
// something is wrong it leaves a little time before the next try.
func (c *claim) release(trouble bool) error {
	wake := mgx.Now()
	if trouble {
		wake = wake.Add(time.Second)
	}
	_, err := c.commit(mgx.Change{Update: &mgx.ExecutionUpdate{
		Execution: c.x.Execution, Status: mgx.ExecReady, WakeAt: wake, Release: true,
	}})
	if mgx.IsCode(err, mgx.CodeFenced) {
		return nil
	}
	return err
}

// end commits the execution's last state together with everything that follows
// from it. A result that the store refuses becomes a failure.
func (c *claim) end(status mgx.ExecutionStatus, result json.RawMessage, failure *mgx.Error) error {
	ch, err := c.ending(status, result, failure)
	if err != nil {
		return errors.Join(err, c.release(true))
	}
	_, err = c.commit(ch)
	if err != nil && !repeatable(err) && !mgx.IsCode(err, mgx.CodeFenced) && status == mgx.ExecDone {
		return c.end(mgx.ExecFailed, nil, mgx.AsError(err))
	}
	return c.orRelease(err)
}

// ending is the change that ends the execution.
func (c *claim) ending(status mgx.ExecutionStatus, result json.RawMessage, failure *mgx.Error) (mgx.Change, error) {
	x := c.x
	x.Status, x.Result, x.Failure, x.WakeAt, x.Awaits = status, result, failure, time.Time{}, nil
	ch := mgx.Change{Update: &mgx.ExecutionUpdate{
		Execution: x.Execution, Status: status, Result: result, Failure: failure, Release: true,
	}}
	if x.Run != "" {
		ch.Events = append(ch.Events, x.Scope.Event(mgx.WorkflowCompleted, mgx.WorkflowCompletedData{Status: string(status), Steps: c.journal.ended}))
	}
	if x.Parent != "" {
		ch.Signals = []mgx.Signal{childEnded(x)}
	}
	if c.workflow.onEnd == nil {
		return ch, nil
	}
	events, err := c.workflow.onEnd(context.WithoutCancel(c.ctx), x)
	ch.Events = append(ch.Events, events...)
	return ch, err
}

// orRelease says what a failed last write means: nothing when another worker
// has the execution by now, else trouble, and the lease is given back.
func (c *claim) orRelease(err error) error {
	switch {
	case err == nil:
		return nil
	case mgx.IsCode(err, mgx.CodeFenced):
		c.log.Warn("lease lost; another worker goes on", "term", c.lease.Term)
		return nil
	}
	return errors.Join(err, c.release(true))
}

// cancelChildren stops the children of an execution that ends without waiting
// for them.
func (c *claim) cancelChildren(why *stop) {
	for _, id := range c.journal.openChildren() {
		if err := c.engine.cancel(context.WithoutCancel(c.ctx), c.x.Workspace, id, "the parent ended: "+why.failure.Message); err != nil {
			c.log.Error("a child could not be cancelled", "child", id, "error", err)
		}
	}
}

// park leaves the execution waiting for everything that its branches wait for.
func (c *claim) park() error {
	wake, signals := c.wanted()
	ch := mgx.Change{Update: &mgx.ExecutionUpdate{
		Execution: c.x.Execution, Status: mgx.ExecWaiting, WakeAt: wake, Awaits: signals, Release: true,
	}}
	if c.tellsWaiting(signals) {
		d := mgx.WaitingData{For: "timer"}
		if len(signals) > 0 {
			d.For = signals[0]
		}
		if !wake.IsZero() {
			d.Until = &wake
		}
		ch.Events = []mgx.Event{c.x.Scope.Event(mgx.WorkflowWaiting, d)}
	}
	_, err := c.commit(ch)
	return c.orRelease(err)
}

// tellsWaiting reports whether a park is the run's business: only that of its
// root, and not while a child is at work for it.
func (c *claim) tellsWaiting(signals []string) bool {
	return c.x.Run != "" && c.x.Parent == "" && !slices.ContainsFunc(signals, isChildSignal)
}

func isChildSignal(name string) bool { return strings.HasPrefix(name, childSignal) }
