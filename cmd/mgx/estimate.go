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

func (c *cli) estimateCommand() *cobra.Command {
	var project, model string
	cmd := &cobra.Command{
		Use:   "estimate",
		Short: "Say what a task may take, by what similar runs took",
		Long: `Says what a task may take: the median of the time, the tokens and the cost of runs that ended,
and between which values nine of ten were. Those of the project with the model are looked at,
else of the project, else with the model; without either, all of the workspace. It takes three.`,
		Example: "  mgx runs estimate --project . --model auto",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			on, err := c.projectNamed(ctx, project)
			if err != nil {
				return err
			}
			return c.withRuns(ctx, func(ctx context.Context, r runs) error {
				e, err := r.Estimate(ctx, on, model)
				if err != nil {
					return err
				}
				return c.showEstimate(e)
			})
		},
	}
	cmd.Flags().StringVar(&project, "project", "", "`directory or id` of the project; at a server its name or id (default: all)")
	cmd.Flags().StringVar(&model, "model", "", "`provider/model`, or a policy such as auto (default: all)")
	return cmd
}

// projectNamed finds the project that a person means; none where none is named. By its
// id it may also be one that the workspace was not given, or has no more.
func (c *cli) projectNamed(ctx context.Context, name string) (id mgx.ProjectID, err error) {
	if name == "" || wholeID().MatchString(name) {
		return mgx.ProjectID(name), nil
	}
	return id, c.withProject(ctx, name, func(_ context.Context, _ projects, at codeBase) error {
		id = at.project
		return nil
	})
}

// ofWhat says which runs an estimate is made of.
var ofWhat = map[string]string{"project_and_model": "of the project with the model", "project": "of the project", "model": "with the model", "workspace": "of the workspace"}

func (c *cli) showEstimate(e client.Estimate) error {
	if c.json {
		return printJSON(c, e)
	}
	if e.Runs == 0 {
		c.tell("Too few similar runs have ended to say what a task may take; it takes three.\n")
		return nil
	}
	c.printf("by %d runs %s since %s UTC, %d of which reached their goal\n", e.Runs, ofWhat[e.Basis], e.Oldest.UTC().Format(time.DateTime), e.Done)
	row := func(what, median, low, high string) { c.printf("  %-6s  %10s  (%s to %s)\n", what, median, low, high) }
	if d := e.Duration; d != nil {
		took := func(ms int64) string { return ui.Duration(time.Duration(ms) * time.Millisecond) }
		row("time", took(d.Median), took(d.Low), took(d.High))
	}
	if t := e.Tokens; t != nil {
		row("tokens", ui.Tokens(t.Median), ui.Tokens(t.Low), ui.Tokens(t.High))
	}
	if m := e.Cost; m != nil {
		row("cost", m.Median.String(), m.Low.String(), m.High.String())
	}
	if e.Unpriced {
		c.tell("A model among them has no known price: some of these cost more.\n")
	}
	return nil
}

func (o ownRuns) Estimate(ctx context.Context, project mgx.ProjectID, model string) (client.Estimate, error) {
	e, err := o.n.app.Estimate(ctx, o.n.me(), project, model)
	return client.Estimate{
		Model: e.Model, Basis: e.Basis, Runs: e.Runs, Done: e.Done, Oldest: e.Oldest, Unpriced: e.Unpriced,
		Duration: rangeOf(e.Duration), Tokens: rangeOf(e.Tokens), Cost: rangeOf(e.Cost),
	}, err
}

func rangeOf[T ~int64](r *app.Range[T]) *client.Range[T] { return (*client.Range[T])(r) }
