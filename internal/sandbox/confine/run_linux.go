//go:build amd64 || arm64 || riscv64

package confine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/internal/boxinit"
	"mgx/internal/sandbox/internal/cgroup"
	"mgx/internal/sandbox/internal/disk"
	"mgx/internal/sandbox/internal/shell"
	"mgx/internal/sandbox/internal/stdio"
)

// drainGrace is how long a writer may take for what is left in the pipes after
// the last process is gone.
const drainGrace = 15 * time.Second

// killGrace is how long an init may take to kill what its command started.
const killGrace = 20 * time.Second

// StageStart is that of starting an init, which makes its namespaces.
const StageStart = "namespaces"

// Machine is what runs the commands of one box.
type Machine struct {
	Groups *cgroup.Place // nil: processes cannot be bounded together
	Whose  string        // commands these are; see the ID of sandbox.Spec
	Quota  *disk.Quota   // of the workspace and the state; nil: none
	Start  Start
	// Gentle inits end all that is theirs when their pipe ends; killing such an init
	// itself is the last resort.
	Gentle bool
	// Outside is what starts the init enters its group, not the init; Extra is then
	// what it needs for itself.
	Outside bool
	Extra   cgroup.Limits
	// Again is how often an init may be started anew that ended before it said that
	// it starts the command, which only inits of others' making do. So no command
	// runs twice.
	Again int
	// Refuse is the error of a command for which no init could be had.
	Refuse func(stage string, err error) error
}

// Start starts an init with these files as its descriptors from 0 on, in a cgroup.
// The files stay the caller's. When it returns, the init has them, or there is
// none.
type Start func(ctx context.Context, files []*os.File, group Group) (Process, error)

// Group is how a process gets into a cgroup from outside of it; empty: not at all.
type Group struct {
	Directory *os.File   // start it there
	Entries   []*os.File // have it write "0" to each, while it is one thread
}

// Process is an init that runs.
type Process interface {
	// Wait returns its exit code, as shells count, when nothing of the command lives.
	Wait() (code int, err error)
	// Kill ends it and all of the command at once, and may be called at any time.
	Kill()
}

// Check refuses what is no command.
func Check(cmd sandbox.Command) error {
	if len(cmd.Args) == 0 || cmd.Timeout <= 0 {
		return mgx.Errorf(mgx.KindUsage, "bad_command", "a command needs arguments and a time-out")
	}
	return nil
}

// Run has the machine start an init for the plan and waits until it, and with it
// everything it started, is dead.
func (m Machine) Run(ctx context.Context, p Plan, cmd sandbox.Command, gate sandbox.Gate) (sandbox.Result, error) {
	if ctx.Err() != nil {
		return sandbox.Result{}, Stopped(ctx)
	}
	begin := time.Now()
	ears := overhear(&cmd, m.Groups != nil)
	streams, err := stdio.Open(cmd.Stdin, cmd.Stdout, cmd.Stderr)
	if err != nil {
		return sandbox.Result{}, m.Refuse("pipes", err)
	}
	group, err := m.bound(p.Limits)
	if err != nil {
		streams.Abort()
		return sandbox.Result{}, m.Refuse("cgroup", err)
	}
	defer group.remove()
	door, err := openDoor(gate, &p)
	if err != nil {
		streams.Abort()
		return sandbox.Result{}, m.Refuse("network", err)
	}
	defer door.close()
	p.complete(len(group.files()), group != nil)
	var in *initProcess
	var ended func() why
	var full func() disk.Over
	var failed error
	for again := m.Again; ; again-- {
		if in, err = m.start(ctx, streams, group, door); err != nil {
			streams.Abort()
			if ctx.Err() != nil {
				return sandbox.Result{}, Stopped(ctx)
			}
			return sandbox.Result{}, m.Refuse(StageStart, err)
		}
		ended = in.watch(ctx, cmd.Timeout)
		full = m.Quota.Watch(in.kill)
		if failed = in.instruct(p); again <= 0 || !errors.Is(failed, errSilent) || in.killed.Load() {
			break
		}
		_, _ = in.wait()
		in.status.Close()
		ended()
		full()
	}
	streams.Start()
	if failed == nil {
		if err := door.open(cmd.Visited); err != nil {
			failed = m.Refuse("gate", err)
			in.kill()
		}
	}
	code, waitErr := in.wait()
	filled := in.lastWords()
	visits := door.close()
	why := ended()
	over := full()
	if code != shell.Killed+int(unix.SIGKILL) && !(m.Gentle && failed != nil) {
		why = byItself // the kill came too late
	}
	if over != disk.Nothing && code == shell.Killed+int(unix.SIGKILL) {
		failed = nil // it was stopped before its command was started
	}
	stuck := streams.Wait(drainGrace)
	result := sandbox.Result{ExitCode: code, TimedOut: why == byDeadline, Allowed: withinOurs(p.Limits), Duration: time.Since(begin), Visits: visits}
	var elsewhere bool
	if result.Limit, elsewhere = reached(group, over, filled, code); elsewhere {
		result.Allowed.Memory = 0
	}
	if result.Limit == "" {
		result.Limit = ears.said(code != 0)
		result.Told = result.Limit != ""
	}
	switch {
	case why == byContext:
		return result, Stopped(ctx)
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
	outside bool
}

// Hold keeps what bounds all commands together until it is released, which makes each
// of them start sooner.
func Hold(groups *cgroup.Place) (release func(), err error) {
	if groups == nil {
		return func() {}, nil
	}
	return groups.Hold()
}

// bound makes the group of one command.
func (m Machine) bound(l sandbox.Limits) (*bounds, error) {
	if m.Groups == nil {
		return nil, nil
	}
	group, err := m.Groups.New(m.Whose, cgroup.Limits{Memory: l.Memory + m.Extra.Memory, Processes: l.Processes + m.Extra.Processes, CPUs: l.CPUs})
	if err != nil {
		return nil, err
	}
	entries, err := group.Entries()
	if err != nil {
		_ = group.Remove()
		return nil, err
	}
	return &bounds{group, entries, m.Outside}, nil
}

// files are those that the init gets, to enter by.
func (b *bounds) files() []*os.File {
	if b == nil || b.ByStart() || b.outside {
		return nil
	}
	return b.entries
}

// group is the other ways to get in.
func (b *bounds) group() Group {
	switch {
	case b == nil:
		return Group{}
	case b.ByStart():
		return Group{Directory: b.entries[0]}
	case b.outside:
		return Group{Entries: b.entries}
	}
	return Group{}
}

// reached names the limit that a command came to, by what the kernel counted, what
// there is in its workspace, what its init saw, or the signal that ended it. Elsewhere
// is memory that others had.
func reached(b *bounds, over disk.Over, filled bool, code int) (limit sandbox.Limit, elsewhere bool) {
	var outOfMemory, tooMany bool
	if b != nil {
		outOfMemory, elsewhere, tooMany = b.Reached()
	}
	switch {
	case over == disk.Bytes:
		return sandbox.LimitDisk, false
	case over == disk.Files:
		return sandbox.LimitFiles, false
	case outOfMemory:
		return sandbox.LimitMemory, elsewhere
	case tooMany:
		return sandbox.LimitProcesses, false
	case code == shell.Killed+int(unix.SIGXCPU):
		return sandbox.LimitCPU, false
	case code == shell.Killed+int(unix.SIGXFSZ):
		return sandbox.LimitFileSize, false
	case filled:
		return sandbox.LimitTmp, false
	}
	return "", false
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

// Stopped is the error of a ctx that ended.
func Stopped(ctx context.Context) error {
	if e, ok := errors.AsType[*mgx.Error](context.Cause(ctx)); ok {
		return e
	}
	return mgx.AsError(ctx.Err())
}

// initProcess is a running init, seen from outside.
type initProcess struct {
	Process
	machine Machine
	plan    *os.File // its life hangs on this
	status  *os.File
	said    []byte // of status, and not understood yet
	killed  atomic.Bool
}

func (in *initProcess) kill() {
	in.killed.Store(true)
	if !in.machine.Gentle {
		in.Kill()
		return
	}
	in.plan.Close()
	time.AfterFunc(killGrace, in.Kill)
}

func (m Machine) start(ctx context.Context, streams *stdio.Streams, group *bounds, door *door) (*initProcess, error) {
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
	files := slices.Concat(streams.Child(), []*os.File{planR, statusW}, group.files(), door.theirs())
	process, err := m.Start(ctx, files, group.group())
	if err != nil {
		planW.Close()
		statusR.Close()
		return nil, err
	}
	return &initProcess{Process: process, machine: m, plan: planW, status: statusR}, nil
}

// errSilent says that an init ended before it started the command, and nobody
// knows why.
var errSilent = errors.New("it ended without a word")

// instruct hands over the plan and waits until the command runs, or returns why
// it does not.
func (in *initProcess) instruct(p Plan) error {
	_, writeErr := in.plan.Write(p.Encode())
	mayHaveRun, f, err := in.begins()
	switch {
	case err != nil && mayHaveRun: // and must not run again
		return mgx.Errorf(mgx.KindInternal, "sandbox_broken", "the sandbox ended while it started the command, which may have run")
	case err != nil:
		return in.machine.Refuse("init", errors.Join(fmt.Errorf("%w%s", errSilent, in.words()), writeErr, err))
	}
	return in.machine.failed(f)
}

// begins reads what the init says until that is all, or the init has ended.
func (in *initProcess) begins() (mayHaveRun bool, f boxinit.Failure, err error) {
	const most = 1 << 16
	for piece := make([]byte, 512); len(in.said) < most; {
		n, readErr := in.status.Read(piece)
		in.said = append(in.said, piece[:n]...)
		var left []byte
		if mayHaveRun, f, left, err = boxinit.DecodeSaid(in.said); err == nil || readErr != nil {
			in.said = left
			return mayHaveRun, f, err
		}
	}
	return mayHaveRun, f, err
}

// lastGrace is how long the end of what an init said may take to come, once it is
// dead.
const lastGrace = time.Second

// lastWords reports whether the command filled a place for temporary files. Its init
// has ended.
func (in *initProcess) lastWords() (filled bool) {
	defer in.status.Close()
	_ = in.status.SetReadDeadline(time.Now().Add(lastGrace))
	more, _ := io.ReadAll(io.LimitReader(in.status, 2))
	return boxinit.Filled(append(in.said, more...))
}

// words are those of who built a container for the init. The init is gone, so it
// will not say more.
func (in *initProcess) words() string {
	said, ok := in.Process.(interface{ Words() string })
	if !ok {
		return ""
	}
	return ": " + said.Words()
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

// wait returns the init's exit code once all of it is dead.
func (in *initProcess) wait() (code int, err error) {
	defer in.plan.Close()
	return in.Wait()
}
