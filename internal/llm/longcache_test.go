package llm_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/llm/anthropic"
	"mgx/internal/llm/openai"
)

// Whatever way a body says that the prompt is to be kept for longer, it is seen.
func TestLongCacheIsSeen(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		`{}`: false,
		`{"messages":[{"content":"little \u00e9"}]}`:                                          false,
		`{"cache_control":{"type":"ephemeral"}}`:                                              false,
		`{"cache_control":{"type":"ephemeral","ttl":"5m"}}`:                                   false,
		`{"cache_control":{"type":"ephemeral","ttl":"1h"}}`:                                   true,
		`{"cache_control":{"type":"ephemeral","ttl":"5m","ttl":"1h"}}`:                        true,
		`{"a":[{"b":{"cache_control":{"\u0074\u0074\u006C":"\u0031h","type":"ephemeral"}}}]}`: true,
		`{"cache_control":{"ttl":3600}}`:                                                      true,
		`{"cache_control":{"ttl":"1h"`:                                                        true,
	} {
		if got := (&llm.Pass{Body: []byte(body)}).LongCache(); got != want {
			t.Errorf("%s: %v", body, got)
		}
	}
	if (*llm.Pass)(nil).LongCache() {
		t.Error("a request of our own keeps its prompt for longer")
	}
}

// pays is an account that remembers what was set aside.
type pays struct{ reserved, settled mgx.Money }

func (p *pays) Capped() bool { return true }

func (p *pays) Reserve(s llm.Spend) error {
	p.reserved = s.Amount
	return nil
}

func (p *pays) SettleNow(s mgx.Settlement) error {
	p.settled = s.Amount
	return nil
}

// What is written to the cache for an hour costs twice the input, which is set
// aside before it is asked for.
func TestLongCacheIsPaid(t *testing.T) {
	t.Parallel()
	const (
		anth = `{"type":"message","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":{"input_tokens":10,"cache_creation_input_tokens":3000,"output_tokens":20%s}}`
		chat = `{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3010,"completion_tokens":20,"prompt_tokens_details":{"cache_write_tokens":3000}}}`
		hour = `"cache_control":{"type":"ephemeral","ttl":"1h"}`
		few  = `"cache_control":{"type":"ephemeral"}`
	)
	price := llm.Price{Rates: llm.Rates{Input: 3 * mgx.USD, Output: 15 * mgx.USD, Cached: mgx.USD / 3, CacheWrite: 15 * mgx.USD / 4}}
	prices, err := (*llm.Prices)(nil).WithOperator("test", []byte(`{"prices":[{"models":["p/m"],"input":3,"output":15,"cached":0.3,"cache_write":3.75}]}`))
	if err != nil {
		t.Fatal(err)
	}
	plain := price.Cost(mgx.Usage{Prompt: 3010, CacheWrite: 3000, Completion: 20})
	for name, c := range map[string]struct {
		dialect, control, answer string
		long                     mgx.Money // of the written tokens, that are kept for an hour
	}{
		"five minutes":       {llm.DialectMessages, few, strings.Replace(anth, "%s", `,"cache_creation":{"ephemeral_5m_input_tokens":3000,"ephemeral_1h_input_tokens":0}`, 1), 0},
		"an hour":            {llm.DialectMessages, hour, strings.Replace(anth, "%s", `,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":3000}`, 1), 3000},
		"both":               {llm.DialectMessages, hour, strings.Replace(anth, "%s", `,"cache_creation":{"ephemeral_5m_input_tokens":1000,"ephemeral_1h_input_tokens":2000}`, 1), 2000},
		"not told apart":     {llm.DialectMessages, hour, strings.Replace(anth, "%s", "", 1), 3000},
		"zeros":              {llm.DialectMessages, hour, strings.Replace(anth, "%s", `,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0}`, 1), 3000},
		"not asked for":      {llm.DialectMessages, few, strings.Replace(anth, "%s", `,"cache_creation":{"ephemeral_5m_input_tokens":1000,"ephemeral_1h_input_tokens":2000}`, 1), 2000},
		"five, not told":     {llm.DialectMessages, few, strings.Replace(anth, "%s", "", 1), 0},
		"through a Chat API": {llm.DialectChat, hour, chat, 3000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Write([]byte(c.answer))
			}))
			defer server.Close()
			connect := llm.Connection{Name: "p", BaseURL: server.URL}
			p := anthropic.New(connect)
			if c.dialect == llm.DialectChat {
				p = openai.New(connect)
			}
			text := strings.Repeat("word ", 700)
			body := `{"model":"m","max_tokens":100,"messages":[{"role":"user","content":[{"type":"text","text":"` + text + `",` + c.control + `}]}]}`
			req := &llm.Request{
				Model: "p/m", MaxTokens: 100, Pass: &llm.Pass{Dialect: c.dialect, Body: []byte(body)},
				Messages: []llm.Message{{Role: llm.User, Parts: []llm.Part{{Text: text}}}},
			}
			acct := &pays{}
			res, err := llm.NewRouter(llm.Options{Providers: []llm.Provider{p}, Prices: prices}).Call(t.Context(), req, acct, nil)
			if err != nil {
				t.Fatal(err)
			}
			if want := plain + c.long*(6*mgx.USD-15*mgx.USD/4)/1_000_000; res.Cost != want {
				t.Errorf("cost %s, want %s", res.Cost.Decimal(), want.Decimal())
			}
			bound := mgx.Money(llm.PromptBound(req))
			least, most := bound*15*mgx.USD/4/1_000_000, bound*6*mgx.USD/1_000_000
			if c.control == hour && acct.reserved < most || c.control == few && (acct.reserved < least || acct.reserved > most) {
				t.Errorf("reserved %s for at most %d tokens", acct.reserved.Decimal(), bound)
			}
		})
	}
}
