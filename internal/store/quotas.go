package store

import (
	"context"
	"math"
	"slices"
	"strconv"
	"time"

	"mgx"
)

// Quotas are settings of a workspace whose names begin with this.
const quotaPrefix = "quota."

const day24 = 24 * time.Hour

// usedOf counts what a workspace has of each quota, since a time where that matters.
var usedOf = map[mgx.Quota]string{
	mgx.QuotaMembers:     `SELECT COUNT(*) FROM members WHERE workspace = $1 AND $2 >= 0`,
	mgx.QuotaKeys:        `SELECT COUNT(*) FROM api_keys WHERE workspace = $1 AND revoked_at IS NULL AND $2 >= 0`,
	mgx.QuotaProjects:    `SELECT COUNT(*) FROM projects WHERE workspace = $1 AND $2 >= 0`,
	mgx.QuotaWebhooks:    `SELECT COUNT(*) FROM webhooks WHERE workspace = $1 AND $2 >= 0`,
	mgx.QuotaSecrets:     `SELECT COUNT(DISTINCT name) FROM secrets WHERE workspace = $1 AND $2 >= 0`,
	mgx.QuotaRoles:       `SELECT COUNT(*) FROM roles WHERE workspace = $1 AND $2 >= 0`,
	mgx.QuotaBudgets:     `SELECT COUNT(*) FROM budgets WHERE workspace = $1 AND scope <> 'run' AND $2 >= 0`,
	mgx.QuotaTemplates:   `SELECT COUNT(*) FROM settings WHERE workspace = $1 AND name LIKE 'template.%' AND $2 >= 0`,
	mgx.QuotaRunsAtOnce:  `SELECT COUNT(DISTINCT run) FROM executions WHERE workspace = $1 AND run <> '' AND owner <> '' AND lease_until > $2 AND status IN ('ready', 'waiting')`,
	mgx.QuotaRunsADay:    `SELECT COUNT(*) FROM executions WHERE workspace = $1 AND created_at >= $2 AND parent = '' AND run <> ''`,
	mgx.QuotaInvitations: `SELECT COUNT(*) FROM invitations WHERE workspace = $1 AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > $2`,
	// Of whoever has begun most.
	mgx.QuotaRunsADayEach: `SELECT COALESCE(MAX(n), 0) FROM (SELECT COUNT(*) AS n FROM executions WHERE workspace = $1 AND created_at >= $2 AND parent = '' AND run <> '' GROUP BY user_id) begun`,
}

// since is the time from which a quota counts.
func since(q mgx.Quota, now time.Time) int64 {
	switch q {
	case mgx.QuotaRunsAtOnce, mgx.QuotaInvitations:
		return now.UnixMicro()
	case mgx.QuotaRunsADay, mgx.QuotaRunsADayEach:
		return now.UTC().Truncate(day24).UnixMicro()
	}
	return 0
}

// SandboxLimits returns the limits of the sandbox that quotas set for each run of a
// workspace.
func (s *Store) SandboxLimits(ctx context.Context, ws mgx.WorkspaceID) (map[mgx.Quota]int64, error) {
	set, err := s.Settings(ctx, ws)
	if err != nil {
		return nil, err
	}
	limits := map[mgx.Quota]int64{}
	for _, q := range mgx.Quotas {
		value, ok := set[quotaPrefix+string(q.Name)]
		if !ok || q.Name.SandboxLimit() == "" {
			continue
		}
		if limits[q.Name], err = strconv.ParseInt(value, 10, 64); err != nil {
			return nil, badRow("settings", err)
		}
	}
	return limits, nil
}

// Quotas returns how all quotas of a workspace stand.
func (s *Store) Quotas(ctx context.Context, ws mgx.WorkspaceID) ([]mgx.QuotaUse, error) {
	set, err := s.Settings(ctx, ws)
	if err != nil {
		return nil, err
	}
	var all []mgx.QuotaUse
	for _, q := range mgx.Quotas {
		u := mgx.QuotaUse{Quota: q.Name}
		if n, err := strconv.ParseInt(set[quotaPrefix+string(q.Name)], 10, 64); err == nil {
			u.Limit = &n
		}
		switch {
		case q.Name.SandboxLimit() != "":
		case q.Name == mgx.QuotaStoredBytes:
			u.Used, err = s.stored(ctx, ws)
		case q.Name == mgx.QuotaChangesADay:
			u.Used, err = s.Revision(ctx, ws, changes, dayOf(s.opts.Now()))
		case q.Name == mgx.QuotaDeliveriesADay:
			u.Used, err = s.Revision(ctx, ws, deliveries, dayOf(s.opts.Now()))
		default:
			u.Used, _, err = get(ctx, s, scanCount, usedOf[q.Name], string(ws), since(q.Name, s.opts.Now()))
		}
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	return all, nil
}

// SetQuotas sets quotas of the doer's workspace, and removes those that are nil, as
// one act.
func (s *Store) SetQuotas(ctx context.Context, by mgx.Doer, quotas map[mgx.Quota]*int64) error {
	ctx = mgx.ForInstallation(ctx)
	defer s.opts.sums.forget()
	return s.act(ctx, by, "quota.update", func(t *tx, a *act) error {
		if err := t.d.lockStream(t, mgx.AuditStream(by.Workspace)); err != nil {
			return err
		}
		if found, err := t.row(`SELECT 1 FROM workspaces WHERE id = $1`, []any{string(by.Workspace)}, new(int)); err != nil || !found && by.Workspace != mgx.DefaultWorkspace {
			return orNo(false, err, "workspace", string(by.Workspace))
		}
		before, after := map[mgx.Quota]int64{}, map[mgx.Quota]int64{}
		for q, n := range quotas {
			was, set, err := t.quota(by.Workspace, q)
			if err != nil {
				return err
			}
			if set {
				before[q] = was
			}
			if n != nil {
				after[q] = *n
			}
			if err := t.setQuota(by, q, n); err != nil {
				return err
			}
		}
		a.resource, a.before, a.after = string(by.Workspace), before, after
		return nil
	})
}

func (t *tx) setQuota(by mgx.Doer, q mgx.Quota, n *int64) error {
	name := quotaPrefix + string(q)
	if n == nil {
		_, err := t.exec(`DELETE FROM settings WHERE workspace = $1 AND name = $2`, string(by.Workspace), name)
		return err
	}
	_, err := t.exec(`INSERT INTO settings (workspace, name, value, updated_by, updated_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (workspace, name) DO UPDATE SET value = excluded.value, updated_by = excluded.updated_by, updated_at = excluded.updated_at`,
		string(by.Workspace), name, strconv.FormatInt(*n, 10), by.Actor, micros(t.now))
	return err
}

// quota is what is set. Until the commit nobody else passes, who counts as well.
func (t *tx) quota(ws mgx.WorkspaceID, q mgx.Quota) (limit int64, set bool, err error) {
	var value string
	set, err = t.row(`SELECT value FROM settings WHERE workspace = $1 AND name = $2`+t.d.lockRead, []any{string(ws), quotaPrefix + string(q)}, &value)
	if err != nil || !set {
		return 0, false, err
	}
	limit, err = strconv.ParseInt(value, 10, 64)
	if err != nil {
		return 0, false, badRow("settings", err)
	}
	return limit, true, nil
}

// room refuses one more of what a workspace has a quota of, when it has all of it, or as
// much as any workspace can have.
func (t *tx) room(ws mgx.WorkspaceID, q mgx.Quota) error { return t.roomBy(ws, q, usedOf[q]) }

// roomFor refuses a person one more run of the day.
func (t *tx) roomFor(ws mgx.WorkspaceID, user mgx.UserID) error {
	return t.roomBy(ws, mgx.QuotaRunsADayEach, usedOf[mgx.QuotaRunsADay]+` AND user_id = $3`, string(user))
}

func (t *tx) roomBy(ws mgx.WorkspaceID, q mgx.Quota, query string, more ...any) error {
	limit, set, err := t.quota(ws, q)
	most := q.Most()
	if err != nil || !set && most == 0 {
		return err
	}
	var used int64
	if _, err := t.row(query, append([]any{string(ws), since(q, t.now)}, more...), &used); err != nil {
		return err
	}
	switch {
	case set && used >= limit:
		return mgx.QuotaReached(ws, q, limit)
	case most > 0 && used >= most:
		return mgx.TooMany(q)
	}
	return nil
}

// Kinds of the revisions that count what is changed in a workspace, and what it sends to
// webhooks, by day.
const (
	changes    = "changes"
	deliveries = "deliveries"
)

func dayOf(at time.Time) string { return at.UTC().Format(time.DateOnly) }

// counted are the acts that add to what is kept of a workspace. Taking something away, and
// what is done for runs, is none of them.
var counted = []string{
	"settings.update", "template.create", "template.update", "secret.set", "role.update", "key.create", "key.rotate", "invitation.create", "budget.create", "budget.update",
	"webhook.create", "webhook.update", "webhook.enable", "webhook.rotate", "project.create", "project.rename", "project.set", "workspace.update",
}

// change counts an act, and refuses it when there were as many on this day as may be.
func (t *tx) change(ws mgx.WorkspaceID, action string) error {
	if !slices.Contains(counted, action) {
		return nil
	}
	limit, set, err := t.quota(ws, mgx.QuotaChangesADay)
	if err != nil {
		return err
	}
	if !set || limit > mgx.MostChangesADay {
		limit = mgx.MostChangesADay
	}
	n, err := t.ofDay(ws, changes, 1)
	if err == nil && n > limit {
		err = mgx.QuotaReached(ws, mgx.QuotaChangesADay, limit)
	}
	return err
}

// ofDay counts some more of a kind and returns how many that are on this day.
func (t *tx) ofDay(ws mgx.WorkspaceID, kind string, more int) (n int64, err error) {
	_, err = t.row(`INSERT INTO revisions (workspace, kind, id, revision) VALUES ($1, $2, $3, $4)
		ON CONFLICT (workspace, kind, id) DO UPDATE SET revision = revisions.revision + $4 RETURNING revision`, []any{string(ws), kind, dayOf(t.now), more}, &n)
	t.wrote, t.done = true, true
	if err == nil && n == int64(more) {
		_, err = t.exec(`DELETE FROM revisions WHERE workspace = $1 AND kind = $2 AND id < $3`, string(ws), kind, dayOf(t.now))
	}
	return n, err
}

// DeliveriesLeft is how many events may begin to be sent to webhooks on this day, as
// far as a quota says.
func (s *Store) DeliveriesLeft(ctx context.Context, ws mgx.WorkspaceID) (int, error) {
	value, set, err := get(ctx, s, scanText, `SELECT value FROM settings WHERE workspace = $1 AND name = $2`, string(ws), quotaPrefix+string(mgx.QuotaDeliveriesADay))
	if err != nil || !set {
		return math.MaxInt, err
	}
	limit, err := strconv.Atoi(value)
	if err != nil {
		return 0, badRow("settings", err)
	}
	n, err := s.Revision(ctx, ws, deliveries, dayOf(s.opts.Now()))
	return max(0, limit-int(n)), err
}

// deliver counts events that begin to be sent, and refuses them when they are more than
// may be on this day.
func (t *tx) deliver(id mgx.WebhookID, events int) error {
	if events == 0 {
		return nil
	}
	var ws mgx.WorkspaceID
	if found, err := t.row(`SELECT workspace FROM webhooks WHERE id = $1`, []any{string(id)}, &ws); err != nil || !found {
		return err
	}
	limit, set, err := t.quota(ws, mgx.QuotaDeliveriesADay)
	if err != nil {
		return err
	}
	n, err := t.ofDay(ws, deliveries, events)
	if err == nil && set && n > limit {
		err = mgx.QuotaReached(ws, mgx.QuotaDeliveriesADay, limit)
	}
	return err
}

// mayRun reports whether a run may be worked on now, besides those of its workspace
// that are.
func (t *tx) mayRun(e mgx.Execution, now time.Time) (bool, error) {
	if e.Run == "" {
		return true, nil
	}
	limit, set, err := t.quota(e.Workspace, mgx.QuotaRunsAtOnce)
	if err != nil || !set {
		return err == nil, err
	}
	var others int64
	_, err = t.row(usedOf[mgx.QuotaRunsAtOnce]+` AND run <> $3`, []any{string(e.Workspace), since(mgx.QuotaRunsAtOnce, now), string(e.Run)}, &others)
	return others < limit, err
}
