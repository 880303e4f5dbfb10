//go:build linux && (amd64 || arm64 || riscv64)

package seccomp

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Available reports whether this kernel filters calls and can do it as Commands
// wants.
func Available() error {
	for _, a := range []Answer{Kill, Fail(0), Allow} {
		_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&a)))
		if errno != 0 {
			return errno
		}
	}
	return nil
}
