//go:build linux

package docker_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
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
	nobody      = 65534
	engineGroup = 987_654
)

// TestDockerAsAnOrdinaryUser is for the usual way: somebody in the group that may
// command Docker, whose commands must not be root's.
func TestDockerAsAnOrdinaryUser(t *testing.T) {
	driver(t)
	asOrdinaryUser(t, "docker", nobody, fmt.Sprintf("--groups=%d", engineGroup))
}

// TestPodmanAsAnOrdinaryUser needs a user to whom others were given to map.
func TestPodmanAsAnOrdinaryUser(t *testing.T) {
	needPodman(t)
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	if _, err := exec.LookPath("newuidmap"); err != nil {
		t.Skip("newuidmap is not installed (Debian: uidmap)")
	}
	given, _ := os.ReadFile("/etc/subuid")
	name, _, _ := strings.Cut(string(given), ":")
	who, err := user.Lookup(name)
	if err != nil {
		t.Skip("no user may map others (/etc/subuid)")
	}
	uid, err := strconv.Atoi(who.Uid)
	if err != nil || uid == 0 {
		t.Skip("the first user in /etc/subuid is root")
	}
	asOrdinaryUser(t, "podman", uid, "--init-groups")
}

// asOrdinaryUser runs TestOrdinary, as somebody in groups.
func asOrdinaryUser(t *testing.T, engine string, uid int, groups string) {
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
	for name, owner := range map[string]int{dir: 0, home: uid} {
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
		fmt.Sprintf("--reuid=%d", uid), fmt.Sprintf("--regid=%d", uid), groups,
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
		sandboxtest.WriteColumn(t, d, engine, out)
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
