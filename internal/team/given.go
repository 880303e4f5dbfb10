package team

import (
	"slices"
	"strings"

	"mgx/internal/tool"
)

// Given is a tool as people read of it.
type Given struct {
	Name   string `json:"name"`
	Effect string `json:"effect"` // the worst that it can do: read, write, execute, network, deliver, control
	Does   string `json:"does"`   // the first sentence of what models are told
}

// Gives says which tools a role has, and which of the built-in ones it has not.
func (r Role) Gives() (given, kept []Given) {
	specs := tool.ControlSpecs()
	for _, t := range tool.Builtins() {
		specs = append(specs, t.Spec())
	}
	for _, s := range specs {
		one := Given{Name: s.Name, Effect: string(s.Effect), Does: firstSentence(s.Description)}
		if slices.Contains(r.Tools, s.Name) {
			given = append(given, one)
		} else {
			kept = append(kept, one)
		}
	}
	return given, kept
}

func firstSentence(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if sentence, _, more := strings.Cut(text, ". "); more {
		return sentence + "."
	}
	return text
}
