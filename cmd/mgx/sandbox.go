package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/internal/git"
	"mgx/internal/sandbox"
	"mgx/internal/tool"
)

func (c *cli) sandboxCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Try the walls around what agents run",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.sandboxRunCommand())
	return inAWorkspace(cmd)
}

// sandboxFlags are the choices of one command in a box.
type sandboxFlags struct {
	dir      string
	level    string
	readOnly bool
}

func (c *cli) sandboxRunCommand() *cobra.Command {
	var f sandboxFlags
	cmd := &cobra.Command{
		Use:   "run [flags] -- COMMAND [ARGUMENT…]",
		Short: "Run a command exactly as an agent's shell tool would",
		Long: `Run a command exactly as an agent's shell tool would: the same view of this machine, the
same limits, the same environment, no network but the hosts that are allowed. One argument
is a line of shell; several are a program and its arguments. DIR is the workspace, and is
written in place, but for its .git (which level lite cannot keep from it). If it is a
repository, what is set for its project counts as for its runs, and so do the quotas of the
workspace (--workspace; default: the one that this machine has from the beginning).

The exit code is the command's; 124 when its time is over; 3 when the sandbox
cannot be had as asked.`,
		Example: `  mgx sandbox run -- go test ./...
  mgx sandbox run --read-only -- 'cat /etc/shadow; env; touch x'
  mgx sandbox run --level full --timeout 10s -- curl https://example.com
  mgx sandbox run --allow-host example.com:443 -- curl https://example.com`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) == 1 && strings.TrimSpace(args[0]) == "" {
				return usage("bad_arguments", "%s needs a command, such as: mgx sandbox run -- ls", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return c.sandboxRun(cmd.Context(), f, args) },
	}
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().StringVar(&f.dir, "dir", "", "the workspace `directory` (default: the current one)")
	cmd.Flags().StringVar(&f.level, "level", "", "`level` that the sandbox must have: off, lite, basic, docker, full or gvisor (default: the strongest there is)")
	cmd.Flags().BoolVar(&f.readOnly, "read-only", false, "show the workspace read-only, as to an agent that plans")
	cmd.Flags().String("timeout", "2h", "longest `time` that the command may take, such as 45m")
	addMinimum(cmd.Flags())
	addAllowHosts(cmd.Flags())
	addSandboxLimits(cmd.Flags())
	return cmd
}

func (c *cli) sandboxRun(ctx context.Context, f sandboxFlags, args []string) (err error) {
	work, err := workspaceDir(f.dir)
	if err != nil {
		return err
	}
	quotas, err := c.asRunsHere(ctx, work)
	if err != nil {
		return err
	}
	ownGit, err := git.OwnMounts(work)
	if err != nil {
		return err
	}
	setting, least, err := levelAsked(f.level, sandbox.Level(c.cfg.LeastSandbox))
	if err != nil {
		return err
	}
	state, err := sandbox.Scratch("sandbox-run")
	if err != nil {
		return err
	}
	defer sandbox.RemoveState(state)
	spec := boxSpec(c.cfg.Data, "sandbox-run", work, state, ownGit)
	spec.Limits, spec.Quotas = boxLimits(c.cfg.SandboxLimits), quotas
	if err := openGate(&spec, c.cfg.AllowHosts); err != nil {
		return err
	}
	box, err := openBox(ctx, driver(setting), least, spec)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, box.Close()) }()
	cmd := tool.ShellCommand(shellLine(args), sandbox.Workspace, c.cfg.Timeout, f.readOnly)
	cmd.Stdout, cmd.Stderr = shown(c.out), shown(c.err)
	begin := time.Now().Add(-clockTick)
	ended, err := box.Run(ctx, cmd)
	if !f.readOnly {
		c.tellMade(git.MadeIn(work, begin, ownGit))
	}
	if err != nil {
		return err
	}
	return c.tellEnded(ended)
}

// clockTick is how much the times of files may be behind.
const clockTick = 20 * time.Millisecond

// tellMade says which repositories there are that the user's git must not be asked in
// without a look.
func (c *cli) tellMade(names []string, whole bool) {
	const most = 10
	if len(names) > 0 {
		and := ""
		if len(names) > most {
			and = fmt.Sprintf(" and %d more", len(names)-most)
		}
		shown := names[:min(len(names), most)]
		fmt.Fprintf(c.err, "mgx: the command made or changed repositories among your files: %+q%s. Your git, and a prompt that asks it, runs what their config and hooks name: look at those, or delete them, before you go there.\n", shown, and)
	}
	if !whole {
		fmt.Fprintln(c.err, "mgx: there are too many files to look whether the command made repositories among them, whose config and hooks your git would run.")
	}
}

// asRunsHere returns the quotas that lower the limits of the runs of the workspace. For
// a directory it also settles the configuration as the runs of its repository get it,
// where it has one and somebody has set something for the project.
func (c *cli) asRunsHere(ctx context.Context, dir string) (quotas map[mgx.Quota]int64, err error) {
	if _, err := os.Stat(c.place()); err != nil && c.cfg.Database == "" && c.workspaceHere() == mgx.DefaultWorkspace {
		return nil, nil // nothing is set anywhere
	}
	n, err := c.openAny(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	if err := n.knowsWorkspace(ctx); err != nil {
		return nil, err
	}
	if dir != "" {
		src, err := git.Inspect(ctx, dir)
		if err == nil {
			err = c.forProject(ctx, n, codeBase{mgx.ProjectOf(src.Path), src.Path})
		} else if !mgx.IsCode(err, "unsafe_repository") {
			err = nil
		}
		if err != nil {
			return nil, err
		}
	}
	return n.store.SandboxLimits(ctx, n.workspace)
}

// levelAsked is the driver's setting for a level, and the least that it must reach.
func levelAsked(level string, least sandbox.Level) (setting string, atLeast sandbox.Level, err error) {
	asked := sandbox.Level(level)
	switch {
	case level == "":
		return "auto", least, nil
	case !slices.Contains(sandbox.Levels, asked):
		return "", "", usage("bad_level", "--level takes off, lite, basic, docker, full or gvisor, not %q", level)
	case asked.AtLeast(least):
		least = asked
	}
	switch asked {
	case sandbox.LevelOff, sandbox.LevelLite, sandbox.LevelDocker, sandbox.LevelGVisor:
		return level, least, nil
	}
	return "auto", least, nil
}

func workspaceDir(dir string) (string, error) {
	dir, err := workingDir(dir)
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", usage("not_a_directory", "%s is not a directory; name the workspace with --dir", dir)
	}
	return dir, nil
}

// shellLine is one argument as it is, or several so that the shell takes them as
// they are.
func shellLine(args []string) string {
	if len(args) == 1 {
		return args[0]
	}
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}

// shown takes control sequences out of what goes to a terminal; a file or pipe
// gets every byte.
func shown(w io.Writer) io.Writer {
	if isTerminal(w) {
		return tool.CleanWriter(w)
	}
	return w
}

func (c *cli) tellEnded(ended sandbox.Result) error {
	const timedOut = 124 // as timeout(1) has it
	tellVisits(c.err, ended.Visits)
	if hint := tool.LimitHint(ended.Reached()); hint != "" {
		fmt.Fprintf(c.err, "mgx: %s\n", hint)
	}
	switch {
	case ended.TimedOut:
		fmt.Fprintf(c.err, "mgx: stopped after %s\n", c.cfg.Timeout)
		return exitCode(timedOut)
	case ended.ExitCode != 0:
		return exitCode(ended.ExitCode)
	}
	return nil
}
