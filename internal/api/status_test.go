package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mgx/internal/api"
	"mgx/internal/event"
)

// Everybody hears that the server is alive; how it stands only those who are let
// in, also when the server is not ready and much cannot be found out.
func TestStatus(t *testing.T) {
	t.Parallel()
	contracts, err := event.NewRegistry()
	must(t, err)
	hub := event.NewHub(event.HubOptions{Source: nothing{}, Epoch: "e", Key: make([]byte, 16), Authorize: event.OneWorkspace("ws")})
	away := errors.New("the disk at /secret/place is away")
	broken := false
	trouble := func(context.Context) error {
		if broken {
			return away
		}
		return nil
	}
	started := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := api.New(api.Options{
		Hub: hub, Contracts: contracts, Token: token, Version: "1.2.3", Checks: []api.Check{{Name: "disk", Run: trouble}},
		Status: func(ctx context.Context) (api.Status, error) {
			return api.Status{Started: started, Events: api.EventsStatus{Head: 9}, Disk: api.DiskStatus{Free: 5}}, trouble(ctx)
		},
	})
	ask := func(path, secret string) (int, string) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", path, nil)
		r.Host, r.RemoteAddr = "localhost", "127.0.0.1:1"
		if secret != "" {
			r.Header.Set("Authorization", "Bearer "+secret)
		}
		s.ServeHTTP(w, r)
		body, _ := io.ReadAll(w.Result().Body)
		return w.Code, string(body)
	}
	if code, body := ask("/health/", ""); code != 200 || !strings.Contains(body, `"status":"alive"`) || !strings.Contains(body, `"version":"1.2.3"`) {
		t.Errorf("%d %s", code, body)
	}
	if code, body := ask("/health/status", ""); code != http.StatusUnauthorized || strings.Contains(body, "1.2.3") {
		t.Errorf("%d %s", code, body)
	}
	read := func(want string) {
		t.Helper()
		code, body := ask("/health/status", token)
		var st api.Status
		if err := json.Unmarshal([]byte(body), &st); err != nil || code != 200 {
			t.Fatalf("%d %s %v", code, body, err)
		}
		if st.Status != want || st.Version != "1.2.3" || !st.Started.Equal(started) || st.Events.Lag != 9 || st.Disk.Free != 5 || len(st.Checks) != 1 || st.Streams.Most == 0 || st.Models == nil {
			t.Errorf("%s", body)
		}
		if strings.Contains(body, "/secret/place") {
			t.Error("it names a path")
		}
	}
	read("ready")
	broken = true
	s.ForgetReady()
	read("unavailable")
	if code, body := ask("/health/ready", ""); code != http.StatusServiceUnavailable || !strings.Contains(body, `"disk"`) || strings.Contains(body, "/secret") {
		t.Errorf("%d %s", code, body)
	}
}
