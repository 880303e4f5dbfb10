package llm

import (
	"sync"
	"time"
)

// watchdog ends an attempt that takes too long: that is silent for a while, or
// does not come to its end. It has one timer, which a sign of life leaves alone:
// when it rings too early it is set again.
type watchdog struct {
	bite func(says string, after time.Duration)

	mu      sync.Mutex
	timer   *time.Timer
	rings   time.Time     // when the timer does
	total   time.Duration // for all
	ends    time.Time     // when that is over
	silence time.Duration // for the next sign of life
	due     time.Time     // when that is over
	says    string        // of silence that is too long
}

const tooLong = "no whole answer within %s"

// watch starts a watchdog that waits so long for a first sign of life.
func watch(total, first time.Duration, says string, bite func(says string, after time.Duration)) *watchdog {
	now := time.Now()
	w := &watchdog{bite: bite, total: total, ends: now.Add(total), silence: first, due: now.Add(first), says: says}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rings = w.next()
	w.timer = time.AfterFunc(w.rings.Sub(now), w.ring)
	return w
}

func (w *watchdog) next() time.Time {
	if w.due.Before(w.ends) {
		return w.due
	}
	return w.ends
}

// alive notes a sign of life.
func (w *watchdog) alive() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due = time.Now().Add(w.silence)
}

// expect is alive, and from now on signs of life must come so often.
func (w *watchdog) expect(silence time.Duration, says string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.silence, w.says, w.due = silence, says, now.Add(silence)
	if next := w.next(); next.Before(w.rings) {
		w.rings = next
		w.timer.Reset(next.Sub(now))
	}
}

func (w *watchdog) ring() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	switch next := w.next(); {
	case now.Before(next):
		w.rings = next
		w.timer.Reset(next.Sub(now))
	case w.due.Before(w.ends):
		w.bite(w.says, w.silence)
	default:
		w.bite(tooLong, w.total)
	}
}

func (w *watchdog) stop() { w.timer.Stop() }
