package llm

import (
	"net/http"
	"testing"
	"time"
)

func TestParseAllowances(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	check := func(name string, got *Allowance, want Allowance) {
		t.Helper()
		if got == nil || *got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	a := ParseAllowances(header("x-ratelimit-limit-requests", "60", "x-ratelimit-remaining-requests", "59", "x-ratelimit-reset-requests", "1s",
		"x-ratelimit-limit-tokens", "150000", "x-ratelimit-remaining-tokens", "149984", "x-ratelimit-reset-tokens", "6m0s"), now)
	check("openai requests", a.Requests, Allowance{60, 59, now.Add(time.Second)})
	check("openai tokens", a.Tokens, Allowance{150_000, 149_984, now.Add(6 * time.Minute)})

	reset := now.Add(30 * time.Second)
	a = ParseAllowances(header("anthropic-ratelimit-requests-limit", "50", "anthropic-ratelimit-requests-remaining", "0",
		"anthropic-ratelimit-requests-reset", reset.Format(time.RFC3339),
		"anthropic-ratelimit-input-tokens-remaining", "9000", "anthropic-ratelimit-output-tokens-remaining", "100",
		"anthropic-ratelimit-output-tokens-limit", "8000", "anthropic-ratelimit-output-tokens-reset", reset.Format(time.RFC3339)), now)
	check("anthropic requests", a.Requests, Allowance{50, 0, reset})
	check("anthropic tokens", a.Tokens, Allowance{8000, 100, reset})

	for _, h := range []http.Header{header(), header("x-ratelimit-remaining-requests", "many"), header("x-ratelimit-remaining-tokens", "-3")} {
		if a := ParseAllowances(h, now); a.Requests != nil || a.Tokens != nil {
			t.Errorf("%v: got %+v", h, a)
		}
	}
	a = ParseAllowances(header("x-ratelimit-remaining-requests", "4", "x-ratelimit-reset-requests", "9999h"), now)
	check("a reset that cannot be", a.Requests, Allowance{Remaining: 4})
}
