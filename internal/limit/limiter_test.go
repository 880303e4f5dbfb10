package limit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"mgx"
)

// reference is a bucket in whole numbers: what it holds in units of which one
// token has a minute's nanoseconds.
type reference struct {
	rate  Rate
	level int64
	at    time.Time
}

const token = int64(time.Minute)

func (r *reference) to(now time.Time) {
	r.level = min(int64(r.rate.burst())*token, r.level+int64(now.Sub(r.at))*int64(r.rate.PerMinute))
	r.at = now
}

func (r *reference) missing(cost int) int64 {
	return int64(min(cost, r.rate.burst()))*token - r.level
}

// Whatever is asked when, the limiter decides as buckets do that are counted in
// whole numbers, takes from all or none, and says how they stand.
func TestLimiterIsItsReference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_700_000_000, 0)
		l := New(Options{Now: func() time.Time { return now }})
		var all []*reference
		var buckets []Bucket
		for i := range rapid.IntRange(1, 4).Draw(t, "buckets") {
			r := Rate{PerMinute: rapid.IntRange(1, 600).Draw(t, "rate"), Burst: rapid.IntRange(0, 50).Draw(t, "burst")}
			buckets = append(buckets, Bucket{Policy: fmt.Sprint("p", i), Whose: "x", Rate: r})
			all = append(all, &reference{rate: r, level: int64(r.burst()) * token, at: now})
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(3*time.Second)).Draw(t, "passes")))
			cost := rapid.IntRange(1, 60).Draw(t, "cost")
			var of []int
			for i := range all {
				if rapid.Bool().Draw(t, "asked") {
					of = append(of, i)
				}
			}
			ok, close, wait := true, false, time.Duration(0)
			var asked []Bucket
			for _, i := range of {
				asked = append(asked, buckets[i])
				all[i].to(now)
				if m := all[i].missing(cost); m > 0 {
					ok = false
					wait = max(wait, time.Duration(m/int64(all[i].rate.PerMinute)))
				}
				if m := all[i].missing(cost); m > -token/1000 && m < token/1000 {
					close = true // fractions that are not kept exactly may decide
				}
			}
			v := l.Take(context.Background(), cost, asked...)
			if close {
				ok = v.OK
			}
			if v.OK != ok {
				t.Fatalf("cost %d of %v: %v, and the reference says %v", cost, asked, v, ok)
			}
			if d := v.Wait - wait; !close && (d < -time.Millisecond || d > time.Millisecond) {
				t.Fatalf("to wait %s, and the reference says %s", v.Wait, wait)
			}
			for n, i := range of {
				if ok {
					all[i].level -= int64(min(cost, all[i].rate.burst())) * token
				}
				if left := all[i].level / token; abs(int64(v.States[n].Left)-max(0, left)) > 1 {
					t.Fatalf("%d are said to be left of %v, and %d are", v.States[n].Left, asked[n], left)
				}
			}
		}
	})
}

func abs(n int64) int64 { return max(n, -n) }

// A refusal costs nothing, and who waits as long as it says gets in.
func TestWaitIsEnough(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	l := New(Options{Now: func() time.Time { return now }})
	b := Bucket{"key", "k", Rate{PerMinute: 60, Burst: 10}}
	rest := Bucket{"workspace", "w", Rate{PerMinute: 6000}}
	if v := l.Take(t.Context(), 10, b, rest); !v.OK {
		t.Fatal(v)
	}
	for range 100 {
		if v := l.Take(t.Context(), 4, b, rest); v.OK || v.Policy != "key" || v.Wait != 4*time.Second || v.States[1].Left != 5990 {
			t.Fatalf("%+v", v)
		}
	}
	now = now.Add(4*time.Second - time.Millisecond)
	if v := l.Take(t.Context(), 4, b, rest); v.OK {
		t.Fatal("it may go too early")
	}
	now = now.Add(time.Millisecond)
	if v := l.Take(t.Context(), 4, b, rest); !v.OK {
		t.Fatalf("it waited and may not go: %+v", v)
	}
	if v := l.Take(t.Context(), 1000, Bucket{"key", "other", Rate{PerMinute: 60}}); !v.OK {
		t.Fatal("what costs more than a full bucket never goes")
	}
}

// Only so many buckets are kept, and of those the ones that are used.
func TestForgetsTheLeastUsed(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	l := New(Options{Most: 100, Now: func() time.Time { return now }})
	one := Rate{PerMinute: 1}
	l.Take(t.Context(), 1, Bucket{"key", "busy", one})
	for i := range 10_000 {
		l.Take(t.Context(), 1, Bucket{"address", fmt.Sprint(i), one})
		if v := l.Take(t.Context(), 1, Bucket{"key", "busy", one}); v.OK {
			t.Fatal("others had the bucket of one who asks all the time forgotten")
		}
	}
	if len(l.known) > 100 || l.order.Len() != len(l.known) {
		t.Errorf("%d buckets are kept, %d of them in order", len(l.known), l.order.Len())
	}
}

// A limiter that many use at once lets through what is in the bucket and no more.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	l := New(Options{Now: func() time.Time { return now }})
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 100 {
				if l.Take(context.Background(), 1, Bucket{"key", "k", Rate{PerMinute: 500}}).OK {
					passed.Add(1)
				}
			}
		})
	}
	all.Wait()
	if passed.Load() != 500 {
		t.Errorf("%d of 500 passed", passed.Load())
	}
}

// others is a Shared that several limiters have.
type others struct {
	left int64
	err  error
}

func (o *others) TakeAll(_ context.Context, names []string, _, _ []int64, cost int64) ([]int64, time.Duration, error) {
	if o.err != nil {
		return nil, 0, o.err
	}
	wait := time.Duration(0)
	if o.left < cost {
		wait = 7 * time.Second
	} else {
		o.left -= cost
	}
	left := make([]int64, len(names))
	for i := range left {
		left[i] = o.left
	}
	return left, wait, nil
}

// What others took counts; what they refuse is not taken here; while they are away
// the limit goes on in this process.
func TestShared(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	common := &others{left: 5}
	l := New(Options{Shared: common, Now: func() time.Time { return now }})
	b := Bucket{"user", "u", Rate{PerMinute: 10}}
	for range 5 {
		if v := l.Take(t.Context(), 1, b); !v.OK || v.States[0].Left > 4 {
			t.Fatalf("%+v", v)
		}
	}
	for range 20 {
		if v := l.Take(t.Context(), 1, b); v.OK || v.Wait != 7*time.Second || v.Policy != "user" || v.States[0].Left != 0 {
			t.Fatalf("%+v", v)
		}
	}
	common.err = errors.New("away")
	for i := range 6 {
		if v := l.Take(t.Context(), 1, b); v.OK != (i < 5) {
			t.Fatalf("alone, attempt %d: %+v", i, v)
		}
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	l := New(Options{Now: func() time.Time { return now }})
	buckets := []Bucket{{"key", "k", Rate{PerMinute: 60}}, {"workspace", "w", Rate{PerMinute: 6000, Burst: 600}}}
	for _, want := range []struct{ cost, limit, retry string }{
		{"59", `"key";r=1;t=59`, ""},
		{"2", `"key";r=1;t=59`, "1"},
		{"1", `"key";r=0;t=60`, ""},
		{"10", `"key";r=0;t=60`, "10"},
	} {
		var cost int
		fmt.Sscan(want.cost, &cost)
		h := http.Header{}
		l.Take(t.Context(), cost, buckets...).Headers(h)
		if got := h.Get("RateLimit-Policy"); got != `"key";q=60;w=60, "workspace";q=600;w=6` {
			t.Error(got)
		}
		if h.Get("RateLimit") != want.limit || h.Get("Retry-After") != want.retry {
			t.Errorf("after %s: %v, want %v", want.cost, h, want)
		}
	}
	h := http.Header{}
	l.Take(t.Context(), 1, Bucket{"key", "k", Rate{}}).Headers(h)
	if len(h) != 0 {
		t.Errorf("no limit has headers: %v", h)
	}
}

// Of those who come at once so many get in, so many wait in their order, and the
// others are refused without waiting.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(2, 3, time.Second)
		began := time.Now()
		var leaves []func()
		for range 2 {
			leave, err := g.Enter(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			leaves = append(leaves, leave)
		}
		entered := make(chan int, 3)
		var all sync.WaitGroup
		for i := range 3 {
			all.Go(func() {
				if leave, err := g.Enter(t.Context()); err == nil {
					entered <- i
					time.Sleep(10 * time.Millisecond)
					leave()
				} else if mgx.IsCode(err, CodeOverloaded) {
					entered <- -1
				}
			})
			synctest.Wait()
		}
		if _, err := g.Enter(t.Context()); !mgx.IsCode(err, CodeOverloaded) || time.Since(began) > 0 {
			t.Errorf("beyond the queue: %v after %s", err, time.Since(began))
		}
		time.Sleep(100 * time.Millisecond)
		leaves[0]()
		if first, second := <-entered, <-entered; first != 0 || second != 1 {
			t.Errorf("%d and %d got in first", first, second)
		}
		all.Wait()
		leaves[1]()
		gone, stop := context.WithCancel(t.Context())
		for range 2 {
			g.Enter(t.Context())
		}
		stop()
		if _, err := g.Enter(gone); !errors.Is(err, context.Canceled) {
			t.Errorf("who left: %v", err)
		}
		began = time.Now()
		if _, err := g.Enter(t.Context()); !mgx.IsCode(err, CodeOverloaded) || time.Since(began) != time.Second {
			t.Errorf("who waited: %v after %s", err, time.Since(began))
		}
	})
}

func BenchmarkTake(b *testing.B) {
	l := New(Options{})
	buckets := []Bucket{{"key", "k", Rate{PerMinute: 1 << 30}}, {"user", "u", Rate{PerMinute: 1 << 30}}, {"workspace", "w", Rate{PerMinute: 1 << 30}}}
	for b.Loop() {
		l.Take(b.Context(), 1, buckets...)
	}
}
