package llm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"mgx"
)

// inCommon are buckets in the memory of a test, as good as those of a server.
type inCommon struct {
	mu    sync.Mutex
	of    map[string]*limiter
	slow  time.Duration
	away  bool
	asked int
	taken int // requests that were taken and not given back
}

func (c *inCommon) buckets(name string, l Limits) *limiter {
	if c.of == nil {
		c.of = map[string]*limiter{}
	}
	if c.of[name] == nil {
		c.of[name] = newLimiter(l, time.Now)
	}
	return c.of[name]
}

func (c *inCommon) Take(_ context.Context, name string, l Limits, tokens int64, _ time.Duration) (time.Duration, error) {
	time.Sleep(c.slow)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if c.away {
		return 0, errors.New("away")
	}
	b := c.buckets(name, l)
	wait := b.delay(float64(tokens), 1, time.Now())
	if wait == 0 {
		b.take(float64(tokens))
		c.taken++
	}
	return wait, nil
}

func (c *inCommon) Give(_ context.Context, name string, l Limits, requests, tokens int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.buckets(name, l)
	b.requests.put(float64(requests))
	c.taken -= int(requests)
	b.tokens.put(float64(tokens))
}

// TestSharedLimitsHold: whoever comes to which process when, all of them
// together let no more through than the buckets allow, and each alone when there
// is nothing to ask; everybody gets an answer within the bound and nobody stays.
func TestSharedLimitsHold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		limits := Limits{Requests: int64(rapid.IntRange(1, 120).Draw(rt, "requests")), Tokens: int64(rapid.IntRange(0, 5000).Draw(rt, "tokens"))}
		type caller struct {
			at                 int
			after, most, leave time.Duration
			tokens             int64
			workspace          mgx.WorkspaceID
		}
		callers := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) caller {
			return caller{
				at:        rapid.IntRange(0, 2).Draw(t, "process"),
				after:     time.Duration(rapid.IntRange(0, 90).Draw(t, "after")) * time.Second,
				most:      time.Duration(rapid.IntRange(0, 60).Draw(t, "most")) * time.Second,
				leave:     time.Duration(rapid.IntRange(1, 200).Draw(t, "leave")) * time.Second,
				tokens:    int64(rapid.IntRange(1, 6000).Draw(t, "size")),
				workspace: mgx.WorkspaceID(fmt.Sprint("ws_", rapid.IntRange(0, 3).Draw(t, "ws"))),
			}
		}), 1, 40).Draw(rt, "callers")
		slow := time.Duration(rapid.IntRange(0, 100).Draw(rt, "slow")) * time.Millisecond
		away := rapid.Bool().Draw(rt, "away")
		synctest.Test(t, func(t *testing.T) {
			common := &inCommon{slow: slow, away: away}
			var own [3]*limiter
			for i := range own {
				own[i] = newLimiter(limits, time.Now).among(common, "x", limits)
			}
			start := time.Now()
			var mu sync.Mutex
			requests, tokens, largest, last := 0, int64(0), int64(0), time.Duration(0)
			var all sync.WaitGroup
			for _, c := range callers {
				all.Go(func() {
					time.Sleep(c.after)
					ctx, cancel := context.WithTimeout(t.Context(), c.leave)
					defer cancel()
					came := time.Now()
					wait, ok, err := own[c.at].acquire(ctx, c.workspace, c.tokens, c.most)
					// Asking takes what it takes, also where it is not waited for.
					if took := time.Since(came); took > min(c.most, c.leave)+slow {
						rt.Errorf("it waited %v of at most %v", took, min(c.most, c.leave))
					}
					switch {
					case err != nil && !errors.Is(err, context.DeadlineExceeded), err != nil && ok:
						rt.Errorf("got %v, %v", ok, err)
					case !ok && err == nil && wait <= 0:
						rt.Errorf("refused without a time")
					case ok:
						mu.Lock()
						requests, tokens, largest, last = requests+1, tokens+c.tokens, max(largest, c.tokens), max(last, time.Since(start))
						mu.Unlock()
					}
				})
			}
			all.Wait()
			time.Sleep(time.Second) // what is asked for nobody is answered
			common.mu.Lock()
			defer common.mu.Unlock()
			for i, l := range own {
				l.mu.Lock()
				defer l.mu.Unlock()
				if len(l.queue) != 0 || l.asking || len(l.ends) != 0 || !l.held.IsZero() {
					rt.Errorf("process %d: %d are left in the queue, asking: %v", i, len(l.queue), l.asking)
				}
			}
			processes := 1.0
			if away {
				processes = 3
			}
			if most := processes * float64(limits.Requests) * (1 + last.Minutes()); float64(requests) > most+1e-6 {
				rt.Errorf("%d requests within %v, at most %.1f may", requests, last, most)
			}
			if most := processes * (float64(limits.Tokens)*(1+last.Minutes()) + float64(largest)); limits.Tokens > 0 && float64(tokens) > most+1e-6 {
				rt.Errorf("%d tokens within %v, at most %.1f may", tokens, last, most)
			}
			if !away && common.taken != requests {
				rt.Errorf("%d are taken for %d that went", common.taken, requests)
			}
		})
	})
}

// TestSharedLimitsAreAskedInTurn: with a queue here, one asks at a time, in the
// fair order and not more often than said.
func TestSharedLimitsAreAskedInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limits := Limits{Requests: 60}
		common := &inCommon{}
		l := newLimiter(limits, time.Now).among(common, "x", limits)
		for range 60 {
			common.Take(t.Context(), "x", limits, 1, 0) // another process has it all
		}
		common.asked = 0
		var all sync.WaitGroup
		var mu sync.Mutex
		var order []mgx.WorkspaceID
		come := func(ws mgx.WorkspaceID) {
			all.Go(func() {
				if _, ok, err := l.acquire(t.Context(), ws, 100, time.Hour); !ok || err != nil {
					t.Errorf("%s: %v %v", ws, ok, err)
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, ws)
			})
			synctest.Wait()
		}
		for range 10 {
			come("greedy")
		}
		come("modest")
		all.Wait()
		for i, ws := range order {
			if ws == "modest" && i > 2 {
				t.Errorf("the modest one was served in place %d: %v", i, order)
			}
		}
		if most := 1 + 11*(int(time.Second/AskAgain)+1); common.asked > most {
			t.Errorf("11 waiters asked %d times within 11 s, at most %d would do", common.asked, most)
		}
	})
}

// TestLeavingWhileAsked: what was taken for one that left meanwhile goes back.
func TestLeavingWhileAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limits := Limits{Requests: 60}
		common := &inCommon{}
		l := newLimiter(limits, time.Now).among(common, "x", limits)
		for range 60 {
			common.Take(t.Context(), "x", limits, 1, 0) // another process has it all
		}
		common.slow = 100 * time.Millisecond
		// It is asked for from 0 to 0.1 s, from 0.6 to 0.7 s, when it has to wait for
		// 0.3 s more, and from 1 to 1.1 s, when there is room.
		ctx, cancel := context.WithTimeout(t.Context(), 1050*time.Millisecond)
		defer cancel()
		if _, ok, err := l.acquire(ctx, "ws", 1, time.Hour); ok || err == nil {
			t.Fatalf("it did not leave: %v, %v", ok, err)
		}
		time.Sleep(time.Second)
		common.mu.Lock()
		defer common.mu.Unlock()
		if common.asked != 60+3 || common.taken != 60 {
			t.Errorf("asked %d times, %d are taken", common.asked, common.taken)
		}
	})
}
