//go:build linux

package native_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/native"
)

const lowEnv = "MGX_SANDBOX_TEST_LOW"

// TestUnderLowerLimits has MGX itself be allowed less than it allows commands by
// default, as where nobody raised what the kernel begins with. Commands run, and
// are allowed no more than MGX.
func TestUnderLowerLimits(t *testing.T) {
	if os.Getenv(lowEnv) == "" {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", "-c", `ulimit -Sn 1000 && ulimit -Hn 1000 && exec "$@"`, "sh", exe, "-test.run=^TestUnderLowerLimits$")
		cmd.Env = append(os.Environ(), lowEnv+"=1")
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		return
	}
	for _, d := range []sandbox.Driver{native.New(), native.NewLite()} {
		box, err := d.Open(t.Context(), sandbox.Spec{Work: t.TempDir()})
		if err != nil {
			t.Skip(err)
		}
		defer box.Close()
		var out bytes.Buffer
		r, err := box.Run(t.Context(), sandbox.Command{Args: []string{"sh", "-c", "ulimit -Hn"}, Stdout: &out, Stderr: &out, Timeout: time.Minute})
		if err != nil || r.ExitCode != 0 || strings.TrimSpace(out.String()) != "1000" {
			t.Errorf("%s: exit code %d, %v, and it may open %q files", box.Level(), r.ExitCode, err, out.String())
		}
	}
}

// TestTimers has what lets an init be late stay with it: a command is as punctual as any
// process, and so are our own threads.
func TestTimers(t *testing.T) {
	const usual = "50000" // nanoseconds
	for _, d := range []sandbox.Driver{native.New(), native.NewLite()} {
		box, err := d.Open(t.Context(), sandbox.Spec{Work: t.TempDir()})
		if err != nil {
			t.Skip(err)
		}
		defer box.Close()
		var out bytes.Buffer
		r, err := box.Run(t.Context(), sandbox.Command{Args: []string{"cat", "/proc/self/timerslack_ns"}, Stdout: &out, Stderr: &out, Timeout: time.Minute})
		if err != nil || r.ExitCode != 0 || strings.TrimSpace(out.String()) != usual {
			t.Errorf("%s: exit code %d, %v: %s", box.Level(), r.ExitCode, err, out.String())
		}
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		slack, err := os.ReadFile("/proc/" + thread.Name() + "/timerslack_ns")
		if err == nil && strings.TrimSpace(string(slack)) != usual {
			t.Errorf("a thread of ours may be late by %s", slack)
		}
	}
}
