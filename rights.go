package mgx

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
}
