package main

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/client"
	"mgx/internal/ui"
)

// ofThisMachine are the flags of a run that say how this machine is used for it: at
// a server that is for who runs it to say.
var ofThisMachine = []string{
	"include-dirty", "mcp", "price", "sandbox", "sandbox-minimum", "sandbox-limits", "allow-host",
	"record", "replay", "deterministic", "seed",
}

// ofTasks are the flags of a run that a server takes with a task, but not with a
// fork.
var ofTasks = []string{"model", "approve", "policy", "budget", "max-turns", "max-tokens", "timeout", "plan", "branch", "check"}

// runThere has a server do a task, and shows how that goes.
func (c *cli) runThere(cmd *cobra.Command, text string, f runFlags) error {
	if err := c.onlyHere(cmd, ofThisMachine...); err != nil {
		return err
	}
	if err := isTask(text); err != nil {
		return err
	}
	ctx := cmd.Context()
	remote, err := c.remote(c.at)
	if err != nil {
		return err
	}
	n := client.NewTask{
		Text: text, Plan: f.plan || cmd.Flags().Changed("approve") && c.cfg.Approve == "ask",
		MaxTokens: f.maxTokens, Checks: f.checks, Branch: f.branch,
	}
	c.asSaid(&n)
	if f.upload {
		return c.runUploaded(ctx, theirRuns{remote.Runs(), remote}, n, f)
	}
	if n.Project, n.Repo, err = c.codeThere(ctx, remote.Projects(), f); err != nil {
		return err
	}
	if n.Attachments, err = sendFiles(ctx, remote.Runs(), f.attach); err != nil {
		return err
	}
	run, err := remote.Runs().Start(ctx, n)
	if err != nil {
		return err
	}
	return c.follow(ctx, theirRuns{remote.Runs(), remote}, run.Run, ui.Options{})
}

// asSaid puts into a task what flags and the environment say. What else this machine
// would do is not the server's.
func (c *cli) asSaid(n *client.NewTask) {
	for name, set := range map[string]func(){
		"model":     func() { n.Model = c.cfg.Model },
		"approve":   func() { n.Approve = c.cfg.Approve },
		"policy":    func() { n.Policy = c.cfg.Policy },
		"budget":    func() { n.Budget = c.cfg.Budget },
		"max-turns": func() { n.MaxTurns = c.cfg.MaxTurns },
		"timeout":   func() { n.Timeout = int64(c.cfg.Timeout / time.Second) },
	} {
		if c.cfg.Said(name) {
			set()
		}
	}
}

// codeThere is what a task at a server is on: the project that is named, else a
// directory of this machine, if the server is on it, else the only project.
func (c *cli) codeThere(ctx context.Context, p client.Projects, f runFlags) (mgx.ProjectID, string, error) {
	switch {
	case f.project != "" && f.repo != "":
		return "", "", usage("bad_project", "a task is on --project or in --repo, not both")
	case f.repo != "" && !isLoopback(c.at.server):
		return "", "", usage("not_at_a_server", "%s sees no directory of this machine; send it with --upload, or name a project of the workspace with --project, they are in: mgx project list%s", c.at.server, c.there())
	case f.repo != "":
		dir, err := filepath.Abs(f.repo)
		if err != nil {
			return "", "", usage("not_a_directory", "%s cannot be found: %v", f.repo, err)
		}
		return "", dir, nil
	}
	all, err := p.List(ctx)
	if err != nil {
		return "", "", err
	}
	found, err := oneProject(all, f.project, c.there())
	return found.ID, "", err
}

// oneProject is the project that is named, by its name or id; without a name the
// only one.
func oneProject(all []mgx.Project, name, there string) (mgx.Project, error) {
	if i := slices.IndexFunc(all, func(p mgx.Project) bool { return p.Name == name }); i >= 0 {
		return all[i], nil
	}
	switch {
	case name != "":
		return one(all, name, "project", "mgx project list"+there, func(p mgx.Project) string { return string(p.ID) })
	case len(all) == 1:
		return all[0], nil
	case len(all) == 0:
		return mgx.Project{}, usage("no_project", "the workspace has no projects yet; an admin gives it one with: mgx project add PATH%s", there)
	}
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.Name
	}
	return mgx.Project{}, usage("no_project", "say on which project, with --project: %s", strings.Join(names, ", "))
}

// forkThere has a server start a run from a moment of another, and shows it.
func (c *cli) forkThere(cmd *cobra.Command, name string, at int64) error {
	if err := c.onlyHere(cmd, append(slices.Clone(ofThisMachine), ofTasks...)...); err != nil {
		return err
	}
	return c.withRunOf(cmd.Context(), name, func(ctx context.Context, r runs, from mgx.Run) error {
		there := r.(theirRuns)
		run, err := there.Fork(ctx, from.ID, at)
		if err != nil {
			return err
		}
		c.tell("%s is a fork of %s at %d.\n", run.ID, from.ID, at)
		return c.follow(ctx, there, run.Run, ui.Options{})
	})
}

// resumeThere shows again what a server works on, which needs nobody to go on.
func (c *cli) resumeThere(cmd *cobra.Command, args []string) error {
	if err := c.onlyHere(cmd, ofThisMachine...); err != nil {
		return err
	}
	if len(args) == 0 {
		return usage("bad_arguments", "the server goes on with every run by itself; to look on at one: mgx resume RUN%s", c.there())
	}
	return c.withRunOf(cmd.Context(), args[0], func(ctx context.Context, r runs, run mgx.Run) error {
		if run.Status.Ended() {
			return alreadyEnded(run)
		}
		if run.Paused != nil {
			if err := r.Continue(ctx, run.ID); err != nil {
				return err
			}
		}
		if !c.json {
			c.tell("The server goes on with %s by itself; this shows how.\n", run.ID)
		}
		return c.follow(ctx, r.(theirRuns), run, ui.Options{})
	})
}
