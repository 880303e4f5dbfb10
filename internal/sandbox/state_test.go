package sandbox_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mgx/internal/sandbox"
)

func TestRemoveState(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	outside := filepath.Join(t.TempDir(), "outside")
	for _, d := range []string{filepath.Join(dir, "a/b/c"), outside} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "a/b/c/file"), nil, 0o444); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "a/link")); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"a/b/c", "a/b", "a"} {
		if err := os.Chmod(filepath.Join(dir, d), 0o555); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(outside, 0o500); err != nil {
		t.Fatal(err)
	}
	if err := sandbox.RemoveState(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("still there: %v", err)
	}
	if info, err := os.Stat(outside); err != nil || info.Mode().Perm() != 0o500 {
		t.Errorf("outside was touched: %v, %v", info, err)
	}
	if err := sandbox.RemoveState(dir); err != nil {
		t.Errorf("when there is none: %v", err)
	}
}

const hostileEnv = "MGX_SANDBOX_TEST_HOSTILE"

// TestRemoveStateOfHostileTrees has an ordinary user, who may open few files, remove
// what programs left so that it could not be removed: directories without permissions
// at the end of a path that is too long to be said at once, and thousands in each other.
func TestRemoveStateOfHostileTrees(t *testing.T) {
	if os.Getenv(hostileEnv) == "" {
		dir, err := os.MkdirTemp("", "mgx-hostile-")
		if err != nil {
			t.Fatal(err)
		}
		defer sandbox.RemoveState(dir)
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		self, err := os.ReadFile("/proc/self/exe")
		if err != nil {
			t.Skip(err)
		}
		program := filepath.Join(dir, "tests")
		if err := os.WriteFile(program, self, 0o755); err != nil {
			t.Fatal(err)
		}
		become := `exec "$@"`
		if os.Geteuid() == 0 {
			become = `exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"`
		}
		cmd := exec.Command("sh", "-c", "ulimit -n 256 && "+become, "sh", program, "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), hostileEnv+"=1", "TMPDIR="+dir, "HOME="+dir)
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, said)
		}
		return
	}
	for name, tree := range map[string]struct {
		levels int
		name   string
	}{"long names": {30, strings.Repeat("d", 200)}, "many levels": {3000, "d"}} {
		dir := filepath.Join(os.Getenv("TMPDIR"), name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		at, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		for range tree.levels {
			if err := at.Mkdir(tree.name, 0o755); err != nil {
				t.Fatal(err)
			}
			below, err := at.OpenRoot(tree.name)
			at.Close()
			if err != nil {
				t.Fatal(err)
			}
			at = below
		}
		for _, do := range []func() error{
			func() error { return at.Mkdir("locked", 0o755) },
			func() error { return at.WriteFile("locked/file", nil, 0o644) },
			func() error { return at.Chmod("locked", 0) },
			func() error { return at.Chmod(".", 0o500) },
			at.Close,
		} {
			if err := do(); err != nil {
				t.Fatal(err)
			}
		}
		if err := sandbox.RemoveState(dir); err != nil {
			t.Errorf("%s: %.200v", name, err)
		}
		if _, err := os.Lstat(dir); !os.IsNotExist(err) {
			t.Errorf("%s: still there", name)
		}
	}
}
