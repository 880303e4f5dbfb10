package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/event"
	"mgx/internal/llm/cassette"
	"mgx/internal/ui"
)

func (c *cli) showCommand() *cobra.Command {
	var routing, security bool
	cmd := &cobra.Command{
		Use:   "show RUN",
		Short: "Everything about a run",
		Args:  oneArg("a run"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withRunOf(cmd.Context(), args[0], func(ctx context.Context, r runs, run mgx.Run) error {
				switch {
				case routing:
					return c.showRouting(ctx, r, run)
				case security:
					return c.showSecurity(ctx, r, run)
				case c.json:
					return printJSON(c, run)
				}
				steps, err := r.Steps(ctx, run)
				if err != nil {
					return err
				}
				if err := ui.Show(c.out, run, steps); err != nil {
					return err
				}
				if c.decided(ctx, r, run.ID) {
					c.tell("\n%s has its decision. Go on with: mgx resume %s\n", run.ID, run.ID)
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&security, "security", false, "what it read that others wrote, what that could have led to, and what was refused, asked and approved")
	cmd.Flags().BoolVar(&routing, "routing", false, "which model each call went to, why, and which were passed over")
	cmd.MarkFlagsMutuallyExclusive("routing", "security")
	return cmd
}

func (c *cli) diffCommand() *cobra.Command {
	var stat bool
	cmd := &cobra.Command{
		Use:   "diff RUN",
		Short: "What a run changed, delivered or not",
		Args:  oneArg("a run"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withRunOf(cmd.Context(), args[0], func(ctx context.Context, r runs, run mgx.Run) error {
				return c.diff(ctx, r, run, stat)
			})
		},
	}
	cmd.Flags().BoolVar(&stat, "stat", false, "only which files, and how much")
	return cmd
}

func (c *cli) diff(ctx context.Context, r runs, run mgx.Run, stat bool) error {
	if err := run.NotErased(); err != nil {
		return err
	}
	d, err := r.Diff(ctx, run.ID)
	if err != nil {
		return err
	}
	switch {
	case c.json:
		if stat {
			d.Text = ""
		}
		return printJSON(c, d)
	case d.Text == "":
		c.tell("%s has changed nothing.\n", run.ID)
		return nil
	case stat:
		return c.diffStat(d)
	}
	return ui.Diff(c.out, d.Text, ui.Auto)
}

// diffStat says which files a difference is about, and how much there is of each.
func (c *cli) diffStat(d app.Diff) error {
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	added, deleted := 0, 0
	for _, f := range d.Files {
		name := ui.Text(f.Path)
		if f.OldPath != "" && f.OldPath != f.Path {
			name = ui.Text(f.OldPath) + " → " + name
		}
		size := fmt.Sprintf("+%d -%d", f.Additions, f.Deletions)
		if f.Binary {
			size = "binary"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", ui.Text(f.Status), name, size)
		added, deleted = added+f.Additions, deleted+f.Deletions
	}
	if err := w.Flush(); err != nil {
		return err
	}
	c.printf("%d files, +%d -%d\n", len(d.Files), added, deleted)
	return nil
}

func (c *cli) eventsCommand() *cobra.Command {
	var follow bool
	var run, glob string
	var channels []string
	var since int64
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Print the event log, one envelope a line",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if since < 0 {
				return usage("bad_position", "--since takes a position of 0 or more, not %d", since)
			}
			if c.at.server != "" {
				return c.eventsOf(ctx, run, glob, channels, since, follow)
			}
			in, err := event.InChannels(c.workspaceHere(), channels)
			if err != nil {
				return err
			}
			n, err := c.openAny(ctx)
			if err != nil {
				return err
			}
			defer n.close()
			q := event.FollowQuery{Workspace: n.workspace, After: since}
			if glob != "" {
				q.Types = []string{glob}
			}
			if run != "" {
				found, err := n.find(ctx, run)
				if err != nil {
					return err
				}
				q.Run = found.ID
			}
			return c.events(ctx, n, q, in, follow)
		},
	}
	cmd.Flags().BoolVar(&follow, "follow", false, "go on as events happen, until interrupted")
	cmd.Flags().StringVar(&run, "run", "", "only events of this `run`")
	cmd.Flags().StringArrayVar(&channels, "channel", nil, "only events of this `channel`, such as project:ID or run:*, see docs/events.md; may be repeated")
	cmd.Flags().Int64Var(&since, "since", 0, "only events after this `position`")
	cmd.Flags().StringVar(&glob, "type", "", "only types that match this `glob`, such as 'tool.*'")
	cmd.MarkFlagsMutuallyExclusive("run", "channel")
	cmd.AddCommand(c.schemasCommand())
	return cmd
}

// events prints what of some channels is in the log now, and with follow what comes.
func (c *cli) events(ctx context.Context, n *node, q event.FollowQuery, in func(*mgx.Event) bool, follow bool) error {
	if err := event.Resumable(ctx, n.store, q); err != nil {
		return followError(ctx, err)
	}
	head, err := n.store.Head(ctx)
	if err != nil {
		return err
	}
	print := func(e mgx.Event) error {
		if !in(&e) {
			return nil
		}
		return c.printEvent(e)
	}
	for {
		page, err := n.store.EventsAfter(ctx, q.Workspace, q.Stream, q.Run, q.Types, q.After, 500)
		if err != nil {
			return err
		}
		for _, e := range page {
			if e.Position > head && !follow {
				return nil
			}
			q.After = e.Position
			if err := print(e); err != nil {
				return err
			}
		}
		if len(page) == 0 {
			break
		}
	}
	if !follow {
		return nil
	}
	for e, err := range event.Follow(ctx, n.store, q) {
		if err != nil {
			return followError(ctx, err)
		}
		if err := print(e); err != nil {
			return err
		}
	}
	return nil
}

// followError says what to do when events that were asked for have been removed.
func followError(ctx context.Context, err error) error {
	if reset, ok := errors.AsType[*event.Reset](err); ok {
		return usage("stream_reset", "events after that position have been removed, as their time was over; begin with --since %d, or with --since 0 for all that is left", reset.Earliest-1)
	}
	return ignoreInterrupt(ctx, err)
}

func (c *cli) printEvent(e mgx.Event) error {
	if c.json {
		return printJSON(c, e)
	}
	_, err := fmt.Fprintln(c.out, ui.EventLine(e))
	return err
}

// ignoreInterrupt makes the way a person ends a command that never ends a good
// end.
func ignoreInterrupt(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (c *cli) replayCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "replay RUN",
		Short: "Run a run's workflow code again, offline, against its journal",
		Long: `Runs the run's workflow code again from its journal, offline: no model is called, no
tool runs and nothing is written. It says whether every decision came out the same, and
exits with 1 and the first difference if not.`,
		Args: oneArg("a run"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withRunOf(cmd.Context(), args[0], c.replay)
		},
	}
}

func (c *cli) replay(ctx context.Context, r runs, run mgx.Run) error {
	start := time.Now()
	report, err := r.Replay(ctx, run.ID)
	if err != nil {
		return err
	}
	if c.json {
		if err := printJSON(c, report); err != nil {
			return err
		}
	}
	if !report.Identical {
		step := "?"
		if report.Difference != nil {
			step = report.Difference.Step
		}
		return mgx.Errorf(mgx.KindGoal, "replay_differs", "the replay differs at step %s", step)
	}
	if !c.json {
		c.printf("Identical: %d recorded steps asked for again and decided the same, in %s.\n", report.Steps, ui.Duration(time.Since(start)))
	}
	return nil
}

func (c *cli) forkCommand() *cobra.Command {
	var at int64
	var f runFlags
	var r repeatFlags
	cmd := &cobra.Command{
		Use:   "fork RUN --at SEQ",
		Short: "Start a new run from a moment of another",
		Long: `Starts a new run from another's journal up to an event of it, named by the number that
mgx events --run RUN shows after the #:
what was done by then is not done again, and the files are as they were. Flags given here
hold from there on; all others stay as they were.`,
		Args: oneArg("a run"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("at") {
				return usage("bad_sequence", "say where to fork with --at SEQ; the events are in: mgx events --run %s%s", args[0], c.there())
			}
			if c.at.server != "" {
				return c.forkThere(cmd, args[0], at)
			}
			return c.withTape(cmd.Context(), r, args[0], func(ctx context.Context, n *node, run mgx.Run) error {
				now, err := c.settings(run.Repo.Path, f)
				if err != nil {
					return err
				}
				return c.fork(ctx, n, run, at, func(s *mgx.RunSettings) { c.override(cmd, s, now) })
			})
		},
	}
	cmd.Flags().Int64Var(&at, "at", 0, "`sequence` of the last event to take over")
	f.add(cmd.Flags())
	r.addTapes(cmd.Flags())
	return cmd
}

// withTape is withRun with a recording of what f calls.
func (c *cli) withTape(ctx context.Context, r repeatFlags, name string, f func(context.Context, *node, mgx.Run) error) (err error) {
	tape, err := c.openTape(r)
	if err != nil {
		return err
	}
	defer func() { err = tape.close(c.err, err) }()
	n, err := c.open(ctx, newModels(tape.getenv(c.getenv), tape))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	run, err := n.find(ctx, name)
	if err != nil {
		return err
	}
	if err := tape.isOf(run); err != nil {
		return err
	}
	return f(ctx, n, run)
}

// override applies the flags that were typed to settings taken over.
func (c *cli) override(cmd *cobra.Command, s *mgx.RunSettings, now mgx.RunSettings) {
	for name, set := range map[string]func(){
		"model":      func() { s.Model = c.cfg.Model },
		"approve":    func() { s.Approve = now.Approve },
		"policy":     func() { s.Policy = now.Policy },
		"budget":     func() { s.Budget = now.Budget },
		"max-turns":  func() { s.MaxTurns = now.MaxTurns },
		"timeout":    func() { s.Timeout = now.Timeout },
		"sandbox":    func() { s.Sandbox = now.Sandbox },
		"allow-host": func() { s.AllowHosts = now.AllowHosts },
		"plan":       func() { s.Plan = now.Plan },
		"branch":     func() { s.Branch = now.Branch },
		"check":      func() { s.Checks = now.Checks },
		"max-tokens": func() { s.MaxTokens = now.MaxTokens },
		"price":      func() { s.Price = now.Price },
	} {
		if cmd.Flags().Changed(name) {
			set()
		}
	}
}

func (c *cli) fork(ctx context.Context, n *node, from mgx.Run, at int64, change func(*mgx.RunSettings)) error {
	t := n.models.tape
	settings := from.Settings
	change(&settings)
	if err := n.models.use(settings); err != nil {
		return err
	}
	if err := demandGate(ctx, settings); err != nil {
		return err
	}
	if err := t.begin(c.err, cassette.Run{Task: from.Task.Description, Model: settings.Model, Seed: settings.Seed}); err != nil {
		return err
	}
	if t != nil {
		end, err := n.reproduce(ctx, t.seed(settings), t.started())
		if err != nil {
			return err
		}
		defer end()
	}
	run, _, err := n.app.Fork(ctx, n.me(), from.ID, app.NewFork{At: at, Change: change})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.err, "%s is a fork of %s at %d.\n", run.ID, from.ID, at)
	return c.attach(ctx, n, run)
}
