package mgx

// Quota names something of which a workspace may have only so much, where whoever
// runs the installation has set how much.
type Quota string

// The quotas.
const (
	QuotaMembers    Quota = "members"
	QuotaKeys       Quota = "keys"
	QuotaProjects   Quota = "projects"
	QuotaWebhooks   Quota = "webhooks"
	QuotaRunsAtOnce Quota = "runs_at_once"
	QuotaRunsADay   Quota = "runs_a_day"
)

// QuotaInfo is what people are told of a quota.
type QuotaInfo struct {
	Name  Quota
	Most  int64 // what no workspace can have more of; 0: there is no such bound
	Means string
}

// Quotas lists them.
var Quotas = []QuotaInfo{
	{QuotaMembers, 1000, "members"},
	{QuotaKeys, 1000, "API keys that are good"},
	{QuotaProjects, 10_000, "projects"},
	{QuotaWebhooks, 100, "webhooks"},
	{QuotaRunsAtOnce, 0, "runs that are worked on at the same time; others wait for their turn"},
	{QuotaRunsADay, 0, "runs that begin within a day of UTC"},
}

// QuotaUse is how a quota of a workspace stands.
type QuotaUse struct {
	Quota Quota  `json:"quota"`
	Limit *int64 `json:"limit"` // nil: nobody has set one
	Used  int64  `json:"used"`
}

// CodeQuotaReached refuses what is beyond a quota. Kind refused.
const CodeQuotaReached = "quota_reached"

// QuotaReached is the error of a quota that leaves no room for one more.
func QuotaReached(ws WorkspaceID, q Quota, limit int64) error {
	what := string(q)
	for _, i := range Quotas {
		if i.Name == q {
			what = i.Means
		}
	}
	return Errorf(KindRefused, CodeQuotaReached, "the quota %s is reached: this workspace may have %d %s; who runs the installation can raise it: mgx workspaces quota %s %s=N", q, limit, what, ws, q)
}
