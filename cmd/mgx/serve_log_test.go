package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/api"
	"mgx/internal/telemetry"
)

// A request is one line with the names that the documentation has, whatever the
// caller wrote; what comes all the time is written only when asked for.
func TestRequestLog(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		route  string
		status int
		level  slog.Level // the least that shows it
	}{
		"read":         {"/api/v1/runs/{id}", 200, slog.LevelInfo},
		"refused":      {"/api/v1/runs", 403, slog.LevelInfo},
		"failed":       {"/api/v1/runs", 500, slog.LevelWarn},
		"no route":     {"", 404, slog.LevelInfo},
		"health":       {"/health/ready", 503, slog.LevelDebug},
		"measurements": {"/metrics", 200, slog.LevelDebug},
	} {
		var out bytes.Buffer
		var level slog.LevelVar
		n := &node{log: telemetry.NewLogger(&out, telemetry.Options{Format: "json", Level: &level})}
		r := api.Request{
			ID: "req_1", Trace: "4bf92f3577b34da6a3ce929d0e0e4736", Method: "GET", Route: c.route, Status: c.status, Bytes: 7, Took: 1500 * time.Microsecond,
			Actor: access.Actor{User: "user_1\n{\"level\":\"ERROR\"}", Workspace: "ws_1"}, Problem: "some_code",
		}
		level.Set(c.level + 1)
		if n.logRequest(t.Context(), r); out.Len() > 0 {
			t.Errorf("%s: above %v there is %s", name, c.level, out.String())
		}
		level.Set(c.level)
		n.logRequest(t.Context(), r)
		if bytes.Count(out.Bytes(), []byte("\n")) != 1 {
			t.Errorf("%s: not one line: %q", name, out.String())
		}
		var line map[string]any
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		route := c.route
		if route == "" {
			route = "none"
		}
		for key, want := range map[string]any{
			"level": c.level.String(), "msg": "request", "request_id": "req_1", "trace_id": r.Trace, "method": "GET", "route": route, "status": float64(c.status), "bytes": 7.0,
			"duration_ms": 1.5, "actor_id": string(r.Actor.User), "workspace_id": "ws_1", "code": "some_code",
		} {
			if line[key] != want {
				t.Errorf("%s: %s is %v, want %v", name, key, line[key], want)
			}
			delete(line, key)
		}
		if delete(line, "time"); len(line) > 0 {
			t.Errorf("%s: there is also %v, which nothing documents", name, line)
		}
	}
	page, err := os.ReadFile(filepath.FromSlash("../../docs/reference/logs.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"request_id", "trace_id", "method", "route", "status", "bytes", "duration_ms", "actor_id", "workspace_id", "code"} {
		if !strings.Contains(string(page), "| `"+key+"` |") {
			t.Errorf("docs/reference/logs.md does not name %s", key)
		}
	}
}

// A real server writes no path, no query, no secret and no line of the caller's.
func TestServeLogsRequests(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	s := l.serve("127.0.0.1:0", "--workers", "0", "--log-format", "json", "--log-level", "info")
	token, err := os.ReadFile(filepath.Join(l.data(), "token"))
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.TrimSpace(string(token))
	for _, path := range []string{"/api/v1/budgets?scope_id=CANARY%0Alevel=ERROR", "/api/v1/CANARY%0a%22", "/api/v1/budgets/bgt_CANARY"} {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", s.url+path, nil)
		r.Header.Set("Authorization", "Bearer "+secret)
		r.Header.Set("User-Agent", "CANARY")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	s.end()
	var routes []string
	for text := range strings.Lines(s.errs.String()) {
		var line struct {
			Msg, Route string
			Actor      string `json:"actor_id"`
			Trace      string `json:"trace_id"`
		}
		if json.Unmarshal([]byte(text), &line) == nil && line.Msg == "request" {
			routes = append(routes, line.Route)
			if len(line.Trace) != 32 || line.Route != "none" && line.Actor != string(mgx.LocalUser) {
				t.Errorf("%s", text)
			}
		}
	}
	if got := strings.Join(routes, " "); got != "/api/v1/budgets none /api/v1/budgets/{id}" {
		t.Errorf("the routes are %q in\n%s", got, s.errs.String())
	}
	for _, word := range []string{"CANARY", secret} {
		if strings.Contains(s.errs.String(), word) {
			t.Errorf("%s is in the log:\n%s", word, s.errs.String())
		}
	}
}
