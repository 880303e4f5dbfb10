package mgx

import "strings"

// Quota names something of which a workspace may have only so much, where whoever
// runs the installation has set how much.
type Quota string

// The quotas.
const (
	QuotaMembers    Quota = "members"
	QuotaKeys       Quota = "keys"
	QuotaProjects   Quota = "projects"
	QuotaWebhooks   Quota = "webhooks"
	QuotaSecrets    Quota = "secrets"
	QuotaRoles      Quota = "roles"
	QuotaBudgets    Quota = "budgets"
	QuotaTemplates  Quota = "templates"
	QuotaRunsAtOnce Quota = "runs_at_once"
	QuotaRunsADay   Quota = "runs_a_day"

	QuotaInvitations  Quota = "invitations"
	QuotaChangesADay  Quota = "changes_a_day"
	QuotaRunsADayEach Quota = "runs_a_day_each"
	QuotaStoredBytes  Quota = "stored_bytes"

	QuotaDeliveriesADay Quota = "deliveries_a_day"

	// Of the sandbox of each run: limits below those of the server.
	QuotaMemory    Quota = "sandbox_memory"
	QuotaProcesses Quota = "sandbox_processes"
	QuotaCPUs      Quota = "sandbox_cpus"
	QuotaCPUTime   Quota = "sandbox_cpu_time"
	QuotaFileSize  Quota = "sandbox_file_size"
	QuotaOpenFiles Quota = "sandbox_open_files"
	QuotaTmp       Quota = "sandbox_tmp"
	QuotaDisk      Quota = "sandbox_disk"
	QuotaFiles     Quota = "sandbox_files"
)

// QuotaInfo is what people are told of a quota.
type QuotaInfo struct {
	Name  Quota
	Most  int64 // what no workspace can have more of; 0: there is no such bound
	Means string
}

// quotaSandbox begins the names of quotas that bound each run by itself.
const quotaSandbox = "sandbox_"

// SandboxLimit is the name that --sandbox-limits has for what a quota bounds, such as
// cpu-time; empty: none. Nothing of that is counted, for each run may have so much.
func (q Quota) SandboxLimit() string {
	name, ok := strings.CutPrefix(string(q), quotaSandbox)
	if !ok {
		return ""
	}
	return strings.ReplaceAll(name, "_", "-")
}

// Quotas lists them.
var Quotas = []QuotaInfo{
	{QuotaMembers, 1000, "members"},
	{QuotaKeys, 1000, "API keys that are good"},
	{QuotaProjects, 10_000, "projects"},
	{QuotaWebhooks, 100, "webhooks"},
	{QuotaSecrets, 10_000, "secrets"},
	{QuotaRoles, 100, "roles of its own"},
	{QuotaInvitations, 1000, "invitations that are open"},
	{QuotaBudgets, 10_000, "budgets, besides those of runs"},
	{QuotaTemplates, 100, "templates of tasks"},
	{QuotaChangesADay, MostChangesADay, "changes within a day of UTC to what is set: settings, templates, secrets, roles, keys, invitations, budgets, webhooks, projects"},
	{QuotaRunsAtOnce, 0, "runs that are worked on at the same time; others wait for their turn"},
	{QuotaRunsADay, 0, "runs that begin within a day of UTC"},
	{QuotaRunsADayEach, 0, "runs that one person begins within a day of UTC, with all their keys"},
	{QuotaDeliveriesADay, 0, "events that begin to be sent to webhooks within a day of UTC, to each of them; others wait for the next day"},
	{QuotaStoredBytes, 0, "bytes of events, journals, attachments and uploads; runs that have begun go on"},
	{QuotaMemory, 0, "bytes of memory of all commands of a run"},
	{QuotaProcesses, 0, "processes of a command of a run"},
	{QuotaCPUs, 0, "thousandths of processors' worth of time of all commands of a run"},
	{QuotaCPUTime, 0, "seconds of the processor for a process of a run"},
	{QuotaFileSize, 0, "bytes of a file that a command of a run writes"},
	{QuotaOpenFiles, 0, "files that a process of a run has open"},
	{QuotaTmp, 0, "bytes of temporary files of a command of a run, in each of its places"},
	{QuotaDisk, 0, "bytes of the files of a run, and of what was kept of them"},
	{QuotaFiles, 0, "files of a run"},
}

// Lowest is the lowest limit that a quota can be set to. No command can run with none
// of what it needs.
func (q Quota) Lowest() int64 {
	switch q {
	case QuotaCPUs:
		return 10 // a hundredth of a processor
	case QuotaMemory, QuotaTmp, QuotaDisk, QuotaFileSize:
		return 1 << 20
	case QuotaProcesses, QuotaOpenFiles, QuotaFiles:
		return 16
	case QuotaCPUTime:
		return 1
	}
	return 0
}

// MostChangesADay bounds what a workspace adds to its audit log and to what is kept of
// each thing, which no other quota counts.
const MostChangesADay = 10_000

// Highest is the highest limit that a quota can be set to.
func (q Quota) Highest() int64 {
	switch q {
	case QuotaStoredBytes, QuotaMemory, QuotaFileSize, QuotaTmp, QuotaDisk:
		return 1 << 50
	case QuotaCPUs:
		return 10_000_000
	case QuotaCPUTime:
		return 30 * 24 * 60 * 60
	}
	return 1_000_000_000
}

// QuotaUse is how a quota of a workspace stands.
type QuotaUse struct {
	Quota Quota  `json:"quota"`
	Limit *int64 `json:"limit"` // nil: nobody has set one
	Used  int64  `json:"used"`  // 0 of those of the sandbox, of which each run may have so much
}

// CodeQuotaReached refuses what is beyond a quota. Kind refused.
const CodeQuotaReached = "quota_reached"

// Most is what no workspace can have more of; 0: there is no such bound.
func (q Quota) Most() int64 { return q.info().Most }

func (q Quota) info() QuotaInfo {
	for _, i := range Quotas {
		if i.Name == q {
			return i
		}
	}
	return QuotaInfo{Name: q, Means: string(q)}
}

// TooMany is the error of what no workspace can have more of.
func TooMany(q Quota) error {
	return Errorf(KindUsage, "too_many_"+string(q), "a workspace has at most %d %s; remove one first", q.Most(), q.info().Means)
}

// QuotaReached is the error of a quota that leaves no room for one more.
func QuotaReached(ws WorkspaceID, q Quota, limit int64) error {
	if q == QuotaStoredBytes {
		return Errorf(KindRefused, CodeQuotaReached, "the quota %s is reached: this workspace may keep %d bytes; erase runs that nobody needs (mgx erase --run RUN), keep events for less time, or have who runs the installation raise it: mgx workspaces quota %s %s=N", q, limit, ws, q)
	}
	return Errorf(KindRefused, CodeQuotaReached, "the quota %s is reached: this workspace may have %d %s; who runs the installation can raise it: mgx workspaces quota %s %s=N", q, limit, q.info().Means, ws, q)
}
