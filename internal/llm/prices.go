package llm

import (
	"errors"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"mgx"
)

// Rates are amounts per million tokens.
type Rates struct {
	Input      mgx.Money // prompt tokens
	Output     mgx.Money // completion tokens, thinking included
	Cached     mgx.Money // prompt tokens read from the provider's cache
	CacheWrite mgx.Money // prompt tokens written to it
}

// longWrite is the price of prompt tokens that are written to the provider's cache
// for an hour. Lists do not have it; Anthropic, whose cache alone has the choice,
// charges twice the input for every model
// (platform.claude.com/docs/en/build-with-claude/prompt-caching, "Pricing").
func (r Rates) longWrite() mgx.Money { return max(r.CacheWrite, 2*r.Input) }

// longCached are the prices for a request that may have its prompt kept for an hour.
func (p Price) longCached() Price {
	p.CacheWrite = p.longWrite()
	p.Long.CacheWrite = p.Long.longWrite()
	return p
}

// Price is what a model costs.
type Price struct {
	Rates
	// Long, when LongAbove is not 0, are the rates of the whole call when its
	// prompt has more than LongAbove tokens.
	Long      Rates
	LongAbove int64

	ContextWindow int      // tokens; 0: unknown
	MaxOutput     int      // tokens; 0: unknown
	Capabilities  []string // as CapTools and others; nil: unknown
	Version       string   // names the list the price is from, for the record of each use
}

// Cost is what these tokens cost, rounded up to a nanodollar.
func (p Price) Cost(u mgx.Usage) mgx.Money {
	r := p.at(u.Prompt)
	cached := min(max(u.Cached, 0), max(u.Prompt, 0))
	written := min(max(u.CacheWrite, 0), max(u.Prompt, 0)-cached)
	long := min(max(u.CacheWriteLong, 0), written)
	return sum(
		charge(u.Prompt-cached-written, r.Input),
		charge(cached, r.Cached),
		charge(written-long, r.CacheWrite),
		charge(long, r.longWrite()),
		charge(u.Completion, r.Output),
	)
}

// Bound is the most that a call with at most these tokens can cost, however its
// prompt is cached, unless for an hour: then it is that of longCached.
func (p Price) Bound(prompt, completion int64) mgx.Money {
	r := p.at(prompt)
	if p.LongAbove > 0 && prompt > p.LongAbove { // the prompt may turn out shorter
		r = Rates{max(r.Input, p.Input), max(r.Output, p.Output), max(r.Cached, p.Cached), max(r.CacheWrite, p.CacheWrite)}
	}
	dearest := max(r.Input, r.Cached, r.CacheWrite)
	var rounding mgx.Money // Cost rounds up the four parts of a prompt, not their sum
	if dearest > 0 && prompt > 0 {
		rounding = 3
	}
	return sum(charge(prompt, dearest), charge(completion, r.Output), rounding)
}

func (p Price) at(prompt int64) Rates {
	if p.LongAbove > 0 && prompt > p.LongAbove {
		return p.Long
	}
	return p.Rates
}

// charge is tokens × rate / 1,000,000, rounded up and saturating.
func charge(tokens int64, perMillion mgx.Money) mgx.Money {
	if tokens <= 0 || perMillion <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(tokens), uint64(perMillion))
	lo, carry := bits.Add64(lo, 999_999, 0)
	hi += carry
	if hi >= 1_000_000 {
		return math.MaxInt64
	}
	quotient, _ := bits.Div64(hi, lo, 1_000_000)
	return mgx.Money(min(quotient, math.MaxInt64))
}

func sum(amounts ...mgx.Money) mgx.Money {
	var total mgx.Money
	for _, a := range amounts {
		if total > math.MaxInt64-a {
			return math.MaxInt64
		}
		total += a
	}
	return total
}

// ParseRates reads "IN,OUT": US dollars per million tokens in and out. Cached
// and cache-writing tokens count as plain input.
func ParseRates(s string) (Rates, error) {
	in, out, ok := strings.Cut(s, ",")
	input, err1 := dollars(in)
	output, err2 := dollars(out)
	if !ok || err1 != nil || err2 != nil {
		return Rates{}, mgx.Errorf(mgx.KindUsage, "bad_price",
			"%s is not a price: write --price IN,OUT in US dollars per million tokens, such as --price 3,15", strconv.Quote(s))
	}
	return Rates{Input: input, Output: output, Cached: input, CacheWrite: input}, nil
}

// dollars reads an amount below 100,000 USD, far above any price of a million
// tokens, so that a slip of the pen is noticed.
func dollars(s string) (mgx.Money, error) {
	m, err := mgx.ParseMoney(s)
	if err == nil && m > 100_000*mgx.USD {
		err = errors.New("too much")
	}
	return m, err
}
