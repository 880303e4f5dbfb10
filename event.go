package mgx

import (
	"encoding/json"
	"time"
)

// Event is a past-tense fact at (Stream, Sequence). Its JSON form is the public
// envelope. Data is at most 1 MB with the envelope, holds no secret and no
// personal data beyond ids, and is valid against the schema of (Type, Version).
type Event struct {
	ID        EventID     `json:"event_id"`
	Type      EventType   `json:"event_type"`
	Version   string      `json:"version"`   // semver of the type's schema; the registry fills it
	Time      time.Time   `json:"timestamp"` // UTC, microseconds
	Workspace WorkspaceID `json:"workspace_id"`

	Project     ProjectID   `json:"project_id,omitempty"`
	Task        TaskID      `json:"task_id,omitempty"`
	Run         RunID       `json:"run_id,omitempty"`
	Agent       AgentID     `json:"agent_id,omitempty"`
	Execution   ExecutionID `json:"workflow_execution_id,omitempty"`
	Correlation string      `json:"correlation_id,omitempty"`
	Causation   EventID     `json:"causation_id,omitempty"`
	Traceparent string      `json:"traceparent,omitempty"`

	Stream   StreamID `json:"stream"`
	Sequence int64    `json:"sequence"` // 1, 2, 3 … without gap within the stream; the store fills it
	Position int64    `json:"position"` // 1, 2, 3 … without gap in the whole log; the store fills it, with 0 until it is given out

	Data json.RawMessage `json:"data"`
}

// MaxEventSize bounds the JSON form of an event, in bytes.
const MaxEventSize = 1 << 20

// EventType names a contract: dotted, lower case, past tense at heart.
type EventType string

const (
	TaskCreated   EventType = "task.created"
	TaskStarted   EventType = "task.started"
	TaskCompleted EventType = "task.completed"
	TaskFailed    EventType = "task.error"
	TaskCancelled EventType = "task.cancelled"

	RunCreated         EventType = "run.created"
	RunPhaseChanged    EventType = "run.phase.changed"
	RunPlanUpdated     EventType = "run.plan.updated"
	RunCheckpointed    EventType = "run.checkpointed"
	RunChecksCompleted EventType = "run.checks.completed"
	RunReviewCompleted EventType = "run.review.completed"
	RunAnswered        EventType = "run.answered"
	RunDelivered       EventType = "run.delivered"
	RunNoted           EventType = "run.noted"
	RunNetworkUsed     EventType = "run.network.used"
	RunLimitReached    EventType = "run.limit.reached"
	RunMessageSent     EventType = "run.message.sent"
	RunPaused          EventType = "run.paused"
	RunContinued       EventType = "run.continued"

	RunCommentMade      EventType = "run.comment.made"
	RunCommentClosed    EventType = "run.comment.closed"
	RunFileApproved     EventType = "run.file.approved"
	RunChangesRequested EventType = "run.changes.requested"

	AgentBriefed EventType = "agent.briefed"
	AgentMessage EventType = "agent.message"
	ToolCalled   EventType = "tool.call"
	ToolReturned EventType = "tool.result"

	LLMCallCompleted    EventType = "llm.call.completed"
	LLMProviderError    EventType = "llm.provider.error"
	LLMProviderFallback EventType = "llm.provider.fallback"

	WorkflowStarted       EventType = "workflow.started"
	WorkflowStepStarted   EventType = "workflow.step.started"
	WorkflowStepCompleted EventType = "workflow.step.completed"
	WorkflowWaiting       EventType = "workflow.waiting"
	WorkflowResumed       EventType = "workflow.resumed"
	WorkflowCompleted     EventType = "workflow.completed"
	ApprovalRequested     EventType = "workflow.approval.requested"
	ApprovalDecided       EventType = "workflow.approval.decided"

	ArtifactCreated EventType = "artifact.created"
	ArtifactUpdated EventType = "artifact.updated"

	ResourceWarning  EventType = "system.resource.warning"
	ResourceCritical EventType = "system.resource.critical"

	SuspiciousActivity EventType = "security.suspicious_activity"
	BreachDetected     EventType = "security.breach_detected"

	BillingThresholdReached EventType = "billing.threshold.reached"
	BillingUsageAlert       EventType = "billing.usage_alert"

	WebhookDisabled EventType = "webhook.disabled"
	WebhookSkipped  EventType = "webhook.skipped"
	WebhookTest     EventType = "webhook.test" // sent by hand, never stored

	DataErased EventType = "data.erased"

	// AuditRecorded is a security-relevant act: who did what to what, and whether they
	// were allowed. All such events of a workspace are one stream, and the store keeps
	// a Merkle tree over it, so that nobody can change one or take one away unseen.
	AuditRecorded EventType = "audit.recorded"
)

// NewEvent builds an event of the given type whose data is payload as JSON.
// Identity, stream and scope are the caller's (see [Scope.Event]); it panics if
// payload cannot be JSON, which is a programming error.
func NewEvent(typ EventType, payload any) Event {
	data, err := json.Marshal(payload)
	if err != nil {
		panic("mgx: payload of " + string(typ) + ": " + err.Error())
	}
	return Event{ID: NewEventID(), Type: typ, Time: Now(), Data: data}
}

// Decode reads the event's data into a payload type.
func (e Event) Decode(into any) error {
	if err := json.Unmarshal(e.Data, into); err != nil {
		return Errorf(KindInternal, "bad_event", "event %s (%s) does not decode: %w", e.ID, e.Type, err)
	}
	return nil
}

// Now is the current time as events and rows keep it: UTC, microseconds.
func Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// Scope is what the events of one run share.
type Scope struct {
	Workspace WorkspaceID `json:"workspace_id"`
	Project   ProjectID   `json:"project_id,omitempty"`
	Task      TaskID      `json:"task_id,omitempty"`
	Run       RunID       `json:"run_id,omitempty"`
	User      UserID      `json:"user_id,omitempty"` // who asked for it
	Execution ExecutionID `json:"execution_id,omitempty"`
}

// Event builds an event in this scope, on the run's stream.
func (s Scope) Event(typ EventType, payload any) Event {
	e := NewEvent(typ, payload)
	e.Workspace, e.Project, e.Task, e.Run, e.Execution = s.Workspace, s.Project, s.Task, s.Run, s.Execution
	e.Stream, e.Traceparent = StreamID(s.Run), s.Run.Traceparent()
	return e
}
