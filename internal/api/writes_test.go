package api_test

import (
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/api"
)

// samples are bodies that each write route takes, by its pattern.
func samples(things map[string]string) map[string]map[string]any {
	task := map[string]any{"text": "Look around."}
	return map[string]map[string]any{
		"POST /api/v1/auth/sign-in":                   {"email": "nobody@example.com", "password": "x"},
		"POST /api/v1/auth/refresh":                   {"refresh_token": "x"},
		"POST /api/v1/auth/accept":                    {"token": "x", "name": "x", "password": townPassword},
		"PUT /api/v1/me/password":                     {"current_password": "x", "new_password": "another of theirs"},
		"POST /api/v1/workspaces":                     {"name": "sample"},
		"PATCH /api/v1/workspaces/{workspace}":        {"name": "sample"},
		"POST /api/v1/workspaces/{workspace}/erasure": {"confirm": "x"},
		"POST /api/v1/people/{id}/erasure":            {"confirm": "x"},
		"POST /api/v1/tasks/{id}/erasure":             {"confirm": "x"},
		"POST /api/v1/runs/{id}/erasure":              {"confirm": "x"},
		"PATCH /api/v1/quotas/{id}":                   {"quotas": map[string]any{"runs_a_day": 1000}},
		"PATCH /api/v1/members/{id}":                  {"role": "viewer"},
		"POST /api/v1/invitations":                    {"role": "viewer", "email": "sample@example.com"},
		"PUT /api/v1/roles/{id}":                      {"policy": "permit (principal, action, resource is Runs);"},
		"POST /api/v1/keys":                           {"name": "sample", "scopes": []string{"runs"}},
		"POST /api/v1/keys/{id}/rotate":               {"overlap": 0},
		"POST /api/v1/budgets":                        {"limit_usd": 3, "period": "day"},
		"PATCH /api/v1/budgets/{id}":                  {"limit_usd": 4},
		"POST /api/v1/webhooks":                       {"url": "https://example.com/sample", "types": []string{"run.*"}},
		"PATCH /api/v1/webhooks/{id}":                 {"description": "sample"},
		"POST /api/v1/webhooks/{id}/enable":           {"skip": true},
		"POST /api/v1/webhooks/{id}/rotate":           {"revoke": false},
		"POST /api/v1/tasks":                          {"task": "Sample.", "project_id": things["projects"]},
		"POST /api/v1/estimates":                      {"project_id": things["projects"]},
		"POST /api/v1/templates":                      {"name": "Sample", "task": task},
		"PUT /api/v1/templates/{id}":                  {"name": "Sample", "task": task},
		"POST /api/v1/runs/{id}/cancel":               {"reason": "sample"},
		"POST /api/v1/runs/{id}/fork":                 {"at": 1},
		"POST /api/v1/runs/{id}/messages":             {"text": "sample"},
		"POST /api/v1/runs/{id}/pause":                {"reason": "sample"},
		"POST /api/v1/runs/{id}/comments":             {"file": "main.go", "line": 1, "text": "sample"},
		"PUT /api/v1/runs/{id}/files":                 {"file": "main.go", "digest": "sha256:x", "approved": true},
		"POST /api/v1/runs/{id}/changes":              {"reason": "sample"},
		"POST /api/v1/runs/{id}/approvals/{approval}": {"approved": true, "hash": "sha256:x"},
		"POST /api/v1/runs/{id}/policy-trials":        {"policy": "auto"},
		"POST /api/v1/policies/test":                  {"policy": "auto", "tool": "shell", "command": "ls"},
		"POST /api/v1/policies/trials":                {"policy": "auto", "calls": []any{map[string]string{"tool": "shell", "command": "ls"}}},
		"POST /api/v1/models/test":                    {"model": "auto"},
		"POST /api/v1/projects":                       {"path": "/srv/sample", "name": "sample"},
		"PATCH /api/v1/projects/{id}":                 {"name": "sample"},
		"PUT /api/v1/projects/{id}/settings/{name}":   {"value": "ask"},
		"PUT /api/v1/secrets/{id}":                    {"value": "sample-0123456789"},
		"PUT /api/v1/settings/retention":              {"days": map[string]int{"agent": 30}},
		"POST /api/v1/settings/retention/removal":     {"dry_run": true},
	}
}

// write is a write route with a body that it takes; nil: it takes none.
type write struct {
	api.RouteInfo
	method, at string
	body       map[string]any
}

// writes are those of the document that take JSON, or nothing. One that is new has
// to have its sample.
func (w *town) writes(things map[string]string) (all []write) {
	w.t.Helper()
	doc, known := parseDocument(w.t, w.web), samples(things)
	for _, r := range api.Routes(w.web) {
		method, at, _ := strings.Cut(r.Pattern, " ")
		o := doc.Paths[at][strings.ToLower(method)]
		if method == "GET" || o.Dialect {
			continue
		}
		body, sampled := known[r.Pattern]
		if json := o.RequestBody != nil && o.RequestBody.Content["application/json"].Schema.Ref != ""; json != sampled {
			w.t.Errorf("%s: say in samples what it takes", r.Pattern)
		}
		method, at = path(w.t, r.Pattern, things)
		all = append(all, write{r, method, at, body})
	}
	if len(all) < 70 {
		w.t.Errorf("only %d routes write", len(all))
	}
	return all
}

// An erased workspace takes nothing by any route: what does not change it, or is no
// tenant's, is named here.
func TestErasedWorkspaceByEveryRoute(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	things := w.things()
	ws := string(w.other)
	w.must(w.do(w.tokens["other"], "POST", "/api/v1/workspaces/"+ws+"/erasure", map[string]string{"confirm": ws}, nil), 200)
	things["workspaces"], things["quotas"] = ws, ws
	spared := []string{
		"POST /api/v1/audit/checkpoints",                                                                                   // a proof of what stays
		"POST /api/v1/estimates", "POST /api/v1/policies/test", "POST /api/v1/policies/trials", "POST /api/v1/models/test", // only look
		"POST /api/v1/secrets/rotation",                                    // of none
		"PUT /api/v1/uploads/{digest}", "PUT /api/v1/attachments/{digest}", // of files, which the host asks about: TestErasedWorkspaceLeavesNothingBesides
	}
	refused := 0
	for _, r := range w.writes(things) {
		if r.Anybody || r.Somebody || r.Installation && r.Pattern != "PATCH /api/v1/quotas/{id}" || slices.Contains(spared, r.Pattern) {
			continue
		}
		var body any
		if r.body != nil {
			body = r.body
		}
		got := w.call(token, r.method, r.at, body, nil, func(q *http.Request) {
			if !r.Installation {
				q.Header.Set("Mgx-Workspace", ws)
			}
		})
		if got.status < 400 || got.status >= 500 || got.code == "bad_body" || got.code == "bad_query" {
			t.Errorf("%s in an erased workspace: %d %s", r.Pattern, got.status, got.body)
		}
		if got.code == mgx.CodeErased {
			refused++
		}
	}
	if refused < 11 {
		t.Errorf("only %d routes say that it is erased", refused)
	}
	var plan mgx.WorkspaceErasure
	for _, r := range []reply{
		w.call(token, "GET", "/api/v1/workspaces/"+ws+"/erasure", nil, &plan, in(w.other)),
		w.call(token, "POST", "/api/v1/workspaces/"+ws+"/erasure", map[string]string{"confirm": ws}, &plan, in(w.other)),
	} {
		if w.must(r, 200); plan.ErasedAt.IsZero() || plan.Members+plan.Keys+plan.Secrets+plan.Webhooks+plan.Projects != 0 || plan.Name != "erased" {
			t.Errorf("%s: %+v", r.what, plan)
		}
	}
}

// A run that is erased alone takes nothing by any route, in a workspace that goes on, and
// the log is as sound as before.
func TestErasedRunByEveryRoute(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	things := w.things()
	run := w.task("admin", w.project(mgx.DefaultWorkspace, "/srv/other"), "a task to forget")
	things["runs"], things["tasks"] = string(run.ID), string(run.Task.ID)
	sc := mgx.Scope{Workspace: run.Workspace, Task: run.Task.ID, Run: run.ID, Execution: run.Execution}
	_, err := w.store.Commit(t.Context(), mgx.Change{
		Events: []mgx.Event{sc.Event(mgx.TaskCancelled, mgx.TaskCancelledData{Reason: "enough"})},
		Update: &mgx.ExecutionUpdate{Execution: run.Execution, Status: mgx.ExecFailed},
	})
	must(t, err)
	w.must(w.do(token, "POST", "/api/v1/runs/"+string(run.ID)+"/erasure", map[string]string{"confirm": string(run.ID)}, nil), 200)
	tried := 0
	for _, r := range w.writes(things) {
		if !strings.Contains(r.Pattern, "/runs/{id}/") || strings.HasSuffix(r.Pattern, "/erasure") { // which may be asked for again
			continue
		}
		var body any
		if r.body != nil {
			body = r.body
		}
		w.do(token, r.method, r.at, body, nil).want(410, mgx.CodeErased)
		tried++
	}
	if tried < 10 {
		t.Errorf("only %d routes write to a run", tried)
	}
	// Whoever writes past them all is refused by the log; what they say is not kept.
	for typ, data := range map[mgx.EventType]any{
		mgx.RunCommentMade: mgx.CommentMadeData{CommentID: "c", File: "f", Side: "new", Line: 1, Text: "late"}, mgx.RunMessageSent: mgx.MessageSentData{Text: "late"},
	} {
		if _, err := w.store.Commit(t.Context(), mgx.Change{Events: []mgx.Event{sc.Event(typ, data)}}); !mgx.IsCode(err, mgx.CodeErased) {
			t.Errorf("%s: %v", typ, err)
		}
	}
	w.must(w.do(token, "POST", "/api/v1/runs/"+string(run.ID)+"/erasure", map[string]string{"confirm": string(run.ID)}, nil), 200)
	must(t, w.store.Verify(t.Context()))
}

// No route takes a field that it does not have beside those that it takes, whatever
// else is right.
func TestNobodySetsOtherFields(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	things := w.things()
	doc := parseDocument(t, w.web)
	others := []string{"role", "user_id", "workspace_id", "digest", "scopes", "id", "created_by", "password", "cursor", "owner"}
	tried := 0
	for _, r := range w.writes(things) {
		if r.body == nil {
			continue
		}
		method, at, _ := strings.Cut(r.Pattern, " ")
		has := doc.Components.Schemas[doc.Paths[at][strings.ToLower(method)].RequestBody.Content["application/json"].Schema.name()].Properties
		for _, field := range others {
			if _, theirs := has[field]; theirs {
				continue
			}
			body := map[string]any{field: "user_x"}
			maps.Copy(body, r.body)
			got := w.do(token, r.method, r.at, body, nil)
			if tried++; got.code != "bad_body" || !strings.Contains(got.body, field) {
				t.Errorf("%s takes %s: %d %s", r.Pattern, field, got.status, got.body)
			}
		}
	}
	if tried < 250 {
		t.Errorf("only %d tries", tried)
	}
	// What is right is no bad body: they were refused for the field.
	for _, r := range w.writes(things) {
		if got := w.do(token, r.method, r.at, r.body, nil); r.body != nil && got.code == "bad_body" {
			t.Errorf("the sample of %s is none: %s", r.Pattern, got.body)
		}
	}
}

// What is in an answer is for its readers: each word stands for a field, and nobody
// reads it by any route but those who may.
func TestFieldsAreForTheirReaders(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	things := w.things()
	admin := w.tokens["admin"]
	var hook struct{ Webhook struct{ ID string } }
	w.must(w.do(admin, "POST", "/api/v1/webhooks", map[string]any{"url": "https://example.com/canaryaddress?canaryaddress=1", "description": "canarydescription"}, &hook), 201)
	things["webhooks"] = hook.Webhook.ID
	var key struct{ Key struct{ ID string } }
	w.must(w.do(w.tokens["developer"], "POST", "/api/v1/keys", map[string]any{"name": "canarykey", "scopes": []string{"runs"}}, &key), 201)
	things["keys"] = key.Key.ID
	w.must(w.do(admin, "PUT", "/api/v1/secrets/openai", map[string]string{"value": "canarysecret-0123456789"}, nil), 200)
	var invited struct {
		Token      string
		Invitation struct{ ID string }
	}
	w.must(w.do(admin, "POST", "/api/v1/invitations", map[string]string{"role": "viewer", "email": "canaryinvited@example.com"}, &invited), 201)
	things["invitations"] = invited.Invitation.ID
	w.must(w.call("", "POST", "/api/v1/auth/sign-in", map[string]string{"email": "developer@example.com", "password": townPassword}, nil, func(r *http.Request) { r.Header.Set("User-Agent", "canaryagent") }), 200)
	readers := map[string]string{
		"canaryaddress":     "", // of a webhook, beside the host
		"canarysecret":      "",
		invited.Token:       "",
		"canarydescription": "admin developer auditor", // of a webhook
		"canarykey":         "admin developer auditor", // of somebody else's key
		"canaryinvited":     "admin auditor",           // who is invited; auditors read it in the audit log
		"canaryagent":       "admin developer auditor", // the owner of the session, and the audit log
	}
	seen := map[string]map[string]string{} // word, reader, route
	for word := range readers {
		seen[word] = map[string]string{}
	}
	for _, r := range api.Routes(w.web) {
		method, at := path(t, r.Pattern, things)
		if method != "GET" || r.Socket || strings.HasSuffix(at, "/stream") {
			continue
		}
		for _, who := range []string{"admin", "developer", "auditor", "viewer", "other"} {
			got := w.do(w.tokens[who], method, at, nil, nil)
			for word, may := range readers {
				if !strings.Contains(got.body, word) {
					continue
				}
				seen[word][who] = r.Pattern
				if !slices.Contains(strings.Fields(may), who) {
					t.Errorf("%s reads %s by %s", who, word, r.Pattern)
				}
			}
		}
	}
	for word, may := range readers {
		for who := range strings.FieldsSeq(may) {
			if seen[word][who] == "" {
				t.Errorf("%s does not read %s anywhere: the test finds nothing", who, word)
			}
		}
	}
}

// Names in paths are bounded before anything is done with them, whoever asks.
func TestLongNames(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	things := w.things()
	doc := parseDocument(t, w.web)
	for _, r := range api.Routes(w.web) {
		method, pattern, _ := strings.Cut(r.Pattern, " ")
		if !strings.Contains(pattern, "{") || strings.Contains(pattern, "{$}") || doc.Paths[pattern][strings.ToLower(method)].Dialect || r.Socket {
			continue
		}
		for _, who := range []string{token, w.tokens["other"], w.tokens["viewer"]} {
			for _, n := range []int{201, 301, 5000} {
				long := map[string]string{}
				for place := range things {
					long[place] = strings.Repeat("a", n)
				}
				_, at := path(t, r.Pattern, long)
				got := w.do(who, method, at, nil, nil)
				if got.status != 400 || got.code != "bad_query" {
					t.Errorf("%s with names of %d characters: %d %s", r.Pattern, n, got.status, got.body)
				}
			}
		}
	}
}

// What may be wrong with a place that somebody names is in the document of each
// operation that takes one.
func TestCodesOfPlaces(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../git/source.go")
	must(t, err)
	found := regexp.MustCompile(`mgx\.KindUsage, "(\w+)"`).FindAllStringSubmatch(string(source), -1)
	doc := parseDocument(t, newTown(t).web)
	for _, path := range []string{"/api/v1/tasks", "/api/v1/projects"} {
		for _, code := range found {
			if !slices.Contains(doc.Paths[path]["post"].Responses["400"].Codes, code[1]) {
				t.Errorf("POST %s is not known to have the code %s", path, code[1])
			}
		}
	}
	if len(found) < 5 {
		t.Errorf("the test finds %v", found)
	}
}

// What the audit log says of a thing that was made has the time at which it was.
func TestNoEntryIsOfTheYearOne(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	things := w.things()
	for _, r := range w.writes(things) {
		if r.body != nil && r.method != "DELETE" {
			w.call(w.tokens["admin"], r.method, r.at, r.body, nil, with("Mgx-Workspace", "ws_default"))
		}
	}
	got := w.call(w.tokens["admin"], "GET", "/api/v1/audit?limit=1000", nil, nil, with("Mgx-Workspace", "ws_default"))
	w.must(got, 200)
	if at := strings.Index(got.body, `"0001-01-01`); at >= 0 {
		t.Errorf("%s", got.body[max(at-500, 0):at+20])
	}
	if n := strings.Count(got.body, `"sequence"`); n < 30 {
		t.Errorf("only %d entries", n)
	}
}
