package webhook

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// schedule is how long on average it is from each failed attempt to the next.
// Each wait is drawn evenly from nothing to twice that (full jitter, after
// https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), so
// that endpoints which failed together do not come back together. An event is
// given up after about two days, and after four at most.
var schedule = []time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute,
	time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 18 * time.Hour,
}

// maxRetryAfter bounds what an endpoint may ask for with Retry-After.
const maxRetryAfter = 24 * time.Hour

// wait returns how long to wait after this many attempts have failed; false: no
// more attempts.
func wait(failed int) (time.Duration, bool) {
	if failed > len(schedule) {
		return 0, false
	}
	return rand.N(2 * schedule[failed-1]), true
}

// retryAfter reads a Retry-After header (RFC 9110, 10.2.3): seconds or a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	var d time.Duration
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}
