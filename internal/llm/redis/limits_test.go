package redis

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/llm/redis/redistest"
)

// TestTwoRoutersShareLimits: two routers that know nothing of each other never
// let more through than the limit in any span of time, and no less than a full
// bucket.
func TestTwoRoutersShareLimits(t *testing.T) {
	t.Parallel()
	real := redistest.New(t)
	limit := llm.Limits{Requests: 60}
	for name, o := range map[string]struct{ key, workspace llm.Limits }{
		"of a key":       {key: limit},
		"of a workspace": {workspace: limit},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &counting{provider: "counting-" + map[bool]string{true: "key", false: "ws"}[o.key == limit]}
			var all sync.WaitGroup
			for range 2 {
				s := open(t, Options{URL: real.URL() + patient})
				r := llm.NewRouter(llm.Options{
					Providers: []llm.Provider{p},
					Of:        map[string]llm.ProviderOptions{p.provider: {Limits: o.key}},
					State: llm.NewState(llm.StateOptions{
						Shared: s.Limits(), Workspace: map[mgx.WorkspaceID]llm.Limits{"ws": o.workspace},
					}),
					Patience: llm.Patience{Alone: 3 * time.Second},
				})
				for range 70 {
					all.Go(func() {
						ctx := context.WithValue(t.Context(), cameKey{}, time.Now())
						_, err := r.Call(ctx, &llm.Request{
							Model: p.provider + "/m", MaxTokens: 10, Workspace: "ws",
							Messages: []llm.Message{{Role: llm.User, Parts: []llm.Part{{Text: "hi"}}}},
						}, nil, nil)
						if err != nil && mgx.AsError(err).Code != "provider_rate_limit" {
							t.Error(err)
						}
					})
				}
			}
			all.Wait()
			if n := len(p.passed); n < 60 {
				t.Errorf("%d went through, the bucket has 60", n)
			}
			within(t, p.passed, 60, 1)
		})
	}
}

// passed says that one went through at some time of a span.
type passed struct{ after, before time.Time }

// within checks that in no span of time more passed than size and what fills in
// the span, as far as it is known when they passed.
func within(t *testing.T, all []passed, size, rate float64) {
	t.Helper()
	for _, first := range all {
		for _, last := range all {
			n := 0
			for _, p := range all {
				if !p.after.Before(first.after) && !p.before.After(last.before) {
					n++
				}
			}
			if most := size + rate*last.before.Sub(first.after).Seconds(); float64(n) > most {
				t.Fatalf("%d went through within %v, at most %.1f may", n, last.before.Sub(first.after), most)
			}
		}
	}
}

type cameKey struct{}

// counting is a provider that notes when calls reach it.
type counting struct {
	provider string
	mu       sync.Mutex
	passed   []passed
}

func (c *counting) Name() string                                    { return c.provider }
func (c *counting) Models(context.Context) ([]llm.ModelInfo, error) { return nil, nil }

func (c *counting) Stream(ctx context.Context, _ *llm.Request) iter.Seq2[llm.Chunk, error] {
	return func(yield func(llm.Chunk, error) bool) {
		c.mu.Lock()
		c.passed = append(c.passed, passed{ctx.Value(cameKey{}).(time.Time), time.Now()})
		c.mu.Unlock()
		yield(llm.Chunk{Response: &llm.Response{
			Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Text: "hi"}}},
			Finish:  llm.FinishStop, Usage: mgx.Usage{Prompt: 1, Completion: 1}, UsageOK: true,
		}}, nil)
	}
}

// TestBuckets holds the scripts against a bucket in Go. When exactly Redis saw a
// request is known within bounds only, so what it says must lie between what the
// bucket says for the earliest and the latest moment.
func TestBuckets(t *testing.T) {
	t.Parallel()
	real := redistest.New(t)
	s := open(t, Options{URL: real.URL() + patient})
	l := s.Limits()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		ctx, name := context.Background(), fmt.Sprint("bucket", n)
		of := llm.Limits{Requests: int64(rapid.IntRange(0, 6000).Draw(t, "requests")), Tokens: int64(rapid.OneOf(rapid.Just(0), rapid.IntRange(1000, 100_000)).Draw(t, "tokens"))}
		sizes := [2]float64{float64(of.Requests), float64(of.Tokens)}
		low, high := sizes, sizes // of what is in them
		seen := [2]time.Time{time.Now(), time.Now()}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			want := [2]float64{1, float64(rapid.IntRange(1, 60_000).Draw(t, "n"))}
			give := rapid.Bool().Draw(t, "give")
			if back := rapid.IntRange(-1, 1).Draw(t, "requests back"); give {
				want = [2]float64{float64(back), want[1] * float64(back)}
			}
			var wait time.Duration
			var err error
			before := time.Now()
			if give {
				l.Give(ctx, name, of, int64(want[0]), int64(want[1]))
			} else {
				wait, err = l.Take(ctx, name, of, int64(want[1]), 0)
			}
			after := time.Now()
			if err != nil {
				t.Fatal(err)
			}
			var soonest, latest float64 // seconds
			for i, size := range sizes {
				if size == 0 {
					continue
				}
				// What fills is at least what fills between the calls.
				low[i] = min(size, low[i]+size/60*before.Sub(seen[1]).Seconds())
				high[i] = min(size, high[i]+size/60*after.Sub(seen[0]).Seconds())
				need := min(want[i], size)
				soonest, latest = max(soonest, (need-high[i])/size*60), max(latest, (need-low[i])/size*60)
			}
			seen = [2]time.Time{before, after}
			if give {
				for i, size := range sizes {
					low[i], high[i] = min(size, low[i]+want[i]), min(size, high[i]+want[i])
				}
				continue
			}
			const slack = 0.0001
			if got := wait.Seconds(); got < soonest-slack || got > latest+slack {
				t.Fatalf("it waits %v s, and should between %v and %v", got, soonest, latest)
			}
			if wait == 0 {
				for i := range sizes {
					low[i], high[i] = low[i]-want[i], high[i]-want[i]
				}
			}
		}
		if ttl, err := s.client.PTTL(ctx, limitKey(name)).Result(); err != nil || ttl == -1 || ttl > 24*time.Hour {
			t.Fatalf("the buckets stay for %v, %v", ttl, err)
		}
	})
}

// TestNext: one that waits is next, however small the others are, unless it does
// not come back.
func TestNext(t *testing.T) {
	t.Parallel()
	real := redistest.New(t)
	a, b := open(t, Options{URL: real.URL() + patient}), open(t, Options{URL: real.URL() + patient})
	of := llm.Limits{Tokens: 6_000_000} // 100 a millisecond
	take := func(s *Server, n int64, most time.Duration) time.Duration {
		t.Helper()
		wait, err := s.Limits().Take(t.Context(), "x", of, n, most)
		if err != nil {
			t.Fatal(err)
		}
		return wait
	}
	large := int64(6_000_000)
	if take(a, large, 0) != 0 {
		t.Fatal("a full bucket has no room")
	}
	if wait := take(a, large, time.Second); wait < time.Second {
		t.Fatalf("an empty bucket fills in %v", wait)
	}
	for take(b, 1, 0) != 0 {
		// It fills, and nobody has a turn, as a would not wait that long.
	}
	asked := time.Now()
	if wait := take(a, 3_000_000, time.Hour); wait == 0 {
		t.Fatal("half a bucket is there at once")
	}
	const lapses = 740 * time.Millisecond // a turn that is not taken up, and what clocks may differ
	for {
		got := take(b, 1, time.Hour) == 0
		since := time.Since(asked)
		if got && since < lapses {
			t.Fatalf("another was let through %v after a had its turn", since)
		}
		if got {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	// Both wait, and both come back: both are served.
	var all sync.WaitGroup
	var mu sync.Mutex
	var order []string
	for name, s := range map[string]*Server{"a": a, "b": b} {
		all.Go(func() {
			for range 3 {
				for wait := take(s, 20_000, time.Hour); wait > 0; wait = take(s, 20_000, time.Hour) {
					time.Sleep(min(wait, llm.AskAgain))
				}
				mu.Lock()
				order = append(order, name)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	slices.Sort(order)
	if fmt.Sprint(order) != "[a a a b b b]" {
		t.Error(order)
	}
}
