package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/internal/event"
	"mgx/internal/store"
)

// verifyFlags say what is looked at besides the database.
type verifyFlags struct {
	events, files bool
	quiet         bool // say nothing when all is well
}

func (c *cli) verifyCommand() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that everything stored is whole and agrees",
		Long: `Reads the whole database and says everything that does not hold: damaged pages, gaps in
the log or in a stream, a run's row that is not what its events say, gaps in a journal,
money that was spent and is not in the ledger. Work may go on meanwhile.

Exit codes: 0 all is well; 1 there are problems, listed on standard output; 2 usage;
3 the database cannot be read.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.verify(cmd.Context(), f) },
	}
	cmd.Flags().BoolVar(&f.events, "events", false, "also hold every event against its contract")
	cmd.Flags().BoolVar(&f.files, "files", false, "also look for every recorded state of the files of runs that have not ended")
	return cmd
}

func (c *cli) verify(ctx context.Context, f verifyFlags) error {
	s, err := c.look(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	checks, err := c.checks(ctx, f)
	if err != nil {
		return err
	}
	problems, err := s.Problems(ctx, checks)
	if err != nil {
		c.listed(problems, "")
		return err
	}
	if c.json {
		if err := printJSON(c, map[string]any{"problems": append([]string{}, problems...)}); err != nil {
			return err
		}
	} else if len(problems) == 0 && !f.quiet {
		fmt.Fprintln(c.err, "Everything is whole and agrees.")
	}
	return c.listed(problems, "the database has problems; see docs/runbooks/backup.md for what to do")
}

func (c *cli) checks(ctx context.Context, f verifyFlags) (checks store.Checks, err error) {
	if f.events {
		contracts, err := event.NewRegistry()
		if err != nil {
			return checks, err
		}
		checks.Event = contracts.CheckStored
	}
	if f.files {
		checks.Run = func(run mgx.Run, trees []string) error {
			if run.Status.Ended() {
				return nil
			}
			return c.checkFiles(ctx, run, trees, true)
		}
	}
	return checks, nil
}
