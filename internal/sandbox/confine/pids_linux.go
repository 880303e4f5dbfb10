//go:build amd64 || arm64 || riscv64

package confine

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"mgx/internal/sandbox"
)

// MostProcesses is what a command is allowed of processes where a cgroup bounds them:
// that says when it is reached, and so must come first.
func MostProcesses(l sandbox.Limits) int { return 2 * l.Processes }

// mostPIDs bounds the pids of a box that has its own; 0: not at all.
func mostPIDs(l sandbox.Limits, grouped bool) int {
	switch {
	case !ownPIDMax():
		return 0
	case grouped:
		return MostProcesses(l)
	}
	return l.Processes
}

// ownPIDMax reports whether each pid namespace has a pid_max. On other kernels the
// file that bounds a box is that of the whole machine, and an init of root could
// write it.
var ownPIDMax = sync.OnceValue(func() bool {
	var name unix.Utsname
	return unix.Uname(&name) == nil && ownPIDMaxSince(unix.ByteSliceToString(name.Release[:]))
})

// ownPIDMaxSince goes by the release, since the one sure trial is to write the file.
// One that is not understood has none.
func ownPIDMaxSince(release string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > 6 || major == 6 && minor >= 14
}
