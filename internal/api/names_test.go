package api_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"mgx"
)

// givenNames are the fields in which people give names, and what else is read by others
// in one line.
var givenNames = []string{"name", "description", "email", "branch", "title", "label", "display_name"}

// notNames are operations with such a field that name nothing with it.
var notNames = map[string]string{"signIn": "its address is looked up, not kept", "testPolicy": "what is tried is kept nowhere"}

// naming are bodies of operations that take a name, without it; those of others that
// change something are in changes.
func (w *town) naming(id string, things map[string]string) map[string]any {
	w.t.Helper()
	var invited struct{ Token string }
	w.must(w.call(token, "POST", "/api/v1/invitations", map[string]string{"role": "viewer"}, &invited, in(mgx.DefaultWorkspace)), 201)
	body, known := map[string]map[string]any{
		"createWorkspace": {}, "createInvitation": {"role": "viewer"}, "createKey": {"scopes": []string{"runs:read"}}, "createWebhook": {"url": "https://example.com/names"},
		"createTemplate": {"name": "names", "task": map[string]any{"text": "Tidy up."}}, "createProject": {"path": "/srv/names"},
		"createTask": {"task": "Tidy up.", "project_id": things["projects"]}, "acceptInvitation": {"token": invited.Token, "email": "names@example.com", "name": "names", "password": townPassword},
	}[id]
	if !known {
		body, _ = changes(w.t, id, 0).(map[string]any)
	}
	return maps.Clone(body)
}

// What people name or describe something with holds nothing that others cannot see, or
// that changes how what they see is shown; what people write in their languages it may
// hold. The operations are those of the document: one that is new and takes a name is
// tried too.
func TestNamesAreWhatTheyLookLike(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	things, doc := w.things(), parseDocument(t, w.web)
	tried := 0
	for at, methods := range doc.Paths {
		for method, o := range methods {
			if o.RequestBody == nil || o.Dialect || notNames[o.ID] != "" {
				continue
			}
			s := o.RequestBody.Content["application/json"].Schema
			for field := range doc.Components.Schemas[s.name()].Properties {
				if !slices.Contains(givenNames, field) {
					continue
				}
				tried++
				_, to := path(t, method+" "+at, things)
				for _, hidden := range []rune{'\n', 0x1b, 0x7f, 0x9b, 0xad, 0x200b, 0x200d, 0x202e, 0x2066, 0x2028, 0x3164, 0xfeff, 0xe0041} {
					body := w.naming(o.ID, things)
					body[field] = "ad" + string(hidden) + "min"
					if field == "email" {
						body[field] = "ad" + string(hidden) + "a@example.com"
					}
					got := w.do(token, strings.ToUpper(method), to, body, nil)
					if got.status != 400 || !strings.HasPrefix(got.code, "bad_") || got.code == "bad_body" || !slices.Contains(doc.codes(o, "400"), got.code) || strings.ContainsRune(strings.TrimSpace(got.body), hidden) {
						t.Errorf("%s with %s %q: %d %s", o.ID, field, body[field], got.status, got.body)
					}
				}
				body := w.naming(o.ID, things)
				body[field] = " Žofie 李 हिन्दी العربية 🙂 " + o.ID + "\n"
				switch field {
				case "email":
					body[field] = "žofie@example.com"
				case "branch":
					body[field] = "mgx/žofie-李"
				}
				if got := w.do(token, strings.ToUpper(method), to, body, nil); got.status >= 300 || !strings.Contains(got.body, strings.TrimSpace(fmt.Sprint(body[field]))) && o.ID != "createTask" {
					t.Errorf("%s with %s %q: %d %s", o.ID, field, body[field], got.status, got.body)
				}
			}
		}
	}
	if tried < 14 {
		t.Errorf("only %d names were tried", tried)
	}
	// Names in paths, where putting something there makes it.
	for to, code := range map[string]string{"/api/v1/secrets/ad%E2%80%AEmin": "bad_secret_name", "/api/v1/roles/ad%E2%80%AEmin": "bad_role"} {
		body := changes(t, map[string]string{"bad_role": "putRole", "bad_secret_name": "setSecret"}[code], 0)
		w.do(token, "PUT", to, body, nil).want(400, code)
	}
	if all, err := w.store.Members(t.Context(), mgx.DefaultWorkspace, "", 100); err != nil || !slices.ContainsFunc(all, func(m mgx.Member) bool { return strings.HasPrefix(m.Name, "Žofie") }) {
		t.Errorf("members are %+v, %v", all, err)
	}
}
