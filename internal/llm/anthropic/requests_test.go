package anthropic_test

import (
	"testing"

	"mgx/internal/llm"
	"mgx/internal/llm/llmtest/suite"
)

// TestRecordedRequests: for the same conversations we send what was recorded,
// signed thinking and all.
func TestRecordedRequests(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"TestAnthropicCommon*/*/*.yaml", "TestAnthropicThinking/*/*.yaml"} {
		suite.CheckRequests(t, pattern, connect, complete, normal)
	}
}

func complete(req *llm.Request, recorded suite.Doc) {
	if recorded["thinking"] != nil {
		req.Effort = "low"
	}
}

// normal: where the cache is marked is for us to say, and how much to think is a
// number of our own.
func normal(d suite.Doc) {
	delete(d, "stream")
	if thinking, ok := d["thinking"].(suite.Doc); ok {
		delete(thinking, "budget_tokens")
	}
	suite.Each(d, func(d suite.Doc) {
		delete(d, "cache_control")
		delete(d, "disable_parallel_tool_use")
		if text, ok := d["content"].(string); ok && d["type"] == "tool_result" {
			d["content"] = []any{suite.Doc{"type": "text", "text": text}}
		}
	})
}
