package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/client"
	"mgx/internal/app"
	"mgx/internal/ui"
)

func (c *cli) tasksCommand() *cobra.Command {
	var limit int
	var words string
	cmd := &cobra.Command{
		Use:   "tasks",
		Short: "List what was asked for, newest first; each may have had several runs",
		Long: `Lists the tasks of the workspace, newest first. With --text it lists those whose words begin
with these, in any case. The id is what mgx erase --task and mgx export --task take.`,
		Example: "  mgx tasks --text 'healthz endpoint'",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLimit(limit); err != nil {
				return err
			}
			return c.withRuns(cmd.Context(), func(ctx context.Context, r runs) error { return c.listTasks(ctx, r, words, limit) })
		},
	}
	cmd.Flags().StringVar(&words, "text", "", "only those that have these `words`")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most `N` tasks")
	cmd.AddCommand(&cobra.Command{
		Use:   "show TASK",
		Short: "Show a task in full, and its newest runs; a part of its id is enough",
		Args:  oneArg("a task"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withRuns(cmd.Context(), func(ctx context.Context, r runs) error { return c.showTask(ctx, r, args[0]) })
		},
	})
	return cmd
}

func (c *cli) showTask(ctx context.Context, r runs, name string) error {
	id, err := wholeOf(name, "task", "mgx tasks",
		func() ([]mgx.Task, error) { return r.Tasks(ctx, "", mostLooked) }, func(t mgx.Task) mgx.TaskID { return t.ID })
	if err != nil {
		return err
	}
	t, err := r.Task(ctx, id)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, t)
	}
	c.printf("%s: %s\n", t.ID, cell(t.Title))
	if t.Type != "" {
		c.printf("  type: %s\n", cell(string(t.Type)))
	}
	c.printf("  asked for: %s UTC\n\n%s\n\n", t.CreatedAt.UTC().Format(time.DateTime), ui.Text(t.Description))
	return c.runsTable(t.Runs)
}

// checkLimit refuses a list of nothing, and one that nobody reads.
func checkLimit(limit int) error {
	if limit < 1 || limit > 10_000 {
		return usage("bad_limit", "--limit takes 1 to 10000, not %d", limit)
	}
	return nil
}

func (c *cli) listTasks(ctx context.Context, r runs, words string, limit int) error {
	all, err := r.Tasks(ctx, words, limit)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, all...)
	}
	if len(all) == 0 && words != "" {
		c.tell("No task has these words.\n")
	} else if len(all) == 0 {
		c.tell("No tasks yet. %s\n", c.begin())
	}
	now := time.Now()
	for _, t := range all {
		c.printf("%-31s  %-14s  %s\n", t.ID, ui.Ago(t.CreatedAt, now), cell(t.Title))
	}
	return nil
}

func (o ownRuns) Tasks(ctx context.Context, words string, limit int) ([]mgx.Task, error) {
	return upToHere(limit, func(token string, limit int) (app.Page[mgx.Task], error) {
		return o.n.app.Tasks(ctx, o.n.me(), words, token, limit)
	})
}

func (o ownRuns) Task(ctx context.Context, id mgx.TaskID) (client.TaskRuns, error) {
	t, err := o.n.app.Task(ctx, o.n.me(), id)
	for i, r := range t.Runs {
		t.Runs[i] = r.Brief()
	}
	return client.TaskRuns(t), err
}

func (t theirRuns) Tasks(ctx context.Context, words string, limit int) ([]mgx.Task, error) {
	return upTo(limit, t.Runs.Tasks(ctx, words))
}
