package agent

import (
	"fmt"
	"slices"
	"strings"

	"mgx/internal/llm"
)

// Repair returns a history that any provider accepts: every call is answered in
// the message that follows it, exactly once and in order; results without a call
// and empty messages are gone; two messages of the user in a row are one. What
// is already so comes back unchanged, in the same order.
func Repair(in []llm.Message) []llm.Message {
	var out []llm.Message
	for i := 0; i < len(in); i++ {
		m := in[i]
		switch m.Role {
		case llm.User:
			if n := len(out); n > 0 && out[n-1].Role == llm.User {
				out[n-1].Parts = append(slices.Clone(out[n-1].Parts), m.Parts...)
			} else if len(m.Parts) > 0 {
				out = append(out, m)
			}
		case llm.Assistant:
			if len(m.Parts) == 0 || textOf(m) == "" && len(callsOf(m)) == 0 {
				continue
			}
			out = append(out, m)
			calls := callsOf(m)
			if len(calls) == 0 {
				continue
			}
			var results llm.Message
			if i+1 < len(in) && in[i+1].Role == llm.Tool {
				i++
				results = in[i]
			}
			out = append(out, answers(calls, results))
		case llm.Tool: // results whose call is gone
		}
	}
	return out
}

// answers pairs calls with their results, inventing what is missing.
func answers(calls []llm.ToolCall, have llm.Message) llm.Message {
	m := llm.Message{Role: llm.Tool}
	for _, call := range calls {
		r := &llm.ToolResult{
			CallID: call.ID, Name: call.Name, IsError: true,
			Text: "The call was interrupted and its result is unknown. Look before you repeat it.",
		}
		for _, p := range have.Parts {
			if p.Result != nil && p.Result.CallID == call.ID {
				r = p.Result
				break
			}
		}
		m.Parts = append(m.Parts, llm.Part{Result: r})
	}
	return m
}

// estimate is a rough count of the tokens of a history: four bytes each.
func estimate(history []llm.Message) int {
	n := 0
	for _, m := range history {
		for _, p := range m.Parts {
			n += len(p.Text)
			if p.Call != nil {
				n += len(p.Call.Name) + len(p.Call.Args)
			}
			if p.Result != nil {
				n += len(p.Result.Text)
			}
			if p.Opaque != nil {
				n += len(p.Opaque.Raw)
			}
		}
	}
	return n / 4
}

// What compaction keeps as it is, counted in messages from the end.
const keepRecent = 12

const maskedPrefix = "[elided to save room: "

// shrink brings the history below a number of tokens, if it is above: first by
// eliding old tool results, in one batch so that the provider's prompt cache is
// broken once, then, if that is not enough, by having the model sum up the
// middle. The opening message and the latest messages stay word for word.
func (c *Conversation) shrink(limit int) error {
	if c.size() <= limit || len(c.history) <= keepRecent+2 {
		return nil
	}
	end := boundary(c.history)
	c.history = mask(c.history, end)
	c.prompt = 0 // what the provider reported no longer applies
	if estimate(c.history) <= limit {
		return nil
	}
	return c.summarise(end)
}

// size is the best knowledge of the prompt's tokens: what the provider reported
// for the last turn, or the estimate where that is higher.
func (c *Conversation) size() int { return max(int(c.prompt), estimate(c.history)) }

// boundary is the index before which history may be compacted: it never lies
// between a call and its result.
func boundary(history []llm.Message) int {
	end := max(1, len(history)-keepRecent)
	for end > 1 && history[end].Role == llm.Tool {
		end--
	}
	return end
}

// mask elides long tool results, and drops the thinking that belongs to them:
// some providers bind it to every word before it.
func mask(history []llm.Message, end int) []llm.Message {
	out := slices.Clone(history)
	for i := 1; i < end; i++ {
		out[i].Parts = slices.DeleteFunc(slices.Clone(out[i].Parts), func(p llm.Part) bool { return p.Opaque != nil })
		if out[i].Role != llm.Tool {
			continue
		}
		parts := slices.Clone(out[i].Parts)
		for j, p := range parts {
			if p.Result == nil || len(p.Result.Text) < 400 || strings.HasPrefix(p.Result.Text, maskedPrefix) {
				continue
			}
			r := *p.Result
			r.Text = fmt.Sprintf("%s%d lines, beginning %q. Call again if you need it.]",
				maskedPrefix, strings.Count(r.Text, "\n")+1, clip(firstLine(r.Text), 120))
			parts[j].Result = &r
		}
		out[i].Parts = parts
	}
	return out
}

// summarise replaces the messages between the opening and the boundary by a
// summary that the model writes.
func (c *Conversation) summarise(end int) error {
	if end <= 1 {
		return nil
	}
	c.compact++
	req := c.request()
	req.Tools, req.ToolChoice = nil, "none"
	req.Messages = append(Repair(flatten(c.history[:end])), llm.Message{Role: llm.User, Parts: []llm.Part{{Text: summaryRequest}}})
	req.Messages = Repair(req.Messages)
	resp, err := c.host.Turn(c.step(fmt.Sprintf("summary-%d", c.compact)), req)
	if err != nil {
		return err
	}
	summary := textOf(resp.Message)
	if summary == "" {
		summary = "(The model gave no summary. Look at the files and at git diff to see what was done.)"
	}
	if len(c.notes) > 0 {
		summary += "\n\nYour notes:\n- " + strings.Join(c.notes, "\n- ")
	}
	if c.plan != nil {
		summary += "\n\nThe plan as it stands:\n" + PlanText(*c.plan)
	}
	head := llm.Message{Role: llm.User, Parts: append(slices.Clone(c.history[0].Parts[:1]),
		llm.Part{Text: "Earlier work in this conversation, summed up. What is marked DONE or DECIDED stays so; go on with the next step.\n\n" + summary})}
	c.history = append([]llm.Message{head}, c.history[end:]...)
	return nil
}

const summaryRequest = `Sum up the work so far for a colleague who will go on with it and sees only your summary and the task. Use these headings and be exact:
GOAL. DECIDED (choices made, with reasons). DONE (files changed and how). PENDING. FILES that matter (path: why). CHECKS (last commands, their results, failing tests by name). NEXT (the exact next step).`

// flatten turns calls and results into text, so that a history can be sent
// without tools.
func flatten(history []llm.Message) []llm.Message {
	out := make([]llm.Message, 0, len(history))
	for _, m := range history {
		flat := llm.Message{Role: m.Role}
		if m.Role == llm.Tool {
			flat.Role = llm.User
		}
		for _, p := range m.Parts {
			switch {
			case p.Text != "":
				flat.Parts = append(flat.Parts, llm.Part{Text: p.Text})
			case p.Call != nil:
				flat.Parts = append(flat.Parts, llm.Part{Text: fmt.Sprintf("[called %s %s]", p.Call.Name, clip(p.Call.Args, 2000))})
			case p.Result != nil:
				flat.Parts = append(flat.Parts, llm.Part{Text: fmt.Sprintf("[%s returned]\n%s", p.Result.Name, clip(p.Result.Text, 2000))})
			}
		}
		out = append(out, flat)
	}
	return out
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
