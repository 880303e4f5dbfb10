// Package suite is what every llm.Provider must pass.
package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mgx/internal/llm"
	"mgx/internal/llm/llmtest"
)

// Model is the model that the suite asks for.
const Model = "suite-model"

// Factory returns a provider whose model Model follows the script. Requests of
// the suite say "role: NAME" in the system prompt, for providers behind a wire.
type Factory func(t *testing.T, script llmtest.Script) llm.Provider

// script holds what the suite lets the model say.
func script() llmtest.Script {
	call := func(name, args string) llmtest.Call { return llmtest.Call{Name: name, Args: json.RawMessage(args)} }
	s := llmtest.Script{
		Models: []string{Model, "other-model"},
		Roles: map[string][]llmtest.Turn{
			"talker":  {{Text: "Hello, wörld — 你好, this is a longer answer in several pieces. <&>\n"}},
			"empty":   {{}},
			"short":   {{Text: "I was cut", Finish: llm.FinishLength}},
			"caller":  {{Text: "Let me look.", Calls: []llmtest.Call{call("read", `{"path":"a\"b\\ü.txt","n":12345678901234567890}`)}}, {Text: "Done.", Expect: "the file"}},
			"several": {{Calls: []llmtest.Call{call("read", `{"path":"a"}`), call("read", `{"path":"b"}`), call("list", `{}`)}}},
			"broken":  {{Calls: []llmtest.Call{call("read", `"{\"path\": "`)}}},
		},
		Match: map[string]string{},
	}
	for role := range s.Roles {
		s.Match[role] = "role: " + role
	}
	return s
}

// background is the context of most calls of the suite: nobody ends it, so that
// an answer which the provider does not close stays open.
var background = context.Background()

// Run runs the suite.
func Run(t *testing.T, factory Factory) {
	provider := factory(t, script())
	for name, test := range map[string]func(*testing.T, llm.Provider){
		"text":             testText,
		"empty answer":     testEmpty,
		"cut answer":       testLength,
		"tool calls":       testCalls,
		"broken arguments": testBrokenArguments,
		"conversation":     testConversation,
		"early break":      testBreak,
		"cancelled":        testCancelled,
		"unknown model":    testUnknownModel,
		"orphan call":      testOrphan,
		"models":           testModels,
	} {
		t.Run(name, func(t *testing.T) { test(t, provider) })
	}
}

func request(role string) *llm.Request {
	return &llm.Request{
		Model: Model, System: "role: " + role, MaxTokens: 1000, AgentRole: role,
		Messages: []llm.Message{{Role: llm.User, Parts: []llm.Part{{Text: "Please."}}}},
		Tools: []llm.ToolSpec{
			{Name: "read", Description: "Read a file.", Schema: json.RawMessage(`{"type":"object","properties":{"path":{"type":"string"}}}`)},
			{Name: "list", Description: "List files.", Schema: json.RawMessage(`{"type":"object"}`)},
		},
	}
}

// ask collects a stream and checks what holds for every one: the request stays as
// it was, the last chunk and no other has the response, and deltas add up to it.
func ask(t *testing.T, p llm.Provider, req *llm.Request) *llm.Response {
	t.Helper()
	before, _ := json.Marshal(req)
	var shown strings.Builder
	var told pieces
	var resp *llm.Response
	for chunk, err := range p.Stream(background, req) {
		if err != nil {
			t.Fatalf("stream: %v", err)
		}
		if resp != nil {
			t.Fatal("a chunk came after the response")
		}
		shown.WriteString(chunk.Text)
		if err := told.add(chunk); err != nil {
			t.Fatal(err)
		}
		resp = chunk.Response
	}
	if after, _ := json.Marshal(req); string(after) != string(before) {
		t.Errorf("the request was modified:\n%s\n%s", before, after)
	}
	if resp == nil {
		t.Fatal("the stream ended without a response")
	}
	if resp.Message.Role != llm.Assistant || resp.Provider != p.Name() || resp.Model != req.Model {
		t.Errorf("response of role %q, provider %q, model %q", resp.Message.Role, resp.Provider, resp.Model)
	}
	if got := text(resp); got != shown.String() {
		t.Errorf("deltas say %q, the response %q", shown.String(), got)
	}
	if got := calls(resp); !slices.Equal(got, told.calls) {
		t.Errorf("deltas make the calls %q, the response %q", told.calls, got)
	}
	if !resp.UsageOK || resp.Usage.Prompt <= 0 || resp.Usage.Completion <= 0 {
		t.Errorf("usage %+v, ok %v", resp.Usage, resp.UsageOK)
	}
	return resp
}

// pieces puts calls together from the deltas for watchers.
type pieces struct {
	calls []llm.ToolCall
	count int // deltas with arguments
}

func (p *pieces) add(c llm.Chunk) error {
	if c.ToolName == "" && c.ToolArgs == "" {
		return nil
	}
	begins := c.ToolName != ""
	for begins && len(p.calls) <= c.ToolIndex && c.ToolIndex < 10_000 {
		p.calls = append(p.calls, llm.ToolCall{})
	}
	if c.ToolIndex >= len(p.calls) || begins == (p.calls[c.ToolIndex].ID != "") || begins != (c.ToolID != "") {
		return fmt.Errorf("a piece of a call out of turn: %+v after %+v", c, p.calls)
	}
	call := &p.calls[c.ToolIndex]
	if begins {
		call.ID, call.Name = c.ToolID, c.ToolName
	}
	if call.Args += c.ToolArgs; c.ToolArgs != "" {
		p.count++
	}
	return nil
}

func text(resp *llm.Response) string {
	var all strings.Builder
	for _, p := range resp.Message.Parts {
		all.WriteString(p.Text)
	}
	return all.String()
}

// shownParts counts the parts that are not a dialect's own.
func shownParts(resp *llm.Response) int {
	n := 0
	for _, p := range resp.Message.Parts {
		if p.Opaque == nil {
			n++
		}
	}
	return n
}

func calls(resp *llm.Response) []llm.ToolCall {
	var out []llm.ToolCall
	for _, p := range resp.Message.Parts {
		if p.Call != nil {
			out = append(out, *p.Call)
		}
	}
	return out
}

func testText(t *testing.T, p llm.Provider) {
	resp := ask(t, p, request("talker"))
	if want := script().Roles["talker"][0].Text; text(resp) != want || shownParts(resp) != 1 {
		t.Errorf("got %q in %d parts, want %q in one", text(resp), shownParts(resp), want)
	}
	if resp.Finish != llm.FinishStop {
		t.Errorf("finish %q", resp.Finish)
	}
}

func testEmpty(t *testing.T, p llm.Provider) {
	if resp := ask(t, p, request("empty")); text(resp) != "" || resp.Finish != llm.FinishStop {
		t.Errorf("got %q, finish %q", text(resp), resp.Finish)
	}
}

func testLength(t *testing.T, p llm.Provider) {
	if resp := ask(t, p, request("short")); resp.Finish != llm.FinishLength {
		t.Errorf("finish %q", resp.Finish)
	}
}

func testCalls(t *testing.T, p llm.Provider) {
	resp := ask(t, p, request("several"))
	got := calls(resp)
	if resp.Finish != llm.FinishTools || len(got) != 3 {
		t.Fatalf("finish %q with %d calls", resp.Finish, len(got))
	}
	ids := map[string]bool{}
	for i, want := range []string{`{"path":"a"}`, `{"path":"b"}`, `{}`} {
		ids[got[i].ID] = true
		if got[i].Args != want {
			t.Errorf("arguments %d: %q, want %q", i, got[i].Args, want)
		}
	}
	if len(ids) != 3 || ids[""] {
		t.Errorf("ids are not unique: %v", ids)
	}
}

// testBrokenArguments: what the model wrote is not the provider's to judge. Where
// arguments are an object on the wire, the answer breaks off instead.
func testBrokenArguments(t *testing.T, p llm.Provider) {
	for _, err := range p.Stream(background, request("broken")) {
		if e, ok := errors.AsType[*llm.CallError](err); ok && e.Retryable() && strings.Contains(e.Message, "MALFORMED_FUNCTION_CALL") {
			return
		}
	}
	if got := calls(ask(t, p, request("broken"))); len(got) != 1 || got[0].Args != `{"path": ` {
		t.Errorf("got %+v: what the model wrote is not the provider's to judge", got)
	}
}

func testConversation(t *testing.T, p llm.Provider) {
	req := request("caller")
	first := ask(t, p, req)
	call := calls(first)[0]
	if want := string(script().Roles["caller"][0].Calls[0].Args); call.Args != want {
		t.Errorf("arguments %q, want %q", call.Args, want)
	}
	req.Messages = append(req.Messages, first.Message, llm.Message{Role: llm.Tool, Parts: []llm.Part{
		{Result: &llm.ToolResult{CallID: call.ID, Name: call.Name, Text: "the file's content"}},
	}})
	if second := ask(t, p, req); text(second) != "Done." {
		t.Errorf("second answer %q", text(second))
	}
}

func testBreak(t *testing.T, p llm.Provider) {
	for _, err := range p.Stream(background, request("talker")) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
}

func testCancelled(t *testing.T, p llm.Provider) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for chunk, err := range p.Stream(ctx, request("talker")) {
		if err == nil || chunk.Response != nil {
			t.Fatal("a cancelled call answered")
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
}

func testUnknownModel(t *testing.T, p llm.Provider) {
	req := request("talker")
	req.Model = "no-such-model"
	e, ok := errors.AsType[*llm.CallError](fail(t, p, req))
	if !ok || !e.NoModel || e.Fault != llm.FaultRequest || e.Retryable() {
		t.Errorf("got %+v", e)
	}
}

func testOrphan(t *testing.T, p llm.Provider) {
	req := request("caller")
	req.Messages = append(req.Messages, llm.Message{Role: llm.Assistant, Parts: []llm.Part{
		{Call: &llm.ToolCall{ID: "x", Name: "read", Args: "{}"}},
	}}, llm.Message{Role: llm.User, Parts: []llm.Part{{Text: "And?"}}})
	if err := fail(t, p, req); !strings.Contains(err.Error(), "result of tool call") {
		t.Errorf("got %v", err)
	}
}

// fail returns the error of a call that must fail.
func fail(t *testing.T, p llm.Provider, req *llm.Request) error {
	t.Helper()
	var last error
	for _, err := range p.Stream(background, req) {
		last = err
	}
	if last == nil {
		t.Fatal("the call succeeded")
	}
	return last
}

func testModels(t *testing.T, p llm.Provider) {
	models, err := p.Models(t.Context())
	if err != nil || len(models) != 2 || models[0].ID != Model {
		t.Errorf("got %v, %v", models, err)
	}
}
