package llm

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mgx"
)

func TestBuiltinPrices(t *testing.T) {
	t.Parallel()
	p := BuiltinPrices()
	if p.Version == "" || p.Source == "" || len(p.SHA256) != 64 {
		t.Errorf("version %q, source %q, sha256 %q", p.Version, p.Source, p.SHA256)
	}
	seen := map[string]bool{}
	for _, e := range p.entries {
		r := e.price.Rates
		switch {
		case seen[e.pattern]:
			t.Errorf("%s is listed twice", e.pattern)
		case r.Input <= 0 || r.Output < r.Input || r.Cached > r.Input || r.CacheWrite < r.Input:
			t.Errorf("%s: implausible %+v", e.pattern, r)
		case e.price.LongAbove > 0 && (e.price.Long.Input < r.Input || e.price.Long.Output < r.Output):
			t.Errorf("%s: long prompts are cheaper", e.pattern)
		case e.price.ContextWindow < 8000:
			t.Errorf("%s: context window %d", e.pattern, e.price.ContextWindow)
		}
		seen[e.pattern] = true
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	p := BuiltinPrices()
	for _, c := range []struct {
		provider, model string
		input           mgx.Money // dollars per million; 0: unknown
	}{
		{"openai", "gpt-4o", 2_500_000_000},
		{"openai", "gpt-4o-2024-11-20", 2_500_000_000},
		{"openai", "gpt-4o-2024-05-13", 5_000_000_000}, // by its very name
		{"openai", "gpt-4o-mini", 150_000_000},
		{"anthropic", "claude-sonnet-4-20250514", 3_000_000_000},
		{"anthropic", "claude-sonnet-5", 2_000_000_000},
		{"anthropic", "claude-sonnet-5-5", 0}, // versions to come are not guessed
		{"openai", "gpt-5-pro", 0},
		{"compat", "gpt-4o", 0}, // another's name proves nothing
		{"", "", 0},
	} {
		got, known := p.Lookup(c.provider, c.model)
		if got.Input != c.input || known != (c.input > 0) {
			t.Errorf("%s/%s: %+v, %v", c.provider, c.model, got, known)
		}
		if known && got.Version != p.Version {
			t.Errorf("version %q", got.Version)
		}
	}
	if _, known := (*Prices)(nil).Lookup("openai", "gpt-4o"); known {
		t.Error("nil knows a price")
	}
}

func TestUserAndLocalPrices(t *testing.T) {
	t.Parallel()
	rates, err := ParseRates("0.5, 1.25")
	if err != nil {
		t.Fatal(err)
	}
	base := BuiltinPrices()
	local := base.WithFree("ollama")
	if p, known := local.Lookup("ollama", "llama"); !known || p.Rates != (Rates{}) || p.Version != "local" {
		t.Errorf("local: %+v, %v", p, known)
	}
	if _, known := base.Lookup("ollama", "llama"); known {
		t.Error("WithFree changed the original")
	}
	p, known := local.WithUser(rates).Lookup("openai", "gpt-4o")
	if !known || p.Input != mgx.USD/2 || p.Output != mgx.USD*5/4 || p.Version != "user" || p.ContextWindow != 128000 {
		t.Errorf("user: %+v, %v", p, known)
	}
	if _, known := (*Prices)(nil).WithUser(rates).Lookup("x", "y"); !known {
		t.Error("the user's price needs no list")
	}
}

func TestParseRatesRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "3", "3,", ",3", "a,b", "-1,2", "1,2,3", "NaN,1", "1e9,1"} {
		if r, err := ParseRates(s); err == nil || mgx.AsError(err).Kind != mgx.KindUsage {
			t.Errorf("%q: %+v, %v", s, r, err)
		}
	}
}

func TestParsePricesRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		`{}`, `{"source":"s","version":"v","prices":[{"models":["["],"input":1,"output":1}]}`,
		`{"source":"s","version":"v","what":1}`, `{"source":"s","version":"v","prices":[{"models":["a/b"],"input":-1,"output":1}]}`,
	} {
		if _, err := parsePrices([]byte(s)); err == nil {
			t.Errorf("accepted %s", s)
		}
	}
}

func TestCost(t *testing.T) {
	t.Parallel()
	price, _ := BuiltinPrices().Lookup("anthropic", "claude-sonnet-4-5")
	for _, c := range []struct {
		usage mgx.Usage
		want  string // dollars
	}{
		{mgx.Usage{}, "0"},
		{mgx.Usage{Prompt: 1_000_000, Completion: 1_000_000}, "28.5"}, // long
		{mgx.Usage{Prompt: 100_000, Completion: 1000}, "0.315"},
		{mgx.Usage{Prompt: 100_000, Cached: 90_000, CacheWrite: 10_000, Completion: 1000}, "0.0795"},
		{mgx.Usage{Prompt: 1, Completion: 0}, "0.000003"},
		{mgx.Usage{Prompt: 10, Cached: 50}, "0.000003"}, // more cached than there is
		{mgx.Usage{Prompt: -5, Completion: -5}, "0"},
	} {
		want, err := mgx.ParseMoney(c.want)
		if err != nil {
			t.Fatal(err)
		}
		if got := price.Cost(c.usage); got != want {
			t.Errorf("%+v costs %d, want %d", c.usage, got, want)
		}
	}
	tiny := Price{Rates: Rates{Input: 1, Cached: 1, CacheWrite: 1}}
	if cost, bound := tiny.Cost(mgx.Usage{Prompt: 3, Cached: 1, CacheWrite: 1}), tiny.Bound(3, 0); cost != 3 || cost > bound {
		t.Errorf("three roundings: cost %d, bound %d", cost, bound)
	}
	huge := Price{Rates: Rates{Input: math.MaxInt64, Output: math.MaxInt64}}
	if got := huge.Cost(mgx.Usage{Prompt: math.MaxInt64, Completion: math.MaxInt64}); got != math.MaxInt64 {
		t.Errorf("overflow: %d", got)
	}
}

// TestBoundIsABound: whatever the cache does, a call with at most these tokens
// costs at most the bound.
func TestBoundIsABound(t *testing.T) {
	t.Parallel()
	entries := BuiltinPrices().entries
	rapid.Check(t, func(t *rapid.T) {
		price := rapid.SampledFrom(entries).Draw(t, "entry").price
		prompt := rapid.Int64Range(0, 2_000_000).Draw(t, "prompt")
		completion := rapid.Int64Range(0, 200_000).Draw(t, "completion")
		u := mgx.Usage{
			Prompt:     rapid.Int64Range(0, prompt).Draw(t, "used prompt"),
			Completion: rapid.Int64Range(0, completion).Draw(t, "used completion"),
		}
		u.Cached = rapid.Int64Range(0, u.Prompt).Draw(t, "cached")
		u.CacheWrite = rapid.Int64Range(0, u.Prompt-u.Cached).Draw(t, "written")
		if cost, bound := price.Cost(u), price.Bound(prompt, completion); cost > bound {
			t.Fatalf("%+v costs %d, more than %d", u, cost, bound)
		}
	})
}

func TestPromptBound(t *testing.T) {
	t.Parallel()
	req := &Request{System: strings.Repeat("s", 1000), Messages: []Message{{Role: User, Parts: []Part{{Text: strings.Repeat("u", 500)}}}}}
	loose := PromptBound(req)
	if loose < 1500 || loose > 1500+frameOfRequest+2*frameOfPart {
		t.Errorf("bound %d", loose)
	}
	m := newPromptMemory()
	if got := m.bound("c", req); got != loose {
		t.Errorf("without memory: %d, want %d", got, loose)
	}
	m.learn("c", req, mgx.Usage{Prompt: 400})
	req.Messages = append(req.Messages, Message{Role: Assistant, Parts: []Part{{Text: "0123456789"}}})
	if got := m.bound("c", req); got != 400+3*frameOfPart+10 {
		t.Errorf("with memory: %d", got)
	}
	if got := m.bound("other", req); got != PromptBound(req) {
		t.Errorf("another conversation: %d", got)
	}
	req.Messages[0].Parts[0].Text += "!"
	if got := m.bound("c", req); got != PromptBound(req) {
		t.Errorf("a changed history: %d", got)
	}
	for i := range 3 * maxConversations {
		m.learn(strings.Repeat("c", i%2000), req, mgx.Usage{Prompt: 1})
	}
	if len(m.last) > maxConversations {
		t.Errorf("%d conversations remembered", len(m.last))
	}
}
