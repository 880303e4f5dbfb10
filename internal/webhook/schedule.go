package webhook

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"mgx/internal/event"
)

// schedule is how long it is from each failed attempt to the next. An event is
// given up after about two days, and after four at most.
var schedule = event.Backoff{
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
	return schedule.Wait(failed), true
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
