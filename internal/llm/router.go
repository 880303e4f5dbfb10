package llm

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"mgx"
)

// Timeouts bound one attempt.
type Timeouts struct {
	FirstByte time.Duration // of silence before the first content; default 120 s
	Idle      time.Duration // of silence after it; default 60 s
	Total     time.Duration // default 10 min
}

// Options configure a Router. Zero fields take the stated defaults.
type Options struct {
	Providers []Provider
	Prices    *Prices // default: none known
	Timeouts  Timeouts
	Retries   int // after the first attempt; default 5, negative: none
	Log       *slog.Logger
	Now       func() time.Time // default time.Now
	// Sleep waits before another attempt; default: by a timer.
	Sleep func(ctx context.Context, d time.Duration) error
	// Jitter picks a wait up to max; default: uniform over all of it ("full
	// jitter", which spreads callers that failed together the most).
	Jitter func(max time.Duration) time.Duration
}

// Router makes calls: it finds the provider, reserves the money, makes the
// attempts with time-outs and retries, and says what they cost. It is the one
// owner of retries. Its methods may be called from several goroutines.
type Router struct {
	Options
	byName map[string]Provider
	memory *promptMemory
}

// NewRouter returns a Router over the providers, which must have distinct names.
func NewRouter(o Options) *Router {
	o.Timeouts.FirstByte = orDefault(o.Timeouts.FirstByte, 120*time.Second)
	o.Timeouts.Idle = orDefault(o.Timeouts.Idle, 60*time.Second)
	o.Timeouts.Total = orDefault(o.Timeouts.Total, 10*time.Minute)
	o.Retries = orDefault(o.Retries, 5)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.Jitter == nil {
		o.Jitter = func(max time.Duration) time.Duration { return rand.N(max + 1) }
	}
	r := &Router{Options: o, byName: map[string]Provider{}, memory: newPromptMemory()}
	for _, p := range o.Providers {
		r.byName[p.Name()] = p
	}
	return r
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// Result is what became of a call. It is complete also when the call failed,
// less the answer.
type Result struct {
	Response     *Response // nil when the call failed
	Cost         mgx.Money // of the answer; failed attempts are settled on their own
	PriceKnown   bool
	PriceVersion string
	Attempts     int
	Duration     time.Duration           // of the whole call
	FirstToken   time.Duration           // until the first content of the attempt that succeeded
	Settlement   mgx.Settlement          // of that attempt, to commit with the record of the answer
	Errors       []mgx.ProviderErrorData // one for each failed attempt
}

// Call makes one call to the model named "provider/model" in req and returns the
// whole answer. watch, if not nil, sees the answer as it comes; after a
// Chunk with Restart it comes again from the start.
//
// The Result is never nil. The error is an *mgx.Error: kind provider, wrapping
// the last *CallError; kind budget when the account refused; or the end of ctx.
// Money is reserved before each attempt, and each reservation is settled once:
// by SettleNow when the attempt failed, by the caller when it succeeded.
func (r *Router) Call(ctx context.Context, req *Request, acct Account, watch func(Chunk)) (*Result, error) {
	started := r.Now()
	result := &Result{}
	c, err := r.prepare(req, acct, watch, result)
	if err == nil {
		err = c.run(ctx)
	}
	result.Duration = r.Now().Sub(started)
	if err != nil {
		return result, mgx.AsError(err)
	}
	return result, nil
}

// Price is what the model named "provider/model" costs, if that is known.
func (r *Router) Price(name string) (Price, bool) {
	provider, model, _ := strings.Cut(name, "/")
	return r.Prices.Lookup(provider, model)
}

// prepare resolves the model, checks the request and prices the call.
func (r *Router) prepare(req *Request, acct Account, watch func(Chunk), result *Result) (*call, error) {
	provider, model, err := r.resolve(req.Model)
	if err != nil {
		return nil, err
	}
	own := *req
	own.Model = model
	if err := CheckRequest(&own); err != nil {
		return nil, err
	}
	price, known := r.Prices.Lookup(provider.Name(), model)
	if !known && acct != nil && acct.Capped() {
		return nil, mgx.Errorf(mgx.KindBudget, "price_unknown",
			"the price of %s is not known, so a budget cannot be kept: set it with --price IN,OUT (US dollars per million tokens), or leave out --budget", req.Model)
	}
	if watch == nil {
		watch = func(Chunk) {}
	}
	result.PriceKnown, result.PriceVersion = known, price.Version
	c := &call{router: r, provider: provider, req: &own, price: price, acct: acct, watch: watch, result: result}
	c.memoryKey = req.Model + "\x00" + req.Conversation
	c.promptBound = r.memory.bound(c.memoryKey, &own)
	return c, nil
}

func (r *Router) resolve(name string) (Provider, string, error) {
	prefix, model, ok := strings.Cut(name, "/")
	if p := r.byName[prefix]; ok && model != "" && p != nil {
		return p, model, nil
	}
	names := make([]string, 0, len(r.byName))
	for n := range r.byName {
		names = append(names, n)
	}
	slices.Sort(names)
	return nil, "", mgx.Errorf(mgx.KindConfig, "no_such_provider",
		"%s does not name a model as PROVIDER/MODEL of a configured provider (configured: %s)",
		strconv.Quote(name), orDefault(strings.Join(names, ", "), "none"))
}

// call is one Call under way.
type call struct {
	lost        mgx.Money // settled for the latest failed attempt
	router      *Router
	provider    Provider
	req         *Request // with the model as the provider names it
	price       Price
	acct        Account
	watch       func(Chunk)
	result      *Result
	memoryKey   string
	promptBound int64
	shown       bool // watchers have seen content of an attempt that failed
}

// run makes attempts until one succeeds or none can.
func (c *call) run(ctx context.Context) error {
	for {
		c.result.Attempts++
		failure, err := c.attempt(ctx)
		if err != nil || failure == nil {
			return err
		}
		wait, again := c.router.backoff(failure, c.result.Attempts)
		c.note(failure, again)
		if !again {
			return failure.AsMGX(c.knownModels(ctx, failure))
		}
		if err := c.router.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// note records a failed attempt.
func (c *call) note(failure *CallError, again bool) {
	c.result.Errors = append(c.result.Errors, mgx.ProviderErrorData{
		Provider: c.provider.Name(), Model: c.req.Model, ErrorType: failure.Fault.eventType(),
		Message: failure.Message, RetryCount: c.result.Attempts - 1, Retrying: again, CostUSD: c.lost,
	})
	c.router.Log.Warn("model call failed", "provider", c.provider.Name(), "model", c.req.Model,
		"fault", string(failure.Fault), "status", failure.Status, "request_id", failure.RequestID,
		"attempt", c.result.Attempts, "retrying", again, "error", failure.Message)
}

// eventType is the fault as llm.provider.error names it.
func (f Fault) eventType() string {
	if f == FaultTooLong {
		return string(FaultRequest)
	}
	return string(f)
}

// knownModels asks the provider what it serves when it does not serve the model.
func (c *call) knownModels(ctx context.Context, failure *CallError) []string {
	if !failure.NoModel {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	models, err := c.provider.Models(ctx)
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
	backoffBase   = 500 * time.Millisecond
	backoffCap    = 30 * time.Second
	maxRetryAfter = 60 * time.Second
)

// backoff says whether to try again after this many attempts, and when:
// exponential with full jitter, and never before the provider asked for. A
// provider that asks for more than a minute is not waited for.
func (r *Router) backoff(failure *CallError, attempts int) (time.Duration, bool) {
	if !failure.Retryable() || attempts > r.Retries || failure.RetryAfter > maxRetryAfter {
		return 0, false
	}
	ceiling := backoffBase << min(attempts-1, 10)
	return failure.RetryAfter + r.Jitter(min(ceiling, backoffCap)), true
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (c *call) noteText() string {
	return fmt.Sprintf("%s %s/%s", c.req.AgentRole, c.provider.Name(), c.req.Model)
}
