package openai_test

import (
	"encoding/json"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/llm/llmtest/suite"
)

// TestRecordings decodes what OpenAI, Azure, OpenRouter, Groq, Hugging Face,
// llama.cpp, xAI and others really sent, and compares with a plain reading of it.
func TestRecordings(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, pattern := range []string{
		"TestOpenAICommon/*/*.yaml", "TestOpenAIObjectGeneration/*/*.yaml", "TestAzureCommon/*/*.yaml", "TestAzureThinking/*/*.yaml",
		"TestOpenAICompatible*/*/*.yaml", "TestOpenRouterThinking/*/*.yaml",
	} {
		for name, exchanges := range suite.Cassettes(t, pattern) {
			t.Run(name, func(t *testing.T) {
				p := connect(suite.Replay(t, exchanges), suite.Key)
				for _, e := range exchanges {
					checkRecording(t, p, e)
					seen++
				}
			})
		}
	}
	if seen < 50 {
		t.Errorf("only %d exchanges were decoded", seen)
	}
}

func checkRecording(t *testing.T, p llm.Provider, e suite.Exchange) {
	t.Helper()
	want := plainly(t, e.Response)
	req := &llm.Request{Model: "m", MaxTokens: 1, Messages: []llm.Message{{Role: llm.User, Parts: []llm.Part{{Text: "?"}}}}}
	var got plain
	var resp *llm.Response
	for chunk, err := range p.Stream(t.Context(), req) {
		if err != nil {
			t.Fatal(err)
		}
		got.thinking += chunk.Thinking
		resp = chunk.Response
	}
	for _, part := range resp.Message.Parts {
		got.text += part.Text
		if part.Call != nil {
			got.calls = append(got.calls, part.Call.ID+" "+part.Call.Name+" "+part.Call.Args)
		}
	}
	if got.text != want.text || got.thinking != want.thinking || strings.Join(got.calls, "\n") != strings.Join(want.calls, "\n") {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if !resp.UsageOK || resp.Usage != want.usage {
		t.Errorf("usage %+v, want %+v", resp.Usage, want.usage)
	}
	if tools := resp.Finish == llm.FinishTools; tools != (len(want.calls) > 0) {
		t.Errorf("finish %q with %d calls", resp.Finish, len(want.calls))
	}
}

// plain is an answer read without any of the code under test.
type plain struct {
	text, thinking string
	calls          []string // id, name, arguments
	usage          mgx.Usage
}

func plainly(t *testing.T, body string) plain {
	t.Helper()
	var out plain
	type call struct{ id, name, args string }
	var calls []*call
	read := func(doc string) {
		var v map[string]any
		if err := json.Unmarshal([]byte(doc), &v); err != nil {
			t.Fatalf("%v in %s", err, doc)
		}
		if u, ok := v["usage"].(map[string]any); ok {
			n := func(in, key string) int64 {
				of, _ := u[in].(map[string]any)
				f, _ := of[key].(float64)
				return int64(f)
			}
			out.usage = mgx.Usage{
				Prompt: int64(u["prompt_tokens"].(float64)), Completion: int64(u["total_tokens"].(float64) - u["prompt_tokens"].(float64)),
				Cached: n("prompt_tokens_details", "cached_tokens"), CacheWrite: n("prompt_tokens_details", "cache_write_tokens"),
				Reasoning: n("completion_tokens_details", "reasoning_tokens"),
			}
		}
		choices, _ := v["choices"].([]any)
		for _, c := range choices {
			m, _ := c.(map[string]any)["delta"].(map[string]any)
			if m == nil {
				m, _ = c.(map[string]any)["message"].(map[string]any)
			}
			text := func(key string) string { s, _ := m[key].(string); return s }
			out.text += text("content")
			if thinking := text("reasoning_content"); thinking != "" {
				out.thinking += thinking
			} else {
				out.thinking += text("reasoning")
			}
			list, _ := m["tool_calls"].([]any)
			for i, tc := range list {
				d := tc.(map[string]any)
				f := d["function"].(map[string]any)
				at := i
				if n, ok := d["index"].(float64); ok {
					at = int(n)
				}
				for len(calls) <= at {
					calls = append(calls, &call{})
				}
				if id, ok := d["id"].(string); ok && id != "" {
					calls[at].id = id
				}
				if name, ok := f["name"].(string); ok && name != "" {
					calls[at].name = name
				}
				args, _ := f["arguments"].(string)
				calls[at].args += args
			}
		}
	}
	if strings.HasPrefix(strings.TrimSpace(body), "{") {
		read(body)
	} else {
		for line := range strings.Lines(body) {
			if data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: "); ok && data != "[DONE]" {
				read(data)
			}
		}
	}
	for _, c := range calls {
		out.calls = append(out.calls, c.id+" "+c.name+" "+c.args)
	}
	return out
}
