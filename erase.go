package mgx

import (
	"bytes"
	"encoding/json"
)

// Tombstone is the data of an event, and of whatever else, that was erased. The
// envelope stays, so that sequences and positions do.
var Tombstone = json.RawMessage(`{"erased":true}`)

// Erased reports whether the event's data was erased: then it says nothing, and
// is valid against no contract but this.
func (e Event) Erased() bool { return bytes.Equal(e.Data, Tombstone) }

// DataErasedData says that everything in words on a run or a task was erased.
type DataErasedData struct {
	Subject string `json:"subject"` // id of a run or a task
	By      string `json:"by"`      // an id
	Events  int64  `json:"events"`  // whose data was erased
}

// WithoutWords is the run with only what says nothing about its subject: ids,
// status, counts, money and times. It is what remains of a run that is erased.
func (r Run) WithoutWords() Run {
	bare := Run{
		ID: r.ID, Workspace: r.Workspace, Execution: r.Execution, ForkOf: r.ForkOf, ForkAt: r.ForkAt,
		Task: TaskInfo{ID: r.Task.ID, Title: "erased", Type: r.Task.Type, Priority: r.Task.Priority},
		Settings: RunSettings{
			Model: r.Settings.Model, Approve: r.Settings.Approve, Plan: r.Settings.Plan, Budget: r.Settings.Budget, MaxTurns: r.Settings.MaxTurns,
			MaxTokens: r.Settings.MaxTokens, Timeout: r.Settings.Timeout, Sandbox: r.Settings.Sandbox, IncludeDirty: r.Settings.IncludeDirty, Price: r.Settings.Price,
		},
		Status: r.Status, Phase: r.Phase,
		Pauses: r.Pauses, Messages: r.Messages, Remarks: r.Remarks, Calls: r.Calls, ToolCalls: r.ToolCalls, Denied: r.Denied, Steps: r.Steps, Usage: r.Usage, Cost: r.Cost, CostUnknown: r.CostUnknown,
		CreatedAt: r.CreatedAt, StartedAt: r.StartedAt, EndedAt: r.EndedAt, UpdatedAt: r.UpdatedAt, ErasedAt: r.ErasedAt, Sequence: r.Sequence,
	}
	if f := r.Failure; f != nil {
		bare.Failure = &TaskErrorData{ErrorType: f.ErrorType, Kind: f.Kind, Code: f.Code, Message: "what happened was erased", Fatal: f.Fatal, RetryCount: f.RetryCount, MaxRetries: f.MaxRetries}
	}
	return bare
}

// NotErased returns an error that says so when the run was erased: there is
// nothing left of it to replay, fork or show.
func (r Run) NotErased() error {
	if r.ErasedAt.IsZero() {
		return nil
	}
	return Errorf(KindUsage, CodeErased, "run %s was erased on %s; only its ids, counts and times are left", r.ID, r.ErasedAt.Format("2006-01-02"))
}

// CodeErased is of errors about what was erased.
const CodeErased = "erased"
