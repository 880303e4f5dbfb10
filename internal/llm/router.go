package llm

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
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

func (t Timeouts) orElse(d Timeouts) Timeouts {
	return Timeouts{cmp.Or(t.FirstByte, d.FirstByte), cmp.Or(t.Idle, d.Idle), cmp.Or(t.Total, d.Total)}
}

// ProviderOptions are what a Router is told about one provider.
type ProviderOptions struct {
	// ID is what health and limits are kept under; default: its name. Providers
	// of one name with different keys need different ones.
	ID       string
	Local    bool     // it runs on one's own machines
	Timeouts Timeouts // zero fields: the Router's
	Limits   Limits   // of its key
}

// Options configure a Router. Zero fields take the stated defaults.
type Options struct {
	Providers []Provider
	Of        map[string]ProviderOptions // by a provider's name
	Policies  map[string]Policy          // by name, without a slash
	Facts     []ModelFacts               // about models, before those built in
	Prices    *Prices                    // default: none known
	Timeouts  Timeouts
	Retries   int // after the first attempt on each model; default 5, negative: none
	Patience  Patience
	Faults    map[Fault]Reaction // what a fault leads to, where it is not as in reactions
	State     *State             // shared by the Routers of a process; default: its own
	Keep      Keep               // of answers
	Seed      uint64             // of the draws by weight
	Steady    bool               // measurements do not count, so that a repetition decides the same
	Log       *slog.Logger
	Now       func() time.Time // default time.Now
	// Sleep waits before another attempt; default: by a timer.
	Sleep func(ctx context.Context, d time.Duration) error
	// Jitter picks a wait up to max; default: uniform over all of it ("full
	// jitter", which spreads callers that failed together the most).
	Jitter func(max time.Duration) time.Duration
}

// Router makes calls: it chooses the model, reserves the money, makes the
// attempts with time-outs, retries and fallbacks, and says what they cost and
// why they went where they went. It is the one owner of retries. Its methods may
// be called from several goroutines.
type Router struct {
	Options
	byName map[string]Provider
	abouts abouts
}

// NewRouter returns a Router over the providers, which must have distinct names.
func NewRouter(o Options) *Router {
	o.Timeouts = o.Timeouts.orElse(Timeouts{120 * time.Second, 60 * time.Second, 10 * time.Minute})
	o.Retries = cmp.Or(o.Retries, 5)
	o.Patience = o.Patience.orDefaults()
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
	if o.State == nil {
		o.State = NewState(StateOptions{Now: o.Now})
	}
	r := &Router{Options: o, byName: map[string]Provider{}, abouts: abouts{find: map[string]about{}}}
	for _, p := range o.Providers {
		r.byName[p.Name()] = p
	}
	return r
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
	Settlement   mgx.Settlement          // of that attempt, to commit with the answer; without an ID there is nothing to settle
	Errors       []mgx.ProviderErrorData // one for each failed attempt
	Fallbacks    []mgx.ProviderFallbackData
	Decision     *Decision
	Cached       bool // the answer is one that was kept: it has no settlement, and its Usage is 0
}

// Call makes one call to the model named "provider/model" in req, or to one that
// the policy of that name chooses, and returns the whole answer. watch, if not
// nil, sees the answer as it comes; after a Chunk with Restart it comes again
// from the start, maybe from another model.
//
// The Result is never nil. The error is an *mgx.Error: kind provider, wrapping
// the last *CallError; kind budget when the account refused; or the end of ctx.
// Money is reserved before each attempt, and each reservation is settled once:
// by SettleNow when the attempt failed, by the caller when it succeeded.
func (r *Router) Call(ctx context.Context, req *Request, acct Account, watch func(Chunk)) (*Result, error) {
	started := r.Now()
	result := &Result{}
	c, err := r.prepare(req, acct, watch, result)
	if err == nil && !c.kept(ctx) {
		if err = c.run(ctx); err == nil {
			c.keep(ctx, c.latest, result.Response)
		}
	}
	result.Duration = r.Now().Sub(started)
	if c != nil {
		r.State.reports.decided(ctx, result, c.waited)
	}
	if err != nil {
		return result, mgx.AsError(err)
	}
	return result, nil
}

// Price is what the model named "provider/model" costs, if that is known.
func (r *Router) Price(name string) (Price, bool) {
	provider, model, _ := strings.Cut(name, "/")
	a := r.about(provider, model)
	return a.price, a.priced
}

// prepare finds the models and checks the request.
func (r *Router) prepare(req *Request, acct Account, watch func(Chunk), result *Result) (*call, error) {
	capped := acct != nil && acct.Capped()
	targets, decision, err := r.route(req, capped, r.Now())
	result.Decision = decision
	if err != nil {
		return nil, err
	}
	if err := checkFor(targets[0], req); err != nil {
		return nil, err
	}
	if t := targets[0]; capped && !t.priced {
		return nil, mgx.Errorf(mgx.KindBudget, "price_unknown",
			"the price of %s is not known, so a budget cannot be kept: the operator says it in the file of the setting prices (MGX_PRICES), a run with --price IN,OUT (US dollars per million tokens)", req.Model)
	}
	if watch == nil {
		watch = func(Chunk) {}
	}
	return &call{
		router: r, asked: req, queue: targets, acct: acct, watch: watch, result: result,
		workspace: r.State.workspace(req.Workspace), distinct: map[*target]bool{},
	}, nil
}

// checkFor refuses a request that is malformed, or that the one model which was
// asked for cannot be sent.
func checkFor(t *target, req *Request) error {
	if err := Suits(t.provider, t.model, req); err != nil {
		if e, ok := errors.AsType[*CallError](err); ok {
			return e.AsMGX(nil)
		}
		return err
	}
	if req.Pass != nil && req.Pass.Only != "" {
		return nil // the provider that speaks its dialect judges it
	}
	own := *req
	own.Model = t.model
	return CheckRequest(&own)
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
