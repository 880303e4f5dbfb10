//go:build amd64 || arm64 || riscv64

package confine

import (
	"math"
	"net/netip"
	"slices"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/internal/boxinit"
	"mgx/internal/sandbox/internal/landlock"
	"mgx/internal/sandbox/internal/seccomp"
)

// Plan is what an init is told, and what that is made from.
type Plan struct {
	boxinit.Plan
	Limits sandbox.Limits
	Walls  Walls
	Beside int  // processes that the kernel counts with those of the command, where no user namespace keeps them apart
	Sealed bool // modes, owners and times of files stay what they are; mounts see to that by themselves
	gated  bool // the box has a gate for this command
}

type (
	mount = boxinit.Mount
	file  = boxinit.File
	link  = boxinit.Link
)

// Walls are those that not every kernel has.
type Walls struct {
	Network  bool // the box has one of its own, so sockets reach only that
	Seccomp  bool
	Landlock int // its version; 0: none
}

// FindWalls asks the kernel what it has. A box whose plan has a wall that then
// cannot be built does not start.
func FindWalls() Walls {
	return Walls{Network: true, Seccomp: seccomp.Available() == nil, Landlock: landlock.Version()}
}

// filters are the programs that answer system calls, as the kernel has them.
var filters = map[seccomp.Box]func() string{
	{}:                           compiled(seccomp.Box{}),
	{Shared: true}:               compiled(seccomp.Box{Shared: true}),
	{Shared: true, Sealed: true}: compiled(seccomp.Box{Shared: true, Sealed: true}),
}

func compiled(b seccomp.Box) func() string {
	return sync.OnceValue(func() string {
		code := seccomp.Compile(seccomp.Commands(b))
		return string(unsafe.Slice((*byte)(unsafe.Pointer(&code[0])), len(code)*int(unsafe.Sizeof(code[0]))))
	})
}

// complete fills in what follows from the rest of the plan. An init gets as many
// descriptors as groups has files, and then that of the door. Grouped are processes
// that a cgroup bounds.
func (p *Plan) complete(groups int, grouped bool) {
	p.Plan.Limits = rlimits(p.Limits, grouped, p.Beside)
	if !p.Contained { // who builds containers is told, and gVisor has no such limit
		n := PendingSignals()
		p.Plan.Limits = append(p.Plan.Limits, boxinit.Limit{Resource: unix.RLIMIT_SIGPENDING, Soft: n, Hard: n})
		// Who may be scheduled before others (ulimit -r, -e) lets no command be, for
		// which weights would not count.
		p.Plan.Limits = append(p.Plan.Limits, boxinit.Limit{Resource: unix.RLIMIT_RTPRIO}, boxinit.Limit{Resource: unix.RLIMIT_NICE})
	}
	for i := range p.Mounts {
		if p.Mounts[i].Kind == boxinit.Proc {
			p.Mounts[i].Processes = mostPIDs(p.Limits, grouped)
		}
	}
	if p.Walls.Seccomp {
		p.Filter = filters[seccomp.Box{Shared: !p.Walls.Network, Sealed: p.Sealed}]()
	}
	if p.Landlock = p.Walls.Landlock; !p.Lite {
		p.Rules = p.rules()
	}
	p.Groups = groups
	p.Opened = boxinit.FreeFD + groups
	if p.gated {
		at := netip.MustParseAddrPort(sandbox.GateAddress)
		address := at.Addr().As4()
		p.Door, p.Listen = p.Opened, string(append(address[:], byte(at.Port()>>8), byte(at.Port())))
		p.Opened++
	}
}

// rules say again, in the box, what its mounts say: all of it may be read, and
// only what is mounted writable may be changed.
func (p *Plan) rules() []landlock.Rule {
	rules := []landlock.Rule{{Path: "/", Allow: landlock.Look}, {Path: "/dev", Allow: landlock.Look | landlock.Write}}
	for _, m := range p.Mounts {
		if !m.ReadOnly && (m.Kind == boxinit.Bind || m.Kind == boxinit.Tmpfs || m.Kind == boxinit.Overlay) {
			rules = append(rules, landlock.Rule{Path: m.Target, Allow: landlock.Change})
		}
	}
	return rules
}

// HasOverlay reports whether commands of the plan must take turns: the kernel allows
// one writer of an overlay.
func (p *Plan) HasOverlay() bool {
	return slices.ContainsFunc(p.Mounts, func(m mount) bool { return m.Kind == boxinit.Overlay })
}

// xcpuGrace is how many seconds lie between SIGXCPU, which says what is wrong, and
// SIGKILL.
const xcpuGrace = 2

// rlimits translates limits; those not set are left to the system. What this process
// itself may not go beyond, its commands may not either. Others are processes that count
// with those of the command.
func rlimits(l sandbox.Limits, grouped bool, others int) []boxinit.Limit {
	core := CoreSize()
	list := []boxinit.Limit{{Resource: unix.RLIMIT_CORE, Soft: core, Hard: core}}
	add := func(resource int, n, grace int64) {
		if n > 0 {
			most := hardLimit(resource)
			list = append(list, boxinit.Limit{Resource: int64(resource), Soft: min(n, most), Hard: min(n+grace, most)})
		}
	}
	add(unix.RLIMIT_AS, l.Addresses, 0)
	processes := l.Processes
	if grouped {
		processes = MostProcesses(l)
	}
	if processes > 0 {
		processes += others
	}
	add(unix.RLIMIT_NPROC, int64(processes), 0)
	add(unix.RLIMIT_FSIZE, l.FileSize, 0)
	add(unix.RLIMIT_NOFILE, int64(l.OpenFiles), 0)
	add(unix.RLIMIT_CPU, int64((l.CPU+time.Second-1)/time.Second), xcpuGrace)
	return list
}

// CoreSize is the limit on core files: less than any has, and not 0, which would not
// hold where the machine has a program for them. That the kernel starts outside of the
// box, as root, unless the limit is 1; see core(5), and the filter keeps it so. Where
// this process is allowed none, it cannot be 1.
func CoreSize() int64 { return min(1, hardLimit(unix.RLIMIT_CORE)) }

// PendingSignals is how many of a command may wait, timers among them. The kernel counts
// them for a user, so a command has the same part of them as of what it watches.
func PendingSignals() int64 { return hardLimit(unix.RLIMIT_SIGPENDING) / boxinit.PartOfUser }

// withinOurs are limits as commands have them where this process is allowed less.
func withinOurs(l sandbox.Limits) sandbox.Limits {
	l.FileSize = min(l.FileSize, hardLimit(unix.RLIMIT_FSIZE))
	l.OpenFiles = int(min(int64(l.OpenFiles), hardLimit(unix.RLIMIT_NOFILE)))
	l.CPU = time.Duration(min(int64(l.CPU/time.Second), hardLimit(unix.RLIMIT_CPU))) * time.Second
	return l
}

func hardLimit(resource int) int64 {
	var now unix.Rlimit
	if err := unix.Getrlimit(resource, &now); err != nil || now.Max > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(now.Max)
}
