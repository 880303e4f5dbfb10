package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mgx/internal/sandbox"
)

// TestAttacksAsOrdinaryUser runs the attacks once more as a user without rights, if
// these tests run as root; otherwise they run as one already.
func TestAttacksAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("the attacks run as an ordinary user already")
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip("setpriv is not installed")
	}
	dir, err := os.MkdirTemp("", "mgx-nobody-") // T.TempDir lets nobody else in
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sandbox.RemoveState(dir) })
	work := filepath.Join(dir, "work")
	for _, err := range []error{os.Chmod(dir, 0o755), os.Mkdir(work, 0o755), os.Chown(work, nobody, nobody)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	tests, bin := filepath.Join(dir, "mgx.test"), filepath.Join(dir, "mgx")
	copyProgram(t, "/proc/self/exe", tests)
	copyProgram(t, program(t), bin)
	cmd := exec.Command(setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", tests,
		"-test.run=^(TestAttacksThroughTools|TestAttackByAPage|TestAttackApprovesItself|TestHonestTwinsPass)$", "-test.v")
	cmd.Dir = work
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + work, "TMPDIR=" + work, programEnv + "=" + bin}
	said, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(said), "--- PASS") < 3 {
		t.Errorf("as an ordinary user: %v\n%s", err, said)
	}
}

const nobody = 65534

func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
