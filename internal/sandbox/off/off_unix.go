//go:build unix

package off

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/internal/shell"
	"mgx/internal/sandbox/internal/stdio"
	"mgx/internal/sandbox/view"
)

// drainGrace is how long the output of a dead group may take: a process that
// left the group may hold the pipes for ever.
const drainGrace = 2 * time.Second

type driver struct{}

// New returns the driver.
func New() sandbox.Driver { return driver{} }

func (driver) Name() string { return "off" }

func (driver) Probe(context.Context) sandbox.Report {
	return sandbox.Report{Driver: "off", Level: sandbox.LevelOff, Checks: []sandbox.Check{
		{Name: "processes", OK: true, Detail: "commands run without any walls"},
	}}
}

func (driver) Open(_ context.Context, spec sandbox.Spec) (sandbox.Box, error) {
	info, err := os.Stat(spec.Work)
	if err != nil || !info.IsDir() || !filepath.IsAbs(spec.Work) {
		return nil, mgx.Errorf(mgx.KindUsage, "bad_workspace", "the workspace %q of a sandbox must be an existing directory with an absolute path", spec.Work)
	}
	if spec.Gate != nil {
		return nil, sandbox.NoGate(sandbox.LevelOff)
	}
	dir, err := sandbox.Scratch("off")
	if err != nil {
		return nil, err
	}
	b := &box{spec: spec, dir: dir, view: view.New(spec.Work, filepath.Join(dir, "home"), filepath.Join(dir, "tmp"))}
	if err := b.prepare(); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

type box struct {
	spec sandbox.Spec
	dir  string // home and temporary files
	view *view.View
}

func (b *box) prepare() error {
	for _, d := range []string{b.view.Home, b.view.Tmp} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return err
		}
	}
	return b.view.Add(b.spec.Mounts)
}

func (b *box) Path(guest string) string { return b.view.Path(guest) }
func (b *box) Level() sandbox.Level     { return sandbox.LevelOff }

func (b *box) Close() error {
	return errors.Join(b.view.Close(), sandbox.RemoveState(b.dir))
}

func (b *box) Run(ctx context.Context, cmd sandbox.Command) (sandbox.Result, error) {
	if len(cmd.Args) == 0 || cmd.Timeout <= 0 {
		return sandbox.Result{}, mgx.Errorf(mgx.KindUsage, "bad_command", "a command needs arguments and a time-out")
	}
	if ctx.Err() != nil {
		return sandbox.Result{}, stopped(ctx)
	}
	if cmd.Gate != nil {
		return sandbox.Result{}, sandbox.NoGate(sandbox.LevelOff)
	}
	if err := b.view.Add(cmd.Mounts); err != nil {
		return sandbox.Result{}, err
	}
	return b.run(ctx, cmd)
}

func (b *box) run(ctx context.Context, cmd sandbox.Command) (sandbox.Result, error) {
	begin := time.Now()
	streams, err := stdio.Open(cmd.Stdin, cmd.Stdout, cmd.Stderr)
	if err != nil {
		return sandbox.Result{}, mgx.Errorf(mgx.KindInternal, "start_failed", "the command could not be started: %w", err)
	}
	process, code, err := b.start(cmd, streams.Child())
	if process == nil {
		streams.Abort()
		if err == nil && cmd.Stderr != nil {
			cmd.Stderr.Write([]byte(shell.Complaint(cmd.Args[0], code)))
		}
		return sandbox.Result{ExitCode: code, Duration: time.Since(begin)}, err
	}
	streams.Start()
	code, timedOut, waitErr := wait(ctx, process, cmd.Timeout)
	streams.Wait(drainGrace)
	result := sandbox.Result{ExitCode: code, TimedOut: timedOut, Duration: time.Since(begin)}
	switch {
	case waitErr != nil:
		return result, mgx.Errorf(mgx.KindInternal, "command_lost", "the command was lost: %w", waitErr)
	case ctx.Err() != nil && !timedOut && code == shell.Killed+int(syscall.SIGKILL):
		return result, stopped(ctx)
	}
	return result, nil
}

// start returns no process and an exit code when there is no such program.
func (b *box) start(cmd sandbox.Command, files []*os.File) (*os.Process, int, error) {
	dir := b.view.Path(sandbox.Workspace)
	if cmd.Dir != "" {
		dir = b.view.Path(cmd.Dir)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, 0, mgx.Errorf(mgx.KindUsage, "bad_command", "the command cannot run as asked: there is no directory %s", cmd.Dir)
	}
	env := sandbox.Environ(b.view.Home, b.view.Tmp, b.spec.Env, cmd.Env)
	file, code := shell.Find(dir, cmd.Args[0], env)
	if code != 0 {
		return nil, code, nil
	}
	process, err := os.StartProcess(file, cmd.Args, &os.ProcAttr{
		Dir: dir, Env: env, Files: files, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	switch {
	case err == nil:
		return process, 0, nil
	case errors.Is(err, syscall.ENOENT): // its interpreter
		return nil, shell.NotFound, nil
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.ENOEXEC), errors.Is(err, syscall.E2BIG):
		return nil, shell.NotExecutable, nil
	}
	return nil, 0, mgx.Errorf(mgx.KindUsage, "bad_command", "the command cannot run as asked: %w", err)
}

// wait returns when the command has ended and its group is killed.
func wait(ctx context.Context, process *os.Process, timeout time.Duration) (code int, timedOut bool, err error) {
	timed, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	unwatch := context.AfterFunc(timed, func() { syscall.Kill(-process.Pid, syscall.SIGKILL) })
	state, err := process.Wait()
	unwatch()
	syscall.Kill(-process.Pid, syscall.SIGKILL)
	if err != nil {
		return 0, false, err
	}
	status := state.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		timedOut = timed.Err() != nil && ctx.Err() == nil && status.Signal() == syscall.SIGKILL
		return shell.Killed + int(status.Signal()), timedOut, nil
	}
	return status.ExitStatus(), false, nil
}

// stopped is the error of a ctx that ended.
func stopped(ctx context.Context) error {
	if e, ok := errors.AsType[*mgx.Error](context.Cause(ctx)); ok {
		return e
	}
	return mgx.AsError(ctx.Err())
}
