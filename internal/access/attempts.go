package access

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"mgx"
)

// Attempts slows down those who guess passwords: after some failures in a row, an
// account can be tried from the same address only after a wait, which doubles each
// time. Others, who come from elsewhere, are not kept out.
type Attempts struct {
	now func() time.Time

	mu    sync.Mutex
	known map[[32]byte]*attempts
}

type attempts struct {
	failed int
	until  time.Time // no further attempt before
	last   time.Time
}

const (
	freeAttempts = 5
	firstWait    = time.Second
	longestWait  = 15 * time.Minute
	attemptsKept = 24 * time.Hour
)

// NewAttempts returns attempts at a clock, time.Now when it is nil.
func NewAttempts(now func() time.Time) *Attempts {
	if now == nil {
		now = time.Now
	}
	return &Attempts{now: now, known: map[[32]byte]*attempts{}}
}

// WaitError says when the next attempt may be made.
type WaitError struct{ Wait time.Duration }

func (e *WaitError) Error() string { return fmt.Sprintf("wait %s", e.Wait) }

// CodeTooManyAttempts refuses another attempt so soon. The cause is a *WaitError.
const CodeTooManyAttempts = "too_many_attempts"

// Try begins an attempt, which counts as failed until it is said to have
// succeeded, so that many at once are no way around. Failures is how many there
// were in a row, this one included.
func (a *Attempts) Try(account, address string) (failures int, succeeded func(), err error) {
	key := sha256.Sum256([]byte(account + "\x00" + Network(address)))
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	one := a.known[key]
	if one == nil || now.Sub(one.last) > attemptsKept {
		a.makeRoom(now)
		one = &attempts{}
		a.known[key] = one
	}
	if wait := one.until.Sub(now); wait > 0 {
		return one.failed, nil, mgx.Errorf(mgx.KindRefused, CodeTooManyAttempts, "too many failed attempts from here; try again in %s (%w)", wait.Round(time.Second)+time.Second, &WaitError{wait})
	}
	one.failed++
	one.last = now
	if over := one.failed - freeAttempts; over >= 0 {
		one.until = now.Add(min(longestWait, firstWait<<min(over, 20)))
	}
	return one.failed, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.known, key)
	}, nil
}

// looked is how many are looked at to find one to forget.
const looked = 64

// makeRoom forgets, of some, one that is over or else whoever may try again the
// soonest.
func (a *Attempts) makeRoom(now time.Time) {
	if len(a.known) < maxKnown {
		return
	}
	var soonest [32]byte
	var at time.Time
	n := 0
	for key, one := range a.known { // in no order
		if now.Sub(one.last) > attemptsKept {
			soonest = key
			break
		}
		if n == 0 || one.until.Before(at) {
			soonest, at = key, one.until
		}
		if n++; n == looked {
			break
		}
	}
	delete(a.known, soonest)
}

// Network is whose an address is: one of IPv6 is one of a whole network's.
func Network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	ip = ip.Unmap()
	if ip.Is6() {
		p, _ := ip.WithZone("").Prefix(64)
		return p.String()
	}
	return ip.String()
}
