// Package llmtest is a model that follows a script, and a server that puts any
// model behind the real wire dialects with faults of choice.
//
// Both ship in the binary: the demo runs the main job on the scripted model, and
// tests run the real wire layer against the server. So nothing here imports
// testing; the conformance suite for providers is in the package suite below.
package llmtest

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"mgx"
	"mgx/internal/llm"
)

// Script is what a scripted model says.
type Script struct {
	Models []string `json:"models"` // names it serves; default "script"
	// Roles holds the turns of each conversation, by its name or else by the role
	// of the agent.
	Roles map[string][]Turn `json:"roles"`
	// Match finds the role of a request that names neither, as over the wire: by
	// a text that its system prompt contains.
	Match map[string]string `json:"match,omitempty"`
}

// Turn is one answer.
type Turn struct {
	Text     string     `json:"text,omitempty"`
	Thinking string     `json:"thinking,omitempty"` // shown, not kept
	Calls    []Call     `json:"calls,omitempty"`
	Finish   llm.Finish `json:"finish,omitempty"` // default: tools when there are calls, else stop
	Usage    *mgx.Usage `json:"usage,omitempty"`  // default: a token for every four bytes
	// Expect must be contained in the message that the turn answers; otherwise
	// the call fails and shows both.
	Expect  string `json:"expect,omitempty"`
	DelayMS int    `json:"delay_ms,omitempty"` // before the answer
	// Error fails the call with this fault: the first ErrorTimes times that this
	// process asks for the turn, or always when that is 0.
	Error      llm.Fault `json:"error,omitempty"`
	ErrorTimes int       `json:"error_times,omitempty"`
}

// Call is a tool call of a turn.
type Call struct {
	Name string          `json:"name"`
	Args json.RawMessage `json:"args"` // an object; a JSON string is sent as the text it holds, valid or not
}

func (c Call) text() string {
	var text string
	switch {
	case len(c.Args) == 0:
		return "{}"
	case json.Unmarshal(c.Args, &text) == nil:
		return text
	}
	return string(c.Args)
}

func (t Turn) delay() time.Duration { return time.Duration(t.DelayMS) * time.Millisecond }

func (t Turn) finish() llm.Finish {
	switch {
	case t.Finish != "":
		return t.Finish
	case len(t.Calls) > 0:
		return llm.FinishTools
	}
	return llm.FinishStop
}

// ParseScript reads a script from JSON and refuses fields it does not know.
func ParseScript(data []byte) (Script, error) {
	var s Script
	if err := strictJSON(data, &s); err != nil {
		return Script{}, mgx.Errorf(mgx.KindUsage, "bad_script", "the script of the model does not decode: %w", err)
	}
	if len(s.Roles) == 0 {
		return Script{}, mgx.Errorf(mgx.KindUsage, "bad_script", "the script of the model has no roles")
	}
	return s, nil
}

// LoadScript reads a script from a file.
func LoadScript(path string) (Script, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Script{}, mgx.Errorf(mgx.KindUsage, "bad_script", "the script of the model cannot be read: %w", err)
	}
	s, err := ParseScript(data)
	if err != nil {
		return Script{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}
