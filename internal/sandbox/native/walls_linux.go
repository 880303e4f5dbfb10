//go:build amd64 || arm64 || riscv64

package native

import (
	"golang.org/x/sys/unix"

	"mgx/internal/sandbox/internal/seccomp"
)

// findWalls asks the kernel what it has. A box whose plan has a wall that then
// cannot be built does not start.
func findWalls() walls {
	return walls{Seccomp: seccomp.Available() == nil}
}

// filter is the program that answers the command's system calls.
func (w walls) filter() *unix.SockFprog {
	if !w.Seccomp {
		return nil
	}
	return seccomp.Program(seccomp.Compile(seccomp.Commands(true)))
}
