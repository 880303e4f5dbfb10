package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mgx/client"
	"mgx/internal/app"
	"mgx/internal/ui"
)

func (c *cli) approvalsCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "approvals",
		Short: "List what runs wait for a person to decide, the longest waiting first",
		Long: `Lists what runs wait for a person to decide, the longest waiting first: the run, since when,
the name of the approval and what happens on yes. mgx show RUN has all of it, and mgx
approve RUN decides.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLimit(limit); err != nil {
				return err
			}
			return c.withRuns(cmd.Context(), func(ctx context.Context, r runs) error { return c.listApprovals(ctx, r, limit) })
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "at most `N` approvals")
	return cmd
}

func (c *cli) listApprovals(ctx context.Context, r runs, limit int) error {
	all, err := r.Approvals(ctx, limit)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, all...)
	}
	if len(all) == 0 {
		c.tell("No run waits for a decision.\n")
	}
	now := time.Now()
	for _, a := range all {
		if c.decided(ctx, r, a.Run) {
			c.tell("%s has its decision. Go on with: mgx resume %s\n", a.Run, a.Run)
			continue
		}
		c.printf("%-30s  %-14s  %-16s  %s\n", a.Run, ui.Ago(a.AskedAt, now), cell(strings.TrimPrefix(a.ID, "decision/")), cell(a.Effect))
	}
	return nil
}

func (o ownRuns) Approvals(ctx context.Context, limit int) (all []client.AskedApproval, err error) {
	asked, err := upToHere(limit, func(token string, limit int) (app.Page[app.AskedApproval], error) {
		return o.n.app.Approvals(ctx, o.n.me(), token, limit)
	})
	for _, a := range asked {
		all = append(all, client.AskedApproval(a))
	}
	return all, err
}

func (t theirRuns) Approvals(ctx context.Context, limit int) ([]client.AskedApproval, error) {
	return upTo(limit, t.Runs.Approvals(ctx))
}
