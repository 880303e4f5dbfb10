package llmtest

import (
	"encoding/json"
	"fmt"
	"strings"

	"mgx"
	"mgx/internal/llm"
)

const (
	chatPath     = "/v1/chat/completions"
	messagesPath = "/v1/messages"
)

// dialect is the server's side of a wire dialect, for one answer.
type dialect interface {
	request(body []byte) (req *llm.Request, stream bool, err error)
	document(*llm.Response) any
	failure(status int, kind, message string) any

	start(model string) []frame
	delta(c llm.Chunk, model string) []frame // text and thinking; calls come with the end
	end(resp *llm.Response, how FaultKind) []frame
	streamFailure(kind, message string) frame
	ping() string
}

func dialectOf(path string) dialect {
	if path == messagesPath {
		return &messagesWire{}
	}
	return chatWire{}
}

func object(fields ...any) map[string]any {
	o := map[string]any{}
	for i := 0; i < len(fields); i += 2 {
		o[fields[i].(string)] = fields[i+1]
	}
	return o
}

func event(kind frameKind, name string, v any) frame {
	return frame{kind: kind, event: name, data: string(llm.MarshalWire(v))}
}

// piece is a part of the arguments of one call.
type piece struct {
	call int
	args string
}

// argumentPieces cuts the arguments of calls as the fault asks.
func argumentPieces(calls []llm.ToolCall, how FaultKind) []piece {
	size := 7
	if how == SplitArgs {
		size = 1
	}
	var byCall [][]piece
	for i, c := range calls {
		var list []piece
		// Pieces end anywhere, but never inside a character: JSON strings could
		// not carry half of one.
		for _, args := range pieces(c.Args, size) {
			list = append(list, piece{i, args})
		}
		byCall = append(byCall, list)
	}
	var out []piece
	if how != Interleaved {
		for _, list := range byCall {
			out = append(out, list...)
		}
		return out
	}
	for more := true; more; {
		more = false
		for i, list := range byCall {
			if len(list) > 0 {
				out, byCall[i], more = append(out, list[0]), list[1:], true
			}
		}
	}
	return out
}

// callsOf returns the calls of an answer, with ids as the fault asks.
func callsOf(resp *llm.Response, how FaultKind) []llm.ToolCall {
	var calls []llm.ToolCall
	for _, p := range resp.Message.Parts {
		if p.Call == nil {
			continue
		}
		c := *p.Call
		switch how {
		case NoIDs:
			c.ID = ""
		case SameIDs:
			c.ID = "call_same"
		}
		calls = append(calls, c)
	}
	return calls
}

func textOf(resp *llm.Response) string {
	var all strings.Builder
	for _, p := range resp.Message.Parts {
		all.WriteString(p.Text)
	}
	return all.String()
}

// chatWire is OpenAI Chat Completions.
type chatWire struct{}

func (chatWire) request(body []byte) (*llm.Request, bool, error) {
	var in struct {
		Model    string
		Messages []struct {
			Role       string
			Content    *string
			ToolCallID string `json:"tool_call_id"`
			ToolCalls  []struct {
				ID       string
				Function struct{ Name, Arguments string }
			} `json:"tool_calls"`
		}
		Tools []struct {
			Function struct {
				Name, Description string
				Parameters        json.RawMessage
			}
		}
		ToolChoice          string `json:"tool_choice"`
		MaxTokens           int    `json:"max_tokens"`
		MaxCompletionTokens int    `json:"max_completion_tokens"`
		Temperature         *float64
		Stream              bool
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, false, err
	}
	req := &llm.Request{
		Model: in.Model, MaxTokens: max(in.MaxTokens, in.MaxCompletionTokens),
		ToolChoice: in.ToolChoice, Temperature: in.Temperature,
	}
	for _, m := range in.Messages {
		content := ""
		if m.Content != nil {
			content = *m.Content
		}
		switch m.Role {
		case "system", "developer":
			req.System += content
		case "tool":
			addPart(req, llm.Tool, llm.Part{Result: &llm.ToolResult{CallID: m.ToolCallID, Text: content}})
		default:
			parts := []llm.Part{}
			if content != "" {
				parts = append(parts, llm.Part{Text: content})
			}
			for _, c := range m.ToolCalls {
				parts = append(parts, llm.Part{Call: &llm.ToolCall{ID: c.ID, Name: c.Function.Name, Args: c.Function.Arguments}})
			}
			req.Messages = append(req.Messages, llm.Message{Role: llm.Role(m.Role), Parts: parts})
		}
	}
	for _, t := range in.Tools {
		req.Tools = append(req.Tools, llm.ToolSpec{Name: t.Function.Name, Description: t.Function.Description, Schema: t.Function.Parameters})
	}
	return req, in.Stream, nil
}

// addPart adds a part to the last message when it has the role, else to a new one.
func addPart(req *llm.Request, role llm.Role, p llm.Part) {
	if n := len(req.Messages); n > 0 && req.Messages[n-1].Role == role {
		req.Messages[n-1].Parts = append(req.Messages[n-1].Parts, p)
		return
	}
	req.Messages = append(req.Messages, llm.Message{Role: role, Parts: []llm.Part{p}})
}

func (chatWire) failure(status int, kind, message string) any {
	return object("error", object("message", message, "type", kind, "code", kind))
}

func (w chatWire) streamFailure(kind, message string) frame {
	return event(otherFrame, "", w.failure(0, kind, message))
}

func (chatWire) ping() string { return "" }

func chatChunk(model string, choices ...any) map[string]any {
	if choices == nil {
		choices = []any{}
	}
	return object("id", "chatcmpl-1", "object", "chat.completion.chunk", "created", 1, "model", model, "choices", choices)
}

func chatDelta(model string, delta any, finish any) map[string]any {
	return chatChunk(model, object("index", 0, "delta", delta, "finish_reason", finish))
}

func (chatWire) start(model string) []frame {
	return []frame{event(otherFrame, "", chatDelta(model, object("role", "assistant", "content", ""), nil))}
}

func (chatWire) delta(c llm.Chunk, model string) []frame {
	switch {
	case c.Text != "":
		return []frame{event(otherFrame, "", chatDelta(model, object("content", c.Text), nil))}
	case c.Thinking != "":
		return []frame{event(otherFrame, "", chatDelta(model, object("reasoning_content", c.Thinking), nil))}
	}
	return nil
}

func (chatWire) end(resp *llm.Response, how FaultKind) []frame {
	var out []frame
	calls := callsOf(resp, how)
	callDelta := func(i int, fields map[string]any) {
		fields["index"] = i
		out = append(out, event(otherFrame, "", chatDelta(resp.Model, object("tool_calls", []any{fields}), nil)))
	}
	for i, c := range calls {
		callDelta(i, object("id", c.ID, "type", "function", "function", object("name", c.Name, "arguments", "")))
	}
	for _, p := range argumentPieces(calls, how) {
		callDelta(p.call, object("function", object("arguments", p.args)))
	}
	usage := chatChunk(resp.Model)
	usage["usage"] = chatUsage(resp.Usage)
	return append(out,
		event(finishFrame, "", chatDelta(resp.Model, object(), chatFinish(resp.Finish))),
		event(usageFrame, "", usage),
		frame{kind: lastFrame, data: "[DONE]"})
}

func chatUsage(u mgx.Usage) any {
	return object("prompt_tokens", u.Prompt, "completion_tokens", u.Completion, "total_tokens", u.Total(),
		"prompt_tokens_details", object("cached_tokens", u.Cached, "cache_write_tokens", u.CacheWrite),
		"completion_tokens_details", object("reasoning_tokens", u.Reasoning))
}

func chatFinish(f llm.Finish) string {
	switch f {
	case llm.FinishTools:
		return "tool_calls"
	case llm.FinishFilter:
		return "content_filter"
	case llm.FinishRefusal:
		return "stop"
	}
	return string(f)
}

func (chatWire) document(resp *llm.Response) any {
	message := object("role", "assistant", "content", textOf(resp))
	if resp.Finish == llm.FinishRefusal {
		message["content"], message["refusal"] = nil, textOf(resp)
	}
	var calls []any
	for _, c := range callsOf(resp, 0) {
		calls = append(calls, object("id", c.ID, "type", "function", "function", object("name", c.Name, "arguments", c.Args)))
	}
	if calls != nil {
		message["tool_calls"] = calls
	}
	out := chatChunk(resp.Model, object("index", 0, "message", message, "finish_reason", chatFinish(resp.Finish)))
	out["object"], out["usage"] = "chat.completion", chatUsage(resp.Usage)
	return out
}

// messagesWire is Anthropic Messages. It remembers the content block under way.
type messagesWire struct {
	open string // its type; empty: none
	next int    // index of the next block
}

func (*messagesWire) request(body []byte) (*llm.Request, bool, error) {
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
				var text string
				if len(b.Content) > 0 && json.Unmarshal(b.Content, &text) != nil {
					return nil, false, fmt.Errorf("tool_result of %s is not a text", b.ToolUseID)
				}
				addPart(req, llm.Tool, llm.Part{Result: &llm.ToolResult{CallID: b.ToolUseID, Text: text, IsError: b.IsError}})
			default:
				addPart(req, llm.Role(m.Role), llm.Part{Opaque: &llm.Opaque{Dialect: "anthropic", Raw: raw}})
			}
		}
	}
	return req, in.Stream, nil
}

func (*messagesWire) failure(status int, kind, message string) any {
	return object("type", "error", "error", object("type", kind, "message", message))
}

func (w *messagesWire) streamFailure(kind, message string) frame {
	return event(otherFrame, "error", w.failure(0, kind, message))
}

func (*messagesWire) ping() string { return "event: ping\ndata: {\"type\": \"ping\"}\n\n" }

// start opens the message. The prompt's tokens come with the end, where they are
// known here.
func (*messagesWire) start(model string) []frame {
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

func (w *messagesWire) end(resp *llm.Response, how FaultKind) []frame {
	out := w.closeBlock()
	calls := callsOf(resp, how)
	// All calls are open at once, so that their pieces can be interleaved.
	for i, c := range calls {
		out = append(out, blockStart(w.next+i, object("type", "tool_use", "id", c.ID, "name", c.Name, "input", object())))
	}
	for _, p := range argumentPieces(calls, how) {
		out = append(out, blockDelta(w.next+p.call, object("type", "input_json_delta", "partial_json", p.args)))
	}
	for i := range calls {
		out = append(out, blockStop(w.next+i))
	}
	return append(out,
		event(usageFrame, "message_delta", object("type", "message_delta", "delta", object(), "usage", messagesUsage(resp.Usage))),
		event(finishFrame, "message_delta", object("type", "message_delta", "delta", object("stop_reason", messagesFinish(resp.Finish)))),
		event(lastFrame, "message_stop", object("type", "message_stop")))
}

func messagesUsage(u mgx.Usage) any {
	return object("input_tokens", u.Prompt-u.Cached-u.CacheWrite, "cache_read_input_tokens", u.Cached,
		"cache_creation_input_tokens", u.CacheWrite, "output_tokens", u.Completion)
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

func (*messagesWire) document(resp *llm.Response) any {
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
