package api_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"mgx/internal/api"
	"mgx/internal/event"
)

// A request has one id, which its answer, its problem and whoever keeps a log of
// requests have alike, and belongs to the caller's trace or one of its own.
func TestRequestsAreTold(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]api.Request{}
	s := newSite(t, api.Options{Seen: func(_ context.Context, q api.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[q.ID] = q
	}}, event.HubOptions{})
	const trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, c := range []struct {
		method, path, traceparent string
		status                    int
		route, problem            string
		owner                     bool
	}{
		{"GET", "/health/live", "", 200, "/health/live", "", false},
		{"GET", "/api/v1/events/schemas/run.noted", parent, 200, "/api/v1/events/schemas/{type}", "", true},
		{"GET", "/api/v1/events/schemas/none", "00-zz", 404, "/api/v1/events/schemas/{type}", "not_found", true},
		{"GET", "/nowhere\n\x1b[31m?a=b", "", 404, "", "not_found", false},
		{"BREW", "/health/live", "", 405, "", "method_not_allowed", false},
	} {
		resp := s.do(c.method, strings.NewReplacer("\n", "%0a", "\x1b", "%1b").Replace(c.path), func(r *http.Request) {
			r.Header.Set("Accept-Encoding", "identity")
			r.Header.Set("Traceparent", c.traceparent)
			r.Header.Set("X-Request-Id", "mine\tand mine")
		})
		body, _ := io.ReadAll(resp.Body)
		var p struct {
			Request string `json:"request_id"`
			Trace   string `json:"trace_id"`
			Code    string
		}
		json.Unmarshal(body, &p)
		id, span := resp.Header.Get("X-Request-Id"), resp.Header.Get("Traceparent")
		var q api.Request
		eventually(t, func() bool { // it is told when the answer has been sent
			mu.Lock()
			defer mu.Unlock()
			q = seen[id]
			return q.ID != ""
		})
		if !strings.HasPrefix(id, "req_") || q.Status != c.status || q.Route != c.route || q.Problem != c.problem || q.Actor.Owner != c.owner || q.Bytes != int64(len(body)) || q.Took <= 0 {
			t.Errorf("%s %q: %+v", c.method, c.path, q)
		}
		if want := "00-" + q.Trace + "-" + q.Span + "-"; !strings.HasPrefix(span, want) || (c.traceparent == parent) != (q.Trace == trace) {
			t.Errorf("%s: trace %q of %q", c.path, span, c.traceparent)
		}
		if c.problem != "" && (p.Request != id || p.Trace != q.Trace || p.Code != c.problem) {
			t.Errorf("%s: problem %s", c.path, body)
		}
	}
}
