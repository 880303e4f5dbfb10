package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/client"
	"mgx/internal/git"
	"mgx/internal/sandbox"
	"mgx/internal/ui"
)

// runUploaded sends the repository here to a server, has it do a task on that, and
// brings the branch back. Whatever of it is killed, nothing here is half changed: the
// branch is made at once or not at all, and mgx get makes it later.
func (c *cli) runUploaded(ctx context.Context, r theirRuns, n client.NewTask, f runFlags) error {
	if f.project != "" {
		return usage("bad_project", "a task is on --project or on what --upload sends, not both")
	}
	dir, err := workingDir(f.repo)
	if err != nil {
		return err
	}
	src, err := git.Inspect(ctx, dir)
	if err != nil {
		return err
	}
	if src.Dirty {
		c.tell("The checkout has changes that are not committed; they are not sent.\n")
	}
	if n.Upload, err = c.send(ctx, r, src); err != nil {
		return err
	}
	if n.Attachments, err = sendFiles(ctx, r.Runs, f.attach); err != nil {
		return err
	}
	run, err := r.Start(ctx, n)
	if err != nil {
		return err
	}
	if err := c.follow(ctx, r, run.Run, ui.Options{Repo: src.Path}); err != nil {
		return err
	}
	done, err := r.Get(ctx, run.ID)
	if err != nil || done.Delivered == nil {
		return err
	}
	return c.fetchBranch(ctx, r, done, src)
}

// send packs the head of a repository and sends it.
func (c *cli) send(ctx context.Context, r theirRuns, src *git.Source) (digest string, err error) {
	tmp, err := sandbox.Scratch("upload")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	file := filepath.Join(tmp, "bundle")
	if err := src.Pack(ctx, file); err != nil {
		return "", err
	}
	f, err := os.Open(file)
	if err != nil {
		return "", usage("no_temporary_files", "the repository cannot be packed: %s", err)
	}
	defer f.Close()
	return r.Upload(ctx, f)
}

func (c *cli) getCommand() *cobra.Command {
	var repo string
	cmd := &cobra.Command{
		Use:   "get RUN",
		Short: "Bring the branch that a run delivered into a repository here",
		Long: `Brings the branch that a run delivered into a repository here, which has the commit that the
run began with. The checkout, the index and other branches are not touched. It is what
mgx run --upload does at its end; when that was interrupted, this does it.`,
		Example: "  mgx get 01K6 --server https://mgx.example.com",
		Args:    oneArg("a run"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withRunOf(cmd.Context(), args[0], func(ctx context.Context, r runs, run mgx.Run) error {
				if run.Delivered == nil {
					return usage(mgx.CodeNotFound, "run %s has delivered no branch; it is %s", run.ID, run.Status)
				}
				dir, err := workingDir(repo)
				if err != nil {
					return err
				}
				src, err := git.Inspect(ctx, dir)
				if err != nil {
					return err
				}
				return c.fetchBranch(ctx, r, run, src)
			})
		},
	}
	cmd.Flags().StringVar(&repo, "repo", "", "the repository's `directory` (default: the current one)")
	return cmd
}

// fetchBranch makes a branch here of what a run delivered. It is checked as strictly as
// the result of a run on this machine. What is there already stays as it is.
func (c *cli) fetchBranch(ctx context.Context, r runs, run mgx.Run, src *git.Source) (err error) {
	at := src.RepoInfo
	at.Head = run.Repo.Head
	if src, err = git.Reopen(ctx, at); err != nil {
		return usage("other_repository", "the repository at %s does not have the commit %.12s, with which the run began; name the one that does with --repo", at.Path, run.Repo.Head)
	}
	tmp, err := sandbox.Scratch("get")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	f, err := os.OpenFile(filepath.Join(tmp, "bundle"), os.O_CREATE|os.O_RDWR|os.O_EXCL, 0o600)
	if err != nil {
		return usage("no_temporary_files", "the branch cannot be fetched: %s", err)
	}
	b, err := r.Branch(ctx, run.ID, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	branch, err := git.Deliver(ctx, src, f.Name(), b.Commit, b.Name)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, map[string]any{"branch": branch, "commit": b.Commit, "repo": src.Path})
	}
	c.tell("The branch is here: %s\n", branch)
	return nil
}
