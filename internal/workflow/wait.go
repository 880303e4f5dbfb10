package workflow

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"mgx"
)

// wait is one branch that cannot go on yet.
type wait struct {
	signal string    // empty: for the time alone
	until  time.Time // zero: for the signal alone
}

// Sleep returns after d. The time at which it ends is recorded when it begins,
// so that a crash neither shortens nor lengthens it.
func Sleep(c *Context, name string, d time.Duration) error {
	defer c.enter()()
	name = c.name(name)
	sum := c.digest(mgx.StepSleep, name, d)
	r := c.find(name, mgx.StepSleep, sum)
	if r == nil {
		r = c.sleep(name, sum, d)
	}
	_, err := result[struct{}](c, r)
	return err
}

func (c *Context) sleep(name, sum string, d time.Duration) *mgx.StepRecord {
	cl := c.claim
	opened, until := c.deadline(name, mgx.StepSleep, sum, d)
	for time.Now().Before(until) {
		cl.wait(&wait{until: until}, cl.engine.look(cl.ctx))
	}
	return cl.record(mgx.StepRecord{Name: name, Kind: mgx.StepSleep, Input: sum, Attempts: 1, StartedAt: opened.StartedAt}, mgx.Change{})
}

// deadline returns the record that opens a wait of length d, written now if
// there is none, and when the wait is over.
func (c *Context) deadline(name string, kind mgx.StepKind, sum string, d time.Duration) (*mgx.StepRecord, time.Time) {
	r := c.opened(name)
	if r == nil {
		now := mgx.Now()
		out, _ := json.Marshal(now.Add(max(d, 0)))
		r = c.claim.record(mgx.StepRecord{Name: name + opening, Kind: kind, Input: sum, Output: out, Attempts: 1, StartedAt: now},
			mgx.Change{Events: c.claim.started(name, kind, 1)})
	}
	until, err := result[time.Time](c, r)
	if err != nil {
		c.claim.fail(mgx.AsError(err)) // the store refused to note the time
	}
	return r, until
}

// opened returns the opening record of a wait that is not over, or nil.
func (c *Context) opened(name string) *mgx.StepRecord {
	c.claim.mu.Lock()
	defer c.claim.mu.Unlock()
	if e := c.claim.journal.open[name]; e != nil {
		return &e.StepRecord
	}
	return nil
}

// Await returns the payload of the next signal of that name, in the order in
// which signals were sent; one that came before is taken at once. After timeout
// (0: never) it returns an error with mgx.CodeTimedOut. It is recorded as
// "await/" and the signal, numbered from the second time on.
func Await[T any](c *Context, signal string, timeout time.Duration) (T, error) {
	defer c.enter()()
	name := "await/" + signal
	if c.awaits[signal]++; c.awaits[signal] > 1 {
		name = fmt.Sprintf("%s#%d", name, c.awaits[signal])
	}
	name = c.name(name)
	sum := c.digest(mgx.StepAwait, name, struct {
		Signal  string        `json:"signal"`
		Timeout time.Duration `json:"timeout_ns"`
	}{signal, timeout})
	r := c.find(name, mgx.StepAwait, sum)
	if r == nil {
		r = c.await(mgx.StepRecord{Name: name, Kind: mgx.StepAwait, Input: sum}, signal, timeout)
	}
	return result[T](c, r)
}

func (c *Context) await(r mgx.StepRecord, signal string, timeout time.Duration) *mgx.StepRecord {
	r.Attempts, r.StartedAt = 1, mgx.Now()
	if got := c.claim.take(signal, r, payload); got != nil {
		return got
	}
	var until time.Time
	if timeout > 0 {
		var opened *mgx.StepRecord
		opened, until = c.deadline(r.Name, r.Kind, r.Input, timeout)
		r.StartedAt = opened.StartedAt
	}
	if got := c.claim.takeUntil(until, signal, r, payload); got != nil {
		return got
	}
	r.Failure = mgx.Errorf(mgx.KindStopped, mgx.CodeTimedOut, "no signal %s came within %s", signal, timeout)
	return c.claim.record(r, mgx.Change{})
}

func payload(s mgx.Signal, r *mgx.StepRecord) { r.Output = s.Payload }

// Poll takes the oldest signal of a name if there is one by now, and records that
// under the name of the step. When there is none it records nothing and reports
// false; the function must then do the step named next, whose record tells a replay
// that there was none.
func Poll[T any](c *Context, name, signal, next string) (v T, ok bool, err error) {
	defer c.enter()()
	name, next = c.name(name), c.name(next)
	r := c.poll(name, next, signal)
	if r == nil {
		return v, false, nil
	}
	v, err = result[T](c, r)
	return v, err == nil, err
}

func (c *Context) poll(name, next, signal string) *mgx.StepRecord {
	sum := c.digest(mgx.StepAwait, name, struct {
		Signal string `json:"signal"`
	}{signal})
	cl := c.claim
	cl.mu.Lock()
	taken, passed := cl.journal.closed[name] != nil, cl.journal.closed[next] != nil
	cl.mu.Unlock()
	switch {
	case taken:
		return c.find(name, mgx.StepAwait, sum)
	case passed || cl.offline:
		return nil
	}
	r := cl.take(signal, mgx.StepRecord{Name: name, Kind: mgx.StepAwait, Input: sum, Attempts: 1, StartedAt: mgx.Now()}, payload)
	if r != nil {
		cl.mu.Lock()
		defer cl.mu.Unlock()
		cl.used[name] = true
	}
	return r
}

// takeUntil waits for a signal and takes it; nil says that until (zero: never)
// has passed.
func (c *claim) takeUntil(until time.Time, signal string, r mgx.StepRecord, fill func(mgx.Signal, *mgx.StepRecord)) *mgx.StepRecord {
	for {
		from := c.engine.look(c.ctx)
		if got := c.take(signal, r, fill); got != nil {
			return got
		}
		if !until.IsZero() && !time.Now().Before(until) {
			return nil
		}
		c.wait(&wait{signal: signal, until: until}, from)
	}
}

// take records the oldest signal of a name as the result of r, in the change
// that consumes it. It returns nil when there is none.
func (c *claim) take(signal string, r mgx.StepRecord, fill func(mgx.Signal, *mgx.StepRecord)) *mgx.StepRecord {
	c.recording <- struct{}{} // so that two branches never take the same one
	defer func() { <-c.recording }()
	c.leaveIfStopped()
	queued, err := c.engine.store.Signals(c.ctx, c.x.Execution, signal)
	if err != nil {
		c.stop(&stop{fate: released, err: err})
		c.leaveIfStopped()
	}
	if len(queued) == 0 {
		return nil
	}
	fill(queued[0], &r)
	return c.recordHeld(r, mgx.Change{Consume: []mgx.SignalID{queued[0].ID}})
}

// wait returns when w may be over: its time has come or something has happened
// in the store since from. When no branch of the claim has anything else to do
// it parks the execution instead.
func (c *claim) wait(w *wait, from look) {
	c.mu.Lock()
	c.waits[w] = struct{}{}
	c.rest()
	c.mu.Unlock()

	c.engine.watch(c.ctx, from, w.until, nil)

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		c.leave() // w stays: park writes it down
	}
	delete(c.waits, w)
	c.active++
}

// rest takes one branch out of the active ones, and parks the execution when
// none is left; the caller holds mu.
func (c *claim) rest() {
	c.active--
	if c.active == 0 && len(c.waits) > 0 {
		c.stop(&stop{fate: parked})
	}
}

// wanted returns when a parked execution is due, and the signals that make it
// due earlier.
func (c *claim) wanted() (wake time.Time, signals []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for w := range c.waits {
		if w.signal != "" {
			signals = append(signals, w.signal)
		}
		if !w.until.IsZero() && (wake.IsZero() || w.until.Before(wake)) {
			wake = w.until
		}
	}
	slices.Sort(signals)
	return wake, slices.Compact(signals)
}
