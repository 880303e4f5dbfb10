package llm

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Allowance is what a provider says is left of one of its limits.
type Allowance struct {
	Limit     int64 // 0: it did not say
	Remaining int64
	Full      time.Time // when the whole Limit is there again; zero: it did not say
}

// Allowances are what the headers of an answer, also of a refusal, say about the
// limits of the key and the model. A nil one was not mentioned.
type Allowances struct {
	Requests, Tokens *Allowance
}

// ParseAllowances reads the limit headers of OpenAI's dialect (x-ratelimit-*)
// and of Anthropic's (anthropic-ratelimit-*). Where tokens in and out are counted
// apart, the side with less left counts.
func ParseAllowances(h http.Header, now time.Time) Allowances {
	var a Allowances
	if !statesLimits(h) {
		return a
	}
	a.Requests = cmp.Or(openaiAllowance(h, "Requests", now), anthropicAllowance(h, "Requests"))
	a.Tokens = cmp.Or(openaiAllowance(h, "Tokens", now), anthropicAllowance(h, "Tokens"),
		tighter(anthropicAllowance(h, "Input-Tokens"), anthropicAllowance(h, "Output-Tokens")))
	return a
}

func statesLimits(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(name, "X-Ratelimit-") || strings.HasPrefix(name, "Anthropic-Ratelimit-") {
			return true
		}
	}
	return false
}

// openaiAllowance reads X-Ratelimit-Remaining-Requests: 59 with
// X-Ratelimit-Reset-Requests: 6m0s or 1.2s, or a bare number of seconds.
func openaiAllowance(h http.Header, what string, now time.Time) *Allowance {
	left, ok := count(h.Get("X-Ratelimit-Remaining-" + what))
	if !ok {
		return nil
	}
	a := &Allowance{Remaining: left}
	a.Limit, _ = count(h.Get("X-Ratelimit-Limit-" + what))
	if d, ok := span(h.Get("X-Ratelimit-Reset-" + what)); ok {
		a.Full = now.Add(d)
	}
	return a
}

// anthropicAllowance reads Anthropic-Ratelimit-Requests-Remaining: 49 with
// Anthropic-Ratelimit-Requests-Reset: 2026-11-28T12:00:00Z.
func anthropicAllowance(h http.Header, what string) *Allowance {
	left, ok := count(h.Get("Anthropic-Ratelimit-" + what + "-Remaining"))
	if !ok {
		return nil
	}
	a := &Allowance{Remaining: left}
	a.Limit, _ = count(h.Get("Anthropic-Ratelimit-" + what + "-Limit"))
	a.Full, _ = time.Parse(time.RFC3339, h.Get("Anthropic-Ratelimit-"+what+"-Reset"))
	return a
}

func tighter(a, b *Allowance) *Allowance {
	if a == nil || b != nil && b.Remaining < a.Remaining {
		return b
	}
	return a
}

// count reads a number of at least 0.
func count(s string) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	return n, err == nil && n >= 0
}

// span reads a duration of at most a day, as 6m0s or as seconds.
func span(s string) (time.Duration, bool) {
	d, err := time.ParseDuration(s)
	if err != nil {
		seconds, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return 0, false
		}
		d = waitOf(seconds)
	}
	return d, d >= 0 && d <= 24*time.Hour
}
