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

// TestLimiterHolds: whoever comes when, never more goes through in any span of
// time than the buckets allow, everybody gets an answer within the bound, and
// nobody stays in the queue.
func TestLimiterHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		limits := Limits{Requests: int64(rapid.IntRange(0, 120).Draw(rt, "requests")), Tokens: int64(rapid.IntRange(0, 5000).Draw(rt, "tokens"))}
		type caller struct {
			after, most, leave time.Duration
			tokens             int64
			workspace          mgx.WorkspaceID
		}
		callers := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) caller {
			return caller{
				after:     time.Duration(rapid.IntRange(0, 90).Draw(t, "after")) * time.Second,
				most:      time.Duration(rapid.IntRange(0, 60).Draw(t, "most")) * time.Second,
				leave:     time.Duration(rapid.IntRange(1, 200).Draw(t, "leave")) * time.Second,
				tokens:    int64(rapid.IntRange(1, 6000).Draw(t, "size")),
				workspace: mgx.WorkspaceID(fmt.Sprint("ws_", rapid.IntRange(0, 3).Draw(t, "ws"))),
			}
		}), 1, 40).Draw(rt, "callers")
		synctest.Test(t, func(t *testing.T) {
			l := newLimiter(limits, time.Now)
			start := time.Now()
			var mu sync.Mutex
			passed := map[time.Duration][]int64{}
			var all sync.WaitGroup
			for _, c := range callers {
				all.Go(func() {
					time.Sleep(c.after)
					ctx, cancel := context.WithTimeout(t.Context(), c.leave)
					defer cancel()
					came := time.Now()
					wait, ok, err := l.acquire(ctx, c.workspace, c.tokens, c.most)
					took := time.Since(came)
					switch {
					case took > min(c.most, c.leave):
						rt.Errorf("it waited %v of at most %v", took, min(c.most, c.leave))
					case err != nil && !errors.Is(err, context.DeadlineExceeded), err != nil && ok:
						rt.Errorf("got %v, %v", ok, err)
					case !ok && err == nil && wait <= 0:
						rt.Errorf("refused without a time")
					case ok:
						mu.Lock()
						passed[time.Since(start)] = append(passed[time.Since(start)], c.tokens)
						mu.Unlock()
					}
				})
			}
			all.Wait()
			l.mu.Lock()
			defer l.mu.Unlock()
			if len(l.queue) != 0 || len(l.ends) != 0 {
				rt.Errorf("%d are left in the queue", len(l.queue))
			}
			requests, tokens := 0, int64(0)
			largest := int64(0)
			var last time.Duration
			for at, sizes := range passed {
				for _, n := range sizes {
					requests, tokens, largest = requests+1, tokens+n, max(largest, n)
				}
				last = max(last, at)
			}
			if most := float64(limits.Requests) * (1 + last.Minutes()); limits.Requests > 0 && float64(requests) > most+1e-6 {
				rt.Errorf("%d requests within %v, at most %.1f may", requests, last, most)
			}
			// One that is larger than the bucket goes when it is full, and is owed.
			if most := float64(limits.Tokens)*(1+last.Minutes()) + float64(largest); limits.Tokens > 0 && float64(tokens) > most+1e-6 {
				rt.Errorf("%d tokens within %v, at most %.1f may", tokens, last, most)
			}
		})
	})
}

// TestLimiterIsFair: a workspace with a long queue does not hold up another.
func TestLimiterIsFair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(Limits{Requests: 60}, time.Now) // one a second, once the bucket is empty
		for range 60 {
			l.acquire(t.Context(), "greedy", 1, 0)
		}
		var all sync.WaitGroup
		var mu sync.Mutex
		var order []string
		come := func(ws mgx.WorkspaceID) {
			all.Go(func() {
				if _, ok, err := l.acquire(t.Context(), ws, 100, time.Hour); !ok || err != nil {
					t.Errorf("%s: %v %v", ws, ok, err)
				}
				mu.Lock()
				order = append(order, string(ws))
				mu.Unlock()
			})
			synctest.Wait()
		}
		for range 20 {
			come("greedy")
		}
		come("modest")
		come("modest")
		all.Wait()
		for i, ws := range order {
			if ws == "modest" && i > 4 {
				t.Errorf("the modest one was served in place %d: %v", i, order)
			}
		}
	})
}

func TestLimiterSettlesAndLearns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(Limits{Tokens: 6000}, time.Now) // 100 a second
		take := func(n int64, most time.Duration) (time.Duration, bool) {
			wait, ok, err := l.acquire(t.Context(), "ws", n, most)
			if err != nil {
				t.Fatal(err)
			}
			return wait, ok
		}
		take(6000, 0)
		l.settle(6000, 5000, l.drawn()) // 1,000 were not used
		if _, ok := take(1000, 0); !ok {
			t.Error("what was not used does not come back")
		}
		if wait, ok := take(100, 0); ok || wait.Round(time.Millisecond) != time.Second {
			t.Errorf("an empty bucket: %v, %v", wait, ok)
		}
		l.refund(500)
		if _, ok := take(400, 0); !ok {
			t.Error("what was never sent does not come back")
		}

		l = newLimiter(Limits{}, time.Now)
		if _, ok := take(1<<40, 0); !ok {
			t.Error("no limit refuses")
		}
		l.learn(Allowances{Requests: &Allowance{Limit: 100, Remaining: 0, Full: time.Now().Add(10 * time.Second)}})
		if wait, ok := take(1, 0); ok || wait.Round(time.Millisecond) != 100*time.Millisecond {
			t.Errorf("10 s for 100 requests: the next in %v, %v", wait, ok)
		}
		start := time.Now()
		if _, ok := take(1, time.Second); !ok || time.Since(start).Round(time.Millisecond) != 100*time.Millisecond {
			t.Errorf("it waited %v, %v", time.Since(start), ok)
		}
		for _, unbelievable := range []Allowance{{Remaining: 0, Full: time.Now().Add(time.Hour)}, {Limit: 10, Remaining: 0}} {
			l = newLimiter(Limits{}, time.Now)
			l.learn(Allowances{Tokens: &unbelievable})
			for range 3 {
				if _, ok := take(5, 0); !ok {
					t.Errorf("%+v is believed", unbelievable)
				}
			}
		}

		// What a provider says is left is what was used taken off already.
		for _, limits := range []Limits{{}, {Tokens: 1000}} {
			l = newLimiter(limits, time.Now)
			from := l.drawn()
			take(800, 0)
			l.learn(Allowances{Tokens: &Allowance{Limit: 1000, Remaining: 0, Full: time.Now().Add(10 * time.Second)}})
			l.settle(800, 22, from)
			if wait, ok := take(100, 0); ok || wait.Round(time.Millisecond) != time.Second {
				t.Errorf("100 tokens a second, and none left: 100 in %v, %v", wait, ok)
			}
		}

		l = newLimiter(Limits{Tokens: 600}, time.Now)
		time.Sleep(10 * time.Minute) // what is not used in time is gone
		if _, ok := take(600, 0); !ok {
			t.Error("a full bucket refuses what it holds")
		}
		if _, ok := take(1, 0); ok {
			t.Error("a bucket held more than its size")
		}
	})
}
