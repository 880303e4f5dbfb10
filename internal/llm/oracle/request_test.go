package oracle

import (
	"encoding/json"
	"fmt"

	"pgregory.net/rapid"

	"mgx/internal/llm"
)

// requests are all that an agent or a client of the gateway may ask: whole
// conversations with calls, results and whatever texts there are.
func requests(models []string) *rapid.Generator[*llm.Request] {
	return rapid.Custom(func(t *rapid.T) *llm.Request {
		req := &llm.Request{
			Model: rapid.SampledFrom(models).Draw(t, "model"), System: text().Draw(t, "system"),
			MaxTokens: rapid.IntRange(1, 64000).Draw(t, "max tokens"), Messages: messages(t),
			Temperature: optional(rapid.Float64Range(0, 1)).Draw(t, "temperature"), TopP: optional(rapid.Float64Range(0, 1)).Draw(t, "top p"),
			Seed:   optional(rapid.Int64Range(0, 1<<31)).Draw(t, "seed"),
			Effort: rapid.SampledFrom([]string{"", "none", "low", "medium", "high"}).Draw(t, "effort"),
			Stop:   rapid.SliceOfN(rapid.StringN(1, 5, -1), 0, 2).Draw(t, "stop"),
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "tools") {
			req.Tools = append(req.Tools, llm.ToolSpec{Name: fmt.Sprintf("tool_%d", i), Description: text().Draw(t, "description"), Schema: schema(t)})
		}
		req.ToolChoice = rapid.SampledFrom([]string{"", "none", "required"}).Draw(t, "tool choice")
		if rapid.Bool().Draw(t, "format") {
			req.Format = &llm.Format{Name: text().Draw(t, "name"), Schema: schema(t)}
		}
		return req
	})
}

func optional[T any](g *rapid.Generator[T]) *rapid.Generator[*T] {
	return rapid.Custom(func(t *rapid.T) *T {
		if !rapid.Bool().Draw(t, "set") {
			return nil
		}
		v := g.Draw(t, "value")
		return &v
	})
}

func text() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom([]string{"", " ", "hello <b> & \u2028 \"x\" 你好"}), rapid.String())
}

func schema(t *rapid.T) json.RawMessage {
	return json.RawMessage(rapid.SampledFrom([]string{
		`{"type":"object"}`,
		`{"type":"object","properties":{"path":{"type":"string","description":"which <file>"},"n":{"type":["integer","null"],"minimum":1}},"required":["path"]}`,
		`{"type":"object","properties":{"a":{"anyOf":[{"type":"string"},{"type":"array","items":{"type":"number"}}]}},"required":["a"],"additionalProperties":false}`,
	}).Draw(t, "schema"))
}

// kept are blocks as the dialects keep them of an answer: what does not belong
// to the one under test must not show.
func kept(t *rapid.T) []llm.Part {
	blocks := []llm.Opaque{
		{Dialect: "responses/openai", Raw: json.RawMessage(`{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"<hm>"}],"encrypted_content":"gAAA"}`)},
		{Dialect: "responses/openai", Raw: json.RawMessage(`{"mgx.rest":{"id":"msg_1","status":"completed"}}`)},
		{Dialect: "anthropic", Raw: json.RawMessage(`{"type":"thinking","thinking":"<hm>","signature":"s+/="}`)},
		{Dialect: "anthropic", Raw: json.RawMessage(`{"type":"redacted_thinking","data":"d"}`)},
		{Dialect: "gemini", Raw: json.RawMessage(`{"mgx.rest":{"thoughtSignature":"s"}}`)},
	}
	var out []llm.Part
	for i := range blocks {
		if rapid.Bool().Draw(t, "kept") {
			out = append(out, llm.Part{Opaque: &blocks[i]})
		}
	}
	return out
}

// messages is a conversation in which every call has its result.
func messages(t *rapid.T) []llm.Message {
	all := []llm.Message{{Role: llm.User, Parts: []llm.Part{{Text: "Begin."}}}}
	for range rapid.IntRange(0, 4).Draw(t, "turns") {
		answer := llm.Message{Role: llm.Assistant, Parts: kept(t)}
		answer.Parts = append(answer.Parts, llm.Part{Text: text().Draw(t, "text")})
		results := llm.Message{Role: llm.Tool}
		for i := range rapid.IntRange(0, 2).Draw(t, "calls") {
			id := fmt.Sprintf("call%03d%02d", len(all), i)
			answer.Parts = append(answer.Parts, llm.Part{Call: &llm.ToolCall{
				ID: id, Name: "tool_0", Args: rapid.SampledFrom([]string{"", "{}", `{"path":"<a>","n":12}`, `{"path":`}).Draw(t, "arguments"),
			}})
			results.Parts = append(results.Parts, llm.Part{Result: &llm.ToolResult{
				CallID: id, Name: "tool_0", Text: text().Draw(t, "result"), IsError: rapid.Bool().Draw(t, "failed"),
			}})
		}
		all = append(all, answer)
		if len(results.Parts) > 0 {
			all = append(all, results)
		}
		if rapid.Bool().Draw(t, "goes on") {
			all = append(all, llm.Message{Role: llm.User, Parts: []llm.Part{{Text: text().Draw(t, "more")}}})
		}
	}
	return all
}
