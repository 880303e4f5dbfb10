package sandboxtest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"mgx/internal/sandbox"
)

// Ordinary is a user of no machine, and of no other test program that runs now: the
// kernel counts the processes of a user together, whoever starts them, and at lite and
// in containers a command's limit is on top of those that there are when it starts.
func Ordinary() int { return 1_500_000_000 + os.Getpid() }

// AsUser runs tests of this program again as an ordinary user in groups (an option of
// setpriv), with a home, variables more, and the columns that are kept, or brings those
// that it keeps.
func AsUser(t *testing.T, uid int, groups, tests string, env ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root becomes another user")
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip("setpriv is not installed")
	}
	dir, err := os.MkdirTemp("", "mgx-user-")
	must(t, err)
	t.Cleanup(func() { sandbox.RemoveState(dir) })
	must(t, os.Chmod(dir, 0o755))
	home, program := filepath.Join(dir, "home"), filepath.Join(dir, "tests")
	must(t, os.Mkdir(home, 0o700))
	must(t, os.Chown(home, uid, uid))
	copyProgram(t, program)
	theirs, update := filepath.Join(home, kept), os.Getenv(updateEnv) != ""
	if !update {
		copyColumns(t, kept, theirs)
	}
	cmd := exec.Command(setpriv, fmt.Sprintf("--reuid=%d", uid), fmt.Sprintf("--regid=%d", uid), groups, program, "-test.v", "-test.timeout=30m", "-test.run="+tests)
	cmd.Dir, cmd.Env = home, append(append(os.Environ(), env...), "TMPDIR="+home, "HOME="+home, "XDG_RUNTIME_DIR="+home)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("as an ordinary user: %v\n%s", err, said)
	}
	if update {
		copyColumns(t, theirs, kept)
	}
}

func copyColumns(t *testing.T, from, to string) {
	t.Helper()
	must(t, os.MkdirAll(to, 0o755))
	columns, err := filepath.Glob(filepath.Join(from, "*.json"))
	must(t, err)
	for _, name := range columns {
		text, err := os.ReadFile(name)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(to, filepath.Base(name)), text, 0o644))
	}
}

func copyProgram(t *testing.T, to string) {
	t.Helper()
	from, err := os.Open("/proc/self/exe")
	must(t, err)
	defer from.Close()
	f, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	must(t, err)
	_, err = io.Copy(f, from)
	must(t, err)
	must(t, f.Close())
}
