package anthropic

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"mgx/internal/llm"
)

// messagesRequest is the body of a call, in the order in which the cache reads
// it: tools, system, messages.
type messagesRequest struct {
	Model       string      `json:"model"`
	MaxTokens   int         `json:"max_tokens"`
	Temperature *float64    `json:"temperature,omitempty"`
	ToolChoice  *toolChoice `json:"tool_choice,omitempty"`
	Tools       []tool      `json:"tools,omitempty"`
	System      []textBlock `json:"system,omitempty"`
	Messages    []message   `json:"messages"`
	Stream      bool        `json:"stream"`
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
		Model: req.Model, MaxTokens: req.MaxTokens, Stream: true,
		Messages: messages(req.Messages),
	}
	for _, t := range req.Tools {
		out.Tools = append(out.Tools, tool{Name: t.Name, Description: t.Description, InputSchema: t.Schema})
	}
	if strings.TrimSpace(req.System) != "" {
		out.System = []textBlock{{Type: "text", Text: req.System}}
	}
	if len(out.Tools) > 0 {
		out.ToolChoice = choice(req)
	}
	if !fixedSampling(req.Model) {
		out.Temperature = req.Temperature
	}
	out.mark()
	return out
}

// choice maps ToolChoice. Models that think unasked refuse to be forced to call
// a tool, so for them "required" is a wish, which the caller checks anyway.
func choice(req *llm.Request) *toolChoice {
	switch {
	case req.ToolChoice == "none":
		return &toolChoice{"none"}
	case req.ToolChoice == "required" && !fixedSampling(req.Model):
		return &toolChoice{"any"}
	}
	return &toolChoice{"auto"}
}

// modelVersion finds the version in names such as claude-opus-4-7 and
// claude-sonnet-4-20250514; dates are not minor versions.
var modelVersion = regexp.MustCompile(`^claude-[a-z]+-(\d+)(?:[-.](\d{1,2}))?(?:-|$)`)

// fixedSampling reports whether a model refuses a temperature: all from 4.7 on.
func fixedSampling(model string) bool {
	m := modelVersion.FindStringSubmatch(model)
	if m == nil {
		return strings.HasPrefix(model, "claude-mythos")
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	return major > 4 || (major == 4 && minor >= 7)
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
	for _, p := range m.Parts {
		switch {
		case p.Opaque != nil && p.Opaque.Dialect == dialect:
			out = append(out, p.Opaque.Raw)
		case p.Call != nil:
			out = append(out, &toolUseBlock{"tool_use", p.Call.ID, p.Call.Name, llm.ArgsObject(p.Call.Args)})
		case p.Result != nil:
			out = append(out, &toolResultBlock{
				Type: "tool_result", ToolUseID: p.Result.CallID, Content: p.Result.Text, IsError: p.Result.IsError,
			})
		case strings.TrimSpace(p.Text) != "": // the API refuses blank text
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
