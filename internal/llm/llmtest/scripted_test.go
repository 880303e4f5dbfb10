package llmtest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/llm/llmtest"
	"mgx/internal/llm/llmtest/suite"
)

func TestScriptedConforms(t *testing.T) {
	t.Parallel()
	suite.Run(t, func(_ *testing.T, s llmtest.Script) llm.Provider { return llmtest.NewScripted(s) })
}

const twoTurns = `{
	"models": ["m"],
	"roles": {
		"implementer": [
			{"text": "first", "calls": [{"name": "read", "args": {"path": "a"}}]},
			{"text": "second", "expect": "content of a"}
		],
		"implementer-2": [{"text": "by conversation"}],
		"flaky": [{"text": "at last", "error": "overloaded", "error_times": 2}],
		"dead": [{"text": "never", "error": "rate_limit"}],
		"slow": [{"text": "later", "delay_ms": 60000}],
		"priced": [{"text": "x", "usage": {"prompt": 7, "completion": 3}}]
	}
}`

func load(t *testing.T) *llmtest.Scripted {
	t.Helper()
	s, err := llmtest.ParseScript([]byte(twoTurns))
	if err != nil {
		t.Fatal(err)
	}
	return llmtest.NewScripted(s)
}

func ask(role, conversation string, messages ...llm.Message) *llm.Request {
	first := llm.Message{Role: llm.User, Parts: []llm.Part{{Text: "go"}}}
	return &llm.Request{
		Model: "m", MaxTokens: 10, AgentRole: role, Conversation: conversation,
		Messages: append([]llm.Message{first}, messages...),
	}
}

func answer(ctx context.Context, s *llmtest.Scripted, req *llm.Request) (*llm.Response, error) {
	for chunk, err := range s.Stream(ctx, req) {
		if err != nil {
			return nil, err
		}
		if chunk.Response != nil {
			return chunk.Response, nil
		}
	}
	return nil, errors.New("no response")
}

func said(resp *llm.Response) string {
	var text strings.Builder
	for _, p := range resp.Message.Parts {
		text.WriteString(p.Text)
	}
	return text.String()
}

// TestScriptedGoesOnInAnotherProcess: the turn depends on the request alone.
func TestScriptedGoesOnInAnotherProcess(t *testing.T) {
	t.Parallel()
	first, err := answer(t.Context(), load(t), ask("implementer", "x"))
	if err != nil || said(first) != "first" {
		t.Fatal(first, err)
	}
	id := first.Message.Parts[1].Call.ID
	req := ask("implementer", "x", first.Message, llm.Message{Role: llm.Tool, Parts: []llm.Part{{Result: &llm.ToolResult{CallID: id, Text: "the content of a"}}}})
	for range 2 { // asking again gets the same
		second, err := answer(t.Context(), load(t), req)
		if err != nil || said(second) != "second" {
			t.Fatal(second, err)
		}
	}
	req.Messages[2].Parts[0].Result.Text = "no such file"
	if _, err := answer(t.Context(), load(t), req); err == nil || !strings.Contains(err.Error(), `"content of a"`) || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("got %v: it must show what was expected and what came", err)
	}
	req.Messages[2].Parts[0].Result.Text = "the content of a"
	req.Messages = append(req.Messages, llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Text: "second"}}}, llm.Message{Role: llm.User, Parts: []llm.Part{{Text: "and now?"}}})
	if _, err := answer(t.Context(), load(t), req); err == nil || !strings.Contains(err.Error(), "turn 3") || !strings.Contains(err.Error(), "and now?") {
		t.Errorf("got %v: it must say that the script is over", err)
	}
}

func TestScriptedChoosesTheRole(t *testing.T) {
	t.Parallel()
	s := load(t)
	if resp, err := answer(t.Context(), s, ask("implementer", "implementer-2")); err != nil || said(resp) != "by conversation" {
		t.Errorf("conversation: %v, %v", resp, err)
	}
	if _, err := answer(t.Context(), s, ask("stranger", "x")); err == nil || !strings.Contains(err.Error(), "stranger") {
		t.Errorf("unknown role: %v", err)
	}
	if resp, err := answer(t.Context(), s, ask("priced", "")); err != nil || resp.Usage != (mgx.Usage{Prompt: 7, Completion: 3}) {
		t.Errorf("usage: %+v, %v", resp, err)
	}
}

func TestScriptedFaults(t *testing.T) {
	t.Parallel()
	s := load(t)
	for i := range 4 {
		_, err := answer(t.Context(), s, ask("flaky", ""))
		e, _ := errors.AsType[*llm.CallError](err)
		if failed := i < 2; (e != nil) != failed || (e != nil && e.Fault != llm.FaultOverloaded) {
			t.Errorf("call %d: %v", i, err)
		}
		if _, err := answer(t.Context(), s, ask("dead", "")); err == nil {
			t.Error("a fault without a number passed")
		}
	}
}

func TestScriptedDelays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if _, err := answer(t.Context(), load(t), ask("slow", "")); err != nil || time.Since(start) != time.Minute {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := answer(ctx, load(t), ask("slow", "")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

func TestParseScriptRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{``, `{}`, `{"roles":{"a":[{"txt":"typo"}]}}`, `{"roles":[]}`} {
		if _, err := llmtest.ParseScript([]byte(s)); !mgx.IsCode(err, "bad_script") {
			t.Errorf("%q: %v", s, err)
		}
	}
}
