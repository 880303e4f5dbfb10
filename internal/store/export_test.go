package store_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/store"
)

// export gathers an export, and counts its kinds.
func export(t testing.TB, s *store.Store, subject store.Subject) (text string, counts map[string]int) {
	t.Helper()
	counts = map[string]int{}
	var b strings.Builder
	err := s.Export(t.Context(), subject, func(kind string, record any) error {
		counts[kind]++
		line, err := json.Marshal(record)
		fmt.Fprintf(&b, "%s %s\n", kind, line)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), counts
}

// An export holds every record of its subject and none of another's, and no
// secret.
func TestExport(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store, path string) {
		mine := mgx.TaskInfo{ID: mgx.NewTaskID(), Title: "SUBJECT"}
		one, two := story(t, s, "SUBJECT", mine), story(t, s, "SUBJECT", mine)
		other := story(t, s, "BYSTANDER", mgx.TaskInfo{ID: mgx.NewTaskID(), Title: "BYSTANDER"})
		budget := mgx.USD
		commit(t, s, mgx.Change{Reserve: &mgx.Reservation{ID: "r1", Workspace: one.Workspace, Run: one.Run, Amount: mgx.USD / 2, Cap: &budget}})
		first, _ := s.Events(t.Context(), store.EventQuery{Run: one.Run, Limit: 1})
		hooks := 0
		if hook(t, s, path, string(first[0].ID)); path != "" {
			hooks = 1
			raw(t, path, `INSERT INTO webhook_secrets VALUES ('whk_1', 1, 'TOPSECRET', NULL)`)
		}
		perRun := map[string]int{"run": 1, "event": 92, "execution": 1, "step": 31, "signal": 1}
		want := func(runs, tasks, hooks int, more map[string]int) map[string]int {
			all := map[string]int{"task": tasks}
			for kind, n := range perRun {
				all[kind] = n * runs
			}
			if hooks > 0 {
				all["webhook_delivery"], all["webhook_attempt"], all["consumer_dead_letter"] = hooks, hooks, hooks
			}
			for kind, n := range more {
				if n > 0 {
					all[kind] += n
				}
			}
			return all
		}
		text, counts := export(t, s, store.Subject{Workspace: one.Workspace, Run: one.Run})
		if w := want(1, 1, hooks, map[string]int{"spending": 1, "budget": 1, "budget_period": 1}); !reflect.DeepEqual(counts, w) {
			t.Errorf("of a run %v, want %v", counts, w)
		}
		if strings.Contains(text, "BYSTANDER") || strings.Contains(text, string(two.Run)) {
			t.Error("it holds another's")
		}
		text, counts = export(t, s, store.Subject{Workspace: one.Workspace, Task: mine.ID})
		if w := want(2, 1, hooks, map[string]int{"spending": 1, "event": 2}); !reflect.DeepEqual(counts, w) {
			t.Errorf("of a task %v, want %v", counts, w)
		}
		if strings.Contains(text, "BYSTANDER") {
			t.Error("it holds another's")
		}
		text, counts = export(t, s, store.Subject{Workspace: one.Workspace})
		if w := want(3, 2, hooks, map[string]int{"spending": 1, "budget": 1, "budget_period": 1, "event": 3, "webhook": hooks}); !reflect.DeepEqual(counts, w) {
			t.Errorf("of a workspace %v, want %v", counts, w)
		}
		for _, word := range []string{"BYSTANDER", `"reserved":0.5`, `"hard_limit":`, string(other.Run), `"event_type":"run.noted"`, `"sent_at":"20`} {
			if !strings.Contains(text, word) {
				t.Errorf("the workspace's export lacks %s", word)
			}
		}
		if strings.Contains(text, "TOPSECRET") {
			t.Error("it holds a secret")
		}
		stored, _ := s.Events(t.Context(), store.EventQuery{Limit: 1})
		envelope, _ := json.Marshal(stored[0])
		var a, b map[string]any
		json.Unmarshal(envelope, &a)
		_, line, _ := strings.Cut(text[strings.Index(text, "\nevent ")+1:], " ")
		if json.NewDecoder(strings.NewReader(line)).Decode(&b); !reflect.DeepEqual(a, b) {
			t.Errorf("an envelope differs:\n%v\n%v", a, b)
		}
		if err := s.Export(t.Context(), store.Subject{Workspace: "ws_none"}, nil); !mgx.IsCode(err, mgx.CodeNotFound) {
			t.Errorf("of nothing: %v", err)
		}
	})
}
