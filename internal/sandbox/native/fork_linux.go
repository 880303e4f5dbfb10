//go:build amd64 || arm64 || riscv64

package native

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"mgx/internal/sandbox/internal/seccomp"
	"mgx/internal/sandbox/internal/shell"
)

// program is a command in the form the kernel takes it, so that nothing has to
// be allocated between fork and exec.
type program struct {
	path    *byte
	argv    []*byte
	envv    []*byte
	limits  []rlimit
	ruleset int             // of Landlock; negative: none
	filter  *unix.SockFprog // of system calls; nil: none
	failed  []byte          // said on stderr when exec fails
}

type rlimit struct {
	resource uintptr
	value    unix.Rlimit
}

func newProgram(path string, args, env []string, limits []rlimit) (*program, error) {
	p := &program{limits: limits, ruleset: -1, failed: []byte(shell.Complaint(args[0], shell.NotExecutable))}
	var err error
	if p.path, err = unix.BytePtrFromString(path); err != nil {
		return nil, err
	}
	if p.argv, err = syscall.SlicePtrFromStrings(args); err != nil {
		return nil, err
	}
	p.envv, err = syscall.SlicePtrFromStrings(env)
	return p, err
}

// defaultSignals gives every signal its default meaning. For the first process
// of a pid namespace that is to be ignored, so the command cannot disturb its
// init; and the command inherits nothing that was ignored by whoever started us.
func defaultSignals() error {
	var initial [4]uint64 // struct kernel_sigaction
	for s := unix.Signal(1); s <= 64; s++ {
		if s == unix.SIGKILL || s == unix.SIGSTOP {
			continue
		}
		_, _, errno := syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&initial)), 0, 8, 0, 0)
		if errno != 0 {
			return errno
		}
	}
	return nil
}

// start forks and executes the program on this thread, with the thread's
// credentials. os.StartProcess cannot set resource limits, and limits on the
// init itself could starve its runtime.
//
// A fork of a Go process has one thread and no working runtime, so the child
// runs only this function: no allocation, no stack growth, no runtime call.
//
//go:norace
//go:nosplit
//go:noinline
func (p *program) start() (pid int, errno syscall.Errno) {
	var none, all uint64 = 0, ^uint64(0)
	// No signal may interrupt the child before it is another program.
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&all)), 0, 8, 0, 0)
	r, _, e := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if e != 0 || r != 0 {
		syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&none)), 0, 8, 0, 0)
		return int(r), e
	}

	syscall.RawSyscall(unix.SYS_SETSID, 0, 0, 0)
	for i := range p.limits {
		l := &p.limits[i]
		if _, _, e := syscall.RawSyscall6(unix.SYS_PRLIMIT64, 0, l.resource, uintptr(unsafe.Pointer(&l.value)), 0, 0, 0); e != 0 {
			p.exit(shell.NotExecutable)
		}
	}
	if p.ruleset >= 0 {
		if _, _, e := syscall.RawSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(p.ruleset), 0, 0); e != 0 {
			p.exit(shell.NotExecutable)
		}
	}
	if _, _, e := syscall.RawSyscall(unix.SYS_CLOSE_RANGE, 3, ^uintptr(0)>>32, 0); e != 0 {
		p.exit(shell.NotExecutable)
	}
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&none)), 0, 8, 0, 0)
	if p.filter != nil {
		_, _, e := syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, seccomp.Flags, uintptr(unsafe.Pointer(p.filter)))
		if e != 0 {
			p.exit(shell.NotExecutable)
		}
	}
	_, _, e = syscall.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(p.path)),
		uintptr(unsafe.Pointer(&p.argv[0])), uintptr(unsafe.Pointer(&p.envv[0])))
	if e == syscall.ENOENT {
		p.exit(shell.NotFound)
	}
	p.exit(shell.NotExecutable)
	return 0, 0
}

//go:norace
//go:nosplit
func (p *program) exit(code uintptr) {
	syscall.RawSyscall(unix.SYS_WRITE, 2, uintptr(unsafe.Pointer(&p.failed[0])), uintptr(len(p.failed)))
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, code, 0, 0)
	}
}
