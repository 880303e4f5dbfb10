package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"mgx"
)

// Attempts slows down those who guess passwords: after some failures in a row, an
// account can be tried from the same network only after a wait, which doubles each
// time. Others, who come from elsewhere, are not kept out, whatever is tried and how
// often.
type Attempts struct {
	now   func() time.Time
	store AttemptStore

	mu    sync.Mutex
	known map[string]*attempts
}

// AttemptStore keeps attempts for several processes, and over a restart;
// *store.Store is one.
type AttemptStore interface {
	// Attempt counts an attempt as failed unless it comes too early: then it says how
	// long to wait. After is how long the next one has to wait.
	Attempt(ctx context.Context, id string, now time.Time, after func(failed int) time.Duration) (failed int, wait time.Duration, err error)
	// AttemptSucceeded forgets the failures before it.
	AttemptSucceeded(ctx context.Context, id string) error
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

// NewAttempts returns attempts at a clock, time.Now when it is nil. Without a store
// they are those of this process.
func NewAttempts(now func() time.Time, store AttemptStore) *Attempts {
	if now == nil {
		now = time.Now
	}
	return &Attempts{now: now, store: store, known: map[string]*attempts{}}
}

// WaitError says when the next attempt may be made.
type WaitError struct{ Wait time.Duration }

func (e *WaitError) Error() string { return fmt.Sprintf("try again in %ds", e.Seconds()) }

// Seconds is the wait in whole seconds, rounded up, as Retry-After has it.
func (e *WaitError) Seconds() int { return int((e.Wait + time.Second - 1) / time.Second) }

// CodeTooManyAttempts refuses another attempt so soon. The cause is a *WaitError.
const CodeTooManyAttempts = "too_many_attempts"

// Try begins an attempt, which counts as failed until it is said to have
// succeeded, so that many at once are no way around. Failures is how many there
// were in a row, this one included. An attempt that cannot be counted is not made.
func (a *Attempts) Try(ctx context.Context, account, address string) (failures int, succeeded func(), err error) {
	sum := sha256.Sum256([]byte(account + "\x00" + Network(address)))
	id := hex.EncodeToString(sum[:])
	var wait time.Duration
	if a.store == nil {
		failures, wait = a.tryHere(id)
	} else if failures, wait, err = a.store.Attempt(ctx, id, a.now(), waitAfter); err != nil {
		return 0, nil, err
	}
	if wait > 0 {
		return failures, nil, mgx.Errorf(mgx.KindRefused, CodeTooManyAttempts, "too many failed attempts from here; %w", &WaitError{wait})
	}
	return failures, func() { a.succeeded(context.WithoutCancel(ctx), id) }, nil
}

// waitAfter is how long the next attempt has to wait after so many failures in a
// row.
func waitAfter(failed int) time.Duration {
	over := failed - freeAttempts
	if over < 0 {
		return 0
	}
	return min(longestWait, firstWait<<min(over, 20))
}

func (a *Attempts) tryHere(id string) (failed int, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	one := a.known[id]
	if one == nil || now.Sub(one.last) > attemptsKept {
		a.makeRoom(now)
		one = &attempts{}
		a.known[id] = one
	}
	if wait := one.until.Sub(now); wait > 0 {
		return one.failed, wait
	}
	one.failed++
	one.last, one.until = now, now.Add(waitAfter(one.failed))
	return one.failed, 0
}

// succeeded forgets failures. Should a store not hear of it they count until the
// next success.
func (a *Attempts) succeeded(ctx context.Context, id string) {
	if a.store != nil {
		_ = a.store.AttemptSucceeded(ctx, id)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.known, id)
}

// looked is how many are looked at to find one to forget.
const looked = 64

// makeRoom forgets, of some, one that is over or else whoever may try again the
// soonest.
func (a *Attempts) makeRoom(now time.Time) {
	if len(a.known) < maxKnown {
		return
	}
	var soonest string
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
