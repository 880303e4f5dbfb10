//go:build amd64 || arm64 || riscv64

package native

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/internal/boxinit"
	"mgx/internal/sandbox/internal/cgroup"
	"mgx/internal/sandbox/internal/disk"
	"mgx/internal/sandbox/internal/landlock"
	"mgx/internal/sandbox/internal/shell"
	"mgx/internal/sandbox/internal/stdio"
)

// drainGrace is how long a writer may take for what is left in the pipes after
// the last process is gone.
const drainGrace = 5 * time.Second

type box struct {
	spec      sandbox.Spec
	base      plan
	limits    sandbox.Limits
	groups    *cgroup.Place // nil: processes cannot be bounded together
	quota     *disk.Quota   // of the workspace and the state
	noOverlay bool          // the machine cannot, where this box keeps its state
	overlays  chan struct{} // held by the command that has the overlays mounted
}

func (b *box) Path(guest string) string { return guest }
func (b *box) Close() error             { return nil } // nothing outlives a command

// Level is full when no wall is missing. A box whose walls then cannot be built
// runs nothing.
func (b *box) Level() sandbox.Level {
	if w := b.base.walls; w.seccomp && w.landlock >= landlock.VersionTruncate && b.groups != nil {
		return sandbox.LevelFull
	}
	return sandbox.LevelBasic
}

func (b *box) Run(ctx context.Context, cmd sandbox.Command) (sandbox.Result, error) {
	if len(cmd.Args) == 0 || cmd.Timeout <= 0 {
		return sandbox.Result{}, mgx.Errorf(mgx.KindUsage, "bad_command", "a command needs arguments and a time-out")
	}
	p, err := b.plan(cmd)
	if err != nil {
		return sandbox.Result{}, err
	}
	if p.hasOverlay() {
		select {
		case b.overlays <- struct{}{}:
			defer func() { <-b.overlays }()
		case <-ctx.Done():
			return sandbox.Result{}, stopped(ctx)
		}
	}
	return run(ctx, p, cmd, b.groups, b.quota, b.gate(cmd))
}

// run starts an init for the plan and waits until it, and with it everything in
// its namespaces, is dead.
func run(ctx context.Context, p plan, cmd sandbox.Command, groups *cgroup.Place, quota *disk.Quota, gate sandbox.Gate) (sandbox.Result, error) {
	if ctx.Err() != nil {
		return sandbox.Result{}, stopped(ctx)
	}
	begin := time.Now()
	streams, err := stdio.Open(cmd.Stdin, cmd.Stdout, cmd.Stderr)
	if err != nil {
		return sandbox.Result{}, unavailable("pipes", err)
	}
	group, err := bound(groups, p.limits)
	if err != nil {
		streams.Abort()
		return sandbox.Result{}, unavailable("cgroup", err)
	}
	defer group.remove()
	door, err := openDoor(gate, &p)
	if err != nil {
		streams.Abort()
		return sandbox.Result{}, unavailable("network", err)
	}
	defer door.close()
	in, err := start(streams, group, door, p.Lite)
	if err != nil {
		streams.Abort()
		return sandbox.Result{}, unavailable("namespaces", err)
	}
	streams.Start()
	p.complete(len(group.files()))

	ended := in.watch(ctx, cmd.Timeout)
	full := quota.Watch(in.kill)
	failed := in.instruct(p)
	if failed == nil {
		if failed = door.open(); failed != nil {
			in.kill()
		}
	}
	code, waitErr := in.wait()
	visits := door.close()
	why := ended()
	over := full()
	if code != shell.Killed+int(unix.SIGKILL) && !(in.lite && failed != nil) {
		why = byItself // the kill came too late
	}
	if over != disk.Nothing && code == shell.Killed+int(unix.SIGKILL) {
		failed = nil // it was stopped before its command was started
	}
	stuck := streams.Wait(drainGrace)
	result := sandbox.Result{ExitCode: code, TimedOut: why == byDeadline, Limit: reached(group, over, code), Duration: time.Since(begin), Visits: visits}
	switch {
	case why == byContext:
		return result, stopped(ctx)
	case waitErr != nil:
		return result, mgx.Errorf(mgx.KindInternal, "sandbox_broken", "the sandboxed command was lost: %w", waitErr)
	case why == byItself && failed != nil:
		return sandbox.Result{}, failed
	case stuck != nil:
		return result, mgx.Errorf(mgx.KindInternal, "output_stuck", "the output of a command was not read in time: %w", stuck)
	}
	return result, nil
}

// bounds are what a command's processes may use together; nil: as they like.
type bounds struct {
	*cgroup.Group
	entries []*os.File
}

// bound makes the group of one command.
func bound(groups *cgroup.Place, l sandbox.Limits) (*bounds, error) {
	if groups == nil {
		return nil, nil
	}
	group, err := groups.New(cgroup.Limits{Memory: l.Memory, Processes: l.Processes, CPUs: l.CPUs})
	if err != nil {
		return nil, err
	}
	entries, err := group.Entries()
	if err != nil {
		_ = group.Remove()
		return nil, err
	}
	return &bounds{group, entries}, nil
}

// files are those that the init gets, to enter by.
func (b *bounds) files() []*os.File {
	if b == nil || b.ByStart() {
		return nil
	}
	return b.entries
}

// reached names the limit that a command came to, by what the kernel counted, what
// there is in its workspace, or the signal that ended it.
func reached(b *bounds, over disk.Over, code int) sandbox.Limit {
	var outOfMemory, tooMany bool
	if b != nil {
		outOfMemory, tooMany = b.Reached()
	}
	switch {
	case over == disk.Bytes:
		return sandbox.LimitDisk
	case over == disk.Files:
		return sandbox.LimitFiles
	case outOfMemory:
		return sandbox.LimitMemory
	case tooMany:
		return sandbox.LimitProcesses
	case code == shell.Killed+int(unix.SIGXCPU):
		return sandbox.LimitCPU
	case code == shell.Killed+int(unix.SIGXFSZ):
		return sandbox.LimitFileSize
	}
	return ""
}

// remove leaves what the kernel does not let go of to the next process that
// looks for groups.
func (b *bounds) remove() {
	if b == nil {
		return
	}
	for _, f := range b.entries {
		f.Close()
	}
	_ = b.Remove()
}

// stopped is the error of a ctx that ended.
func stopped(ctx context.Context) error {
	if e, ok := errors.AsType[*mgx.Error](context.Cause(ctx)); ok {
		return e
	}
	return mgx.AsError(ctx.Err())
}

// initProcess is a running init, seen from outside.
type initProcess struct {
	process *os.Process
	plan    *os.File // its life hangs on this
	status  *os.File
	lite    bool // has no pid namespace that would end with it
}

// killGrace is how long an init may take to kill what its command started.
const killGrace = 20 * time.Second

// kill ends everything of the command. In a pid namespace that is to end its
// first process; otherwise the init has to do it, and does when its pipe ends.
func (in *initProcess) kill() {
	if !in.lite {
		in.process.Kill()
		return
	}
	in.plan.Close()
	time.AfterFunc(killGrace, func() { in.process.Kill() })
}

func start(streams *stdio.Streams, group *bounds, door *door, lite bool) (*initProcess, error) {
	planR, planW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer planR.Close()
	statusR, statusW, err := os.Pipe()
	if err != nil {
		planW.Close()
		return nil, err
	}
	defer statusW.Close()
	attr := &os.ProcAttr{
		Dir:   "/",
		Env:   boxinit.Env,
		Files: append(slices.Clone(streams.Child()), planR, statusW),
		Sys:   namespaces(),
	}
	if lite {
		attr.Sys = &syscall.SysProcAttr{Setsid: true}
	}
	if group != nil && group.ByStart() {
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, int(group.entries[0].Fd())
	}
	attr.Files = slices.Concat(attr.Files, group.files(), door.theirs())
	process, err := os.StartProcess("/proc/self/exe", []string{boxinit.Name}, attr)
	if err != nil {
		planW.Close()
		statusR.Close()
		return nil, err
	}
	return &initProcess{process, planW, statusR, lite}, nil
}

// The command runs as this user and group in the box; outside it is whoever
// runs MGX.
const insideID = 1000

// setupCaps are what an init holds while it builds the box. Overlay keeps the
// credentials of who mounted it for its own work on the layers, which is why
// those of files are among them; every access by a command is checked against
// the command first.
var setupCaps = []uintptr{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID,
	unix.CAP_SETPCAP, unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN, unix.CAP_SYS_RESOURCE,
}

// namespaces makes the init the first process of new ones, as an unprivileged
// user there with the capabilities to build the box.
func namespaces() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET |
			unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: insideID, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: insideID, HostID: os.Getegid(), Size: 1}},
		AmbientCaps: setupCaps,
		Setsid:      true,
	}
}

// instruct hands over the plan and waits until the command runs, or returns why
// it does not.
func (in *initProcess) instruct(p plan) error {
	defer in.status.Close()
	_, writeErr := in.plan.Write(p.Encode())
	said, readErr := io.ReadAll(io.LimitReader(in.status, 1<<16))
	f, err := boxinit.DecodeFailure(said)
	if err != nil {
		return unavailable("init", errors.Join(errors.New("it ended without a word"), writeErr, readErr))
	}
	return failed(f)
}

// why says what ended a command.
type why int

const (
	byItself why = iota
	byContext
	byDeadline
)

// watch kills the init at the deadline or when ctx ends. The returned function
// ends the watch and says what it did.
func (in *initProcess) watch(ctx context.Context, timeout time.Duration) (ended func() why) {
	over := make(chan struct{})
	result := make(chan why, 1)
	go func() {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		reason := byItself
		select {
		case <-over:
		case <-ctx.Done():
			reason = byContext
		case <-timer.C:
			reason = byDeadline
		}
		if reason != byItself {
			in.kill()
		}
		result <- reason
	}()
	return func() why {
		close(over)
		return <-result
	}
}

// wait returns the init's exit code once all of its pid namespace is dead.
func (in *initProcess) wait() (code int, err error) {
	defer in.plan.Close()
	state, err := in.process.Wait()
	if err != nil {
		return 0, err
	}
	status := state.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return shell.Killed + int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}
