package mgx

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Money is an amount of US dollars in nanodollars (1e-9 USD), so that the price
// of a single token is a whole number.
type Money int64

// USD is one dollar.
const USD Money = 1_000_000_000

// Dollars is for display and JSON; never compute with it.
func (m Money) Dollars() float64 { return float64(m) / float64(USD) }

// String writes dollars with at least two digits, four below ten cents, and more where
// these would show what costs something as nothing.
func (m Money) String() string {
	digits, small := 2, max(m, -m)
	if m != 0 && small < USD/10 {
		digits = 4
	}
	if m != 0 && small < USD/10_000 {
		for digits = 5; small < USD/10_000 && digits < 9; small *= 10 {
			digits++
		}
	}
	return fmt.Sprintf("$%.*f", digits, m.Dollars())
}

// MarshalJSON writes dollars as a JSON number.
func (m Money) MarshalJSON() ([]byte, error) {
	return []byte(strconv.FormatFloat(m.Dollars(), 'f', -1, 64)), nil
}

// UnmarshalJSON reads dollars from a JSON number.
func (m *Money) UnmarshalJSON(b []byte) error {
	v, err := ParseMoney(string(b))
	if err != nil {
		return err
	}
	*m = v
	return nil
}

// ParseMoney reads an amount of dollars such as "2", "0.50" or "$1.25".
func ParseMoney(s string) (Money, error) {
	f, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(s), "$"), 64)
	if err != nil || math.IsNaN(f) || f < 0 || f > 1e9 {
		return 0, fmt.Errorf("%q is not an amount of dollars between 0 and 1,000,000,000", s)
	}
	return Money(math.Round(f * float64(USD))), nil
}

// Usage counts the tokens of model calls. Prompt includes Cached and
// CacheWrite; Completion includes Reasoning.
type Usage struct {
	Prompt     int64 `json:"prompt"`
	Completion int64 `json:"completion"`
	Cached     int64 `json:"cached,omitempty"`      // of Prompt: read from the provider's cache
	CacheWrite int64 `json:"cache_write,omitempty"` // of Prompt: written to the provider's cache
	Reasoning  int64 `json:"reasoning,omitempty"`   // of Completion: hidden thinking

	// CacheWriteLong is what of CacheWrite is kept for longer than the cache does by
	// itself, which costs more. It matters for the cost alone and is not recorded.
	CacheWriteLong int64 `json:"-"`
}

// Add returns the sum of two usages.
func (u Usage) Add(v Usage) Usage {
	return Usage{
		Prompt:     u.Prompt + v.Prompt,
		Completion: u.Completion + v.Completion,
		Cached:     u.Cached + v.Cached,
		CacheWrite: u.CacheWrite + v.CacheWrite,
		Reasoning:  u.Reasoning + v.Reasoning,

		CacheWriteLong: u.CacheWriteLong + v.CacheWriteLong,
	}
}

// Total is all tokens, in and out.
func (u Usage) Total() int64 { return u.Prompt + u.Completion }
