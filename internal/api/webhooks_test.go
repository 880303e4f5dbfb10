package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/api"
	"mgx/internal/event"
	"mgx/internal/store"
	"mgx/internal/webhook"
)

// hookSite is a server with webhooks, and what it takes to ask it.
type hookSite struct {
	t     *testing.T
	store *store.Store
	web   *api.Server
}

func newHookSite(t *testing.T) *hookSite {
	t.Helper()
	s, err := store.Open(context.Background(), filepath.Join(t.TempDir(), "mgx.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	contracts, err := event.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	hub := event.NewHub(event.HubOptions{Source: s, Epoch: "epoch-1", Key: []byte("0123456789abcdef"), Authorize: event.OneWorkspace(mgx.DefaultWorkspace), Contracts: contracts})
	guard := webhook.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	web := api.New(api.Options{
		Hub: hub, Contracts: contracts, Token: token, Actor: "user_local", Terms: s,
		Webhooks: &webhook.Endpoints{By: mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: "user_local"}, Store: s, Guard: guard},
	})
	return &hookSite{t, s, web}
}

// ask sends a request and checks the status; into, if set, takes the answer.
func (s *hookSite) ask(method, path, body string, want int, into any) string {
	s.t.Helper()
	return s.send(method, path, body, want, into, nil).Body.String()
}

// askFor does the same with what edit changes, and returns where it is what was made.
func (s *hookSite) askFor(method, path, body string, want int, into any, edit func(*http.Request)) string {
	s.t.Helper()
	return s.send(method, path, body, want, into, edit).Header().Get("Location")
}

func (s *hookSite) send(method, path, body string, want int, into any, edit func(*http.Request)) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:1"
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	if edit != nil {
		edit(r)
	}
	w := httptest.NewRecorder()
	s.web.ServeHTTP(w, r)
	if w.Code != want {
		s.t.Errorf("%s %s %s: %d %s, want %d", method, path, body, w.Code, w.Body, want)
	}
	if into != nil {
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			s.t.Errorf("%s %s: %v: %s", method, path, err, w.Body)
		}
	}
	return w
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	s := newHookSite(t)
	got := 0
	outside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { got++ }))
	defer outside.Close()
	const root = "/api/v1/webhooks"

	var added struct {
		Webhook mgx.Webhook
		Secret  string
	}
	s.ask("POST", root, `{"url":"`+outside.URL+`","types":["task.*"],"description":"the chat"}`, 201, &added)
	if !strings.HasPrefix(added.Secret, "whsec_") || !added.Webhook.Enabled || added.Webhook.Types[0] != "task.*" {
		t.Errorf("added %+v", added)
	}
	one := root + "/" + string(added.Webhook.ID)
	for _, path := range []string{root, one} {
		if body := s.ask("GET", path, "", 200, nil); strings.Contains(body, "whsec_") || !strings.Contains(body, string(added.Webhook.ID)) {
			t.Errorf("%s: %s", path, body)
		}
	}
	var changed mgx.Webhook
	if s.ask("PATCH", one, `{"description":"the other chat"}`, 200, &changed); changed.Description != "the other chat" || len(changed.Types) != 1 {
		t.Errorf("changed %+v", changed)
	}
	if body := s.ask("POST", one+"/rotate", "", 200, nil); !strings.Contains(body, "whsec_") || strings.Contains(body, added.Secret) {
		t.Errorf("rotated: %s", body)
	}
	var tried mgx.WebhookAttempt
	if s.ask("POST", one+"/test", "", 200, &tried); tried.Status != 200 || got != 1 {
		t.Errorf("tried %+v", tried)
	}
	s.ask("POST", one+"/disable", "", 204, nil)
	s.ask("POST", one+"/enable", `{"skip":true}`, 204, nil)

	s.deliver(added.Webhook.ID)
	var page struct {
		Deliveries []mgx.WebhookDelivery
		Next       string `json:"next_page_token"`
	}
	if s.ask("GET", one+"/deliveries?limit=2", "", 200, &page); len(page.Deliveries) != 2 || page.Next == "" {
		t.Errorf("first page %+v", page)
	}
	dead := page.Deliveries[0]
	if dead.Status != mgx.DeliveryDead {
		t.Errorf("the newest is %+v", dead)
	}
	next := page.Next
	page.Next = ""
	if s.ask("GET", one+"/deliveries?limit=2&page_token="+next, "", 200, &page); len(page.Deliveries) != 1 || page.Next != "" {
		t.Errorf("second page %+v", page)
	}
	if s.ask("GET", one+"/deliveries?status=dead&failed=true", "", 200, &page); len(page.Deliveries) != 1 {
		t.Errorf("dead letters %+v", page)
	}
	var attempts struct{ Attempts []mgx.WebhookAttempt }
	if s.ask("GET", one+"/deliveries/"+string(dead.Event), "", 200, &attempts); len(attempts.Attempts) != 1 || attempts.Attempts[0].Status != 500 {
		t.Errorf("attempts %+v", attempts)
	}
	s.ask("POST", one+"/deliveries/"+string(dead.Event)+"/retry", "", 204, nil)
	if body := s.ask("POST", one+"/retry", "", 200, nil); !strings.Contains(body, `"retried":0`) {
		t.Errorf("retried %s", body)
	}
	s.ask("DELETE", one, "", 204, nil)
	s.ask("GET", one, "", 404, nil)
}

// deliver makes three deliveries of an endpoint, the last of them a dead letter.
func (s *hookSite) deliver(id mgx.WebhookID) {
	s.t.Helper()
	ctx := s.t.Context()
	var c mgx.Change
	for _, stream := range []mgx.StreamID{"task_a", "task_b", "task_c"} {
		e := mgx.NewEvent("agent.message", struct{}{})
		e.Workspace, e.Stream = mgx.DefaultWorkspace, stream
		c.Events = append(c.Events, e)
	}
	out, err := s.store.Commit(ctx, c)
	if err != nil {
		s.t.Fatal(err)
	}
	lease, ok, err := s.store.ClaimWebhook(ctx, mgx.WebhookLease{Webhook: id}, "own_a", mgx.Now().Add(1<<40))
	if err != nil || !ok {
		s.t.Fatal(ok, err)
	}
	if err := s.store.AddDeliveries(ctx, lease, out.Events, 3); err != nil {
		s.t.Fatal(err)
	}
	a := mgx.WebhookAttempt{Event: out.Events[2].ID, At: mgx.Now(), Status: 500, Error: "the endpoint answered 500"}
	if _, err := s.store.RecordDelivery(ctx, lease, mgx.WebhookOutcome{Attempt: a, Status: mgx.DeliveryDead}); err != nil {
		s.t.Fatal(err)
	}
}

func TestWebhooksRefuse(t *testing.T) {
	t.Parallel()
	s := newHookSite(t)
	const root = "/api/v1/webhooks"
	var added struct{ Webhook mgx.Webhook }
	s.ask("POST", root, `{"url":"https://example.com/"}`, 201, &added)
	one := root + "/" + string(added.Webhook.ID)
	for _, c := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"POST", root, `{"url":"https://10.0.0.1/"}`, 400, webhook.CodeAddressRefused},
		{"POST", root, `{"url":"ftp://example.com/"}`, 400, webhook.CodeBadAddress},
		{"POST", root, ``, 400, "bad_body"},
		{"POST", root, `{"url":"https://example.com/","secret":"mine"}`, 400, "bad_body"},
		{"POST", root, `{"url":"https://example.com/"}{}`, 400, "bad_body"},
		{"POST", root, `[]`, 400, "bad_body"},
		{"POST", root, `{"url":"` + strings.Repeat("a", 1<<20) + `"}`, 413, "body_too_large"},
		{"POST", root, `{"url":"https://example.com/","since":-1}`, 400, "bad_position"},
		{"POST", root, `{"url":"https://example.com/","since":4611686018427387904}`, 400, "bad_position"},
		{"POST", root, `{"url":"https://example.com/","channels":["weather"]}`, 400, "bad_channel"},
		{"PATCH", one, `{"url":"http://192.168.0.1/"}`, 400, webhook.CodeAddressRefused},
		{"GET", one + "/deliveries?status=lost", "", 400, "bad_query"},
		{"GET", one + "/deliveries?limit=0", "", 400, "bad_query"},
		{"GET", one + "/deliveries?page_token=!", "", 400, "bad_query"},
		{"GET", one + "/deliveries?sort=up", "", 400, "bad_query"},
		{"POST", one + "/deliveries/evt_none/retry", "", 400, "nothing_to_retry"},
		{"GET", root + "/whk_none", "", 404, "not_found"},
		{"DELETE", root + "/whk_none", "", 404, "not_found"},
		{"POST", root + "/whk_none/rotate", "", 404, "not_found"},
		{"POST", root + "/whk_none/test", "", 404, "not_found"},
		{"PUT", one, "", 405, "method_not_allowed"},
	} {
		var problem struct{ Code string }
		if s.ask(c.method, c.path, c.body, c.status, &problem); problem.Code != c.code {
			t.Errorf("%s %s: %q, want %q", c.method, c.path, problem.Code, c.code)
		}
	}
	for path, want := range map[string]string{one: "GET, HEAD, PATCH, DELETE", one + "/rotate": "POST", "/api/v1/events": "GET, HEAD"} {
		r := httptest.NewRequest("PUT", "http://localhost"+path, nil)
		r.RemoteAddr = "127.0.0.1:1"
		w := httptest.NewRecorder()
		if s.web.ServeHTTP(w, r); w.Code != 405 || w.Header().Get("Allow") != want {
			t.Errorf("%s: %d, allows %q", path, w.Code, w.Header().Get("Allow"))
		}
	}
	r := httptest.NewRequest("GET", "http://localhost"+root, nil)
	r.RemoteAddr = "127.0.0.1:1"
	w := httptest.NewRecorder()
	if s.web.ServeHTTP(w, r); w.Code != 401 {
		t.Errorf("without a token: %d", w.Code)
	}
}
