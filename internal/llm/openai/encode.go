package openai

import (
	"encoding/json"
	"strings"

	"mgx/internal/llm"
)

// chatRequest is the body of a call. Fields that do not change within a
// conversation come first, in a fixed order, so that prefix caches hit.
type chatRequest struct {
	Model               string         `json:"model"`
	Tools               []chatTool     `json:"tools,omitempty"`
	Messages            []chatMessage  `json:"messages"`
	ToolChoice          string         `json:"tool_choice,omitempty"`
	MaxTokens           int            `json:"max_tokens,omitempty"`
	MaxCompletionTokens int            `json:"max_completion_tokens,omitempty"`
	Temperature         *float64       `json:"temperature,omitempty"`
	ReasoningEffort     string         `json:"reasoning_effort,omitempty"`
	Stream              bool           `json:"stream"`
	StreamOptions       *streamOptions `json:"stream_options,omitempty"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

type chatTool struct {
	Type     string       `json:"type"`
	Function chatFunction `json:"function"`
}

type chatFunction struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters"`
}

type chatMessage struct {
	Role             string          `json:"role"`
	Content          *string         `json:"content"`
	ToolCalls        []chatCall      `json:"tool_calls,omitempty"`
	ToolCallID       string          `json:"tool_call_id,omitempty"`
	ReasoningContent string          `json:"reasoning_content,omitempty"`
	ReasoningDetails json.RawMessage `json:"reasoning_details,omitempty"`
}

type chatCall struct {
	ID           string          `json:"id"`
	Type         string          `json:"type"`
	Function     calledFunction  `json:"function"`
	ExtraContent json.RawMessage `json:"extra_content,omitempty"` // Gemini's thought signature
}

type calledFunction struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// kept is what an Opaque part of this dialect holds: what goes back with the
// assistant message it came with.
type kept struct {
	ReasoningContent string                     `json:"reasoning_content,omitempty"`
	ReasoningDetails json.RawMessage            `json:"reasoning_details,omitempty"`
	ExtraContent     map[string]json.RawMessage `json:"extra_content,omitempty"` // by call id
}

func (p *provider) encode(req *llm.Request) chatRequest {
	q := p.quirks(req.Model)
	out := chatRequest{
		Model: req.Model, Messages: p.messages(req), Stream: true,
		StreamOptions: &streamOptions{IncludeUsage: true},
	}
	for _, t := range req.Tools {
		out.Tools = append(out.Tools, chatTool{"function", chatFunction{t.Name, t.Description, t.Schema}})
	}
	if len(out.Tools) > 0 {
		out.ToolChoice, out.ReasoningEffort = req.ToolChoice, q.ToolEffort
	}
	if q.MaxCompletionTokens {
		out.MaxCompletionTokens = req.MaxTokens
	} else {
		out.MaxTokens = req.MaxTokens
	}
	if !q.NoTemperature {
		out.Temperature = req.Temperature
	}
	return out
}

func (p *provider) messages(req *llm.Request) []chatMessage {
	var out []chatMessage
	if req.System != "" {
		out = append(out, chatMessage{Role: "system", Content: &req.System})
	}
	for _, m := range req.Messages {
		switch m.Role {
		case llm.Tool:
			out = append(out, results(m)...)
		case llm.Assistant:
			if a := p.assistant(m); a.Content != nil || len(a.ToolCalls) > 0 {
				out = append(out, a)
			}
		default:
			content := texts(m)
			out = append(out, chatMessage{Role: "user", Content: &content})
		}
	}
	return out
}

func results(m llm.Message) []chatMessage {
	var out []chatMessage
	for _, p := range m.Parts {
		if p.Result != nil {
			content := p.Result.Text
			if content == "" {
				content = "(no output)" // some servers refuse an empty one
			}
			out = append(out, chatMessage{Role: "tool", Content: &content, ToolCallID: p.Result.CallID})
		}
	}
	return out
}

func (p *provider) assistant(m llm.Message) chatMessage {
	out := chatMessage{Role: "assistant"}
	if content := texts(m); content != "" {
		out.Content = &content
	}
	var back kept
	for _, part := range m.Parts {
		if part.Opaque != nil && part.Opaque.Dialect == p.dialect() {
			json.Unmarshal(part.Opaque.Raw, &back) // ours; if it is not, nothing goes back
		}
	}
	for _, part := range m.Parts {
		if c := part.Call; c != nil {
			out.ToolCalls = append(out.ToolCalls, chatCall{
				ID: c.ID, Type: "function", ExtraContent: back.ExtraContent[c.ID],
				Function: calledFunction{c.Name, string(llm.ArgsObject(c.Args))},
			})
		}
	}
	out.ReasoningContent, out.ReasoningDetails = back.ReasoningContent, back.ReasoningDetails
	return out
}

// texts joins the text of a message.
func texts(m llm.Message) string {
	var all []string
	for _, p := range m.Parts {
		if p.Text != "" {
			all = append(all, p.Text)
		}
	}
	return strings.Join(all, "\n\n")
}
