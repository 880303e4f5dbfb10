package workflow

import (
	"encoding/json"

	"mgx"
)

// childSignal begins the name of the signal by which a child that ended tells
// its parent; the child's id follows.
const childSignal = "child/"

// Child runs another workflow as an execution of its own, with its own journal
// and lease, and returns its result. It is created once, in the transaction that
// records its id. A child that failed or was cancelled returns its failure.
// Cancelling the parent cancels it. It has the parent's deadline; the parent's
// own clock stands still while it waits for nothing but children.
func Child[I, O any](c *Context, name, workflow string, input I) (O, error) {
	return result[O](c, c.child(name, workflow, input))
}

func (c *Context) child(name, workflow string, input any) *mgx.StepRecord {
	defer c.enter()()
	name = c.name(name)
	sum := c.digest(mgx.StepChild, name, struct {
		Workflow string `json:"workflow"`
		Input    any    `json:"input"`
	}{workflow, input})
	if r := c.find(name, mgx.StepChild, sum); r != nil {
		return r
	}
	r := mgx.StepRecord{Name: name, Kind: mgx.StepChild, Input: sum, Attempts: 1, StartedAt: mgx.Now()}
	start := c.opened(name)
	if start == nil {
		start = c.claim.startChild(r, workflow, input)
	}
	child, err := result[childStart](c, start)
	if err != nil { // the store refused to create it
		r.Failure = mgx.AsError(err)
		return c.claim.record(r, mgx.Change{})
	}
	r.StartedAt = start.StartedAt
	return c.claim.takeEnd(child.Execution, r)
}

// startChild creates the child and records its id, in one change.
func (c *claim) startChild(r mgx.StepRecord, workflow string, input any) *mgx.StepRecord {
	if _, known := c.engine.workflows[workflow]; !known {
		c.fail(unknownWorkflow(workflow))
	}
	data, err := json.Marshal(input)
	if err != nil {
		c.fail(mgx.Errorf(mgx.KindInternal, "bad_input", "the input of child %s is not JSON: %w", r.Name, err))
	}
	x := mgx.Execution{Scope: c.x.Scope, Parent: c.x.Execution, ParentStep: r.Name, Workflow: workflow, Input: data, Deadline: c.x.Deadline}
	x.Execution = mgx.NewExecutionID()
	x, events := begun(x)
	events = append(c.started(r.Name, r.Kind, 1), events...)
	r.Name += opening
	r.Output, _ = json.Marshal(childStart{Execution: x.Execution})
	return c.record(r, mgx.Change{Create: []mgx.Execution{x}, Events: events})
}

// childEnd is the payload of the signal that tells a parent.
type childEnd struct {
	Result  json.RawMessage `json:"result,omitempty"`
	Failure *mgx.Error      `json:"failure,omitempty"`
}

// childEnded is the signal to the parent of x, which has ended.
func childEnded(x mgx.Execution) mgx.Signal {
	data, _ := json.Marshal(childEnd{Result: x.Result, Failure: x.Failure})
	return mgx.Signal{ID: mgx.NewSignalID(), Execution: x.Parent, Name: childSignal + string(x.Execution), Payload: data, SentAt: mgx.Now()}
}

func (c *claim) takeEnd(child mgx.ExecutionID, r mgx.StepRecord) *mgx.StepRecord {
	return c.takeUntil(never, childSignal+string(child), r, func(s mgx.Signal, r *mgx.StepRecord) {
		var end childEnd
		if err := json.Unmarshal(s.Payload, &end); err != nil {
			end.Failure = mgx.Errorf(mgx.KindInternal, "bad_signal", "what child %s returned does not decode: %w", child, err)
		}
		r.Output, r.Failure = end.Result, end.Failure
	})
}
