//go:build linux

package docker_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/docker"
	"mgx/internal/sandbox/sandboxtest"
)

func TestMain(m *testing.M) {
	sandboxtest.Main()
	playRole()
	code := m.Run()
	stopDaemon()
	os.Exit(code)
}

func TestDocker(t *testing.T) { sandboxtest.Slowly(t, driver(t), "docker") }

// TestPodman needs one that works here; no test starts anything for it.
func TestPodman(t *testing.T) {
	needPodman(t)
	d := docker.New("podman")
	if r := d.Probe(t.Context()); r.Level == "" {
		t.Skip("podman does not work here: ", r.Checks[len(r.Checks)-1].Detail)
	}
	sandboxtest.Slowly(t, d, "podman")
}

func needPodman(t *testing.T) {
	t.Helper()
	if !sandboxtest.Whole() {
		t.Skip("make walls tries Podman")
	}
	if _, err := exec.LookPath("podman"); err != nil {
		t.Skip("podman is not installed")
	}
	if _, err := exec.LookPath("runc"); err != nil {
		return
	}
	// runc works on machines with both versions of cgroups; crun does not.
	dir, err := os.MkdirTemp("", "mgx-podman-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	conf := filepath.Join(dir, "containers.conf")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(conf, []byte("[engine]\nruntime = \"runc\"\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONTAINERS_CONF", conf)
}

// driver is for the Docker that these tests start.
func driver(t *testing.T) sandbox.Driver {
	t.Helper()
	if why := startDaemon(); why != "" {
		t.Skip(why)
	}
	return docker.New("docker")
}

// startDaemon starts a Docker of our own, once, without a network and apart from
// any other, and returns why there is none.
var startDaemon = sync.OnceValue(func() string {
	if os.Geteuid() != 0 {
		return "only root can start the Docker daemon"
	}
	for _, p := range []string{"docker", "dockerd"} {
		if _, err := exec.LookPath(p); err != nil {
			return p + " is not installed (Debian: docker.io)"
		}
	}
	dir, err := os.MkdirTemp("", "mgx-dockerd-")
	if err != nil {
		return err.Error()
	}
	daemon.dir = dir
	if err := os.Chmod(dir, 0o755); err != nil { // for who is in the group
		return err.Error()
	}
	address := "unix://" + filepath.Join(dir, "s")
	// It ends when its input does, whatever becomes of us.
	daemon.cmd = exec.Command("sh", "-c", `dockerd --host "$1" --data-root "$2/data" --exec-root "$2/exec" --pidfile "$2/pid" `+
		`--group="$3" --iptables=false --ip6tables=false --ip-forward=false --bridge=none <&- & read -r end; kill $!; wait`, "dockerd", address, dir, strconv.Itoa(engineGroup))
	daemon.cmd.Stdout, daemon.cmd.Stderr = &daemon.log, &daemon.log
	input, err := daemon.cmd.StdinPipe()
	if err == nil {
		daemon.stop = func() { input.Close() }
		err = daemon.cmd.Start()
	}
	if err != nil {
		return err.Error()
	}
	os.Setenv("DOCKER_HOST", address)
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if exec.Command("docker", "version").Run() == nil {
			return ""
		}
		if strings.Contains(daemon.log.String(), "failed to start daemon") {
			break
		}
	}
	stopDaemon()
	return "the Docker daemon does not start here: " + lastLines(daemon.log.String())
})

var daemon struct {
	dir  string
	cmd  *exec.Cmd
	stop func()
	log  buffer
}

func stopDaemon() {
	if daemon.stop != nil {
		daemon.stop()
		daemon.cmd.Wait()
		daemon.stop = nil
	}
	if daemon.dir != "" {
		os.RemoveAll(daemon.dir)
	}
}

// buffer may be read while it is written.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func lastLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], "; ")
}

func TestNoEngine(t *testing.T) {
	_, err := docker.New("no-docker", "no-podman").Open(t.Context(), sandbox.Spec{Work: t.TempDir(), State: t.TempDir()})
	if !mgx.IsCode(err, "sandbox_unavailable") || !strings.Contains(err.Error(), "no-docker: it is not installed; no-podman: it is not installed)") {
		t.Errorf("got %v", err)
	}
}

func TestProbe(t *testing.T) {
	r := driver(t).Probe(t.Context())
	if r.Level != sandbox.LevelDocker {
		t.Errorf("level %q", r.Level)
	}
	for _, c := range r.Checks {
		t.Log(fmt.Sprint(c))
	}
}
