package mgx

import (
	"time"
)

// The payloads of the events. Field names are the contract;
// the JSON Schemas in internal/event/schemas describe the same shapes.

// TaskInfo is what a person wants, as the events and the run row carry it.
type TaskInfo struct {
	ID          TaskID         `json:"id"`
	Title       string         `json:"title"` // 1-255 characters, one line
	Description string         `json:"description"`
	Type        TaskType       `json:"type,omitempty"`
	Priority    string         `json:"priority,omitempty"` // low, medium, high, critical
	Estimates   *TaskEstimates `json:"estimates,omitempty"`
}

// TaskEstimates is what a task was thought to take when it was created.
type TaskEstimates struct {
	DurationMS int64 `json:"duration_ms,omitempty"`
	Tokens     int64 `json:"tokens,omitempty"`
	CostUSD    Money `json:"cost_usd,omitempty"`
}

// TaskType sorts tasks by what kind of work they are.
type TaskType string

const (
	TypeQuestion       TaskType = "question"
	TypeCodeGeneration TaskType = "code_generation"
	TypeBugFix         TaskType = "bug_fix"
	TypeRefactoring    TaskType = "refactoring"
	TypeTesting        TaskType = "testing"
	TypeDocumentation  TaskType = "documentation"
)

type TaskCreatedData struct {
	Task   TaskInfo `json:"task"`
	UserID string   `json:"user_id"`
	Source string   `json:"source"` // cli, api, console, fork
}

type TaskStartedData struct {
	Attempt int `json:"attempt"`
}

type TaskCompletedData struct {
	DurationMS int64      `json:"duration_ms"`
	Tokens     Usage      `json:"tokens"`
	CostUSD    Money      `json:"cost_usd"`
	Result     TaskResult `json:"result"`
	Retries    int        `json:"retries"`
}

// TaskResult says what came out of a task that reached its goal.
type TaskResult struct {
	Kind      string      `json:"kind"` // delivered, answered, nothing_to_do
	Answer    string      `json:"answer,omitempty"`
	Branch    string      `json:"branch,omitempty"`
	Commit    string      `json:"commit,omitempty"`
	Files     int         `json:"files"`
	Additions int         `json:"additions"`
	Deletions int         `json:"deletions"`
	Checks    int         `json:"checks"`
	Artifacts []string    `json:"artifacts,omitempty"` // ids
	Tests     *TestCounts `json:"tests,omitempty"`     // nil: the checks do not tell single tests apart
}

// TestCounts counts the single tests within checks.
type TestCounts struct {
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
}

// TaskErrorData ends a run that did not reach its goal. What was delivered all
// the same, such as a branch with failing checks, is in the run row.
type TaskErrorData struct {
	ErrorType        string   `json:"error_type"` // timeout, llm_error, tool_error, validation_error, quota_exceeded, authentication_error, permission_error, goal_not_reached, internal_error
	Kind             Kind     `json:"kind"`
	Code             string   `json:"code"`
	Message          string   `json:"message"`
	RetryCount       int      `json:"retry_count"`
	MaxRetries       int      `json:"max_retries"`
	Fatal            bool     `json:"fatal"`
	Fallback         bool     `json:"fallback_triggered,omitempty"` // another model was tried before giving up
	LastStep         string   `json:"last_step,omitempty"`
	SuggestedActions []string `json:"suggested_actions,omitempty"`
}

type TaskCancelledData struct {
	Reason string `json:"reason"`
	By     string `json:"by"`
}

// RunCreatedData opens a run's stream.
type RunCreatedData struct {
	Task     TaskInfo    `json:"task"`
	Repo     RepoInfo    `json:"repo"`
	Settings RunSettings `json:"settings"`
	Workflow string      `json:"workflow"`
	ForkOf   RunID       `json:"fork_of,omitempty"`
	ForkAt   int64       `json:"fork_at,omitempty"` // sequence in the forked run's stream
}

// RepoInfo names the repository a run works on. The zero value means none.
type RepoInfo struct {
	Path   string `json:"path,omitempty"`   // absolute path of the user's checkout
	Head   string `json:"head,omitempty"`   // full commit id the run starts from
	Branch string `json:"branch,omitempty"` // empty when HEAD is detached
	Dirty  bool   `json:"dirty,omitempty"`  // the checkout had uncommitted changes
}

// RunSettings are the limits and choices a run was started with.
type RunSettings struct {
	Model        string        `json:"model"`                // provider/model
	Approve      string        `json:"approve"`              // auto, ask, never
	Plan         bool          `json:"plan,omitempty"`       // always plan, whatever the size
	Budget       *Money        `json:"budget_usd,omitempty"` // nil: no cap
	MaxTurns     int           `json:"max_turns"`            // model turns in the whole run
	MaxTokens    int64         `json:"max_tokens,omitempty"` // in and out, whole run; 0: no limit
	Timeout      time.Duration `json:"timeout_ns"`           // wall time of the whole run while it works
	Checks       []string      `json:"checks,omitempty"`     // from --check; empty: found from the repository
	Branch       string        `json:"branch,omitempty"`     // from --branch; empty: mgx/<slug>/run-<n>
	Sandbox      string        `json:"sandbox"`              // the level asked for: auto, or off when the user typed it
	IncludeDirty bool          `json:"include_dirty,omitempty"`
	Price        string        `json:"price,omitempty"`    // "IN,OUT" dollars per million tokens, from --price
	InOrder      bool          `json:"in_order,omitempty"` // one tool call at a time, so that a repetition has the same order
	Seed         *int64        `json:"seed,omitempty"`     // asked of models, with temperature 0; nil: neither
	Policy       *PolicyInfo   `json:"policy,omitempty"`   // of tool calls; nil: the built-in policy auto

	AllowHosts  []string     `json:"allow_hosts,omitempty"` // that commands may reach, as HOST:PORT; empty: no network
	MCP         []MCPServer  `json:"mcp,omitempty"`         // servers of tools outside, in the order of their names
	Attachments []Attachment `json:"attachments,omitempty"` // files the run was given besides its repository
}

// Phases of the team workflow, in order.
const (
	PhasePrepare   = "prepare"
	PhaseTriage    = "triage"
	PhasePlan      = "plan"
	PhaseApproval  = "approval"
	PhaseImplement = "implement"
	PhaseCheck     = "check"
	PhaseReview    = "review"
	PhaseDeliver   = "deliver"
)

type PhaseData struct {
	Phase string `json:"phase"`
	Note  string `json:"note,omitempty"`
}

// Plan is what the planner proposes and the person approves.
type Plan struct {
	Goal   string     `json:"goal"`
	Steps  []PlanStep `json:"steps"`
	Files  []string   `json:"files,omitempty"`
	Risks  []string   `json:"risks,omitempty"`
	Verify []string   `json:"verify,omitempty"` // how to check that the goal is reached
}

type PlanStep struct {
	Text   string `json:"text"`
	Status string `json:"status"` // todo, doing, done, dropped
}

type PlanUpdatedData struct {
	Plan Plan   `json:"plan"`
	Hash string `json:"hash"` // sha256 of the plan's goal, steps' texts and files: what an approval binds
}

type CheckpointData struct {
	Tree string `json:"tree"` // git tree id of the run's files
	Step string `json:"step"` // the step after which they were so
}

type ChecksData struct {
	Round  string        `json:"round"`  // baseline, or 1, 2, …
	Passed bool          `json:"passed"` // each of them, none left out; also when there are none
	Checks []CheckResult `json:"checks"`
}

// Outcome is a word for the round: failed when a check judged that something is wrong;
// refused or unavailable when none did but some were not let run, or could not be; passed
// when all were and did; none when there are none. It asks the checks: rounds from before
// 1.1.1 of the contract say that they passed when some were unavailable.
func (d ChecksData) Outcome() string {
	all, passed, refused, unavailable := len(d.Checks), d.Count("passed"), d.Count("refused"), d.Count("unavailable")
	switch {
	case all == 0:
		return "none"
	case passed == all:
		return "passed"
	case passed+refused+unavailable < all:
		return "failed"
	case refused > 0:
		return "refused"
	}
	return "unavailable"
}

// Count is how many of the checks ended so.
func (d ChecksData) Count(status string) (n int) {
	for _, c := range d.Checks {
		if c.Status == status {
			n++
		}
	}
	return n
}

type CheckResult struct {
	Name       string `json:"name"`
	Command    string `json:"command"`
	Status     string `json:"status"` // passed, failed, timeout, unavailable (a program it needs is not there, nor was before the change), refused (the policy or a person did not let it run)
	ExitCode   int    `json:"exit_code"`
	DurationMS int64  `json:"duration_ms"`
	Output     string `json:"output,omitempty"` // tail, bounded
}

type ReviewData struct {
	Round    int       `json:"round"`
	Verdict  string    `json:"verdict"` // approve, revise
	Summary  string    `json:"summary"`
	Findings []Finding `json:"findings"`
}

// Finding is one thing a reviewer holds against a change. P0 and P1 block.
type Finding struct {
	Title    string `json:"title"`
	Body     string `json:"body"`
	Priority string `json:"priority"` // P0, P1, P2, P3
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
}

type AnsweredData struct {
	Answer string `json:"answer"`
}

type DeliveredData struct {
	Branch    string   `json:"branch"`
	Commit    string   `json:"commit"`
	Base      string   `json:"base"`
	Commits   int      `json:"commits"`
	Files     int      `json:"files"`
	Additions int      `json:"additions"`
	Deletions int      `json:"deletions"`
	Stat      []string `json:"stat,omitempty"` // "path | +a -d", bounded
}

type NotedData struct {
	Level string `json:"level"` // info, warning
	Text  string `json:"text"`
}

// MessageSentData is something a person said to a run that is under way. The agent
// that leads hears it before its next turn.
type MessageSentData struct {
	Text string `json:"text"`
	By   string `json:"by"` // an id
}

// PausedData says that a person wants a run to stand still: it does before its next
// model turn or tool call.
type PausedData struct {
	By     string `json:"by"` // an id
	Reason string `json:"reason,omitempty"`
}

type ContinuedData struct {
	By string `json:"by"` // an id
}

type AgentMessageData struct {
	Role         string   `json:"role"`       // system, user, assistant, tool
	AgentRole    string   `json:"agent_role"` // implementer, reviewer, …
	Conversation string   `json:"conversation"`
	Index        int      `json:"index"`
	Text         string   `json:"text"`
	ToolCalls    []string `json:"tool_calls,omitempty"` // names
	Tokens       *Usage   `json:"tokens,omitempty"`
	Label        *Label   `json:"label,omitempty"` // of all that the model had been given
}

// AgentBriefedData says what MGX itself gave an agent to read.
type AgentBriefedData struct {
	AgentRole    string        `json:"agent_role"`
	Conversation string        `json:"conversation"`
	Items        []ContextItem `json:"items,omitempty"`
}

// ContextItem is one text that an agent was given.
type ContextItem struct {
	What  string `json:"what"` // task, AGENTS.md, overview, plan, diff, findings, …
	Bytes int    `json:"bytes"`
	Label Label  `json:"label"`
}

type ToolCallData struct {
	CallID       string `json:"call_id"`
	Name         string `json:"name"`
	Effect       string `json:"effect"`    // read, write, execute, network, deliver
	Arguments    string `json:"arguments"` // JSON text as the model sent it, redacted, bounded
	Summary      string `json:"summary"`   // the one argument that matters
	AgentRole    string `json:"agent_role"`
	SandboxID    string `json:"sandbox_id,omitempty"`
	SandboxLevel string `json:"sandbox_level"`
	TimeoutMS    int64  `json:"timeout_ms,omitempty"`
	Conversation string `json:"conversation,omitempty"`
	Label        *Label `json:"label,omitempty"` // of all that the model had been given when it made the call

	Verdict string `json:"verdict,omitempty"` // of the run's policy: allow, ask, deny; empty: no policy was asked
	Rule    string `json:"rule,omitempty"`    // of the policy, that decided
	Why     string `json:"why,omitempty"`
}

type ToolResultData struct {
	CallID     string `json:"call_id"`
	Name       string `json:"name"`
	Status     string `json:"status"` // success, error, timeout, denied
	DurationMS int64  `json:"duration_ms"`
	Output     string `json:"output"` // bounded
	ExitCode   *int   `json:"exit_code,omitempty"`
	Tree       string `json:"tree,omitempty"` // checkpoint after the call, where files could change
	Label      *Label `json:"label,omitempty"`
}

type LLMCallData struct {
	Provider     string `json:"provider"`
	Model        string `json:"model"`
	AgentRole    string `json:"agent_role"`
	Usage        Usage  `json:"usage"`
	CostUSD      Money  `json:"cost_usd"`
	PriceKnown   bool   `json:"price_known"`
	PriceVersion string `json:"price_version,omitempty"`
	DurationMS   int64  `json:"duration_ms"`
	FirstTokenMS int64  `json:"first_token_ms"`
	Finish       string `json:"finish"`
	Attempts     int    `json:"attempts"`
	Step         string `json:"step"`

	Cached  bool         `json:"cached,omitempty"`  // the answer is one that was kept; it cost nothing
	Routing *RoutingData `json:"routing,omitempty"` // absent: the model was asked for by name
	Label   *Label       `json:"label,omitempty"`   // of all that the model was given
}

// RoutingData says which model a call went to, and why.
type RoutingData struct {
	Asked    string        `json:"asked"`              // provider/model, or the name of a policy
	Policy   string        `json:"policy,omitempty"`   // empty: a model was asked for by name
	Strategy string        `json:"strategy,omitempty"` // cost, latency, quality, local_first, capability_match, balanced, ordered
	Override string        `json:"override,omitempty"` // of the policy that applied: role reviewer, size L
	Chosen   string        `json:"chosen"`             // provider/model that answered, or was tried last
	Why      string        `json:"why"`
	Passed   []PassedModel `json:"passed,omitempty"` // the other models of the policy
}

// PassedModel is a model that a call did not go to.
type PassedModel struct {
	Model string `json:"model"` // provider/model
	Why   string `json:"why"`
}

type ProviderErrorData struct {
	Provider   string `json:"provider"`
	Model      string `json:"model"`
	ErrorType  string `json:"error_type"` // timeout, rate_limit, authentication, quota_exceeded, connection_error, invalid_request, overloaded, bad_response, context_length
	Message    string `json:"message"`
	RetryCount int    `json:"retry_count"`
	Retrying   bool   `json:"retrying"`
	CostUSD    Money  `json:"cost_usd"`           // the most that the failed attempt can have cost
	Fallback   string `json:"fallback,omitempty"` // provider/model that is tried next
}

type WorkflowStartedData struct {
	Workflow string `json:"workflow"`
	Trigger  string `json:"trigger"` // manual, scheduled, webhook, api

	Inputs map[string]string `json:"inputs,omitempty"` // by name: JSON text, redacted and bounded
}

type StepStartedData struct {
	Step    string   `json:"step"`
	Kind    StepKind `json:"kind"`
	Attempt int      `json:"attempt"`
	Order   int64    `json:"order,omitempty"` // 0: not known yet
}

type StepCompletedData struct {
	Step       string   `json:"step"`
	Kind       StepKind `json:"kind"`
	Order      int64    `json:"order"`
	Status     string   `json:"status"` // done, failed
	Attempts   int      `json:"attempts"`
	DurationMS int64    `json:"duration_ms"`
	Error      string   `json:"error,omitempty"`
}

type WaitingData struct {
	For   string     `json:"for"` // the signal, or "timer"
	Until *time.Time `json:"until,omitempty"`
}

type ResumedData struct {
	Reason string `json:"reason"` // signal, timer, takeover
}

type WorkflowCompletedData struct {
	Status string `json:"status"` // done, failed, cancelled
	Steps  int64  `json:"steps"`

	FailedSteps int64 `json:"failed_steps,omitempty"`
	Retries     int64 `json:"retries,omitempty"`
	DurationMS  int64 `json:"duration_ms,omitempty"`
}

type ApprovalRequestedData struct {
	ApprovalID string `json:"approval_id"` // also the name of the signal that decides it
	Effect     string `json:"effect"`      // what happens on yes, in words
	Hash       string `json:"hash"`        // sha256 of exactly what is proposed

	Call *ProposedCall `json:"call,omitempty"` // nil: it is no tool call
}

type ApprovalDecidedData struct {
	ApprovalID string `json:"approval_id"`
	Approved   bool   `json:"approved"`
	By         string `json:"by"` // an id, or "policy" when no person was asked
	Reason     string `json:"reason,omitempty"`
	Hash       string `json:"hash"`
	Rest       bool   `json:"rest,omitempty"`    // and the same for the rest of the run
	Changes    bool   `json:"changes,omitempty"` // not approved as it is: it is asked for again after changes
}

// ProviderFallbackData says that calls go to another model than was asked for.
type ProviderFallbackData struct {
	From      string     `json:"from"`   // provider/model
	To        string     `json:"to"`     // provider/model
	Reason    string     `json:"reason"` // rate_limit, error_rate, cost, performance
	AgentRole string     `json:"agent_role,omitempty"`
	Step      string     `json:"step,omitempty"`
	Message   string     `json:"message,omitempty"`
	Until     *time.Time `json:"until,omitempty"` // nil: the first model is tried again at the next call
}

type ArtifactCreatedData struct {
	ArtifactID string `json:"artifact_id"`
	Name       string `json:"name"`
	Kind       string `json:"kind"` // file, patch, report, log, image, archive, payload
	MediaType  string `json:"media_type"`
	Size       int64  `json:"size"`   // bytes
	Digest     string `json:"digest"` // sha256:…
	Step       string `json:"step,omitempty"`
}

// ArtifactUpdatedData says that a name stands for other bytes now.
type ArtifactUpdatedData struct {
	ArtifactID     string `json:"artifact_id"`
	Name           string `json:"name"`
	Kind           string `json:"kind"`
	MediaType      string `json:"media_type"`
	Size           int64  `json:"size"`
	Digest         string `json:"digest"`
	PreviousDigest string `json:"previous_digest"`
	Revision       int    `json:"revision"` // from 2; the creation was 1
	Step           string `json:"step,omitempty"`
}

// ResourceData says that a node runs short of something, or is out of it.
type ResourceData struct {
	Resource  string     `json:"resource"` // memory, cpu, disk, queue
	Value     float64    `json:"value"`
	Threshold float64    `json:"threshold"`
	Unit      string     `json:"unit"` // bytes, percent, items
	Advice    string     `json:"advice"`
	Node      string     `json:"node,omitempty"`
	Where     string     `json:"where,omitempty"`
	Since     *time.Time `json:"since,omitempty"`
}

// ResourceCriticalData also says what is refused until it is better.
type ResourceCriticalData struct {
	ResourceData
	Refused string `json:"refused,omitempty"`
}

// SuspicionData says what an honest user, token, run or agent rarely does.
type SuspicionData struct {
	Severity string `json:"severity"` // low, medium, high, critical
	Actor    string `json:"actor"`    // an id; empty: nobody was identified
	Address  string `json:"address,omitempty"`
	What     string `json:"what"`
	Detail   string `json:"detail"`
	Blocked  bool   `json:"blocked"`
	Count    int64  `json:"count,omitempty"`
	Target   string `json:"target,omitempty"` // id of what it was aimed at
}

// BreachData says that a protection was broken.
type BreachData struct {
	SuspicionData
	Affected []string `json:"affected,omitempty"` // ids
	Actions  []string `json:"actions,omitempty"`  // what was done about it already
	Advice   string   `json:"advice"`
}

// ThresholdReachedData says that what was spent has reached a set threshold.
type ThresholdReachedData struct {
	ThresholdType string           `json:"threshold_type"` // daily, monthly, absolute
	Scope         string           `json:"scope"`          // workspace, project, task, run, user
	ScopeID       string           `json:"scope_id"`
	UsageUSD      Money            `json:"usage_usd"`
	ThresholdUSD  Money            `json:"threshold_usd"`
	Percentage    float64          `json:"percentage"` // of the limit
	Level         string           `json:"level"`      // info, warning, critical
	LimitUSD      *Money           `json:"limit_usd,omitempty"`
	ByProvider    map[string]Money `json:"by_provider,omitempty"`
	ProjectionUSD *Money           `json:"projection_usd,omitempty"`
	PeriodStart   *time.Time       `json:"period_start,omitempty"`
	PeriodEnd     *time.Time       `json:"period_end,omitempty"`
}

// UsageAlertData says that what was spent is out of the ordinary.
type UsageAlertData struct {
	ThresholdType string           `json:"threshold_type"`
	Scope         string           `json:"scope"`
	ScopeID       string           `json:"scope_id"`
	UsageUSD      Money            `json:"usage_usd"`
	Level         string           `json:"level"`
	Message       string           `json:"message"`
	ThresholdUSD  *Money           `json:"threshold_usd,omitempty"`
	Percentage    float64          `json:"percentage,omitempty"`
	ByProvider    map[string]Money `json:"by_provider,omitempty"`
	ProjectionUSD *Money           `json:"projection_usd,omitempty"`
}
