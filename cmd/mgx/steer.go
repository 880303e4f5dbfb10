package main

import (
	"context"

	"github.com/spf13/cobra"

	"mgx"
)

func (c *cli) steerCommand() *cobra.Command {
	return &cobra.Command{
		Use:   `steer RUN "MESSAGE"`,
		Short: "Say something to a run that is under way",
		Long: `Says something to a run that is under way or waits. The agent that leads hears it before
its next turn, and whoever leads after it is told with the task. It changes what the team
is asked to do, not what it may do: limits and policy stay as they are.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return usage("bad_arguments", `mgx steer takes a run and what to say to it, for example: mgx steer RUN "keep the old flag as an alias"; got %d arguments`, len(args))
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withRunOf(cmd.Context(), args[0], func(ctx context.Context, r runs, run mgx.Run) error {
				if err := r.Steer(ctx, run.ID, args[1]); err != nil {
					return err
				}
				c.tell("Said to %s. It is heard before the next turn.\n", run.ID)
				return nil
			})
		},
	}
}

func (c *cli) pauseCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "pause RUN",
		Short: "Have a run stand still before its next turn or tool call",
		Long: `Has a run stand still before its next model turn or tool call; what is being done is
finished first. Its deadline does not move. mgx resume RUN lets it go on.`,
		Args: oneArg("a run"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withRunOf(cmd.Context(), args[0], func(ctx context.Context, r runs, run mgx.Run) error {
				if err := r.Pause(ctx, run.ID, reason); err != nil {
					return err
				}
				c.tell("%s stands still before its next step. It goes on with: mgx resume %s%s\n", run.ID, run.ID, c.there())
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`why`, for the record")
	return cmd
}
