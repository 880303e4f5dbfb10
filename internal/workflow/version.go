package workflow

import (
	"encoding/json"

	"mgx"
)

// Version lets a workflow change while executions of it are under way: it
// returns max in executions that come here for the first time, and 0 in those
// whose journal already goes past this point. The answer is recorded, so that it
// stays the same for all calls with this change in this execution.
//
//	if workflow.Version(c, "two-reviews", 1) >= 1 { … }
func Version(c *Context, change string, max int) int {
	defer c.enter()()
	return c.version("version/"+change, max)
}

func (c *Context) version(name string, max int) int {
	cl := c.claim
	cl.recording <- struct{}{} // two branches may ask at once; one answer is recorded
	defer func() { <-cl.recording }()
	sum := c.digest(mgx.StepVersion, name, nil)
	r, passed := c.versionRecord(name)
	if r == nil {
		v := max
		if passed {
			v = 0
		}
		if cl.offline {
			return v
		}
		out, _ := json.Marshal(v)
		r = cl.recordHeld(mgx.StepRecord{Name: name, Kind: mgx.StepVersion, Input: sum, Output: out, Attempts: 1, StartedAt: mgx.Now()}, mgx.Change{})
	}
	v, err := result[int](c, r)
	if err != nil {
		cl.fail(mgx.AsError(err))
	}
	if v > max {
		cl.fail(nondeterministic("the execution was started with version %d of change %s, and this code knows only %d; resume with the version of mgx that started it", v, name, max))
	}
	return v
}

// versionRecord returns the recorded answer, or whether the journal goes on
// after the place where the question is asked for the first time.
func (c *Context) versionRecord(name string) (r *mgx.StepRecord, passed bool) {
	c.claim.mu.Lock()
	defer c.claim.mu.Unlock()
	j := c.claim.journal
	if e := j.closed[name]; e != nil {
		if !e.read {
			c.claim.compared++
		}
		j.read(e)
		return &e.StepRecord, false
	}
	return nil, j.firstUnread(c.prefix) != nil
}
