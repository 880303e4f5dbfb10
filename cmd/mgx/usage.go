package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/ui"
)

func (c *cli) usageCommand() *cobra.Command {
	var scope scopeFlags
	var since, until, by, format string
	cmd := &cobra.Command{
		Use:   "usage",
		Short: "What was used and what it cost, by model, role, task and more",
		Long: `Sums up the ledger: every attempt of a model call, with its tokens and what it cost. A
call counts at the time it was begun. --by call lists the ledger itself: each call with
its time, model, role and task. As CSV, amounts are exact.

Prompt tokens include those read from and written to a provider's cache, completion
tokens include reasoning. Lost is what counts although nobody knows what was spent:
the process that made the call died.`,
		Example: `  mgx usage                                    this month, by model
  mgx usage --by day --since 30d
  mgx usage --by call --run 7Q2 --format csv`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.json && !cmd.Flags().Changed("format") {
				format = "json"
			}
			q, err := parseUsage(since, until, by, time.Now())
			if err != nil {
				return err
			}
			return c.withMoney(cmd.Context(), func(ctx context.Context, m money) error {
				found, err := scope.ids(ctx, m)
				if err != nil {
					return err
				}
				q.Project, q.User, q.Task, q.Run = mgx.ProjectID(found.project), mgx.UserID(found.user), mgx.TaskID(found.task), mgx.RunID(cmp.Or(found.run, found.key))
				return c.printUsage(ctx, m, q, format)
			})
		},
	}
	scope.add(cmd.Flags())
	addTimes(cmd.Flags(), &since, &until, "this month")
	cmd.Flags().StringVar(&by, "by", string(mgx.ByModel), "`what` to sum up by: model, provider, role, task, run, project, user or day; call: do not sum up")
	cmd.Flags().StringVar(&format, "format", "table", "`form` of the lines: table, csv or json")
	return cmd
}

func parseUsage(since, until, by string, now time.Time) (q mgx.UsageQuery, err error) {
	if q.By, err = mgx.ParseUsageBy(by); err != nil {
		return q, err
	}
	month, _ := mgx.PeriodMonth.Around(now)
	q.Since, q.Until, err = parseTimes(since, until, month, now)
	return q, err
}

// addTimes adds the flags that choose by time, and parseTimes reads them.
func addTimes(flags *pflag.FlagSet, since, until *string, usual string) {
	flags.StringVar(since, "since", "", "from this `time` on: a date, a time (RFC 3339) or so long ago, such as 7d or 12h (default: "+usual+")")
	flags.StringVar(until, "until", "", "before this `time`")
}

func parseTimes(since, until string, usual, now time.Time) (from, to time.Time, err error) {
	if from = usual; since != "" {
		from, err = parseTime("--since", since, now)
	}
	if until != "" && err == nil {
		to, err = parseTime("--until", until, now)
	}
	return from, to, err
}

// parseTime reads a date or a time in UTC unless it says otherwise, or how long
// ago.
func parseTime(flag, s string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04"} {
		if at, err := time.Parse(layout, s); err == nil {
			return at.UTC(), nil
		}
	}
	var days int
	if n, _ := fmt.Sscanf(s, "%dd", &days); n == 1 && fmt.Sprintf("%dd", days) == s && days >= 0 && days < 100_000 {
		return now.UTC().AddDate(0, 0, -days), nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.UTC().Add(-d), nil
	}
	return time.Time{}, usage("bad_time", "%s takes a date such as 2026-11-01, a time such as 2026-11-01T12:00:00Z, or so long ago, such as 7d or 12h, not %q", flag, s)
}

func (c *cli) printUsage(ctx context.Context, m money, q mgx.UsageQuery, format string) error {
	switch format {
	case "json":
		return m.EachUsage(ctx, q, func(r app.UsageRow) error { return printJSON(c, r) })
	case "csv":
		out, err := app.NewUsageCSV(c.out, q.By)
		if err == nil {
			err = m.EachUsage(ctx, q, out.Write)
		}
		if err == nil {
			err = out.Flush()
		}
		return err
	case "table":
		return c.usageTable(ctx, m, q)
	}
	return usage("bad_format", "--format takes table, csv or json, not %q", format)
}

func (c *cli) usageTable(ctx context.Context, m money, q mgx.UsageQuery) error {
	if q.By == mgx.ByCall {
		return c.callsTable(ctx, m, q)
	}
	var total mgx.UsageLine
	line := func(l mgx.UsageLine) {
		c.printf("%-40s %8d %12d %12d %12d %12d  %12s\n", ui.Text(cmp.Or(l.Key, "-")), l.Calls, l.Usage.Prompt, l.Usage.Completion, l.Usage.Cached, l.Usage.Reasoning, l.Cost)
	}
	c.printf("%-40s %8s %12s %12s %12s %12s  %12s\n", q.By, "CALLS", "PROMPT", "COMPLETION", "CACHED", "REASONING", "COST")
	err := m.EachUsage(ctx, q, func(r app.UsageRow) error {
		line(r.UsageLine)
		r.Key = ""
		total = total.Add(r.UsageLine)
		return nil
	})
	if err != nil {
		return err
	}
	total.Key = "all"
	line(total)
	c.tellOpen(total)
	return nil
}

// callsTable lists calls: when, of which model, by whom and for what.
func (c *cli) callsTable(ctx context.Context, m money, q mgx.UsageQuery) error {
	var total mgx.UsageLine
	const row = "%-19s  %-28s  %-12s  %-31s  %9s  %10s  %9s  %9s  %12s  %s\n"
	c.printf(row, "WHEN (UTC)", "MODEL", "ROLE", "TASK", "PROMPT", "COMPLETION", "CACHED", "REASONING", "COST", "CALL")
	line := func(when, model, role, task, cost, id string, u mgx.Usage) {
		n := func(tokens int64) string { return strconv.FormatInt(tokens, 10) }
		c.printf(row, when, ui.Text(cmp.Or(model, "-")), ui.Text(cmp.Or(role, "-")), ui.Text(cmp.Or(task, "-")), n(u.Prompt), n(u.Completion), n(u.Cached), n(u.Reasoning), cost, ui.Text(id))
	}
	err := m.EachUsage(ctx, q, func(r app.UsageRow) error {
		call, cost := cmp.Or(r.Call, &mgx.UsageCall{}), r.Cost.String()
		if r.OpenRows > 0 {
			cost = "open"
		}
		line(call.ReservedAt.UTC().Format(time.DateTime), strings.Trim(call.Provider+"/"+call.Model, "/"), call.Role, string(call.Task), cost, r.Key, r.Usage)
		total = total.Add(r.UsageLine)
		return nil
	})
	if err != nil {
		return err
	}
	line("all", "", "", "", total.Cost.String(), fmt.Sprintf("%d calls", total.Calls), total.Usage)
	c.tellOpen(total)
	return nil
}

// tellOpen says what of a sum is not as it seems.
func (c *cli) tellOpen(total mgx.UsageLine) {
	if total.Lost > 0 {
		c.tell("%s of that is of calls that nobody came back from, and counts as set aside.\n", total.Lost)
	}
	if total.OpenRows > 0 {
		c.tell("%s more is set aside for %d calls under way.\n", total.Open, total.OpenRows)
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
