package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/api"
	"mgx/internal/app"
	"mgx/internal/gateway"
	"mgx/internal/limit"
	"mgx/internal/llm"
	"mgx/internal/store"
)

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
