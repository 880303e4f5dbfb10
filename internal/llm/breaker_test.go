package llm

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestBreakerStates drives a breaker through random calls and holds it against
// what it promises.
func TestBreakerStates(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := newBreaker(BreakerOptions{Window: time.Minute, MinCalls: 4, Ratio: 0.5, Open: 10 * time.Second, MaxOpen: 40 * time.Second, Refused: time.Minute})
		now := time.Unix(1_800_000_000, 0)
		type held struct {
			pass
			since BreakerState
		}
		var open []held
		probes := 0
		var lastOpen time.Duration
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			before, until, _, _ := b.look(now)
			switch rapid.SampledFrom([]string{"allow", "allow", "done", "wait", "trip"}).Draw(t, "step") {
			case "allow":
				p, again, ok := b.allow(now)
				switch {
				case before == BreakerClosed && !ok:
					t.Fatal("a closed breaker refused")
				case before == BreakerOpen && (ok || again.Before(now)):
					t.Fatalf("an open breaker let through before %v (now %v)", until, now)
				case before == BreakerHalfOpen && ok == (probes > 0):
					t.Fatalf("half-open with %d probes under way: let through %v", probes, ok)
				case !ok:
					continue
				}
				if p.probe {
					probes++
				}
				open = append(open, held{p, before})
			case "done":
				if len(open) == 0 {
					continue
				}
				i := rapid.IntRange(0, len(open)-1).Draw(t, "which")
				h, o := open[i], outcome(rapid.IntRange(0, 2).Draw(t, "outcome"))
				open = append(open[:i], open[i+1:]...)
				stale := h.epoch != b.epoch
				h.done(now, o, FaultOverloaded)
				after, until, _, why := b.look(now)
				if h.probe && !stale {
					probes = 0
				}
				switch {
				case stale && after != before:
					t.Fatalf("old news turned %s to %s", before, after)
				case stale:
				case h.probe && o == outcomeNeutral && after != BreakerHalfOpen:
					t.Fatalf("a neutral probe turned it %s", after)
				case h.probe && o == outcomeOK && after != BreakerClosed:
					t.Fatalf("a good probe left it %s", after)
				case h.probe && o == outcomeFailed && (after != BreakerOpen || until.Sub(now) > 40*time.Second || until.Sub(now) < lastOpen && until.Sub(now) < 40*time.Second):
					t.Fatalf("a bad probe left it %s for %v after %v", after, until.Sub(now), lastOpen)
				case !h.probe && o != outcomeFailed && after != before:
					t.Fatalf("outcome %d turned %s to %s", o, before, after)
				case after == BreakerOpen && why == "":
					t.Fatal("it is open without a reason")
				}
				if after == BreakerOpen {
					lastOpen = until.Sub(now)
				}
			case "wait":
				now = now.Add(time.Duration(rapid.IntRange(1, 30).Draw(t, "seconds")) * time.Second)
			case "trip":
				b.trip(now, FaultAuth)
				probes, lastOpen = 0, time.Minute
				if s, until, fault, _ := b.look(now); s != BreakerOpen || until.Sub(now) != time.Minute || fault != FaultAuth {
					t.Fatalf("tripped, it is %s until %v", s, until)
				}
			}
			if s, _, _, _ := b.look(now); s == BreakerClosed {
				lastOpen = 0
			}
		}
	})
}

func TestBreakerForgetsWhatIsOld(t *testing.T) {
	t.Parallel()
	b := newBreaker(BreakerOptions{})
	now := time.Unix(1_800_000_000, 0)
	report := func(o outcome) {
		p, _, ok := b.allow(now)
		if !ok {
			t.Fatal("it is open")
		}
		p.done(now, o, FaultOverloaded)
	}
	for range 7 {
		report(outcomeFailed)
	}
	now = now.Add(70 * time.Second)
	report(outcomeFailed) // the seven are out of the window
	if s, _, _, _ := b.look(now); s != BreakerClosed {
		t.Fatalf("it is %s after one failure in the window", s)
	}
	for range 7 {
		report(outcomeFailed)
	}
	if s, until, _, why := b.look(now); s != BreakerOpen || until.Sub(now) != 10*time.Second || why != "8 of 8 calls failed within 1m0s, the last: it failed or was overloaded" {
		t.Fatalf("it is %s until %v: %s", s, until, why)
	}
}

func TestBreakerWaitsLongerEachTime(t *testing.T) {
	t.Parallel()
	b := newBreaker(BreakerOptions{MinCalls: 1, Open: 10 * time.Second, MaxOpen: 35 * time.Second})
	now := time.Unix(1_800_000_000, 0)
	for _, want := range []time.Duration{10 * time.Second, 20 * time.Second, 35 * time.Second, 35 * time.Second} {
		p, _, ok := b.allow(now)
		if !ok {
			t.Fatal("no probe is let through")
		}
		p.done(now, outcomeFailed, FaultOverloaded)
		if _, until, _, _ := b.look(now); until.Sub(now) != want {
			t.Errorf("open for %v, want %v", until.Sub(now), want)
		}
		now = now.Add(want)
	}
}
