package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"mgx"
	"mgx/internal/api"
	"mgx/internal/app"
	"mgx/internal/event"
	"mgx/internal/store"
)

func with(headers ...string) func(*http.Request) {
	return func(r *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
}

// Of two who change what both have read, the second hears that it is not what it
// was, and nothing of the first is lost.
func TestNoUpdateIsLost(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	things, admin := w.things(), w.tokens["admin"]
	for at, c := range map[string]struct {
		method        string
		change, other any
	}{
		"/api/v1/budgets/" + things["budgets"]:       {"PATCH", map[string]any{"limit_usd": 7}, map[string]any{"limit_usd": 8}},
		"/api/v1/webhooks/" + things["webhooks"]:     {"PATCH", map[string]any{"description": "a"}, map[string]any{"description": "b"}},
		"/api/v1/members/" + things["members"]:       {"PATCH", map[string]any{"role": "auditor"}, map[string]any{"role": "viewer"}},
		"/api/v1/workspaces/" + things["workspaces"]: {"PATCH", map[string]any{"name": "a"}, map[string]any{"name": "b"}},
		"/api/v1/roles/" + things["roles"]: {
			"PUT", map[string]any{"policy": "permit (principal, action, resource is Tasks);"}, map[string]any{"policy": "permit (principal, action, resource is Events);"},
		},
	} {
		var was, is json.RawMessage
		got := w.do(admin, "GET", at, nil, &was)
		w.must(got, 200)
		tag := got.header.Get("ETag")
		if tag == "" {
			t.Errorf("%s has no ETag", at)
		}
		if got = w.call(admin, "GET", at, nil, nil, with("If-None-Match", `"other", W/`+tag)); got.status != 304 || got.body != "" || got.header.Get("ETag") != tag {
			t.Errorf("%s: still what it was: %d %s", at, got.status, got.body)
		}
		w.must(w.call(admin, c.method, at, c.change, nil, with("If-Match", tag)), 200)
		for _, stale := range []string{tag, `W/` + tag, `"x"`, `"999-x"`, "nonsense"} {
			w.call(admin, c.method, at, c.other, nil, with("If-Match", stale)).want(412, "precondition_failed")
		}
		if at != "/api/v1/workspaces/"+things["workspaces"] {
			w.call(admin, "DELETE", at, nil, nil, with("If-Match", tag)).want(412, "precondition_failed")
		}
		got = w.do(admin, "GET", at, nil, &is)
		if w.must(got, 200); got.header.Get("ETag") == tag || string(is) == string(was) {
			t.Errorf("%s did not change: %s", at, got.header.Get("ETag"))
		}
		w.must(w.call(admin, "GET", at, nil, nil, with("If-None-Match", tag)), 200)
		w.must(w.call(admin, c.method, at, c.other, nil, with("If-Match", `"999-x", `+got.header.Get("ETag"))), 200)
		w.must(w.call(admin, c.method, at, c.change, nil, with("If-Match", "*")), 200)
	}
	// Many at once: exactly one of those who saw the same state changes it.
	at := "/api/v1/budgets/" + things["budgets"]
	tag := w.do(admin, "GET", at, nil, nil).header.Get("ETag")
	var all sync.WaitGroup
	won := make(chan int, 20)
	for i := range 20 {
		all.Go(func() {
			if got := w.call(admin, "PATCH", at, map[string]any{"limit_usd": 100 + i}, nil, with("If-Match", tag)); got.status == 200 {
				won <- i
			}
		})
	}
	all.Wait()
	close(won)
	var b mgx.BudgetUse
	w.must(w.do(admin, "GET", at, nil, &b), 200)
	first, one := <-won
	if _, more := <-won; !one || more || b.Limit != mgx.Money(100+first)*mgx.USD {
		t.Errorf("won %d (more: %v), and the limit is %s", first, more, b.Limit)
	}
	// What is asked where it means nothing is refused rather than forgotten.
	w.call(admin, "POST", "/api/v1/auth/sign-out", nil, nil, with("If-Match", tag)).want(400, "bad_query")
	w.call(admin, "POST", "/api/v1/budgets", map[string]any{"limit_usd": 1}, nil, with("If-Match", tag)).want(400, "bad_query")
}

// creations are requests that make something, one for each route.
func (w *town) creations() map[string]any {
	return map[string]any{
		"/api/v1/budgets":     map[string]any{"limit_usd": 3, "scope": "user", "scope_id": "user_once"},
		"/api/v1/webhooks":    map[string]any{"url": "https://example.com/once"},
		"/api/v1/invitations": map[string]any{"role": "viewer", "email": "once@example.com"},
		"/api/v1/keys":        map[string]any{"name": "once", "scopes": []string{"runs:read"}},
		"/api/v1/workspaces":  map[string]any{"name": "once"},
	}
}

// What is sent again with the same key is done once, and answered as the first time
// but for secrets, which are kept nowhere.
func TestDoneOnce(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	admin := w.tokens["admin"]
	count := func(at string) int {
		t.Helper()
		var page map[string]json.RawMessage
		w.must(w.call(admin, "GET", at, nil, &page, with("Mgx-Workspace", string(mgx.DefaultWorkspace))), 200)
		var all []json.RawMessage
		must(t, json.Unmarshal(page[at[strings.LastIndex(at, "/")+1:]], &all))
		return len(all)
	}
	for at, body := range w.creations() {
		before := count(at)
		var all sync.WaitGroup
		answers := make([]reply, 8)
		for i := range answers {
			all.Go(func() {
				answers[i] = w.call(admin, "POST", at, body, nil, with("Idempotency-Key", "k", "Mgx-Workspace", string(mgx.DefaultWorkspace)))
			})
		}
		all.Wait()
		fresh, bodies := 0, map[string]bool{}
		for _, a := range answers {
			w.must(a, 201)
			if a.header.Get("Idempotency-Replayed") == "" {
				fresh++
			}
			bodies[a.header.Get("Location")+withoutSecrets(t, a.body)] = true
		}
		if fresh != 1 || len(bodies) != 1 || count(at) != before+1 {
			t.Errorf("%s: done %d times, %d answers, %d more: %v", at, fresh, len(bodies), count(at)-before, bodies)
		}
		again := w.call(admin, "POST", at, body, nil, with("Idempotency-Key", "k", "Mgx-Workspace", string(mgx.DefaultWorkspace)))
		if w.must(again, 201); again.header.Get("Idempotency-Replayed") != "true" || strings.Contains(again.body, `"secret"`) || strings.Contains(again.body, `"token"`) {
			t.Errorf("%s again: %s", at, again.body)
		}
		w.call(admin, "POST", at, map[string]any{"name": "another"}, nil, with("Idempotency-Key", "k", "Mgx-Workspace", string(mgx.DefaultWorkspace))).want(422, "idempotency_key_reused")
	}
	// Somebody else's key of the same name is theirs.
	_, other := w.key("admin", nil)
	got := w.call(other, "POST", "/api/v1/invitations", w.creations()["/api/v1/invitations"], nil, with("Idempotency-Key", "k", "Mgx-Workspace", string(mgx.DefaultWorkspace)))
	if w.must(got, 201); got.header.Get("Idempotency-Replayed") != "" {
		t.Error("somebody was told what another was")
	}
	k, _ := w.key("admin", nil)
	rotate := "/api/v1/keys/" + string(k.ID) + "/rotate"
	var first, second struct{ Secret string }
	w.must(w.call(admin, "POST", rotate, nil, &first, with("Idempotency-Key", "k", "Mgx-Workspace", string(mgx.DefaultWorkspace))), 200)
	w.must(w.call(admin, "POST", rotate, nil, &second, with("Idempotency-Key", "k", "Mgx-Workspace", string(mgx.DefaultWorkspace))), 200)
	if first.Secret == "" || second.Secret != "" {
		t.Errorf("rotated to %q, then %q", first.Secret, second.Secret)
	}
	w.must(w.do(first.Secret, "GET", "/api/v1/me", nil, nil), 200) // it is the one that counts
}

// withoutSecrets is an answer as it is kept.
func withoutSecrets(t testing.TB, body string) string {
	var fields map[string]any
	must(t, json.Unmarshal([]byte(body), &fields))
	delete(fields, "secret")
	delete(fields, "token")
	text, err := json.Marshal(fields)
	must(t, err)
	return string(text)
}

// forgetful is a store whose process dies whenever an answer would be kept: after
// the act, and before anybody heard of it.
type forgetful struct{ *store.Store }

func (forgetful) KeepAnswer(context.Context, mgx.Once, mgx.KeptAnswer) error {
	return errors.New("killed")
}

// A server that is killed between what it did and its answer has done it; who asks
// again is shown what was made.
func TestDoneOnceAcrossDeath(t *testing.T) {
	t.Parallel()
	s := newMoneySite(t)
	contracts, err := event.NewRegistry()
	must(t, err)
	hub := event.NewHub(event.HubOptions{Source: s.store, Epoch: "e", Key: make([]byte, 16), Authorize: event.OneWorkspace(mgx.DefaultWorkspace), Contracts: contracts})
	s.web = api.New(api.Options{Hub: hub, Contracts: contracts, Token: token, Actor: "user_local", Terms: forgetful{s.store}, Budgets: &app.Budgets{Store: s.store}})
	const body = `{"limit_usd":1,"scope":"user","scope_id":"user_a"}`
	var first, again mgx.BudgetUse
	key := with("Idempotency-Key", "k")
	at := s.askFor("POST", "/api/v1/budgets", body, 201, &first, key)
	if other := s.askFor("POST", "/api/v1/budgets", body, 201, &again, key); other != at || at == "" || again.ID != first.ID {
		t.Errorf("made %s %s, then %s %s", at, first.ID, other, again.ID)
	}
	s.askFor("DELETE", at, "", 204, nil, nil)
	var p struct{ Code string }
	if s.askFor("POST", "/api/v1/budgets", body, 409, &p, key); p.Code != "already_done" {
		t.Errorf("of what is gone: %s", p.Code)
	}
}
