package main

import (
	"bytes"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/llm/redis/redistest"
)

// sharing changes a gateway lab's file of models.
func (l *lab) sharing(rest string) *lab {
	l.t.Helper()
	path := filepath.Join(l.home, "models.json")
	file, err := os.ReadFile(path)
	if err != nil {
		l.t.Fatal(err)
	}
	file = bytes.Replace(file, []byte(`"key_env"`), []byte(`"limits": {"requests_per_minute": 1}, "key_env"`), 1)
	file = append(bytes.TrimSuffix(file, []byte("}")), ", "+rest+"}"...)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		l.t.Fatal(err)
	}
	return l
}

// TestServersShareLimits: two servers with nothing in common but a Redis have
// one limit together, and each its own when that is gone.
func TestServersShareLimits(t *testing.T) {
	t.Parallel()
	real := redistest.New(t)
	var servers [2]*served
	var keys [2]string
	for i := range servers {
		l := newGatewayLab(t).sharing(`"retry": {"wait_alone": "1ms"}`)
		servers[i] = l.serve("127.0.0.1:0", "--workers", "0", "--redis", real.URL()+"?timeout=1m")
		_, keys[i] = l.newKey()
	}
	if resp, body := servers[0].ask(keys[0], gatewayCall); resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	if resp, body := servers[1].ask(keys[1], gatewayCall); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the limit of both is used up, and the second goes through: %d %s", resp.StatusCode, body)
	}
	real.Stop()
	if resp, body := servers[1].ask(keys[1], gatewayCall); resp.StatusCode != http.StatusOK {
		t.Errorf("without Redis its own limit does not hold: %d %s", resp.StatusCode, body)
	}
	if resp, body := servers[1].ask(keys[1], gatewayCall); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("without Redis no limit holds: %d %s", resp.StatusCode, body)
	}
}

// TestProcessesShareAnswers: what one process kept, another gives again.
func TestProcessesShareAnswers(t *testing.T) {
	t.Parallel()
	real := redistest.New(t)
	l := newGatewayLab(t).sharing(`"cache": {"redis": true}`)
	getenv := func(name string) string {
		for _, e := range l.env {
			if v, ok := strings.CutPrefix(e, name+"="); ok {
				return v
			}
		}
		return ""
	}
	process := func(address string) (*models, error) {
		m := newModels(getenv, nil)
		end, err := m.share(address, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(end)
		return m, m.use(mgx.RunSettings{Model: "openai/gpt-4o-mini"})
	}
	zero := 0.0
	for i := range 2 {
		m, err := process(real.URL() + "?timeout=1m")
		if err != nil {
			t.Fatal(err)
		}
		res, err := m.router.Call(t.Context(), &llm.Request{
			Model: "openai/gpt-4o-mini", MaxTokens: 100, Temperature: &zero, Workspace: mgx.DefaultWorkspace, AgentRole: "any",
			Messages: []llm.Message{{Role: llm.User, Parts: []llm.Part{{Text: "hello"}}}},
		}, nil, nil)
		if err != nil || res.Cached != (i == 1) {
			t.Errorf("process %d: %+v, %v", i, res, err)
		}
	}
	if _, err := process(""); err == nil || mgx.AsError(err).Code != "no_redis" {
		t.Errorf("no Redis to keep answers in: %v", err)
	}
}
