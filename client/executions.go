package client

import (
	"context"
	"iter"
	"net/url"
	"time"

	"mgx"
)

// Execution is the engine's instance of a workflow.
type Execution struct {
	ID         mgx.ExecutionID     `json:"id"`
	Workflow   string              `json:"workflow"`
	Status     mgx.ExecutionStatus `json:"status"`
	Run        mgx.RunID           `json:"run_id,omitempty"`
	Task       mgx.TaskID          `json:"task_id,omitempty"`
	Project    mgx.ProjectID       `json:"project_id,omitempty"`
	User       mgx.UserID          `json:"user_id,omitempty"`
	Parent     mgx.ExecutionID     `json:"parent_id,omitempty"`
	ParentStep string              `json:"parent_step,omitempty"`
	AtWork     bool                `json:"at_work"` // somebody works on it now
	Awaits     []string            `json:"awaits,omitempty"`
	WakeAt     time.Time           `json:"wake_at,omitzero"`
	Deadline   time.Time           `json:"deadline,omitzero"`
	CancelWhy  string              `json:"cancel_reason,omitempty"`
	Failure    *mgx.Error          `json:"failure,omitempty"`
	Term       int64               `json:"term"` // how often it was taken up
	CreatedAt  time.Time           `json:"created_at"`
	UpdatedAt  time.Time           `json:"updated_at"` // by the server's clock, as WakeAt
}

// Step is one step of an execution.
type Step struct {
	Execution mgx.ExecutionID `json:"execution_id"`
	Name      string          `json:"name"`
	Parent    string          `json:"parent,omitempty"` // what it is a part of
	Kind      mgx.StepKind    `json:"kind"`
	State     string          `json:"state"` // running, done, failed
	Order     int64           `json:"order,omitempty"`
	Sequence  int64           `json:"sequence,omitempty"` // of the run's stream when it was recorded: where a fork takes it over
	Attempts  int             `json:"attempts"`
	Error     string          `json:"error,omitempty"`
	StartedAt time.Time       `json:"started_at,omitzero"`
	EndedAt   time.Time       `json:"ended_at,omitzero"`
}

// ExecutionSteps is an execution with its steps, in order, and the executions that
// it began. What runs now comes last.
type ExecutionSteps struct {
	Execution
	Steps     []Step      `json:"steps"`
	Children  []Execution `json:"children"`
	Truncated bool        `json:"truncated,omitempty"` // there are more steps
}

// Executions lists executions of the workspace that f selects by run and status, the
// newest first.
func (r Runs) Executions(ctx context.Context, f mgx.ExecutionFilter) iter.Seq2[Execution, error] {
	q := url.Values{"limit": {"200"}}
	if f.Run != "" {
		q.Set("run_id", string(f.Run))
	}
	for _, s := range f.Statuses {
		q.Add("status", string(s))
	}
	return each[Execution](ctx, r.c, "/api/v1/executions", "executions", q)
}

// Execution returns an execution with its steps.
func (r Runs) Execution(ctx context.Context, id mgx.ExecutionID) (x ExecutionSteps, err error) {
	return x, r.c.get(ctx, "/api/v1/executions/"+url.PathEscape(string(id)), nil, &x)
}

// Due reports whether an execution that waits has what it waits for, so that a worker
// is about to go on with it.
func (r Runs) Due(ctx context.Context, id mgx.ExecutionID) (bool, error) {
	x, err := r.Execution(ctx, id)
	woken := !x.WakeAt.IsZero() && (!x.WakeAt.After(x.UpdatedAt) || !x.WakeAt.After(time.Now()))
	return x.Status != mgx.ExecWaiting || x.AtWork || woken, err
}
