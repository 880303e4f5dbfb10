package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"mgx/internal/sandbox/native"
)

// TestBoxStartsBeforeMGX starts this program as the init of a box, without a plan,
// and looks at what was initialised before the init took it over: a few packages
// of the standard library and of others that depend on nothing. Each command of
// an agent pays for them.
//
// A failure means that package boxinit came to import, by itself or by what it
// imports, a package whose turn comes late. Its doc.go says more.
func TestBoxStartsBeforeMGX(t *testing.T) {
	_ = native.New() // which brings the init along
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Args = []string{"mgx-sandbox-init"}
	cmd.Env = []string{"GODEBUG=inittrace=1"}
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 125 {
		t.Fatalf("it is no init: %v\n%s", err, out)
	}
	var before []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "init" {
			before = append(before, f[1])
		}
	}
	const most = 40
	if len(before) == 0 || len(before) > most {
		t.Errorf("%d packages are initialised before the init of a box:\n%s", len(before), strings.Join(before, " "))
	}
}
