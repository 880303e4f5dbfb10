package llm

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"path"
	"strconv"
	"strings"

	"mgx"
)

//go:embed prices.json
var builtinPrices []byte

// Rates are amounts per million tokens.
type Rates struct {
	Input      mgx.Money // prompt tokens
	Output     mgx.Money // completion tokens, thinking included
	Cached     mgx.Money // prompt tokens read from the provider's cache
	CacheWrite mgx.Money // prompt tokens written to it
}

// Price is what a model costs.
type Price struct {
	Rates
	// Long, when LongAbove is not 0, are the rates of the whole call when its
	// prompt has more than LongAbove tokens.
	Long      Rates
	LongAbove int64

	ContextWindow int    // tokens; 0: unknown
	MaxOutput     int    // tokens; 0: unknown
	Version       string // names the list the price is from, for the record of each use
}

// Cost is what these tokens cost, rounded up to a nanodollar.
func (p Price) Cost(u mgx.Usage) mgx.Money {
	r := p.at(u.Prompt)
	cached := min(max(u.Cached, 0), max(u.Prompt, 0))
	written := min(max(u.CacheWrite, 0), max(u.Prompt, 0)-cached)
	return sum(
		charge(u.Prompt-cached-written, r.Input),
		charge(cached, r.Cached),
		charge(written, r.CacheWrite),
		charge(u.Completion, r.Output),
	)
}

// Bound is the most that a call with at most these tokens can cost, however its
// prompt is cached.
func (p Price) Bound(prompt, completion int64) mgx.Money {
	r := p.at(prompt)
	dearest := max(r.Input, r.Cached, r.CacheWrite)
	var rounding mgx.Money // Cost rounds up the three parts of a prompt, not their sum
	if dearest > 0 && prompt > 0 {
		rounding = 2
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

// Prices knows what models cost: an embedded, dated list under what the user
// said. The zero value and nil know nothing.
type Prices struct {
	Source  string // where the embedded list is from
	Version string // its date
	SHA256  string // of the embedded list

	entries []priceEntry
	free    map[string]bool // providers that cost nothing
	user    *Price          // for every model
}

type priceEntry struct {
	pattern string // provider/model, with the wildcards of path.Match
	price   Price
}

// priceFile is the form of prices.json.
type priceFile struct {
	Source  string `json:"source"`
	Version string `json:"version"`
	Unit    string `json:"unit"`
	Prices  []struct {
		Models []string `json:"models"`
		rateFile
		Long *struct {
			Above int64 `json:"above"`
			rateFile
		} `json:"long"`
		Context   int `json:"context"`
		MaxOutput int `json:"max_output"`
	} `json:"prices"`
}

type rateFile struct {
	Input      mgx.Money  `json:"input"`
	Output     mgx.Money  `json:"output"`
	Cached     *mgx.Money `json:"cached"`
	CacheWrite *mgx.Money `json:"cache_write"`
}

// rates fills what the list leaves out with the price of plain input.
func (f rateFile) rates() Rates {
	r := Rates{Input: f.Input, Output: f.Output, Cached: f.Input, CacheWrite: f.Input}
	if f.Cached != nil {
		r.Cached = *f.Cached
	}
	if f.CacheWrite != nil {
		r.CacheWrite = *f.CacheWrite
	}
	return r
}

// BuiltinPrices returns the embedded list.
func BuiltinPrices() *Prices {
	p, err := parsePrices(builtinPrices)
	if err != nil {
		panic("llm: embedded prices: " + err.Error())
	}
	return p
}

func parsePrices(data []byte) (*Prices, error) {
	var file priceFile
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		return nil, err
	}
	if file.Version == "" || file.Source == "" {
		return nil, errors.New("the list does not say its source and version")
	}
	digest := sha256.Sum256(data)
	p := &Prices{Source: file.Source, Version: file.Version, SHA256: hex.EncodeToString(digest[:])}
	for _, e := range file.Prices {
		price := Price{Rates: e.rates(), ContextWindow: e.Context, MaxOutput: e.MaxOutput, Version: file.Version}
		if e.Long != nil {
			price.Long, price.LongAbove = e.Long.rates(), e.Long.Above
		}
		for _, pattern := range e.Models {
			if _, err := path.Match(pattern, ""); err != nil {
				return nil, fmt.Errorf("%s: %w", pattern, err)
			}
			p.entries = append(p.entries, priceEntry{pattern, price})
		}
	}
	return p, nil
}

// Lookup returns the price of a model: the user's, else zero for a free
// provider, else that of its very name or the longest pattern that matches. Patterns name
// models and their dated snapshots, never versions to come: a new model is
// unknown until the list knows it.
func (p *Prices) Lookup(provider, model string) (Price, bool) {
	if p == nil {
		return Price{}, false
	}
	found, known := p.listed(provider + "/" + model)
	switch {
	case p.user != nil:
		user := *p.user
		user.ContextWindow, user.MaxOutput = found.ContextWindow, found.MaxOutput
		return user, true
	case p.free[provider]:
		return Price{Version: "local"}, true
	}
	return found, known
}

func (p *Prices) listed(name string) (price Price, known bool) {
	longest := -1
	for _, e := range p.entries {
		if e.pattern == name {
			return e.price, true
		}
		if ok, _ := path.Match(e.pattern, name); ok && len(e.pattern) > longest {
			price, known, longest = e.price, true, len(e.pattern)
		}
	}
	return price, known
}

// WithFree returns a copy in which a provider's models cost nothing, as those of
// the user's own machine do. Their records say "local".
func (p *Prices) WithFree(provider string) *Prices {
	q := p.clone()
	q.free[provider] = true
	return q
}

// WithUser returns a copy in which every model has the price the user gave.
func (p *Prices) WithUser(r Rates) *Prices {
	q := p.clone()
	q.user = &Price{Rates: r, Version: "user"}
	return q
}

func (p *Prices) clone() *Prices {
	q := &Prices{free: map[string]bool{}}
	if p != nil {
		*q = *p
		q.free = maps.Clone(p.free)
		if q.free == nil {
			q.free = map[string]bool{}
		}
	}
	return q
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
