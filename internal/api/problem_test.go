package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/event"
	"mgx/internal/limit"
)

// What a caller, a setting, a provider or a full server is the cause of is not told of
// as a failure of ours: neither to who asks nor in the log, whose errors wake people.
func TestWhoseFaultItIs(t *testing.T) {
	t.Parallel()
	contracts, err := event.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	config := func(code string) error { return mgx.Errorf(mgx.KindConfig, code, "because") }
	for _, c := range []struct {
		err    error
		status int
		level  string // of what is logged; empty: nothing is
		retry  bool
	}{
		{mgx.Errorf(mgx.KindUsage, "bad_name", "because"), 400, "", false},
		{mgx.Errorf(mgx.KindUsage, "no_such_policy", "because"), 400, "", false},
		{mgx.Errorf(mgx.KindRefused, "forbidden", "because"), 403, "", false},
		{mgx.Errorf(mgx.KindRefused, codeRateLimited, "because"), 429, "", true},
		{config("no_provider"), 424, "WARN", false},
		{config("no_such_policy"), 424, "WARN", false},
		{config("no_key"), 424, "WARN", false},
		{config("bad_models_file"), 424, "WARN", false},
		{config("sandbox_below_minimum"), 424, "WARN", false},
		{mgx.Errorf(mgx.KindProvider, "provider_auth", "because"), 502, "WARN", false},
		{mgx.Errorf(mgx.KindProvider, "model_not_found", "because"), 404, "WARN", false},
		{config(limit.CodeOverloaded), 503, "WARN", true},
		{config(access.CodeTooBusy), 503, "WARN", true},
		{full(1), 503, "WARN", true},
		{restarting(), 503, "WARN", true},
		{config("database_unavailable"), 503, "ERROR", true},
		{config("git_missing"), 503, "ERROR", true},
		{errors.New("broke"), 500, "ERROR", false},
	} {
		var log bytes.Buffer
		hub := event.NewHub(event.HubOptions{Source: nowhere{}, Epoch: "e", Key: make([]byte, 16), Authorize: event.OneWorkspace("ws")})
		s := New(Options{Hub: hub, Contracts: contracts, Token: "t", Log: slog.New(slog.NewTextHandler(&log, nil))})
		w := httptest.NewRecorder()
		s.serve(route{handle: func(http.ResponseWriter, *http.Request) error { return c.err }, needs: anybody}).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		var p struct{ Status int }
		json.Unmarshal(w.Body.Bytes(), &p)
		if w.Code != c.status || p.Status != c.status || (w.Header().Get("Retry-After") != "") != c.retry {
			t.Errorf("%v: %d %s, Retry-After %q", c.err, w.Code, w.Body, w.Header().Get("Retry-After"))
		}
		if c.level == "" && log.Len() > 0 || !strings.Contains(log.String(), "level="+c.level) && c.level != "" {
			t.Errorf("%v: want %q in the log, which has %q", c.err, c.level, log.String())
		}
	}
}
