//go:build linux

package native_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/native"
)

// neighbour is what a command does to others of its user or machine by what it may
// only read, or not even that. Each is through when it returns nil.
var neighbours = map[string]func() error{
	// Whoever opens the file then waits for up to 45 seconds.
	"lease": func() error {
		f, err := os.Open("/usr/bin/env")
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
		return err
	},
	"datagram": func() error {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		return unix.Sendto(pair[0], []byte("attacked"), 0, &unix.SockaddrUnix{Name: os.Getenv(outsideEnv) + "/socket"})
	},
	"extended attribute": func() error {
		_, err := unix.Getxattr(os.Getenv(outsideEnv)+"/file", "user.mgx", make([]byte, 16))
		return err
	},
	// With no core files at all the machine's program for them starts.
	"core handler": func() error {
		if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
			return errors.New("programs that want no core files hear " + err.Error())
		}
		var now unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_CORE, &now); err != nil || now.Cur == 1 {
			return fmt.Errorf("the limit is %d, %v", now.Cur, err)
		}
		return nil
	},
	"events": func() error {
		var context uintptr
		_, _, errno := unix.Syscall(unix.SYS_IO_SETUP, 1, uintptr(unsafe.Pointer(&context)), 0)
		return failed(errno)
	},
	"watches": func() error { // a quarter of what a user may have by default
		for range 32 {
			if _, err := unix.InotifyInit1(unix.IN_CLOEXEC); err != nil {
				return err
			}
		}
		return nil
	},
	"timers": func() error { // as many as its user may have waiting signals
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_SIGPENDING, &limit); err != nil {
			return err
		}
		most := os.Getenv(pendingEnv)
		if now := fmt.Sprint(limit.Max); now != most {
			return errors.New("only " + now)
		}
		return nil
	},
}

func failed(errno syscall.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}

const (
	neighbourEnv = "MGX_NATIVE_TEST_NEIGHBOUR"
	outsideEnv   = "MGX_NATIVE_TEST_OUTSIDE"
	pendingEnv   = "MGX_NATIVE_TEST_PENDING"
)

// playNeighbour tries one of them, if this process was started for it.
func playNeighbour() {
	what := os.Getenv(neighbourEnv)
	if what == "" {
		return
	}
	if err := neighbours[what](); err != nil {
		fmt.Println("held:", err)
	} else {
		fmt.Println("through")
	}
	os.Exit(0)
}

// TestNeighboursAreLeftAlone tries each in boxes, and without walls first: what does
// not work there proves nothing.
func TestNeighboursAreLeftAlone(t *testing.T) {
	outside := t.TempDir()
	file := filepath.Join(outside, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(file, "user.mgx", []byte("secret"), 0); err != nil {
		t.Log("no extended attributes here:", err)
	}
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(outside, "socket"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var pending unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_SIGPENDING, &pending); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for what := range neighbours {
		env := []string{neighbourEnv + "=" + what, outsideEnv + "=" + outside, fmt.Sprint(pendingEnv, "=", pending.Max)}
		bare := role(t, "")
		bare.Env = append(bare.Env, env...)
		if said, err := bare.CombinedOutput(); err != nil || !strings.HasPrefix(string(said), "through") {
			t.Run(what, func(t *testing.T) { t.Skipf("without walls it does not work here either: %s%v", said, err) })
			continue
		}
		for _, d := range []sandbox.Driver{native.New(), native.NewLite()} {
			t.Run(d.Name()+"/"+what, func(t *testing.T) {
				mount := sandbox.Mount{Host: exe, Guest: "/probe", Mode: sandbox.ReadOnly}
				box, err := d.Open(t.Context(), sandbox.Spec{Work: t.TempDir(), Mounts: []sandbox.Mount{mount}})
				if err != nil {
					t.Skip(err)
				}
				defer box.Close()
				var said bytes.Buffer
				cmd := sandbox.Command{Args: []string{box.Path(mount.Guest)}, Env: env, Stdout: &said, Stderr: &said, Timeout: time.Minute}
				if r, err := box.Run(t.Context(), cmd); err != nil || r.ExitCode != 0 || !strings.HasPrefix(said.String(), "held") || strings.Contains(said.String(), "hear") {
					t.Errorf("exit code %d, %v: %s", r.ExitCode, err, said.String())
				}
			})
		}
	}
}
