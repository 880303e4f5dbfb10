//go:build linux

package native_test

import (
	"strings"
	"testing"
	"time"

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

// Where a command has no time to look, nobody says that there are no walls.
func TestNoTimeToLook(t *testing.T) {
	if err := native.Look(t.Context(), time.Minute); err != nil {
		t.Skip(err)
	}
	if err := native.Look(t.Context(), time.Nanosecond); err == nil || !strings.Contains(err.Error(), "did not end in 1ns") {
		t.Errorf("without time: %v", err)
	}
}

// What is said of too old a Landlock names it: at lite it is all that is said.
func TestOldLandlockInWords(t *testing.T) {
	for version, ok := range map[int]bool{0: false, 2: false, 3: true} {
		c := native.LandlockCheck(version)
		if c.OK != ok || !ok && (!strings.Contains(c.Detail, "Landlock") || !strings.Contains(c.Detail, "Linux 6.2")) {
			t.Errorf("version %d: %+v", version, c)
		}
	}
}
