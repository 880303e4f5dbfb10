package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/tools/txtar"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/git"
	"mgx/internal/sandbox"
)

//go:embed sample.txtar
var sample []byte

//go:embed sample_script.json
var sampleScript []byte

const demoTask = `Add a /healthz endpoint with a test, and fix the failing test.
FEATURE.md says what is wanted.`

func (c *cli) demoCommand() *cobra.Command {
	var keep string
	var r repeatFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "The main job on a bundled sample repository; needs no key",
		Long: `Runs the main job on a copy of a small sample repository. The model is scripted: its
words ship with mgx and are the same every time. Everything else is real: the plan and
its approval by policy, the sandbox, the edits, the tests that fail and then pass, the
review, the revision and the branch.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if r.record != "" || r.replay != "" {
				return usage("nothing_to_record", "the answers of mgx demo ship with mgx and are the same every time, so there is nothing to record or play; record a run of your own with: mgx run \"TASK\" --record FILE")
			}
			return c.demo(cmd.Context(), keep, cmd.Flags().Changed("approve"))
		},
	}
	cmd.Flags().StringVar(&keep, "dir", "", "`directory` for the sample repository, which must not exist (default: in the data directory)")
	addLimits(cmd.Flags())
	cmd.Flags().Lookup("approve").DefValue = "auto"
	r.refuse(cmd.Flags(), "record", "replay")
	return cmd
}

func (c *cli) demo(ctx context.Context, dir string, approveTyped bool) error {
	if c.cfg.Model != "" && c.cfg.Model != demoModel {
		return usage("demo_model", "mgx demo always uses its scripted model; to use %s, give mgx run a task", c.cfg.Model)
	}
	n, err := c.openAny(ctx)
	if err != nil {
		return err
	}
	defer n.close()
	if dir == "" {
		dir = filepath.Join(n.data, "demo", mgx.NewID[string]("greeter"))
	}
	if err := unpackSample(ctx, dir); err != nil {
		return err
	}
	src, err := git.Inspect(ctx, dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.err, `The sample repository is in %s.
The model is SCRIPTED: its answers ship with mgx, no key is used and nothing leaves this
machine. The sandbox, the tools, the checks, git and the log are the real ones.

`, dir)
	_, _, tools := sandbox.Toolchains(os.Getenv, os.Getenv("HOME"), n.data)
	if !slices.ContainsFunc(tools, func(t sandbox.Tool) bool { return t.Name == "go" }) {
		fmt.Fprint(c.err, "There is no Go on the PATH, so the sample's checks cannot run here; the rest can.\n\n")
	}
	settings, err := c.settings(src.Path, runFlags{})
	if err != nil {
		return err
	}
	settings.Model = demoModel
	if err := n.models.use(settings); err != nil {
		return err
	}
	if c.cfg.Approve == "ask" && !approveTyped {
		settings.Approve = "auto" // nobody should have to answer to see a demo
	}
	run, err := n.app.StartRun(ctx, n.me(), app.NewRun{Text: demoTask, Repo: src.RepoInfo, Settings: settings, Source: "cli"})
	if err != nil {
		return err
	}
	return c.attach(ctx, n, run)
}

// unpackSample writes the sample into a new git repository with one commit.
func unpackSample(ctx context.Context, dir string) error {
	if _, err := os.Lstat(dir); err == nil {
		return usage("exists", "%s exists already; name a directory that does not", dir)
	}
	for _, f := range txtar.Parse(sample).Files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return dataError(dir, err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			return dataError(dir, err)
		}
	}
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"},
		{"add", "-A"},
		{"commit", "-q", "-m", "Greet people by name"},
	} {
		cmd := exec.CommandContext(ctx, "git", append([]string{
			"-c", "user.name=MGX demo", "-c", "user.email=demo@localhost", "-c", "commit.gpgSign=false", "-c", "core.hooksPath=/dev/null",
		}, args...)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return mgx.Errorf(mgx.KindConfig, "git_failed", "the sample repository cannot be made: git %s: %s", args[0], out)
		}
	}
	return nil
}
