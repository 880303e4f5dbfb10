//go:build linux

package native_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/internal/landlock"
	"mgx/internal/sandbox/native"
)

const (
	chainEnv = "MGX_NATIVE_TEST_CHAIN" // has this test binary leave a chain
	links    = 20
)

// leaveChain ends when there are processes of which each started the next. They tell
// when they outlive the one that started them, and hold the file "alive" open.
func leaveChain() {
	var ready [2]int
	_, err := syscall.Open("alive", syscall.O_WRONLY, 0)
	told, cannot := syscall.Open("told", syscall.O_WRONLY|syscall.O_APPEND, 0)
	if err := errors.Join(err, cannot, syscall.Pipe(ready[:])); err != nil {
		panic(err)
	}
	chain(told, ready[1])
	for range links {
		if _, err := syscall.Read(ready[0], make([]byte, 1)); err != nil {
			panic(err)
		}
	}
	os.Exit(0)
}

// chain runs nothing of the runtime in the processes that it forks.
//
//go:norace
//go:nosplit
func chain(told, ready int) {
	set := [1]uint64{1 << (syscall.SIGUSR1 - 1)}
	var b [1]byte
	for n := range links {
		if pid, _, _ := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0); pid != 0 {
			if n == 0 {
				return
			}
			break
		}
		if n > 0 { // whoever started the first one is meant to end
			syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, 0, uintptr(unsafe.Pointer(&set)), 0, 8, 0, 0)
			syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, uintptr(syscall.SIGUSR1), 0)
		}
		syscall.RawSyscall(syscall.SYS_WRITE, uintptr(ready), uintptr(unsafe.Pointer(&b)), 1)
	}
	for {
		if got, _, _ := syscall.RawSyscall6(syscall.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&set)), 0, 0, 8, 0, 0); got == uintptr(syscall.SIGUSR1) {
			syscall.RawSyscall(syscall.SYS_WRITE, uintptr(told), uintptr(unsafe.Pointer(&b)), 1)
		}
	}
}

func playChain() {
	if os.Getenv(chainEnv) != "" {
		leaveChain()
	}
}

// runChain runs a command at lite that leaves a chain, and says when it has ended.
func runChain(work string) {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	box, err := native.NewLite().Open(context.Background(), sandbox.Spec{Work: work, Mounts: []sandbox.Mount{{Host: exe, Guest: exe, Mode: sandbox.ReadOnly}}})
	if err != nil {
		panic(err)
	}
	r, err := box.Run(context.Background(), sandbox.Command{Args: []string{exe}, Env: []string{chainEnv + "=1"}, Timeout: time.Hour})
	fmt.Println("ended", r.ExitCode, err)
}

// TestNoneOutlivesAnother leaves processes behind at lite, as root and as an ordinary
// user whom no cgroup helps. They end at once: not one is there when another has ended,
// which could start more then, as fast as they are found. Should this go wrong, it
// hits only what lives in a pid namespace with it.
func TestNoneOutlivesAnother(t *testing.T) {
	if landlock.Version() < landlock.VersionScope {
		t.Skip("this kernel cannot keep signals to a box")
	}
	if os.Geteuid() != 0 {
		t.Skip("only root makes a pid namespace without more")
	}
	for name, uid := range map[string]uint32{"root": 0, "an ordinary user": 100_000 + uint32(os.Getpid())} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "mgx-chain-")
			if err != nil {
				t.Fatal(err)
			}
			defer sandbox.RemoveState(dir)
			exe := filepath.Join(dir, "tests")
			alive, told := filepath.Join(dir, "alive"), filepath.Join(dir, "told")
			text, err := os.ReadFile("/proc/self/exe")
			for _, do := range []func() error{
				func() error { return os.Chmod(dir, 0o755) },
				func() error { return os.WriteFile(exe, text, 0o755) },
				func() error { return syscall.Mkfifo(alive, 0o666) },
				func() error { return os.Chown(alive, int(uid), int(uid)) },
				func() error { return os.WriteFile(told, nil, 0o666) },
				func() error { return os.Chmod(told, 0o666) },
				func() error { return os.Chown(dir, int(uid), int(uid)) },
			} {
				if err == nil {
					err = do()
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			r, err := os.OpenFile(alive, os.O_RDONLY|syscall.O_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			// The shell is the first of the namespace, and mounts what tells of it.
			cmd := exec.Command("sh", "-c", `mount -t proc proc /proc && setpriv --reuid="$1" --regid="$1" --clear-groups "$0" || exit; read end`, exe, fmt.Sprint(uid))
			cmd.Env = append(os.Environ(), roleEnv+"="+roleChain, "WORK="+dir, "TMPDIR="+dir, "HOME="+dir)
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS, Unshareflags: syscall.CLONE_NEWNS}
			cmd.Stderr = os.Stderr
			end, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { // with the first process all others end
				end.Close()
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			}()
			if line, err := bufio.NewReader(out).ReadString('\n'); line != "ended 0 <nil>\n" {
				t.Fatalf("%q, %v", line, err)
			}
			r.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := io.Copy(io.Discard, r); err != nil {
				t.Errorf("a process lives on: %v", err)
			}
			if text, err := os.ReadFile(told); err != nil || len(text) > 0 {
				t.Errorf("%d of %d outlived another, %v", len(text), links, err)
			}
		})
	}
}
