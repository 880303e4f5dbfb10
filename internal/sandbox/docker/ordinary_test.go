//go:build linux

package docker_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"testing"

	"mgx/internal/sandbox/docker"
	"mgx/internal/sandbox/sandboxtest"
)

// ordinaryEnv says that this process is the ordinary user of a test that root runs,
// and which engine they may command.
const ordinaryEnv = "MGX_DOCKER_TEST_ORDINARY"

// engineGroup may command the engine, and is nobody's.
const engineGroup = 987_654

// TestDockerAsAnOrdinaryUser is for the usual way: somebody in the group that may
// command Docker, whose commands must not be root's.
func TestDockerAsAnOrdinaryUser(t *testing.T) {
	driver(t)
	sandboxtest.AsUser(t, sandboxtest.Ordinary(), fmt.Sprintf("--groups=%d", engineGroup), "^TestOrdinary$", ordinaryEnv+"=docker")
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
	sandboxtest.AsUser(t, uid, "--init-groups", "^TestOrdinary$", ordinaryEnv+"=podman")
}

func TestOrdinary(t *testing.T) {
	engine := os.Getenv(ordinaryEnv)
	if engine == "" {
		t.Skip("it is run by tests of root")
	}
	d := docker.New(engine)
	if r := d.Probe(t.Context()); r.Level == "" {
		t.Fatal(r.Checks)
	}
	sandboxtest.Slowly(t, d, engine)
}
