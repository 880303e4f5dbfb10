package llmtest

import (
	"encoding/json"
	"net/http"

	"mgx"
	"mgx/internal/llm"
)

// chatWire is OpenAI Chat Completions.
type chatWire struct{ behaviour }

func (w *chatWire) request(_ *http.Request, body []byte) (*llm.Request, bool, error) {
	var in struct {
		Model    string
		Messages []struct {
			Role       string
			Content    json.RawMessage // a text, or a list of parts
			ToolCallID string          `json:"tool_call_id"`
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
		content := contentText(m.Content)
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

func (w *chatWire) failure(status int, kind, message string) any {
	return object("error", object("message", message, "type", kind, "code", kind))
}

func (w *chatWire) streamFailure(kind, message string) frame {
	return event(otherFrame, "", w.failure(0, kind, message))
}

func (w *chatWire) ping() string { return "" }

func chatChunk(model string, choices ...any) map[string]any {
	if choices == nil {
		choices = []any{}
	}
	return object("id", "chatcmpl-1", "object", "chat.completion.chunk", "created", 1, "model", model, "choices", choices)
}

func chatDelta(model string, delta any, finish any) map[string]any {
	return chatChunk(model, object("index", 0, "delta", delta, "finish_reason", finish))
}

func (w *chatWire) start(model string) []frame {
	return []frame{event(otherFrame, "", chatDelta(model, object("role", "assistant", "content", ""), nil))}
}

func (w *chatWire) delta(c llm.Chunk, model string) []frame {
	switch {
	case c.Text != "" && w.how == Refused:
		return []frame{event(otherFrame, "", chatDelta(model, object("refusal", c.Text), nil))}
	case c.Text != "":
		return []frame{event(otherFrame, "", chatDelta(model, object("content", c.Text), nil))}
	case c.Thinking != "":
		return []frame{event(otherFrame, "", chatDelta(model, object("reasoning_content", c.Thinking), nil))}
	}
	return nil
}

func (w *chatWire) end(resp *llm.Response) []frame {
	var out []frame
	calls := callsOf(resp, w.how)
	callDelta := func(i int, fields map[string]any) {
		fields["index"] = i
		out = append(out, event(otherFrame, "", chatDelta(resp.Model, object("tool_calls", []any{fields}), nil)))
	}
	for i, c := range calls {
		callDelta(i, object("id", c.ID, "type", "function", "function", object("name", c.Name, "arguments", "")))
	}
	for _, p := range argumentPieces(calls, w.how) {
		callDelta(p.call, object("function", object("arguments", p.args)))
	}
	usage := chatChunk(resp.Model)
	usage["usage"] = chatUsage(resp.Usage)
	return append(out,
		event(finishFrame, "", chatDelta(resp.Model, object(), w.finish(resp.Finish))),
		event(usageFrame, "", usage),
		frame{kind: lastFrame, data: "[DONE]"})
}

func chatUsage(u mgx.Usage) any {
	return object("prompt_tokens", u.Prompt, "completion_tokens", u.Completion, "total_tokens", u.Total(),
		"prompt_tokens_details", object("cached_tokens", u.Cached, "cache_write_tokens", u.CacheWrite),
		"completion_tokens_details", object("reasoning_tokens", u.Reasoning))
}

func (w *chatWire) finish(f llm.Finish) string {
	if w.how == Filtered {
		f = llm.FinishFilter
	}
	return chatFinish(f)
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

func (w *chatWire) document(resp *llm.Response) any {
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

func (w *chatWire) models(list []llm.ModelInfo) any { return modelList(list) }

func modelList(list []llm.ModelInfo) any {
	data := []any{}
	for _, m := range list {
		data = append(data, object("id", m.ID, "object", "model"))
	}
	return object("object", "list", "data", data)
}
