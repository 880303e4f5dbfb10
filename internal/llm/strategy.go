package llm

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"mgx"
)

// What is expected of models that were not measured yet, so that none is chosen
// or shunned for being new.
const (
	usualFirst   = 1500 * time.Millisecond // to the first token
	usualRate    = 50.0                    // tokens a second
	usualAnswer  = 800                     // tokens
	bytesAToken  = 4                       // of text and code, roughly
	newRateLocal = 20.0
)

// expectation is what a request is expected to be for one candidate.
type expectation struct {
	cost    mgx.Money
	priced  bool
	seconds float64
}

func (t *target) expect(prompt, answer int64) expectation {
	first, rate := usualFirst, usualRate
	if t.options.Local {
		rate = newRateLocal
	}
	if m := t.state.measured(); !t.steady {
		first, rate = cmp.Or(m.FirstToken, first), cmp.Or(m.Rate, rate)
	}
	return expectation{
		cost:    t.price.Cost(mgx.Usage{Prompt: prompt, Completion: answer}),
		priced:  t.priced,
		seconds: first.Seconds() + float64(answer)/rate,
	}
}

// rank orders targets by the strategy, best first, and keeps the order of the
// list where it sees no difference.
func rank(s Strategy, targets []*target, need needs) {
	score := map[*target]float64{}
	switch s {
	case Ordered:
		return
	case LocalFirst:
		balance(targets, score)
		for t := range score {
			if t.options.Local {
				score[t] -= 10 // balanced scores are between 0 and 1
			}
		}
	case "", Balanced:
		balance(targets, score)
	case CapabilityMatch:
		slices.SortStableFunc(targets, func(a, b *target) int {
			return cmp.Or(
				cmp.Compare(a.surplus(need), b.surplus(need)),
				cmp.Compare(cmp.Or(a.facts.Context, math.MaxInt), cmp.Or(b.facts.Context, math.MaxInt)),
				cmp.Compare(a.expected.price(), b.expected.price()))
		})
		return
	default:
		for _, t := range targets {
			score[t] = map[Strategy]float64{Cost: t.expected.price(), Latency: t.expected.seconds, Quality: -t.facts.Quality}[s]
		}
	}
	slices.SortStableFunc(targets, func(a, b *target) int { return cmp.Compare(score[a], score[b]) })
}

// price is the expected cost; that of a model without a known price is beyond all.
func (e expectation) price() float64 {
	if !e.priced {
		return math.Inf(1)
	}
	return float64(e.cost)
}

// balance gives each target the weighted sum of what it is worse than the best in.
func balance(targets []*target, score map[*target]float64) {
	cheapest, dearest := math.Inf(1), 0.0
	fastest, slowest := math.Inf(1), 0.0
	best := 0.0
	for _, t := range targets {
		if p := t.expected.price(); !math.IsInf(p, 0) {
			cheapest, dearest = min(cheapest, p), max(dearest, p)
		}
		fastest, slowest = min(fastest, t.expected.seconds), max(slowest, t.expected.seconds)
		best = max(best, t.facts.Quality)
	}
	for _, t := range targets {
		score[t] = 0.4*between(t.expected.price(), cheapest, dearest) +
			0.3*between(t.expected.seconds, fastest, slowest) +
			0.3*(1-t.facts.Quality/max(best, 1))
	}
}

// between places v from 0, at low, to 1, at high or beyond.
func between(v, low, high float64) float64 {
	switch {
	case math.IsInf(v, 1):
		return 1
	case high <= low:
		return 0
	}
	return min(1, (v-low)/(high-low))
}

// surplus counts the capabilities of a target that a request does not need.
func (t *target) surplus(need needs) int {
	n := 0
	for _, c := range t.facts.Capabilities {
		if !slices.Contains(need.capabilities, c) {
			n++
		}
	}
	return n
}

// reason says in words why a strategy put t first.
func reason(s Strategy, t *target) string {
	e := t.expected
	price := "no known price"
	if e.priced {
		price = fmt.Sprintf("about %s", e.cost)
	}
	switch s {
	case Cost:
		return "cheapest for this request: " + price
	case Latency:
		return fmt.Sprintf("fastest: about %.1f s expected", e.seconds)
	case Quality:
		return fmt.Sprintf("highest quality: %g of 100", t.facts.Quality)
	case LocalFirst:
		if t.options.Local {
			return "it is local"
		}
		return fmt.Sprintf("no local model can take it; best balance of price (%s), time (%.1f s) and quality (%g)", price, e.seconds, t.facts.Quality)
	case CapabilityMatch:
		return "the least able model that can do what the request needs"
	case Ordered:
		return "first in the list"
	}
	return fmt.Sprintf("best balance of price (%s), time (%.1f s) and quality (%g)", price, e.seconds, t.facts.Quality)
}

// draw picks one of the weighted targets for a conversation: always the same
// one, also when others come and go (weighted rendezvous hashing).
func draw(targets []*target, seed uint64, conversation string) *target {
	var won *target
	best := math.Inf(-1)
	for _, t := range targets {
		if t.weight <= 0 {
			continue
		}
		// -w/ln(u) is largest for each target with a probability of its share.
		if score := -t.weight / math.Log(uniform(seed, conversation, t.name)); score > best {
			won, best = t, score
		}
	}
	return won
}

// uniform is a number within (0, 1) that only its arguments decide, in every
// process.
func uniform(seed uint64, texts ...string) float64 {
	const prime = 1099511628211
	h := seed ^ 14695981039346656037
	for _, s := range texts {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * prime
		}
		h = (h ^ 0xff) * prime
	}
	// The finish of splitmix64: FNV alone leaves the high bits alike.
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	h ^= h >> 31
	return (float64(h>>11) + 0.5) / (1 << 53)
}

// anyone names a conversation that has no name, so that each gets a draw.
func anyone() string { return strconv.FormatUint(rand.Uint64(), 36) }
