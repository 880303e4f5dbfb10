package suite

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/llm/llmtest"
)

// RunRouter tries a router over the real wire: each fault strikes the first call
// and the second one answers.
func RunRouter(t *testing.T, connect Connect) {
	for _, c := range []struct {
		name    string
		fault   llmtest.Fault
		want    string // error type of the failed attempt; empty: none
		restart bool   // watchers had seen some of it
	}{
		{"nothing wrong", llmtest.Fault{}, "", false},
		{"overloaded", llmtest.Fault{Kind: llmtest.Status, Status: 529}, "overloaded", false},
		{"rate limit", llmtest.Fault{Kind: llmtest.Status, Status: 429, Header: http.Header{"Retry-After-Ms": {"1"}}}, "rate_limit", false},
		{"reset at once", llmtest.Fault{Kind: llmtest.ResetAtOnce}, "connection_error", false},
		{"reset after content", llmtest.Fault{Kind: llmtest.ResetMidEvent, After: 4}, "bad_response", true},
		{"no finish", llmtest.Fault{Kind: llmtest.NoFinish}, "bad_response", true},
		{"stalls at once", llmtest.Fault{Kind: llmtest.StallFirst}, "timeout", false},
		{"stalls after content", llmtest.Fault{Kind: llmtest.Stall, After: 4}, "timeout", true},
		{"overloaded in the stream", llmtest.Fault{Kind: llmtest.StreamError, After: 4, Body: `{"error":{"type":"overloaded_error","message":"x"}}`}, "overloaded", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &llmtest.Server{Provider: llmtest.NewScripted(script()), Key: Key}
			s.Faults = func(n int, _ *http.Request) *llmtest.Fault {
				if n > 1 {
					return nil
				}
				return &c.fault
			}
			server := httptest.NewServer(s)
			defer server.Close()
			p := connect(server.URL, Key)
			router := llm.NewRouter(llm.Options{
				Providers: []llm.Provider{p},
				Prices:    (*llm.Prices)(nil).WithUser(llm.Rates{Input: mgx.USD, Output: mgx.USD}),
				Timeouts:  patience(c.fault),
				Jitter:    func(time.Duration) time.Duration { return 0 },
			})
			req := request("talker")
			req.Model = p.Name() + "/" + Model
			var shown strings.Builder
			restarted := false
			acct := &account{t: t, open: map[string]mgx.Money{}}
			res, err := router.Call(t.Context(), req, acct, func(chunk llm.Chunk) {
				if chunk.Restart {
					restarted = true
					shown.Reset()
				}
				shown.WriteString(chunk.Text)
			})
			if err != nil {
				t.Fatal(err)
			}
			if want := script().Roles["talker"][0].Text; text(res.Response) != want || shown.String() != want {
				t.Errorf("answer %q, shown %q", text(res.Response), shown.String())
			}
			if restarted != c.restart {
				t.Errorf("restarted: %v", restarted)
			}
			var got []string
			for _, e := range res.Errors {
				got = append(got, e.ErrorType)
			}
			if c.want == "timeout" { // a busy machine may be silent for as long once more
				got = slices.Compact(got)
			}
			if strings.Join(got, " ") != c.want || s.Requests() != res.Attempts {
				t.Errorf("errors %q in %d attempts, %d requests", got, res.Attempts, s.Requests())
			}
			if len(acct.open) != 1 || acct.open[res.Settlement.ID] < res.Cost || res.Cost <= 0 {
				t.Errorf("cost %s, left open %v", res.Cost, acct.open)
			}
		})
	}
}

// patience is short only where a server stalls: a busy machine is no fault.
func patience(f llmtest.Fault) llm.Timeouts {
	if f.Kind == llmtest.Stall || f.Kind == llmtest.StallFirst {
		return llm.Timeouts{FirstByte: time.Second, Idle: time.Second}
	}
	return llm.Timeouts{}
}

// account remembers what is reserved and not settled, and holds that each id is
// reserved once, settled once and at no more than was reserved.
type account struct {
	t    *testing.T
	open map[string]mgx.Money
	used map[string]bool
}

func (a *account) Capped() bool { return true }

func (a *account) Reserve(s llm.Spend) error {
	if a.used[s.ID] {
		a.t.Errorf("%s is reserved twice", s.ID)
	}
	if a.used == nil {
		a.used = map[string]bool{}
	}
	a.used[s.ID], a.open[s.ID] = true, s.Amount
	return nil
}

func (a *account) SettleNow(s mgx.Settlement) error {
	if reserved, open := a.open[s.ID]; !open || s.Amount > reserved {
		a.t.Errorf("%s is settled at %s; open with %s: %v", s.ID, s.Amount, reserved, open)
	}
	delete(a.open, s.ID)
	return nil
}
