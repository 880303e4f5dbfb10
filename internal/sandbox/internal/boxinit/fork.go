//go:build linux && (amd64 || arm64 || riscv64)

package boxinit

import (
	"syscall"
	"unsafe"

	"mgx/internal/sandbox/internal/landlock"
	"mgx/internal/sandbox/internal/shell"
)

// program is a command in the form the kernel takes it, so that nothing has to
// be allocated between fork and exec.
type program struct {
	path    *byte
	argv    []*byte
	envv    []*byte
	limits  []rlimit
	ruleset int     // of Landlock; negative: none
	filter  *filter // of system calls; nil: none
	failed  []byte  // said on stderr when exec fails
}

type rlimit struct {
	resource uintptr
	value    syscall.Rlimit
}

// filter is the kernel's struct sock_fprog.
type filter struct {
	instructions uint16
	code         *byte
}

// instructionBytes is the size of the kernel's struct sock_filter.
const instructionBytes = 8

func (p *Plan) program(path string) (*program, error) {
	prog := &program{ruleset: -1, failed: []byte(shell.Complaint(p.Args[0], shell.NotExecutable))}
	for _, l := range p.Limits {
		prog.limits = append(prog.limits, rlimit{uintptr(l.Resource), syscall.Rlimit{Cur: uint64(l.Soft), Max: uint64(l.Hard)}})
	}
	if p.Filter != "" {
		prog.filter = &filter{uint16(len(p.Filter) / instructionBytes), (*byte)(pointer(p.Filter))}
	}
	var err error
	if prog.path, err = syscall.BytePtrFromString(path); err != nil {
		return nil, err
	}
	if prog.argv, err = syscall.SlicePtrFromStrings(p.Args); err != nil {
		return nil, err
	}
	prog.envv, err = syscall.SlicePtrFromStrings(p.Env)
	return prog, err
}

// ruleset says again, in the box, what its mounts say, or at level lite all that
// there is to say.
func (p *Plan) ruleset() (fd int, err error) {
	if p.Landlock == 0 {
		return -1, nil
	}
	return landlock.Ruleset(p.Landlock, p.Rules)
}

// defaultSignals gives every signal its default meaning. For the first process
// of a pid namespace that is to be ignored, so the command cannot disturb its
// init; and the command inherits nothing that was ignored by whoever started us.
func defaultSignals() error {
	for s := syscall.Signal(1); s <= 64; s++ {
		if s == syscall.SIGKILL || s == syscall.SIGSTOP {
			continue
		}
		if err := handle(s, 0); err != nil {
			return err
		}
	}
	return nil
}

// ignore is for this process alone once the command has been forked: a signal that
// is ignored stays so through exec.
func ignore(s syscall.Signal) error { return handle(s, 1) }

// handle gives a signal one of the kernel's own handlers.
func handle(s syscall.Signal, handler uint64) error {
	action := [4]uint64{handler} // struct kernel_sigaction
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// start forks and executes the program on this thread, with the thread's
// credentials. os.StartProcess cannot set resource limits, and limits on the
// init itself could starve its runtime.
func (p *program) start() (pid int, errno syscall.Errno) {
	var none, all uint64 = 0, ^uint64(0)
	// No signal may interrupt the child before it is another program.
	syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, sigSetMask, uintptr(unsafe.Pointer(&all)), 0, 8, 0, 0)
	pid, errno = p.fork()
	syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, sigSetMask, uintptr(unsafe.Pointer(&none)), 0, 8, 0, 0)
	return pid, errno
}

// fork returns when the child is another program, or gone: until then that borrows our
// memory, as vfork(2) has it, which to copy would take longer than to start most
// programs. The child never leaves this function, and what it does to the stack is all
// below the frame of who called it.
//
// A child of a Go process has one thread and no working runtime, so it runs only
// this: no allocation, no stack growth, no runtime call.
//
//go:norace
//go:nosplit
//go:noinline
func (p *program) fork() (pid int, errno syscall.Errno) {
	if pid, errno = vfork(syscall.SYS_CLONE, syscall.CLONE_VM|syscall.CLONE_VFORK|uintptr(syscall.SIGCHLD)); pid != 0 {
		return pid, errno
	}
	var none uint64
	syscall.RawSyscall(syscall.SYS_SETSID, 0, 0, 0)
	for i := range p.limits {
		l := &p.limits[i]
		if _, _, e := syscall.RawSyscall6(sysPrlimit64, 0, l.resource, uintptr(unsafe.Pointer(&l.value)), 0, 0, 0); e != 0 {
			p.exit(shell.NotExecutable)
		}
	}
	if p.ruleset >= 0 {
		if _, _, e := syscall.RawSyscall(landlock.SysRestrictSelf, uintptr(p.ruleset), 0, 0); e != 0 {
			p.exit(shell.NotExecutable)
		}
	}
	if _, _, e := syscall.RawSyscall(sysCloseRange, 3, lastFD, 0); e != 0 {
		p.exit(shell.NotExecutable)
	}
	syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, sigSetMask, uintptr(unsafe.Pointer(&none)), 0, 8, 0, 0)
	if p.filter != nil {
		_, _, e := syscall.RawSyscall(sysSeccomp, seccompSetFilter, seccompFlags, uintptr(unsafe.Pointer(p.filter)))
		if e == syscall.EINVAL { // gVisor knows no brake to leave out
			_, _, e = syscall.RawSyscall(sysSeccomp, seccompSetFilter, 0, uintptr(unsafe.Pointer(p.filter)))
		}
		if e != 0 {
			p.exit(shell.NotExecutable)
		}
	}
	_, _, e := syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(unsafe.Pointer(p.path)),
		uintptr(unsafe.Pointer(&p.argv[0])), uintptr(unsafe.Pointer(&p.envv[0])))
	if e == syscall.ENOENT {
		p.exit(shell.NotFound)
	}
	p.exit(shell.NotExecutable)
	return 0, 0
}

// vfork makes the call, clone. It returns twice on the same stack, first in the child.
func vfork(call, flags uintptr) (pid int, errno syscall.Errno)

const (
	sigSetMask = 2
	lastFD     = 1<<31 - 1
)

//go:norace
//go:nosplit
func (p *program) exit(code uintptr) {
	syscall.RawSyscall(syscall.SYS_WRITE, 2, uintptr(unsafe.Pointer(&p.failed[0])), uintptr(len(p.failed)))
	for {
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, code, 0, 0)
	}
}
