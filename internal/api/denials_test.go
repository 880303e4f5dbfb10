package api_test

import (
	"context"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
	"mgx/internal/store"
)

// deafStore records no denial for a while.
type deafStore struct {
	*store.Store
	fails int
}

func (f *deafStore) RecordDenied(ctx context.Context, by mgx.Doer, action, resource, why string) error {
	if f.fails--; f.fails >= 0 {
		return mgx.Errorf(mgx.KindConfig, store.CodeDiskFull, "no room")
	}
	return f.Store.RecordDenied(ctx, by, action, resource, why)
}

// What takes all the rights of an admin is denied as what policies deny is: it is in the
// audit log.
func TestDenialsOfAllRights(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	_, people := w.key("admin", func(k *mgx.APIKey) { k.Scopes = []string{"users", "keys"} })
	_, settings := w.key("admin", func(k *mgx.APIKey) { k.Scopes = []string{"settings:manage"} })
	viewer := string(w.users[mgx.RoleViewer])
	for _, c := range []struct{ secret, method, path, code, want string }{
		{people, "PATCH", "/api/v1/members/" + viewer, access.CodeForbidden, "users.manage " + viewer},
		{people, "POST", "/api/v1/keys", access.CodeOutOfScope, "keys.create keys"},
		{settings, "GET", "/api/v1/workspaces/" + string(mgx.DefaultWorkspace) + "/export", access.CodeForbidden, "settings.manage settings"},
	} {
		var body any
		switch c.method {
		case "PATCH":
			body = map[string]string{"role": mgx.RoleAdmin}
		case "POST":
			body = map[string]any{"name": "more", "scopes": []string{"*"}}
		}
		w.do(c.secret, c.method, c.path, body, nil).want(403, c.code)
		entries, err := w.store.Events(t.Context(), store.EventQuery{Stream: mgx.AuditStream(mgx.DefaultWorkspace)})
		must(t, err)
		var d mgx.AuditData
		must(t, entries[len(entries)-1].Decode(&d))
		if got := d.Action + " " + d.Resource; d.Decision != mgx.AuditDenied || d.Reason != c.code || got != c.want {
			t.Errorf("the last entry is %s: %s %s, want %s", got, d.Decision, d.Reason, c.want)
		}
	}
}

// What is denied is in the audit log once a minute, however long the name was that was
// asked for; what could not be recorded leaves room for the next, is counted, and told.
func TestDenialsAreRecorded(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	s := &deafStore{w.store, 3}
	who := app.NewAccess(app.AccessOptions{Store: s})
	viewer := access.Actor{User: w.users["viewer"], Workspace: mgx.DefaultWorkspace, Role: mgx.RoleViewer}
	for range 3 {
		if err := who.Authorize(t.Context(), viewer, "delete", access.Resource{Kind: "budgets", ID: "one"}); !mgx.IsCode(err, access.CodeForbidden) {
			t.Errorf("%v", err)
		}
	}
	for _, id := range []string{strings.Repeat("é", 600), "openai", "other"} {
		for _, kind := range []string{"budgets", "secrets"} {
			if err := who.Authorize(t.Context(), viewer, "delete", access.Resource{Kind: kind, ID: id}); !mgx.IsCode(err, access.CodeForbidden) {
				t.Errorf("%v", err)
			}
		}
	}
	entries, err := w.store.Events(t.Context(), store.EventQuery{Stream: mgx.AuditStream(mgx.DefaultWorkspace)})
	must(t, err)
	denied := map[string]int{}
	for _, e := range entries {
		var d mgx.AuditData
		must(t, e.Decode(&d))
		if d.Decision == mgx.AuditDenied {
			denied[d.Action]++
			if len(d.Resource) > 300 { // more than its contract has
				t.Errorf("the entry keeps %d bytes of a name", len(d.Resource))
			}
		}
	}
	if denied["budgets.delete"] != 1 || denied["secrets.delete"] != 1 || who.Unrecorded() != 3 {
		t.Errorf("entries of what was denied: %v; %d are not recorded", denied, who.Unrecorded())
	}
	told, err := w.store.Events(t.Context(), store.EventQuery{Types: []string{"security.*"}})
	if err != nil || len(told) != 1 || !strings.Contains(string(told[0].Data), `"count":3`) || !strings.Contains(string(told[0].Data), "not in the audit log") {
		t.Errorf("the log tells %v %v", told, err)
	}
}
