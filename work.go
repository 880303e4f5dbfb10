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
