package llm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"mgx"
)

// try is one attempt on a target.
type try struct {
	*call
	target      *target
	req         *Request // as it is sent: with the model as the provider names it
	id          string   // of its reservation
	memoryKey   string
	promptBound int64
	price       Price                   // the dearest that may hold for it
	cancel      context.CancelCauseFunc // of its stream
}

// attempt makes one attempt: reserve, stream, settle or hand the settlement on.
// A failure of the provider is returned as failure, everything else as err.
func (c *call) attempt(ctx context.Context, t *target, a *admission) (failure *CallError, err error) {
	c.result.Attempts++
	t.tries++
	y := &try{call: c, target: t, req: c.requestFor(t), id: strconv.Itoa(c.result.Attempts)}
	y.memoryKey = t.options.ID + "/" + t.model + "\x00" + c.asked.conversation()
	y.promptBound = c.router.State.memory.bound(y.memoryKey, y.req)
	y.price = dearest(t.price, y.req)
	c.result.PriceKnown, c.result.PriceVersion = t.priced, t.price.Version
	if err := y.reserve(); err != nil {
		a.unused(c.router.Now())
		return nil, err
	}
	spanned, span := y.router.State.reports.begin(ctx, y)
	seen, err := y.stream(spanned)
	y.believe(seen)
	if err == nil {
		y.succeed(seen)
		y.router.State.reports.end(spanned, span, y, seen, "")
		y.settled(a, outcomeOK, seen, nil)
		return nil, nil
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", ctx.Err(), context.Cause(ctx)) // ours, whatever it looked like
	} else {
		failure = asCallError(err, t.provider.Name(), t.model)
	}
	y.router.State.reports.end(spanned, span, y, seen, kindOf(failure))
	used, settleErr := y.settleFailed(seen, failure)
	seen.usage = used
	y.settled(a, outcomeOf(failure), seen, failure)
	if settleErr != nil {
		return nil, settleErr
	}
	if failure == nil {
		return nil, err
	}
	return failure, nil
}

// kindOf names a failure for metrics; nil is our own leaving.
func kindOf(failure *CallError) string {
	if failure == nil {
		return "cancelled"
	}
	return string(failure.Fault)
}

// requestFor is the request as a target gets it: under the model's own name, with
// an answer no longer than the model can give, and without blocks of others.
func (c *call) requestFor(t *target) *Request {
	own := *c.asked
	own.Model = t.model
	if f := t.facts; own.Pass == nil {
		if f.MaxOutput > 0 {
			own.MaxTokens = min(own.MaxTokens, f.MaxOutput)
		}
		if left := f.Context - int(estimatePrompt(c.asked)); f.Context > 0 && left > 0 {
			own.MaxTokens = min(own.MaxTokens, left)
		}
	}
	own.Messages = withoutForeign(own.Messages, t.provider.Name())
	return &own
}

// withoutForeign leaves out opaque blocks that are another provider's.
func withoutForeign(messages []Message, provider string) []Message {
	foreign := func(p Part) bool {
		return p.Opaque != nil && p.Opaque.Provider != "" && p.Opaque.Provider != provider
	}
	var own []Message
	for i, m := range messages {
		if !slices.ContainsFunc(m.Parts, foreign) {
			continue
		}
		if own == nil {
			own = slices.Clone(messages)
		}
		own[i].Parts = slices.DeleteFunc(slices.Clone(m.Parts), foreign)
	}
	if own == nil {
		return messages
	}
	return own
}

// bound is the most that an attempt on a target can cost, as far as the bytes of
// the request say.
func (c *call) bound(t *target) mgx.Money {
	own := c.requestFor(t)
	return dearest(t.price, own).Bound(PromptBound(own), int64(own.MaxTokens))
}

// dearest are the highest prices that may hold for a request.
func dearest(p Price, req *Request) Price {
	if req.Pass.LongCache() {
		return p.longCached()
	}
	return p
}

// most is the most that so many tokens can cost at the target.
func (y *try) most(prompt, completion int64) mgx.Money {
	return y.price.Bound(prompt, completion)
}

// reserve sets aside the most that the attempt can cost.
func (y *try) reserve() error {
	if y.acct == nil {
		return nil
	}
	t := y.target
	note := strings.TrimSpace(y.req.AgentRole + " " + t.name)
	err := y.acct.Reserve(Spend{
		ID: y.id, Amount: y.most(y.promptBound, int64(y.req.MaxTokens)), Provider: t.provider.Name(), Model: t.model, Role: y.req.AgentRole,
		PriceVersion: t.price.Version, PriceKnown: t.priced, Prompt: y.promptBound, MaxTokens: int64(y.req.MaxTokens),
		Note: note,
	})
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*mgx.Error](err); ok {
		return e
	}
	return fmt.Errorf("reserve for %s: %w", note, err)
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
func (y *try) stream(ctx context.Context) (*seen, error) {
	t := y.target.options.Timeouts.orElse(y.router.Timeouts)
	ctx, y.cancel = context.WithCancelCause(ctx)
	defer y.cancel(nil)
	ctx = context.WithValue(ctx, trying{}, y)
	first := t.FirstByte
	if y.inOnePiece() {
		first = t.Total
	}
	dog := watch(t.Total, first, "no answer for %s", func(says string, after time.Duration) { y.cancel(y.timeout(says, after)) })
	defer dog.stop()

	s, more := &seen{started: y.router.Now()}, false
	for chunk, err := range y.target.provider.Stream(ctx, y.req) {
		if err != nil {
			return s, causeOf(ctx, err)
		}
		if chunk.IsContent() && !s.content {
			s.content, s.first = true, y.router.Now()
			dog.expect(t.Idle, "the answer stalled for %s")
			y.restart()
		} else {
			dog.alive()
		}
		s.add(chunk)
		if chunk.Response != nil {
			break
		}
		if more || chunk != (Chunk{}) {
			y.watch(chunk)
		}
		more = chunk.More
	}
	return s, y.checkEnd(ctx, s)
}

// restart tells watchers that what they saw of an earlier attempt is void.
func (c *call) restart() {
	if c.shown {
		c.watch(Chunk{Restart: true})
	}
	c.shown = true
}

// checkEnd refuses a stream that ended without a response.
func (y *try) checkEnd(ctx context.Context, s *seen) error {
	if s.response != nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return y.callError(FaultBad, "the answer ended before it was whole")
}

func (s *seen) add(chunk Chunk) {
	s.bytes += int64(len(chunk.Text) + len(chunk.Thinking) + len(chunk.ToolName) + len(chunk.ToolArgs))
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

func (y *try) timeout(format string, d time.Duration) *CallError {
	return y.silent(fmt.Sprintf(format, d))
}

func (y *try) silent(message string) *CallError {
	e := y.callError(FaultTimeout, message)
	e.InStream = true // it had the request, so it may be charged for
	return e
}

func (y *try) callError(fault Fault, message string) *CallError {
	return &CallError{Provider: y.target.provider.Name(), Model: y.target.model, Fault: fault, Message: message, InStream: true}
}

// succeed completes the result.
func (y *try) succeed(s *seen) {
	t, resp := y.target, s.response
	cost := t.price.Cost(resp.Usage)
	if resp.UsageOK {
		y.router.State.memory.learn(y.memoryKey, y.req, resp.Usage)
	} else {
		resp.Usage = y.usageBound(s)
		cost = y.most(resp.Usage.Prompt, resp.Usage.Completion)
	}
	y.compare(cost, resp.Usage)
	resp.Route = t.name
	for _, p := range resp.Message.Parts {
		if p.Opaque != nil {
			p.Opaque.Provider = t.provider.Name()
		}
	}
	s.usage = resp.Usage
	r := y.result
	r.Response, r.Cost = resp, cost
	r.FirstToken = s.first.Sub(s.started)
	r.Settlement = mgx.Settlement{ID: y.id, Amount: cost, Usage: resp.Usage}
	if y.asked.Conversation != "" && r.Decision.Policy != "" {
		y.router.State.stickies.set(y.asked.Model+"\x00"+y.asked.conversation(), t.name)
	}
}

// settled tells limits, breakers and measurements how the attempt ended.
func (y *try) settled(a *admission, o outcome, s *seen, failure *CallError) {
	now := y.router.Now()
	t := y.target
	a.used(s.usage.Total())
	if failure == nil {
		if o == outcomeOK {
			t.state.succeeded(now, s.first.Sub(s.started), now.Sub(s.first), s.usage.Completion)
		}
		a.key.done(now, o, "")
		a.model.done(now, o, "")
		return
	}
	t.state.failed(now, failure.Fault, failure.Message)
	key, model := outcomeNeutral, o
	switch {
	case failure.Fault == FaultQuota || failure.Fault == FaultAuth && failure.Status != http.StatusForbidden:
		t.keyBreaker.trip(now, failure.Fault)
	case failure.Fault == FaultAuth: // this model is forbidden; others may not be
		t.breaker.trip(now, failure.Fault)
	case failure.Fault == FaultConnection:
		key, model = o, outcomeNeutral
	}
	a.key.done(now, key, failure.Fault)
	a.model.done(now, model, failure.Fault)
}

// outcomeOf is what a failure says about a model, which others share: that it does
// not work, or nothing. A nil failure is ours: the caller left.
func outcomeOf(failure *CallError) outcome {
	if failure == nil {
		return outcomeNeutral
	}
	if errors.Is(failure, ErrTooLarge) {
		return outcomeNeutral // it may have been asked for so much
	}
	switch failure.Fault {
	case FaultTimeout, FaultConnection, FaultOverloaded, FaultBad:
		return outcomeFailed
	}
	return outcomeNeutral
}

// settleFailed settles an attempt that failed at nothing when the provider
// never took the call on, else at the most that it can have cost.
func (y *try) settleFailed(s *seen, failure *CallError) (used mgx.Usage, err error) {
	if failure == nil || failure.InStream || failure.MayCost || s.content {
		used = y.failedUsage(s, failure)
	}
	y.lost = y.most(used.Prompt, used.Completion)
	y.compare(y.lost, used)
	if y.acct == nil {
		return used, nil
	}
	outcome := mgx.OutcomeCancelled
	if failure != nil {
		outcome = mgx.Outcome(failure.Fault)
	}
	return used, y.acct.SettleNow(mgx.Settlement{ID: y.id, Amount: y.lost, Usage: used, Outcome: outcome})
}

// failedUsage bounds what a broken answer used. A provider that says that it
// failed has stopped, so the answer was what came; one that fell silent, or that
// we left, may have gone on up to the limit unseen.
func (y *try) failedUsage(s *seen, failure *CallError) mgx.Usage {
	used := y.usageBound(s)
	ended := failure != nil && (failure.Fault == FaultOverloaded || failure.Fault == FaultRate || failure.Fault == FaultRequest)
	if ended {
		used.Completion = max(s.bytes, s.usage.Completion)
	}
	used.Completion = min(used.Completion, max(int64(y.req.MaxTokens), s.usage.Completion))
	return used
}

// usageBound is the most tokens that an answer without reported usage can have, as
// far as it was not reported to have more. Hidden thinking counts, so only
// MaxTokens bounds the completion.
func (y *try) usageBound(s *seen) mgx.Usage {
	used := mgx.Usage{Prompt: y.promptBound, Completion: max(int64(y.req.MaxTokens), s.usage.Completion)}
	if s.usage.Prompt > 0 {
		used.Prompt, used.Cached, used.CacheWrite = s.usage.Prompt, s.usage.Cached, s.usage.CacheWrite
	}
	return used
}
