package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mgx"
)

// Newest is where people search the log, the newest events first.
type Newest interface {
	NewestEvents(ctx context.Context, q mgx.EventSearch) (found []mgx.Event, next int64, err error)
	EventOf(ctx context.Context, ws mgx.WorkspaceID, id mgx.EventID) (mgx.Event, error)
}

// A search goes back through the log page by page and finds every event that
// matches once, the newest first, and none of another workspace.
func eventsNewest(t *testing.T, open Opener) {
	clock := newClock()
	s := open(t, clock.set)
	n := s.(Newest)
	ctx := t.Context()
	ada := asked(t, s, mgx.Scope{Workspace: ws, Project: "proj_1", User: "user_ada"}, "of ada")
	bo := asked(t, s, mgx.Scope{Workspace: ws, Project: "proj_2", User: "user_bo"}, "of bo")
	other := asked(t, s, mgx.Scope{Workspace: elsewhere, User: "user_ada"}, "elsewhere")
	begun := clock.at
	var all []mgx.Event
	for i := range 30 {
		var c mgx.Change
		for j, sc := range []mgx.Scope{ada, bo, other} {
			e := note(sc, fmt.Sprintf("note %d of %s <b>100%%</b>", i, sc.User))
			e.Time = begun.Add(time.Duration(i)*time.Hour + time.Duration(j)*time.Second)
			c.Events = append(c.Events, e)
		}
		if i%10 == 0 {
			e := mgx.NewAudit(ws, mgx.AuditData{Actor: "user_bo", Action: "key.create", Resource: "key_1", Decision: mgx.AuditAllowed})
			e.Time = begun.Add(time.Duration(i) * time.Hour)
			c.Events = append(c.Events, e)
		}
		commit(t, s, c)
	}
	for after := int64(0); ; {
		page, err := s.(interface {
			EventsAfter(context.Context, mgx.WorkspaceID, mgx.StreamID, mgx.RunID, []string, int64, int) ([]mgx.Event, error)
		}).EventsAfter(ctx, ws, "", "", nil, after, 500)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		all, after = append(all, page...), page[len(page)-1].Position
	}
	slices.Reverse(all)
	says := func(e mgx.Event, text string) bool {
		return strings.Contains(strings.ToLower(string(e.Data)), strings.ToLower(text))
	}
	for name, of := range map[string]struct {
		q    mgx.EventSearch
		fits func(mgx.Event) bool
	}{
		"all":      {mgx.EventSearch{}, func(mgx.Event) bool { return true }},
		"no audit": {mgx.EventSearch{NoAudit: true}, func(e mgx.Event) bool { return !e.Stream.IsAudit() }},
		"types":    {mgx.EventSearch{Types: []string{"run.created", "task.*"}}, func(e mgx.Event) bool { return e.Type == mgx.RunCreated || e.Type == mgx.TaskCreated }},
		"run":      {mgx.EventSearch{Of: string(bo.Run)}, func(e mgx.Event) bool { return e.Run == bo.Run }},
		"task":     {mgx.EventSearch{Of: string(bo.Task)}, func(e mgx.Event) bool { return e.Task == bo.Task }},
		"project":  {mgx.EventSearch{Of: "proj_1"}, func(e mgx.Event) bool { return e.Project == "proj_1" }},
		"stream":   {mgx.EventSearch{Of: string(mgx.AuditStream(ws))}, func(e mgx.Event) bool { return e.Stream.IsAudit() }},
		"person":   {mgx.EventSearch{User: "user_bo"}, func(e mgx.Event) bool { return e.Run == bo.Run || says(e, `"user_bo"`) }},
		"text":     {mgx.EventSearch{Text: "NOTE 1", Of: string(ada.Run)}, func(e mgx.Event) bool { return e.Run == ada.Run && says(e, "note 1") }},
		"markup":   {mgx.EventSearch{Text: "<b>100%"}, func(e mgx.Event) bool { return e.Type == mgx.RunNoted }},
		"pattern":  {mgx.EventSearch{Text: "1_0%"}, func(mgx.Event) bool { return false }},
		"times": {mgx.EventSearch{Since: begun.Add(5 * time.Hour), Until: begun.Add(9 * time.Hour)}, func(e mgx.Event) bool {
			return !e.Time.Before(begun.Add(5*time.Hour)) && e.Time.Before(begun.Add(9*time.Hour))
		}},
		"elsewhere": {mgx.EventSearch{Of: string(other.Run)}, func(mgx.Event) bool { return false }},
	} {
		var want, got []mgx.EventID
		for _, e := range all {
			if of.fits(e) {
				want = append(want, e.ID)
			}
		}
		q := of.q
		q.Workspace, q.Limit = ws, 7
		for {
			page, next, err := n.NewestEvents(ctx, q)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, e := range page {
				got = append(got, e.ID)
			}
			if next == 0 {
				break
			}
			if q.Before > 0 && next >= q.Before || len(page) > q.Limit {
				t.Fatalf("%s: before %d there are %d events, then before %d", name, q.Before, len(page), next)
			}
			q.Before = next
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %d events, want %d: %v, %v", name, len(got), len(want), got, want)
		}
	}
	if e, err := n.EventOf(ctx, ws, all[3].ID); err != nil || e.Position != all[3].Position {
		t.Errorf("an event by its id: %+v, %v", e, err)
	}
	theirs, _, err := n.NewestEvents(ctx, mgx.EventSearch{Workspace: elsewhere, Limit: 1})
	if err != nil || len(theirs) != 1 {
		t.Fatal(theirs, err)
	}
	if _, err := n.EventOf(ctx, ws, theirs[0].ID); !mgx.IsCode(err, mgx.CodeNotFound) {
		t.Errorf("an event of another workspace: %v", err)
	}
}
