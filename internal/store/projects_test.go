package store_test

import (
	"encoding/json"
	"maps"
	"testing"

	"mgx"
	"mgx/internal/store"
)

// TestProjectSettings: each change is in the audit log with what was before, and
// one that fails is not; no workspace and no project sees another's.
func TestProjectSettings(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store, _ string) {
		by := mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: "user_1", From: "cli"}
		other := mgx.Doer{Workspace: "ws_other", Actor: "user_2"}
		change := func(by mgx.Doer, project mgx.ProjectID, name, value string) {
			t.Helper()
			if err := s.ChangeProject(t.Context(), by, project, name, &value); err != nil {
				t.Fatal(err)
			}
		}
		change(by, "proj_a", "policy", "ask")
		change(by, "proj_a", "policy", "never")
		change(by, "proj_a", "allow-host", "a.test:443")
		change(by, "proj_b", "policy", "plan")
		change(other, "proj_a", "policy", "auto")
		if err := s.ChangeProject(t.Context(), by, "proj_a", "allow-host", nil); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.ChangeProject(t.Context(), by, "proj_b", "allow-host", nil); !mgx.IsCode(err, mgx.CodeNotFound) {
				t.Errorf("what is not set is taken back: %v", err)
			}
		}
		for _, c := range []struct {
			ws      mgx.WorkspaceID
			project mgx.ProjectID
			want    mgx.ProjectSettings
		}{
			{mgx.DefaultWorkspace, "proj_a", mgx.ProjectSettings{"policy": "never"}},
			{mgx.DefaultWorkspace, "proj_b", mgx.ProjectSettings{"policy": "plan"}},
			{mgx.DefaultWorkspace, "proj_c", mgx.ProjectSettings{}},
			{"ws_other", "proj_a", mgx.ProjectSettings{"policy": "auto"}},
		} {
			if got, err := s.ProjectSettings(t.Context(), c.ws, c.project); err != nil || !maps.Equal(got, c.want) {
				t.Errorf("%s of %s has %v, %v, want %v", c.project, c.ws, got, err, c.want)
			}
		}
		numbered(t, s, 6)
		entries, err := s.AuditEntries(t.Context(), mgx.DefaultWorkspace, 0)
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, e := range entries {
			var d mgx.AuditData
			if err := json.Unmarshal(e.Data, &d); err != nil {
				t.Fatal(err)
			}
			told = append(told, d.Action+" "+d.Resource+" "+string(d.Details.Before)+" "+string(d.Details.After))
		}
		want := []string{
			`project.set proj_a  {"policy":"ask"}`, `project.set proj_a {"policy":"ask"} {"policy":"never"}`, `project.set proj_a  {"allow-host":"a.test:443"}`,
			`project.set proj_b  {"policy":"plan"}`, `project.unset proj_a {"allow-host":"a.test:443"} `,
		}
		if len(told) != len(want) {
			t.Fatalf("the audit log says %q", told)
		}
		for i := range want {
			if told[i] != want[i] {
				t.Errorf("entry %d: %s, want %s", i, told[i], want[i])
			}
		}
	})
}
