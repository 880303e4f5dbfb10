package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/client"
	"mgx/internal/store"
	"mgx/internal/ui"
)

func (c *cli) consumersCommand() *cobra.Command {
	list := func(cmd *cobra.Command, _ []string) error { return c.withReaders(cmd.Context(), c.listConsumers) }
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

// readers is what commands do with the readers of the log, where they work.
type readers interface {
	List(ctx context.Context) ([]mgx.Consumer, error)
	DeadLetters(ctx context.Context, consumer string) ([]mgx.DeadLetter, error)
	Retry(ctx context.Context, consumer string, event mgx.EventID) (int64, error)
	Discard(ctx context.Context, consumer string, event mgx.EventID) error
}

func (c *cli) withReaders(ctx context.Context, f func(context.Context, readers) error) error {
	return reach(ctx, c,
		func(_ context.Context, n *node) (readers, error) { return ownReaders{n.store}, nil },
		func(remote *client.Client) readers { return remote.Consumers() }, f)
}

// ownReaders are those of the data directory.
type ownReaders struct{ store *store.Store }

func (r ownReaders) List(ctx context.Context) ([]mgx.Consumer, error) { return r.store.Consumers(ctx) }

func (r ownReaders) DeadLetters(ctx context.Context, consumer string) (all []mgx.DeadLetter, err error) {
	for after := int64(0); ; {
		page, err := r.store.DeadLetters(ctx, consumer, after, store.MaxListed)
		if err != nil {
			return nil, err
		}
		if all = append(all, page...); len(page) < store.MaxListed {
			return all, nil
		}
		after = page[len(page)-1].Position
	}
}

func (r ownReaders) Retry(ctx context.Context, consumer string, event mgx.EventID) (int64, error) {
	return r.store.RetryDeadLetters(ctx, consumer, event)
}

func (r ownReaders) Discard(ctx context.Context, consumer string, event mgx.EventID) error {
	return r.store.DiscardDeadLetter(ctx, consumer, event)
}

func (c *cli) listConsumers(ctx context.Context, r readers) error {
	all, err := r.List(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, all...)
	}
	if len(all) == 0 {
		c.tell("No consumers yet; mgx serve makes them.\n")
	}
	now := time.Now()
	for _, one := range all {
		c.printf("%-38s  at %d, %d behind; %d pending, %d dead\n", one.Name, one.Position, one.Lag, one.Pending, one.Dead)
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
			return c.withReaders(cmd.Context(), func(ctx context.Context, r readers) error { return c.listDead(ctx, r, args[0]) })
		},
	}
}

func (c *cli) listDead(ctx context.Context, r readers, name string) error {
	all, err := r.DeadLetters(ctx, name)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, all...)
	}
	if len(all) == 0 {
		c.tell("No dead letters.\n")
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
			return c.withReaders(cmd.Context(), func(ctx context.Context, r readers) error {
				id, err := findDead(ctx, r, args[0], args[1:])
				if err != nil {
					return err
				}
				many, err := r.Retry(ctx, args[0], id)
				if err == nil {
					c.tell("%d dead letters will be tried again.\n", many)
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
			return c.withReaders(cmd.Context(), func(ctx context.Context, r readers) error {
				id, err := findDead(ctx, r, args[0], args[1:])
				if err != nil {
					return err
				}
				if err = r.Discard(ctx, args[0], id); err == nil {
					c.tell("Discarded %s.\n", id)
				}
				return err
			})
		},
	}
}

// findDead finds the dead letter that a person means by a whole id or a part of
// it; without a name: all of them, which is the empty id.
func findDead(ctx context.Context, r readers, consumer string, names []string) (mgx.EventID, error) {
	if len(names) == 0 {
		return "", nil
	}
	all, err := r.DeadLetters(ctx, consumer)
	if err != nil {
		return "", err
	}
	d, err := one(all, names[0], "dead letter", "mgx consumers dead "+consumer, func(d mgx.DeadLetter) string { return string(d.Event) })
	return d.Event, err
}
