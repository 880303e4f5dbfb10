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
