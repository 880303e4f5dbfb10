//go:build amd64 || arm64 || riscv64

package confine

import (
	"bytes"
	"fmt"
	"os"
)

// Beside is how many processes and threads the user of this process has by now, as far
// as they can be seen. The kernel counts them all against RLIMIT_NPROC where a box has
// no user namespace: a command gets its own number on top. Root, whom that limit does
// not bind, needs no count.
func Beside() int {
	if os.Geteuid() == 0 {
		return 0
	}
	proc, err := os.Open("/proc")
	if err != nil {
		return 0
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(-1) // of those that were found
	own := fmt.Appendf(nil, "\nUid:\t%d\t", os.Getuid())
	n := 0
	for _, name := range names {
		if name[0] < '0' || name[0] > '9' {
			continue
		}
		status, err := os.ReadFile("/proc/" + name + "/status")
		if err != nil || !bytes.Contains(status, own) {
			continue
		}
		threads := 1
		if _, after, ok := bytes.Cut(status, []byte("\nThreads:")); ok {
			_, _ = fmt.Sscan(string(after), &threads)
		}
		n += threads
	}
	return n
}
