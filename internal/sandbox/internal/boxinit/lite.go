//go:build linux && (amd64 || arm64 || riscv64)

package boxinit

import (
	"os"
	"syscall"
	"time"

	"mgx/internal/sandbox/internal/landlock"
)

// settle prepares an init of a box without namespaces. Whatever its command
// starts stays below it, because orphans become its children. It reports whether
// this thread can signal no other process but those.
func (p *Plan) settle() (alone bool, err error) {
	syscall.Umask(0o022)
	if err := prctl(prSetChildSubreaper, 1); err != nil {
		return false, err
	}
	if err := dropPrivileges(); err != nil {
		return false, err
	}
	if p.Landlock < landlock.VersionScope {
		return false, nil
	}
	if err := landlock.KeepSignals(); err != nil {
		return false, err
	}
	return syscall.Kill(os.Getppid(), 0) == syscall.EPERM, nil // not on its word alone: see killAtOnce
}

// reapAll waits for the command, and then ends what it left.
func reapAll(command int, alone bool) int {
	code := reap(command)
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.ECHILD {
			return code
		}
		if pid == 0 { // there are some, and they live
			if alone {
				killAtOnce()
			} else {
				killChildren()
			}
			time.Sleep(200 * time.Microsecond)
		}
	}
}

// killAtOnce kills all that there are, while the kernel lets no process start another:
// those that start others and end, all the time, would be gone before they were found.
// It is for the thread that settled, which no other process hears.
func killAtOnce() {
	if syscall.Gettid() == syscall.Getpid() {
		syscall.Kill(-1, syscall.SIGKILL)
	}
}

// killAll goes on until the process ends, which it does when nothing is left. Where
// reapAll kills at once, this ends the command, for which that waits.
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
