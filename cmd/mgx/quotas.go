package main

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/internal/config"
)

func (c *cli) quotaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "quota [WORKSPACE] [NAME=N|NAME=none...]",
		Short: "Show what a workspace may have and what it has, or set that as the installation's owner",
		Long: `Show what a workspace may have and what it has, or set that as the owner or an
admin of the installation. Quotas are members, keys, projects, webhooks, secrets,
roles, invitations, budgets, templates, changes_a_day, runs_at_once, runs_a_day,
runs_a_day_each, deliveries_a_day and stored_bytes, which takes 500MB or 20GB, too
(a GB, or GiB, is 1024 MB);
and, for each run, lower limits of the sandbox than the server has:
sandbox_ and the name that --sandbox-limits has for one, with its values, such as
sandbox_memory=2GB or sandbox_cpu_time=10m. See docs/limits.md.`,
		Example: "  mgx workspaces quota ws_01JDT… runs_at_once=4 stored_bytes=20GB keys=none\n  mgx workspaces quota ws_01JDT… sandbox_memory=2GB sandbox_cpus=1.5",
		RunE: func(cmd *cobra.Command, args []string) error {
			var ws mgx.WorkspaceID
			if len(args) > 0 && !strings.Contains(args[0], "=") {
				ws, args = mgx.WorkspaceID(args[0]), args[1:]
			}
			set, err := quotasIn(args)
			if err != nil {
				return err
			}
			if ws == "" && len(set) > 0 {
				return usage("no_workspace", "say of which workspace: mgx workspaces quota WORKSPACE %s; mgx workspaces lists them", args[0])
			}
			return c.withPeople(cmd.Context(), func(ctx context.Context, p people) error { return c.quotas(ctx, p, ws, set) })
		},
	}
}

// quotasIn reads NAME=N and NAME=none.
func quotasIn(args []string) (map[string]*int64, error) {
	set := map[string]*int64{}
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		if !ok || name == "" {
			return nil, usage("bad_quota", "a quota is set as NAME=N or NAME=none, not %q", a)
		}
		if value == "none" {
			set[name] = nil
			continue
		}
		n, err := quotaValue(mgx.Quota(name), value)
		if err != nil {
			return nil, err
		}
		set[name] = &n
	}
	return set, nil
}

func quotaValue(q mgx.Quota, value string) (int64, error) {
	if limit := q.SandboxLimit(); limit != "" && slices.ContainsFunc(mgx.Quotas, func(i mgx.QuotaInfo) bool { return i.Name == q }) {
		n, err := config.ParseLimit(limit, value)
		if err != nil {
			return 0, usage("bad_quota", "%s %v, or none, not %q", q, err, value)
		}
		return n / unitOf(q), nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	switch {
	case err == nil:
		return n, nil
	case q != mgx.QuotaStoredBytes:
		return 0, usage("bad_quota", "%s takes a whole number, or none, not %q", q, value)
	}
	if n, err = config.ParseSize(value); err != nil {
		return 0, usage("bad_quota", "%s %v, or none, not %q", q, err, value)
	}
	return n, nil
}

// unitOf is how much of what the configuration counts is one of a quota.
func unitOf(q mgx.Quota) int64 {
	if q == mgx.QuotaCPUTime {
		return int64(time.Second)
	}
	return 1
}

// shownQuota says what a quota allows; of one that is not set, how much MGX itself does.
func shownQuota(u mgx.QuotaUse) string {
	limit := u.Quota.SandboxLimit()
	switch {
	case u.Limit == nil && u.Quota.Most() > 0:
		return "up to " + strconv.FormatInt(u.Quota.Most(), 10)
	case u.Limit == nil:
		return "no limit"
	case limit != "":
		return "of " + config.ShowLimit(limit, *u.Limit*unitOf(u.Quota))
	case u.Quota == mgx.QuotaStoredBytes:
		return "of " + config.ShowSize(*u.Limit)
	}
	return "of " + strconv.FormatInt(*u.Limit, 10)
}

func (c *cli) quotas(ctx context.Context, p people, ws mgx.WorkspaceID, set map[string]*int64) (err error) {
	var all []mgx.QuotaUse
	if len(set) > 0 {
		all, err = p.SetQuotas(ctx, ws, set)
	} else {
		all, err = p.Quotas(ctx, ws)
	}
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, all...)
	}
	for _, u := range all {
		i := slices.IndexFunc(mgx.Quotas, func(q mgx.QuotaInfo) bool { return q.Name == u.Quota })
		if i < 0 { // a newer server has it
			continue
		}
		used := strconv.FormatInt(u.Used, 10)
		if u.Quota.SandboxLimit() != "" {
			used = "each run"
		}
		c.printf("%-18s %12s %-15s  %s\n", u.Quota, used, shownQuota(u), mgx.Quotas[i].Means)
	}
	return nil
}

func (l *ownData) Quotas(ctx context.Context, ws mgx.WorkspaceID) ([]mgx.QuotaUse, error) {
	if ws == "" {
		ws = l.actor.Workspace
	}
	return l.QuotasOf(ctx, ws)
}

func (l *ownData) SetQuotas(ctx context.Context, ws mgx.WorkspaceID, set map[string]*int64) ([]mgx.QuotaUse, error) {
	return l.Access.SetQuotas(ctx, l.actor, ws, set)
}
