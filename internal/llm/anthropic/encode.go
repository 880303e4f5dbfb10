package anthropic

import (
	"encoding/json"
	"strings"

	"mgx/internal/llm"
)

// messagesRequest is the body of a call, in the order in which the cache reads
// it: tools, system, messages.
type messagesRequest struct {
	Model         string        `json:"model"`
	MaxTokens     int           `json:"max_tokens"`
	Temperature   *float64      `json:"temperature,omitempty"`
	TopP          *float64      `json:"top_p,omitempty"`
	StopSequences []string      `json:"stop_sequences,omitempty"`
	Thinking      *thinking     `json:"thinking,omitempty"`
	OutputConfig  *outputConfig `json:"output_config,omitempty"`
	ToolChoice    *toolChoice   `json:"tool_choice,omitempty"`
	Tools         []tool        `json:"tools,omitempty"`
	System        []textBlock   `json:"system,omitempty"`
	Messages      []message     `json:"messages"`
	Stream        bool          `json:"stream"`
}

type outputConfig struct {
	Effort string        `json:"effort,omitempty"`
	Format *outputFormat `json:"format,omitempty"`
}

type outputFormat struct {
	Type   string          `json:"type"`
	Schema json.RawMessage `json:"schema"`
}

type toolChoice struct {
	Type string `json:"type"`
}

type tool struct {
	Name         string          `json:"name"`
	Description  string          `json:"description,omitempty"`
	InputSchema  json.RawMessage `json:"input_schema"`
	CacheControl *cacheControl   `json:"cache_control,omitempty"`
}

type message struct {
	Role    string `json:"role"`
	Content []any  `json:"content"`
}

type textBlock struct {
	Type         string        `json:"type"`
	Text         string        `json:"text"`
	CacheControl *cacheControl `json:"cache_control,omitempty"`
}

type toolUseBlock struct {
	Type  string          `json:"type"`
	ID    string          `json:"id"`
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input"`
}

type toolResultBlock struct {
	Type         string        `json:"type"`
	ToolUseID    string        `json:"tool_use_id"`
	Content      string        `json:"content,omitempty"`
	IsError      bool          `json:"is_error,omitempty"`
	CacheControl *cacheControl `json:"cache_control,omitempty"`
}

type cacheControl struct {
	Type string `json:"type"`
}

var ephemeral = &cacheControl{Type: "ephemeral"}

func encode(req *llm.Request) messagesRequest {
	out := messagesRequest{
		Model: req.Model, MaxTokens: req.MaxTokens, StopSequences: req.Stop, Stream: true,
		Messages: messages(req.Messages),
	}
	for _, t := range req.Tools {
		out.Tools = append(out.Tools, tool{Name: t.Name, Description: t.Description, InputSchema: t.Schema})
	}
	if strings.TrimSpace(req.System) != "" {
		out.System = []textBlock{{Type: "text", Text: req.System}}
	}
	m := modelOf(req.Model)
	effort := ""
	out.Thinking, effort = m.think(req)
	if effort != "" {
		out.OutputConfig = &outputConfig{Effort: effort}
	}
	if req.Format != nil {
		out.OutputConfig = &outputConfig{effort, formatOf(req.Format)}
	}
	asked := out.Thinking != nil && out.Thinking.Type != "disabled"
	if len(out.Tools) > 0 {
		out.ToolChoice = choice(req, asked || m.fixedSampling())
	}
	if !asked && !m.fixedSampling() {
		out.sample(req)
	}
	out.mark()
	return out
}

// check refuses what the dialect cannot say for a model.
func check(req *llm.Request, provider string) error {
	if req.Format != nil && !modelOf(req.Model).takesFormat() {
		return llm.CannotAsk(provider, req.Model, "schema for its answer")
	}
	return nil
}

// sample sets the one sampling parameter that models from 4.5 on take at a time.
func (r *messagesRequest) sample(req *llm.Request) {
	if r.Temperature = req.Temperature; r.Temperature == nil {
		r.TopP = req.TopP
	}
}

// choice maps ToolChoice. Models that think, or do so unasked, refuse to be
// forced to call a tool, so for them "required" is a wish, which the caller
// checks anyway.
func choice(req *llm.Request, free bool) *toolChoice {
	switch {
	case req.ToolChoice == "none":
		return &toolChoice{"none"}
	case req.ToolChoice == "required" && !free:
		return &toolChoice{"any"}
	}
	return &toolChoice{"auto"}
}

// messages joins neighbours of one role, so that the results of an answer's
// calls and what the user adds to them are one message, results first.
func messages(in []llm.Message) []message {
	var out []message
	for _, m := range in {
		role, content := "user", blocks(m)
		if m.Role == llm.Assistant {
			role = "assistant"
		}
		switch last := len(out) - 1; {
		case len(content) == 0:
		case last >= 0 && out[last].Role == role:
			out[last].Content = append(out[last].Content, content...)
		default:
			out = append(out, message{role, content})
		}
	}
	return out
}

func blocks(m llm.Message) []any {
	var out []any
	var rest map[string]json.RawMessage // of the part that follows
	for _, p := range m.Parts {
		kept := rest
		rest = nil
		switch {
		case p.Opaque != nil && p.Opaque.Dialect == dialect:
			var isRest bool
			if rest, isRest = p.Opaque.Rest(); !isRest {
				out = append(out, p.Opaque.Raw)
			}
		case p.Call != nil:
			block := &toolUseBlock{"tool_use", p.Call.ID, p.Call.Name, llm.ArgsObject(p.Call.Args)}
			out = append(out, llm.WithRest(block, kept))
		case p.Result != nil:
			out = append(out, &toolResultBlock{
				Type: "tool_result", ToolUseID: p.Result.CallID, Content: p.Result.Text, IsError: p.Result.IsError,
			})
		case strings.TrimSpace(p.Text) == "": // the API refuses blank text
		case len(kept) > 0:
			out = append(out, llm.WithRest(&textBlock{Type: "text", Text: p.Text}, kept))
		default:
			out = append(out, &textBlock{Type: "text", Text: p.Text})
		}
	}
	return out
}

// mark sets the cache marks, of which the API allows four: on the last tool, the
// system prompt, and the last two messages of the user. The later of those
// writes what the next call reads; the earlier reads what the previous one wrote.
func (r *messagesRequest) mark() {
	if n := len(r.Tools); n > 0 {
		r.Tools[n-1].CacheControl = ephemeral
	}
	if n := len(r.System); n > 0 {
		r.System[n-1].CacheControl = ephemeral
	}
	left := 2
	for i := len(r.Messages) - 1; i >= 0 && left > 0; i-- {
		if m := r.Messages[i]; m.Role == "user" && markBlock(m.Content[len(m.Content)-1]) {
			left--
		}
	}
}

func markBlock(block any) bool {
	switch b := block.(type) {
	case *textBlock:
		b.CacheControl = ephemeral
	case *toolResultBlock:
		b.CacheControl = ephemeral
	default:
		return false
	}
	return true
}
