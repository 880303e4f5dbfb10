package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
				// Nothing ends what is left of it, so it ends with the test.
				hold := filepath.Join(work, "hold")
				if err := syscall.Mkfifo(hold, 0o644); err != nil {
					t.Fatal(err)
				}
				w, err := os.OpenFile(hold, os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer w.Close()
				script = "echo started; read end <hold"
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

// TestDoctorOfALesserMachine has mgx doctor look at a machine that forbids user
// namespaces: it says which level is left, what is missing, and how to get it; and
// whoever demands more is refused.
func TestDoctorOfALesserMachine(t *testing.T) {
	t.Parallel()
	bin, home := program(t), t.TempDir()
	doctor := func(args string) (string, int) {
		cmd := exec.Command("sh", "-c", `echo 0 >/proc/sys/user/max_user_namespaces && exec "$0" doctor --data "$HOME/data" `+args, bin)
		cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		}
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	out, code := doctor("")
	if strings.Contains(out, "\nlite\n") {
		t.Skip("this machine has no Landlock or no seccomp either:\n", out)
	}
	for _, words := range []string{
		"\nsandbox of runs: level lite\n", "lite; what full lacks is marked below", "\nnative\n  no   user namespace ",
		"sysctl -w user.max_user_namespaces=", "\nlite: level lite\n",
	} {
		if !strings.Contains(out, words) {
			t.Errorf("it does not say %q", words)
		}
	}
	if code != 0 || t.Failed() {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if out, code := doctor("--sandbox-minimum full"); code != 3 || !strings.Contains(out, "FAIL level ") || !strings.Contains(out, "demands full") {
		t.Errorf("with a minimum: exit code %d\n%s", code, out)
	}
}
