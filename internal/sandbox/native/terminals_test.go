//go:build linux

package native_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/native"
)

// TestTerminals has a command make terminals, as tests of programs for people do: its
// own, and no more than a few.
func TestTerminals(t *testing.T) {
	box, err := native.New().Open(t.Context(), sandbox.Spec{Work: t.TempDir()})
	if err != nil {
		t.Skip(err)
	}
	defer box.Close()
	run := func(script string) string {
		t.Helper()
		var out bytes.Buffer
		if _, err := box.Run(t.Context(), sandbox.Command{Args: []string{"sh", "-c", script}, Stdout: &out, Stderr: &out, Timeout: time.Minute}); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if _, err := exec.LookPath("script"); err != nil {
		t.Skip("script, of util-linux, is not installed")
	}
	for range 2 { // each command begins with none
		if out := run(`script -qec 'tty; stty rows 7 cols 77; stty size' /dev/null`); strings.Fields(out)[0] != "/dev/pts/0" || !strings.Contains(out, "7 77") {
			t.Errorf("a terminal: %q", out)
		}
	}
	const most = `made() { (exec 5<>/dev/ptmx && made) 2>/dev/null || ls /dev/pts | grep -c '[0-9]'; }; made`
	if out := run(most); out != "32\n" {
		t.Errorf("as many terminals as one can have: %s", out)
	}
}
