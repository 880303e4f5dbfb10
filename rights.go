package mgx

import "time"

// PersonErasure is what would go of a person, or has gone, and what stays.
type PersonErasure struct {
	User        UserID        `json:"user_id"`
	Workspaces  []WorkspaceID `json:"workspace_ids"` // whose member they are
	Sessions    int64         `json:"sessions"`
	Keys        int64         `json:"keys"`
	Identities  int64         `json:"identities"` // by which issuers know them
	Invitations int64         `json:"invitations"`
	Entries     int64         `json:"audit_entries"`   // that lose their details
	Events      int64         `json:"security_events"` // that lose their data
	Tasks       []TaskID      `json:"task_ids"`        // that they wrote
	Mentions    []TaskID      `json:"mentioned_in"`    // tasks of others whose words hold their address
	TasksToo    bool          `json:"tasks_erased"`    // both of these lose their words
	Runs        []RunID       `json:"-"`               // of those that did: their files are to be removed
}

// WorkspaceErasure is what would go of a workspace, or has gone.
type WorkspaceErasure struct {
	Workspace WorkspaceID `json:"workspace_id"`
	Name      string      `json:"name"`
	Tasks     int64       `json:"tasks"`
	Runs      []RunID     `json:"run_ids"`
	Running   []RunID     `json:"running"` // that must end first
	Entries   int64       `json:"audit_entries"`
	Members   int64       `json:"members"` // whose accounts stay
	Keys      int64       `json:"keys"`
	Secrets   int64       `json:"secrets"`
	Webhooks  int64       `json:"webhooks"`
	Projects  int64       `json:"projects"`
	ErasedAt  time.Time   `json:"erased_at,omitzero"` // when it was erased before
}

// RetainedEvents is what removing old events did, or would do.
type RetainedEvents struct {
	Removed  int64 `json:"removed"`
	Emptied  int64 `json:"emptied"`  // that are the last of their stream: they stay, without their data
	Earliest int64 `json:"earliest"` // position from which on nothing was ever removed
}

// Work names a task with all its runs, or one run.
type Work struct {
	Task TaskID
	Run  RunID // if set, this run alone
}

// ID is that of what is named.
func (w Work) ID() string {
	if w.Run != "" {
		return string(w.Run)
	}
	return string(w.Task)
}

// WorkErasure is what would go of a task or a run, or has gone, and what stays.
type WorkErasure struct {
	Task      TaskID            `json:"task_id,omitempty"` // empty: other runs of the task stay, and so does it
	Runs      []RunID           `json:"run_ids"`
	Events    int64             `json:"events"`    // that lost their data
	Delivered []DeliveredBranch `json:"delivered"` // which nothing erases
	Forks     []RunID           `json:"fork_ids"`  // that took over a part of these runs and stay
}

// DeliveredBranch is where a run delivered.
type DeliveredBranch struct {
	Run    RunID  `json:"run_id"`
	Repo   string `json:"repository"`
	Branch string `json:"branch"`
}
