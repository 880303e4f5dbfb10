package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/internal/event"
	"mgx/internal/store"
)

func (c *cli) retainCommand() *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use:   "retain",
		Short: "Remove events whose time is over, as mgx serve does every day",
		Long: `Removes events that have been kept for as long as their contract says (docs/reference/events.md),
or as is set instead for their category; see docs/data-rights.md. Whole months go: the time counts from the end of the month in
which an event happened, so it is kept for up to a month longer. Events of runs that have
not ended stay, and so does the last event of every stream, without its data. Runs, tasks,
journals and money are no events and stay: mgx erase is for those. At a server it is for
admins of the installation.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withRights(cmd.Context(), func(ctx context.Context, r rights) error {
				done, err := r.RetainEvents(ctx, dry)
				if err != nil {
					return err
				}
				return c.retained(done, dry)
			})
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only count")
	return cmd
}

func (c *cli) retained(done mgx.RetainedEvents, dry bool) error {
	if c.json {
		return printJSON(c, done)
	}
	verb := "Removed"
	if dry {
		verb = "Would remove"
	}
	fmt.Fprintf(c.err, "%s %d events, and the data of %d more. Nothing is missing from position %d on.\n", verb, done.Removed, done.Emptied, done.Earliest)
	return nil
}

// retain removes what neither the settings nor the contracts ask to keep any longer.
func (n *node) retain(ctx context.Context, dry bool) (mgx.RetainedEvents, error) {
	contracts, err := event.NewRegistry()
	if err != nil {
		return mgx.RetainedEvents{}, err
	}
	keep, err := n.retention(contracts).Keep(ctx)
	if err != nil {
		return mgx.RetainedEvents{}, err
	}
	n.store.SetKeep(keep) // another process may have set it
	done, err := n.store.Retain(ctx, mgx.Now(), store.Retention{Keep: keep, Dry: dry})
	return mgx.RetainedEvents(done), err
}

// kept says for how long the contracts ask to keep events, by type.
func kept(contracts *event.Registry) map[mgx.EventType]time.Duration {
	keep := map[mgx.EventType]time.Duration{}
	for _, t := range contracts.Types() {
		keep[t.Type] = t.Retention
	}
	return keep
}

// A server that has just begun has more urgent things to do.
const (
	firstRetain = 10 * time.Minute
	retainEvery = 24 * time.Hour
)

// retainDaily removes every day what is no longer kept, until ctx ends.
func (n *node) retainDaily(ctx context.Context) {
	for wait := firstRetain; ; wait = retainEvery {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		done, err := n.retain(ctx, false)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			n.log.Error("old events could not be removed; trying again tomorrow", "error", err)
		default:
			n.log.Info("removed old events", "removed", done.Removed, "emptied", done.Emptied, "earliest", done.Earliest)
		}
	}
}
