package mgx

import (
	"context"
	"encoding/json"
	"time"
)

// Change is everything that must become true together. A store applies it in
// one transaction or not at all. The parts are applied in the order of the
// fields; any that fails fails the whole.
type Change struct {
	// Workspace is whose steps, signals and updates these are: its secrets are hidden
	// in them. Empty: that on whose behalf it is made (see [InWorkspace]), or that of
	// what it creates and appends. Events and executions name their own.
	Workspace WorkspaceID

	Lease   *Lease          // when set, the change is refused with CodeFenced unless this lease is still held
	Expect  []StreamVersion // refused with CodeConflict unless each stream is at this version
	Create  []Execution     // refused with CodeConflict if the id exists
	Events  []Event         // numbered and appended in order; an event whose id is already stored is skipped
	Reserve *Reservation    // refused with CodeBudgetExceeded when the cap would be passed
	Settle  []Settlement
	Steps   []StepRecord // refused with CodeAlreadyRecorded if (execution, name) has one
	Signals []Signal     // queued once per id; wake the execution
	Consume []SignalID   // taken by the step recorded in the same change
	Update  *ExecutionUpdate
	Cancel  *CancelRequest
	Advance *ConsumerAdvance // how far a consumer has come; refused with CodeFenced unless its lease is still held
}

// In returns the change with its workspace, as far as that can be told.
func (c Change) In(ctx context.Context) Change {
	if c.Workspace != "" {
		return c
	}
	if c.Workspace, _ = WorkspaceOf(ctx); c.Workspace != "" {
		return c
	}
	switch {
	case len(c.Create) > 0:
		c.Workspace = c.Create[0].Workspace
	case len(c.Events) > 0:
		c.Workspace = c.Events[0].Workspace
	}
	return c
}

// StreamVersion states at which sequence a stream is expected to stand.
type StreamVersion struct {
	Stream  StreamID
	Version int64 // sequence of its last event; 0: the stream has none
}

// ExecutionStatus is the engine's view of an execution.
type ExecutionStatus string

const (
	ExecReady     ExecutionStatus = "ready"   // due when WakeAt has come; leased while worked on
	ExecWaiting   ExecutionStatus = "waiting" // parked until WakeAt (zero: never) or a signal in Awaits
	ExecDone      ExecutionStatus = "done"
	ExecFailed    ExecutionStatus = "failed"
	ExecCancelled ExecutionStatus = "cancelled"
)

// Ended reports whether the execution can never be claimed again.
func (s ExecutionStatus) Ended() bool {
	return s == ExecDone || s == ExecFailed || s == ExecCancelled
}

// Execution is the engine's instance of a workflow.
type Execution struct {
	Scope                      // Execution is its id; Run is empty for executions outside a run
	Parent     ExecutionID     // set for children
	ParentStep string          // the parent's step that waits for this child
	Workflow   string          // registered name
	Input      json.RawMessage // the workflow's argument
	Status     ExecutionStatus
	WakeAt     time.Time       // when it is due; zero while waiting for a signal alone
	Awaits     []string        // names of signals that wake it
	CancelWhy  string          // a cancel was requested, for this reason
	Result     json.RawMessage // when done
	Failure    *Error          // when failed or cancelled
	Deadline   time.Time       // zero: none
	Owner      string          // of the current lease; empty: none
	LeaseUntil time.Time
	Term       int64 // raised at every claim
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// Lease is the right to work on one execution until it expires or a later term
// is given out. Every change made under it is fenced by Term.
type Lease struct {
	Execution ExecutionID
	Owner     string
	Term      int64
}

// ExecutionUpdate moves an execution to another status.
type ExecutionUpdate struct {
	Execution ExecutionID
	Status    ExecutionStatus
	WakeAt    time.Time
	Awaits    []string
	Result    json.RawMessage
	Failure   *Error
	Release   bool // give the lease back
}

// CancelRequest asks whoever works on the execution, or will, to stop. It wakes
// a waiting execution. Asking again keeps the first reason.
type CancelRequest struct {
	Execution ExecutionID
	Why       string
}

// StepKind is what sort of decision a record holds.
type StepKind string

const (
	StepWork    StepKind = "step"
	StepSleep   StepKind = "sleep"
	StepAwait   StepKind = "await"
	StepChild   StepKind = "child"
	StepVersion StepKind = "version"
)

// StepRecord is the recorded result of one step: the journal is the list of
// these, in Order. A step with a record is never run again.
type StepRecord struct {
	Execution  ExecutionID     `json:"execution"`
	Order      int64           `json:"order"` // 1, 2, 3 … in the execution; the store fills it
	Name       string          `json:"name"`  // unique in the execution
	Kind       StepKind        `json:"kind"`
	Input      string          `json:"input"` // digest of what the workflow asked for; replay compares it
	Output     json.RawMessage `json:"output,omitempty"`
	Failure    *Error          `json:"failure,omitempty"` // the step's recorded error; nil when it succeeded
	Attempts   int             `json:"attempts"`
	Sequence   int64           `json:"sequence"` // of the run stream's last event when it was recorded; the store fills it
	StartedAt  time.Time       `json:"started_at"`
	RecordedAt time.Time       `json:"recorded_at"`
}

// Signal is a message to an execution, kept until a step takes it.
type Signal struct {
	ID        SignalID
	Execution ExecutionID
	Name      string
	Payload   json.RawMessage
	SentAt    time.Time
}

// Reservation sets the most that one attempt of a model call can cost aside
// before it is made. It is refused with CodeBudgetExceeded when any budget that
// applies to it does not allow it (see [Budget]), else counts against all.
//
// The store remembers the lease of the change. When the execution is claimed
// anew, given back or ends, what is still open is settled as lost, in full: the
// provider may have been paid. So it is when Until has passed.
type Reservation struct {
	ID        string // one attempt of one call
	Workspace WorkspaceID
	Project   ProjectID
	Task      TaskID
	Run       RunID  // empty for calls outside of runs
	User      UserID // on whose behalf
	Amount    Money
	Cap       *Money       // limit of the run's own budget, should it have none yet for CapPeriod
	CapPeriod BudgetPeriod // empty: absolute
	Note      string       // the step and model it is for

	Provider     string
	Model        string
	Role         string // of the agent
	PriceVersion string
	Unpriced     bool      // the price is unknown: refused with CodePriceUnknown when any budget applies
	Owner        string    // who makes the call, when no lease says so
	Until        time.Time // when it is lost without a settlement; zero: MaxReservation from now
}

// MaxReservation is how long a reservation without Until stays open. It is far
// longer than a call may take.
const MaxReservation = 24 * time.Hour

// Settlement replaces a reservation by what was really spent, in the periods in
// which it was reserved. A reservation is settled exactly once (CodeConflict
// otherwise).
type Settlement struct {
	ID      string
	Amount  Money
	Usage   Usage
	Outcome Outcome // empty: OutcomeDone
}

// Outcome is what came of an attempt: one of these, or the fault of its error.
type Outcome string

const (
	OutcomeDone      Outcome = "done"
	OutcomeCancelled Outcome = "cancelled"
	OutcomeLost      Outcome = "lost" // nobody came back to say
)

// Committed is what a store made of a change. Events have their sequences. They
// have their positions too, except when a database server numbers the log apart
// from the changes and does not get to it in time: then Position is 0, and the
// events are in the log a little later.
type Committed struct {
	Events []Event      // as stored
	Steps  []StepRecord // as stored: ordered
}

// ClaimRequest asks for the lease of one due execution: ready or waiting with a
// WakeAt that has come, or with a signal it awaits, or asked to cancel; and
// either unleased, or with an expired lease, or with an owner that is not alive.
type ClaimRequest struct {
	Owner string
	TTL   time.Duration
	Now   time.Time
	Only  ExecutionID             // if set, claim this one or nothing
	Run   RunID                   // if set, claim only executions of this run
	Alive func(owner string) bool // nil: owners count as alive until their lease expires
}
