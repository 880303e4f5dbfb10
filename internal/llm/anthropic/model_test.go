package anthropic

import (
	"encoding/json"
	"strings"
	"testing"

	"mgx/internal/llm"
)

// TestThink: what becomes of an effort on every generation of models.
func TestThink(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ model, effort, thinking, effortSent string }{
		{"claude-sonnet-5", "", "", ""},
		{"claude-3-5-sonnet-20241022", "high", "", ""},
		{"claude-3-7-sonnet-20250219", "low", `{"type":"enabled","budget_tokens":2048}`, ""},
		{"claude-sonnet-4-20250514", "high", `{"type":"enabled","budget_tokens":24576}`, ""},
		{"claude-sonnet-4-5-20250929", "none", "", ""},
		{"claude-opus-4-6", "medium", `{"type":"adaptive"}`, "medium"},
		{"claude-opus-4-8", "none", "", ""},
		{"claude-sonnet-5", "high", `{"type":"adaptive"}`, "high"},
		{"claude-sonnet-5", "none", `{"type":"disabled"}`, ""},
		{"claude-opus-5", "none", `{"type":"disabled"}`, ""},
		{"claude-haiku-5-5", "none", `{"type":"disabled"}`, ""},
		{"claude-sonnet-5-5", "none", `{"type":"between_tools"}`, ""},
		{"claude-opus-5-5", "none", "", "low"},
		{"claude-fable-5-1", "none", "", "low"},
		{"claude-mythos-preview", "none", "", "low"},
		{"claude-new-7", "none", "", "low"},
		{"glm-4.7", "high", "", ""},
	} {
		req := basicRequest(c.model)
		req.MaxTokens, req.Effort = 64000, c.effort
		got := encode(req)
		thinking, effort := "", ""
		if got.Thinking != nil {
			thinking = string(llm.MarshalWire(got.Thinking))
		}
		if got.OutputConfig != nil {
			effort = got.OutputConfig.Effort
		}
		if thinking != c.thinking || effort != c.effortSent {
			t.Errorf("%s, %q: %s and %q, want %s and %q", c.model, c.effort, thinking, effort, c.thinking, c.effortSent)
		}
	}
	req := basicRequest("claude-sonnet-4-20250514")
	if req.MaxTokens, req.Effort = 2000, "high"; encode(req).Thinking != nil {
		t.Error("a budget of less than the API's least was asked for")
	}
}

// TestThinkingDoesNotBeginWithinAnAnswer: the API refuses to continue an answer
// with thinking that began without.
func TestThinkingDoesNotBeginWithinAnAnswer(t *testing.T) {
	t.Parallel()
	req := basicRequest("claude-sonnet-4-20250514")
	req.MaxTokens, req.Effort = 10_000, "high"
	call := llm.Message{Role: llm.Assistant, Parts: []llm.Part{
		{Opaque: &llm.Opaque{Dialect: dialect, Raw: json.RawMessage(`{"mgx.rest":{"caller":{"type":"direct"}}}`)}},
		{Call: &llm.ToolCall{ID: "a", Name: "t", Args: "{}"}},
	}}
	result := llm.Message{Role: llm.Tool, Parts: []llm.Part{{Result: &llm.ToolResult{CallID: "a", Text: "x"}}}}
	req.Messages = append(req.Messages, call, result)
	if encode(req).Thinking != nil {
		t.Error("thinking begins within an answer")
	}
	call.Parts[0].Opaque.Raw = json.RawMessage(`{"type":"thinking","thinking":"hm","signature":"s"}`)
	if encode(req).Thinking == nil {
		t.Error("thinking ends within an answer")
	}
}

func TestSampling(t *testing.T) {
	t.Parallel()
	half := 0.5
	req := basicRequest("claude-sonnet-4-5")
	req.Temperature, req.TopP, req.Stop = &half, &half, []string{"END"}
	req.Tools, req.ToolChoice = []llm.ToolSpec{{Name: "t", Schema: json.RawMessage(`{}`)}}, "required"
	if got := encode(req); got.Temperature == nil || got.TopP != nil || got.StopSequences[0] != "END" || got.ToolChoice.Type != "any" {
		t.Errorf("got %+v", got)
	}
	req.Temperature = nil
	if got := encode(req); got.TopP == nil {
		t.Errorf("got %+v", got)
	}
	req.Effort, req.MaxTokens = "low", 10_000
	if got := encode(req); got.TopP != nil || got.ToolChoice.Type != "auto" || got.Thinking == nil {
		t.Errorf("thinking: got %+v", got)
	}
	req.Model, req.Effort = "claude-opus-5-5", ""
	if got := encode(req); got.TopP != nil || got.ToolChoice.Type != "auto" || got.StopSequences == nil {
		t.Errorf("a model with sampling of its own: got %+v", got)
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	req := basicRequest("claude-sonnet-5")
	req.Effort = "low"
	req.Format = &llm.Format{Schema: json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer","minimum":1},"list":{"type":"array","minItems":1,"maxItems":3,"items":{"type":"object","properties":{}}}},"required":["n"]}`)}
	got := string(llm.MarshalWire(encode(req).OutputConfig))
	want := `{"effort":"low","format":{"type":"json_schema","schema":{"additionalProperties":false,"properties":{"list":{"items":{"additionalProperties":false,"properties":{},"type":"object"},"minItems":1,"type":"array"},"n":{"type":"integer"}},"required":["n"],"type":"object"}}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	req.Model = "claude-sonnet-4-20250514"
	for _, err := range New(Options{}).Stream(t.Context(), req) {
		if e, ok := err.(*llm.CallError); !ok || e.Fault != llm.FaultRequest || !strings.Contains(e.Message, "schema") {
			t.Errorf("a model that takes no form: %v", err)
		}
	}
}
