package mgx

import "time"

// What lists of work hold.

// Task is what a person wants, as it was asked for.
type Task struct {
	TaskInfo
	Workspace WorkspaceID `json:"workspace_id"`
	CreatedAt time.Time   `json:"created_at"`
}

// RunInfo is a run, and what its execution knows of it.
type RunInfo struct {
	Run
	Project ProjectID `json:"project_id,omitempty"`
	User    UserID    `json:"user_id,omitempty"` // who asked for it
	AskedAt time.Time `json:"asked_at,omitzero"` // since when it waits for a person
}

// Brief is the run without what is long, as it is in lists.
func (r RunInfo) Brief() RunInfo {
	r.Task.Description, r.Plan, r.Answer = "", nil, ""
	r.Checks.Checks, r.Review = nil, ReviewData{Round: r.Review.Round, Verdict: r.Review.Verdict}
	r.Settings.Policy, r.Settings.MCP, r.Settings.AllowHosts = nil, nil, nil
	if r.Delivered != nil {
		d := *r.Delivered
		d.Stat = nil
		r.Delivered = &d
	}
	return r.Whole()
}

// Whole is the run without a list that is null in JSON.
func (r RunInfo) Whole() RunInfo {
	r.Checks.Checks, r.Review.Findings = append([]CheckResult{}, r.Checks.Checks...), append([]Finding{}, r.Review.Findings...)
	if r.Plan != nil {
		p := *r.Plan
		p.Steps = append([]PlanStep{}, p.Steps...)
		r.Plan = &p
	}
	return r
}

// RunFilter selects runs of a workspace. What is set narrows the choice.
type RunFilter struct {
	Workspace WorkspaceID
	Statuses  []RunStatus // any of these; none: all
	Project   ProjectID
	Task      TaskID
	User      UserID
	Text      string // words of the task, as they stand in it; of English, in either case
}

// ExecutionFilter selects executions of a workspace. What is set narrows the choice.
type ExecutionFilter struct {
	Workspace WorkspaceID
	Run       RunID
	Parent    ExecutionID
	Statuses  []ExecutionStatus // any of these; none: all
}

// DueRun is a run that can go on.
type DueRun struct {
	Workspace WorkspaceID
	Run       RunID
	Since     time.Time
}
