package tool

import (
	"encoding/json"

	"mgx"
)

// Names of the tools that speak to the agent's loop only. They have specs here
// and no Call: the loop answers them.
const (
	NoteName       = "note"
	UpdatePlanName = "update_plan"
	AskName        = "ask"
	FinishName     = "finish"
)

// ControlSpecs are the loop's own tools, without finish, whose schema is the
// role's.
func ControlSpecs() []Spec {
	return []Spec{
		describe(NoteName, Control),
		describe(UpdatePlanName, Control),
		describe(AskName, Control),
	}
}

// FinishSpec is the tool by which an agent of some role ends its work: the
// schema says what it has to hand over.
func FinishSpec(schema json.RawMessage, description string) Spec {
	return Spec{Name: FinishName, Description: description, Schema: schema, Effect: Control}
}

// NoteArgs are the arguments of note.
type NoteArgs struct {
	Text string `json:"text"`
}

// UpdatePlanArgs are the arguments of update_plan: all steps, in order.
type UpdatePlanArgs struct {
	Steps []mgx.PlanStep `json:"steps"`
	Why   string         `json:"why,omitempty"` // what changed, if steps were added or dropped
}

// AskArgs are the arguments of ask.
type AskArgs struct {
	Questions []Question `json:"questions"`
}

// Question is one thing that only a person can decide.
type Question struct {
	Text    string   `json:"text"`
	Choices []string `json:"choices,omitempty"` // the first is what the agent would take
}
