package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/internal/ui"
)

func (c *cli) consumersCommand() *cobra.Command {
	list := func(cmd *cobra.Command, _ []string) error { return c.withNode(cmd.Context(), c.listConsumers) }
	cmd := &cobra.Command{
		Use:   "consumers",
		Short: "Who reads the event log inside MGX, how far, and what failed",
		Long: `Lists the readers of the event log: the consumers inside MGX, and the webhooks. mgx serve
works for them. A consumer sees each event, tries again when it fails, and after some
attempts keeps the event as a dead letter and goes on; see docs/consumers.md.`,
		Args: noArgs,
		RunE: list,
	}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "The same as mgx consumers", Args: noArgs, RunE: list},
		c.deadLettersCommand(), c.consumerRetryCommand(), c.discardCommand(),
	)
	return cmd
}

// withNode opens the data for one command.
func (c *cli) withNode(ctx context.Context, f func(context.Context, *node) error) error {
	n, err := c.openAny(ctx)
	if err != nil {
		return err
	}
	defer n.close()
	return f(ctx, n)
}

func (c *cli) listConsumers(ctx context.Context, n *node) error {
	all, err := n.store.Consumers(ctx)
	if err != nil || c.json {
		return cmp.Or(err, printJSON(c, all...))
	}
	if len(all) == 0 {
		fmt.Fprintln(c.err, "No consumers yet; mgx serve makes them.")
	}
	now := time.Now()
	for _, one := range all {
		c.printf("%-34s  at %d, %d behind; %d pending, %d dead\n", one.Name, one.Position, one.Lag, one.Pending, one.Dead)
		if one.LastError != "" {
			c.printf("  held up at %s: %s\n", one.Failing, ui.Text(one.LastError))
		}
		if g := one.Gap; g != nil {
			c.printf("  events between %d and %d were removed before it had read them, %s\n", g.After, g.To, ui.Ago(g.At, now))
		}
	}
	return nil
}

func (c *cli) deadLettersCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "dead NAME",
		Short: "The dead letters of a consumer",
		Args:  oneArg("a consumer"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withNode(cmd.Context(), func(ctx context.Context, n *node) error { return c.listDead(ctx, n, args[0]) })
		},
	}
}

func (c *cli) listDead(ctx context.Context, n *node, name string) error {
	all, err := n.store.DeadLetters(ctx, name, 0, 0)
	if err != nil || c.json {
		return cmp.Or(err, printJSON(c, all...))
	}
	if len(all) == 0 {
		fmt.Fprintln(c.err, "No dead letters.")
	}
	now := time.Now()
	for _, d := range all {
		state := "dead"
		if !d.NextAt.IsZero() {
			state = "waits"
		}
		c.printf("%s  %-5s  %d× %-28s  %-12s %s\n", d.Event, state, d.Attempts, ui.Text(string(d.Type)), ui.Ago(d.UpdatedAt, now), ui.Text(d.LastError))
	}
	return nil
}

func (c *cli) consumerRetryCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "retry NAME [EVENT]",
		Short: "Have a consumer try a dead letter, or all of them, again",
		Args:  twoArgs("a consumer", "an event", 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withNode(cmd.Context(), func(ctx context.Context, n *node) error {
				id, err := n.deadLetter(ctx, args[0], args[1:])
				if err != nil {
					return err
				}
				many, err := n.store.RetryDeadLetters(ctx, args[0], id)
				if err == nil {
					fmt.Fprintf(c.err, "%d dead letters will be tried again.\n", many)
				}
				return err
			})
		},
	}
}

func (c *cli) discardCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "discard NAME EVENT",
		Short: "Give a dead letter up for good",
		Args:  twoArgs("a consumer", "an event", 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withNode(cmd.Context(), func(ctx context.Context, n *node) error {
				id, err := n.deadLetter(ctx, args[0], args[1:])
				if err != nil {
					return err
				}
				if err = n.store.DiscardDeadLetter(ctx, args[0], id); err == nil {
					fmt.Fprintf(c.err, "Discarded %s.\n", id)
				}
				return err
			})
		},
	}
}

// deadLetter finds the dead letter that a person means by a whole id or a part of
// it; without a name: all of them, which is the empty id.
func (n *node) deadLetter(ctx context.Context, consumer string, names []string) (mgx.EventID, error) {
	if len(names) == 0 {
		return "", nil
	}
	all, err := n.store.DeadLetters(ctx, consumer, 0, 0)
	if err != nil {
		return "", err
	}
	d, err := one(all, names[0], "dead letter", "mgx consumers dead "+consumer, func(d mgx.DeadLetter) string { return string(d.Event) })
	return d.Event, err
}
