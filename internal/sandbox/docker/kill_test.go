//go:build linux

package docker_test

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/docker"
)

// roleEnv makes this test binary another MGX, that runs commands until it is
// killed.
const roleEnv = "MGX_DOCKER_TEST_WORK"

func playRole() {
	work := os.Getenv(roleEnv)
	if work == "" {
		return
	}
	box, err := docker.New("docker").Open(context.Background(), sandbox.Spec{Work: work})
	if err != nil {
		panic(err)
	}
	for range 2 {
		go func() {
			for {
				_, err := box.Run(context.Background(), sandbox.Command{Args: []string{"sh", "-c", "exec 9>alive; setsid sleep 1000 & sleep 0.2"}, Timeout: time.Hour})
				if err != nil {
					panic(err)
				}
				os.Stdout.WriteString("ended\n")
			}
		}()
	}
	select {}
}

// TestKilledAnywhere kills MGX while containers are built, run and removed.
// What began ends by itself; what did not is gone after the next start.
func TestKilledAnywhere(t *testing.T) {
	driver(t)
	tmp, work := t.TempDir(), t.TempDir()
	fifo := filepath.Join(work, "alive")
	if err := syscall.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		r, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), roleEnv+"="+work, "TMPDIR="+tmp)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i) * 60 * time.Millisecond) // another moment each time
		cmd.Process.Kill()
		cmd.Wait()
		r.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Errorf("a process of a container lives on: %v", err)
		}
		r.Close()
	}
	left, files := "unknown", 1
	for end := time.Now().Add(2 * time.Minute); (left != "" || files > 0) && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		t.Setenv("TMPDIR", tmp)
		docker.New("docker").Probe(t.Context()) // sweeps
		names, err := exec.Command("docker", "ps", "--all", "--filter", "label=mgx.box", "--format", "{{.Names}}").CombinedOutput()
		if err != nil {
			t.Fatal(string(names))
		}
		left = strings.TrimSpace(string(names))
		list, _ := os.ReadDir(tmp)
		files = len(list)
	}
	if left != "" || files > 0 {
		t.Errorf("containers left: %s; files left: %d", left, files)
	}
}
