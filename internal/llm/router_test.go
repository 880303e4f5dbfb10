package llm

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"mgx"
)

// act is what a fake provider does in one attempt; say yields a chunk and
// reports whether to go on.
type act func(ctx context.Context, say func(Chunk) bool) error

// fake is a provider that plays one act for each attempt, the last for all
// further ones.
type fake struct {
	acts     []act
	attempts int
	started  []time.Time
	models   []ModelInfo
}

func (f *fake) Name() string                                { return "fake" }
func (f *fake) Models(context.Context) ([]ModelInfo, error) { return f.models, nil }

func (f *fake) Stream(ctx context.Context, _ *Request) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		do := f.acts[min(f.attempts, len(f.acts)-1)]
		f.attempts++
		f.started = append(f.started, time.Now())
		broke := false
		err := do(ctx, func(c Chunk) bool {
			broke = !yield(c, nil)
			return !broke
		})
		if err != nil && !broke {
			yield(Chunk{}, err)
		}
	}
}

func fails(e CallError) act {
	return func(context.Context, func(Chunk) bool) error { e := e; return &e }
}

// silence waits for ctx to end, as a stalled connection does.
func silence(ctx context.Context, _ func(Chunk) bool) error {
	<-ctx.Done()
	return ctx.Err()
}

func answers(text string, usage mgx.Usage) act {
	return func(_ context.Context, say func(Chunk) bool) error {
		_ = say(Chunk{Text: text}) && say(Chunk{Response: &Response{
			Message: Message{Role: Assistant, Parts: []Part{{Text: text}}}, Finish: FinishStop,
			Usage: usage, UsageOK: usage.Prompt > 0, Provider: "fake", Model: "m",
		}})
		return nil
	}
}

// then is one act after another, until one fails.
func then(acts ...act) act {
	return func(ctx context.Context, say func(Chunk) bool) error {
		for _, a := range acts {
			if err := a(ctx, say); err != nil {
				return err
			}
		}
		return nil
	}
}

func says(chunks ...Chunk) act {
	return func(_ context.Context, say func(Chunk) bool) error {
		for _, c := range chunks {
			say(c)
		}
		return nil
	}
}

// ledger is an account with a cap that remembers everything.
type ledger struct {
	mu       sync.Mutex
	cap      mgx.Money // 0: none
	open     map[string]mgx.Money
	settled  map[string]mgx.Money
	usage    map[string]mgx.Usage
	problems []string
}

func newLedger(limit mgx.Money) *ledger {
	return &ledger{cap: limit, open: map[string]mgx.Money{}, settled: map[string]mgx.Money{}, usage: map[string]mgx.Usage{}}
}

func (l *ledger) Capped() bool { return l.cap > 0 }

func (l *ledger) spent() (total mgx.Money) {
	for _, m := range l.open {
		total += m
	}
	for _, m := range l.settled {
		total += m
	}
	return total
}

func (l *ledger) Reserve(s Spend) error {
	id, amount, note := s.ID, s.Amount, s.Note
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cap > 0 && l.spent()+amount > l.cap {
		return mgx.Errorf(mgx.KindBudget, mgx.CodeBudgetExceeded, "%s would cost up to %s", note, amount)
	}
	if _, used := l.open[id]; used || l.settled[id] > 0 {
		l.problems = append(l.problems, "id used twice: "+id)
	}
	l.open[id] = amount
	return nil
}

func (l *ledger) SettleNow(s mgx.Settlement) error { return l.settle(s) }

func (l *ledger) settle(s mgx.Settlement) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	reserved, open := l.open[s.ID]
	if !open {
		l.problems = append(l.problems, "settled without a reservation: "+s.ID)
	}
	if s.Amount > reserved {
		l.problems = append(l.problems, fmt.Sprintf("%s settled at %s of %s", s.ID, s.Amount, reserved))
	}
	delete(l.open, s.ID)
	l.settled[s.ID], l.usage[s.ID] = s.Amount, s.Usage
	return nil
}

var testRates = Rates{Input: 2 * mgx.USD, Output: 10 * mgx.USD, Cached: mgx.USD, CacheWrite: 3 * mgx.USD}

func testRouter(p Provider) *Router {
	return NewRouter(Options{Providers: []Provider{p}, Prices: (*Prices)(nil).WithUser(testRates)})
}

func testRequest() *Request {
	return &Request{
		Model: "fake/m", MaxTokens: 1000, AgentRole: "tester", Conversation: "c",
		Messages: []Message{{Role: User, Parts: []Part{{Text: "hi"}}}},
	}
}

func TestCallSucceeds(t *testing.T) {
	t.Parallel()
	usage := mgx.Usage{Prompt: 100, Completion: 50, Cached: 40}
	p := &fake{acts: []act{answers("hello", usage)}}
	acct, r := newLedger(mgx.USD), testRouter(p)
	var shown []Chunk
	res, err := r.Call(t.Context(), testRequest(), acct, func(c Chunk) { shown = append(shown, c) })
	if err != nil {
		t.Fatal(err)
	}
	cost := r.Prices.user.Cost(usage)
	if res.Response.Message.Parts[0].Text != "hello" || res.Cost != cost || res.Attempts != 1 || !res.PriceKnown || res.PriceVersion != "user" {
		t.Errorf("got %+v", res)
	}
	if want := (mgx.Settlement{ID: "1", Amount: cost, Usage: usage}); res.Settlement != want {
		t.Errorf("settlement %+v, want %+v", res.Settlement, want)
	}
	if len(shown) != 1 || shown[0].Text != "hello" {
		t.Errorf("watchers saw %+v", shown)
	}
	if len(acct.open) != 1 || len(acct.settled) != 0 {
		t.Errorf("the answer's settlement is the caller's: %+v", acct)
	}
}

func TestRetriesWaitAndSettle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &fake{acts: []act{
			fails(CallError{Fault: FaultOverloaded, Status: 503, Message: "busy", RetryAfter: 7 * time.Second}),
			fails(CallError{Fault: FaultConnection, Message: "refused"}),
			then(says(Chunk{Text: "half"}), fails(CallError{Fault: FaultBad, InStream: true, Message: "broke off"})),
			answers("whole", mgx.Usage{Prompt: 10, Completion: 5}),
		}}
		r, acct := testRouter(p), newLedger(0)
		var shown []string
		res, err := r.Call(t.Context(), testRequest(), acct, func(c Chunk) {
			if c.Restart {
				shown = append(shown, "restart")
			} else {
				shown = append(shown, c.Text+c.Failed)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"fake/m: busy", "fake/m: refused", "half", "fake/m: broke off", "restart", "whole"}; !reflect.DeepEqual(shown, want) {
			t.Errorf("watchers saw %q, want %q", shown, want)
		}
		if wait := p.started[1].Sub(p.started[0]); wait < 7*time.Second || wait > 7500*time.Millisecond {
			t.Errorf("after Retry-After: 7 it waited %v", wait)
		}
		if wait := p.started[2].Sub(p.started[1]); wait > time.Second {
			t.Errorf("before the second retry it waited %v", wait)
		}
		if acct.settled["1"] != 0 || acct.settled["2"] != 0 || acct.settled["3"] == 0 || len(acct.open) != 1 || acct.problems != nil {
			t.Errorf("ledger %+v", acct)
		}
		if res.Attempts != 4 || len(res.Errors) != 3 || res.Settlement.ID != "4" {
			t.Errorf("got %+v", res)
		}
		want := mgx.ProviderErrorData{Provider: "fake", Model: "m", ErrorType: "overloaded", Message: "busy", RetryCount: 0, Retrying: true}
		if res.Errors[0] != want || res.Errors[2].RetryCount != 2 {
			t.Errorf("errors %+v", res.Errors)
		}
	})
}

func TestGivesUp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		err      CallError
		attempts int
		code     string
	}{
		{"always overloaded", CallError{Fault: FaultOverloaded}, 6, "provider_overloaded"},
		{"auth", CallError{Fault: FaultAuth, Status: 401}, 1, "provider_auth"},
		{"quota", CallError{Fault: FaultQuota, Status: 429}, 1, "provider_quota"},
		{"long Retry-After", CallError{Fault: FaultRate, Status: 429, RetryAfter: 61 * time.Second}, 1, "provider_rate_limit"},
		{"endless", CallError{Fault: FaultBad, Err: ErrTooLarge}, 1, "provider_bad_response"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, acct := &fake{acts: []act{fails(c.err)}}, newLedger(0)
				res, err := testRouter(p).Call(t.Context(), testRequest(), acct, nil)
				e, _ := errors.AsType[*mgx.Error](err)
				if e == nil || e.Kind != mgx.KindProvider || e.Code != c.code || p.attempts != c.attempts {
					t.Fatalf("%d attempts, %v", p.attempts, err)
				}
				if _, ok := errors.AsType[*CallError](err); !ok {
					t.Error("the cause is lost")
				}
				if res == nil || len(res.Errors) != c.attempts || res.Errors[c.attempts-1].Retrying || len(acct.open) > 0 {
					t.Errorf("result %+v, ledger %+v", res, acct)
				}
			})
		})
	}
}

func TestBackoffIsBoundedAndSpread(t *testing.T) {
	t.Parallel()
	var ceilings []time.Duration
	r := NewRouter(Options{Retries: 50, Jitter: func(max time.Duration) time.Duration {
		ceilings = append(ceilings, max)
		return max
	}})
	for attempts := range 50 {
		r.jitter(attempts + 1)
	}
	if ceilings[0] != 500*time.Millisecond || ceilings[1] != time.Second || ceilings[49] != 30*time.Second {
		t.Errorf("ceilings %v", ceilings)
	}
	r = NewRouter(Options{})
	low, high := time.Hour, time.Duration(0)
	for range 1000 {
		wait := r.jitter(3)
		low, high = min(low, wait), max(high, wait)
	}
	if low > 200*time.Millisecond || high < 1800*time.Millisecond || high > 2*time.Second {
		t.Errorf("jitter between %v and %v is not full", low, high)
	}
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	trickle := func(every time.Duration, c Chunk) act {
		return func(ctx context.Context, say func(Chunk) bool) error {
			for {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(every):
					say(c)
				}
			}
		}
	}
	for _, c := range []struct {
		name string
		act  act
		want time.Duration
		says string
	}{
		{"no first byte", silence, 120 * time.Second, "no answer for 2m0s"},
		{"stalled", then(says(Chunk{Text: "a"}), silence), 60 * time.Second, "stalled for 1m0s"},
		{"alive for ever", trickle(50*time.Second, Chunk{}), 10 * time.Minute, "no whole answer"},
		{"talks for ever", trickle(time.Second, Chunk{Text: "a"}), 10 * time.Minute, "no whole answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &fake{acts: []act{c.act}}
				r := testRouter(p)
				r.Retries = -1
				start := time.Now()
				acct := newLedger(0)
				_, err := r.Call(t.Context(), testRequest(), acct, nil)
				e, _ := errors.AsType[*CallError](err)
				if e == nil || e.Fault != FaultTimeout || !strings.Contains(e.Message, c.says) {
					t.Fatalf("got %v", err)
				}
				if took := time.Since(start); took != c.want {
					t.Errorf("took %v, want %v", took, c.want)
				}
				if acct.settled["1"] == 0 {
					t.Error("a call that the provider had was settled at nothing")
				}
			})
		})
	}
}

func TestCallerEndsCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, p := range map[string]*fake{
			"while streaming": {acts: []act{then(says(Chunk{Text: "a"}), silence)}},
			"while waiting":   {acts: []act{fails(CallError{Fault: FaultRate, RetryAfter: 50 * time.Second})}},
		} {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(10*time.Second, func() { cancel(errors.New("the user pressed a key")) })
			acct := newLedger(0)
			res, err := testRouter(p).Call(ctx, testRequest(), acct, nil)
			if !errors.Is(err, context.Canceled) || mgx.AsError(err).Kind != mgx.KindStopped || p.attempts != 1 {
				t.Errorf("%s: %v after %d attempts", name, err, p.attempts)
			}
			if ours := len(res.Errors) == 0; ours != (name == "while streaming") {
				t.Errorf("%s: blames the provider: %+v", name, res.Errors)
			}
			if len(acct.open) > 0 {
				t.Errorf("%s: a reservation stays open: %+v", name, acct)
			}
		}
	})
}

func TestStreamThatMerelyStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &fake{acts: []act{says(Chunk{Text: "and then"})}}
		_, err := testRouter(p).Call(t.Context(), testRequest(), nil, nil)
		if e, _ := errors.AsType[*CallError](err); e == nil || e.Fault != FaultBad {
			t.Errorf("got %v", err)
		}
	})
}

func TestBudgetRefuses(t *testing.T) {
	t.Parallel()
	p := &fake{acts: []act{answers("hi", mgx.Usage{Prompt: 1, Completion: 1})}}
	req := testRequest()
	req.MaxTokens = 1_000_000 // up to ten dollars
	_, err := testRouter(p).Call(t.Context(), req, newLedger(mgx.USD), nil)
	if e := mgx.AsError(err); e.Kind != mgx.KindBudget || e.Code != mgx.CodeBudgetExceeded || p.attempts != 0 {
		t.Errorf("%d attempts, %v", p.attempts, err)
	}
}

func TestUnknownPrice(t *testing.T) {
	t.Parallel()
	p := &fake{acts: []act{answers("hi", mgx.Usage{Prompt: 1, Completion: 1})}}
	r := NewRouter(Options{Providers: []Provider{p}})
	_, err := r.Call(t.Context(), testRequest(), newLedger(mgx.USD), nil)
	if e := mgx.AsError(err); e.Kind != mgx.KindBudget || e.Code != "price_unknown" || !strings.Contains(e.Message, "--price") || p.attempts != 0 {
		t.Errorf("capped: %d attempts, %v", p.attempts, err)
	}
	res, err := r.Call(t.Context(), testRequest(), newLedger(0), nil)
	if err != nil || res.PriceKnown || res.Cost != 0 {
		t.Errorf("not capped: %+v, %v", res, err)
	}
}

func TestRefusesBeforeAnyAttempt(t *testing.T) {
	t.Parallel()
	p := &fake{acts: []act{answers("", mgx.Usage{})}}
	for name, c := range map[string]struct {
		change func(*Request)
		code   string
	}{
		"no such provider": {func(r *Request) { r.Model = "other/m" }, "no_such_provider"},
		"no provider":      {func(r *Request) { r.Model = "m" }, "no_such_provider"},
		"no model":         {func(r *Request) { r.Model = "fake/" }, "no_such_provider"},
		"orphan": {func(r *Request) {
			r.Messages = append(r.Messages, Message{Role: Assistant, Parts: []Part{{Call: &ToolCall{ID: "x"}}}})
		}, "bad_model_request"},
	} {
		req := testRequest()
		c.change(req)
		acct := newLedger(0)
		res, err := testRouter(p).Call(t.Context(), req, acct, nil)
		if !mgx.IsCode(err, c.code) || res == nil || p.attempts > 0 || len(acct.open) > 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnknownModelNamesOthers(t *testing.T) {
	t.Parallel()
	p := &fake{acts: []act{fails(CallError{Provider: "fake", Fault: FaultRequest, NoModel: true, Message: "no such model"})}, models: []ModelInfo{{ID: "one"}, {ID: "two"}}}
	_, err := testRouter(p).Call(t.Context(), testRequest(), nil, nil)
	if !mgx.IsCode(err, "model_not_found") || !strings.Contains(err.Error(), "one, two") {
		t.Errorf("got %v", err)
	}
}

func TestUsageThatNobodyReports(t *testing.T) {
	t.Parallel()
	p := &fake{acts: []act{answers("hi", mgx.Usage{})}}
	r := testRouter(p)
	acct := newLedger(0)
	res, err := r.Call(t.Context(), testRequest(), acct, nil)
	if err != nil || res.Response.UsageOK || res.Cost != acct.open["1"] || res.Response.Usage.Completion != 1000 {
		t.Errorf("got %+v, %v: without usage the whole reservation counts", res, err)
	}
}

// TestFailureReportedByTheProvider settles at what came, not at the limit.
func TestFailureReportedByTheProvider(t *testing.T) {
	t.Parallel()
	usage := mgx.Usage{Prompt: 50, Completion: 1}
	p := &fake{acts: []act{
		then(says(Chunk{Usage: &usage}, Chunk{Text: "0123456789"}), fails(CallError{Fault: FaultOverloaded, InStream: true})),
	}}
	r := testRouter(p)
	r.Retries = -1
	acct := newLedger(0)
	r.Call(t.Context(), testRequest(), acct, nil)
	if got := acct.usage["1"]; got.Prompt != 50 || got.Completion != 10 {
		t.Errorf("settled for %+v", got)
	}
}

// TestMoney: whatever a provider does, no id is used twice, every reservation
// is settled once, never above what was reserved, and the cap holds.
func TestMoney(t *testing.T) {
	t.Parallel()
	moves := []act{
		fails(CallError{Fault: FaultConnection}),
		fails(CallError{Fault: FaultRate, Status: 429}),
		fails(CallError{Fault: FaultAuth, Status: 401}),
		then(says(Chunk{Text: "some"}), fails(CallError{Fault: FaultBad, InStream: true})),
		then(says(Chunk{Usage: &mgx.Usage{Prompt: 9}, Thinking: "hm"}), fails(CallError{Fault: FaultOverloaded, InStream: true})),
		then(says(Chunk{Text: "x"}), silence),
		silence,
		answers("ok", mgx.Usage{}),
	}
	rapid.Check(t, func(rt *rapid.T) {
		limit := mgx.Money(rapid.Int64Range(1, int64(mgx.USD/20)).Draw(rt, "cap"))
		p := &fake{}
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(moves)-1), 0, 8).Draw(rt, "acts") {
			p.acts = append(p.acts, moves[i])
		}
		p.acts = append(p.acts, answers("done", mgx.Usage{
			Prompt:     rapid.Int64Range(1, 1000).Draw(rt, "prompt"),
			Completion: rapid.Int64Range(0, 1000).Draw(rt, "completion"),
		}))
		acct := newLedger(limit)
		var res *Result
		var err error
		synctest.Test(t, func(t *testing.T) {
			res, err = testRouter(p).Call(t.Context(), testRequest(), acct, nil)
		})
		if err == nil {
			acct.settle(res.Settlement)
		}
		if len(acct.problems) > 0 || len(acct.open) > 0 || acct.spent() > limit {
			rt.Fatalf("cap %s, spent %s, open %v, %v", limit, acct.spent(), acct.open, acct.problems)
		}
		if (err == nil) == (res.Response == nil) {
			rt.Fatalf("response %v with error %v", res.Response, err)
		}
	})
}

func TestRoutersAreShared(t *testing.T) {
	t.Parallel()
	p := stateless{}
	r := testRouter(p)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			req := testRequest()
			req.Conversation = fmt.Sprint(i % 5)
			if _, err := r.Call(t.Context(), req, newLedger(mgx.USD), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// stateless answers every call the same.
type stateless struct{}

func (stateless) Name() string                                { return "fake" }
func (stateless) Models(context.Context) ([]ModelInfo, error) { return nil, nil }
func (stateless) Stream(ctx context.Context, _ *Request) iter.Seq2[Chunk, error] {
	return (&fake{acts: []act{answers("hi", mgx.Usage{Prompt: 3, Completion: 1})}}).Stream(ctx, nil)
}
