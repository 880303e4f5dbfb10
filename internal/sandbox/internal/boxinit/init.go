//go:build linux && (amd64 || arm64 || riscv64)

package boxinit

import (
	"errors"
	"io"
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"mgx/internal/sandbox/internal/shell"
)

// init takes the process over if it was started as the init of a box, and then
// never returns. It stays on the thread that the process began with, as all inits
// of packages do, which matters: credentials belong to threads.
func init() {
	if len(os.Args) != 1 {
		return
	}
	switch os.Args[0] {
	case movedName:
		moved = movedBy
		fallthrough
	case Name:
		os.Exit(initMain())
	case ContainedName:
		os.Exit(becomeInit())
	}
}

func initMain() int {
	p, err := readPlan()
	if err != nil {
		return report("plan", err)
	}
	p.move()
	if err := closeInherited(p.Opened); err != nil {
		return report("close inherited descriptors", err)
	}
	_, _ = call(syscall.SYS_PRCTL, prSetName, uintptr(pointer("mgx-init"))) // else "exe"
	_ = prctl(prSetTimerSlack, usualSlack)                                  // for the command, which this thread starts
	if p.Lite {
		alone, err := p.settle()
		if err != nil {
			return report("privileges", err)
		}
		return p.run(killAll, func(command int) int { return reapAll(command, alone) })
	}
	build := p.build
	if p.Contained {
		build = p.settleIn
	}
	if stage, err := build(); err != nil {
		return report(stage, err)
	}
	// It is the first process of a pid namespace, which ends with it.
	return p.run(func() { os.Exit(shell.Killed + int(syscall.SIGKILL)) }, reap)
}

// closeInherited closes every descriptor from first on that this process has
// from whoever started it: those that are not closed on exec. The others are our
// own runtime's, which may poll by now.
func closeInherited(first int) error {
	dir, err := syscall.Open("/proc/self/fd", syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(dir)
	var names []string
	for entries := make([]byte, 4<<10); ; {
		n, err := syscall.ReadDirent(dir, entries)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		_, _, names = syscall.ParseDirent(entries[:n], -1, names)
	}
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err != nil || fd < first {
			continue
		}
		if flags, err := call(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD); err == nil && flags&syscall.FD_CLOEXEC == 0 {
			syscall.Close(fd)
		}
	}
	return nil
}

// readPlan reads what Encode wrote.
func readPlan() (p Plan, err error) {
	head := make([]byte, lengthBytes)
	if err := readFull(head); err != nil {
		return p, err
	}
	n := 0
	for i, b := range head {
		n |= int(b) << (8 * i)
	}
	text := make([]byte, n)
	if err := readFull(text); err != nil {
		return p, err
	}
	return decodePlan(text)
}

// readFull reads the raw way: the runtime's poller would move this goroutine
// between threads, which costs more than all mounts.
func readFull(b []byte) error {
	for len(b) > 0 {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, PlanFD+moved, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 || n == 0 {
			return io.ErrUnexpectedEOF
		}
		b = b[n:]
	}
	return nil
}

// dieWithParent calls die when the other end of the pipe is gone, and looks at the
// gauge meanwhile. For the first process of a pid namespace it is enough to end. The
// kernel's own PDEATHSIG follows the thread that forked, which a Go program does not
// choose.
func dieWithParent(die func(), g *gauge) {
	for {
		if !g.wait() {
			g.look()
			continue
		}
		n, err := syscall.Read(int(PlanFD+moved), make([]byte, 1))
		if err != syscall.EINTR && n <= 0 {
			die()
			return
		}
	}
}

// report tells the parent why there is no command.
func report(stage string, err error) int {
	f := Failure{Stage: stage, Text: err.Error()}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		f.Errno = int(errno)
	}
	_, f.Usage = errors.AsType[usageError](err)
	if _, ok := errors.AsType[overlayError](err); ok {
		f.Stage = StageOverlay
	}
	_, _ = syscall.Write(int(StatusFD+moved), f.encode())
	return 125
}

// tellBegun says that from now on the command may run, before it does. Whoever
// hears nothing else must not start it anew.
func tellBegun() error {
	n, err := syscall.Write(int(StatusFD+moved), []byte{begun})
	if err == nil && n != 1 {
		err = io.ErrShortWrite
	}
	return err
}

// tellStarted reports that nothing failed, as an empty failure.
func tellStarted() { _, _ = syscall.Write(int(StatusFD+moved), Failure{}.encode()) }

// usageError is the command's fault, not the machine's.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// failing is err with what was being done.
func failing(what string, err error) error { return stepError{what, err} }

type stepError struct {
	what string
	error
}

func (e stepError) Error() string { return e.what + ": " + e.error.Error() }
func (e stepError) Unwrap() error { return e.error }

// build makes this process's namespaces the box of the plan.
func (p *Plan) build() (stage string, err error) {
	var fds []int
	for _, s := range []struct {
		stage string
		do    func() error
	}{
		{"namespaces", p.nameUser},
		{"private mounts", func() error { return syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "") }},
		{"oom score", preferForOOM},
		{"mounts", func() (err error) { fds, err = p.detachAll(); return err }},
		{"pivot", enterRoot},
		{"root", func() error { return p.fill(fds) }},
		{"seal", sealRoot},
		{"network", loopbackUp},
		{"gate", p.handOutListener},
		{"host name", func() error { return syscall.Sethostname([]byte("mgx")) }},
		{"keyring", newKeyring},
		{"privileges", dropPrivileges},
	} {
		if err := s.do(); err != nil {
			return s.stage, err
		}
	}
	syscall.Umask(0o022)
	return "", nil
}

// run executes the command and returns its exit code as a shell counts.
func (p *Plan) run(die func(), reap func(command int) int) int {
	if err := syscall.Chdir(p.Dir); err != nil {
		return report("directory", usageError{&os.PathError{Op: "enter", Path: p.Dir, Err: err}})
	}
	file, code := shell.Find(p.Dir, p.Args[0], p.Env)
	if code != 0 {
		_, _ = syscall.Write(2, []byte(shell.Complaint(p.Args[0], code)))
		tellStarted()
		return code
	}
	prog, err := p.program(file)
	if err != nil {
		return report("command", usageError{err})
	}
	if prog.ruleset, err = p.ruleset(); err != nil {
		return report("landlock", err)
	}
	if err := defaultSignals(); err != nil {
		return report("signals", err)
	}
	gauge := p.gauge()
	go dieWithParent(die, gauge) // from before the start, which may take as long as the program's file
	if err := p.enterGroups(); err != nil {
		return report("cgroup", err)
	}
	if err := tellBegun(); err != nil {
		return report("begin", err)
	}
	pid, errno := prog.start()
	if errno != 0 {
		return report("fork", errno)
	}
	if err := ignore(syscall.SIGPIPE); err != nil { // which telling a dead parent would bring
		return report("signals", err)
	}
	release()
	code = reap(pid)
	gauge.tell()
	return code
}

// enterGroups moves this thread, and what it starts, into the cgroups whose files
// this init got. From version 2 on it was started in its group.
func (p *Plan) enterGroups() error {
	first := FreeFD + int(moved)
	for fd := first; fd < first+p.Groups; fd++ {
		if _, err := syscall.Write(fd, []byte("0")); err != nil {
			return failing("enter", err)
		}
	}
	return nil
}

// release gives up the command's streams, so that they end when the command's
// processes close them, and tells the parent that the command runs.
func release() {
	if null, err := syscall.Open(os.DevNull, syscall.O_RDWR|syscall.O_CLOEXEC, 0); err == nil {
		for fd := range 3 {
			_ = syscall.Dup3(null, fd, syscall.O_CLOEXEC)
		}
	}
	tellStarted()
}

// reap waits for the command, and for every orphan meanwhile.
func reap(command int) int {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return 125
		case pid == command && status.Signaled():
			return shell.Killed + int(status.Signal())
		case pid == command && status.Exited():
			return status.ExitStatus()
		}
	}
}
