//go:build linux

package sandbox_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/internal/leftover"
)

const scratchEnv = "MGX_SCRATCH_TEST"

// TestScratch has another process make a directory and die: the next one removes
// it, and not what belongs to a process that lives, to another kind, or to nobody.
func TestScratch(t *testing.T) {
	if os.Getenv(scratchEnv) != "" {
		dir, err := sandbox.Scratch("test")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, "read-only/below"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, "read-only"), 0o500); err != nil {
			t.Fatal(err)
		}
		self, _ := os.FindProcess(os.Getpid())
		_ = self.Kill()
		select {}
	}
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	gone := func(prefix string) string { // as of a process that began as we did, and had the first number
		return strings.Replace(leftover.Name(prefix), fmt.Sprint("-", os.Getpid(), "-"), "-1-", 1)
	}
	keep := []string{"mgx-test-", "mgx-test-1", "mgx-test-abc-def-ghi-x", gone("mgx-other-") + "1", gone("test-") + "1"}
	for _, name := range keep {
		if err := os.Mkdir(filepath.Join(tmp, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	target := filepath.Join(t.TempDir(), "target")
	if err := os.Mkdir(target, 0o755); err != nil {
		t.Fatal(err)
	}
	link := gone("mgx-test-") + "link"
	if err := os.Symlink(target, filepath.Join(tmp, link)); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(exe, "-test.run=^TestScratch$")
	child.Env = append(os.Environ(), scratchEnv+"=1")
	if out, err := child.CombinedOutput(); child.ProcessState.Sys() == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("%v\n%s", err, out)
	}
	names := func() (names []string) {
		list, err := os.ReadDir(tmp)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			names = append(names, e.Name())
		}
		return names
	}
	before := names()
	ours, err := sandbox.Scratch("test")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := sandbox.Scratch("test"); err != nil || sandbox.RemoveState(again) != nil {
		t.Fatal(err)
	}
	after := names()
	if len(after) != len(before) { // one has gone, ours has come
		t.Errorf("before: %v\nafter: %v", before, after)
	}
	for _, name := range append(keep, link, filepath.Base(ours)) {
		if _, err := os.Lstat(filepath.Join(tmp, name)); err != nil {
			t.Error(err)
		}
	}
}
