package llm

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mgx"
)

// TestBreakerInTheRouter: a model that keeps failing is left alone, with the
// reason; a 429 and a caller who leaves say nothing about it; a probe brings it
// back.
func TestBreakerInTheRouter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		busy := fails(CallError{Fault: FaultOverloaded, Status: 503, Message: "busy"})
		r, first := two(nil, busy)
		r.Patience.SameModel = -1
		call := func(req *Request) *Result {
			t.Helper()
			req.Conversation = ""
			res, err := r.Call(t.Context(), req, newLedger(0), nil)
			if err != nil {
				t.Fatal(err)
			}
			return res
		}
		for range 8 {
			call(policyRequest())
		}
		res := call(policyRequest())
		if first.attempts != 8 || res.Attempts != 1 || res.Decision.Why != "the better first/m is left alone: 8 of 8 calls failed within 1m0s, the last: it failed or was overloaded" {
			t.Fatalf("%d attempts on the first; %+v", first.attempts, res.Decision)
		}
		if h := r.State.Health(); h[0].Breaker != BreakerOpen || h[0].LastError != "busy" || h[0].Failures != 8 || h[1].Breaker != BreakerClosed {
			t.Errorf("health %+v", h)
		}

		// A call with no other model waits for the probe.
		first.acts = []act{fails(CallError{Fault: FaultRate, Status: 429})}
		first.attempts = 0
		first.acts = append(first.acts, answers("back", mgx.Usage{Prompt: 1, Completion: 1}))
		req := testRequest()
		req.Model = "first/m"
		start := time.Now()
		res, err := r.Call(t.Context(), req, newLedger(0), nil)
		if err != nil || res.Attempts != 2 || time.Since(start) < 10*time.Second {
			t.Fatalf("%v after %v: %+v", err, time.Since(start), res)
		}
		if h := r.State.Health(); h[0].Breaker != BreakerClosed {
			t.Errorf("health %+v", h[0])
		}
	})
}

// TestIllModelLeavesTheKeyAlone: what is wrong with a model says nothing about the
// others of its key, and nothing is wrong with one whose answers are too long for us.
func TestIllModelLeavesTheKeyAlone(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]CallError{
		"overloaded": {Fault: FaultOverloaded, Status: 503},
		"broken off": {Fault: FaultBad, InStream: true},
		"too slow":   {Fault: FaultTimeout, InStream: true},
		"too large":  {Fault: FaultBad, InStream: true, Err: ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, first := two(nil, fails(e))
				r.Retries = -1
				ill, well := testRequest(), testRequest()
				ill.Model, well.Model = "first/ill", "first/well"
				for range 8 {
					r.Call(t.Context(), ill, nil, nil)
				}
				first.acts = []act{answers("well", mgx.Usage{Prompt: 1, Completion: 1})}
				for _, req := range []*Request{well, ill} {
					start, left := time.Now(), req == ill && name != "too large"
					if _, err := r.Call(t.Context(), req, nil, nil); err != nil || (time.Since(start) > 0) != left {
						t.Errorf("%s: %v after %v", req.Model, err, time.Since(start))
					}
				}
			})
		})
	}
}

// TestRefusedKeyIsNotTriedByAll: the key of a provider that was refused is left
// alone for a minute, whoever asks.
func TestRefusedKeyIsNotTriedByAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, first := two(nil, fails(CallError{Fault: FaultAuth, Status: 401, Message: "wrong key"}))
		for range 5 {
			if res, err := r.Call(t.Context(), policyRequest(), nil, nil); err != nil || res.Response.Route != "second/m" {
				t.Fatal(err)
			}
		}
		if first.attempts != 1 {
			t.Errorf("a refused key was tried %d times", first.attempts)
		}
		req := testRequest()
		req.Model = "first/another" // of the same key
		r.State.stickies = newStickies()
		time.Sleep(30 * time.Second)
		start := time.Now()
		if _, err := r.Call(t.Context(), req, nil, nil); !mgx.IsCode(err, "provider_auth") || first.attempts != 1 || time.Since(start) > 0 {
			t.Errorf("%d tries, %v after %v", first.attempts, err, time.Since(start))
		}
		time.Sleep(time.Minute)
		r.Call(t.Context(), req, nil, nil)
		if first.attempts != 2 {
			t.Errorf("after its time it was tried %d times", first.attempts)
		}
	})
}

// TestForbiddenModel: a 403 is about one model; others of the key may be allowed.
func TestForbiddenModel(t *testing.T) {
	t.Parallel()
	r, first := two(nil, fails(CallError{Fault: FaultAuth, Status: 403}), answers("allowed", mgx.Usage{Prompt: 1, Completion: 1}))
	req := testRequest()
	req.Model = "first/secret"
	if _, err := r.Call(t.Context(), req, nil, nil); !mgx.IsCode(err, "provider_auth") {
		t.Fatal(err)
	}
	req.Model = "first/public"
	if _, err := r.Call(t.Context(), req, nil, nil); err != nil || first.attempts != 2 {
		t.Errorf("%v after %d attempts", err, first.attempts)
	}
	req.Model = "first/secret"
	r.Patience.Alone = time.Second
	if _, err := r.Call(t.Context(), req, nil, nil); !mgx.IsCode(err, "provider_auth") || first.attempts != 2 {
		t.Errorf("the forbidden one again: %v after %d attempts", err, first.attempts)
	}
}

// TestProbeOfTheKeyIsGivenBack: an attempt that the model's breaker stops does
// not use up the probe of the key's.
func TestProbeOfTheKeyIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := two(nil, answers("ok", mgx.Usage{Prompt: 1, Completion: 1}))
		ill, _ := r.direct("", "first/ill")
		ill.keyBreaker.trip(time.Now(), FaultAuth)
		time.Sleep(time.Minute) // the key is half-open
		ill.breaker.trip(time.Now(), FaultAuth)
		c := &call{router: r, asked: testRequest(), queue: []*target{ill}, workspace: r.State.workspace("")}
		if _, refusal, err := c.ask(t.Context(), ill); refusal == nil || err != nil {
			t.Fatalf("got %v, %v", refusal, err)
		}
		req := testRequest()
		req.Model = "first/well"
		start := time.Now()
		if _, err := r.Call(t.Context(), req, nil, nil); err != nil || time.Since(start) > 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// TestBreakersAreOfOneWorkspace: what a workspace sends closes a model to nobody else,
// and nobody else hears of it.
func TestBreakersAreOfOneWorkspace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, first := two(nil, fails(CallError{Fault: FaultOverloaded, Status: 500, Message: "cannot handle: secret plan"}))
		r.Patience.Alone = time.Second
		call := func(ws mgx.WorkspaceID) error {
			req := testRequest()
			req.Model, req.Workspace, req.Conversation = "first/m", ws, ""
			_, err := r.Call(t.Context(), req, nil, nil)
			return err
		}
		for range 3 {
			if err := call("ws_ill"); err == nil {
				t.Fatal("a call succeeded")
			}
		}
		before := first.attempts
		if err := call("ws_ill"); !mgx.IsCode(err, "provider_overloaded") || first.attempts != before || strings.Contains(err.Error(), "secret plan") {
			t.Errorf("while it is left alone: %v, %d more attempts", err, first.attempts-before)
		}
		first.acts = []act{answers("well", mgx.Usage{Prompt: 1, Completion: 1})}
		if err := call("ws_well"); err != nil {
			t.Errorf("another workspace: %v", err)
		}
		if h := r.State.Health(); h[0].Breaker != BreakerOpen {
			t.Errorf("health %+v", h)
		}
	})
}
