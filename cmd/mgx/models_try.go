package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mgx/internal/app"
)

func (c *cli) modelsTestCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "test PROVIDER/MODEL",
		Short: "Make one small real call to a model and say what works",
		Long: `Makes one small real call to a model, or to the one that a policy chooses: a question
with a tool to answer it with. It says whether the answer was streamed, whether the model
called the tool, whether the provider reported the usage, how long it took and what it
cost. No retry is made; the error of the provider is shown as it is.`,
		Args: oneArg("a model"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.testModel(cmd.Context(), args[0]) },
	}
}

func (c *cli) testModel(ctx context.Context, name string) error {
	t, err := c.triedAt(ctx, name)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, t)
	}
	c.printTried(t)
	return nil
}

// triedAt has the call made where the command works.
func (c *cli) triedAt(ctx context.Context, name string) (app.ModelTrial, error) {
	if c.at.server != "" {
		remote, err := c.remote(c.at)
		if err != nil {
			return app.ModelTrial{}, err
		}
		t, err := remote.Models().Test(ctx, name)
		return app.ModelTrial(t), err
	}
	m, done, err := c.unlocked(ctx)
	if err != nil {
		return app.ModelTrial{}, err
	}
	defer done()
	return m.try(ctx, name, nil)
}

func (c *cli) printTried(t app.ModelTrial) {
	yes := func(ok bool, no string) string {
		if ok {
			return "yes"
		}
		return no
	}
	cost := "unknown: there is no price for it"
	if t.PriceKnown {
		cost = t.CostUSD.String()
	}
	c.printf("%s answered (%s).\n", t.Model, t.Finish)
	if !strings.Contains(t.Asked, "/") {
		c.printf("  chosen     %s: %s\n", t.Asked, t.Why)
	}
	c.printf("  streaming  %s\n", yes(t.Streaming, "no: the answer came in one piece"))
	c.printf("  tools      %s\n", yes(t.Tools, "no: it did not call the tool it was told to call"))
	c.printf("  usage      %s\n", yes(t.Usage, "no: budgets count the most that a call can have used"))
	c.printf("  tokens     %d in, %d out\n", t.Tokens.Prompt, t.Tokens.Completion)
	c.printf("  time       %s to the first token, %s in all\n", t.FirstToken.Round(time.Millisecond), t.Duration.Round(time.Millisecond))
	c.printf("  cost       %s\n", fmt.Sprint(cost))
}
