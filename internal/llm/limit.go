package llm

import (
	"context"
	"sync"
	"time"

	"mgx"
)

// Limits bound what is sent in a minute. Zero fields do not.
type Limits struct {
	Requests int64 `json:"requests_per_minute"`
	Tokens   int64 `json:"tokens_per_minute"` // in and out
}

// bucket is a token bucket: it fills at rate up to size, and may be owed.
type bucket struct {
	size  float64
	rate  float64 // a second
	level float64
	at    time.Time
}

// perMinute is a full bucket for n a minute, or nil for no limit.
func perMinute(n int64, now time.Time) *bucket {
	if n <= 0 {
		return nil
	}
	return &bucket{size: float64(n), rate: float64(n) / 60, level: float64(n), at: now}
}

func (b *bucket) refill(now time.Time) {
	if d := now.Sub(b.at); d > 0 {
		b.level = min(b.size, b.level+b.rate*d.Seconds())
		b.at = now
	}
}

// wait is how long until n can be taken. What is larger than the bucket waits
// until it is full.
func (b *bucket) wait(n float64, now time.Time) time.Duration {
	if b == nil {
		return 0
	}
	b.refill(now)
	missing := min(n, b.size) - b.level
	if missing <= 1e-9 {
		return 0
	}
	return time.Duration(missing/b.rate*float64(time.Second)) + time.Nanosecond
}

func (b *bucket) take(n float64) {
	if b != nil {
		b.level -= n
	}
}

// put gives back what was taken too much; less than nothing takes more.
func (b *bucket) put(n float64) {
	if b != nil {
		b.level = min(b.size, b.level+n)
	}
}

// limiter lets requests through as two buckets allow: one for requests, one for
// tokens. Those that must wait are served in turns: next is the workspace that
// has had the fewest tokens since there was a queue (start-time fair queueing,
// Goyal et al. 1996), so none can starve another.
type limiter struct {
	mu       sync.Mutex
	requests *bucket
	tokens   *bucket
	queue    []*waiter
	clock    float64                     // virtual time: the start of the one served last
	ends     map[mgx.WorkspaceID]float64 // virtual time at which each workspace's last one ends
	timer    *time.Timer                 // runs while somebody waits
	now      func() time.Time

	common *common   // nil: no other process shares the limits
	asking bool      // the shared buckets are being asked for the one that is next
	held   time.Time // they are not asked before
	room   time.Time // they are expected to have room for it
}

type waiter struct {
	workspace mgx.WorkspaceID
	tokens    float64
	start     float64
	until     time.Time // it waits no longer
	ready     chan struct{}
}

// maxWaiters bounds a queue.
const maxWaiters = 4096

func newLimiter(l Limits, now func() time.Time) *limiter {
	return &limiter{
		requests: perMinute(l.Requests, now()), tokens: perMinute(l.Tokens, now()),
		ends: map[mgx.WorkspaceID]float64{}, now: now,
	}
}

// acquire waits for its turn, at most as long as said. When that cannot be
// enough it does not wait at all and returns how long it would take, and false.
func (l *limiter) acquire(ctx context.Context, workspace mgx.WorkspaceID, tokens int64, most time.Duration) (time.Duration, bool, error) {
	l.mu.Lock()
	if l.requests == nil && l.tokens == nil {
		l.mu.Unlock()
		return 0, true, nil
	}
	n := float64(tokens)
	if len(l.queue) == 0 && l.delay(n, 1, l.now()) == 0 {
		l.take(n)
		l.mu.Unlock()
		wait := l.ask(ctx, tokens, most)
		if wait == 0 {
			return 0, true, nil
		}
		l.mu.Lock()
		l.putBack(n)
		if wait > most {
			l.mu.Unlock()
			return wait, false, nil
		}
		if len(l.queue) == 0 {
			l.hold(wait)
		}
	}
	w := &waiter{workspace: workspace, tokens: n, start: max(l.clock, l.ends[workspace]), ready: make(chan struct{})}
	return l.line(ctx, w, most)
}

// line puts a waiter in the queue, unless it would wait too long. It is called
// with the lock, which it gives up.
func (l *limiter) line(ctx context.Context, w *waiter, most time.Duration) (time.Duration, bool, error) {
	n, now := w.tokens, l.now()
	before, count := n, 1.0
	for _, other := range l.queue {
		if other.start <= w.start {
			before, count = before+other.tokens, count+1
		}
	}
	if takes := max(l.estimate(before, count, now), l.room.Sub(now)); takes > most || len(l.queue) >= maxWaiters {
		l.mu.Unlock()
		return takes, false, nil
	}
	w.until = now.Add(most)
	l.ends[w.workspace] = w.start + max(n, 1)
	l.queue = append(l.queue, w)
	l.pump(now)
	l.mu.Unlock()
	return l.await(ctx, w, most)
}

func (l *limiter) await(ctx context.Context, w *waiter, most time.Duration) (time.Duration, bool, error) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-w.ready:
		return 0, true, nil
	case <-timer.C:
	case <-ctx.Done():
	}
	l.mu.Lock()
	waited := l.leave(w)
	if !waited && ctx.Err() == nil { // it was let through just now
		l.mu.Unlock()
		return 0, true, nil
	}
	if !waited {
		l.putBack(w.tokens)
	}
	l.pump(l.now())
	l.mu.Unlock()
	if !waited {
		l.give(1, int64(w.tokens))
	}
	if ctx.Err() != nil {
		return 0, false, context.Cause(ctx)
	}
	return max(most, AskAgain), false, nil // who waits for nothing came while another was asking
}

// leave takes a waiter out of the queue and reports whether it was in it.
func (l *limiter) leave(w *waiter) bool {
	for i, other := range l.queue {
		if other == w {
			l.queue = append(l.queue[:i], l.queue[i+1:]...)
			return true
		}
	}
	return false
}

// pump lets through whoever can go now, and sets the clock for the next.
func (l *limiter) pump(now time.Time) {
	if l.asking {
		return // what is answered will go on
	}
	for len(l.queue) > 0 {
		next := l.queue[0]
		for _, w := range l.queue[1:] {
			if w.start < next.start {
				next = w
			}
		}
		if d := max(l.delay(next.tokens, 1, now), l.held.Sub(now)); d > 0 {
			l.wakeIn(d)
			return
		}
		l.take(next.tokens)
		if l.common != nil {
			l.asking = true
			go l.askFor(next, next.until.Sub(now))
			return
		}
		l.let(next)
	}
	clear(l.ends)
	l.clock, l.held, l.room = 0, time.Time{}, time.Time{}
	if l.timer != nil {
		l.timer.Stop()
	}
}

// let lets a waiter go, for which was taken what it needs.
func (l *limiter) let(w *waiter) {
	l.clock, l.held, l.room = w.start, time.Time{}, time.Time{}
	l.leave(w)
	close(w.ready)
}

func (l *limiter) wakeIn(d time.Duration) {
	if l.timer == nil {
		l.timer = time.AfterFunc(d, l.wake)
		return
	}
	l.timer.Reset(d)
}

func (l *limiter) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pump(l.now())
}

// delay is how long until this many can go.
func (l *limiter) delay(tokens, requests float64, now time.Time) time.Duration {
	return max(l.requests.wait(requests, now), l.tokens.wait(tokens, now))
}

// estimate is delay for a queue, which may need more than a bucket holds.
func (l *limiter) estimate(tokens, requests float64, now time.Time) time.Duration {
	var longest time.Duration
	for b, n := range map[*bucket]float64{l.requests: requests, l.tokens: tokens} {
		if b == nil {
			continue
		}
		b.refill(now)
		if missing := n - b.level; requests > 1 && missing > 0 {
			longest = max(longest, time.Duration(min(missing/b.rate, 1e6)*float64(time.Second)))
		} else {
			longest = max(longest, b.wait(n, now))
		}
	}
	return longest
}

func (l *limiter) take(tokens float64) {
	l.requests.take(1)
	l.tokens.take(tokens)
}

// drawn is the bucket that tokens are taken from now.
func (l *limiter) drawn() *bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tokens
}

// putBack undoes take.
func (l *limiter) putBack(tokens float64) {
	l.requests.put(1)
	l.tokens.put(tokens)
}

// settle replaces the estimate that was taken by what was really used.
// What the provider has said since is left as it is: it knows what was used.
func (l *limiter) settle(taken, used int64, from *bucket) {
	l.mu.Lock()
	if l.tokens == from {
		from.put(float64(taken - used))
	}
	l.pump(l.now())
	l.mu.Unlock()
	l.give(0, taken-used)
}

// refund takes back a request that was never sent.
func (l *limiter) refund(taken int64) {
	l.mu.Lock()
	l.putBack(float64(taken))
	l.pump(l.now())
	l.mu.Unlock()
	l.give(1, taken)
}

// maxPeriod bounds how long a provider's own limit is believed to take to fill:
// clocks differ, and a limit by the day is better learned from its 429.
const maxPeriod = 2 * time.Minute

// learn takes over what a provider says is left. Only what says both its size
// and when it is full again is believed.
func (l *limiter) learn(a Allowances) {
	if a.Requests == nil && a.Tokens == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if b := a.Requests.bucket(now); b != nil {
		l.requests = b
	}
	if b := a.Tokens.bucket(now); b != nil {
		l.tokens = b
	}
	l.pump(now)
}

func (a *Allowance) bucket(now time.Time) *bucket {
	if a == nil || a.Limit <= 0 || a.Full.IsZero() {
		return nil
	}
	b := perMinute(a.Limit, now)
	left := min(a.Remaining, a.Limit)
	if period := min(a.Full.Sub(now), maxPeriod); period > 0 && left < a.Limit {
		b.rate = float64(a.Limit-left) / period.Seconds()
		b.level = float64(left)
	}
	return b
}
