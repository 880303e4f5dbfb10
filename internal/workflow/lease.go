package workflow

import (
	"context"
	"time"

	"mgx"
)

// cancelPoll is how often a worker looks whether its execution was cancelled by
// another process, and the longest time between heartbeats' worth of news.
const cancelPoll = 500 * time.Millisecond

// keepLease extends the lease until the function it returns is called. It goes
// on while the workflow function is being left, since that writes too.
func (c *claim) keepLease() (done func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(c.ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.beat(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// beat sends heartbeats and looks for a cancel in between. A lease that cannot
// be extended in time counts as lost, also while a heartbeat hangs.
func (c *claim) beat(ctx context.Context) {
	ttl := c.engine.options.TTL
	expiry := time.AfterFunc(time.Until(c.x.LeaseUntil), func() { c.stop(&stop{fate: lost}) })
	defer expiry.Stop()
	beats, looks := time.NewTicker(ttl/3), time.NewTicker(min(ttl/3, cancelPoll))
	defer beats.Stop()
	defer looks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beats.C:
			c.heartbeat(ctx, expiry)
		case <-looks.C:
			c.lookForCancel(ctx)
		}
	}
}

func (c *claim) heartbeat(ctx context.Context, expiry *time.Timer) {
	until := mgx.Now().Add(c.engine.options.TTL)
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	why, err := c.engine.store.Heartbeat(ctx, c.lease, until)
	switch {
	case mgx.IsCode(err, mgx.CodeFenced):
		c.stop(&stop{fate: lost})
	case err != nil && ctx.Err() == nil:
		c.log.Warn("heartbeat failed", "error", err)
	case err == nil:
		expiry.Reset(time.Until(until))
		c.heed(why)
	}
}

func (c *claim) lookForCancel(ctx context.Context) {
	x, err := c.engine.store.Execution(ctx, c.x.Execution)
	if err == nil {
		c.heed(x.CancelWhy)
	}
}

func (c *claim) heed(cancelWhy string) {
	if cancelWhy != "" {
		c.stop(cancelled(cancelWhy))
	}
}

// resumed is the event that says that work on a run goes on: after a wait, or
// after a process that left it ready. A claim that only collects the result of a
// child is no news, since the run was at work all the time.
func (c *claim) resumed() (mgx.Event, bool) {
	if c.x.Term <= 1 || !c.tellsWaiting(c.x.Awaits) {
		return mgx.Event{}, false
	}
	return c.x.Scope.Event(mgx.WorkflowResumed, mgx.ResumedData{Reason: c.wakeReason()}), true
}

func (c *claim) wakeReason() string {
	for _, name := range c.x.Awaits {
		if queued, err := c.engine.store.Signals(c.ctx, c.x.Execution, name); err == nil && len(queued) > 0 {
			return "signal"
		}
	}
	for name, e := range c.journal.open {
		if until, ok := timeOf(e.Output); ok && c.journal.closed[name] == nil && !time.Now().Before(until) {
			return "timer"
		}
	}
	return "takeover"
}
