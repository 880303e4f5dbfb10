package cassette

import (
	"context"
	"sync"
	"time"
)

// Clock is the time as model calls see it: it moves only while one is under way
// or waits for its next attempt, by what the recording says. A call therefore
// takes exactly as long when it is played as when it was recorded.
type Clock struct {
	real bool // waiting takes time, as it does while recording

	mu sync.Mutex
	at time.Time
}

// Now is the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Sleep lets d pass, and returns early when ctx ends.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	if c.real {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	c.advance(d)
	return nil
}

func (c *Clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func (c *Clock) advanceUS(us int64) { c.advance(time.Duration(us) * time.Microsecond) }
