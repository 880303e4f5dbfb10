package llm

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"mgx"
)

// A usage that cannot be is not booked: the most that the call can have used is,
// and the log tells. One that can be is booked as reported, however dear, and told
// when it is above what was set aside.
func TestUsageThatCannotBe(t *testing.T) {
	t.Parallel()
	most := PromptBound(testRequest())
	for _, c := range []struct {
		name   string
		usage  mgx.Usage
		booked bool
		tells  string // empty: nothing
	}{
		{"as bounded", mgx.Usage{Prompt: most, Completion: 1000}, true, ""},
		{"a proxy with a prompt of its own", mgx.Usage{Prompt: most + 30_000, Completion: 5}, true, "cost more than its reservation"},
		{"thinking apart from the limit", mgx.Usage{Prompt: 9, Completion: 1000 + 64_000, Reasoning: 64_000}, true, "cost more than its reservation"},
		{"the very most", mgx.Usage{Prompt: 4*most + unseenPrompt, Completion: 1000 + unseenAnswer}, true, "cost more than its reservation"},
		{"a prompt beyond that", mgx.Usage{Prompt: 4*most + unseenPrompt + 1, Completion: 5}, false, "cannot be"},
		{"an answer beyond that", mgx.Usage{Prompt: 9, Completion: 1000 + unseenAnswer + 1}, false, "cannot be"},
		{"nonsense", mgx.Usage{Prompt: 1e12, Completion: 1e12, Cached: 1e12}, false, "cannot be"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for kind, do := range map[string]act{
				"answers": then(says(Chunk{Usage: &c.usage}), answers("hi", c.usage)),
				"fails":   then(says(Chunk{Usage: &c.usage}, Chunk{Text: "x"}), fails(CallError{Fault: FaultBad, InStream: true})),
			} {
				var log bytes.Buffer
				r := testRouter(&fake{acts: []act{do}})
				r.Retries, r.Log = -1, slog.New(slog.NewTextHandler(&log, nil))
				acct := newLedger(0)
				res, err := r.Call(t.Context(), testRequest(), acct, nil)
				reserved := r.Prices.user.Bound(most, 1000)
				var got mgx.Settlement
				if err == nil {
					got = res.Settlement
					if res.Response.UsageOK != c.booked || res.Response.Usage != got.Usage {
						t.Errorf("%s: the answer says %+v, settled %+v", kind, res.Response, got)
					}
				} else {
					got = mgx.Settlement{Amount: acct.settled["1"], Usage: acct.usage["1"]}
				}
				switch {
				case !c.booked && (got.Amount != reserved || got.Usage != mgx.Usage{Prompt: most, Completion: 1000}):
					t.Errorf("%s: settled %s for %+v, want all that was set aside, %s", kind, got.Amount, got.Usage, reserved)
				case c.booked && (got.Usage.Prompt != c.usage.Prompt || got.Usage.Completion < c.usage.Completion):
					t.Errorf("%s: settled for %+v", kind, got.Usage)
				}
				tells := strings.Count(log.String(), "level=ERROR")
				if c.tells == "" && tells > 0 || c.tells != "" && (tells != 1 || !strings.Contains(log.String(), c.tells)) {
					t.Errorf("%s: the log says %s", kind, log.String())
				}
			}
		})
	}
}
