package llm

import (
	"context"
	"fmt"
	"time"
)

// admission is the right to make one attempt on a target: past its breakers and
// its limits. It must be given back.
type admission struct {
	key, model pass
	limits     []drawing
	tokens     int64 // taken from each of them
}

// drawing is what an attempt took tokens from.
type drawing struct {
	*limiter
	from *bucket
}

// admit finds the next target that may be tried, and waits for it where there is
// none that may be at once.
func (c *call) admit(ctx context.Context) (*target, *admission, error) {
	for {
		now := c.router.Now()
		t := c.readiest(now)
		if err := c.waitFor(ctx, t, now); err != nil {
			return nil, nil, err
		}
		a, refusal, err := c.ask(ctx, t)
		if err != nil {
			return nil, nil, err
		}
		if refusal == nil {
			return t, a, nil
		}
		c.refusal = refusal
		t.blocked = c.router.Now().Add(max(refusal.RetryAfter, 10*time.Millisecond))
		c.passOver(t, refusal.Message)
		if c.latest == nil || c.latest == t {
			c.latest, c.failedWhy, c.failedFor = t, refusal.Message, refusal.Fault.fallbackReason()
		}
		if hopeless(refusal) {
			if c.remove(t); len(c.queue) == 0 {
				return nil, nil, refusal.AsMGX(nil)
			}
		}
	}
}

// hopeless reports whether it is of no use to wait: a person must first put the key
// or its account right.
func hopeless(refusal *CallError) bool {
	return (refusal.Fault == FaultAuth || refusal.Fault == FaultQuota) && refusal.RetryAfter > probeWait
}

// readiest is the first target that can be tried now; when none can, or the
// first is to be tried again soon, the one that can be first.
func (c *call) readiest(now time.Time) *target {
	head := c.queue[0]
	if head == c.latest && !head.blocked.After(now) {
		return head // it keeps its turn, and rests
	}
	best := head
	for _, t := range c.queue {
		if !t.ready().After(now) {
			return t
		}
		if t.ready().Before(best.ready()) {
			best = t
		}
	}
	return best
}

// ready is when a target may be tried.
func (t *target) ready() time.Time {
	if t.blocked.After(t.rested) {
		return t.blocked
	}
	return t.rested
}

// waitFor waits until a target may be tried. Waits for breakers and limits are
// bounded in all; those between tries are bounded by their number.
func (c *call) waitFor(ctx context.Context, t *target, now time.Time) error {
	if extra := t.blocked.Sub(maxTime(now, t.rested)); extra > 0 {
		if c.waited += extra; c.waited > c.router.Patience.Alone {
			return c.refusal.AsMGX(nil)
		}
	}
	if d := t.ready().Sub(now); d > 0 {
		return c.router.Sleep(ctx, d)
	}
	return nil
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// ask asks a target's breakers and limits. What they refuse is a *CallError for
// an attempt that was not made.
func (c *call) ask(ctx context.Context, t *target) (*admission, *CallError, error) {
	a := &admission{}
	now := c.router.Now()
	var again time.Time
	var ok bool
	if a.key, again, ok = t.keyBreaker.allow(now); !ok {
		return nil, t.broken(t.keyBreaker, again, now), nil
	}
	if a.model, again, ok = t.breaker.allow(now); !ok {
		a.key.done(now, outcomeNeutral, "")
		return nil, t.broken(t.breaker, again, now), nil
	}
	refusal, err := c.limit(ctx, t, a)
	if err != nil || refusal != nil {
		a.unused(c.router.Now())
		return nil, refusal, err
	}
	return a, nil, nil
}

// limit waits for the limits of the workspace, of the provider's key, and of
// what the provider said about the model.
func (c *call) limit(ctx context.Context, t *target, a *admission) (*CallError, error) {
	most := c.router.Patience.WithOthers
	if len(c.queue) == 1 {
		most = max(0, c.router.Patience.Alone-c.waited)
	}
	a.tokens = estimatePrompt(c.asked) + min(int64(c.asked.MaxTokens), usualAnswer)
	for i, l := range []*limiter{c.workspace, t.key, t.state.learned} {
		started := c.router.Now()
		wait, ok, err := l.acquire(ctx, c.asked.Workspace, a.tokens, most)
		c.waited += c.router.Now().Sub(started)
		if err != nil {
			return nil, err
		}
		if !ok {
			whose := []string{"the workspace's own limit", "the limit set for the provider's key", "what the provider says is left of its limit"}[i]
			return t.refuse(FaultRate, fmt.Sprintf("not sent: %s would make it wait %s", whose, wait.Round(time.Second)), wait), nil
		}
		a.limits = append(a.limits, drawing{l, l.drawn()})
	}
	return nil, nil
}

func (t *target) broken(b *breaker, again, now time.Time) *CallError {
	_, _, fault, why := b.look(now)
	if fault == "" {
		fault, why = FaultOverloaded, "another call finds out whether it works again"
	}
	return t.refuse(fault, fmt.Sprintf("not sent, it is left alone for %s: %s", max(again.Sub(now), time.Second).Round(time.Second), why), again.Sub(now))
}

func (t *target) refuse(fault Fault, message string, wait time.Duration) *CallError {
	return &CallError{Provider: t.provider.Name(), Model: t.model, Fault: fault, Message: message, RetryAfter: wait}
}

// unused gives back an admission without an attempt.
func (a *admission) unused(now time.Time) {
	a.key.done(now, outcomeNeutral, "")
	a.model.done(now, outcomeNeutral, "")
	for _, l := range a.limits {
		l.refund(a.tokens)
	}
}

// used gives back an admission after an attempt that used so many tokens.
func (a *admission) used(tokens int64) {
	for _, l := range a.limits {
		l.settle(a.tokens, tokens, l.from)
	}
}
