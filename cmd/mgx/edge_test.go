package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/api"
	"mgx/internal/app"
	"mgx/internal/event"
	"mgx/internal/gateway"
	"mgx/internal/limit"
	"mgx/internal/llm"
	"mgx/internal/store"
)

// Keys that are none are paid for by the address that they are shown from, which is
// told as the dialect has it; good ones from there go on, and the log hears of it.
func TestGatewayChargesForBadKeys(t *testing.T) {
	t.Parallel()
	contracts, err := event.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "mgx.db"), store.Options{Check: contracts.Check})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	k, good := access.NewKey(mgx.APIKey{Workspace: mgx.DefaultWorkspace, User: "user_a", Name: "k", Role: mgx.RoleDeveloper, Scopes: []string{"*"}})
	if err := s.CreateKey(t.Context(), mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: "test"}, k); err != nil {
		t.Fatal(err)
	}
	still := time.Now()
	now := func() time.Time { return still }
	who := app.NewAccess(app.AccessOptions{Store: s, Now: now})
	limits, limiter := api.Limits{Address: limit.Rate{PerMinute: 2 * limit.FailureCost}}, limit.New(limit.Options{Now: now})
	g := gateway.New(gateway.Options{
		Keys: limitedKeys{who, limits, limiter}, Books: &books{store: s},
		Models: &gateway.Routed{Router: func(context.Context, mgx.WorkspaceID) (*llm.Router, error) { return llm.NewRouter(llm.Options{}), nil }},
	})
	t.Cleanup(g.Close)
	hub := event.NewHub(event.HubOptions{Source: s, Epoch: "e", Key: make([]byte, 16), Authorize: who.Channels, Contracts: contracts})
	web := api.New(api.Options{Hub: hub, Contracts: contracts, Access: who, Gateway: g, Limits: limits, Limiter: limiter, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	ask := func(secret, from string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "http://localhost/v1/models", nil)
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set("Authorization", "Bearer "+secret)
		if from != "" {
			r.Header.Set("X-Forwarded-For", from)
		}
		w := httptest.NewRecorder()
		web.ServeHTTP(w, r)
		return w
	}
	bad := access.KeySecret(mgx.NewID[mgx.KeyID]("key"))
	for n := range 20 {
		w := ask(bad, "192.0.2.1")
		if want := map[bool]int{true: http.StatusUnauthorized, false: http.StatusTooManyRequests}[n < 2]; w.Code != want {
			t.Fatalf("bad key %d: %d %s", n, w.Code, w.Body)
		} else if n >= 2 && (w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"rate_limited"`)) {
			t.Fatalf("bad key %d: %v %s", n, w.Header(), w.Body)
		}
	}
	if w := ask(good, "192.0.2.1"); w.Code != http.StatusOK {
		t.Errorf("a good key from there: %d %s", w.Code, w.Body)
	}
	for _, from := range []string{"198.51.100.1", ""} { // another network, and this machine
		if w := ask(bad, from); w.Code != http.StatusUnauthorized {
			t.Errorf("from %q: %d %s", from, w.Code, w.Body)
		}
	}
	told, err := s.Events(t.Context(), store.EventQuery{Types: []string{"security.*"}})
	if err != nil || len(told) != 1 || !strings.Contains(string(told[0].Data), "authentication_failures") || !strings.Contains(string(told[0].Data), "192.0.2.1") {
		t.Errorf("the log tells %v %v", told, err)
	}
}

// All keys of one person together call models no more often than the person may,
// and are told so as the dialect has it; others go on.
func TestGatewayKeepsToLimits(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "mgx.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	key := func(user mgx.UserID) string {
		k, secret := access.NewKey(mgx.APIKey{Workspace: mgx.DefaultWorkspace, User: user, Name: "k", Role: mgx.RoleDeveloper, Scopes: []string{"*"}})
		if err := s.CreateKey(t.Context(), mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: "test"}, k); err != nil {
			t.Fatal(err)
		}
		return secret
	}
	still := time.Now()
	keys := limitedKeys{
		app.NewAccess(app.AccessOptions{Store: s}),
		api.Limits{User: limit.Rate{PerMinute: 2}, Workspace: limit.Rate{PerMinute: 100}},
		limit.New(limit.Options{Now: func() time.Time { return still }}),
	}
	g := gateway.New(gateway.Options{
		Keys: keys, Books: &books{store: s},
		Models: &gateway.Routed{Router: func(context.Context, mgx.WorkspaceID) (*llm.Router, error) { return llm.NewRouter(llm.Options{}), nil }},
	})
	t.Cleanup(g.Close)
	ask := func(secret string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/v1/models", nil)
		r.Header.Set("Authorization", "Bearer "+secret)
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		return w
	}
	one, two, other := key("user_a"), key("user_a"), key("user_b")
	for _, secret := range []string{one, two, other} {
		if w := ask(secret); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	for _, secret := range []string{one, two} {
		w := ask(secret)
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "30" || !strings.Contains(w.Body.String(), `"rate_limited"`) {
			t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
		}
	}
	if w := ask(other); w.Code != http.StatusOK {
		t.Errorf("another person is kept out: %d %s", w.Code, w.Body)
	}
}
