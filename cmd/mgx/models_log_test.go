package main

import (
	"strings"
	"testing"
)

// A server tells the operator of a call that cost more than was set aside for it,
// and does not believe a usage that cannot be.
func TestServerTellsOfDearCalls(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tokens, says, booked string
	}{
		"dear":       {"50000", "a model call cost more than its reservation", "50000"},
		"impossible": {"900000000000", "a provider reported a usage that cannot be", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newGatewayLab(t, strings.Replace(gatewayScript, `"text"`, `"usage": {"prompt": `+c.tokens+`, "completion": 3}, "text"`, 1))
			s := l.serve("127.0.0.1:0", "--workers", "0")
			_, key := l.newKey("--budget", "1")
			if resp, body := s.ask(key, gatewayCall); resp.StatusCode != 200 {
				t.Fatalf("%d %s", resp.StatusCode, body)
			}
			if said := s.errs.String(); !strings.Contains(said, c.says) {
				t.Errorf("the log says %s", said)
			}
			if out := l.must("usage", "--by", "call", "--json"); strings.Contains(out, c.tokens) != (c.booked != "") {
				t.Errorf("usage %s", out)
			}
			if resp, body := s.ask(key, gatewayCall); resp.StatusCode != 200 { // the budget is not used up
				t.Errorf("%d %s", resp.StatusCode, body)
			}
		})
	}
}
