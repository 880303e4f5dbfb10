package redis

import (
	"log/slog"
	"sync"
	"time"
)

// health decides whether Redis is worth a try:
//
//	there ── three failures in a row ──▶ away
//	away ── its time is up ──▶ one exchange is the probe; the others do without
//	probe ── fails ──▶ away, for twice as long
//	probe ── succeeds ──▶ there
type health struct {
	log *slog.Logger

	mu      sync.Mutex
	failed  int           // in a row
	lasting time.Duration // 0: it is there
	until   time.Time     // it is left alone, or a probe is under way
}

const (
	mostFailures = 3
	firstPause   = time.Second
	longestPause = 30 * time.Second
)

// mayTry says whether to try, and whether that try is the probe.
func (h *health) mayTry(now time.Time) (ok, probe bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lasting == 0 {
		return true, false
	}
	if now.Before(h.until) {
		return false, false
	}
	h.until = now.Add(h.lasting) // the others wait for what becomes of it
	return true, true
}

func (h *health) tried(now time.Time, probe bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		if h.lasting > 0 {
			h.log.Info("Redis is back")
		}
		h.failed, h.lasting = 0, 0
		return
	}
	h.failed++
	switch {
	case probe:
		h.leave(now, min(2*h.lasting, longestPause))
	case h.lasting == 0 && h.failed >= mostFailures:
		h.log.Warn("Redis is away: answers are not kept there, and limits hold for this process alone", "error", err)
		h.leave(now, firstPause)
	}
}

func (h *health) leave(now time.Time, lasting time.Duration) {
	h.lasting, h.until = lasting, now.Add(lasting)
}

// once returns f that runs only the first time.
func once(f func()) func() {
	var o sync.Once
	return func() { o.Do(f) }
}
