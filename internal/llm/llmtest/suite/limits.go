package suite

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/llm/llmtest"
)

// limits are the headers by which servers say that a key has no request left
// before a time. Any server may be behind a proxy that speaks for it, so a
// dialect takes those of all.
var limits = map[string]func(now, full time.Time) http.Header{
	"x-ratelimit": func(now, full time.Time) http.Header {
		return http.Header{
			"X-Ratelimit-Limit-Requests": {"1"}, "X-Ratelimit-Remaining-Requests": {"0"},
			"X-Ratelimit-Reset-Requests": {full.Sub(now).String()},
		}
	},
	"anthropic-ratelimit": func(_, full time.Time) http.Header {
		return http.Header{
			"Anthropic-Ratelimit-Requests-Limit": {"1"}, "Anthropic-Ratelimit-Requests-Remaining": {"0"},
			"Anthropic-Ratelimit-Requests-Reset": {full.UTC().Format(time.RFC3339)},
		}
	},
}

// testLimits: what a server says in the headers of an answer or a refusal that is
// left of its limits is kept to. No request is sent of which it is known that it
// cannot pass; and once it can, it is.
func testLimits(t *testing.T, w Wire) {
	const full = 90 * time.Second // longer than a call waits, and than it waits alone
	for name, headers := range limits {
		start := func(t *testing.T, does llmtest.Fault) *routed {
			var r *routed
			r = newRouted(t, w, mishap{does: does, start: func(h http.Handler) *httptest.Server {
				return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					now := r.time.Now()
					maps.Copy(w.Header(), headers(now, now.Add(full)))
					h.ServeHTTP(w, req)
				}))
			}}, always)
			return r
		}
		t.Run(name+", of an answer", func(t *testing.T) {
			r := start(t, llmtest.Fault{})
			answers := func(by, model string) {
				t.Helper()
				res, err := r.call(t, request("talker"), model)
				if err != nil || res.Response.Route != by || res.Attempts != 1 {
					t.Fatalf("got %+v, %v", res, err)
				}
			}
			answers(r.first, "pair")
			answers(spare+"/"+Model, "pair")
			if _, err := r.call(t, request("talker"), r.first); !mgx.IsCode(err, "provider_rate_limit") || !strings.Contains(err.Error(), "not sent") {
				t.Errorf("alone, got %v", err)
			}
			if n := r.server.Requests(); n != 1 {
				t.Errorf("%d requests, the limit was 1", n)
			}
			r.time.Sleep(t.Context(), full)
			answers(r.first, "pair")
		})
		t.Run(name+", of a refusal", func(t *testing.T) {
			r := start(t, llmtest.Fault{Kind: llmtest.Status, Status: 429})
			res, err := r.call(t, request("talker"), "pair")
			if err != nil || res.Response.Route != spare+"/"+Model || r.server.Requests() != 1 {
				t.Errorf("%d requests; got %+v, %v", r.server.Requests(), res, err)
			}
		})
	}
}
