package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/api"
	"mgx/internal/app"
	"mgx/internal/event"
	"mgx/internal/store"
)

// mayDo is what each role may do, said once more and apart from the policies:
// kinds of resources by action. A star stands for all.
var mayDo = map[string]map[string]string{
	"admin":     {"*": "*"},
	"developer": {"read": "repositories budgets settings users webhooks events keys models", "connect": "events", "create": "keys", "update": "keys", "delete": "keys", "execute": "models"},
	"viewer":    {"read": "repositories budgets users events keys models", "connect": "events", "create": "keys", "update": "keys", "delete": "keys"},
	"auditor":   {"read": "repositories budgets settings users webhooks events keys models audit", "connect": "events", "create": "keys", "update": "keys", "delete": "keys"},
}

// work is what developers do everything with, and others see.
const work = "tasks runs workflows agents tools artifacts"

func allowed(role string, r api.RouteInfo) bool {
	kinds := mayDo[role][r.Action] + " " + mayDo[role]["*"]
	switch {
	case r.Anybody, r.Somebody, strings.Contains(kinds, "*"):
		return true
	case slices.Contains(strings.Fields(work), r.Kind):
		return role == "developer" || r.Action == "read"
	}
	return slices.Contains(strings.Fields(kinds), r.Kind)
}

// kinds are what routes are about, by how their paths begin; the routes that name
// no kind are those for everybody and those that are about whoever asks.
var (
	kinds = map[string]string{
		"/metrics": "settings", "/health/status": "settings", "/api/v1/consumers": "settings", "/api/v1/workspaces": "settings", "/api/v1/members": "users", "/api/v1/invitations": "users",
		"/api/v1/roles": "users", "/api/v1/keys": "keys", "/api/v1/events": "events", "/api/v1/budgets": "budgets", "/api/v1/usage": "budgets", "/api/v1/webhooks": "webhooks",
		"/api/v1/tasks": "tasks", "/api/v1/templates": "tasks", "/api/v1/tasks/{id}/export": "settings", "/api/v1/tasks/{id}/erasure": "settings", "/api/v1/runs/{id}/export": "settings", "/api/v1/runs/{id}/erasure": "settings", "/api/v1/estimates": "runs", "/api/v1/runs": "runs", "/api/v1/approvals": "runs", "/api/v1/runs/{id}/diff": "artifacts", "/api/v1/runs/{id}/review": "artifacts", "/api/v1/runs/{id}/artifacts": "artifacts",
		"/api/v1/secrets": "secrets", "/api/v1/audit": "audit", "/api/v1/policies": "runs", "/api/v1/settings": "settings", "/api/v1/quotas": "settings", "/api/v1/people": "users",
		"/api/v1/executions": "workflows", "/api/v1/agents": "agents", "/api/v1/models": "models", "/api/v1/uploads": "tasks", "/api/v1/attachments": "tasks", "/api/v1/runs/{id}/branch": "artifacts", "/api/v1/projects": "repositories",
	}
	forEverybody = []string{
		"GET /health/", "GET /health/live", "GET /health/ready", "GET /api/v1/openapi.json", "GET /api/v1/openapi.yaml", "GET /api/v1/docs", "GET /api/v1/docs.css", "GET /api/v1/auth/providers", "POST /api/v1/auth/sign-in", "POST /api/v1/auth/refresh", "POST /api/v1/auth/accept",
	}
	aboutOneself = []string{
		"POST /api/v1/auth/sign-out", "GET /api/v1/me", "GET /api/v1/me/invitations", "POST /api/v1/me/invitations/{id}/accept", "POST /api/v1/me/invitations/{id}/decline", "PUT /api/v1/me/password", "GET /api/v1/sessions", "DELETE /api/v1/sessions/{id}", "GET /api/v1/workspaces",
	}
	ofTheInstallation = []string{"/metrics", "/health/status", "/api/v1/consumers", "POST /api/v1/workspaces", "/api/v1/settings", "/api/v1/people", "/api/v1/quotas/{id}"}

	// The names and numbers of these are in every workspace, each with its own behind
	// them, or with what is no tenant's.
	everywhere = []string{"/schemas/", "/policies/", "/audit/"}

	// Who was invited is for who invites, and what is held on somebody for who may
	// erase it; an estimate only looks.
	otherwise = []string{
		"GET /api/v1/invitations", "GET /api/v1/invitations/{id}", "POST /api/v1/estimates", "POST /api/v1/runs/{id}/policy-trials", "GET /api/v1/people/{id}/export", "GET /api/v1/people/{id}/erasure",
		"GET /api/v1/workspaces/{workspace}/export", "GET /api/v1/workspaces/{workspace}/erasure", "GET /api/v1/quotas/{id}",
		"GET /api/v1/people", "GET /api/v1/tasks/{id}/export", "GET /api/v1/tasks/{id}/erasure", "GET /api/v1/runs/{id}/export", "GET /api/v1/runs/{id}/erasure",
	}
)

// What a route says that it takes is what its path and method suggest, and what is
// for everybody is known here by name.
func TestRoutesSayWhatTheyTake(t *testing.T) {
	t.Parallel()
	hub := event.NewHub(event.HubOptions{Source: nothing{}, Epoch: "e", Key: make([]byte, 16), Authorize: event.OneWorkspace("ws")})
	contracts, err := event.NewRegistry()
	must(t, err)
	for _, r := range api.Routes(api.New(api.Options{Hub: hub, Contracts: contracts, Token: token})) {
		method, at, _ := strings.Cut(r.Pattern, " ")
		if r.Anybody != slices.Contains(forEverybody, r.Pattern) || r.Somebody != slices.Contains(aboutOneself, r.Pattern) {
			t.Errorf("%s: for everybody %v, about oneself %v", r.Pattern, r.Anybody, r.Somebody)
		}
		if r.Anybody || r.Somebody {
			continue
		}
		kind, longest := "", ""
		for path, k := range kinds {
			if (at == path || strings.HasPrefix(at, path+"/")) && len(path) > len(longest) {
				kind, longest = k, path
			}
		}
		if r.Kind != kind {
			t.Errorf("%s is about %q, want %q", r.Pattern, r.Kind, kind)
		}
		reads := r.Action == "read" || r.Action == "connect"
		if reads != (method == "GET") && !slices.Contains(otherwise, r.Pattern) {
			t.Errorf("%s takes %s", r.Pattern, r.Action)
		}
		wide := slices.ContainsFunc(ofTheInstallation, func(p string) bool { return strings.HasPrefix(at, p) || r.Pattern == p })
		if r.Installation != wide {
			t.Errorf("%s is of the installation: %v", r.Pattern, r.Installation)
		}
	}
}

// nothing is a log with nothing in it.
type nothing struct{ event.Source }

// things are what there is in the default workspace, by the part of a path that
// comes before their id.
func (w *town) things() map[string]string {
	w.t.Helper()
	admin := w.tokens["admin"]
	var budget struct{ ID string }
	w.must(w.do(admin, "POST", "/api/v1/budgets", map[string]any{"limit_usd": 5, "scope": "user", "scope_id": w.users["viewer"]}, &budget), 201)
	var hook struct{ Webhook struct{ ID string } }
	w.must(w.do(admin, "POST", "/api/v1/webhooks", map[string]any{"url": "https://example.com/hook"}, &hook), 201)
	w.must(w.do(admin, "PUT", "/api/v1/roles/builder", map[string]string{"policy": "permit (principal, action, resource is Runs);"}, nil), 200)
	var invitation struct{ Invitation struct{ ID string } }
	w.must(w.do(admin, "POST", "/api/v1/invitations", map[string]string{"role": "viewer"}, &invitation), 201)
	var template struct{ ID string }
	w.must(w.do(admin, "POST", "/api/v1/templates", map[string]any{"name": "Tidy up", "task": map[string]any{"text": "Tidy up."}}, &template), 201)
	k, _ := w.key("developer", nil)
	var second app.Signed
	w.must(w.do("", "POST", "/api/v1/auth/sign-in", map[string]string{"email": "developer@example.com", "password": townPassword}, &second), 200)
	var spare app.Signed // somebody whom nobody misses
	w.must(w.do("", "POST", "/api/v1/auth/accept", map[string]string{"token": w.invite("viewer", "spare@example.com"), "name": "spare", "password": townPassword}, &spare), 200)
	given := w.project(mgx.DefaultWorkspace, "/srv/shop")
	run := w.task("admin", given, "a task of the default workspace")
	return map[string]string{
		"budgets": budget.ID, "webhooks": hook.Webhook.ID, "roles": "builder", "invitations": invitation.Invitation.ID, "keys": string(k.ID),
		"members": string(spare.User.ID), "sessions": string(second.Session.ID), "workspaces": string(mgx.DefaultWorkspace),
		"tasks": string(run.Task.ID), "runs": string(run.ID), "artifacts": "plan.json", "templates": template.ID, "approvals": "plan", "comments": "c1", "executions": string(run.Execution), "projects": string(given.ID), "settings": "policy",
		"secrets": "openai", "audit": "1", "policies": "auto", "uploads": "sha256:none", "attachments": "sha256:none", "people": string(spare.User.ID),
		"quotas": string(mgx.DefaultWorkspace), "consumers": "none", "deliveries": "evt_none", "dead": "evt_none", "schemas": "run.noted",
	}
}

// path fills the wildcards of a pattern with what there is.
func path(t testing.TB, pattern string, things map[string]string) (method, at string) {
	t.Helper()
	method, at, _ = strings.Cut(pattern, " ")
	parts := strings.Split(at, "/")
	for i, part := range parts {
		if !strings.HasPrefix(part, "{") {
			continue
		}
		if part == "{$}" {
			parts[i] = ""
			continue
		}
		if part == "{version}" {
			parts[i] = "1.0.0"
			continue
		}
		id, known := things[parts[i-1]]
		if !known {
			t.Fatalf("%s: say in things what there is after %q", pattern, parts[i-1])
		}
		parts[i] = id
	}
	return method, strings.Join(parts, "/")
}

// caller is somebody who tries every route.
type caller struct {
	name, secret string
	workspace    mgx.WorkspaceID // that is asked for; empty: none
	scoped       bool            // the secret is a key without the scope
	want         func(r api.RouteInfo) (status int, code string)
}

// try makes a request of a route as somebody, with a body that has fields which
// nobody may set.
func (w *town) try(r api.RouteInfo, c caller, things map[string]string) (status int, code string) {
	w.t.Helper()
	method, at := path(w.t, r.Pattern, things)
	edit := func(req *http.Request) {
		if c.workspace != "" {
			req.Header.Set("Mgx-Workspace", string(c.workspace))
		}
	}
	if r.Socket {
		return w.listen(at, c, edit)
	}
	if strings.HasSuffix(at, "/stream") {
		at += "?channel=none:none" // refused, but only once it is allowed
	}
	var body any
	if method != "GET" {
		body = map[string]any{"role": "admin", "user_id": "user_x", "workspace_id": "ws_x", "digest": "x", "scopes": nil}
	}
	got := w.call(c.secret, method, at, body, nil, edit)
	return got.status, got.code
}

// listen connects a WebSocket: a browser hears only why it was closed, so that is
// where the answer is.
func (w *town) listen(at string, c caller, edit func(*http.Request)) (status int, code string) {
	w.t.Helper()
	ctx, stop := context.WithTimeout(w.t.Context(), patience)
	defer stop()
	h := http.Header{}
	edit(&http.Request{Header: h})
	protocols := []string{"events.v1+json"}
	if c.secret != "" {
		protocols = append(protocols, "bearer."+c.secret)
	}
	conn, _, err := websocket.Dial(ctx, w.url+at, &websocket.DialOptions{Subprotocols: protocols, HTTPHeader: h})
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.CloseNow()
	conn.Write(ctx, websocket.MessageText, []byte(`{"type":"ping"}`))
	_, text, err := conn.Read(ctx)
	switch closed, _ := errors.AsType[websocket.CloseError](err); {
	case err == nil && strings.Contains(string(text), "pong"):
		return 200, ""
	case closed.Code == 4001:
		return 401, closed.Reason
	case closed.Code == 4003:
		return 403, closed.Reason
	}
	w.t.Fatalf("%s: %v %s", c.name, err, text)
	return 0, ""
}

// refusedTo says what everybody but whom a route is for is told.
func refusedTo(status int, code string) func(api.RouteInfo) (int, string) {
	return func(r api.RouteInfo) (int, string) {
		if r.Anybody {
			return 0, ""
		}
		return status, code
	}
}

// Every route is for those alone who may do what it does. The routes are those of
// the server: one that is new is tried too, and has to say what it takes.
func TestEveryRouteByEverybody(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	things := w.things()
	secretOf := func(edit func(*mgx.APIKey)) string {
		_, secret := w.key("admin", edit)
		return secret
	}
	revoked, gone := w.key("admin", nil)
	if err := w.store.RevokeKey(t.Context(), mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: "test"}, mgx.DefaultWorkspace, revoked.ID); err != nil {
		t.Fatal(err)
	}
	// Of a key for everything else than a route is about, each route has its own.
	others := map[string]string{}
	for _, kind := range mgx.Resources {
		scopes := slices.DeleteFunc(slices.Clone(mgx.Resources), func(k string) bool { return k == kind })
		others[kind] = secretOf(func(k *mgx.APIKey) { k.Scopes = scopes })
	}
	callers := []caller{
		{name: "anonymous", want: refusedTo(401, "unauthenticated")},
		{name: "unknown key", secret: access.KeySecret("key_01JDT0000000000000000000K1"), want: refusedTo(401, "unauthenticated")},
		{name: "unknown token", secret: access.NewSecret(access.AccessPrefix), want: refusedTo(401, "unauthenticated")},
		{name: "refresh token", secret: access.NewSecret(access.RefreshPrefix), want: refusedTo(401, "unauthenticated")},
		{name: "revoked key", secret: gone, want: refusedTo(401, "unauthenticated")},
		{name: "expired key", secret: secretOf(func(k *mgx.APIKey) { k.ExpiresAt = mgx.Now().Add(-time.Hour) }), want: refusedTo(401, "key_expired")},
		{name: "other tenant", secret: w.tokens["other"], workspace: mgx.DefaultWorkspace, want: refusedTo(403, "not_a_member")},
		// In a workspace of their own they may do everything, and of the installation nothing.
		{name: "admin of another workspace", secret: w.tokens["other"], want: func(r api.RouteInfo) (int, string) {
			switch {
			case r.Installation:
				return 403, "forbidden"
			case strings.Contains(r.Pattern, "{workspace}"):
				return 403, "not_a_member"
			}
			return 0, ""
		}},
		{name: "key without the scope", scoped: true, want: func(r api.RouteInfo) (int, string) {
			if r.Anybody || r.Somebody {
				return 0, ""
			}
			return 403, "out_of_scope"
		}},
		{name: "key with the scope", secret: secretOf(nil), want: func(api.RouteInfo) (int, string) { return 0, "" }},
	}
	for _, role := range []string{"viewer", "auditor", "developer", "admin"} {
		callers = append(callers, caller{name: role, secret: w.tokens[role], want: func(r api.RouteInfo) (int, string) {
			if allowed(role, r) {
				return 0, ""
			}
			return 403, "forbidden"
		}})
	}
	tried := 0
	for _, c := range callers {
		for _, r := range api.Routes(w.web) {
			if strings.HasSuffix(r.Pattern, "/auth/sign-out") && c.secret != "" && slices.Contains(slices.Collect(maps.Values(w.tokens)), c.secret) {
				continue // they are needed; TestSessions signs out
			}
			if c.scoped {
				c.secret = others[r.Kind]
			}
			if c.scoped && r.Kind == "" {
				c.secret = others["runs"]
			}
			tried++
			status, code := w.try(r, c, things)
			switch want, wanted := c.want(r); {
			case status >= 500 && !strings.HasPrefix(r.Pattern, "GET /health"):
				t.Errorf("%s by %s: %d %s", r.Pattern, c.name, status, code)
			case want == 0 && (status == 403 && (code == "forbidden" || code == "out_of_scope" || code == "not_a_member") && !r.Own || status == 401 && !strings.Contains(r.Pattern, "/auth/")):
				t.Errorf("%s is refused to %s: %d %s", r.Pattern, c.name, status, code)
			case want != 0 && (status != want || code != wanted):
				t.Errorf("%s by %s: %d %s, want %d %s", r.Pattern, c.name, status, code, want, wanted)
			}
		}
	}
	if tried < 14*50 {
		t.Errorf("only %d tries", tried)
	}
	// Nobody became anything by the fields that they sent along, save by the admin's
	// own doing in the two routes that set a role.
	if m, err := w.store.Member(t.Context(), mgx.DefaultWorkspace, w.users["viewer"]); err != nil || m.Role != "viewer" {
		t.Errorf("the viewer is %+v %v", m, err)
	}
	w.noSecrets()
}

// noSecrets fails when an answer holds what is kept of a password, a key or a token.
func (w *town) noSecrets() {
	w.t.Helper()
	var digests []string
	for _, id := range w.users {
		u, err := w.store.User(w.t.Context(), id)
		if err != nil {
			continue // removed
		}
		digests = append(digests, u.Password)
	}
	keys, err := w.store.Keys(w.t.Context(), mgx.DefaultWorkspace, "", "", 0)
	if err != nil || len(keys) == 0 {
		w.t.Fatal(keys, err)
	}
	for _, k := range keys {
		digests = append(digests, k.Digest)
	}
	for _, secret := range w.tokens {
		digests = append(digests, access.Digest(secret))
	}
	for _, body := range w.bodies {
		for _, d := range digests {
			if strings.Contains(body, d) {
				w.t.Errorf("an answer holds a digest: %s", body)
			}
		}
		if strings.Contains(body, `"operationId"`) {
			continue // the document names fields, and has no values
		}
		for _, word := range []string{`"digest"`, `"password"`, "argon2"} {
			if strings.Contains(body, word) {
				w.t.Errorf("an answer holds %s: %s", word, body)
			}
		}
	}
}

// No id of another tenant's thing opens anything, and nothing of it is changed, in
// a workspace of one's own in which one may do everything.
func TestNoIDOpensAnotherTenants(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	things := w.things()
	state := func() string {
		t.Helper()
		var all []any
		hooks, err := w.store.Webhooks(t.Context(), mgx.DefaultWorkspace)
		must(t, err)
		keys, err := w.store.Keys(t.Context(), mgx.DefaultWorkspace, "", "", 0)
		must(t, err)
		members, err := w.store.Members(t.Context(), mgx.DefaultWorkspace, "", 0)
		must(t, err)
		roles, err := w.store.Roles(t.Context(), mgx.DefaultWorkspace)
		must(t, err)
		invitations, err := w.store.Invitations(t.Context(), mgx.DefaultWorkspace, "", 0)
		must(t, err)
		budgets, err := w.store.Budgets(t.Context(), mgx.BudgetQuery{Workspace: mgx.DefaultWorkspace})
		must(t, err)
		sessions, err := w.store.Sessions(t.Context(), w.users["developer"])
		must(t, err)
		space, err := w.store.Workspace(t.Context(), mgx.DefaultWorkspace)
		must(t, err)
		text, err := json.Marshal(append(all, hooks, keys, members, roles, invitations, budgets, sessions, space.Name))
		must(t, err)
		return string(text)
	}
	// Lists and streams show nothing of it. (Later they show what was tried.)
	w.must(w.do(w.tokens["other"], "GET", "/api/v1/webhooks", nil, nil), 200)
	for _, at := range []string{"/api/v1/webhooks", "/api/v1/keys", "/api/v1/budgets", "/api/v1/members", "/api/v1/invitations", "/api/v1/roles", "/api/v1/workspaces", "/api/v1/events", "/api/v1/events?channel=workspace:*", "/api/v1/usage", "/api/v1/tasks", "/api/v1/runs", "/api/v1/approvals", "/api/v1/executions", "/api/v1/agents", "/api/v1/projects"} {
		got := w.do(w.tokens["other"], "GET", at, nil, nil)
		w.must(got, 200)
		for what, id := range things {
			if !strings.Contains(id, "_") || id == "evt_none" {
				continue // a word or a number that others have too
			}
			if strings.Contains(got.body, id) && len(id) > 12 || strings.Contains(got.body, `"`+string(mgx.DefaultWorkspace)+`"`) {
				t.Errorf("GET %s shows %s %s: %s", at, what, id, got.body)
			}
		}
	}
	w.do(w.tokens["other"], "GET", "/api/v1/events?channel=workspace:"+string(mgx.DefaultWorkspace), nil, nil).want(403, "channel_refused")
	before := state()
	tried := 0
	for _, r := range api.Routes(w.web) {
		method, at := path(t, r.Pattern, things)
		if !strings.Contains(r.Pattern, "{") || r.Anybody || slices.ContainsFunc(everywhere, func(part string) bool { return strings.Contains(r.Pattern, part) }) {
			continue
		}
		tried++
		body := map[string]any{}
		switch r.Pattern {
		case "PATCH /api/v1/workspaces/{workspace}":
			body["name"] = "mine"
		case "PATCH /api/v1/members/{id}":
			body["role"] = "viewer"
		case "PATCH /api/v1/budgets/{id}":
			body["limit_usd"] = 1
		case "PATCH /api/v1/webhooks/{id}":
			body["description"] = "mine"
		case "POST /api/v1/runs/{id}/fork":
			body["at"] = 1
		case "POST /api/v1/runs/{id}/approvals/{approval}":
			body["approved"], body["hash"] = true, "sha256:x"
		case "PATCH /api/v1/projects/{id}":
			body["name"] = "mine"
		case "PUT /api/v1/projects/{id}/settings/{name}":
			body["value"] = "ask"
		case "POST /api/v1/runs/{id}/messages":
			body["text"] = "mine"
		case "POST /api/v1/runs/{id}/comments":
			body["file"], body["line"], body["text"] = "main.go", 1, "mine"
		case "PUT /api/v1/runs/{id}/files":
			body["file"], body["digest"], body["approved"] = "main.go", "sha256:x", true
		case "POST /api/v1/runs/{id}/erasure", "POST /api/v1/tasks/{id}/erasure":
			body["confirm"] = things[strings.Split(r.Pattern, "/")[3]]
		case "PUT /api/v1/templates/{id}":
			body["name"], body["task"] = "mine", map[string]string{"text": "mine"}
		case "PUT /api/v1/roles/{id}", "PUT /api/v1/secrets/{id}", "PUT /api/v1/secrets/{name}", "PUT /api/v1/uploads/{digest}", "PUT /api/v1/attachments/{digest}":
			continue // it makes one of their own, of the same name
		}
		_, key := w.key("other", func(k *mgx.APIKey) { k.Workspace = w.other })
		for _, secret := range []string{w.tokens["other"], key} {
			got := w.do(secret, method, at, body, nil)
			want := fmt.Sprint(got.status, " ", got.code)
			refused := want == "404 not_found" || want == "403 not_a_member" || want == "403 session_required"
			if r.Installation { // which is no tenant's
				refused = want == "403 forbidden"
			}
			if !refused {
				t.Errorf("%s: %s %s", got.what, want, got.body)
			}
		}
	}
	if after := state(); after != before || tried < 25 {
		t.Errorf("after %d tries\n%s\nbecame\n%s", tried, before, after)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Entries of the audit log are shown to those who may read it, and to nobody else
// who reads events.
func TestAuditIsShownToAuditors(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	all, err := w.store.Events(t.Context(), store.EventQuery{Workspace: mgx.DefaultWorkspace, Types: []string{"audit.*"}})
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	for who, want := range map[string]bool{"admin": true, "auditor": true, "developer": false, "viewer": false} {
		got := w.do(w.tokens[who], "GET", "/api/v1/events?limit=500", nil, nil)
		if w.must(got, 200); strings.Contains(got.body, "audit.recorded") != want {
			t.Errorf("%s sees entries of the audit log: %v", who, !want)
		}
	}
	// What somebody was denied is there, once a minute.
	for range 3 {
		w.do(w.tokens["viewer"], "POST", "/api/v1/webhooks", nil, nil).want(403, "forbidden")
	}
	denied := 0
	all, err = w.store.Events(t.Context(), store.EventQuery{Stream: mgx.AuditStream(mgx.DefaultWorkspace)})
	must(t, err)
	for _, e := range all {
		var d mgx.AuditData
		must(t, e.Decode(&d))
		if d.Decision == mgx.AuditDenied && d.Action == "webhooks.create" && d.Actor == string(w.users["viewer"]) && d.Details.From == "127.0.0.1" {
			denied++
		}
	}
	if denied != 1 {
		t.Errorf("%d entries of what was denied", denied)
	}
}

// Who is denied again and again is suspicious, once.
func TestProbingIsTold(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	for range 45 {
		w.do(w.tokens["viewer"], "GET", "/api/v1/webhooks", nil, nil).want(403, "forbidden")
	}
	told, err := w.store.Events(t.Context(), store.EventQuery{Types: []string{"security.*"}})
	if err != nil || len(told) != 1 || !strings.Contains(string(told[0].Data), "permission_probing") || !strings.Contains(string(told[0].Data), string(w.users["viewer"])) {
		t.Errorf("the log tells %v %v", told, err)
	}
}

// The owner of the data directory acts in every workspace that there is.
func TestOwnerIsEverywhere(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	in := func(ws mgx.WorkspaceID) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Mgx-Workspace", string(ws)) }
	}
	var list struct{ Members []mgx.Member }
	for ws, n := range map[mgx.WorkspaceID]int{"": 4, mgx.DefaultWorkspace: 4, w.other: 1} {
		if w.must(w.call(token, "GET", "/api/v1/members", nil, &list, in(ws)), 200); len(list.Members) != n {
			t.Errorf("%q has %d members", ws, len(list.Members))
		}
	}
	w.call(token, "GET", "/api/v1/members", nil, nil, in("ws_none")).want(403, "not_a_member")
	var all struct{ Workspaces []mgx.Workspace }
	if w.must(w.do(token, "GET", "/api/v1/workspaces", nil, &all), 200); len(all.Workspaces) != 2 {
		t.Errorf("%+v", all)
	}
	if w.must(w.do(w.tokens["other"], "GET", "/api/v1/workspaces", nil, &all), 200); len(all.Workspaces) != 1 || all.Workspaces[0].ID != w.other {
		t.Errorf("%+v", all)
	}
}
