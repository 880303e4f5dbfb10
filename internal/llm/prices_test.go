package llm

import (
	"encoding/json"
	"math"
	"slices"
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
	for name, price := range p.layers[0].names {
		r := price.Rates
		switch {
		case r.Input <= 0 || r.Output < 0 || r.Cached > r.Input:
			t.Errorf("%s: implausible %+v", name, r)
		case price.ContextWindow != 0 && price.ContextWindow < 1000:
			t.Errorf("%s: context window %d", name, price.ContextWindow)
		case price.Version != p.Version:
			t.Errorf("%s: version %q", name, price.Version)
		}
		for _, c := range price.Capabilities {
			if !slices.Contains(Capabilities, c) {
				t.Errorf("%s: capability %q", name, c)
			}
		}
	}
	if l := p.Layers(); len(l) != 1 || l[0].Models < 1000 || l[0].Effective == "" || len(p.layers[0].patterns) > 0 {
		t.Errorf("%+v", l)
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
		{"openai", "gpt-5-2025-08-07", 1_250_000_000},
		{"openai", "gpt-5-9", 0},
		{"openai", "gpt-5-2025", 0},
		{"openai", "gpt-7", 0},
		{"azure", "gpt-5", 1_250_000_000},
		{"gemini", "gemini-2.5-pro", 1_250_000_000},
		{"mistral", "mistral-large-2512", 500_000_000},
		{"together", "deepseek-ai/DeepSeek-V3", 1_250_000_000},
		{"openrouter", "anthropic/claude-sonnet-4.5", 3_000_000_000},
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
	own, err := local.WithOperator("own.json", []byte(`{"prices":[{"models":["ollama/dear","ollama/big*"],"input":1,"output":2}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for model, want := range map[string]mgx.Money{"dear": mgx.USD, "bigger": mgx.USD, "other": 0} {
		if p, ok := own.Lookup("ollama", model); !ok || p.Input != want || (p.Version == "local") != (want == 0) {
			t.Errorf("%s: %+v %v", model, p, ok)
		}
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
		{mgx.Usage{Prompt: 100_000, Cached: 90_000, CacheWrite: 10_000, CacheWriteLong: 4000, Completion: 1000}, "0.0885"},
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

// anyPrice draws a price as a list may have it.
func anyPrice(t *rapid.T) Price {
	if rapid.Bool().Draw(t, "listed") {
		p := BuiltinPrices()
		return p.layers[0].names[rapid.SampledFrom(p.Names()).Draw(t, "name")]
	}
	money := rapid.Int64Range(0, int64(maxPrice))
	draw := func(name string, least mgx.Money) mgx.Money { return max(least, mgx.Money(money.Draw(t, name))) }
	p := Price{Rates: Rates{draw("input", 0), draw("output", 0), draw("cached", 0), draw("written", 0)}}
	if rapid.Bool().Draw(t, "long") {
		p.LongAbove = rapid.Int64Range(1, 2_000_000).Draw(t, "above")
		p.Long = Rates{draw("long input", p.Input), draw("long output", p.Output), draw("long cached", 0), draw("long written", 0)}
	}
	return p
}

// TestBoundIsABound: whatever the cache does, a call with at most these tokens
// costs at most the bound.
func TestBoundIsABound(t *testing.T) {
	t.Parallel()
	// The prompt is shorter than its bound, and what is cached is dear only then.
	odd := Price{Rates: Rates{Input: 1e6, Output: 1, Cached: 9e6, CacheWrite: 1e6}, Long: Rates{Input: 2e6, Output: 1}, LongAbove: 10}
	if cost, bound := odd.Cost(mgx.Usage{Prompt: 9, Cached: 9}), odd.Bound(12, 0); cost > bound {
		t.Errorf("a short prompt costs %d, more than %d", cost, bound)
	}
	rapid.Check(t, func(t *rapid.T) {
		price := anyPrice(t)
		prompt := rapid.Int64Range(0, 2_000_000).Draw(t, "prompt")
		completion := rapid.Int64Range(0, 200_000).Draw(t, "completion")
		u := mgx.Usage{
			Prompt:     rapid.Int64Range(0, prompt).Draw(t, "used prompt"),
			Completion: rapid.Int64Range(0, completion).Draw(t, "used completion"),
		}
		u.Cached = rapid.Int64Range(0, u.Prompt).Draw(t, "cached")
		u.CacheWrite = rapid.Int64Range(0, u.Prompt-u.Cached).Draw(t, "written")
		if rapid.Bool().Draw(t, "for an hour") {
			u.CacheWriteLong = rapid.Int64Range(0, u.CacheWrite).Draw(t, "of them")
			if cost, bound := price.Cost(u), price.longCached().Bound(prompt, completion); cost > bound {
				t.Fatalf("%+v costs %d, more than %d", u, cost, bound)
			}
			u.CacheWriteLong = 0
		}
		if cost, bound := price.Cost(u), price.Bound(prompt, completion); cost > bound {
			t.Fatalf("%+v costs %d, more than %d", u, cost, bound)
		}
	})
}

// TestCostIsMonotone: more tokens of any kind never cost less, and a longer bound
// is never lower.
func TestCostIsMonotone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		price := anyPrice(t)
		tokens := func(name string) int64 { return rapid.Int64Range(0, 2_000_000).Draw(t, name) }
		prompt, completion, more, longer := tokens("prompt"), tokens("completion"), tokens("more"), tokens("longer")
		small := price.Cost(mgx.Usage{Prompt: prompt, Completion: completion})
		if large := price.Cost(mgx.Usage{Prompt: prompt + more, Completion: completion + longer}); large < small || small < 0 {
			t.Fatalf("%d tokens cost %d, %d more %d", prompt, small, more, large)
		}
		if price.Bound(prompt, completion) > price.Bound(prompt+more, completion+longer) {
			t.Fatal("a longer bound is lower")
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

// Of a passed request what was sent counts, so a conversation goes on only when it
// is byte for byte the one that was counted; cache marks may move.
func TestPassedPromptBound(t *testing.T) {
	t.Parallel()
	pass := func(system string, turns ...string) *Request {
		body := `{"system":"` + system + `","messages":[` + strings.Join(turns, ",") + `]}`
		fields, err := Fields([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		p := &Pass{Dialect: DialectMessages, Body: []byte(body), Fields: fields, TurnsIn: "messages"}
		for _, turn := range turns {
			p.Turns = append(p.Turns, json.RawMessage(turn))
		}
		return &Request{Pass: p}
	}
	long := strings.Repeat("u", 5000)
	turn := func(mark string) string {
		return `{"role":"user","content":[{"type":"text","text":"` + long + `"` + mark + `}]}`
	}
	const mark, hourMark = `,"cache_control":{"type":"ephemeral"}`, `,"cache_control":{"type":"ephemeral","ttl":"1h"}`
	const added = `{"role":"assistant","content":"0123456789"}`
	m := newPromptMemory()
	m.learn("c", pass("s", turn(mark)), mgx.Usage{Prompt: 400})
	tight := int64(400 + 2*frameOfPart + len(added))
	for _, c := range []struct {
		what  string
		req   *Request
		tight bool
	}{
		{"the same", pass("s", turn(mark), added), true},
		{"a mark that is gone", pass("s", turn(""), added), true},
		{"another mark", pass("s", turn(hourMark), added), true},
		{"a mark before other fields", pass("s", `{"role":"user","content":[{"cache_control":{"type":"ephemeral"},"type":"text","text":"`+long+`"}]}`, added), true},
		{"a field that nobody knows", pass("s", turn(`,"note":"x"`), added), false},
		{"a mark that holds a text", pass("s", turn(`,"cache_control":{"type":"`+long+`"}`), added), false},
		{"another system prompt", pass("t", turn(mark), added), false},
		{"another text", pass("s", `{"role":"user","content":"x`+long+`"}`, added), false},
		{"no turn of it", pass("s", added), false},
	} {
		want := PromptBound(c.req)
		if c.tight {
			want = tight
		}
		if got := m.bound("c", c.req); got != want {
			t.Errorf("%s: %d, want %d", c.what, got, want)
		}
	}
	shown := pass("s", turn(mark), added)
	shown.Pass.Extra = 100
	if got := m.bound("c", shown); got != PromptBound(shown) {
		t.Errorf("with pictures: %d", got)
	}
}
