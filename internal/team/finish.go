package team

import (
	"encoding/json"
	"fmt"
	"strings"

	"mgx"
	"mgx/internal/agent"
	"mgx/internal/tool"
)

// What each role's finish call returns. The schemas are the contract with the
// model; the Go types read what passed them.

type triaged struct {
	Kind  string       `json:"kind"`
	Type  mgx.TaskType `json:"type"`
	Size  string       `json:"size"`
	Title string       `json:"title"`
}

var triageFinish = tool.FinishSpec(json.RawMessage(`{
  "type": "object", "additionalProperties": false, "required": ["kind", "type", "size", "title"],
  "properties": {
    "kind": {"type": "string", "enum": ["question", "change"], "description": "question: nothing will be edited"},
    "type": {"type": "string", "enum": ["question", "bug_fix", "code_generation", "refactoring", "testing", "documentation"]},
    "size": {"type": "string", "enum": ["XS", "S", "M", "L", "XL"]},
    "title": {"type": "string", "minLength": 1, "maxLength": 120, "description": "what the change does, imperative, at most 60 characters"}
  }}`), "Return how the task is sorted.")

var planFinish = tool.FinishSpec(json.RawMessage(`{
  "type": "object", "additionalProperties": false, "required": ["goal", "steps", "files", "risks", "verify"],
  "properties": {
    "goal": {"type": "string", "minLength": 1, "maxLength": 600},
    "steps": {"type": "array", "minItems": 1, "maxItems": 12, "items": {"type": "string", "minLength": 1, "maxLength": 600}},
    "files": {"type": "array", "maxItems": 60, "items": {"type": "string"}, "description": "paths that will change"},
    "risks": {"type": "array", "maxItems": 12, "items": {"type": "string"}},
    "verify": {"type": "array", "maxItems": 12, "items": {"type": "string"}, "description": "commands or observations that show the goal is reached"}
  }}`), "Return the plan.")

type planned struct {
	Goal   string   `json:"goal"`
	Steps  []string `json:"steps"`
	Files  []string `json:"files"`
	Risks  []string `json:"risks"`
	Verify []string `json:"verify"`
}

func (p planned) plan() mgx.Plan {
	plan := mgx.Plan{Goal: p.Goal, Files: p.Files, Risks: p.Risks, Verify: p.Verify}
	for _, s := range p.Steps {
		plan.Steps = append(plan.Steps, mgx.PlanStep{Text: s, Status: "todo"})
	}
	return plan
}

type implemented struct {
	Status  string `json:"status"`
	Subject string `json:"subject"`
	Body    string `json:"body"`
	Summary string `json:"summary"`
}

var implementFinish = tool.FinishSpec(json.RawMessage(`{
  "type": "object", "additionalProperties": false, "required": ["status", "subject", "body", "summary"],
  "properties": {
    "status": {"type": "string", "enum": ["done", "nothing_to_do", "impossible"], "description": "done: the task is complete and you ran the checks; nothing_to_do: what is asked for is already so; impossible: it cannot be done, summary says why"},
    "subject": {"type": "string", "maxLength": 100, "description": "commit subject, imperative, under 72 characters; empty when nothing changed"},
    "body": {"type": "string", "maxLength": 4000, "description": "commit body: why"},
    "summary": {"type": "string", "minLength": 1, "maxLength": 4000, "description": "for the person who gave the task: what was done, what was assumed, how it was checked"}
  }}`), "End the work. Only after the checks ran and you read the diff.")

// acceptImplementation sends an implementer back who claims more than is there.
func acceptImplementation(args json.RawMessage, plan *mgx.Plan) string {
	var f implemented
	if err := json.Unmarshal(args, &f); err != nil {
		return err.Error()
	}
	if f.Status != "done" {
		return ""
	}
	if strings.TrimSpace(f.Subject) == "" {
		return "a finished change needs a commit subject."
	}
	if open := agent.OpenSteps(plan); len(open) > 0 {
		return fmt.Sprintf("these steps of the plan are still open: %s. Do them, or mark them done or dropped with update_plan.", strings.Join(open, "; "))
	}
	return ""
}

var reviewFinish = tool.FinishSpec(json.RawMessage(`{
  "type": "object", "additionalProperties": false, "required": ["verdict", "summary", "findings"],
  "properties": {
    "verdict": {"type": "string", "enum": ["approve", "revise"]},
    "summary": {"type": "string", "minLength": 1, "maxLength": 2000},
    "findings": {"type": "array", "maxItems": 20, "items": {
      "type": "object", "additionalProperties": false, "required": ["title", "body", "priority", "file", "line"],
      "properties": {
        "title": {"type": "string", "minLength": 1, "maxLength": 200},
        "body": {"type": "string", "maxLength": 3000, "description": "what is wrong, for which input, and the evidence"},
        "priority": {"type": "string", "enum": ["P0", "P1", "P2", "P3"]},
        "file": {"type": "string"}, "line": {"type": "integer", "minimum": 0}
      }}}
  }}`), "Return the verdict.")

type reviewed struct {
	Verdict  string        `json:"verdict"`
	Summary  string        `json:"summary"`
	Findings []mgx.Finding `json:"findings"`
}

// blocking are the findings that hold a change back.
func (r reviewed) blocking() []mgx.Finding {
	var out []mgx.Finding
	for _, f := range r.Findings {
		if f.Priority == "P0" || f.Priority == "P1" {
			out = append(out, f)
		}
	}
	return out
}

var answerFinish = tool.FinishSpec(json.RawMessage(`{
  "type": "object", "additionalProperties": false, "required": ["answer"],
  "properties": {"answer": {"type": "string", "minLength": 1, "maxLength": 20000, "description": "the answer, with places as path:line"}}
  }`), "Return the answer.")
