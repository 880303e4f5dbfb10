package agent

import (
	"fmt"
	"slices"
	"strings"

	"mgx"
	"mgx/internal/llm"
)

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
	req.Messages = append(llm.Repair(c.flatten(c.history[:end])), llm.Message{Role: llm.User, Parts: []llm.Part{{Text: summaryRequest, Label: &mgx.Label{}}}})
	req.Messages = llm.Repair(req.Messages)
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
		llm.Part{Label: new(c.label), Text: "Earlier work in this conversation, summed up. What is marked DONE or DECIDED stays so; go on with the next step.\n\n" + summary})}
	c.history = append([]llm.Message{head}, c.history[end:]...)
	return nil
}

const summaryRequest = `Sum up the work so far for a colleague who will go on with it and sees only your summary and the task. Use these headings and be exact:
GOAL. DECIDED (choices made, with reasons). DONE (files changed and how). PENDING. FILES that matter (path: why). CHECKS (last commands, their results, failing tests by name). NEXT (the exact next step).`

// flatten turns calls and results into text, so that a history can be sent
// without tools.
func (c *Conversation) flatten(history []llm.Message) []llm.Message {
	out := make([]llm.Message, 0, len(history))
	for _, m := range history {
		flat := llm.Message{Role: m.Role}
		if m.Role == llm.Tool {
			flat.Role = llm.User
		}
		for _, p := range m.Parts {
			switch {
			case p.Text != "":
				flat.Parts = append(flat.Parts, llm.Part{Label: p.Label, Text: p.Text})
			case p.Call != nil:
				flat.Parts = append(flat.Parts, llm.Part{Label: p.Label, Text: fmt.Sprintf("[called %s %s]", p.Call.Name, clip(p.Call.Args, 2000))})
			case p.Result != nil:
				flat.Parts = append(flat.Parts, llm.Part{Label: p.Label, Text: fmt.Sprintf("[%s returned]\n%s", p.Result.Name, c.spec.Marks.Mark(clip(p.Result.Text, 2000)))})
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
