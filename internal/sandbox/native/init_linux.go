//go:build amd64 || arm64 || riscv64

package native

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"mgx/internal/sandbox/internal/cgroup"
	"mgx/internal/sandbox/internal/shell"
)

// initName is the argv[0] that makes this binary an init. It is no secret: a
// process gains nothing by it that it could not do without us.
const initName = "mgx-sandbox-init"

// Descriptors of an init beside the command's 0, 1 and 2.
const (
	planFD   = 3 // the plan, then nothing until the parent is gone
	statusFD = 4 // a failure, or just the end once the command runs
	groupFD  = 5 // and the next few: files that let the writer into a cgroup
)

// Main turns this process into the init of a box if it was started as one, and
// then never returns. Otherwise it returns at once.
func Main() {
	if len(os.Args) != 1 || os.Args[0] != initName {
		return
	}
	runtime.LockOSThread() // credentials belong to threads
	os.Exit(initMain())
}

func initMain() int {
	if err := closeInherited(groupFD + cgroup.MaxEntries + maxDoors); err != nil {
		return report("close inherited descriptors", err)
	}
	unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&[]byte("mgx-init\x00")[0])), 0, 0, 0) // else "exe"
	p, err := readPlan()
	if err != nil {
		return report("plan", err)
	}
	if p.Lite != nil {
		if err := p.settle(); err != nil {
			return report("privileges", err)
		}
		return p.run(killAll, reapAll)
	}
	if stage, err := p.build(); err != nil {
		return report(stage, err)
	}
	return p.run(func() { os.Exit(shell.Killed + int(unix.SIGKILL)) }, reap)
}

// closeInherited closes every descriptor from first on that this process has
// from whoever started it: those that are not closed on exec. The others are our
// own runtime's, which may poll by the time that main begins.
func closeInherited(first int) error {
	dir, err := unix.Open("/proc/self/fd", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	var names []string
	for entries := make([]byte, 4<<10); ; {
		n, err := unix.ReadDirent(dir, entries)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		_, _, names = unix.ParseDirent(entries[:n], -1, names)
	}
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err != nil || fd < first {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.Close(fd)
		}
	}
	return nil
}

// readPlan reads up to the newline that ends a plan. It reads the raw way: the
// runtime's poller would move this goroutine between threads, which costs more
// than all mounts.
func readPlan() (p plan, err error) {
	var text []byte
	chunk := make([]byte, 32<<10)
	for !bytes.HasSuffix(text, []byte("\n")) {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, planFD, uintptr(unsafe.Pointer(&chunk[0])), uintptr(len(chunk)))
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 || n == 0 {
			return p, io.ErrUnexpectedEOF
		}
		text = append(text, chunk[:n]...)
	}
	return p, json.Unmarshal(text, &p)
}

// dieWithParent calls die when the other end of the pipe is gone. For the first
// process of a pid namespace it is enough to end. The kernel's own PDEATHSIG
// follows the thread that forked, which a Go program does not choose.
func dieWithParent(die func()) {
	for {
		n, err := unix.Read(planFD, make([]byte, 1))
		if err != unix.EINTR && n <= 0 {
			die()
			return
		}
	}
}

// report tells the parent why there is no command.
func report(stage string, err error) int {
	f := failure{Stage: stage, Text: err.Error()}
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		f.Errno = int(errno)
	}
	_, f.Usage = errors.AsType[usageError](err)
	if _, ok := errors.AsType[overlayError](err); ok {
		f.Stage = stageOverlay
	}
	tell(f)
	return 125
}

func tell(f failure) {
	if b, err := json.Marshal(f); err == nil {
		unix.Write(statusFD, b)
	}
}

// tellStarted reports that nothing failed, as an empty failure.
func tellStarted() { unix.Write(statusFD, []byte("{}")) }

// usageError is the command's fault, not the machine's.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// build makes this process's namespaces the box of the plan.
func (p plan) build() (stage string, err error) {
	var fds []int
	for _, s := range []struct {
		stage string
		do    func() error
	}{
		{"private mounts", func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") }},
		{"oom score", preferForOOM},
		{"mounts", func() (err error) { fds, err = p.detachAll(); return err }},
		{"pivot", enterRoot},
		{"root", func() error { return p.fill(fds) }},
		{"seal", sealRoot},
		{"network", loopbackUp},
		{"gate", p.handOutListener},
		{"host name", func() error { return unix.Sethostname([]byte("mgx")) }},
		{"keyring", newKeyring},
		{"privileges", dropPrivileges},
	} {
		if err := s.do(); err != nil {
			return s.stage, err
		}
	}
	unix.Umask(0o022)
	return "", nil
}

// run executes the command and returns its exit code as a shell counts.
func (p plan) run(die func(), reap func(command int) int) int {
	if err := unix.Chdir(p.Dir); err != nil {
		return report("directory", usageError{&os.PathError{Op: "enter", Path: p.Dir, Err: err}})
	}
	file, code := shell.Find(p.Dir, p.Args[0], p.Env)
	if code != 0 {
		unix.Write(2, []byte(shell.Complaint(p.Args[0], code)))
		tellStarted()
		return code
	}
	prog, err := newProgram(file, p.Args, p.Env, rlimits(p.Limits))
	if err != nil {
		return report("command", usageError{err})
	}
	prog.filter = p.Walls.filter()
	if prog.ruleset, err = p.ruleset(); err != nil {
		return report("landlock", err)
	}
	if err := defaultSignals(); err != nil {
		return report("signals", err)
	}
	if err := p.Walls.enterGroups(); err != nil {
		return report("cgroup", err)
	}
	pid, errno := prog.start()
	if errno != 0 {
		return report("fork", errno)
	}
	release()
	go dieWithParent(die)
	return reap(pid)
}

// release gives up the command's streams, so that they end when the command's
// processes close them, and tells the parent that the command runs.
func release() {
	if null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0); err == nil {
		for fd := range 3 {
			unix.Dup3(null, fd, unix.O_CLOEXEC)
		}
	}
	tellStarted()
	unix.Close(statusFD)
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
