package mgx

import "time"

// RunStatus is where a run stands. docs/state_machine.md draws it.
type RunStatus string

const (
	RunQueued    RunStatus = "queued"    // created, no work done yet
	RunRunning   RunStatus = "running"   // a worker has it, or had it and died
	RunWaiting   RunStatus = "waiting"   // for a person or a time, holding nothing
	RunDone      RunStatus = "done"      // goal reached
	RunFailed    RunStatus = "failed"    // ended without reaching its goal
	RunRefused   RunStatus = "refused"   // a person or a policy said no
	RunCancelled RunStatus = "cancelled" // stopped by a person or by its deadline
)

// Ended reports whether nothing more can happen in a run with this status.
func (s RunStatus) Ended() bool {
	return s == RunDone || s == RunFailed || s == RunRefused || s == RunCancelled
}

// Run is one attempt at a task: the fold of the events on its stream.
type Run struct {
	ID        RunID       `json:"id"`
	Workspace WorkspaceID `json:"workspace_id"`
	Task      TaskInfo    `json:"task"`
	Execution ExecutionID `json:"execution_id"`
	Repo      RepoInfo    `json:"repo"`
	Settings  RunSettings `json:"settings"`
	ForkOf    RunID       `json:"fork_of,omitempty"`
	ForkAt    int64       `json:"fork_at,omitempty"`

	Status   RunStatus   `json:"status"`
	Phase    string      `json:"phase,omitempty"`
	Waiting  string      `json:"waiting_for,omitempty"`
	Paused   *PausedData `json:"paused,omitempty"`            // a person wants it to stand still; nil: nobody does
	Pauses   int         `json:"pauses,omitempty"`            // so far
	Messages int         `json:"messages,omitempty"`          // that people sent to it so far
	Remarks  int         `json:"remarks,omitempty"`           // comments and approvals of files so far, and what was taken back
	Approval *Approval   `json:"approval,omitempty"`          // the oldest that is pending, else the latest
	Further  []Approval  `json:"further_approvals,omitempty"` // pending besides, oldest first; see Pending
	Plan     *Plan       `json:"plan,omitempty"`
	PlanHash string      `json:"plan_hash,omitempty"`
	Checks   ChecksData  `json:"checks"`
	Review   ReviewData  `json:"review"`
	Tree     string      `json:"tree,omitempty"` // latest checkpoint
	Commit   string      `json:"commit,omitempty"`
	Branch   string      `json:"branch,omitempty"`
	Answer   string      `json:"answer,omitempty"`

	Delivered *DeliveredData `json:"delivered,omitempty"`
	Failure   *TaskErrorData `json:"failure,omitempty"`
	Reason    string         `json:"reason,omitempty"` // of a cancellation

	Calls       int   `json:"model_calls"`
	ToolCalls   int   `json:"tool_calls"`
	Denied      int   `json:"tool_calls_denied"`
	Steps       int64 `json:"steps"`
	Usage       Usage `json:"usage"`
	Cost        Money `json:"cost_usd"`
	CostUnknown bool  `json:"cost_unknown,omitempty"` // a model without a price was used

	CreatedAt time.Time `json:"created_at"`
	StartedAt time.Time `json:"started_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	UpdatedAt time.Time `json:"updated_at"`
	ErasedAt  time.Time `json:"erased_at,omitzero"` // when its words were erased; see WithoutWords
	Sequence  int64     `json:"sequence"`           // of the last event folded in
}

// Apply folds one event into the run and returns the result. It is total and
// pure: events must come in sequence order, and types it does not know change
// only Sequence and UpdatedAt.
func (r Run) Apply(e Event) (Run, error) {
	if e.Sequence != r.Sequence+1 {
		return r, Errorf(KindInternal, "sequence_gap", "run %s: event %d follows %d", e.Stream, e.Sequence, r.Sequence)
	}
	r.Sequence, r.UpdatedAt = e.Sequence, e.Time
	fold, known := runFolds[e.Type]
	if !known {
		return r, nil
	}
	return r, fold(&r, e)
}

// runFolds says what each event type does to a run. A fold replaces pointers
// and slices, never writes through them, so that earlier values stay intact.
var runFolds = map[EventType]func(*Run, Event) error{
	RunCreated: folded(func(r *Run, e Event, d RunCreatedData) {
		r.ID, r.Workspace, r.Execution = RunID(e.Stream), e.Workspace, e.Execution
		r.Task, r.Repo, r.Settings = d.Task, d.Repo, d.Settings
		r.ForkOf, r.ForkAt = d.ForkOf, d.ForkAt
		r.Status, r.CreatedAt = RunQueued, e.Time
	}),
	TaskStarted: folded(func(r *Run, e Event, _ TaskStartedData) {
		r.Status = RunRunning
		if r.StartedAt.IsZero() {
			r.StartedAt = e.Time
		}
	}),
	WorkflowWaiting: folded(func(r *Run, _ Event, d WaitingData) { r.Status, r.Waiting = RunWaiting, d.For }),
	WorkflowResumed: folded(func(r *Run, _ Event, _ ResumedData) { r.Status, r.Waiting = RunRunning, "" }),
	RunPhaseChanged: folded(func(r *Run, _ Event, d PhaseData) { r.Phase = d.Phase }),
	RunPlanUpdated: folded(func(r *Run, _ Event, d PlanUpdatedData) {
		r.Plan, r.PlanHash = &d.Plan, d.Hash
	}),
	RunPaused: folded(func(r *Run, _ Event, d PausedData) {
		r.Paused = &d
		r.Pauses++
	}),
	RunContinued:       folded(func(r *Run, _ Event, _ ContinuedData) { r.Paused = nil }),
	RunMessageSent:     folded(func(r *Run, _ Event, _ MessageSentData) { r.Messages++ }),
	RunCommentMade:     folded(func(r *Run, _ Event, _ CommentMadeData) { r.Remarks++ }),
	RunCommentClosed:   folded(func(r *Run, _ Event, _ CommentClosedData) { r.Remarks++ }),
	RunFileApproved:    folded(func(r *Run, _ Event, _ FileApprovedData) { r.Remarks++ }),
	RunCheckpointed:    folded(func(r *Run, _ Event, d CheckpointData) { r.Tree = d.Tree }),
	RunChecksCompleted: folded(func(r *Run, _ Event, d ChecksData) { r.Checks = d }),
	RunReviewCompleted: folded(func(r *Run, _ Event, d ReviewData) { r.Review = d }),
	RunAnswered:        folded(func(r *Run, _ Event, d AnsweredData) { r.Answer = d.Answer }),
	RunDelivered: folded(func(r *Run, _ Event, d DeliveredData) {
		r.Delivered, r.Branch, r.Commit = &d, d.Branch, d.Commit
	}),
	ToolCalled: folded(func(r *Run, _ Event, _ ToolCallData) { r.ToolCalls++ }),
	ToolReturned: folded(func(r *Run, _ Event, d ToolResultData) {
		if d.Status == "denied" {
			r.Denied++
		}
		if d.Tree != "" {
			r.Tree = d.Tree
		}
	}),
	LLMCallCompleted: folded(func(r *Run, _ Event, d LLMCallData) {
		r.Calls++
		r.Usage = r.Usage.Add(d.Usage)
		r.Cost += d.CostUSD
		r.CostUnknown = r.CostUnknown || !d.PriceKnown
	}),
	LLMProviderError:      folded(func(r *Run, _ Event, d ProviderErrorData) { r.Cost += d.CostUSD }),
	WorkflowStepCompleted: folded(func(r *Run, _ Event, _ StepCompletedData) { r.Steps++ }),
	ApprovalRequested:     folded(func(r *Run, _ Event, d ApprovalRequestedData) { r.requested(d) }),
	ApprovalDecided:       folded(func(r *Run, _ Event, d ApprovalDecidedData) { r.decided(d) }),
	DataErased:            folded(func(r *Run, e Event, _ DataErasedData) { r.ErasedAt = e.Time }),

	TaskCompleted: folded(func(r *Run, e Event, _ TaskCompletedData) { r.end(RunDone, e) }),
	TaskCancelled: folded(func(r *Run, e Event, d TaskCancelledData) {
		r.Reason = d.Reason
		r.end(RunCancelled, e)
	}),
	TaskFailed: folded(func(r *Run, e Event, d TaskErrorData) {
		r.Failure = &d
		switch d.Kind {
		case KindRefused:
			r.end(RunRefused, e)
		case KindStopped:
			r.end(RunCancelled, e)
		default:
			r.end(RunFailed, e)
		}
	}),
}

func (r *Run) end(s RunStatus, e Event) {
	r.Status, r.Waiting, r.Paused, r.Further, r.EndedAt = s, "", nil, nil, e.Time
}

func folded[D any](f func(*Run, Event, D)) func(*Run, Event) error {
	return func(r *Run, e Event) error {
		var d D
		if err := e.Decode(&d); err != nil {
			return err
		}
		f(r, e, d)
		return nil
	}
}

// Err returns nil for a run that reached its goal, and otherwise the error that
// says why not. It decides the exit code.
func (r Run) Err() *Error {
	switch {
	case r.Status == RunDone:
		return nil
	case r.Status == RunWaiting && r.Paused != nil:
		return Errorf(KindStopped, "paused", "the run is paused; it goes on with: mgx resume %s", r.ID)
	case r.Status == RunWaiting:
		return Errorf(KindRefused, "approval_missing", "the run waits for %s", r.Waiting)
	case r.Failure != nil:
		return &Error{Kind: r.Failure.Kind, Code: r.Failure.Code, Message: r.Failure.Message}
	case r.Status == RunCancelled:
		return Errorf(KindStopped, CodeCancelled, "cancelled: %s", r.Reason)
	}
	return Errorf(KindInternal, "not_ended", "the run is %s", r.Status)
}
