package llm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mgx"
)

// two is a router over first/m, which does as the acts say, and second/m, which
// answers; "p" tries them in order.
func two(second *fake, acts ...act) (*Router, *fake) {
	first := &fake{acts: acts}
	if second == nil {
		second = works("second").fake
	}
	return NewRouter(Options{
		Providers: []Provider{other{first, "first"}, other{second, "second"}},
		Policies:  map[string]Policy{"p": {Rule: Rule{Strategy: Ordered, Candidates: candidates("first/m"), Fallback: []string{"second/m"}}}},
		Prices:    (*Prices)(nil).WithUser(testRates),
	}), first
}

func policyRequest() *Request {
	req := testRequest()
	req.Model = "p"
	return req
}

// TestEveryFault: what each fault leads to when there is another model, which
// events tell of it, and that the money is right.
func TestEveryFault(t *testing.T) {
	t.Parallel()
	content := func(e CallError) act {
		e.InStream = true
		return then(says(Chunk{Text: "half"}), fails(e))
	}
	for _, c := range []struct {
		name   string
		act    act
		tries  int           // of the first model
		waits  time.Duration // at most, before the second has its turn
		reason string        // of the fallback; empty: none
		code   string        // of the error; empty: the second answered
	}{
		{"overloaded", fails(CallError{Fault: FaultOverloaded, Status: 529}), 2, time.Second, "error_rate", ""},
		{"rate without a time", fails(CallError{Fault: FaultRate, Status: 429}), 2, time.Second, "rate_limit", ""},
		{"rate with a short time", fails(CallError{Fault: FaultRate, Status: 429, RetryAfter: 9 * time.Second}), 2, 10 * time.Second, "rate_limit", ""},
		{"rate with a long time", fails(CallError{Fault: FaultRate, Status: 429, RetryAfter: 30 * time.Second}), 1, 0, "rate_limit", ""},
		{"rate with an endless time", fails(CallError{Fault: FaultRate, Status: 429, RetryAfter: time.Hour}), 1, 0, "rate_limit", ""},
		{"quota", fails(CallError{Fault: FaultQuota, Status: 429}), 1, 0, "rate_limit", ""},
		{"auth", fails(CallError{Fault: FaultAuth, Status: 401}), 1, 0, "error_rate", ""},
		{"forbidden", fails(CallError{Fault: FaultAuth, Status: 403}), 1, 0, "error_rate", ""},
		{"connection", fails(CallError{Fault: FaultConnection}), 2, time.Second, "error_rate", ""},
		{"silence", silence, 1, 2 * time.Minute, "performance", ""},
		{"broken off after content", content(CallError{Fault: FaultBad}), 2, time.Second, "error_rate", ""},
		{"overloaded after content", content(CallError{Fault: FaultOverloaded}), 2, time.Second, "error_rate", ""},
		{"overloaded after more than was asked for", then(says(Chunk{Text: strings.Repeat("more than a thousand ", 500)}), fails(CallError{Fault: FaultOverloaded, InStream: true})), 2, time.Second, "error_rate", ""},
		{"endless", content(CallError{Fault: FaultBad, Err: ErrTooLarge}), 1, 0, "error_rate", ""},
		{"no such model", fails(CallError{Fault: FaultRequest, Status: 404, NoModel: true}), 1, 0, "error_rate", ""},
		{"too long", fails(CallError{Fault: FaultTooLong, Status: 400}), 1, 0, "error_rate", ""},
		{"bad request", fails(CallError{Fault: FaultRequest, Status: 400}), 1, 0, "", "provider_rejected"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				second := works("second").fake
				r, first := two(second, c.act)
				acct := newLedger(mgx.USD)
				var shown []string
				told := 0
				start := time.Now()
				res, err := r.Call(t.Context(), policyRequest(), acct, func(ch Chunk) {
					if ch.Failed != "" {
						told++
					}
					if ch.Restart {
						shown = nil
					}
					shown = append(shown, ch.Text)
				})
				if first.attempts != c.tries || len(res.Errors) != c.tries {
					t.Fatalf("tried %d times, errors %+v, %v", first.attempts, res.Errors, err)
				}
				last := res.Errors[c.tries-1]
				if err == nil {
					acct.settle(res.Settlement)
				}
				if len(acct.open) > 0 || acct.problems != nil {
					t.Errorf("ledger %+v", acct)
				}
				for id, used := range acct.usage {
					if used.Completion > int64(policyRequest().MaxTokens) {
						t.Errorf("attempt %s is settled for an answer of %d tokens, more than may be", id, used.Completion)
					}
				}
				if c.code != "" {
					if !mgx.IsCode(err, c.code) || told > 0 || second.attempts > 0 || len(res.Fallbacks) > 0 || last.Fallback != "" {
						t.Fatalf("got %v after %+v", err, res)
					}
					return
				}
				if err != nil || told != c.tries || res.Response.Route != "second/m" || strings.Join(shown, "") != "from second" {
					t.Fatalf("got %v, shown %q, told of %d that failed", err, shown, told)
				}
				if waited := second.started[0].Sub(start); waited > c.waits {
					t.Errorf("the second had its turn after %v", waited)
				}
				if len(res.Fallbacks) != 1 || res.Fallbacks[0].From != "first/m" || res.Fallbacks[0].To != "second/m" || res.Fallbacks[0].Reason != c.reason {
					t.Errorf("fallbacks %+v", res.Fallbacks)
				}
				if last.Fallback != "second/m" || last.Retrying || (c.tries == 2) != res.Errors[0].Retrying {
					t.Errorf("errors %+v", res.Errors)
				}
				if d := res.Decision; d.Chosen != "second/m" || d.Why != "after first/m failed" || len(d.Passed) != 1 || d.Passed[0].Model != "first/m" {
					t.Errorf("decision %+v", d)
				}
			})
		})
	}
}

// TestComesBack: a fallback that cannot help does not cost the retries that the
// first model would have had without it.
func TestComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		busy := fails(CallError{Fault: FaultOverloaded, Status: 503})
		r, first := two(&fake{acts: []act{fails(CallError{Fault: FaultAuth, Status: 401})}}, busy, busy, busy, answers("at last", mgx.Usage{Prompt: 1, Completion: 1}))
		res, err := r.Call(t.Context(), policyRequest(), newLedger(0), nil)
		if err != nil || first.attempts != 4 || res.Attempts != 5 || len(res.Fallbacks) != 2 || res.Decision.Chosen != "first/m" {
			t.Errorf("%v: %+v", err, res)
		}
	})
}

// TestGivesUpOnAll: the bound on attempts holds for all models together.
func TestGivesUpOnAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		busy := fails(CallError{Fault: FaultOverloaded, Status: 503, Message: "busy"})
		r, first := two(&fake{acts: []act{busy}}, busy)
		res, err := r.Call(t.Context(), policyRequest(), newLedger(0), nil)
		if !mgx.IsCode(err, "provider_overloaded") || res.Attempts != 7 || first.attempts < 3 {
			t.Errorf("%d attempts (%d of the first), %v", res.Attempts, first.attempts, err)
		}
	})
}

func TestWhatWasShownStays(t *testing.T) {
	t.Parallel()
	r, _ := two(nil, then(says(Chunk{Text: "half"}), fails(CallError{Fault: FaultOverloaded, InStream: true})))
	req := policyRequest()
	req.Final = true
	res, err := r.Call(t.Context(), req, nil, nil)
	if !mgx.IsCode(err, "provider_overloaded") || res.Attempts != 1 {
		t.Errorf("%d attempts, %v", res.Attempts, err)
	}
}

func TestReactionsCanBeSet(t *testing.T) {
	t.Parallel()
	r, first := two(nil, fails(CallError{Fault: FaultRequest, Status: 400}))
	r.Faults = map[Fault]Reaction{FaultRequest: ReactDrop}
	if res, err := r.Call(t.Context(), policyRequest(), nil, nil); err != nil || first.attempts != 1 || len(res.Fallbacks) != 1 {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestBudgetPrefersCheaper: what the budget does not allow goes to a model that
// may cost less, and never beyond the cap.
func TestBudgetPrefersCheaper(t *testing.T) {
	t.Parallel()
	r := abc(t, Policy{Rule: Rule{Strategy: Quality, Candidates: allThree}}, nil)
	req := policyRequest()
	acct := newLedger(mgx.USD / 200) // half a cent
	res, err := r.Call(t.Context(), req, acct, nil)
	if err != nil || res.Response.Route != "cheap/m" || len(res.Fallbacks) != 1 || res.Fallbacks[0].Reason != "cost" || acct.spent() > acct.cap {
		t.Fatalf("%+v, %v", res, err)
	}
	acct = newLedger(1)
	if _, err := r.Call(t.Context(), req, acct, nil); !mgx.IsCode(err, mgx.CodeBudgetExceeded) || len(acct.open) > 0 {
		t.Errorf("got %v", err)
	}
}

// TestBlocksStayWithTheirProvider: what one provider signed is not shown to
// another, not even to one of the same dialect.
func TestBlocksStayWithTheirProvider(t *testing.T) {
	t.Parallel()
	sent := map[string]*Request{}
	watchful := func(name string) Provider { return spy{works(name), func(r *Request) { sent[name] = r }} }
	r := NewRouter(Options{Providers: []Provider{watchful("a"), watchful("b")}})
	req := testRequest()
	block := func(provider string) Part {
		return Part{Opaque: &Opaque{Dialect: "d", Raw: json.RawMessage(`"` + provider + `"`), Provider: provider}}
	}
	req.Messages = []Message{
		{Role: User, Parts: []Part{{Text: "hi"}}},
		{Role: Assistant, Parts: []Part{block("a"), block("b"), block(""), {Text: "yes"}}},
		{Role: User, Parts: []Part{{Text: "go on"}}},
	}
	for _, name := range []string{"a", "b"} {
		req.Model = name + "/m"
		if _, err := r.Call(t.Context(), req, nil, nil); err != nil {
			t.Fatal(err)
		}
		text, _ := json.Marshal(sent[name].Messages)
		foreign := map[string]string{"a": `"b"`, "b": `"a"`}[name]
		if strings.Contains(string(text), `"raw":`+foreign) || !strings.Contains(string(text), `"raw":"`+name+`"`) || len(sent[name].Messages[1].Parts) != 3 {
			t.Errorf("%s was sent %s", name, text)
		}
	}
	if len(req.Messages[1].Parts) != 4 {
		t.Error("the caller's request was changed")
	}
}

// spy shows what a provider is sent.
type spy struct {
	other
	see func(*Request)
}

func (s spy) Stream(ctx context.Context, req *Request) iter.Seq2[Chunk, error] {
	s.see(req)
	return s.other.Stream(ctx, req)
}

// TestLimitsAreSettled: what a call did not use is there for the next, and a
// call that the budget refused used nothing.
func TestLimitsAreSettled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := two(nil, answers("ok", mgx.Usage{Prompt: 10, Completion: 5}))
		r.Of = map[string]ProviderOptions{"first": {Limits: Limits{Tokens: 900, Requests: 1000}}}
		req := testRequest() // is taken for 801 tokens
		req.Model = "first/m"
		start := time.Now()
		for range 3 {
			if _, err := r.Call(t.Context(), req, newLedger(1), nil); !mgx.IsCode(err, mgx.CodeBudgetExceeded) {
				t.Fatal(err)
			}
			if _, err := r.Call(t.Context(), req, nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		if waited := time.Since(start); waited > 0 {
			t.Errorf("three calls of 15 tokens waited %v for a limit of 900", waited)
		}
	})
}

func TestLimitsInTheRouter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := two(nil, answers("first", mgx.Usage{Prompt: 10, Completion: 5}))
		r.Of = map[string]ProviderOptions{"first": {Limits: Limits{Requests: 1}}}
		r.State = NewState(StateOptions{Workspace: map[mgx.WorkspaceID]Limits{"poor": {Requests: 1}}})
		ask := func(ws mgx.WorkspaceID, model string) (*Result, error) {
			req := testRequest()
			req.Model, req.Workspace, req.Conversation = model, ws, ""
			return r.Call(t.Context(), req, newLedger(0), nil)
		}
		if res, err := ask("ws", "p"); err != nil || res.Response.Route != "first/m" {
			t.Fatal(err)
		}
		// A minute is too long to wait when there is another.
		res, err := ask("ws", "p")
		if err != nil || res.Response.Route != "second/m" || len(res.Fallbacks) != 1 || res.Fallbacks[0].Reason != "rate_limit" || len(res.Errors) != 0 {
			t.Errorf("%+v, %v", res, err)
		}
		// Alone it is waited for.
		r.Patience.Alone = 2 * time.Minute
		start := time.Now()
		if _, err := ask("ws", "first/m"); err != nil || time.Since(start).Round(time.Second) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		r.Patience.Alone = 10 * time.Second
		if _, err := ask("ws", "first/m"); !mgx.IsCode(err, "provider_rate_limit") || !strings.Contains(err.Error(), "the limit set for the provider's key") {
			t.Errorf("got %v", err)
		}
		ask("poor", "second/m")
		if _, err := ask("poor", "second/m"); !mgx.IsCode(err, "provider_rate_limit") || !strings.Contains(err.Error(), "the workspace's own limit") {
			t.Errorf("got %v", err)
		}
		if _, err := ask("rich", "second/m"); err != nil {
			t.Errorf("another workspace pays for it: %v", err)
		}
	})
}

// flapping is a provider whose calls end in every way there is, at random.
type flapping struct {
	name  string
	open  *atomic.Int64
	calls *atomic.Int64
}

func (f flapping) Name() string                                { return f.name }
func (f flapping) Models(context.Context) ([]ModelInfo, error) { return nil, nil }

func (f flapping) Stream(ctx context.Context, _ *Request) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		f.open.Add(1)
		defer f.open.Add(-1)
		f.calls.Add(1)
		nap := func(d time.Duration) bool { return sleep(ctx, rand.N(d)) == nil }
		if !nap(3 * time.Second) {
			yield(Chunk{}, ctx.Err())
			return
		}
		fail := func(e CallError) { yield(Chunk{}, &e) }
		switch rand.N(12) {
		case 0:
			fail(CallError{Fault: FaultOverloaded, Status: 503})
		case 1:
			fail(CallError{Fault: FaultRate, Status: 429, RetryAfter: rand.N(20 * time.Second)})
		case 2:
			fail(CallError{Fault: FaultConnection})
		case 3:
			<-ctx.Done()
			yield(Chunk{}, ctx.Err())
		case 4:
			if yield(Chunk{Text: "half"}, nil) {
				fail(CallError{Fault: FaultBad, InStream: true})
			}
		case 5:
			fail(CallError{Fault: FaultQuota, Status: 429})
		case 6:
			yield(Chunk{Text: "and then"}, nil) // it merely stops
		default:
			if yield(Chunk{Text: "whole"}, nil) && nap(time.Second) {
				yield(Chunk{Response: &Response{
					Message: Message{Role: Assistant, Parts: []Part{{Text: "whole"}}}, Finish: FinishStop,
					Usage: mgx.Usage{Prompt: 20, Completion: 20}, UsageOK: true, Provider: f.name, Model: "m",
				}}, nil)
			}
		}
	}
}

func flappingRouter(open, calls *atomic.Int64) *Router {
	o := Options{
		Policies: map[string]Policy{"p": {Rule: Rule{Candidates: candidates("a/m", "b/m"), Fallback: []string{"c/m"}}}},
		Prices:   (*Prices)(nil).WithUser(testRates),
		Of:       map[string]ProviderOptions{"a": {Limits: Limits{Requests: 6000, Tokens: 2_000_000}}},
		State:    NewState(StateOptions{Workspace: map[mgx.WorkspaceID]Limits{"": {Requests: 30_000}}}),
	}
	for _, name := range []string{"a", "b", "c"} {
		o.Providers = append(o.Providers, flapping{name, open, calls})
	}
	return NewRouter(o)
}

// callOften makes n calls at once; some callers leave. It returns how they ended.
func callOften(t *testing.T, r *Router, n int) (answered, failed int64) {
	t.Helper()
	var all sync.WaitGroup
	var yes, no atomic.Int64
	for i := range n {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			if rand.N(10) == 0 {
				cancel()
				ctx, cancel = context.WithTimeout(t.Context(), rand.N(20*time.Second))
			}
			defer cancel()
			req := policyRequest()
			req.Workspace, req.Conversation = mgx.WorkspaceID(fmt.Sprint("ws", i%7)), fmt.Sprint(i)
			if i%3 == 0 {
				req.Model = "c/m"
			}
			acct := newLedger(0)
			res, err := r.Call(ctx, req, acct, nil)
			if err == nil {
				acct.settle(res.Settlement)
				yes.Add(1)
			} else {
				no.Add(1)
			}
			if (err == nil) == (res.Response == nil) || len(acct.open) > 0 || acct.problems != nil {
				t.Errorf("call %d: response %v with %v, ledger %+v", i, res.Response, err, acct)
			}
			if e, typed := errors.AsType[*mgx.Error](err); err != nil && (!typed || e.Kind != mgx.KindProvider && e.Kind != mgx.KindStopped) {
				t.Errorf("call %d: %v", i, err)
			}
		})
	}
	all.Wait()
	return yes.Load(), no.Load()
}

// TestFlapping: a thousand calls at once over providers that fail in every way:
// each ends in one answer or one error, all money is settled, nobody is left.
func TestFlapping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var open, calls atomic.Int64
		r := flappingRouter(&open, &calls)
		answered, failed := callOften(t, r, 1000)
		synctest.Wait()
		if open.Load() != 0 {
			t.Errorf("%d streams are left", open.Load())
		}
		if answered+failed != 1000 || answered < 100 {
			t.Errorf("%d answered, %d failed", answered, failed)
		}
		for _, l := range append([]*limiter{r.State.key("a", Limits{})}, r.State.workspaces["ws1"]) {
			l.mu.Lock()
			if len(l.queue) != 0 {
				t.Errorf("%d wait for ever", len(l.queue))
			}
			l.mu.Unlock()
		}
	})
}

// TestSoak makes an hour's worth of calls in fast time and compares the live
// heap after each third. MGX_SOAK=1 makes ten times as many.
func TestSoak(t *testing.T) {
	rounds := 12
	if os.Getenv("MGX_SOAK") != "" {
		rounds = 300
	}
	var heap [3]uint64
	synctest.Test(t, func(t *testing.T) {
		var open, calls atomic.Int64
		r := flappingRouter(&open, &calls)
		callOften(t, r, 300) // what is kept for good is there
		for third := range heap {
			for range rounds / 3 {
				callOften(t, r, 300)
				time.Sleep(time.Hour / time.Duration(rounds))
			}
			runtime.GC()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			heap[third] = m.HeapAlloc
		}
		t.Logf("%d attempts; live heap after each third: %v KB", calls.Load(), []uint64{heap[0] >> 10, heap[1] >> 10, heap[2] >> 10})
		runtime.KeepAlive(r)
	})
	if growth := int64(heap[2]) - int64(heap[1]); growth > 2<<20 {
		t.Errorf("the heap grew by %d KB in the last third", growth>>10)
	}
}

// TestHeadersTeach: what a provider says is left of its limits is kept to.
func TestHeadersTeach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		says := func(ctx context.Context, say func(Chunk) bool) error {
			showHeaders(ctx, http.Header{"X-Ratelimit-Limit-Requests": {"60"}, "X-Ratelimit-Remaining-Requests": {"0"}, "X-Ratelimit-Reset-Requests": {"60s"}})
			return answers("ok", mgx.Usage{Prompt: 1, Completion: 1})(ctx, say)
		}
		p := &fake{acts: []act{says}}
		r := testRouter(p)
		for range 3 {
			if _, err := r.Call(t.Context(), testRequest(), nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		if gap := p.started[2].Sub(p.started[1]).Round(time.Millisecond); gap != time.Second {
			t.Errorf("with one request a second left, the next came after %v", gap)
		}
		if !reflect.DeepEqual(r.State.Health()[0].Breaker, BreakerClosed) {
			t.Error("waiting counted as a failure")
		}
	})
}
