package llm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mgx"
)

// Reaction is what a fault leads to when there are other models to try. What may
// pass is tried again; when there is no other model, that is all there is.
type Reaction string

const (
	ReactRetry    Reaction = "retry"    // the same model once more, shortly; then the next
	ReactFallback Reaction = "fallback" // the next model at once; this one again when none is left
	ReactDrop     Reaction = "drop"     // the next model at once; this one not again in this call
	ReactFail     Reaction = "fail"     // the call ends
)

// reactions are the defaults.
var reactions = map[Fault]Reaction{
	FaultTimeout:    ReactFallback,
	FaultRate:       ReactRetry,
	FaultQuota:      ReactDrop,
	FaultAuth:       ReactDrop,
	FaultConnection: ReactRetry,
	FaultRequest:    ReactFail,
	FaultOverloaded: ReactRetry,
	FaultBad:        ReactRetry,
	FaultTooLong:    ReactDrop,
}

// Patience bounds waits within a call. Zero fields take the stated defaults.
type Patience struct {
	// WithOthers is the longest wait for a model while another could be tried
	// instead; default 10 s.
	WithOthers time.Duration
	// Alone is the longest wait that a provider may ask for when there is no
	// other model, and the longest that a call waits in all for breakers and
	// limits; default 60 s.
	Alone time.Duration
	// SameModel is how often a model is tried again before the next has its
	// turn; default 1, negative: never.
	SameModel int
}

func (p Patience) orDefaults() Patience {
	p.WithOthers = cmp.Or(p.WithOthers, 10*time.Second)
	p.Alone = cmp.Or(p.Alone, time.Minute)
	p.SameModel = cmp.Or(p.SameModel, 1)
	return p
}

// call is one Call under way.
type call struct {
	router    *Router
	asked     *Request
	acct      Account
	watch     func(Chunk)
	result    *Result
	workspace *limiter

	queue    []*target // that may still be tried, next first
	distinct map[*target]bool
	waited   time.Duration // for breakers and limits
	latest   *target       // tried last
	refusal  *CallError    // the latest of our own, without an attempt

	failedWhy string    // the latest target
	failedFor string    // the same, as llm.provider.fallback names it
	lost      mgx.Money // settled for the latest failed attempt
	shown     bool      // watchers have seen content of an attempt that failed

	cacheKey string // empty: the answer is not kept
	cacheFor *target
}

// run makes attempts until one succeeds or none can.
func (c *call) run(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		t, admitted, err := c.admit(ctx)
		if err != nil {
			return err
		}
		c.goTo(t)
		failure, err := c.attempt(ctx, t, admitted)
		switch {
		case err != nil && c.cheaper(t, err):
			continue
		case err != nil || failure == nil:
			return err
		}
		if err := c.next(ctx, t, failure); err != nil {
			return err
		}
	}
}

// goTo notes that a target is tried, and that it is another than before.
func (c *call) goTo(t *target) {
	d := c.result.Decision
	if c.latest != nil && c.latest != t {
		d.Why = fmt.Sprintf("after %s failed", c.latest.name)
		c.passOver(c.latest, c.failedWhy)
		c.result.Fallbacks = append(c.result.Fallbacks, mgx.ProviderFallbackData{
			From: c.latest.name, To: t.name, Reason: c.failedFor, AgentRole: c.asked.AgentRole, Message: c.failedWhy,
		})
		c.router.Log.Warn("falling back to another model", "from", c.latest.name, "to", t.name, "reason", c.failedFor)
	}
	d.Chosen = t.name
	d.Passed = slices.DeleteFunc(d.Passed, func(p mgx.PassedModel) bool { return p.Model == t.name })
	c.latest = t
	c.distinct[t] = true
}

// passOver says of a target why the call did not go to it, or not in the end.
func (c *call) passOver(t *target, why string) {
	d := c.result.Decision
	for i := range d.Passed {
		if d.Passed[i].Model == t.name {
			d.Passed[i].Why = why
			return
		}
	}
	d.Passed = append(d.Passed, mgx.PassedModel{Model: t.name, Why: why})
}

// next decides what follows a failed attempt: it returns why the call ends, or
// nil when the queue says what to try.
func (c *call) next(ctx context.Context, t *target, failure *CallError) error {
	now := c.router.Now()
	c.failedWhy, c.failedFor = failure.Message, failure.Fault.fallbackReason()
	react := c.reaction(failure)
	if c.asked.Final && c.shown {
		react = ReactFail
	}
	mayPass := failure.Retryable() && failure.RetryAfter <= c.router.Patience.Alone
	t.rested = now.Add(failure.RetryAfter + c.router.jitter(t.tries))
	switch {
	case react == ReactFail:
		c.queue = nil
	case failure.Fault == FaultTooLong:
		c.queue = slices.DeleteFunc(c.queue, func(o *target) bool { return o == t || !o.larger(t) })
	case react == ReactDrop || !mayPass:
		c.remove(t)
	case react == ReactRetry && t.tries <= c.router.Patience.SameModel && c.soon(t, now):
		// it keeps its turn
	default:
		c.remove(t)
		c.queue = append(c.queue, t)
	}
	if c.result.Attempts-len(c.distinct) >= c.router.Retries { // only what is new
		c.queue = slices.DeleteFunc(c.queue, func(o *target) bool { return c.distinct[o] })
	}
	c.note(t, failure)
	if len(c.queue) == 0 {
		return failure.AsMGX(c.knownModels(ctx, t, failure))
	}
	return nil
}

// soon reports whether it is worth the wait to try a target again although there
// are others.
func (c *call) soon(t *target, now time.Time) bool {
	return len(c.queue) == 1 || t.rested.Sub(now) <= c.router.Patience.WithOthers
}

// larger reports whether a target may hold what does not fit another.
func (t *target) larger(than *target) bool {
	return t.window() == 0 || than.window() == 0 || t.window() > than.window()
}

func (t *target) window() int { return cmp.Or(t.facts.Context, t.price.ContextWindow) }

func (c *call) remove(t *target) {
	c.queue = slices.DeleteFunc(c.queue, func(o *target) bool { return o == t })
}

func (c *call) reaction(f *CallError) Reaction {
	if f.NoModel && f.Fault == FaultRequest {
		return ReactDrop
	}
	if r, ok := c.router.Faults[f.Fault]; ok {
		return r
	}
	return reactions[f.Fault]
}

// fallbackReason is a fault as llm.provider.fallback names reasons.
func (f Fault) fallbackReason() string {
	switch f {
	case FaultRate, FaultQuota:
		return "rate_limit"
	case FaultTimeout:
		return "performance"
	}
	return "error_rate"
}

// cheaper keeps in the queue only what may cost less than t did, after the budget
// refused t, and reports whether there is any.
func (c *call) cheaper(t *target, err error) bool {
	e, ok := errors.AsType[*mgx.Error](err)
	if !ok || e.Kind != mgx.KindBudget {
		return false
	}
	bound := c.bound(t)
	c.queue = slices.DeleteFunc(c.queue, func(o *target) bool { return o == t || !o.priced || c.bound(o) >= bound })
	c.failedWhy, c.failedFor = e.Message, "cost"
	return len(c.queue) > 0
}

// note records a failed attempt, and tells watchers that another follows.
func (c *call) note(t *target, failure *CallError) {
	e := mgx.ProviderErrorData{
		Provider: t.provider.Name(), Model: t.model, ErrorType: string(failure.Fault),
		Message: failure.Message, RetryCount: c.result.Attempts - 1, CostUSD: c.lost,
	}
	if len(c.queue) > 0 {
		if e.Retrying = c.queue[0] == t; !e.Retrying {
			e.Fallback = c.queue[0].name
		}
		c.watch(Chunk{Failed: t.name + ": " + failure.Message})
	}
	c.result.Errors = append(c.result.Errors, e)
	c.router.Log.Warn("model call failed", "provider", e.Provider, "model", t.model,
		"fault", string(failure.Fault), "status", failure.Status, "request_id", failure.RequestID,
		"attempt", c.result.Attempts, "retrying", e.Retrying, "fallback", e.Fallback, "error", failure.Message)
}

// knownModels asks the provider what it serves when it does not serve the model.
func (c *call) knownModels(ctx context.Context, t *target, failure *CallError) []string {
	if !failure.NoModel {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	models, err := t.provider.Models(ctx)
	if err != nil {
		return nil // the sentence does without
	}
	names := make([]string, len(models))
	for i, m := range models {
		names[i] = m.ID
	}
	return names
}

const (
	backoffBase = 500 * time.Millisecond
	backoffCap  = 30 * time.Second
)

// jitter is how long to wait after this many tries of a model, besides what the
// provider asked for: exponential, with full jitter.
func (r *Router) jitter(tries int) time.Duration {
	ceiling := backoffBase << min(max(tries-1, 0), 10)
	return r.Jitter(min(ceiling, backoffCap))
}
