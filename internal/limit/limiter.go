package limit

import (
	"container/list"
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate is how fast a bucket fills, and how much it holds.
type Rate struct {
	PerMinute int // 0: there is no limit
	Burst     int // 0: what fills in a minute
}

func (r Rate) burst() int {
	if r.Burst > 0 {
		return r.Burst
	}
	return r.PerMinute
}

// Bucket is what a request draws on: whose it is, in words of a policy that people
// know it by, and its rate.
type Bucket struct {
	Policy string // key, user, workspace, address
	Whose  string // an id or an address
	Rate   Rate
}

func (b Bucket) name() string { return b.Policy + ":" + b.Whose }

// Shared keeps buckets for several processes, such as in Redis.
type Shared interface {
	// TakeAll takes cost from every bucket or from none. It returns what is left in
	// each, and how long to wait until there is enough in all; 0: it was taken. An error
	// says that there is no telling; it comes soon.
	TakeAll(ctx context.Context, names []string, bursts, perMinute []int64, cost int64) (left []int64, wait time.Duration, err error)
}

// Options are what a limiter works with.
type Options struct {
	Shared Shared           // nil: the buckets are this process's alone
	Most   int              // buckets that are kept; 50,000
	Now    func() time.Time // time.Now
}

// Limiter keeps buckets. Its methods may be called from many goroutines.
type Limiter struct {
	o Options

	mu    sync.Mutex
	known map[string]*list.Element
	order *list.List // of *kept; those used last are in front
}

type kept struct {
	name string
	rate Rate
	*rate.Limiter
}

// New returns a limiter.
func New(o Options) *Limiter {
	if o.Most <= 0 {
		o.Most = 50_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Limiter{o: o, known: map[string]*list.Element{}, order: list.New()}
}

// Verdict is whether a request may go on, and how its buckets stand.
type Verdict struct {
	OK     bool
	Policy string        // of the bucket that has too little; empty: none
	Wait   time.Duration // until there is enough
	States []State
}

// State is how one bucket stands.
type State struct {
	Policy string
	Quota  int           // what it holds
	Window time.Duration // in which an empty one fills
	Left   int
	Full   time.Duration // until it is full again
}

// Take draws cost, at least 1, on buckets. One that holds less than that is drawn
// empty. Buckets without a limit are left out.
func (l *Limiter) Take(ctx context.Context, cost int, buckets ...Bucket) Verdict {
	now := l.o.Now()
	of, taken, v := l.takeHere(now, max(1, cost), buckets)
	if !v.OK || l.o.Shared == nil || len(of) == 0 {
		return v
	}
	names, bursts, rates := make([]string, len(of)), make([]int64, len(of)), make([]int64, len(of))
	for i, b := range of {
		names[i], bursts[i], rates[i] = b.name(), int64(b.Rate.burst()), int64(b.Rate.PerMinute)
	}
	left, wait, err := l.o.Shared.TakeAll(ctx, names, bursts, rates, int64(max(1, cost)))
	if err != nil || len(left) != len(of) {
		return v // what this process knows has to do
	}
	for i := range v.States {
		s := &v.States[i]
		if left[i] < int64(s.Left) {
			s.Left = int(max(0, left[i]))
			s.Full = of[i].fills(float64(s.Quota) - float64(s.Left))
		}
	}
	if wait > 0 {
		l.mu.Lock()
		for _, r := range taken {
			r.CancelAt(now)
		}
		l.mu.Unlock()
		v.OK, v.Wait, v.Policy = false, wait, tightest(v.States).Policy
	}
	return v
}

// takeHere draws on this process's buckets.
func (l *Limiter) takeHere(now time.Time, cost int, buckets []Bucket) (of []Bucket, taken []*rate.Reservation, v Verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v.OK = true
	var all []*kept
	for _, b := range buckets {
		if b.Rate.PerMinute <= 0 {
			continue
		}
		k := l.bucket(b, now)
		of, all = append(of, b), append(all, k)
		want := float64(min(cost, b.Rate.burst()))
		if missing := want - k.TokensAt(now); missing > 1e-9 {
			v.OK = false
			if wait := b.fills(missing); wait > v.Wait {
				v.Wait, v.Policy = wait, b.Policy
			}
		}
	}
	for i, k := range all {
		if v.OK {
			taken = append(taken, k.ReserveN(now, min(cost, of[i].Rate.burst())))
		}
		v.States = append(v.States, of[i].state(k.TokensAt(now)))
	}
	return of, taken, v
}

// fills is how long a bucket takes to fill by so much.
func (b Bucket) fills(tokens float64) time.Duration {
	return time.Duration(tokens * float64(time.Minute) / float64(b.Rate.PerMinute))
}

func (b Bucket) state(tokens float64) State {
	tokens = max(0, tokens)
	full := float64(b.Rate.burst())
	return State{Policy: b.Policy, Quota: b.Rate.burst(), Window: b.fills(full), Left: int(tokens + 1e-9), Full: b.fills(full - tokens)}
}

// bucket finds one, or makes it in the place of the one that was used least lately.
func (l *Limiter) bucket(b Bucket, now time.Time) *kept {
	name := b.name()
	if e, ok := l.known[name]; ok {
		l.order.MoveToFront(e)
		k := e.Value.(*kept)
		if k.rate != b.Rate { // the setting has changed
			k.SetLimitAt(now, perSecond(b.Rate))
			k.SetBurstAt(now, b.Rate.burst())
			k.rate = b.Rate
		}
		return k
	}
	if l.order.Len() >= l.o.Most {
		last := l.order.Back()
		delete(l.known, last.Value.(*kept).name)
		l.order.Remove(last)
	}
	k := &kept{name, b.Rate, rate.NewLimiter(perSecond(b.Rate), b.Rate.burst())}
	l.known[name] = l.order.PushFront(k)
	return k
}

func perSecond(r Rate) rate.Limit { return rate.Limit(float64(r.PerMinute) / 60) }

// CodeRateLimited refuses who asks too often.
const CodeRateLimited = "rate_limited"

// Excess is the cause of an error that refuses somebody who asked too often.
type Excess struct{ Wait time.Duration }

func (e *Excess) Error() string { return "wait " + e.Wait.String() }

// Waits is how long to wait.
func (e *Excess) Waits() time.Duration { return e.Wait }
