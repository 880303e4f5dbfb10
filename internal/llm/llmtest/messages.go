package llmtest

import (
	"encoding/json"
	"net/http"

	"mgx"
	"mgx/internal/llm"
)

// messagesWire is Anthropic Messages. It remembers the content block under way.
type messagesWire struct {
	behaviour

	open string // its type; empty: none
	next int    // index of the next block
}

func (w *messagesWire) request(_ *http.Request, body []byte) (*llm.Request, bool, error) {
	type block struct {
		Type      string
		Text      string
		ID        string
		Name      string
		Input     json.RawMessage
		ToolUseID string          `json:"tool_use_id"`
		Content   json.RawMessage // of a tool_result: a string, or blocks
		IsError   bool            `json:"is_error"`
	}
	var in struct {
		Model    string
		System   []block
		Messages []struct {
			Role    string
			Content []json.RawMessage
		}
		Tools []struct {
			Name, Description string
			InputSchema       json.RawMessage `json:"input_schema"`
		}
		ToolChoice struct{ Type string } `json:"tool_choice"`
		MaxTokens  int                   `json:"max_tokens"`
		Stream     bool
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, false, err
	}
	req := &llm.Request{Model: in.Model, MaxTokens: in.MaxTokens}
	switch in.ToolChoice.Type {
	case "none":
		req.ToolChoice = "none"
	case "any":
		req.ToolChoice = "required"
	}
	for _, b := range in.System {
		req.System += b.Text
	}
	for _, t := range in.Tools {
		req.Tools = append(req.Tools, llm.ToolSpec{Name: t.Name, Description: t.Description, Schema: t.InputSchema})
	}
	for _, m := range in.Messages {
		for _, raw := range m.Content {
			var b block
			if err := json.Unmarshal(raw, &b); err != nil {
				return nil, false, err
			}
			switch b.Type {
			case "text":
				addPart(req, llm.Role(m.Role), llm.Part{Text: b.Text})
			case "tool_use":
				addPart(req, llm.Assistant, llm.Part{Call: &llm.ToolCall{ID: b.ID, Name: b.Name, Args: string(b.Input)}})
			case "tool_result":
				addPart(req, llm.Tool, llm.Part{Result: &llm.ToolResult{CallID: b.ToolUseID, Text: contentText(b.Content), IsError: b.IsError}})
			default:
				addPart(req, llm.Role(m.Role), llm.Part{Opaque: &llm.Opaque{Dialect: "anthropic", Raw: raw}})
			}
		}
	}
	return req, in.Stream, nil
}

func (w *messagesWire) failure(status int, kind, message string) any {
	return object("type", "error", "error", object("type", kind, "message", message))
}

func (w *messagesWire) streamFailure(kind, message string) frame {
	return event(otherFrame, "error", w.failure(0, kind, message))
}

func (w *messagesWire) ping() string { return "event: ping\ndata: {\"type\": \"ping\"}\n\n" }

// start opens the message. The prompt's tokens come with the end, where they are
// known here.
func (w *messagesWire) start(model string) []frame {
	message := object("id", "msg_1", "type", "message", "role", "assistant", "model", model, "content", []any{})
	return []frame{event(otherFrame, "message_start", object("type", "message_start", "message", message))}
}

func (w *messagesWire) delta(c llm.Chunk, _ string) []frame {
	kind, text := "text", c.Text
	if c.Thinking != "" {
		kind, text = "thinking", c.Thinking
	}
	if text == "" {
		return nil
	}
	var out []frame
	if w.open != kind {
		out = append(w.closeBlock(), blockStart(w.next, object("type", kind, kind, "")))
		w.open = kind
	}
	return append(out, blockDelta(w.next, object("type", kind+"_delta", kind, text)))
}

// closeBlock ends the block under way; thinking is signed first.
func (w *messagesWire) closeBlock() []frame {
	if w.open == "" {
		return nil
	}
	var out []frame
	if w.open == "thinking" {
		out = append(out, blockDelta(w.next, object("type", "signature_delta", "signature", "c2lnbmVk")))
	}
	out = append(out, blockStop(w.next))
	w.open = ""
	w.next++
	return out
}

func blockStart(index int, start any) frame {
	return event(otherFrame, "content_block_start", object("type", "content_block_start", "index", index, "content_block", start))
}

func blockDelta(index int, delta any) frame {
	return event(otherFrame, "content_block_delta", object("type", "content_block_delta", "index", index, "delta", delta))
}

func blockStop(index int) frame {
	return event(otherFrame, "content_block_stop", object("type", "content_block_stop", "index", index))
}

func (w *messagesWire) end(resp *llm.Response) []frame {
	out := w.closeBlock()
	calls := callsOf(resp, w.how)
	// All calls are open at once, so that their pieces can be interleaved.
	for i, c := range calls {
		out = append(out, blockStart(w.next+i, object("type", "tool_use", "id", c.ID, "name", c.Name, "input", object())))
	}
	for _, p := range argumentPieces(calls, w.how) {
		out = append(out, blockDelta(w.next+p.call, object("type", "input_json_delta", "partial_json", p.args)))
	}
	for i := range calls {
		out = append(out, blockStop(w.next+i))
	}
	return append(out,
		event(usageFrame, "message_delta", object("type", "message_delta", "delta", object(), "usage", messagesUsage(resp.Usage))),
		event(finishFrame, "message_delta", object("type", "message_delta", "delta", object("stop_reason", w.finish(resp.Finish)))),
		event(lastFrame, "message_stop", object("type", "message_stop")))
}

func messagesUsage(u mgx.Usage) any {
	return object("input_tokens", u.Prompt-u.Cached-u.CacheWrite, "cache_read_input_tokens", u.Cached,
		"cache_creation_input_tokens", u.CacheWrite, "output_tokens", u.Completion)
}

func (w *messagesWire) finish(f llm.Finish) string {
	if w.how == Refused || w.how == Filtered {
		f = llm.FinishRefusal
	}
	return messagesFinish(f)
}

func messagesFinish(f llm.Finish) string {
	switch f {
	case llm.FinishTools:
		return "tool_use"
	case llm.FinishLength:
		return "max_tokens"
	case llm.FinishRefusal, llm.FinishFilter:
		return "refusal"
	}
	return "end_turn"
}

func (w *messagesWire) document(resp *llm.Response) any {
	content := []any{}
	if text := textOf(resp); text != "" {
		content = append(content, object("type", "text", "text", text))
	}
	for _, c := range callsOf(resp, 0) {
		content = append(content, object("type", "tool_use", "id", c.ID, "name", c.Name, "input", llm.ArgsObject(c.Args)))
	}
	return object("id", "msg_1", "type", "message", "role", "assistant", "model", resp.Model,
		"content", content, "stop_reason", messagesFinish(resp.Finish), "usage", messagesUsage(resp.Usage))
}

func (w *messagesWire) models(list []llm.ModelInfo) any { return modelList(list) }
