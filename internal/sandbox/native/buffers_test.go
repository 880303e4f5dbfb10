//go:build linux

package native_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/internal/cgroup"
	"mgx/internal/sandbox/native"
)

const buffersEnv = "MGX_NATIVE_TEST_BUFFERS" // has this test binary fill the buffers of sockets

// playBuffers fills those of connections within the box, and says how much they hold.
func playBuffers() {
	if os.Getenv(buffersEnv) == "" {
		return
	}
	held, err := fillBuffers(100)
	fmt.Println(held)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func fillBuffers(connections int) (held int, err error) {
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	address := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 1234}
	if err = errors.Join(err, unix.Bind(listener, address), unix.Listen(listener, connections)); err != nil {
		return 0, err
	}
	text := make([]byte, 64<<10)
	for range connections {
		from, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err = errors.Join(err, unix.Connect(from, address), unix.SetNonblock(from, true)); err != nil {
			return held, err
		}
		for {
			n, err := unix.Write(from, text)
			if err == syscall.EAGAIN {
				break
			}
			if err != nil {
				return held, err
			}
			held += n
		}
	}
	return held, nil
}

// TestBuffersOfSocketsAreBounded has a command fill connections that nobody reads. What
// the kernel keeps of them is of the whole machine: who has all of it cuts off others,
// MGX among them.
func TestBuffersOfSocketsAreBounded(t *testing.T) {
	if place, err := cgroup.Find(); err != nil || !place.Entered() {
		t.Skip("no cgroup of version 1 here: in version 2 the limit on memory counts what sockets hold")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	box, err := native.New().Open(t.Context(), sandbox.Spec{
		Work: t.TempDir(), Mounts: []sandbox.Mount{{Host: exe, Guest: exe, Mode: sandbox.ReadOnly}},
		Limits: sandbox.Limits{Memory: 512 << 20},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	var out, said bytes.Buffer
	r, err := box.Run(t.Context(), sandbox.Command{Args: []string{exe}, Env: []string{buffersEnv + "=1"}, Stdout: &out, Stderr: &said, Timeout: time.Minute})
	held, wrong := strconv.Atoi(strings.TrimSpace(out.String()))
	if err != nil || wrong != nil || r.ExitCode != 0 {
		t.Fatalf("exit code %d, %v, %q, %q", r.ExitCode, err, out.String(), said.String())
	}
	if held > 100<<20 {
		t.Errorf("a command with 512 MB of memory has %d MB in sockets", held>>20)
	}
}
