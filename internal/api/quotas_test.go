package api_test

import (
	"net/http"
	"strings"
	"testing"

	"mgx"
)

// Who runs the installation sets what a workspace may have; its members see that,
// and what is beyond is a problem that says so.
func TestQuotas(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	admin, other := w.tokens[mgx.RoleAdmin], w.tokens["other"]
	path := "/api/v1/quotas/" + string(w.other)
	for _, set := range []map[string]any{{"quotas": map[string]any{"keyz": 1}}, {"quotas": map[string]any{"keys": -1}}} {
		w.do(admin, "PATCH", path, set, nil).want(400, "bad_quota")
	}
	w.do(admin, "PATCH", "/api/v1/quotas/ws_nobody", map[string]any{"quotas": map[string]any{"keys": 1}}, nil).want(404, mgx.CodeNotFound)
	w.do(other, "PATCH", path, map[string]any{"quotas": map[string]any{"keys": 9}}, nil).want(403, "forbidden")
	w.do(w.tokens[mgx.RoleDeveloper], "PATCH", path, map[string]any{"quotas": map[string]any{"keys": 9}}, nil).want(403, "forbidden")

	key := func() reply {
		return w.do(other, "POST", "/api/v1/keys", map[string]any{"name": "k", "scopes": []string{"*"}}, nil)
	}
	key().want(http.StatusCreated, "")
	w.do(admin, "PATCH", path, map[string]any{"quotas": map[string]any{"keys": 1, "runs_a_day": 7}}, nil).want(200, "")
	key().want(403, mgx.CodeQuotaReached)
	seen := w.do(other, "GET", "/api/v1/quotas", nil, nil)
	seen.want(200, "")
	for _, part := range []string{`{"quota":"keys","limit":1,"used":1}`, `{"quota":"runs_a_day","limit":7,"used":0}`, `{"quota":"members","limit":null,"used":1}`} {
		if !strings.Contains(seen.body, part) {
			t.Errorf("%s lacks %s", seen.body, part)
		}
	}
	w.do(admin, "PATCH", path, map[string]any{"quotas": map[string]any{"keys": nil}}, nil).want(200, "")
	key().want(http.StatusCreated, "")

	// Who keeps as much as they may begins nothing more, and reads what there is.
	// Waiting does not help, so nobody is told for how long.
	task := map[string]any{"task": "Add a test", "project_id": w.project(w.other, "/srv/theirs").ID}
	w.do(other, "POST", "/api/v1/tasks", task, nil).want(201, "")
	w.do(admin, "PATCH", path, map[string]any{"quotas": map[string]any{"stored_bytes": 1 << 51}}, nil).want(400, "bad_quota")
	w.do(admin, "PATCH", path, map[string]any{"quotas": map[string]any{"stored_bytes": 10}}, nil).want(200, "")
	full := w.do(other, "POST", "/api/v1/tasks", task, nil)
	full.want(403, mgx.CodeQuotaReached)
	if full.header.Get("Retry-After") != "" || !strings.Contains(full.body, "mgx erase --run RUN") {
		t.Errorf("a task that is refused: %v %s", full.header, full.body)
	}
	w.do(other, "GET", "/api/v1/runs", nil, nil).want(200, "")
	w.do(admin, "PATCH", path, map[string]any{"quotas": map[string]any{"stored_bytes": 1 << 40}}, nil).want(200, "")
	w.do(other, "POST", "/api/v1/tasks", task, nil).want(201, "")

	// A person who is in two workspaces sees both, behind whichever wall they stand.
	var ws mgx.Workspace
	w.must(w.do(admin, "POST", "/api/v1/workspaces", map[string]string{"name": "third"}, &ws), 201)
	var list struct{ Workspaces []mgx.Workspace }
	third := func(r *http.Request) { r.Header.Set("Mgx-Workspace", string(ws.ID)) }
	w.must(w.call(admin, "GET", "/api/v1/workspaces", nil, &list, third), 200)
	if len(list.Workspaces) != 2 {
		t.Errorf("they see %v", list.Workspaces)
	}
}
