package llm

import (
	"context"
	"slices"
	"time"
)

// SharedLimits keep the buckets of limits for several processes, so that one
// limit holds for all of them together. Its methods may be called from many
// goroutines, do not wait for room, and return within a small bound of time
// whatever happens to the one who calls.
type SharedLimits interface {
	// Take takes a request and so many tokens from the buckets of a name, which
	// are of the sizes of l, or takes nothing and says how long it would have to
	// wait. One who will wait that long, because it is no longer than most, is next:
	// nobody else is let through before, as long as it asks again every [AskAgain].
	// An error says that there is no telling.
	Take(ctx context.Context, name string, l Limits, tokens int64, most time.Duration) (wait time.Duration, err error)
	// Give puts back what was taken too much; less than nothing takes more.
	Give(ctx context.Context, name string, l Limits, requests, tokens int64)
}

// AskAgain is how often one whose turn it is asks shared buckets for room.
// Meanwhile others may have given some back.
const AskAgain = 500 * time.Millisecond

// common is a limiter's part in buckets that processes share. Its own buckets
// are kept up as well: they hold what this process took, and so never less than
// the shared ones. When those cannot be asked, they alone decide.
type common struct {
	SharedLimits
	name   string
	limits Limits
}

// among has a limiter share its limits with other processes under a name.
func (l *limiter) among(s SharedLimits, name string, limits Limits) *limiter {
	if s != nil && limits != (Limits{}) {
		l.common = &common{s, name, limits}
	}
	return l
}

// ask is how long the shared buckets would make a request wait, that the own
// ones have room for. 0: it may go.
func (l *limiter) ask(ctx context.Context, tokens int64, most time.Duration) time.Duration {
	c := l.common
	if c == nil {
		return 0
	}
	wait, err := c.Take(ctx, c.name, c.limits, tokens, most)
	if err != nil {
		return 0
	}
	return wait
}

// askFor asks the shared buckets for the waiter that is next, which may leave
// meanwhile.
func (l *limiter) askFor(w *waiter, most time.Duration) {
	wait := l.ask(context.Background(), int64(w.tokens), most)
	l.mu.Lock()
	l.asking = false
	gone := wait == 0 && !slices.Contains(l.queue, w)
	switch {
	case wait > 0:
		l.putBack(w.tokens)
		l.hold(wait)
	case gone:
		l.putBack(w.tokens)
	default:
		l.let(w)
	}
	l.pump(l.now())
	l.mu.Unlock()
	if gone {
		l.give(1, int64(w.tokens))
	}
}

// hold has the shared buckets not asked for a while.
func (l *limiter) hold(wait time.Duration) {
	now := l.now()
	l.held, l.room = now.Add(min(wait, AskAgain)), now.Add(wait)
}

// give tells the shared buckets what was put back into the own ones. It must not
// be called with the lock.
func (l *limiter) give(requests, tokens int64) {
	c := l.common
	if c == nil {
		return
	}
	if c.limits.Requests <= 0 {
		requests = 0
	}
	if c.limits.Tokens <= 0 {
		tokens = 0
	}
	if requests != 0 || tokens != 0 {
		c.Give(context.Background(), c.name, c.limits, requests, tokens)
	}
}
