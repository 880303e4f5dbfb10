package llm

import (
	"slices"

	"mgx"
)

// Repair returns a history that any provider accepts: every call is answered in
// the message that follows it, exactly once and in order; results without a call
// and empty messages are gone; two messages of the user in a row are one. What
// is already so comes back unchanged, in the same order.
func Repair(in []Message) []Message {
	var out []Message
	for i := 0; i < len(in); i++ {
		m := in[i]
		switch m.Role {
		case User:
			if n := len(out); n > 0 && out[n-1].Role == User {
				out[n-1].Parts = append(slices.Clone(out[n-1].Parts), m.Parts...)
			} else if len(m.Parts) > 0 {
				out = append(out, m)
			}
		case Assistant:
			calls := m.calls()
			if len(calls) == 0 && !m.hasText() {
				continue
			}
			out = append(out, m)
			if len(calls) == 0 {
				continue
			}
			var results Message
			if i+1 < len(in) && in[i+1].Role == Tool {
				i++
				results = in[i]
			}
			out = append(out, answerCalls(calls, results))
		case Tool: // results whose call is gone
		}
	}
	return out
}

func (m Message) calls() []ToolCall {
	var calls []ToolCall
	for _, p := range m.Parts {
		if p.Call != nil {
			calls = append(calls, *p.Call)
		}
	}
	return calls
}

func (m Message) hasText() bool {
	return slices.ContainsFunc(m.Parts, func(p Part) bool { return p.Text != "" })
}

// answerCalls pairs calls with their results, inventing what is missing.
func answerCalls(calls []ToolCall, have Message) Message {
	m := Message{Role: Tool}
	for _, call := range calls {
		r := Part{Label: &mgx.Label{}, Result: &ToolResult{
			CallID: call.ID, Name: call.Name, IsError: true,
			Text: "The call was interrupted and its result is unknown. Look before you repeat it.",
		}}
		for _, p := range have.Parts {
			if p.Result != nil && p.Result.CallID == call.ID {
				r = p
				break
			}
		}
		m.Parts = append(m.Parts, r)
	}
	return m
}
