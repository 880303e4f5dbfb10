//go:build amd64 || arm64 || riscv64

package native

import (
	"context"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/confine"
	"mgx/internal/sandbox/internal/boxinit"
	"mgx/internal/sandbox/internal/cgroup"
	"mgx/internal/sandbox/internal/disk"
	"mgx/internal/sandbox/internal/landlock"
	"mgx/internal/sandbox/internal/shell"
)

type box struct {
	confine.Box
	groups   *cgroup.Place // nil: processes cannot be bounded together
	quota    *disk.Quota   // of the workspace and the state
	overlays chan struct{} // held by the command that has the overlays mounted
	release  func()        // of the group around those of all commands
}

func (b *box) Path(guest string) string { return guest }

func (b *box) Close() error {
	b.release()
	return nil // nothing outlives a command
}

// Level is full when no wall is missing. A box whose walls then cannot be built
// runs nothing.
func (b *box) Level() sandbox.Level {
	if w := b.Base.Walls; w.Seccomp && w.Landlock >= landlock.VersionTruncate && b.groups != nil {
		return sandbox.LevelFull
	}
	return sandbox.LevelBasic
}

func (b *box) Run(ctx context.Context, cmd sandbox.Command) (sandbox.Result, error) {
	if err := confine.Check(cmd); err != nil {
		return sandbox.Result{}, err
	}
	p, err := b.Plan(cmd)
	if err != nil {
		return sandbox.Result{}, err
	}
	p.CoverSockets()
	if p.HasOverlay() {
		select {
		case b.overlays <- struct{}{}:
			defer func() { <-b.overlays }()
		case <-ctx.Done():
			return sandbox.Result{}, confine.Stopped(ctx)
		}
	}
	p.UID, p.GID = os.Geteuid(), os.Getegid()
	m := confine.Machine{Groups: b.groups, Whose: b.Spec.ID, Quota: b.quota, Start: start(namespaces), Refuse: unavailable}
	return m.Run(ctx, p, cmd, b.Gate(cmd))
}

// start starts this program again, as an init.
func start(attributes func() *syscall.SysProcAttr) confine.Start {
	return func(_ context.Context, files []*os.File, group confine.Group) (confine.Process, error) {
		attr := &os.ProcAttr{Dir: "/", Env: boxinit.Env, Files: files, Sys: attributes()}
		if group.Directory != nil {
			attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, int(group.Directory.Fd())
		}
		process, err := startDrowsy("/proc/self/exe", []string{boxinit.Name}, attr)
		if err != nil {
			return nil, err
		}
		return initProcess{process}, nil
	}
}

// startDrowsy starts an init whose threads may sleep a millisecond longer than they
// want. One of them, the Go runtime's own, wants to look after the others every 20
// microseconds, and would take from those a tenth of the little time that an init has
// to build a box. What says how long is a thread's, and passed on to what it starts.
func startDrowsy(name string, argv []string, attr *os.ProcAttr) (*os.Process, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(time.Millisecond), 0, 0, 0) == nil {
		defer unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) // what it was
	}
	return os.StartProcess(name, argv, attr)
}

type initProcess struct{ *os.Process }

func (in initProcess) Kill() { _ = in.Process.Kill() }

// Wait returns the init's exit code once all of its pid namespace is dead.
func (in initProcess) Wait() (code int, err error) {
	state, err := in.Process.Wait()
	if err != nil {
		return 0, err
	}
	status := state.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return shell.Killed + int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}

// setupCaps are what an init holds while it builds the box. Overlay keeps the
// credentials of who mounted it for its own work on the layers, which is why
// those of files are among them; every access by a command is checked against
// the command first.
var setupCaps = []uintptr{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID,
	unix.CAP_SETPCAP, unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN, unix.CAP_SYS_RESOURCE,
}

// namespaces makes the init the first process of new ones, with the capabilities
// to build the box; it says itself who its user there is. Until it is another
// program it borrows our memory (CLONE_VM), as package syscall has it for all
// processes but those in new user namespaces, for which it copies the tables of
// every page that we use.
func namespaces() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_VM | unix.CLONE_VFORK |
			unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET |
			unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP,
		AmbientCaps: setupCaps,
		Setsid:      true,
	}
}

// beside makes an init without namespaces.
func beside() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
