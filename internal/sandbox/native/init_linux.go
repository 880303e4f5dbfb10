//go:build amd64 || arm64 || riscv64

package native

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/signal"
	"path"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// initName is the argv[0] that makes this binary an init. It is no secret: a
// process gains nothing by it that it could not do without us.
const initName = "mgx-sandbox-init"

// Descriptors of an init beside the command's 0, 1 and 2.
const (
	planFD   = 3 // the plan, then nothing until the parent is gone
	statusFD = 4 // a failure, or just the end once the command runs
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
	if err := unix.CloseRange(statusFD+1, ^uint(0)>>32, 0); err != nil {
		return report("close inherited descriptors", err)
	}
	unix.CloseOnExec(planFD)
	unix.CloseOnExec(statusFD)
	parent := os.NewFile(planFD, "plan")
	var p plan
	in := json.NewDecoder(parent)
	if err := in.Decode(&p); err != nil {
		return report("plan", err)
	}
	go dieWith(parent)

	if stage, err := p.build(); err != nil {
		return report(stage, err)
	}
	return p.run()
}

// dieWith ends the process, and so the whole pid namespace, when the other end
// of the pipe is gone. The kernel's own PDEATHSIG follows the thread that
// forked, which a Go program does not choose.
func dieWith(parent io.Reader) {
	io.Copy(io.Discard, parent)
	os.Exit(128 + int(unix.SIGKILL))
}

// report tells the parent why there is no command.
func report(stage string, err error) int {
	f := failure{Stage: stage, Text: err.Error(), Errno: errnoOf(err)}
	_, f.Usage = errors.AsType[usageError](err)
	if b, err := json.Marshal(f); err == nil {
		unix.Write(statusFD, b)
	}
	return 125
}

type usageError struct{ error }

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
		{"processes", func() error { return p.boundProcesses(fds) }},
		{"pivot", enterRoot},
		{"root", func() error { return p.fill(fds) }},
		{"seal", sealRoot},
		{"network", loopbackUp},
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

// boundProcesses is best effort: an ordinary user is bound by RLIMIT_NPROC, and
// the probe says when root is not.
func (p plan) boundProcesses(fds []int) error {
	for i, m := range p.Mounts {
		if m.Kind == proc && p.Limits.Processes > 0 {
			boundPIDs(fds[i], p.Limits.Processes)
		}
	}
	return nil
}

// run executes the command and returns its exit code as a shell counts.
func (p plan) run() int {
	if err := os.Chdir(p.Dir); err != nil {
		return report("directory", usageError{err})
	}
	file, code := lookPath(p.Args[0], p.Env)
	if code != 0 {
		say(p.Args[0] + map[int]string{126: ": permission denied", 127: ": command not found"}[code])
		return code
	}
	prog, err := newProgram(file, p.Args, p.Env, rlimits(p.Limits))
	if err != nil {
		return report("command", usageError{err})
	}
	signal.Notify(make(chan os.Signal, 1)) // the command may signal its init; nothing comes of it
	pid, errno := prog.start()
	if errno != 0 {
		return report("fork", errno)
	}
	release()
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
			return 128 + int(status.Signal())
		case pid == command && status.Exited():
			return status.ExitStatus()
		}
	}
}

func say(text string) { os.Stderr.WriteString("mgx: " + text + "\n") }

// lookPath finds a program as a shell does: code 127 when there is none, 126
// when what is there cannot be executed.
func lookPath(name string, env []string) (file string, code int) {
	if strings.Contains(name, "/") {
		return name, executable(name)
	}
	code = 127
	for _, dir := range strings.Split(pathOf(env), ":") {
		file := path.Join("/", dir, name)
		switch executable(file) {
		case 0:
			return file, 0
		case 126:
			code = 126
		}
	}
	return "", code
}

func executable(file string) (code int) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return 127
	case info.IsDir(), unix.Access(file, unix.X_OK) != nil:
		return 126
	}
	return 0
}

func pathOf(env []string) string {
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, "PATH="); ok {
			return v
		}
	}
	return ""
}
