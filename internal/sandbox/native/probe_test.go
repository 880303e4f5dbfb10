//go:build linux

package native_test

import (
	"testing"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/native"
)

func TestProbe(t *testing.T) {
	r := native.New().Probe(t.Context())
	if r.Driver != "native" || r.Level != sandbox.LevelBasic && r.Level != sandbox.LevelFull {
		t.Errorf("%+v", r)
	}
	want := []string{"user namespace", "mounts", "pid namespace", "network namespace", "capabilities", "limits", "system call filter", "nested namespaces", "Landlock", "cgroup", "processes", "overlay"}
	for i, c := range r.Checks {
		if i >= len(want) || c.Name != want[i] {
			t.Errorf("check %d is %s", i, c.Name)
		}
		if optional := i >= 7; !c.OK && !optional {
			t.Errorf("%s: %s", c.Name, c.Detail)
		} else if !c.OK {
			t.Logf("this machine: %s: %s", c.Name, c.Detail)
		}
	}
	if len(r.Checks) != len(want) {
		t.Errorf("%d checks, not %d", len(r.Checks), len(want))
	}
}
