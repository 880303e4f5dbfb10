package main

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/client"
	"mgx/internal/event"
	"mgx/internal/store"
)

func (c *cli) retainCommand() *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use:   "retain",
		Short: "Remove events whose time is over, as mgx serve does every day",
		Long: `Removes events that have been kept for as long as their contract says
(docs/reference/events.md), or as is set instead for their category; see
docs/data-rights.md. Whole months go: the time counts from the end of the month in which an
event happened, so it is kept for up to a month longer. Events of runs that have not ended
stay, and so does the last event of every stream, without its data. Runs, tasks, journals
and money are no events and stay: mgx erase is for those. At a server it is for admins of
the installation.`,
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
	cmd.AddCommand(&cobra.Command{
		Use:   "show",
		Short: "Show for how long events are kept, by category",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withRights(cmd.Context(), func(ctx context.Context, r rights) error {
				all, err := r.Retention(ctx)
				return c.showKept(all, err)
			})
		},
	}, c.retainSetCommand())
	return cmd
}

func (c *cli) retainSetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "set CATEGORY=DAYS|CATEGORY=default...",
		Short: "Set for how long events of some categories are kept",
		Long: `Sets for how many days the events of a category are kept, or that each type is kept as its
contract says. What is not named stays as it is. What shows what was done and spent (billing,
security, system) is not kept shorter than contracts say. A longer time holds for all events, a
shorter one for those from now on. At a server it is for admins of the installation.`,
		Example: "  mgx retain set agent=30 billing=3650 tool=default",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return nil
			}
			return usage("bad_arguments", "%s takes a category and its days, such as agent=30; mgx retain show lists the categories", cmd.CommandPath())
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			set := map[string]int64{}
			for _, a := range args {
				name, value, _ := strings.Cut(a, "=")
				days, err := strconv.ParseInt(value, 10, 64)
				if value == "default" {
					days, err = 0, nil
				} else if days < 1 {
					err = strconv.ErrRange
				}
				if _, twice := set[name]; err != nil || name == "" || twice {
					return usage("bad_retention", "say each category once, as CATEGORY=DAYS or CATEGORY=default, not %q", a)
				}
				set[name] = days
			}
			return c.withRights(cmd.Context(), func(ctx context.Context, r rights) error {
				all, err := r.EditRetention(ctx, func(days map[string]int64) { maps.Copy(days, set) })
				return c.showKept(all, err)
			})
		},
	}
}

func (c *cli) showKept(all []client.Kept, err error) error {
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, all...)
	}
	for _, k := range all {
		kept := "as contracts say, "
		for i, days := range k.Default {
			if i > 0 {
				kept += " or "
			}
			kept += strconv.Itoa(days)
		}
		if k.Days > 0 {
			kept = strconv.FormatInt(k.Days, 10)
		}
		c.printf("%-10s  %s days (%d to %d can be set)\n", cell(k.Category), kept, k.Least, k.Most)
	}
	return nil
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
