package app

import (
	"context"
	"slices"
	"strings"

	"mgx"
	"mgx/internal/access"
)

// CodeBadQuota refuses a quota that is none.
const CodeBadQuota = "bad_quota"

// Quotas returns how the quotas of the actor's workspace stand.
func (a *Access) Quotas(ctx context.Context, actor access.Actor) ([]mgx.QuotaUse, error) {
	return a.o.Store.Quotas(ctx, actor.Workspace)
}

// QuotasOf returns those of any workspace. It is for who runs the installation.
func (a *Access) QuotasOf(ctx context.Context, ws mgx.WorkspaceID) ([]mgx.QuotaUse, error) {
	ctx = mgx.ForInstallation(ctx)
	if ws != mgx.DefaultWorkspace {
		if _, err := a.o.Store.Workspace(ctx, ws); err != nil {
			return nil, err
		}
	}
	return a.o.Store.Quotas(ctx, ws)
}

// SetQuotas sets quotas of any workspace, by their names, and removes those that are
// nil. It is for who runs the installation, and is in the audit log of the workspace.
func (a *Access) SetQuotas(ctx context.Context, actor access.Actor, ws mgx.WorkspaceID, set map[string]*int64) ([]mgx.QuotaUse, error) {
	quotas := map[mgx.Quota]*int64{}
	for name, n := range set {
		i := slices.IndexFunc(mgx.Quotas, func(q mgx.QuotaInfo) bool { return string(q.Name) == name })
		if i < 0 {
			return nil, mgx.Errorf(mgx.KindUsage, CodeBadQuota, "there is no quota %q; there are %s", name, quotaNames())
		}
		if q := mgx.Quota(name); n != nil && (*n < q.Lowest() || *n > q.Highest()) {
			return nil, mgx.Errorf(mgx.KindUsage, CodeBadQuota, "the quota %s takes a whole number from %d up to %d, or none", q, q.Lowest(), q.Highest())
		}
		quotas[mgx.Quota(name)] = n
	}
	by := actor.Doer()
	by.Workspace = ws
	if len(quotas) > 0 {
		if err := a.o.Store.SetQuotas(ctx, by, quotas); err != nil {
			return nil, err
		}
	}
	return a.QuotasOf(ctx, ws)
}

func quotaNames() string {
	var all []string
	for _, q := range mgx.Quotas {
		all = append(all, string(q.Name))
	}
	return strings.Join(all, ", ")
}
