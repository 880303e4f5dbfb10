//go:build amd64 || arm64 || riscv64

package native

import (
	"fmt"

	"golang.org/x/sys/unix"

	"mgx/internal/sandbox/internal/landlock"
	"mgx/internal/sandbox/internal/seccomp"
)

// findWalls asks the kernel what it has. A box whose plan has a wall that then
// cannot be built does not start.
func findWalls() walls {
	return walls{Network: true, Seccomp: seccomp.Available() == nil, Landlock: landlock.Version()}
}

// filter is the program that answers the command's system calls.
func (w walls) filter() *unix.SockFprog {
	if !w.Seccomp {
		return nil
	}
	return seccomp.Program(seccomp.Compile(seccomp.Commands(w.Network)))
}

// ruleset says again, in the box, what its mounts say: all of it may be read, and
// only what is mounted writable may be changed.
func (p plan) ruleset() (fd int, err error) {
	if p.Walls.Landlock == 0 {
		return -1, nil
	}
	if p.Lite != nil {
		return landlock.Ruleset(p.Walls.Landlock, p.Lite)
	}
	rules := []landlock.Rule{{Path: "/", Allow: landlock.Look}, {Path: "/dev", Allow: landlock.Look | landlock.Write}}
	for _, m := range p.Mounts {
		if !m.ReadOnly && (m.Kind == bind || m.Kind == tmpfs || m.Kind == overlay) {
			rules = append(rules, landlock.Rule{Path: m.Target, Allow: landlock.Change})
		}
	}
	return landlock.Ruleset(p.Walls.Landlock, rules)
}

// enterGroups moves this thread, and what it starts, into the cgroups whose files
// this init got. From version 2 on it was started in its group.
func (w walls) enterGroups() error {
	for fd := groupFD; fd < groupFD+w.Groups; fd++ {
		if _, err := unix.Write(fd, []byte("0")); err != nil {
			return fmt.Errorf("enter: %w", err)
		}
	}
	return nil
}
