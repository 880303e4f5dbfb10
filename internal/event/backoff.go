package event

import (
	"math/rand/v2"
	"time"
)

// Backoff is how long on average it is from each failed attempt to the next. Each
// wait is drawn evenly from nothing to twice that (full jitter, after
// https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), so
// that those which failed together do not come back together.
type Backoff []time.Duration

// Wait returns how long to wait after this many attempts have failed, and after
// the last of the list as long as after that.
func (b Backoff) Wait(failed int) time.Duration {
	return rand.N(2 * b[min(max(failed, 1), len(b))-1])
}
