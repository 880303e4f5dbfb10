package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mgx"
	"mgx/client"
	"mgx/internal/app"
	"mgx/internal/ui"
)

// doer is who acts on the command line.
func (n *node) doer() mgx.Doer {
	return n.me().Doer()
}

// budgets are those of this node's workspace.
func (n *node) budgets() *app.Budgets {
	return &app.Budgets{By: n.doer(), Actor: mgx.LocalUser, Store: n.store, Ahead: true}
}

func (c *cli) budgetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "budget",
		Short: "Limit what is spent, and see how that stands",
		Long: `Lists what may be spent and how that stands. A call to a model reserves the most that
it can cost from every budget that applies to it (of its run or key, task, user, project and
of the workspace; for the day, the month and altogether) before it is made, and is refused
when one of them does not allow it. So none is ever exceeded. Days and months are those of UTC.

mgx run --budget gives a run a budget of its own, mgx keys create --budget a key of the
gateway; those are listed with --all, and can be changed while there are calls. See docs/budgets.md.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withMoney(cmd.Context(), func(ctx context.Context, m money) error { return c.listBudgets(ctx, m, false) })
		},
	}
	cmd.AddCommand(c.budgetSetCommand(), c.budgetListCommand(), c.budgetShowCommand(), c.budgetRemoveCommand())
	return cmd
}

// money is what commands do with budgets and the ledger, where they work. For
// *app.Budgets that is said.
type money interface {
	Set(ctx context.Context, b app.NewBudget) (mgx.BudgetUse, error)
	Remove(ctx context.Context, id mgx.BudgetID) error
	Get(ctx context.Context, id mgx.BudgetID) (mgx.BudgetUse, error)
	Each(ctx context.Context, q mgx.BudgetQuery, f func(mgx.BudgetUse) error) error
	EachUsage(ctx context.Context, q mgx.UsageQuery, f func(app.UsageRow) error) error

	// What is meant by a part of an id.
	keysOf(ctx context.Context) ([]mgx.APIKey, error)
	runOf(ctx context.Context, name string) (mgx.RunID, error)
	projectOf(ctx context.Context, name string) (mgx.ProjectID, error)
	people() people
}

// withMoney does something with budgets. On the data directory it gives up first
// what calls have left behind, so that what is shown is how it stands; a server
// does that by itself.
func (c *cli) withMoney(ctx context.Context, f func(context.Context, money) error) error {
	return reach(ctx, c, func(ctx context.Context, n *node) (money, error) {
		_, err := n.reapOnce(ctx)
		return ownMoney{n.budgets(), n}, err
	}, func(remote *client.Client) money { return theirMoney{remote.Budgets(), remote} }, f)
}

// scopeFlags are the flags that say what a budget or a sum is for.
type scopeFlags struct{ project, user, task, run, key string }

func (s *scopeFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&s.project, "project", "", "the project with this `id`, or of the repository in this directory; at a server its name or id")
	flags.StringVar(&s.user, "user", "", "the user with this `id`, or the member with this address")
	flags.StringVar(&s.task, "task", "", "the task with this `id`")
	flags.StringVar(&s.run, "run", "", "the run with this `id`, or a part of it")
	flags.StringVar(&s.key, "key", "", "the key of the gateway with this `id`, or a part of it")
}

// ids finds what is meant.
func (s *scopeFlags) ids(ctx context.Context, m money) (found scopeFlags, err error) {
	found = *s
	if s.task != "" && !strings.HasPrefix(s.task, "task_") {
		return found, usage("bad_task", "--task takes the id of a task, as mgx tasks lists it, not %q", s.task)
	}
	if s.project != "" && !strings.HasPrefix(s.project, "proj_") {
		project, err := m.projectOf(ctx, s.project)
		if err != nil {
			return found, err
		}
		found.project = string(project)
	}
	if s.user != "" && !strings.HasPrefix(s.user, "user_") {
		member, err := oneMember(ctx, m.people(), s.user)
		if err != nil {
			return found, err
		}
		found.user = string(member.User)
	}
	if s.key != "" {
		all, err := m.keysOf(ctx)
		if err != nil {
			return found, err
		}
		k, err := oneKey(all, s.key)
		if err != nil {
			return found, err
		}
		found.key = string(k.ID)
	}
	if s.run != "" {
		run, err := m.runOf(ctx, s.run)
		if err != nil {
			return found, err
		}
		found.run = string(run)
	}
	return found, nil
}

func (c *cli) budgetSetCommand() *cobra.Command {
	var scope scopeFlags
	var period, limit, soft string
	var thresholds []int
	cmd := &cobra.Command{
		Use:   "set",
		Short: "Make a budget, or change the one there is",
		Long: `Makes a budget for the workspace, or for what a flag names, or changes the one that there
is for this and the period. What was spent in the period so far counts. A limit below that
refuses new calls; those under way go on.`,
		Example: `  mgx budget set --limit 100                                  the workspace, by the month
  mgx budget set --project ../service --period day --limit 5
  mgx budget set --run 7Q2 --period absolute --limit 4        a run that is at work`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := parseBudget(period, limit, soft)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("threshold") {
				b.Thresholds = thresholds
			}
			return c.withMoney(cmd.Context(), func(ctx context.Context, m money) error {
				if b.Scope, b.ScopeID, err = scope.only(ctx, m); err != nil {
					return err
				}
				u, err := m.Set(ctx, b)
				if err != nil {
					return err
				}
				return c.showBudget(u)
			})
		},
	}
	scope.add(cmd.Flags())
	cmd.Flags().StringVar(&period, "period", string(mgx.PeriodMonth), "`time` after which it begins anew: day, month, or absolute for never")
	cmd.Flags().StringVar(&limit, "limit", "", "most that may be spent, in `dollars` (required)")
	cmd.Flags().StringVar(&soft, "soft", "", "`dollars` from which on the log says so, and no more than that")
	cmd.Flags().IntSliceVar(&thresholds, "threshold", mgx.DefaultThresholds, "`percent` of the limit at which the log says so")
	return cmd
}

func parseBudget(period, limit, soft string) (b app.NewBudget, err error) {
	if limit == "" {
		return b, usage("no_limit", "say what may be spent, such as --limit 20 for twenty dollars")
	}
	if b.Period = mgx.BudgetPeriod(period); !slices.Contains(mgx.BudgetPeriods, b.Period) {
		return b, usage("bad_budget", "--period takes day, month or absolute, not %q", period)
	}
	m, err := mgx.ParseMoney(limit)
	if err != nil {
		return b, usage("bad_limit", "--limit: %s", err)
	}
	b.Limit = &m
	if soft != "" {
		s, err := mgx.ParseMoney(soft)
		if err != nil {
			return b, usage("bad_limit", "--soft: %s", err)
		}
		b.Soft = &s
	}
	return b, nil
}

// only is the one scope that the flags name.
func (s *scopeFlags) only(ctx context.Context, m money) (scope mgx.BudgetScope, id string, err error) {
	found, err := s.ids(ctx, m)
	if err != nil {
		return "", "", err
	}
	named := 0
	for _, one := range []struct {
		scope mgx.BudgetScope
		id    string
	}{{mgx.ScopeProject, found.project}, {mgx.ScopeUser, found.user}, {mgx.ScopeTask, found.task}, {mgx.ScopeRun, found.run}, {mgx.ScopeKey, found.key}} {
		if one.id != "" {
			scope, id = one.scope, one.id
			named++
		}
	}
	if named > 1 {
		return "", "", usage("two_scopes", "a budget is for one of --project, --user, --task, --run and --key")
	}
	return scope, id, nil
}

func (c *cli) budgetListCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List budgets and how they stand",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withMoney(cmd.Context(), func(ctx context.Context, m money) error { return c.listBudgets(ctx, m, all) })
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also those of single runs and keys")
	return cmd
}

func (c *cli) listBudgets(ctx context.Context, m money, all bool) error {
	q := mgx.BudgetQuery{Scopes: []mgx.BudgetScope{mgx.ScopeWorkspace, mgx.ScopeProject, mgx.ScopeUser, mgx.ScopeTask}}
	if all {
		q.Scopes = nil
	}
	found := false
	err := m.Each(ctx, q, func(u mgx.BudgetUse) error {
		if found = true; c.json {
			return printJSON(c, u)
		}
		c.printf("%-30s  %-8s  %10s of %-10s %5.1f%%  %s\n", u.ID, u.Period, u.Settled+u.Reserved, u.Limit, u.Percent(), string(u.Scope)+" "+u.ScopeID)
		return nil
	})
	if err == nil && !found && !c.json {
		c.tell("No budgets yet. Make one with: mgx budget set --limit 20\n")
	}
	return err
}

// findBudget is the budget that a person means: by its id, a part of it, or what
// it is for.
func findBudget(ctx context.Context, m money, name string) (mgx.BudgetUse, error) {
	u, err := m.Get(ctx, mgx.BudgetID(name))
	if !mgx.IsCode(err, mgx.CodeNotFound) {
		return u, err
	}
	var all []mgx.BudgetUse
	err = m.Each(ctx, mgx.BudgetQuery{}, func(u mgx.BudgetUse) error {
		all = append(all, u)
		return nil
	})
	if err != nil {
		return u, err
	}
	found, err := one(all, name, "budget", "mgx budget list --all", func(u mgx.BudgetUse) string { return string(u.ID) + " " + u.ScopeID })
	if err != nil {
		return u, err
	}
	return m.Get(ctx, found.ID)
}

func (c *cli) budgetShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show BUDGET",
		Short: "How a budget stands, who was paid, and where it goes",
		Args:  oneArg("a budget, or what it is for"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withMoney(cmd.Context(), func(ctx context.Context, m money) error {
				u, err := findBudget(ctx, m, args[0])
				if err != nil {
					return err
				}
				return c.showBudget(u)
			})
		},
	}
}

// row is one thing to be said, under a name.
type row struct{ name, text string }

func (c *cli) showBudget(u mgx.BudgetUse) error {
	if c.json {
		return printJSON(c, u)
	}
	rows := []row{
		{"limit", u.Limit.String()},
		{"spent", fmt.Sprintf("%s (%.1f%%)", u.Settled, u.Percent())},
		{"set aside", u.Reserved.String() + " for calls under way"},
		{"left", u.Left().String()},
	}
	if u.Soft != nil {
		rows = append(rows, row{"soft limit", u.Soft.String()})
	}
	marks := make([]string, len(u.Thresholds))
	for i, percent := range u.Thresholds {
		marks[i] = strconv.Itoa(percent) + "%"
	}
	rows = append(rows, row{"thresholds", strings.Join(marks, ", ")})
	if u.End != nil {
		rows = append(rows, row{"period", fmt.Sprintf("from %s until %s", u.Start.Format(time.DateOnly), u.End.Format("2006-01-02 15:04 MST"))})
	}
	rows = append(rows, forecastRows(u)...)
	for _, provider := range sortedKeys(u.ByProvider) {
		rows = append(rows, row{"to " + ui.Text(provider), u.ByProvider[provider].String()})
	}
	c.printf("%s  %s\n", u.ID, ui.Text(u.Budget.String()))
	for _, r := range rows {
		c.printf("  %-12s %s\n", r.name, ui.Text(r.text))
	}
	return nil
}

// forecastRows say where a budget goes, and from what that is known.
func forecastRows(u mgx.BudgetUse) []row {
	f := u.Forecast
	if f == nil {
		return []row{{"forecast", "too little was spent so far to tell"}}
	}
	rows := []row{{"rate", fmt.Sprintf("%s an hour since %s", f.Rate, f.Since.Format("2006-01-02 15:04 MST"))}}
	if f.Projection != nil {
		rows = append(rows, row{"forecast", fmt.Sprintf("%s by the end of the period; between %s and %s in four of five cases", f.Projection, f.Low, f.High)})
	}
	if f.ExhaustedAt != nil {
		rows = append(rows, row{"used up", "about " + f.ExhaustedAt.Format("2006-01-02 15:04 MST") + ", going on like this"})
	}
	return rows
}

func (c *cli) budgetRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rm BUDGET",
		Short: "Remove a budget; the ledger stays",
		Args:  oneArg("a budget, or what it is for"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withMoney(cmd.Context(), func(ctx context.Context, m money) error {
				u, err := findBudget(ctx, m, args[0])
				if err == nil {
					err = m.Remove(ctx, u.ID)
				}
				if err == nil {
					c.tell("Removed %s, %s.\n", u.ID, u.Budget)
				}
				return err
			})
		},
	}
}

// reapEvery is how often a server gives up reservations that nobody settled.
const reapEvery = time.Minute

// reapOnce gives up reservations that nobody settled in time, and those that nobody
// can settle any more, since the process of this machine that made them is dead.
func (n *node) reapOnce(ctx context.Context) (reaped int, err error) {
	if settled, err := n.owed.settle(n.store); err != nil {
		return 0, err
	} else if settled > 0 {
		n.log.Info("settled calls that ended while the database could not be written", "count", settled)
	}
	late, err := n.store.Reap(ctx)
	if err != nil {
		return late, err
	}
	dead, err := n.store.ReapDead(ctx, n.owner.alive)
	return late + dead, err
}

// reap does so again and again, until ctx ends, and removes what killed processes left
// of runs that there are not.
func (n *node) reap(ctx context.Context) {
	tick := time.NewTicker(reapEvery)
	defer tick.Stop()
	for {
		reaped, err := n.reapOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil || reaped > 0 {
			n.log.Warn("gave up reservations that nobody settled; they count in full", "count", reaped, "error", err)
		}
		if err := n.sweepMaking(ctx); err != nil && ctx.Err() == nil {
			n.log.Error("what a killed process left of runs cannot be removed; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
