package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/ui"
)

func (c *cli) eraseCommand() *cobra.Command {
	var f subjectFlags
	var yes, tasks bool
	cmd := &cobra.Command{
		Use:   "erase --run RUN | --task TASK | --person PERSON | --workspace WORKSPACE",
		Short: "Erase everything in words that is held on a run, a task, a person or a workspace, for good",
		Long: `Erases what is held on a run, or on a task with all its runs: the data of every event,
the journals, decisions, plans, answers, and all files of the runs. Ids, times, counts and
money stay, so that the log stays whole and readers of it miss nothing; a data.erased
event says what was done. A run must have ended.

A person goes with their account, memberships, sessions, keys, invitations, and what the
audit log says in words of acts by or about them, everywhere; with --tasks also the words of
the tasks that they wrote or that hold their address. A workspace goes whole, and takes
nothing new from then on; erased again, it loses whatever is there still. The proofs of the
audit log stay valid. See docs/data-rights.md.

What it cannot reach, it names: branches that were delivered. Earlier backups and exports
hold what was erased; delete them, or make them again.

At a server it is for admins, of a person for those of the installation.

Exit codes: 0 erased; 2 usage; 3 configuration; 6 not confirmed.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			named := 0
			for _, name := range []string{f.run, f.task, f.person, f.workspace} {
				if name != "" {
					named++
				}
			}
			switch {
			case named != 1:
				return usage("bad_flag", "say what to erase with one of --run, --task, --person and --workspace")
			case tasks && f.person == "":
				return usage("bad_flag", "--tasks goes with --person")
			case f.workspace != "" && c.at.server != "":
				c.at.workspace = f.workspace
			}
			return c.withRights(cmd.Context(), func(ctx context.Context, r rights) error {
				switch {
				case f.person != "":
					return c.erasePerson(ctx, r, f.person, tasks, yes)
				case f.workspace != "":
					return c.eraseWorkspace(ctx, r, mgx.WorkspaceID(f.workspace), yes)
				}
				return c.eraseWork(ctx, r, f, yes)
			})
		},
	}
	f.add(cmd, "erase")
	cmd.Flags().StringVar(&f.person, "person", "", "erase this person, by `id or address`")
	cmd.Flags().StringVar(&f.workspace, "workspace", "", "erase this `workspace`, by its id")
	cmd.Flags().BoolVar(&tasks, "tasks", false, "with --person: also the words of the tasks that they wrote or that hold their address")
	cmd.Flags().BoolVar(&yes, "yes", false, "erase without asking")
	return cmd
}

func (c *cli) eraseWork(ctx context.Context, r rights, f subjectFlags, yes bool) error {
	w, err := f.work(ctx, r)
	if err != nil {
		return err
	}
	plan, err := r.PlanWork(ctx, w)
	if err != nil {
		return err
	}
	if !yes {
		if err := c.confirm(ctx, describe(plan)); err != nil {
			return err
		}
	}
	done, err := r.EraseWork(ctx, w)
	if err != nil {
		return err
	}
	return c.erased(plan, done)
}

// describe says in a line what an erasure is of.
func describe(plan mgx.WorkErasure) string {
	runs := make([]string, len(plan.Runs))
	for i, id := range plan.Runs {
		runs[i] = string(id)
	}
	what := strings.Join(runs, ", ")
	if plan.Task != "" {
		what = strings.TrimSuffix("task "+string(plan.Task)+" with "+what, " with ")
	}
	return what
}

func (c *cli) confirm(ctx context.Context, what string) error {
	if !c.terminal() {
		return mgx.Errorf(mgx.KindRefused, "not_confirmed", "this erases %s for good; say --yes to do it", what)
	}
	fmt.Fprintf(c.err, "This erases %s for good. Type yes to go on: ", ui.Text(what))
	line, err := c.readLine(ctx)
	if err != nil || strings.TrimSpace(line) != "yes" {
		return mgx.Errorf(mgx.KindRefused, "not_confirmed", "nothing was erased")
	}
	return nil
}

func (c *cli) erased(plan, done mgx.WorkErasure) error {
	if c.json {
		return printJSON(c, map[string]any{
			"task_id": done.Task, "run_ids": append([]mgx.RunID{}, plan.Runs...), "events": done.Events,
			"delivered": append([]mgx.DeliveredBranch{}, plan.Delivered...), "fork_ids": append([]mgx.RunID{}, plan.Forks...),
		})
	}
	fmt.Fprintf(c.err, "Erased %s: %d events lost their data.\n", describe(plan), done.Events)
	for _, d := range plan.Delivered {
		fmt.Fprintf(c.err, "Delivered, and yours to delete: git -C %s branch -D %s\n", ui.Text(d.Repo), ui.Text(d.Branch))
	}
	for _, fork := range plan.Forks {
		fmt.Fprintf(c.err, "%s was forked from it and holds what it took over: erase it, too.\n", fork)
	}
	c.sayCopies()
	return nil
}

// removeRun removes a run's directory, whatever programs made of it.
func removeRun(dir string) error {
	err := sandbox.RemoveState(dir)
	if err == nil {
		return nil
	}
	return mgx.Errorf(mgx.KindConfig, "files_left", "the database is erased, but files are left in %s: %w; remove them, or run the command again", dir, err)
}
