package mgx

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// reproduced, when set, is where this process takes what a run's record is made
// of and what would differ each time.
var reproduced atomic.Pointer[reproduction]

type reproduction struct {
	seed  string
	nth   string
	stamp time.Time // zero: the time it is

	mu    sync.Mutex
	drawn map[string]uint64 // by prefix
}

// Reproduce makes what follows in this process repeatable: the identifiers of
// tasks, runs, executions, events and signals come from the seed, each kind in an
// order of its own, and [Stamp] stands still at stamp unless that is zero, until
// end is called. It is for processes that work on one run at a time; calling it
// again begins anew. The same seed and nth give the same identifiers, so a caller
// sees to it that no two runs share both: nth tells apart what repeats a seed.
//
// Leases, reservations and everything else that must be unique stay random, and
// events keep the time at which they happened.
func Reproduce(seed, nth string, stamp time.Time) (end func()) {
	r := &reproduction{seed: seed, nth: nth, stamp: stamp.UTC().Truncate(time.Microsecond), drawn: map[string]uint64{}}
	reproduced.Store(r)
	return func() { reproduced.CompareAndSwap(r, nil) }
}

// Stamp is the current time for what a run makes and what models read: commits
// and dates. It differs from [Now] only where a run is reproduced.
func Stamp() time.Time {
	if r := reproduced.Load(); r != nil && !r.stamp.IsZero() {
		return r.stamp
	}
	return Now()
}

// newRecordID is an identifier that a run's record shows.
func newRecordID[T ~string](prefix string) T {
	r := reproduced.Load()
	if r == nil {
		return NewID[T](prefix)
	}
	return T(prefix + "_" + crockford(r.draw(prefix)))
}

// NewSecret is a text of 128 random bits that a run keeps to itself. A process
// that reproduces a run makes it from the seed alone: what models read depends on
// it, and must be the same whatever the run's identifiers are.
func NewSecret() string {
	if r := reproduced.Load(); r != nil {
		sum := sha256.Sum256([]byte(r.seed + "\x00secret"))
		return hex.EncodeToString(sum[:16])
	}
	return rand.Text()
}

// draw makes the next identifier of a kind. They sort in the order drawn.
func (r *reproduction) draw(prefix string) (b [16]byte) {
	r.mu.Lock()
	r.drawn[prefix]++
	n := r.drawn[prefix]
	r.mu.Unlock()
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s\x00%s\x00%d", r.seed, r.nth, prefix, n))
	at := time.Now().UnixMilli()
	if !r.stamp.IsZero() {
		at = r.stamp.UnixMilli() + int64(n)
	}
	binary.BigEndian.PutUint64(b[:8], uint64(at)<<16)
	copy(b[6:], sum[:])
	return b
}
