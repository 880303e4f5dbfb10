package api_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
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

// changes are bodies of the operations that change what is there, each another for
// another number.
func changes(t testing.TB, id string, n int) any {
	t.Helper()
	text, either := fmt.Sprint("change ", n), func(all ...string) string { return all[n%len(all)] }
	body, known := map[string]any{
		"changeBudget": map[string]any{"limit_usd": 7 + n}, "changeWebhook": map[string]any{"description": text}, "changeRole": map[string]any{"role": either("auditor", "viewer")},
		"renameWorkspace": map[string]any{"name": text}, "renameProject": map[string]any{"name": text}, "setProject": map[string]any{"value": either("ask", "auto")},
		"putRole":         map[string]any{"description": text, "policy": "permit (principal, action, resource is Tasks);"},
		"replaceTemplate": map[string]any{"name": text, "task": map[string]any{"text": "Tidy up."}}, "setSecret": map[string]any{"value": fmt.Sprint("kept-0815-value-", n)},
		"setQuotas": map[string]any{"quotas": map[string]any{"keys": 100 + n}}, "setRetention": map[string]any{"days": map[string]any{"agent": 30 + n}},
	}[id]
	if !known {
		t.Fatalf("say in changes what %s may be sent", id)
	}
	return body
}

// without are operations that change something without an ETag.
var without = map[string]string{
	"changePassword":    "a password is not read; who changes it says what it was",
	"endSession":        "a session ends once, and nothing else becomes of it",
	"discardDeadLetter": "a dead letter is discarded once, and nothing else becomes of it",
	"putUpload":         "its name is the digest of what it is",
	"putAttachment":     "its name is the digest of what it is",
	"approveFile":       "it says the digest of what was looked at",
}

// Of two who change what both have read, the second hears that it is not what it
// was, and nothing of the first is lost. The operations are those of the document: one
// that is new is tried too, unless it is said why not.
func TestNoUpdateIsLost(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	things, admin, doc := w.things(), w.tokens["admin"], parseDocument(t, w.web)
	all := updates(doc)
	for _, o := range all {
		read := doc.readAt(o.path)
		heeds := read != "" && o.takes("If-Match") && slices.Contains(doc.codes(o.operation, "412"), mgx.CodeChanged)
		if why := without[o.ID]; heeds == (why != "") {
			t.Errorf("%s is read at %q and heeds If-Match: %v; yet in the table: %q", o.ID, read, heeds, why)
		}
		if !heeds {
			continue
		}
		_, at := path(t, o.method+" "+o.path, things)
		_, read = path(t, "GET "+read, things)
		look := func() (tag, body string) {
			t.Helper()
			got := w.do(admin, "GET", read, nil, nil)
			if w.must(got, 200); got.header.Get("ETag") == "" {
				t.Errorf("%s has no ETag", read)
			}
			return got.header.Get("ETag"), got.body
		}
		if o.method == "DELETE" {
			tag, _ := look()
			w.call(admin, o.method, at, nil, nil, with("If-Match", `"999-x"`)).want(412, "precondition_failed")
			if still, _ := look(); still != tag {
				t.Errorf("%s was refused, and has changed", o.ID)
			}
			w.must(w.call(admin, o.method, at, nil, nil, with("If-Match", tag)), 204)
			continue
		}
		change := func(n int, tag string) reply {
			return w.call(admin, o.method, at, changes(t, o.ID, n), nil, with("If-Match", tag))
		}
		done := func(r reply) {
			t.Helper()
			if r.status != 200 && r.status != 204 {
				t.Fatalf("%s: %d %s", r.what, r.status, r.body)
			}
		}
		done(change(0, "*"))
		tag, _ := look()
		if got := w.call(admin, "GET", read, nil, nil, with("If-None-Match", `"other", W/`+tag)); got.status != 304 || got.body != "" || got.header.Get("ETag") != tag {
			t.Errorf("%s: still what it was: %d %s", read, got.status, got.body)
		}
		done(change(1, tag))
		first, is := look()
		if first == tag {
			t.Errorf("%s: the ETag is still %s", o.ID, tag)
		}
		for _, stale := range []string{tag, `W/` + tag, `"x"`, `"999-x"`, "nonsense"} {
			change(2, stale).want(412, "precondition_failed")
			change(1, stale).want(412, "precondition_failed") // as it is: there is nothing to do, and it is not what they saw
		}
		if now, body := look(); now != first || body != is {
			t.Errorf("%s: what was refused has changed %s to %s", o.ID, is, body)
		}
		w.must(w.call(admin, "GET", read, nil, nil, with("If-None-Match", tag)), 200)
		done(change(2, `"999-x", `+first))
	}
	if len(all) < 20+len(without) {
		t.Errorf("only %d operations change something", len(all))
	}
}

// updates are the operations that change or remove something, the removing ones last
// and of those the innermost first.
func updates(doc contractOf) (all []fuzzedOperation) {
	for path, methods := range doc.Paths {
		for method, o := range methods {
			if slices.Contains([]string{"put", "patch", "delete"}, method) {
				all = append(all, fuzzedOperation{o, strings.ToUpper(method), path})
			}
		}
	}
	slices.SortFunc(all, func(a, b fuzzedOperation) int {
		return cmp.Or(-strings.Compare(a.method, b.method), strings.Compare(b.path, a.path)) // PUT, PATCH, DELETE
	})
	return all
}

// readAt is where that is read, with its ETag, which is at a path or has its part
// there; empty: nowhere.
func (doc contractOf) readAt(path string) string {
	for ; path != "/api/v1"; path = path[:strings.LastIndexByte(path, '/')] {
		if _, reads := doc.Paths[path]["get"].Responses["200"].Headers["ETag"]; reads {
			return path
		}
	}
	return ""
}

// takes reports whether an operation has a header.
func (o operation) takes(header string) bool {
	for _, p := range o.Parameters {
		if p.In == "header" && p.Name == header {
			return true
		}
	}
	return false
}

// codes are those of an operation's problems of a status.
func (doc contractOf) codes(o operation, status string) []string {
	r := o.Responses[status]
	if r.Ref != "" {
		r = doc.Components.Responses[r.Ref[strings.LastIndexByte(r.Ref, '/')+1:]]
	}
	return r.Codes
}

// Who uses a secret changes nothing about it: a run must not refuse the admin who has
// just looked at it.
func TestUseIsNoChange(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	admin := w.tokens["admin"]
	const at = "/api/v1/secrets/openai"
	w.must(w.do(admin, "PUT", at, changes(t, "setSecret", 0), nil), 200)
	tag := w.do(admin, "GET", at, nil, nil).header.Get("ETag")
	used := mgx.NewAudit(mgx.DefaultWorkspace, mgx.AuditData{Actor: "system", Action: "secret.use", Resource: "openai", Decision: mgx.AuditAllowed})
	_, err := w.store.Commit(t.Context(), mgx.Change{Events: []mgx.Event{used}})
	must(t, err)
	w.must(w.call(admin, "GET", at, nil, nil, with("If-None-Match", tag)), 304)
	w.must(w.call(admin, "PUT", at, changes(t, "setSecret", 1), nil, with("If-Match", tag)), 200)
}

// Of many who change at once what all have seen, exactly one does.
func TestOneUpdateWins(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	things, admin := w.things(), w.tokens["admin"]
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
		"/api/v1/budgets":     map[string]any{"limit_usd": 3, "scope": "user", "scope_id": w.users["auditor"]},
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
	const body = `{"limit_usd":1,"scope":"user","scope_id":"user_local"}`
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
