//go:build amd64 || arm64 || riscv64

package native

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// settle prepares an init of a box without namespaces. Whatever its command
// starts stays below it, because orphans become its children.
func (p plan) settle() error {
	unix.Umask(0o022)
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	return dropPrivileges()
}

// reapAll waits for the command, and then ends what it left.
func reapAll(command int) int {
	code := reap(command)
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.ECHILD {
			return code
		}
		if pid == 0 { // there are some, and they live
			killChildren()
			time.Sleep(200 * time.Microsecond)
		}
	}
}

// killAll goes on until the process ends, which it does when nothing is left.
func killAll() {
	for ; ; time.Sleep(time.Millisecond) {
		killChildren()
	}
}

// killChildren kills those there are now; theirs become ours.
func killChildren() {
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, name := range tasks {
		list, _ := os.ReadFile(name)
		for pid := range strings.FieldsSeq(string(list)) {
			if n, err := strconv.Atoi(pid); err == nil {
				unix.Kill(n, unix.SIGKILL)
			}
		}
	}
}
