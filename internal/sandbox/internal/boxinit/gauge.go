//go:build linux && (amd64 || arm64 || riscv64)

package boxinit

import (
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// gauge looks at the places for temporary files: no kernel tells when one of them
// could take no more. What was full for less than gaugeEvery, and is not at the
// end, is not seen.
type gauge struct {
	dirs []string
	full atomic.Bool
}

const gaugeEvery = 100 * time.Millisecond

const pollIn = 1 // POLLIN

func (p *Plan) gauge() *gauge {
	g := &gauge{}
	for _, m := range p.Mounts {
		if m.Kind == Tmpfs && !m.ReadOnly {
			g.dirs = append(g.dirs, m.Target)
		}
	}
	return g
}

// wait returns whether the parent's pipe can be read, or false when it is time to
// look, for which there is no thread of its own: those count as processes.
func (g *gauge) wait() (readable bool) {
	if len(g.dirs) == 0 || g.full.Load() {
		return true
	}
	pipe := struct {
		fd           int32
		asked, found int16
	}{fd: int32(PlanFD + moved), asked: pollIn}
	timeout := syscall.NsecToTimespec(int64(gaugeEvery))
	n, err := call(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&pipe)), 1, uintptr(unsafe.Pointer(&timeout)), 0, 0)
	return err == nil && n > 0
}

func (g *gauge) look() {
	for _, dir := range g.dirs {
		var fs syscall.Statfs_t
		if err := syscall.Statfs(dir, &fs); err != nil {
			continue
		}
		if fs.Blocks > 0 && fs.Bavail == 0 || fs.Files > 0 && fs.Ffree == 0 {
			g.full.Store(true)
		}
	}
}

// tell looks a last time, and tells the parent what was seen.
func (g *gauge) tell() {
	if g.look(); g.full.Load() {
		_, _ = syscall.Write(int(StatusFD+moved), []byte{filled})
	}
}
