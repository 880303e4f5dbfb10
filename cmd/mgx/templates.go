package main

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/client"
	"mgx/internal/access"
	"mgx/internal/app"
	"mgx/internal/config"
	"mgx/internal/git"
	"mgx/internal/ui"
)

// templates is what commands do with templates of tasks, where they work.
type templates interface {
	List(ctx context.Context) ([]client.Template, error)
	Create(ctx context.Context, n client.Template) (client.Template, error)
	Replace(ctx context.Context, id client.TemplateID, n client.Template) (client.Template, error)
	Delete(ctx context.Context, id client.TemplateID) error
}

// withTemplates does something with templates where a command says.
func (c *cli) withTemplates(ctx context.Context, f func(context.Context, templates) error) error {
	return reach(ctx, c,
		func(_ context.Context, n *node) (templates, error) {
			own := n.asOwner()
			return ownTemplates{&app.Templates{Access: own.Access, Store: n.store, Ahead: true}, own.actor}, nil
		},
		func(remote *client.Client) templates { return remote.Templates() }, f)
}

func (c *cli) templatesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "templates",
		Short: "Keep tasks that are asked for again and again, with what is the same each time filled in",
		Long: `Lists the templates of the workspace, and those that are built in. A task by one of them:

  mgx run --template "Fix a bug" "an empty order makes the shop crash"

What is said there comes first, and takes the place of the lines of the template that end
in …: those are gaps for people to fill in. Flags of mgx run win over what a template says.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.withTemplates(cmd.Context(), c.listTemplates) },
	}
	cmd.AddCommand(c.templatesShowCommand(), c.templatesSaveCommand(), c.templatesDeleteCommand())
	return cmd
}

func (c *cli) listTemplates(ctx context.Context, t templates) error {
	all, err := t.List(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, all...)
	}
	for _, one := range all {
		what, _, _ := strings.Cut(strings.TrimSpace(one.Task.Text), "\n")
		if one.BuiltIn {
			what = "built in"
		}
		c.printf("%-24s%s\n", one.Name, ui.Text(what))
	}
	return nil
}

func (c *cli) templatesShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Show what a template fills in",
		Args:  oneArg("the name or id of a template"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withTemplates(cmd.Context(), func(ctx context.Context, t templates) error {
				one, err := oneTemplate(ctx, t, args[0], c.there())
				if err != nil {
					return err
				}
				if c.json {
					return printJSON(c, one)
				}
				c.showTemplate(one)
				return nil
			})
		},
	}
}

func (c *cli) showTemplate(t client.Template) {
	row := func(name, value string) {
		if value != "" {
			c.printf("%-9s %s\n", name, value)
		}
	}
	row("id", string(t.ID))
	row("name", t.Name)
	row("project", string(t.Project))
	row("model", t.Task.Model)
	row("approve", t.Task.Approve)
	if t.Task.Budget != nil {
		row("budget", t.Task.Budget.String())
	}
	if t.Task.Plan {
		row("plan", "first")
	}
	for _, check := range t.Task.Checks {
		row("check", check)
	}
	if t.Task.Text != "" {
		c.printf("\n%s\n", ui.Text(t.Task.Text))
	}
}

func (c *cli) templatesSaveCommand() *cobra.Command {
	var n client.Template
	var budget, project string
	cmd := &cobra.Command{
		Use:   "save NAME",
		Short: "Keep a template; one of the same name, for the same project, is replaced",
		Example: `  mgx templates save nightly --task "Update the dependencies that have security fixes." --budget 2 --check "make test"
  mgx run --template nightly`,
		Args: oneArg("the name of the template"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			n.Name = args[0]
			if n.Project, err = c.projectNamed(cmd.Context(), project); err != nil {
				return err
			}
			if budget != "" {
				most, err := mgx.ParseMoney(budget)
				if err != nil {
					return usage("bad_budget", "--budget takes dollars such as 2.50, not %q", budget)
				}
				n.Task.Budget = &most
			}
			return c.withTemplates(cmd.Context(), func(ctx context.Context, t templates) error { return c.saveTemplate(ctx, t, n) })
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&n.Task.Text, "task", "", "what is wanted, in `words`; lines that end in … are gaps to fill in")
	flags.StringVar(&n.Task.Model, "model", "", "`provider/model`, or a policy such as auto")
	flags.StringVar(&n.Task.Approve, "approve", "", "`who` approves: auto, ask or never")
	flags.StringVar(&budget, "budget", "", "most that a run may spend, in `dollars`")
	flags.BoolVar(&n.Task.Plan, "plan", false, "plan first, whatever the size of the task")
	flags.StringArrayVar(&n.Task.Checks, "check", nil, "`command` that must succeed; may be given several times")
	flags.StringVar(&project, "project", "", "only for the project with this `directory or id`; at a server its name or id (default: for every project)")
	return cmd
}

func (c *cli) saveTemplate(ctx context.Context, t templates, n client.Template) error {
	all, err := t.List(ctx)
	if err != nil {
		return err
	}
	keep, verb := t.Create, "Kept"
	if i := slices.IndexFunc(all, func(one client.Template) bool {
		return !one.BuiltIn && one.Project == n.Project && strings.EqualFold(one.Name, strings.Join(strings.Fields(n.Name), " "))
	}); i >= 0 {
		verb = "Replaced"
		keep = func(ctx context.Context, n client.Template) (client.Template, error) {
			return t.Replace(ctx, all[i].ID, n)
		}
	}
	kept, err := keep(ctx, n)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, kept)
	}
	c.tell("%s %s. A task by it: mgx run --template %q%s\n", verb, kept.Name, kept.Name, c.there())
	return nil
}

func (c *cli) templatesDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "delete NAME",
		Short: "Give a template up; those that are built in stay",
		Args:  oneArg("the name or id of a template"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withTemplates(cmd.Context(), func(ctx context.Context, t templates) error {
				one, err := oneTemplate(ctx, t, args[0], c.there())
				if err == nil {
					err = t.Delete(ctx, one.ID)
				}
				if err == nil {
					c.tell("Deleted %s.\n", one.Name)
				}
				return err
			})
		},
	}
}

// oneTemplate is the template that somebody means, by its name or id. One of the
// workspace goes before a built-in one of the same name.
func oneTemplate(ctx context.Context, t templates, name, there string) (client.Template, error) {
	all, err := t.List(ctx)
	if err != nil {
		return client.Template{}, err
	}
	for _, builtIn := range []bool{false, true} {
		var called []client.Template
		for _, one := range all {
			if one.BuiltIn == builtIn && strings.EqualFold(one.Name, name) {
				called = append(called, one)
			}
		}
		if len(called) > 1 {
			return client.Template{}, usage("ambiguous", "%d templates are called %q, for different projects; name one by its id, see: mgx templates --json%s", len(called), name, there)
		}
		if len(called) == 1 {
			return called[0], nil
		}
	}
	return one(all, name, "template", "mgx templates"+there, func(t client.Template) string { return string(t.ID) })
}

// ownTemplates are those of the data directory.
type ownTemplates struct {
	*app.Templates
	actor access.Actor
}

func (o ownTemplates) List(ctx context.Context) ([]client.Template, error) {
	var list []client.Template
	all, err := o.Templates.List(ctx, o.actor, "")
	for _, one := range all {
		list = append(list, shownTemplate(one))
	}
	return list, err
}

func (o ownTemplates) Create(ctx context.Context, n client.Template) (client.Template, error) {
	made, err := o.Templates.Create(ctx, o.actor, keptTemplate(n))
	return shownTemplate(made), err
}

func (o ownTemplates) Replace(ctx context.Context, id client.TemplateID, n client.Template) (client.Template, error) {
	kept, err := o.Templates.Replace(ctx, o.actor, app.TemplateID(id), keptTemplate(n))
	return shownTemplate(kept), err
}

func (o ownTemplates) Delete(ctx context.Context, id client.TemplateID) error {
	return o.Templates.Delete(ctx, o.actor, app.TemplateID(id))
}

func shownTemplate(t app.TaskTemplate) client.Template {
	return client.Template{ID: client.TemplateID(t.ID), Name: t.Name, Project: t.Project, Task: client.TemplateTask(t.Task), BuiltIn: t.BuiltIn, CreatedBy: t.CreatedBy, CreatedAt: t.CreatedAt}
}

func keptTemplate(t client.Template) app.TaskTemplate {
	return app.TaskTemplate{Name: t.Name, Project: t.Project, Task: app.TemplateTask(t.Task)}
}

// byTemplate has a template fill in what the flags of mgx run leave open, and returns
// the words of the task.
func (c *cli) byTemplate(cmd *cobra.Command, said string, f *runFlags) (text string, err error) {
	err = c.withTemplates(cmd.Context(), func(ctx context.Context, all templates) error {
		t, err := oneTemplate(ctx, all, f.template, c.there())
		if err != nil {
			return err
		}
		if text, err = app.TemplateTask(t.Task).Words(said); err != nil {
			return err
		}
		if err := c.onItsProject(ctx, t, f); err != nil {
			return err
		}
		if f.plan = f.plan || t.Task.Plan; len(f.checks) == 0 {
			f.checks = t.Task.Checks
		}
		budget := ""
		if t.Task.Budget != nil {
			budget = t.Task.Budget.Decimal()
		}
		return c.sayAlso(map[string]string{"model": t.Task.Model, "approve": t.Task.Approve, "budget": budget})
	})
	return text, err
}

// onItsProject has a task by a template that is for one project be on that one.
func (c *cli) onItsProject(ctx context.Context, t client.Template, f *runFlags) error {
	if t.Project == "" {
		return nil
	}
	if c.at.server != "" {
		if f.upload || f.repo != "" {
			return usage("other_project", "the template %q is for the project %s; leave --upload and --repo out, or take another template", t.Name, t.Project)
		}
		f.project = cmp.Or(f.project, string(t.Project))
		return nil
	}
	dir, err := workingDir(f.repo)
	if err != nil {
		return err
	}
	src, err := git.Inspect(ctx, dir)
	if err == nil && mgx.ProjectOf(src.Path) != t.Project {
		err = usage("other_project", "the template %q is for the project %s, which is not the repository %s; name its repository with --repo, they are in: mgx project list", t.Name, t.Project, src.Path)
	}
	return err
}

// sayAlso settles the configuration as if flags that were not typed had been.
func (c *cli) sayAlso(values map[string]string) error {
	for name, value := range values {
		if _, typed := c.typed[name]; !typed && value != "" {
			c.typed[name] = value
		}
	}
	cfg, err := config.Load(c.real, c.typed)
	if err == nil {
		c.cfg = cfg
	}
	return err
}
