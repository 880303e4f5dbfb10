package llmtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"mgx"
	"mgx/internal/llm"
)

// responsesWire is OpenAI Responses. It remembers the item under way and those
// that are done.
type responsesWire struct {
	behaviour
	open   string // type of the item under way; empty: none
	said   strings.Builder
	output []any // items that are done
	number int
}

func (w *responsesWire) request(_ *http.Request, body []byte) (*llm.Request, bool, error) {
	type item struct {
		Type, Role, Name, Arguments, Output string
		CallID                              string `json:"call_id"`
		Content                             json.RawMessage
	}
	var in struct {
		Model, Instructions string
		Input               items
		Tools               []struct {
			Name, Description string
			Parameters        json.RawMessage
		}
		ToolChoice      string `json:"tool_choice"`
		MaxOutputTokens int    `json:"max_output_tokens"`
		Temperature     *float64
		Stream          bool
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, false, err
	}
	req := &llm.Request{
		Model: in.Model, System: in.Instructions, MaxTokens: in.MaxOutputTokens, ToolChoice: in.ToolChoice, Temperature: in.Temperature,
	}
	for _, t := range in.Tools {
		req.Tools = append(req.Tools, llm.ToolSpec{Name: t.Name, Description: t.Description, Schema: t.Parameters})
	}
	for _, raw := range in.Input {
		var it item
		if err := json.Unmarshal(raw, &it); err != nil {
			return nil, false, err
		}
		if it.Role == "system" || it.Role == "developer" {
			req.System += contentText(it.Content)
			continue
		}
		switch it.Type {
		case "", "message":
			addPart(req, llm.Role(it.Role), llm.Part{Text: contentText(it.Content)})
		case "function_call":
			addPart(req, llm.Assistant, llm.Part{Call: &llm.ToolCall{ID: it.CallID, Name: it.Name, Args: it.Arguments}})
		case "function_call_output":
			addPart(req, llm.Tool, llm.Part{Result: &llm.ToolResult{CallID: it.CallID, Text: it.Output}})
		default:
			addPart(req, llm.Assistant, llm.Part{Opaque: &llm.Opaque{Dialect: "responses", Raw: raw}})
		}
	}
	return req, in.Stream, nil
}

// contentText is a text, or the texts of a list of parts.
// items are what a model is asked with. A text alone stands for a user's message.
type items []json.RawMessage

func (all *items) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		*all = items{fmt.Appendf(nil, `{"role":"user","content":%s}`, b)}
		return nil
	}
	return json.Unmarshal(b, (*[]json.RawMessage)(all))
}

func contentText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var parts []struct{ Text string }
	json.Unmarshal(raw, &parts)
	for _, p := range parts {
		text += p.Text
	}
	return text
}

func (w *responsesWire) models(list []llm.ModelInfo) any { return modelList(list) }

func (w *responsesWire) failure(status int, kind, message string) any {
	return (&chatWire{}).failure(status, kind, message)
}

func (w *responsesWire) streamFailure(kind, message string) frame {
	return event(otherFrame, "error", object("type", "error", "code", kind, "message", message, "param", nil))
}

func (w *responsesWire) ping() string { return "" }

func (w *responsesWire) event(kind frameKind, name string, fields ...any) frame {
	v := object(fields...)
	v["type"], v["sequence_number"] = name, w.number
	w.number++
	return event(kind, name, v)
}

func (w *responsesWire) whole(model, status string, usage any) map[string]any {
	output := w.output
	if output == nil {
		output = []any{}
	}
	return object("id", "resp_1", "object", "response", "created_at", 1, "model", model, "status", status,
		"output", output, "usage", usage, "error", nil, "incomplete_details", nil)
}

func (w *responsesWire) start(model string) []frame {
	var usage any
	if w.how == UsageTwice {
		usage = responsesUsage(mgx.Usage{Prompt: 1, Completion: 1})
	}
	return []frame{
		w.event(otherFrame, "response.created", "response", w.whole(model, "in_progress", usage)),
		w.event(otherFrame, "response.in_progress", "response", w.whole(model, "in_progress", usage)),
	}
}

func (w *responsesWire) delta(c llm.Chunk, _ string) []frame {
	switch {
	case c.Thinking != "":
		return append(w.enter("reasoning"), w.piece("response.reasoning_summary_text.delta", c.Thinking, "summary_index", 0))
	case c.Text != "" && w.how == Refused:
		return append(w.enter("message"), w.piece("response.refusal.delta", c.Text, "content_index", 0))
	case c.Text != "":
		return append(w.enter("message"), w.piece("response.output_text.delta", c.Text, "content_index", 0))
	}
	return nil
}

func (w *responsesWire) piece(name, text string, index ...any) frame {
	w.said.WriteString(text)
	return w.event(otherFrame, name, append(index, "item_id", w.id(len(w.output)), "output_index", len(w.output), "delta", text)...)
}

func (w *responsesWire) id(index int) string { return "item_" + strconv.Itoa(index) }

// enter begins an item of a kind unless one is under way.
func (w *responsesWire) enter(kind string) []frame {
	if w.open == kind {
		return nil
	}
	out := w.leave()
	w.open = kind
	return append(out, w.event(otherFrame, "response.output_item.added", "output_index", len(w.output), "item", w.item(kind, "")))
}

// leave ends the item under way.
func (w *responsesWire) leave() []frame {
	if w.open == "" {
		return nil
	}
	done := w.item(w.open, w.said.String())
	w.open = ""
	w.said.Reset()
	return []frame{w.done(done)}
}

func (w *responsesWire) done(item any) frame {
	f := w.event(otherFrame, "response.output_item.done", "output_index", len(w.output), "item", item)
	w.output = append(w.output, item)
	return f
}

func (w *responsesWire) item(kind, text string) any {
	id := w.id(len(w.output))
	if kind == "reasoning" {
		summary := []any{}
		if text != "" {
			summary = append(summary, object("type", "summary_text", "text", text))
		}
		return object("type", kind, "id", id, "summary", summary, "encrypted_content", "c2VjcmV0")
	}
	content := []any{}
	switch {
	case w.how == Refused:
		content = append(content, object("type", "refusal", "refusal", text))
	case text != "":
		content = append(content, object("type", "output_text", "text", text, "annotations", []any{}))
	}
	return object("type", kind, "id", id, "status", "completed", "role", "assistant", "content", content)
}

func callItem(id string, c llm.ToolCall, args string) any {
	return object("type", "function_call", "id", id, "status", "completed", "call_id", c.ID, "name", c.Name, "arguments", args)
}

func (w *responsesWire) end(resp *llm.Response) []frame {
	out := w.leave()
	calls := callsOf(resp, w.how)
	// All calls are open at once, so that their pieces can be interleaved.
	first := len(w.output)
	for i, c := range calls {
		out = append(out, w.event(otherFrame, "response.output_item.added", "output_index", first+i, "item", callItem(w.id(first+i), c, "")))
	}
	for _, p := range argumentPieces(calls, w.how) {
		out = append(out, w.event(otherFrame, "response.function_call_arguments.delta",
			"item_id", w.id(first+p.call), "output_index", first+p.call, "delta", p.args))
	}
	for i, c := range calls {
		out = append(out, w.done(callItem(w.id(first+i), c, c.Args)))
	}
	whole := w.finished(resp)
	return append(out, w.event(finishFrame, "response."+whole["status"].(string), "response", whole))
}

// finished is the whole answer, once all its items are done.
func (w *responsesWire) finished(resp *llm.Response) map[string]any {
	var usage any
	if w.how != NoUsage {
		usage = responsesUsage(resp.Usage)
	}
	whole := w.whole(resp.Model, "completed", usage)
	switch {
	case w.how == Filtered || resp.Finish == llm.FinishFilter:
		whole["status"], whole["incomplete_details"] = "incomplete", object("reason", "content_filter")
	case resp.Finish == llm.FinishLength:
		whole["status"], whole["incomplete_details"] = "incomplete", object("reason", "max_output_tokens")
	}
	return whole
}

func responsesUsage(u mgx.Usage) any {
	return object("input_tokens", u.Prompt, "output_tokens", u.Completion, "total_tokens", u.Total(),
		"input_tokens_details", object("cached_tokens", u.Cached, "cache_write_tokens", u.CacheWrite),
		"output_tokens_details", object("reasoning_tokens", u.Reasoning))
}

func (w *responsesWire) document(resp *llm.Response) any {
	if text := textOf(resp); text != "" {
		w.done(w.item("message", text))
	}
	for _, c := range callsOf(resp, w.how) {
		w.done(callItem(w.id(len(w.output)), c, c.Args))
	}
	return w.finished(resp)
}
