package mgx

import (
	"strings"
	"time"
)

// EventSearch selects events of a workspace, the newest first. Every field that is
// set narrows the answer.
type EventSearch struct {
	Workspace WorkspaceID
	Types     []string // any of these; * stands for any text: "task.*"
	Of        string   // id of a run, task, project or execution whose events they are, or of a stream
	User      UserID   // events of runs that they asked for, and those that name them
	Text      string   // that the data holds, upper and lower case alike
	Since     time.Time
	Until     time.Time
	NoAudit   bool  // not the entries of the audit log
	Before    int64 // only events before this position; 0: from the end of the log
	Limit     int   // most events; 0: as many as the store lists at once
}

// Column names what the events of a search have in common with Of.
func (q EventSearch) Column() string {
	kind, _, _ := strings.Cut(q.Of, "_")
	switch kind {
	case "run", "task":
		return kind
	case "proj":
		return "project"
	case "exec":
		return "execution"
	}
	return "stream"
}
