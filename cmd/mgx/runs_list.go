package main

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/ui"
)

func (c *cli) runsCommand() *cobra.Command {
	var limit int
	var statuses []string
	var project string
	var f mgx.RunFilter
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List runs, newest first",
		Long: `Lists the runs of the workspace, newest first; with flags those that are as all of them say.
With --json what is long is left out: mgx show RUN --json has that.`,
		Example: `  mgx runs --status running,waiting
  mgx runs --project . --text 'healthz endpoint'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := checkLimit(limit); err != nil {
				return err
			}
			if f.Statuses, err = knownStatuses(statuses, app.RunStatuses); err != nil {
				return err
			}
			ctx := cmd.Context()
			if f.Project, err = c.projectNamed(ctx, project); err != nil {
				return err
			}
			return c.withRuns(ctx, func(ctx context.Context, r runs) error { return c.listRuns(ctx, r, f, limit) })
		},
	}
	flags := cmd.Flags()
	addStatuses(flags, &statuses, app.RunStatuses)
	flags.StringVar(&project, "project", "", "only of the project with this `directory or id`; at a server its name or id")
	flags.StringVar((*string)(&f.Task), "task", "", "only of the task with this `id`, see: mgx tasks")
	flags.StringVar((*string)(&f.User), "user", "", "only what the user with this `id` asked for, see: mgx members")
	flags.StringVar(&f.Text, "text", "", "only of tasks that have these `words`")
	flags.IntVar(&limit, "limit", 50, "at most `N` runs")
	cmd.AddCommand(c.estimateCommand())
	return cmd
}

func (c *cli) listRuns(ctx context.Context, r runs, f mgx.RunFilter, limit int) error {
	all, err := r.List(ctx, f, limit)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, all...)
	}
	switch {
	case len(all) > 0:
		return c.runsTable(all)
	case reflect.ValueOf(f).IsZero():
		c.tell("No runs yet. %s\n", c.begin())
	default:
		c.tell("No run is as these flags say.\n")
	}
	return nil
}

func (c *cli) runsTable(all []mgx.RunInfo) error {
	list := make([]mgx.Run, len(all))
	for i, r := range all {
		list[i] = r.Run
	}
	return ui.RunsTable(c.out, list, time.Now())
}

// addStatuses adds the flag that chooses by status, and knownStatuses reads it.
func addStatuses[T ~string](flags *pflag.FlagSet, into *[]string, all []T) {
	flags.StringSliceVar(into, "status", nil, "only those with this `status`, several with commas: "+commas(all))
}

func knownStatuses[T ~string](typed []string, all []T) (chosen []T, err error) {
	for _, s := range typed {
		switch {
		case !slices.Contains(all, T(s)):
			return nil, usage("bad_status", "--status takes some of %s, not %q", commas(all), s)
		case !slices.Contains(chosen, T(s)):
			chosen = append(chosen, T(s))
		}
	}
	return chosen, nil
}

func commas[T ~string](all []T) string {
	words := make([]string, len(all))
	for i, s := range all {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}

// begin says how work begins where nothing was done yet.
func (c *cli) begin() string {
	if c.at.server != "" {
		return `Have something done with: mgx run "TASK"` + c.there()
	}
	return "Start with: mgx demo"
}
