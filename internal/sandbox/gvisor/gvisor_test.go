//go:build linux

package gvisor_test

import (
	"os"
	"os/exec"
	"testing"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/gvisor"
	"mgx/internal/sandbox/sandboxtest"
)

func TestMain(m *testing.M) {
	sandboxtest.Main()
	playRole()
	os.Exit(m.Run())
}

func TestGVisor(t *testing.T) { sandboxtest.Slowly(t, driver(t), "gvisor") }

func driver(t *testing.T) sandbox.Driver {
	t.Helper()
	if _, err := exec.LookPath("runsc"); err != nil {
		t.Skip("runsc is not installed")
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can map users for gVisor")
	}
	d := gvisor.New()
	r := d.Probe(t.Context())
	if r.Level == "" {
		t.Skip("gVisor does not work here: ", r.Checks[0].Detail)
	}
	if r.Level != sandbox.LevelGVisor {
		t.Errorf("level %q", r.Level)
	}
	return d
}

// A gate is refused in words.
func TestNoGate(t *testing.T) {
	var gate noGate
	d := driver(t)
	if _, err := d.Open(t.Context(), sandbox.Spec{Work: t.TempDir(), Gate: gate}); !mgx.IsCode(err, "no_allow_list") {
		t.Errorf("a box with a gate: %v", err)
	}
	box, err := d.Open(t.Context(), sandbox.Spec{Work: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	if _, err := box.Run(t.Context(), sandbox.Command{Args: []string{"true"}, Timeout: 1, Online: true, Gate: gate}); !mgx.IsCode(err, "no_allow_list") {
		t.Errorf("a command with a gate: %v", err)
	}
}

type noGate struct{ sandbox.Gate }
