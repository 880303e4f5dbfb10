package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/internal/store"
)

func (c *cli) resumeCommand() *cobra.Command {
	var r repeatFlags
	cmd := &cobra.Command{
		Use:   "resume [RUN]",
		Short: "Go on with a run that was interrupted or paused, or has its decision; without RUN: with every one that is not paused",
		Args:  optionalArg("a run"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if c.at.server != "" {
				return c.resumeThere(cmd, args)
			}
			if len(args) == 0 && (r.record != "" || r.replay != "") {
				return usage("bad_arguments", "--record and --replay are for one run; name it: mgx resume RUN")
			}
			r.resumes = true
			tape, err := c.openTape(r)
			if err != nil {
				return err
			}
			defer func() { err = tape.close(c.err, err) }()
			n, err := c.open(cmd.Context(), newModels(tape.getenv(c.getenv), tape))
			if err != nil {
				return err
			}
			defer n.close()
			if len(args) == 1 {
				run, err := n.find(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if err := tape.isOf(run); err != nil {
					return err
				}
				return c.resume(cmd.Context(), n, run)
			}
			return c.resumeAll(cmd.Context(), n)
		},
	}
	r.addTapes(cmd.Flags())
	return cmd
}

func (c *cli) resume(ctx context.Context, n *node, run mgx.Run) error {
	if run.Status.Ended() {
		return alreadyEnded(run)
	}
	if err := n.models.use(run.Settings); err != nil {
		return err
	}
	return c.goOn(ctx, n, run)
}

// goOn goes on with a run whose models are ready.
func (c *cli) goOn(ctx context.Context, n *node, run mgx.Run) error {
	if err := n.app.Continue(ctx, n.me(), run.ID); err != nil {
		return err
	}
	if run.Settings.InOrder {
		t := n.models.tape
		defer mgx.Reproduce(t.seed(run.Settings), fmt.Sprintf("%s/%d", run.ID, run.Sequence), t.started())()
	}
	return c.attach(ctx, n, run)
}

func alreadyEnded(run mgx.Run) error {
	return usage("already_ended", "run %s has ended already: %s; see: mgx show %s", run.ID, run.Status, run.ID)
}

// resumeAll goes on with every run that is not ended and not at work elsewhere, and
// removes what killed processes made for runs that they did not begin.
// Its exit is that of the first run that did not reach its goal.
func (c *cli) resumeAll(ctx context.Context, n *node) error {
	if err := n.sweepMaking(ctx); err != nil {
		return err
	}
	runs, err := n.store.Runs(ctx, store.RunQuery{Workspace: mgx.DefaultWorkspace, Statuses: []mgx.RunStatus{mgx.RunQueued, mgx.RunRunning, mgx.RunWaiting}, Limit: 1000})
	if err != nil {
		return err
	}
	var first error
	done := 0
	for _, run := range runs {
		if run.Paused != nil {
			fmt.Fprintf(c.err, "%s is paused; it goes on with: mgx resume %s\n", run.ID, run.ID)
			continue
		}
		if run.Status == mgx.RunWaiting && !c.due(ctx, n, run) {
			fmt.Fprintf(c.err, "%s waits for a decision; see: mgx show %s\n", run.ID, run.ID)
			continue
		}
		err := n.models.prepare(run.Workspace, run.ID, run.Settings) // what is theirs is no other's: a price, say
		if err == nil {
			err = c.goOn(ctx, n, run)
			n.models.release(run.ID)
		} else {
			c.tell("%s cannot go on: %s\n", run.ID, mgx.AsError(err).Message)
			err = &saidError{mgx.AsError(err)}
		}
		if mgx.IsCode(err, "run_busy") {
			fmt.Fprintf(c.err, "%s is at work in another process\n", run.ID)
			continue
		}
		done++
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	if done == 0 && first == nil && !c.json {
		fmt.Fprintln(c.err, "Nothing to resume.")
	}
	return first
}

// due reports whether a waiting run has something of what it waits for.
func (c *cli) due(ctx context.Context, n *node, run mgx.Run) bool {
	for _, p := range run.Pending() {
		signals, err := n.store.Signals(ctx, run.Execution, p.ID)
		if err != nil || len(signals) > 0 {
			return true
		}
	}
	return len(run.Pending()) == 0
}

// decided reports whether a run has the decision that it waits for, and nobody goes on
// with it. At a server somebody does at once.
func (c *cli) decided(ctx context.Context, r runs, id mgx.RunID) bool {
	own, here := r.(ownRuns)
	if !here {
		return false
	}
	run, err := own.Get(ctx, id)
	return err == nil && run.Status == mgx.RunWaiting && len(run.Pending()) > 0 && c.due(ctx, own.n, run)
}

func (c *cli) cancelCommand() *cobra.Command {
	var why string
	cmd := &cobra.Command{
		Use:   "cancel RUN",
		Short: "Stop a run for good",
		Args:  oneArg("a run"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withRunOf(cmd.Context(), args[0], func(ctx context.Context, r runs, run mgx.Run) error {
				return c.cancel(ctx, r, run, why)
			})
		},
	}
	cmd.Flags().StringVar(&why, "reason", "cancelled by the user", "`why`, for the record")
	return cmd
}

func (c *cli) cancel(ctx context.Context, r runs, run mgx.Run, why string) error {
	err := r.Cancel(ctx, run.ID, why)
	switch {
	case mgx.IsCode(err, "run_busy"):
		c.tell("%s is at work in another process, which stops it within a second.\n", run.ID)
		return nil
	case err != nil:
		return err
	case c.at.server != "":
		c.tell("%s is asked to stop; the server brings it to its end. Its files and its log are kept.\n", run.ID)
	default:
		c.tell("%s is cancelled. Its files and its log are kept.\n", run.ID)
	}
	return nil
}
