package main

import (
	"context"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/client"
	"mgx/internal/app"
)

// projects is what commands do with projects, where they work.
type projects interface {
	// find finds the project that a person means.
	find(ctx context.Context, name string) (codeBase, error)
	List(ctx context.Context) ([]mgx.Project, error)
	Add(ctx context.Context, path, name string) (mgx.Project, error)
	Rename(ctx context.Context, id mgx.ProjectID, name string) (mgx.Project, error)
	Remove(ctx context.Context, id mgx.ProjectID) error
	Settings(ctx context.Context, id mgx.ProjectID) (mgx.ProjectSettings, error)
	Set(ctx context.Context, at codeBase, name, value string) error
	Unset(ctx context.Context, id mgx.ProjectID, name string) error
}

// withProjects does something with projects where a command says.
func (c *cli) withProjects(ctx context.Context, f func(context.Context, projects) error) error {
	return reach(ctx, c,
		func(_ context.Context, n *node) (projects, error) { return ownProjects{n}, nil },
		func(remote *client.Client) projects { return theirProjects{remote.Projects(), c.there()} }, f)
}

// ownProjects are those of the data directory. Every repository on this machine is
// one, whether its workspace was given it or not.
type ownProjects struct{ n *node }

func (o ownProjects) find(ctx context.Context, name string) (codeBase, error) {
	at, err := projectAt(ctx, name)
	if err == nil && at.dir == "" {
		if given, err := o.n.app.Project(ctx, o.n.me(), at.project); err == nil {
			at.dir = given.Path
		}
	}
	return at, err
}

func (o ownProjects) List(ctx context.Context) (all []mgx.Project, err error) {
	for token := ""; ; {
		page, err := o.n.app.Projects(ctx, o.n.me(), token, app.MaxPage)
		if err != nil {
			return nil, err
		}
		if all, token = append(all, page.Items...), page.Next; token == "" {
			return all, nil
		}
	}
}

func (o ownProjects) Add(ctx context.Context, path, name string) (mgx.Project, error) {
	made, _, err := o.n.app.CreateProject(ctx, o.n.me(), app.NewProject{Name: name, Path: path})
	return made, err
}

func (o ownProjects) Rename(ctx context.Context, id mgx.ProjectID, name string) (mgx.Project, error) {
	return o.n.app.RenameProject(ctx, o.n.me(), id, name)
}

func (o ownProjects) Remove(ctx context.Context, id mgx.ProjectID) error {
	return o.n.app.RemoveProject(ctx, o.n.me(), id)
}

func (o ownProjects) Settings(ctx context.Context, id mgx.ProjectID) (mgx.ProjectSettings, error) {
	return o.n.app.ProjectSettings(ctx, o.n.me(), id)
}

func (o ownProjects) Set(ctx context.Context, at codeBase, name, value string) error {
	return o.n.app.SetProject(ctx, o.n.me(), app.Setting{Project: at.project, Repo: at.dir, Name: name, Value: value})
}

func (o ownProjects) Unset(ctx context.Context, id mgx.ProjectID, name string) error {
	return o.n.app.UnsetProject(ctx, o.n.me(), id, name)
}

// theirProjects are those of a workspace at a server.
type theirProjects struct {
	client.Projects
	there string
}

func (t theirProjects) find(ctx context.Context, name string) (codeBase, error) {
	all, err := t.List(ctx)
	if err != nil {
		return codeBase{}, err
	}
	p, err := oneProject(all, name, t.there)
	return codeBase{p.ID, p.Path}, err
}

func (t theirProjects) Set(ctx context.Context, at codeBase, name, value string) error {
	return t.Projects.Set(ctx, at.project, name, value)
}

func (c *cli) projectListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the projects that the workspace was given",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.withProjects(cmd.Context(), c.listProjects) },
	}
}

func (c *cli) listProjects(ctx context.Context, p projects) error {
	all, err := p.List(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, all...)
	}
	if len(all) == 0 {
		c.tell("No projects yet. Give the workspace one with: mgx project add PATH\n")
	}
	for _, one := range all {
		c.printf("%-31s  %-20s  %s\n", one.ID, one.Name, one.Path)
	}
	return nil
}

func (c *cli) projectAddCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "add PATH",
		Short: "Give the workspace a repository of the machine that does the work",
		Long: `Gives the workspace a repository as a project, for those who work at a server: they name it
with mgx run --project. PATH is a directory in the repository, on the machine that does the
work. At a server an admin names one below the directory of the workspace in a root of mgx
serve --repo-root, also relative to that. The same repository is the same project.`,
		Example: `  mgx project add ../service --name shop
  mgx project add service --server https://mgx.example.com`,
		Args: oneArg("the path of a repository"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withProjects(cmd.Context(), func(ctx context.Context, p projects) error {
				made, err := p.Add(ctx, args[0], name)
				if err == nil && name != "" && made.Name != name {
					c.tell("That repository is a project already. For another name: mgx project rename %s %s\n", made.Name, name)
				}
				return c.showMade(made, err)
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "what people call it, a `name` (default: that of its directory)")
	return cmd
}

func (c *cli) showMade(p mgx.Project, err error) error {
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, p)
	}
	c.printf("%s  %s  %s\n", p.ID, p.Name, p.Path)
	return nil
}

func (c *cli) projectRenameCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rename PROJECT NAME",
		Short: "Give a project another name",
		Args:  twoArgs("a project", "its new name", 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withGiven(cmd.Context(), args[0], func(ctx context.Context, p projects, one mgx.Project) error {
				renamed, err := p.Rename(ctx, one.ID, args[1])
				return c.showMade(renamed, err)
			})
		},
	}
}

func (c *cli) projectRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove PROJECT",
		Short: "Take a project from the workspace, with what is set for it; its runs and its repository stay",
		Args:  oneArg("a project"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withGiven(cmd.Context(), args[0], func(ctx context.Context, p projects, one mgx.Project) error {
				if err := p.Remove(ctx, one.ID); err != nil {
					return err
				}
				c.tell("Removed %s.\n", one.ID)
				return nil
			})
		},
	}
}

// withGiven does something with a project that the workspace was given.
func (c *cli) withGiven(ctx context.Context, name string, f func(context.Context, projects, mgx.Project) error) error {
	return c.withProjects(ctx, func(ctx context.Context, p projects) error {
		all, err := p.List(ctx)
		if err != nil {
			return err
		}
		found, err := oneProject(all, name, c.there())
		if err != nil {
			return err
		}
		return f(ctx, p, found)
	})
}
