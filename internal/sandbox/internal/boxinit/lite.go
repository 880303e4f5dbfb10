//go:build linux && (amd64 || arm64 || riscv64)

package boxinit

import (
	"os"
	"syscall"
	"time"
)

// settle prepares an init of a box without namespaces. Whatever its command
// starts stays below it, because orphans become its children.
func settle() error {
	syscall.Umask(0o022)
	if err := prctl(prSetChildSubreaper, 1); err != nil {
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
	const tasks = "/proc/self/task"
	threads, _ := os.ReadDir(tasks)
	for _, t := range threads {
		list, _ := os.ReadFile(tasks + "/" + t.Name() + "/children")
		killListed(list)
	}
}

// killListed kills processes by their numbers, each of which a space follows.
func killListed(list []byte) {
	pid := 0
	for _, c := range list {
		switch {
		case c >= '0' && c <= '9':
			pid = pid*10 + int(c-'0')
		case pid > 0:
			syscall.Kill(pid, syscall.SIGKILL)
			pid = 0
		}
	}
}
