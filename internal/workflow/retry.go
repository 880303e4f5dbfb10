package workflow

import (
	"context"
	"math/rand/v2"
	"time"
)

// RetryPolicy says how often a failing step is tried again, and after how long:
// a random time below min(Cap, Base·2ⁿ) after the n-th failure, n from 0 ("full
// jitter": Brooker, Exponential Backoff And Jitter, AWS 2015). The step keeps
// its lease meanwhile; a crash starts the count anew. A panic is never retried.
type RetryPolicy struct {
	Max  int              // attempts in all
	Base time.Duration    // 1 s when zero
	Cap  time.Duration    // a minute when zero
	If   func(error) bool // nil: any error
}

// again reports whether to try once more after this attempt.
func (p RetryPolicy) again(attempt int, err error) bool {
	return attempt < p.Max && (p.If == nil || p.If(err))
}

func (p RetryPolicy) delay(attempt int) time.Duration {
	base, limit := p.Base, p.Cap
	if base <= 0 {
		base = time.Second
	}
	if limit <= 0 {
		limit = time.Minute
	}
	for n := 1; n < attempt && base < limit; n++ {
		base *= 2
	}
	return rand.N(min(base, limit) + 1)
}

// pause waits for d and reports whether ctx outlived it.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
