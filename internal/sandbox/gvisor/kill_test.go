//go:build linux

package gvisor_test

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
	"mgx/internal/sandbox/gvisor"
)

// roleEnv makes this test binary another MGX, that runs a command until it is
// killed.
const roleEnv = "MGX_GVISOR_TEST_WORK"

func playRole() {
	work := os.Getenv(roleEnv)
	if work == "" {
		return
	}
	box, err := gvisor.New().Open(context.Background(), sandbox.Spec{Work: work})
	if err != nil {
		panic(err)
	}
	_, err = box.Run(context.Background(), sandbox.Command{Args: []string{"sh", "-c", "exec 9>alive; setsid sleep 1000 & echo started; sleep 1000"}, Stdout: os.Stdout, Timeout: time.Hour})
	panic(err)
}

// TestKilled kills MGX with a command running: the sandbox ends, with every
// process of runsc, and the next start removes the files.
func TestKilled(t *testing.T) {
	driver(t)
	tmp, work := t.TempDir(), t.TempDir()
	fifo := filepath.Join(work, "alive")
	if err := syscall.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
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
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "started\n" {
		t.Fatalf("it says %q, %v", line, err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	r.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Errorf("a process of the sandbox lives on: %v", err)
	}
	living := processesOf(tmp)
	for end := time.Now().Add(time.Minute); len(living) > 0 && time.Now().Before(end); living = processesOf(tmp) {
		time.Sleep(20 * time.Millisecond)
	}
	if len(living) > 0 {
		t.Errorf("these live on: %v", living)
	}
	t.Setenv("TMPDIR", tmp)
	gvisor.New().Probe(t.Context()) // sweeps
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// processesOf are those of runsc that have a directory among their arguments.
func processesOf(dir string) (list []string) {
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		if args, _ := os.ReadFile(name); strings.Contains(string(args), dir) && strings.Contains(string(args), "runsc") {
			list = append(list, strings.ReplaceAll(string(args), "\x00", " "))
		}
	}
	return list
}
