package workflow

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"mgx"
)

// ReplayReport says whether a workflow's code still decides as it did.
type ReplayReport struct {
	Steps      int         `json:"steps"` // records compared, those of children included
	Identical  bool        `json:"identical"`
	Difference *Difference `json:"difference,omitempty"` // the first
}

// Difference is a place where code and journal part.
type Difference struct {
	Execution mgx.ExecutionID `json:"execution"`
	Step      string          `json:"step"` // empty: the result of the whole execution
	Recorded  string          `json:"recorded"`
	Asked     string          `json:"asked"` // what the code asks for now
}

// Replay calls the function of an execution again, and those of its children,
// with what their journals hold. It runs no step and writes nothing. An
// execution that has not ended, or was stopped from outside, is compared as far
// as its journal goes.
func (e *Engine) Replay(ctx context.Context, id mgx.ExecutionID) (ReplayReport, error) {
	x, err := e.store.Execution(ctx, id)
	if err != nil {
		return ReplayReport{}, err
	}
	c := e.newClaim(ctx, x)
	defer context.AfterFunc(ctx, func() { c.stop(&stop{fate: released}) })()
	defer c.cancel(nil)
	c.offline = true
	if c.workflow.call == nil {
		return ReplayReport{}, unknownWorkflow(x.Workflow)
	}
	if !c.load() {
		return ReplayReport{}, c.cause()
	}
	report := c.compare()
	if ctx.Err() != nil {
		return ReplayReport{}, ctx.Err()
	}
	return e.replayChildren(ctx, c, report)
}

func (e *Engine) replayChildren(ctx context.Context, c *claim, report ReplayReport) (ReplayReport, error) {
	for _, id := range c.journal.children() {
		if !report.Identical {
			break
		}
		below, err := e.Replay(ctx, id)
		if err != nil {
			return report, err
		}
		report.Steps += below.Steps
		report.Identical, report.Difference = below.Identical, below.Difference
	}
	return report, nil
}

// compare runs the function and holds what it does against the journal, then
// what it returns against the row.
func (c *claim) compare() ReplayReport {
	result, why := c.invoke()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.diff == nil {
		c.compareEnd(result, why)
	}
	if c.diff != nil {
		c.diff.Execution = c.x.Execution
	}
	return ReplayReport{Steps: c.compared, Identical: c.diff == nil, Difference: c.diff}
}

func (c *claim) compareEnd(result json.RawMessage, why *stop) {
	stopped := !c.x.Status.Ended() || c.x.Status == mgx.ExecCancelled || c.x.Failure != nil && ours[c.x.Failure.Code]
	recorded := outcome(c.x.Result, c.x.Failure)
	if why != nil && why.fate == parked { // at a step without a record
		if unread := c.journal.firstUnread(""); unread != nil {
			c.note(unread.Name, describe(unread.Kind, unread.Input), fmt.Sprintf("step %s, which has no record", c.frontier))
		} else if !stopped {
			c.note(c.frontier, recorded, "this step")
		}
		return
	}
	now := outcome(result, nil)
	if why != nil {
		now = outcome(nil, why.failure)
	}
	if recorded != now && !stopped {
		c.note("", recorded, now)
	}
}

// ours are the codes of failures that the engine ends an execution with,
// wherever its function was at that time.
var ours = map[string]bool{
	mgx.CodeCancelled: true, mgx.CodeTimedOut: true, "nondeterministic": true, "panic": true,
	"restore_failed": true, "nested_call": true, "duplicate_step": true, "bad_step_name": true,
	"bad_input": true, "too_many_steps": true, "too_many_branches": true, "unknown_workflow": true,
}

// outcome describes how a function ended, for comparing and for people.
func outcome(result json.RawMessage, failure *mgx.Error) string {
	if failure != nil {
		return fmt.Sprintf("failure %s: %s", failure.Code, failure.Message)
	}
	if len(result) == 0 {
		result = json.RawMessage("null")
	}
	sorted, err := canonical(json.RawMessage(bytes.TrimSpace(result)))
	if err != nil {
		return "result " + string(result)
	}
	return "result " + string(sorted)
}

// reachFrontier leaves a replay at the first step of a branch that has no
// record; the caller holds mu.
func (c *claim) reachFrontier(name string) {
	if c.frontier == "" {
		c.frontier = name
	}
	c.leave()
}
