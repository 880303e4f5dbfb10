package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/client"
	"mgx/internal/app"
	"mgx/internal/ui"
)

func (c *cli) executionsCommand() *cobra.Command {
	var limit int
	var statuses []string
	var run string
	cmd := &cobra.Command{
		Use:   "executions",
		Short: "List what the engine works through, newest first: an execution for each run",
		Long: `Lists executions of workflows, newest first: a run has one, and others that it began. One that is
ready is taken up next; one that waits does so for a time, or for what is named: a decision,
for example. mgx executions show lists its steps.`,
		Example: `  mgx executions --status ready,waiting
  mgx executions show 7Q2K`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLimit(limit); err != nil {
				return err
			}
			chosen, err := knownStatuses(statuses, app.ExecutionStatuses)
			if err != nil {
				return err
			}
			return c.withRuns(cmd.Context(), func(ctx context.Context, r runs) error {
				f := mgx.ExecutionFilter{Statuses: chosen}
				if run != "" {
					of, err := r.Find(ctx, run)
					if err != nil {
						return err
					}
					f.Run = of.ID
				}
				return c.listExecutions(ctx, r, f, limit)
			})
		},
	}
	addStatuses(cmd.Flags(), &statuses, app.ExecutionStatuses)
	cmd.Flags().StringVar(&run, "run", "", "only those of this `run`")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most `N` executions")
	cmd.AddCommand(&cobra.Command{
		Use:   "show EXECUTION",
		Short: "Show an execution with its steps; a part of its id is enough",
		Args:  oneArg("an execution"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withRuns(cmd.Context(), func(ctx context.Context, r runs) error { return c.showExecution(ctx, r, args[0]) })
		},
	})
	return cmd
}

func (c *cli) listExecutions(ctx context.Context, r runs, f mgx.ExecutionFilter, limit int) error {
	all, err := r.Executions(ctx, f, limit)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, all...)
	}
	if len(all) == 0 {
		c.tell("No executions.\n")
	}
	now := time.Now()
	for _, x := range all {
		c.printf("%-31s  %-9s  %-12s  %-14s  %-30s  %s\n", x.ID, doing(x), cell(x.Workflow), ui.Ago(x.CreatedAt, now), x.Run, cell(waitsFor(x)))
	}
	return nil
}

// doing is the status of an execution, or that somebody works on it.
func doing(x client.Execution) string {
	if x.AtWork {
		return "at work"
	}
	return string(x.Status)
}

// waitsFor says what an execution waits for.
func waitsFor(x client.Execution) string {
	var what []string
	if x.Status == mgx.ExecWaiting && len(x.Awaits) > 0 {
		what = append(what, "for "+strings.Join(x.Awaits, " or "))
	}
	if x.Status == mgx.ExecWaiting && !x.WakeAt.IsZero() {
		what = append(what, "until "+x.WakeAt.UTC().Format(time.DateTime)+" UTC")
	}
	return strings.Join(what, ", ")
}

func (c *cli) showExecution(ctx context.Context, r runs, name string) error {
	id, err := wholeOf(name, "execution", "mgx executions",
		func() ([]client.Execution, error) { return r.Executions(ctx, mgx.ExecutionFilter{}, mostLooked) },
		func(x client.Execution) mgx.ExecutionID { return x.ID })
	if err != nil {
		return err
	}
	x, err := r.Execution(ctx, id)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, x)
	}
	c.printf("%s: %s, %s\n", x.ID, cell(x.Workflow), strings.TrimSpace(doing(x.Execution)+" "+cell(waitsFor(x.Execution))))
	if x.Run != "" {
		c.printf("  run: %s\n", x.Run)
	}
	if x.Parent != "" {
		c.printf("  begun by: %s, at %s\n", x.Parent, cell(x.ParentStep))
	}
	if x.Failure != nil {
		c.printf("  failure: %s\n", cell(x.Failure.Message))
	}
	c.printf("  taken up: %d times\n", x.Term)
	for _, s := range x.Steps {
		took := ""
		if !s.EndedAt.IsZero() {
			took = ui.Duration(s.EndedAt.Sub(s.StartedAt))
		}
		c.printf("  %4d  %-7s  %-7s  %-10s  %s", s.Order, cell(s.State), s.Kind, took, cell(s.Name))
		if s.Error != "" {
			c.printf(": %s", cell(s.Error))
		}
		c.printf("\n")
	}
	if x.Truncated {
		c.tell("There are more steps than these.\n")
	}
	for _, child := range x.Children {
		c.printf("  began %s: %s, %s\n", child.ID, cell(child.Workflow), doing(child))
	}
	return nil
}

func (o ownRuns) Executions(ctx context.Context, f mgx.ExecutionFilter, limit int) ([]client.Execution, error) {
	all, err := upToHere(limit, func(token string, limit int) (app.Page[app.ExecutionInfo], error) {
		return o.n.app.Executions(ctx, o.n.me(), app.ExecutionsQuery{Run: f.Run, Statuses: f.Statuses, After: token, Limit: limit})
	})
	return executionsOf(all), err
}

func executionsOf(all []app.ExecutionInfo) []client.Execution {
	list := make([]client.Execution, len(all))
	for i, x := range all {
		list[i] = client.Execution(x)
	}
	return list
}

func (o ownRuns) Execution(ctx context.Context, id mgx.ExecutionID) (client.ExecutionSteps, error) {
	x, err := o.n.app.Execution(ctx, o.n.me(), id)
	out := client.ExecutionSteps{Execution: client.Execution(x.ExecutionInfo), Steps: []client.Step{}, Children: executionsOf(x.Children), Truncated: x.Truncated}
	for _, s := range x.Steps {
		out.Steps = append(out.Steps, client.Step(s))
	}
	return out, err
}

func (t theirRuns) Executions(ctx context.Context, f mgx.ExecutionFilter, limit int) ([]client.Execution, error) {
	return upTo(limit, t.Runs.Executions(ctx, f))
}
