package llm

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mgx"
)

// attempt makes one attempt: reserve, stream, settle or hand the settlement on.
// A failure of the provider is returned as failure, everything else as err.
func (c *call) attempt(ctx context.Context) (failure *CallError, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	id := strconv.Itoa(c.result.Attempts)
	if err := c.reserve(id); err != nil {
		return nil, err
	}
	seen, err := c.stream(ctx)
	if err == nil {
		return nil, c.succeed(id, seen)
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", ctx.Err(), context.Cause(ctx)) // ours, whatever it looked like
	} else {
		failure = asCallError(err, c.provider.Name(), c.req.Model)
	}
	if settleErr := c.settleFailed(id, seen, failure); settleErr != nil {
		return nil, settleErr
	}
	if failure == nil {
		return nil, err
	}
	return failure, nil
}

// reserve sets aside the most that the attempt can cost.
func (c *call) reserve(id string) error {
	if c.acct == nil {
		return nil
	}
	err := c.acct.Reserve(Spend{
		ID: id, Amount: c.price.Bound(c.promptBound, int64(c.req.MaxTokens)), Provider: c.provider.Name(), Model: c.req.Model, Role: c.req.AgentRole,
		PriceVersion: c.result.PriceVersion, PriceKnown: c.result.PriceKnown, Prompt: c.promptBound, MaxTokens: int64(c.req.MaxTokens),
		Note: strings.TrimSpace(c.noteText()),
	})
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*mgx.Error](err); ok {
		return e
	}
	return fmt.Errorf("reserve for %s: %w", c.noteText(), err)
}

// seen is what an attempt showed before it ended.
type seen struct {
	response *Response
	usage    mgx.Usage // as far as reported
	content  bool      // some part of an answer came
	bytes    int64     // of content
	started  time.Time
	first    time.Time // of the first content
}

// stream runs the provider under the three time-outs and shows what comes. When
// it fails after content was shown, the next attempt tells watchers to restart.
func (c *call) stream(ctx context.Context) (*seen, error) {
	t := c.router.Timeouts
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ctx = withGivingUp(ctx, func(message string) { cancel(c.silent(message)) })
	total := time.AfterFunc(t.Total, func() { cancel(c.timeout("no whole answer within %s", t.Total)) })
	defer total.Stop()
	wait := t.FirstByte
	idle := time.AfterFunc(wait, func() { cancel(c.timeout("no answer for %s", t.FirstByte)) })
	defer func() { idle.Stop() }()

	s := &seen{started: c.router.Now()}
	for chunk, err := range c.provider.Stream(ctx, c.req) {
		if err != nil {
			return s, causeOf(ctx, err)
		}
		if chunk.IsContent() && !s.content {
			s.content, s.first, wait = true, c.router.Now(), t.Idle
			idle.Stop()
			idle = time.AfterFunc(wait, func() { cancel(c.timeout("the answer stalled for %s", t.Idle)) })
			c.restart()
		}
		idle.Reset(wait)
		s.add(chunk)
		if chunk.Response != nil {
			break
		}
		if chunk != (Chunk{}) {
			c.watch(chunk)
		}
	}
	return s, c.checkEnd(ctx, s)
}

// restart tells watchers that what they saw of an earlier attempt is void.
func (c *call) restart() {
	if c.shown {
		c.watch(Chunk{Restart: true})
	}
	c.shown = true
}

// checkEnd refuses a stream that ended without a response.
func (c *call) checkEnd(ctx context.Context, s *seen) error {
	if s.response != nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return c.callError(FaultBad, "the answer ended before it was whole")
}

func (s *seen) add(chunk Chunk) {
	s.bytes += int64(len(chunk.Text) + len(chunk.Thinking) + len(chunk.ToolName))
	if chunk.Usage != nil {
		s.usage = *chunk.Usage
	}
	s.response = chunk.Response
}

// causeOf prefers why the context was ended to how that was noticed.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (c *call) timeout(format string, d time.Duration) *CallError {
	return c.silent(fmt.Sprintf(format, d))
}

func (c *call) silent(message string) *CallError {
	e := c.callError(FaultTimeout, message)
	e.InStream = true // it had the request, so it may be charged for
	return e
}

func (c *call) callError(fault Fault, message string) *CallError {
	return &CallError{Provider: c.provider.Name(), Model: c.req.Model, Fault: fault, Message: message, InStream: true}
}

// succeed completes the result.
func (c *call) succeed(id string, s *seen) error {
	resp := s.response
	cost := c.price.Cost(resp.Usage)
	if resp.UsageOK {
		c.router.memory.learn(c.memoryKey, c.req, resp.Usage)
	} else {
		resp.Usage = c.usageBound(s)
		cost = c.price.Bound(resp.Usage.Prompt, resp.Usage.Completion)
	}
	if bound := c.price.Bound(c.promptBound, int64(c.req.MaxTokens)); cost > bound {
		c.router.Log.Error("a model call cost more than its reservation", "provider", c.provider.Name(),
			"model", c.req.Model, "cost", cost.String(), "reserved", bound.String())
	}
	r := c.result
	r.Response, r.Cost = resp, cost
	r.FirstToken = s.first.Sub(s.started)
	r.Settlement = mgx.Settlement{ID: id, Amount: cost, Usage: resp.Usage}
	return nil
}

// settleFailed settles an attempt that failed at nothing when the provider
// never took the call on, else at the most that it can have cost.
func (c *call) settleFailed(id string, s *seen, failure *CallError) error {
	var used mgx.Usage
	if failure == nil || failure.InStream || s.content {
		used = c.failedUsage(s, failure)
	}
	c.lost = c.price.Bound(used.Prompt, used.Completion)
	if c.acct == nil {
		return nil
	}
	outcome := mgx.OutcomeCancelled
	if failure != nil {
		outcome = mgx.Outcome(failure.Fault)
	}
	return c.acct.SettleNow(mgx.Settlement{ID: id, Amount: c.lost, Usage: used, Outcome: outcome})
}

// failedUsage bounds what a broken answer used. A provider that says that it
// failed has stopped, so the answer was what came; one that fell silent, or that
// we left, may have gone on up to the limit unseen.
func (c *call) failedUsage(s *seen, failure *CallError) mgx.Usage {
	used := c.usageBound(s)
	ended := failure != nil && (failure.Fault == FaultOverloaded || failure.Fault == FaultRate || failure.Fault == FaultRequest)
	if ended {
		used.Completion = max(s.bytes, s.usage.Completion)
	}
	used.Completion = min(used.Completion, max(int64(c.req.MaxTokens), s.usage.Completion))
	return used
}

// usageBound is the most tokens that an answer without reported usage can have.
// Hidden thinking counts, so only MaxTokens bounds the completion.
func (c *call) usageBound(s *seen) mgx.Usage {
	used := mgx.Usage{Prompt: c.promptBound, Completion: int64(c.req.MaxTokens)}
	if s.usage.Prompt > 0 {
		used.Prompt, used.Cached, used.CacheWrite = s.usage.Prompt, s.usage.Cached, s.usage.CacheWrite
	}
	return used
}
