package api_test

import (
	"net/http"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/app"
)

// A template is made once, changed only as somebody saw it, and is its workspace's
// alone; those that are built in stay as they are, and the audit log tells of it.
func TestTemplateRoutes(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	dev := w.tokens["developer"]
	body := func(name, text string) map[string]any {
		return map[string]any{"name": name, "task": map[string]any{"text": text, "budget_usd": 2}}
	}
	var made app.TaskTemplate
	once := func(r *http.Request) { r.Header.Set("Idempotency-Key", "k") }
	w.must(w.call(dev, "POST", "/api/v1/templates", body("Nightly", "Look around."), &made, once), 201)
	var again app.TaskTemplate
	w.must(w.call(dev, "POST", "/api/v1/templates", body("Nightly", "Look around."), &again, once), 201)
	if again.ID != made.ID || made.CreatedBy != string(w.users["developer"]) {
		t.Errorf("made %+v and again %+v", made, again)
	}
	at := "/api/v1/templates/" + string(made.ID)
	for what, got := range map[string]struct {
		reply
		status int
		code   string
	}{
		"of the same name":    {w.do(dev, "POST", "/api/v1/templates", body(" nightly ", "x"), nil), 409, "conflict"},
		"empty":               {w.do(dev, "POST", "/api/v1/templates", map[string]any{"name": "x", "task": map[string]any{}}, nil), 400, "bad_template"},
		"one that is not":     {w.do(dev, "PUT", "/api/v1/templates/tpl_none", body("x", "x"), nil), 404, "not_found"},
		"built in":            {w.do(dev, "PUT", "/api/v1/templates/built-in:explain", body("x", "x"), nil), 404, "not_found"},
		"built in, away":      {w.do(dev, "DELETE", "/api/v1/templates/built-in:explain", nil, nil), 404, "not_found"},
		"by who only sees":    {w.do(w.tokens["viewer"], "PUT", at, body("x", "x"), nil), 403, "forbidden"},
		"of somebody else's":  {w.do(w.tokens["other"], "PUT", at, body("x", "x"), nil), 404, "not_found"},
		"seen by others":      {w.do(w.tokens["other"], "GET", at, nil, nil), 404, "not_found"},
		"seen by who may see": {w.do(w.tokens["viewer"], "GET", at, nil, nil), 200, ""},
	} {
		if got.reply.status != got.status || got.reply.code != got.code {
			t.Errorf("%s: %d %s", what, got.reply.status, got.reply.code)
		}
	}
	seen := w.etag(dev, at)
	match := func(tag string) func(*http.Request) { return func(r *http.Request) { r.Header.Set("If-Match", tag) } }
	var kept app.TaskTemplate
	w.must(w.call(dev, "PUT", at, body("Nightly", "Look twice."), &kept, match(seen)), 200)
	if kept.ID != made.ID || kept.Task.Text != "Look twice." || kept.CreatedBy != made.CreatedBy || !kept.CreatedAt.Equal(made.CreatedAt) {
		t.Errorf("replaced by %+v", kept)
	}
	if got := w.call(dev, "PUT", at, body("Nightly", "Look thrice."), nil, match(seen)); got.status != 412 {
		t.Errorf("as it was before: %+v", got)
	}
	if got := w.call(dev, "DELETE", at, nil, nil, match(seen)); got.status != 412 {
		t.Errorf("given up as it was before: %+v", got)
	}
	w.must(w.call(dev, "DELETE", at, nil, nil, match(w.etag(dev, at))), 204)
	var list struct{ Templates []app.TaskTemplate }
	w.must(w.do(dev, "GET", "/api/v1/templates", nil, &list), 200)
	if len(list.Templates) != len(app.BuiltInTemplates()) {
		t.Errorf("there are %d", len(list.Templates))
	}
	log := w.text(w.tokens["admin"], "/api/v1/audit/export?action=template.*")
	for _, act := range []string{"template.create", "template.update", "template.delete"} {
		if strings.Count(log, `"action":"`+act+`"`) != 1 {
			t.Errorf("%s is not in the audit log once:\n%s", act, log)
		}
	}
}

// etag is that of what is at a path.
func (w *town) etag(secret, at string) string {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), "GET", w.url+at, nil)
	must(w.t, err)
	r.Header.Set("Authorization", "Bearer "+secret)
	resp, err := http.DefaultClient.Do(r)
	must(w.t, err)
	resp.Body.Close()
	return resp.Header.Get("ETag")
}

// A template is for a project of its workspace, and stays what it is when that goes.
func TestTemplateForAProject(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	admin := w.tokens["admin"]
	shop := w.project(mgx.DefaultWorkspace, "/srv/shop")
	theirs := w.project(w.other, "/srv/theirs")
	body := func(project mgx.ProjectID, text string) map[string]any {
		return map[string]any{"name": "Of " + string(project), "project_id": project, "task": map[string]any{"text": text}}
	}
	for _, no := range []mgx.ProjectID{theirs.ID, "proj_none"} {
		got := w.do(admin, "POST", "/api/v1/templates", body(no, "Tidy up."), nil)
		if got.status != 400 || got.code != "bad_template" {
			t.Errorf("for %s: %d %s", no, got.status, got.code)
		}
	}
	var made app.TaskTemplate
	w.must(w.do(admin, "POST", "/api/v1/templates", body(shop.ID, "Tidy up."), &made), 201)
	at := "/api/v1/templates/" + string(made.ID)
	if got := w.do(admin, "PUT", at, body(theirs.ID, "Tidy up."), nil); got.status != 400 {
		t.Errorf("changed to be for another's: %d %s", got.status, got.code)
	}
	w.must(w.do(admin, "DELETE", "/api/v1/projects/"+string(shop.ID), nil, nil), 204)
	w.must(w.do(admin, "PUT", at, body(shop.ID, "Tidy up more."), nil), 200)
	if got := w.do(admin, "POST", "/api/v1/templates", map[string]any{"name": "Late", "project_id": shop.ID, "task": map[string]any{"text": "x"}}, nil); got.status != 400 {
		t.Errorf("for one that is gone: %d %s", got.status, got.code)
	}
}
