package llm

import (
	"cmp"
	"fmt"
	"sync"
	"time"
)

// BreakerOptions say when a model is left alone for a while. Zero fields take
// the stated defaults.
type BreakerOptions struct {
	Window   time.Duration // that outcomes count for; default 60 s
	MinCalls int           // below which nothing is concluded; default 8
	Ratio    float64       // of failures, at which it opens; default 0.5
	Open     time.Duration // the first time, doubled each time the probe fails; default 10 s
	MaxOpen  time.Duration // default 2 min
	Refused  time.Duration // when the key was refused or has no credit left; default 1 min
}

func (o BreakerOptions) orDefaults() BreakerOptions {
	o.Window = cmp.Or(o.Window, time.Minute)
	o.MinCalls = cmp.Or(o.MinCalls, 8)
	o.Ratio = cmp.Or(o.Ratio, 0.5)
	o.Open = cmp.Or(o.Open, 10*time.Second)
	o.MaxOpen = cmp.Or(o.MaxOpen, 2*time.Minute)
	o.Refused = cmp.Or(o.Refused, time.Minute)
	return o
}

// BreakerState is what a breaker lets through.
type BreakerState string

const (
	BreakerClosed   BreakerState = "closed"    // everything
	BreakerOpen     BreakerState = "open"      // nothing until its time is up
	BreakerHalfOpen BreakerState = "half_open" // one probe at a time
)

// breaker is the state machine that keeps calls away from what fails:
//
//	closed ── too many failures in the window, or a refused key ──▶ open
//	open ── its time is up, and a call comes ──▶ half-open, that call is the probe
//	half-open ── the probe succeeds ──▶ closed
//	half-open ── the probe fails ──▶ open, for twice as long
//	half-open ── the probe says nothing (429, cancelled) ──▶ half-open, the next call is the probe
//
// What a call that was let through earlier reports after a change of state is
// old news and changes nothing.
//
// A breaker is one workspace's: what a provider chokes on may be what somebody sent,
// and nobody shall be able to close a model to others. It keeps no words of the
// provider, which may quote a prompt.
type breaker struct {
	BreakerOptions

	mu      sync.Mutex
	state   BreakerState
	epoch   int // counts changes of state
	slots   [breakerSlots]breakerSlot
	until   time.Time // open until then
	lasting time.Duration
	probing bool
	why     string
	fault   Fault
}

const breakerSlots = 6

type breakerSlot struct {
	from       time.Time
	ok, failed int
}

func newBreaker(o BreakerOptions) *breaker {
	return &breaker{BreakerOptions: o.orDefaults(), state: BreakerClosed}
}

// pass is the right to make one attempt; it must be given back with done.
type pass struct {
	breaker *breaker
	epoch   int
	probe   bool
}

type outcome int

const (
	outcomeNeutral outcome = iota // says nothing about the model: 429, cancelled, our own mistake
	outcomeOK
	outcomeFailed
)

// allow lets an attempt through, or says when to ask again.
func (b *breaker) allow(now time.Time) (p pass, again time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == BreakerOpen && !now.Before(b.until) {
		b.turn(BreakerHalfOpen)
	}
	switch {
	case b.state == BreakerClosed:
		return pass{b, b.epoch, false}, now, true
	case b.state == BreakerHalfOpen && !b.probing:
		b.probing = true
		return pass{b, b.epoch, true}, now, true
	case b.state == BreakerHalfOpen:
		return pass{}, now.Add(probeWait), false
	}
	return pass{}, b.until, false
}

// probeWait is how long to wait before looking what became of another's probe.
const probeWait = time.Second

// done gives a pass back.
func (p pass) done(now time.Time, o outcome, fault Fault) {
	b := p.breaker
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case p.epoch != b.epoch:
	case p.probe:
		b.probed(now, o, fault)
	default:
		b.count(now, o, fault)
	}
}

func (b *breaker) probed(now time.Time, o outcome, fault Fault) {
	b.probing = false
	switch o {
	case outcomeOK:
		b.turn(BreakerClosed)
		b.slots, b.lasting, b.why, b.fault = [breakerSlots]breakerSlot{}, 0, "", ""
	case outcomeFailed:
		b.open(now, min(2*b.lasting, b.MaxOpen), fault, "the last try failed, too: "+fault.says())
	}
}

func (b *breaker) count(now time.Time, o outcome, fault Fault) {
	if o == outcomeNeutral {
		return
	}
	s := b.slot(now)
	if o == outcomeOK {
		s.ok++
		return
	}
	s.failed++
	total, failed := b.sum(now)
	if total >= b.MinCalls && float64(failed) >= b.Ratio*float64(total) {
		b.open(now, b.Open, fault, fmt.Sprintf("%d of %d calls failed within %s, the last: %s", failed, total, b.Window, fault.says()))
	}
}

// trip opens at once, for as long as a refused key or an empty account lasts.
func (b *breaker) trip(now time.Time, fault Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open(now, b.Refused, fault, fault.says())
}

func (b *breaker) open(now time.Time, lasting time.Duration, fault Fault, why string) {
	b.turn(BreakerOpen)
	b.until, b.lasting, b.fault, b.why = now.Add(lasting), lasting, fault, why
}

func (b *breaker) turn(to BreakerState) {
	b.state, b.probing = to, false
	b.epoch++
}

// slot is the part of the window that now falls into.
func (b *breaker) slot(now time.Time) *breakerSlot {
	width := b.Window / breakerSlots
	from := now.Truncate(width)
	s := &b.slots[int(from.UnixNano()/int64(width)%breakerSlots+breakerSlots)%breakerSlots]
	if !s.from.Equal(from) {
		*s = breakerSlot{from: from}
	}
	return s
}

func (b *breaker) sum(now time.Time) (total, failed int) {
	for _, s := range b.slots {
		if now.Sub(s.from) < b.Window {
			total += s.ok + s.failed
			failed += s.failed
		}
	}
	return total, failed
}

// look returns the state without taking part.
func (b *breaker) look(now time.Time) (s BreakerState, until time.Time, fault Fault, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == BreakerOpen && !now.Before(b.until) {
		return BreakerHalfOpen, b.until, b.fault, b.why
	}
	return b.state, b.until, b.fault, b.why
}
