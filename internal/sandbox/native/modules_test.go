//go:build linux

package native_test

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/native"
)

const modulesEnv = "MGX_NATIVE_TEST_MODULES" // has this test binary ask for modules of the kernel

// playModules does what the kernel would load modules for, within the box, as far as no
// module has to be there for it, and says what came of it.
func playModules() {
	if os.Getenv(modulesEnv) == "" {
		return
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP)
	fmt.Println("TCP:", err)
	fmt.Println("a line:", control(socket, unix.TIOCSETD))
	fmt.Println("bridges:", control(socket, 0x8940))
	fmt.Println("VLANs:", control(socket, 0x8982))
	const nobodys = 200
	_, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW, nobodys)
	fmt.Println("a protocol:", err)
	_, err = unix.Socket(unix.AF_INET6, unix.SOCK_SEQPACKET, 0)
	fmt.Println("a kind:", err)
	os.Exit(0)
}

func control(fd int, request uintptr) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, 0); errno != 0 {
		return errno
	}
	return nil
}

// TestModulesAreNotAskedFor: what a command asks of terminals and sockets has the kernel
// load no module, which would be code of the machine's that nothing there uses.
func TestModulesAreNotAskedFor(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	box, err := native.New().Open(t.Context(), sandbox.Spec{Work: t.TempDir(), Mounts: []sandbox.Mount{{Host: exe, Guest: exe, Mode: sandbox.ReadOnly}}})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	var out bytes.Buffer
	r, err := box.Run(t.Context(), sandbox.Command{Args: []string{exe}, Env: []string{modulesEnv + "=1"}, Stdout: &out, Stderr: &out, Timeout: time.Minute})
	if err != nil || r.ExitCode != 0 {
		t.Fatalf("exit code %d, %v, %s", r.ExitCode, err, out.String())
	}
	want := fmt.Sprintf("TCP: <nil>\na line: %v\nbridges: %[1]v\nVLANs: %[1]v\na protocol: %[2]v\na kind: %[3]v\n",
		syscall.EPERM, syscall.EPROTONOSUPPORT, syscall.ESOCKTNOSUPPORT)
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}
