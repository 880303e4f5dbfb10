package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/internal/config"
	"mgx/internal/git"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/egress"
	"mgx/internal/ui"
)

func (c *cli) projectCommand() *cobra.Command {
	var name string
	show := func(cmd *cobra.Command, _ []string) error {
		return c.withProject(cmd.Context(), name, c.showProject)
	}
	cmd := &cobra.Command{
		Use:   "project",
		Short: "List and give projects, and set what their runs reach and must be kept to",
		Long: `Shows what is set for the project of the repository in this directory. Such settings are
kept in the database, outside the repository, and each change is in the audit log. A run
takes a setting from its flags, else from the environment, else from its project, else
from your configuration, and records it when it starts. See docs/projects.md.

What can be set: allow-host, mcp, policy, sandbox-minimum.

Who works at a server names projects that the workspace was given, by name: see mgx project
list, and mgx project add.`,
		Example: `  mgx project set allow-host registry.npmjs.org:443 '*.example.org:443'
  mgx project set policy ask --project ../service
  mgx project add ../service --name shop
  mgx config --project .          each setting, and where it comes from`,
		Args: noArgs,
		RunE: show,
	}
	cmd.PersistentFlags().StringVar(&name, "project", "", "`directory or id` of the project (default: the repository in this directory); at a server its name or id (default: the only one)")
	cmd.AddCommand(
		&cobra.Command{Use: "show", Short: "The same as mgx project", Args: noArgs, RunE: show},
		&cobra.Command{
			Use: "set NAME VALUE…", Short: "Set a setting for the runs that begin from now on",
			Args: func(cmd *cobra.Command, args []string) error {
				if len(args) < 2 || len(args) > 2 && args[0] != "allow-host" {
					return usage("bad_arguments", "%s takes the name of a setting and its value (of allow-host several)", cmd.CommandPath())
				}
				return nil
			},
			RunE: func(cmd *cobra.Command, args []string) error {
				return c.withProject(cmd.Context(), name, func(ctx context.Context, p projects, at codeBase) error {
					if err := p.Set(ctx, at, args[0], strings.Join(args[1:], ",")); err != nil {
						return err
					}
					return c.showProject(ctx, p, at)
				})
			},
		},
		&cobra.Command{
			Use: "unset NAME", Short: "Take a setting back", Args: oneArg("the name of a setting"),
			RunE: func(cmd *cobra.Command, args []string) error {
				return c.withProject(cmd.Context(), name, func(ctx context.Context, p projects, at codeBase) error {
					if err := p.Unset(ctx, at.project, args[0]); err != nil {
						return err
					}
					return c.showProject(ctx, p, at)
				})
			},
		},
		c.projectListCommand(), c.projectAddCommand(), c.projectRenameCommand(), c.projectRemoveCommand(),
	)
	return cmd
}

// codeBase is a project, and the directory of its repository where that is known.
type codeBase struct {
	project mgx.ProjectID
	dir     string
}

func projectAt(ctx context.Context, name string) (codeBase, error) {
	if strings.HasPrefix(name, "proj_") {
		return codeBase{project: mgx.ProjectID(name)}, nil
	}
	dir, err := workingDir(name)
	if err != nil {
		return codeBase{}, err
	}
	src, err := git.Inspect(ctx, dir)
	if err != nil {
		return codeBase{}, err
	}
	return codeBase{mgx.ProjectOf(src.Path), src.Path}, nil
}

// withProject does something with the project that is named.
func (c *cli) withProject(ctx context.Context, name string, f func(context.Context, projects, codeBase) error) error {
	return c.withProjects(ctx, func(ctx context.Context, p projects) error {
		at, err := p.find(ctx, name)
		if err != nil {
			return err
		}
		return f(ctx, p, at)
	})
}

// fitProject reads what a value names, as a run will.
func (c *cli) fitProject(dir, name, value string) error {
	switch name {
	case "allow-host":
		if value == "none" {
			return nil
		}
		_, err := egress.NewList(strings.Split(value, ",")...)
		return err
	case "policy":
		if _, err := c.policy(value); err != nil {
			return err
		}
	case "mcp":
		if _, _, err := readServers(value); err != nil {
			return err
		}
	}
	return outOf(dir, value)
}

// outOf refuses files of a repository: others than the operator write those.
func outOf(dir string, files ...string) error {
	for _, f := range files {
		if dir != "" && strings.HasPrefix(f, "/") && inside(f, dir) {
			return mgx.Errorf(mgx.KindUsage, "in_repository", "%s lies in the repository of the project, where others than you may write it; keep it somewhere else", f)
		}
	}
	return nil
}

func (c *cli) showProject(ctx context.Context, p projects, at codeBase) error {
	set, err := p.Settings(ctx, at.project)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, map[string]any{"project_id": at.project, "directory": at.dir, "settings": set})
	}
	c.printf("%s %s\n", at.project, ui.Text(at.dir))
	for _, name := range config.OfProjects() {
		if value, ok := set[name]; ok {
			c.printf("%-15s  %s\n", name, ui.Text(value))
		}
	}
	if len(set) == 0 {
		c.printf("nothing is set; its runs take what mgx config shows\n")
	}
	return nil
}

// forProject settles the configuration again, for the runs of a repository.
func (c *cli) forProject(ctx context.Context, n *node, at codeBase) error {
	cfg, err := c.configFor(ctx, n, n.workspace, at)
	if err == nil {
		c.cfg = cfg
	}
	return err
}

// configFor is the configuration for the runs of a project of a workspace.
func (c *cli) configFor(ctx context.Context, n *node, ws mgx.WorkspaceID, at codeBase) (*config.Config, error) {
	set, err := n.store.ProjectSettings(ctx, ws, at.project)
	if err != nil || len(set) == 0 {
		return c.cfg, err
	}
	cfg, err := config.LoadFor(c.real, c.typed, set)
	if err == nil {
		err = outOf(at.dir, cfg.ProjectFiles()...)
	}
	return cfg, err
}

// leastFor is the level below which nothing of a repository runs: also of runs that
// began before it was set.
func (n *node) leastFor(ctx context.Context, ws mgx.WorkspaceID, repo mgx.RepoInfo) (sandbox.Level, error) {
	if n.leastSaid {
		return n.least, nil
	}
	set, err := n.store.ProjectSettings(ctx, ws, mgx.ProjectOf(repo.Path))
	if least, ok := set["sandbox-minimum"]; ok && err == nil {
		return sandbox.Level(least), nil
	}
	return n.least, err
}
