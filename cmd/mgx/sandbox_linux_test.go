package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestKilledSandboxRun kills mgx with kill -9 in the middle of a command. All that
// the command started must end by itself; the directories that mgx made go when it
// is started the next time.
func TestKilledSandboxRun(t *testing.T) {
	t.Parallel()
	bin := program(t)
	for _, level := range []string{"", "lite", "off"} {
		t.Run("level "+level, func(t *testing.T) {
			t.Parallel()
			work, tmp := t.TempDir(), t.TempDir()
			mgx := func(args ...string) *exec.Cmd {
				flags := []string{"sandbox", "run", "--dir", work}
				if level != "" {
					flags = append(flags, "--level", level)
				}
				cmd := exec.Command(bin, append(append(flags, "--"), args...)...)
				cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "HOME="+t.TempDir())
				return cmd
			}
			alive := filepath.Join(work, "alive")
			if err := syscall.Mkfifo(alive, 0o644); err != nil {
				t.Fatal(err)
			}
			r, err := os.OpenFile(alive, os.O_RDONLY|syscall.O_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			script := "exec 9>alive; setsid sh -c 'trap \"\" TERM HUP; sleep 1000 & wait' & echo started; sleep 1000"
			if level == "off" {
				script = "echo started; read forever" // nothing ends what is left of it
			}
			cmd := mgx(script)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if line != "started\n" {
				t.Fatalf("it says %q, %v", line, err)
			}
			r.SetReadDeadline(time.Now().Add(time.Minute))
			if _, err := io.Copy(io.Discard, r); err != nil {
				t.Errorf("a process of the box lives on: %v", err)
			}
			if left, err := os.ReadDir(tmp); err != nil || len(left) == 0 {
				t.Errorf("nothing was there to be left behind: %v", err)
			}
			if out, err := mgx("true").CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if left, err := os.ReadDir(tmp); err != nil || len(left) != 0 {
				t.Errorf("left in %s: %v, %v", tmp, left, err)
			}
		})
	}
}
