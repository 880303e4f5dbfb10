package openai

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"regexp"
	"strings"

	"mgx/internal/llm"
)

// chatRequest is the body of a call. Fields that do not change within a
// conversation come first, in a fixed order, so that prefix caches hit.
type chatRequest struct {
	Model               string          `json:"model"`
	Tools               []chatTool      `json:"tools,omitempty"`
	Messages            []chatMessage   `json:"messages"`
	ToolChoice          string          `json:"tool_choice,omitempty"`
	MaxTokens           int             `json:"max_tokens,omitempty"`
	MaxCompletionTokens int             `json:"max_completion_tokens,omitempty"`
	Temperature         *float64        `json:"temperature,omitempty"`
	TopP                *float64        `json:"top_p,omitempty"`
	Stop                []string        `json:"stop,omitempty"`
	Seed                *int64          `json:"seed,omitempty"`
	RandomSeed          *int64          `json:"random_seed,omitempty"`
	ReasoningEffort     string          `json:"reasoning_effort,omitempty"`
	Reasoning           *reasoning      `json:"reasoning,omitempty"`
	ResponseFormat      *responseFormat `json:"response_format,omitempty"`
	Stream              bool            `json:"stream"`
	StreamOptions       *streamOptions  `json:"stream_options,omitempty"`
	Usage               *usageOptions   `json:"usage,omitempty"`
}

type usageOptions struct {
	Include bool `json:"include"`
}

type reasoning struct {
	Effort  string `json:"effort,omitempty"`
	Summary string `json:"summary,omitempty"` // Responses only
}

type responseFormat struct {
	Type       string     `json:"type"`
	JSONSchema jsonSchema `json:"json_schema"`
}

// jsonSchema is a form of the answer. Strict makes it certain, and is refused for
// a schema that is not fit for it.
type jsonSchema struct {
	Name   string          `json:"name"`
	Schema json.RawMessage `json:"schema"`
	Strict bool            `json:"strict"`
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

// checkChat refuses what the dialect cannot say for a model.
func (p *provider) checkChat(req *llm.Request) error {
	if len(req.Stop) > 0 && p.quirks(req.Model).NoSampling {
		return llm.CannotAsk(p.name, req.Model, "texts to stop at")
	}
	return nil
}

func (p *provider) encode(req *llm.Request) chatRequest {
	q := p.quirks(req.Model)
	out := chatRequest{Model: req.Model, Messages: p.messages(req), Stream: true, Stop: req.Stop}
	for _, t := range req.Tools {
		out.Tools = append(out.Tools, chatTool{"function", chatFunction{t.Name, t.Description, t.Schema}})
	}
	if len(out.Tools) > 0 {
		out.ToolChoice = req.ToolChoice
	}
	if q.MaxCompletionTokens {
		out.MaxCompletionTokens = req.MaxTokens
	} else {
		out.MaxTokens = req.MaxTokens
	}
	if req.Format != nil {
		out.ResponseFormat = &responseFormat{"json_schema", schemaOf(req.Format)}
	}
	if !q.NoStreamOptions {
		out.StreamOptions = &streamOptions{IncludeUsage: true}
	}
	if q.IncludeUsage {
		out.Usage = &usageOptions{Include: true}
	}
	out.sample(req, q)
	return out
}

// sample sets how to think and to choose words.
func (r *chatRequest) sample(req *llm.Request, q Quirks) {
	if effort := q.Efforts.of(req.Effort); effort != "" && q.Efforts == EffortReasoning {
		r.Reasoning = &reasoning{Effort: effort}
	} else {
		r.ReasoningEffort = effort
	}
	if q.NoSampling {
		return
	}
	r.Temperature, r.TopP = req.Temperature, req.TopP
	if q.RandomSeed {
		r.RandomSeed = req.Seed
	} else {
		r.Seed = req.Seed
	}
}

func schemaOf(f *llm.Format) jsonSchema {
	name := formatName.ReplaceAllString(f.Name, "_")
	return jsonSchema{Name: cmp.Or(name[:min(len(name), 64)], "answer"), Schema: f.Schema, Strict: fitForStrict(f.Schema)}
}

var formatName = regexp.MustCompile(`[^a-zA-Z0-9_-]`)

// fitForStrict reports whether a schema has what strict mode demands: every
// object names all its fields and requires them all.
func fitForStrict(raw json.RawMessage) bool {
	schema := llm.DecodeSchema(raw)
	fit := schema != nil
	if fit {
		llm.WalkSchema(schema, func(s map[string]any) { fit = fit && (!llm.IsObjectSchema(s) || isClosed(s)) })
	}
	return fit
}

func isClosed(schema map[string]any) bool {
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	names := map[any]bool{}
	for _, name := range required {
		names[name] = true
	}
	for name := range properties {
		if !names[name] {
			return false
		}
	}
	return schema["additionalProperties"] == false
}

func (p *provider) messages(req *llm.Request) []chatMessage {
	var out []chatMessage
	if req.System != "" {
		out = append(out, chatMessage{Role: "system", Content: &req.System})
	}
	q := p.quirks(req.Model)
	for _, m := range req.Messages {
		switch m.Role {
		case llm.Tool:
			out = append(out, results(m)...)
		case llm.Assistant:
			if a := p.assistant(m); a.Content != nil || len(a.ToolCalls) > 0 {
				out = append(out, a)
			}
		default:
			if q.AnswerTools && len(out) > 0 && out[len(out)-1].Role == "tool" {
				seen := "I have seen the results."
				out = append(out, chatMessage{Role: "assistant", Content: &seen})
			}
			content := texts(m)
			out = append(out, chatMessage{Role: "user", Content: &content})
		}
	}
	if q.ShortIDs {
		shorten(out)
	}
	return out
}

// shorten makes ids of tool calls what Mistral takes: nine letters and digits.
// The same id becomes the same every time, so the prompt's prefix stays.
func shorten(messages []chatMessage) {
	for i := range messages {
		m := &messages[i]
		if m.ToolCallID != "" {
			m.ToolCallID = shortID(m.ToolCallID)
		}
		for j := range m.ToolCalls {
			m.ToolCalls[j].ID = shortID(m.ToolCalls[j].ID)
		}
	}
}

var isShortID = regexp.MustCompile(`^[a-zA-Z0-9]{9}$`)

func shortID(id string) string {
	if isShortID.MatchString(id) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return base32.HexEncoding.EncodeToString(sum[:])[:9]
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
