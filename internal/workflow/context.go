package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"mgx"
)

// Context is a workflow function's way to the engine: one line of decisions,
// each made after the one before has its result. [Parallel] gives each branch a
// Context of its own.
type Context struct {
	claim  *claim
	prefix string         // of the names of this branch's steps
	awaits map[string]int // how often each signal was awaited here
	groups int            // how often Parallel was called here
	busy   atomic.Bool    // inside a call
}

func newContext(c *claim, prefix string) *Context {
	return &Context{claim: c, prefix: prefix, awaits: map[string]int{}}
}

// Scope says which execution this is.
func (c *Context) Scope() mgx.Scope { return c.claim.x.Scope }

// Context ends when the execution is cancelled, passes its deadline, parks or
// loses its lease, or when the process stops.
func (c *Context) Context() context.Context { return c.claim.ctx }

// Live reports whether everything recorded has been asked for again, so that
// what follows happens for the first time.
func (c *Context) Live() bool { return c.claim.live() }

// BeforeLive has f called once, just before the first step that this claim
// really runs, to put back in place what steps rely on and the journal does not
// hold, such as files. Its error fails the execution.
func (c *Context) BeforeLive(f func(ctx context.Context) error) {
	c.claim.mu.Lock()
	defer c.claim.mu.Unlock()
	c.claim.hooks = append(c.claim.hooks, f)
}

// enter guards a call: a Context belongs to one line of decisions, so a call
// inside another one (in a step, or on the parent's Context in a branch) would
// make the order of things a matter of luck.
func (c *Context) enter() (leave func()) {
	c.claim.leaveIfStopped()
	if !c.busy.CompareAndSwap(false, true) {
		c.claim.fail(mgx.Errorf(mgx.KindInternal, "nested_call", "a workflow called its engine inside a step, or used the outer Context in a Parallel branch"))
	}
	return func() { c.busy.Store(false) }
}

// name checks a step's name and puts it into its branch.
func (c *Context) name(name string) string {
	full := c.prefix + name
	if name == "" || len(full) > maxName || !utf8.ValidString(name) || strings.HasSuffix(name, opening) {
		c.claim.fail(mgx.Errorf(mgx.KindInternal, "bad_step_name", "the step name %.64q is empty, longer than %d bytes with its branch, not UTF-8 or ends in %q", name, maxName, opening))
	}
	return full
}

func (c *Context) digest(kind mgx.StepKind, name string, input any) string {
	sum, err := digest(kind, input)
	if err != nil {
		c.claim.fail(mgx.Errorf(mgx.KindInternal, "bad_input", "the input of step %s is not JSON: %w", name, err))
	}
	return sum
}

// find returns the record under a name, or nil when the step is yet to be done.
// It ends the execution when the journal and the code differ.
func (c *Context) find(name string, kind mgx.StepKind, sum string) *mgx.StepRecord {
	cl := c.claim
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.used[name] {
		cl.stop(failed(mgx.Errorf(mgx.KindInternal, "duplicate_step", "the workflow used the step name %s twice; number the steps of a loop", name)))
		cl.leave()
	}
	cl.used[name] = true
	done, open := cl.journal.closed[name], cl.journal.open[name]
	for _, e := range []*entry{done, open} {
		if e != nil && (e.Kind != kind || e.Input != sum) {
			cl.differ(name, describe(e.Kind, e.Input), describe(kind, sum))
		}
		cl.journal.read(e)
	}
	if done != nil {
		cl.compared++
		return &done.StepRecord
	}
	if skipped := cl.journal.firstUnread(c.prefix); skipped != nil {
		cl.differ(skipped.Name, describe(skipped.Kind, skipped.Input), fmt.Sprintf("step %s (%s)", name, describe(kind, sum)))
	}
	if cl.offline {
		cl.reachFrontier(name)
	}
	return nil
}

func describe(kind mgx.StepKind, sum string) string {
	return fmt.Sprintf("%s with input %s", kind, sum)
}

// result turns a record into what the call returns: the same, whether the
// record was just written or read from the journal.
func result[T any](c *Context, r *mgx.StepRecord) (T, error) {
	var v T
	if r.Failure != nil {
		f := *r.Failure
		f.Err = nil // a cause is not recorded, so it may not be seen once either
		return v, &f
	}
	if len(r.Output) == 0 {
		return v, nil
	}
	if err := json.Unmarshal(r.Output, &v); err != nil {
		c.claim.fail(nondeterministic("the record of step %s does not decode as %T: %w", r.Name, v, err))
	}
	return v, nil
}
