//go:build linux

package docker_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/docker"
	"mgx/internal/sandbox/sandboxtest"
)

// ordinaryEnv says that this process is the ordinary user of a test that root runs,
// and which engine they may command.
const ordinaryEnv = "MGX_DOCKER_TEST_ORDINARY"

// Who may command the engine: nobody of the machine's, by a group of nobody's.
const (
	ordinaryUser = 65534
	engineGroup  = 987_654
)

// TestDockerAsAnOrdinaryUser is for the usual way: somebody in the group that may
// command Docker, whose commands must not be root's.
func TestDockerAsAnOrdinaryUser(t *testing.T) {
	driver(t)
	asOrdinaryUser(t, "docker", engineGroup)
}

// asOrdinaryUser runs TestOrdinary, as somebody in a group.
func asOrdinaryUser(t *testing.T, engine string, group int) {
	t.Helper()
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip("setpriv is not installed")
	}
	dir, err := os.MkdirTemp("", "mgx-ordinary-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sandbox.RemoveState(dir) })
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, owner := range map[string]int{dir: 0, home: ordinaryUser} {
		if err := os.Chown(name, owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "docker.test")
	copyProgram(t, program)
	args := []string{
		fmt.Sprintf("--reuid=%d", ordinaryUser), fmt.Sprintf("--regid=%d", ordinaryUser), fmt.Sprintf("--groups=%d", group),
		program, "-test.v", "-test.run=^TestOrdinary$",
	}
	cmd := exec.Command(setpriv, args...)
	cmd.Dir = home
	cmd.Env = append(os.Environ(), ordinaryEnv+"="+engine, "TMPDIR="+home, "HOME="+home, "XDG_RUNTIME_DIR="+home)
	out := filepath.Join(home, "scores.json")
	if os.Getenv("MGX_UPDATE") != "" {
		cmd.Env = append(cmd.Env, scoresEnv+"="+out)
	}
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if os.Getenv("MGX_UPDATE") == "" {
		return
	}
	text, err := os.ReadFile(out)
	if err == nil {
		err = os.WriteFile("testdata/scores-"+engine+"-user.json", text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// scoresEnv names the file for what came of all cases.
const scoresEnv = "MGX_DOCKER_TEST_SCORES"

func TestOrdinary(t *testing.T) {
	engine := os.Getenv(ordinaryEnv)
	if engine == "" {
		t.Skip("it is run by tests of root")
	}
	d := docker.New(engine)
	if r := d.Probe(t.Context()); r.Level == "" {
		t.Fatal(r.Checks)
	}
	if out := os.Getenv(scoresEnv); out != "" {
		sandboxtest.WriteColumn(t, d, out)
	}
	sandboxtest.Sample(t, d)
}

func copyProgram(t *testing.T, to string) {
	t.Helper()
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	f, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = io.Copy(f, from); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
