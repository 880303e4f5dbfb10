package oracle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	anthropicsdk "github.com/anthropics/anthropic-sdk-go/v2"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/v2/option"
	openaisdk "github.com/openai/openai-go/v3"
	openaioption "github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/gateway"
	"mgx/internal/llm"
	"mgx/internal/llm/anthropic"
	"mgx/internal/llm/gemini"
	"mgx/internal/llm/llmtest"
	"mgx/internal/llm/openai"
)

// gate is a gateway with a provider of each dialect behind it.
type gate struct {
	url, secret string
	settled     *settled
	posts       func() int
}

// settled counts what is set aside and settled.
type settled struct {
	mu         sync.Mutex
	open, done int
	cap        bool
}

func (s *settled) Open(context.Context, mgx.APIKey, string) gateway.Account { return s }

func (s *settled) Capped() bool { return false }

func (s *settled) Reserve(llm.Spend) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cap {
		return mgx.Errorf(mgx.KindBudget, mgx.CodeBudgetExceeded, "the budget is used up")
	}
	s.open++
	return nil
}

func (s *settled) SettleNow(mgx.Settlement) error { return s.Close(mgx.Settlement{ID: "1"}, nil) }

func (s *settled) Close(one mgx.Settlement, _ []mgx.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one.ID != "" {
		s.open--
		s.done++
	}
	return nil
}

// oneKey is a store of one key.
type oneKey struct{ key mgx.APIKey }

func (k oneKey) Key(_ context.Context, id mgx.KeyID) (mgx.APIKey, error) {
	if id != k.key.ID {
		return k.key, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "no key")
	}
	return k.key, nil
}

func (oneKey) TouchKey(context.Context, mgx.KeyID, time.Time) error { return nil }

const aim = "look at this"

func newGate(t *testing.T) *gate {
	t.Helper()
	turns := []llmtest.Turn{
		{Thinking: "Somebody should look.", Text: "I look.", Calls: []llmtest.Call{{Name: "look", Args: json.RawMessage(`{"at":"it"}`)}}},
		{Text: "It is warm.", Expect: "21 degrees"},
	}
	up := &llmtest.Server{Key: "sk-upstream", Provider: llmtest.NewScripted(llmtest.Script{
		Models: []string{"m1"}, Roles: map[string][]llmtest.Turn{"any": turns}, Match: map[string]string{"any": ""},
	})}
	upstream := httptest.NewServer(up)
	t.Cleanup(upstream.Close)
	at := func(name string) llm.Connection {
		return llm.Connection{Name: name, BaseURL: upstream.URL, APIKey: "sk-upstream"}
	}
	router := llm.NewRouter(llm.Options{
		Providers: []llm.Provider{openai.New(at("chat")), openai.NewResponses(at("resp")), anthropic.New(at("claude")), gemini.New(at("gem"))},
		Prices:    llm.BuiltinPrices(), Retries: -1,
	})
	key, secret := access.NewKey(mgx.APIKey{Workspace: "ws_a", User: "user_a"})
	g := &gate{secret: secret, settled: &settled{}, posts: up.Requests}
	s := gateway.New(gateway.Options{
		Keys: access.NewKeyring(oneKey{key}, nil), Books: g.settled,
		Models: &gateway.Routed{Router: func(context.Context, mgx.WorkspaceID) (*llm.Router, error) { return router, nil }},
	})
	t.Cleanup(s.Close)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	g.url = server.URL
	return g
}

func (g *gate) openai() openaisdk.Client {
	return openaisdk.NewClient(openaioption.WithBaseURL(g.url+"/v1/"), openaioption.WithAPIKey(g.secret))
}

func (g *gate) anthropic() anthropicsdk.Client {
	return anthropicsdk.NewClient(anthropicoption.WithBaseURL(g.url), anthropicoption.WithAPIKey(g.secret))
}

var schema21 = map[string]any{"type": "object", "properties": map[string]any{"at": map[string]any{"type": "string"}}, "required": []string{"at"}}

// TestSDKsAgainstGateway: the official SDKs, as they are, hold a conversation with
// tools through the gateway with a provider of each dialect, whole and streamed.
func TestSDKsAgainstGateway(t *testing.T) {
	t.Parallel()
	for _, sdk := range []struct {
		name string
		talk func(t *testing.T, g *gate, model string, stream bool) (said []string, calls string)
	}{
		{"Chat", chatSDK},
		{"Responses", responsesSDK},
		{"Messages", messagesSDK},
	} {
		for _, provider := range []string{"chat", "resp", "claude", "gem"} {
			for _, stream := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s to %s, stream %v", sdk.name, provider, stream), func(t *testing.T) {
					t.Parallel()
					g := newGate(t)
					said, calls := sdk.talk(t, g, provider+"/m1", stream)
					if strings.Join(said, "|") != "I look.|It is warm." || calls != `look {"at":"it"}` {
						t.Errorf("said %q, called %s", said, calls)
					}
					if g.settled.open != 0 || g.settled.done != 2 {
						t.Errorf("%d open, %d settled", g.settled.open, g.settled.done)
					}
				})
			}
		}
	}
}

func chatSDK(t *testing.T, g *gate, model string, stream bool) (said []string, calls string) {
	client := g.openai()
	params := openaisdk.ChatCompletionNewParams{
		Model:    model,
		Messages: []openaisdk.ChatCompletionMessageParamUnion{openaisdk.SystemMessage("be brief"), openaisdk.UserMessage(aim)},
		Tools:    []openaisdk.ChatCompletionToolUnionParam{openaisdk.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "look", Parameters: schema21})},
	}
	for range 2 {
		var answer openaisdk.ChatCompletion
		if stream {
			var acc openaisdk.ChatCompletionAccumulator
			events := client.Chat.Completions.NewStreaming(t.Context(), params)
			for events.Next() {
				if !acc.AddChunk(events.Current()) {
					t.Fatalf("the accumulator does not take %s", events.Current().RawJSON())
				}
			}
			must(t, events.Err())
			answer = acc.ChatCompletion
		} else {
			whole, err := client.Chat.Completions.New(t.Context(), params)
			must(t, err)
			answer = *whole
			if answer.Usage.PromptTokens == 0 {
				t.Errorf("usage %+v", answer.Usage)
			}
		}
		endsWith(t, answer.Choices[0].FinishReason, "tool_calls", "stop", len(said))
		message := answer.Choices[0].Message
		said = append(said, message.Content)
		params.Messages = append(params.Messages, message.ToParam())
		for _, c := range message.ToolCalls {
			calls += c.Function.Name + " " + c.Function.Arguments
			params.Messages = append(params.Messages, openaisdk.ToolMessage("it is 21 degrees", c.ID))
		}
	}
	return said, calls
}

func responsesSDK(t *testing.T, g *gate, model string, stream bool) (said []string, calls string) {
	client := g.openai()
	params := responses.ResponseNewParams{
		Model: model, Instructions: openaisdk.String("be brief"),
		Input: responses.ResponseNewParamsInputUnion{OfInputItemList: responses.ResponseInputParam{
			responses.ResponseInputItemParamOfMessage(aim, responses.EasyInputMessageRoleUser),
		}},
		Tools: []responses.ToolUnionParam{responses.ToolParamOfFunction("look", schema21, false)},
	}
	for range 2 {
		var answer responses.Response
		if stream {
			text := ""
			events := client.Responses.NewStreaming(t.Context(), params)
			for events.Next() {
				switch e := events.Current().AsAny().(type) {
				case responses.ResponseTextDeltaEvent:
					text += e.Delta
				case responses.ResponseCompletedEvent:
					answer = e.Response
				}
			}
			must(t, events.Err())
			if text != answer.OutputText() {
				t.Errorf("streamed %q, ended with %q", text, answer.OutputText())
			}
		} else {
			whole, err := client.Responses.New(t.Context(), params)
			must(t, err)
			answer = *whole
		}
		if answer.Usage.InputTokens == 0 || answer.Status != "completed" {
			t.Errorf("status %s, usage %+v", answer.Status, answer.Usage)
		}
		said = append(said, answer.OutputText())
		items := &params.Input.OfInputItemList
		for _, item := range answer.Output {
			switch item := item.AsAny().(type) {
			case responses.ResponseOutputMessage:
				p := item.ToParam()
				*items = append(*items, responses.ResponseInputItemUnionParam{OfOutputMessage: &p})
			case responses.ResponseReasoningItem:
				p := item.ToParam()
				*items = append(*items, responses.ResponseInputItemUnionParam{OfReasoning: &p})
			case responses.ResponseFunctionToolCall:
				p := item.ToParam()
				calls += item.Name + " " + item.Arguments
				out := responses.ResponseInputItemParamOfFunctionCallOutput("it is 21 degrees")
				out.OfFunctionCallOutput.CallID = openaisdk.String(item.CallID)
				*items = append(*items, responses.ResponseInputItemUnionParam{OfFunctionCall: &p}, out)
			}
		}
	}
	return said, calls
}

func messagesSDK(t *testing.T, g *gate, model string, stream bool) (said []string, calls string) {
	client := g.anthropic()
	params := anthropicsdk.MessageNewParams{
		Model: model, MaxTokens: 1000,
		System:   []anthropicsdk.TextBlockParam{{Text: "be brief"}},
		Messages: []anthropicsdk.MessageParam{anthropicsdk.NewUserMessage(anthropicsdk.NewTextBlock(aim))},
		Tools:    []anthropicsdk.ToolUnionParam{{OfTool: &anthropicsdk.ToolParam{Name: "look", InputSchema: anthropicsdk.ToolInputSchemaParam{Properties: schema21["properties"]}}}},
	}
	for range 2 {
		var answer anthropicsdk.Message
		if stream {
			events := client.Messages.NewStreaming(t.Context(), params)
			for events.Next() {
				must(t, answer.Accumulate(events.Current()))
			}
			must(t, events.Err())
		} else {
			whole, err := client.Messages.New(t.Context(), params)
			must(t, err)
			answer = *whole
		}
		if answer.Usage.InputTokens+answer.Usage.OutputTokens == 0 {
			t.Errorf("usage %+v", answer.Usage)
		}
		endsWith(t, string(answer.StopReason), "tool_use", "end_turn", len(said))
		text := ""
		params.Messages = append(params.Messages, answer.ToParam())
		var results []anthropicsdk.ContentBlockParamUnion
		for _, block := range answer.Content {
			switch block := block.AsAny().(type) {
			case anthropicsdk.TextBlock:
				text += block.Text
			case anthropicsdk.ToolUseBlock:
				args, err := json.Marshal(block.Input)
				must(t, err)
				calls += block.Name + " " + string(args)
				results = append(results, anthropicsdk.NewToolResultBlock(block.ID, "it is 21 degrees", false))
			}
		}
		said = append(said, text)
		params.Messages = append(params.Messages, anthropicsdk.NewUserMessage(results...))
	}
	return said, calls
}

// endsWith fails unless an answer says that it ends as the first, which calls a tool, or
// the second of a conversation does: programs go by that.
func endsWith(t *testing.T, says, first, second string, before int) {
	t.Helper()
	if want := []string{first, second}[before]; says != want {
		t.Errorf("answer %d ends with %q, not %q", before+1, says, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestSDKErrors: what the gateway refuses is what the SDKs know, and a budget that
// is used up is not asked again.
func TestSDKErrors(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	openaiStatus := func(model, key string) int {
		client := openaisdk.NewClient(openaioption.WithBaseURL(g.url+"/v1/"), openaioption.WithAPIKey(key))
		_, err := client.Chat.Completions.New(t.Context(), openaisdk.ChatCompletionNewParams{
			Model: model, Messages: []openaisdk.ChatCompletionMessageParamUnion{openaisdk.UserMessage("x")},
		})
		e, ok := errors.AsType[*openaisdk.Error](err)
		if !ok || e.Message == "" || e.Code == "" {
			t.Fatalf("not an error of the API: %v", err)
		}
		return e.StatusCode
	}
	anthropicStatus := func(model, key string) int {
		client := anthropicsdk.NewClient(anthropicoption.WithBaseURL(g.url), anthropicoption.WithAPIKey(key))
		_, err := client.Messages.New(t.Context(), anthropicsdk.MessageNewParams{
			Model: model, MaxTokens: 5, Messages: []anthropicsdk.MessageParam{anthropicsdk.NewUserMessage(anthropicsdk.NewTextBlock("x"))},
		})
		e, ok := errors.AsType[*anthropicsdk.Error](err)
		if !ok || e.RequestID == "" && !strings.Contains(e.RawJSON(), "req_") {
			t.Fatalf("not an error of the API: %v", err)
		}
		return e.StatusCode
	}
	for _, c := range []struct {
		model, key string
		want       int
	}{
		{"chat/m1", "mgx_nonsense", 401},
		{"nobody/m1", g.secret, 404},
		{"chat/m2", g.secret, 404},
	} {
		if got := [2]int{openaiStatus(c.model, c.key), anthropicStatus(c.model, c.key)}; got != [2]int{c.want, c.want} {
			t.Errorf("%s with %.8s: %v, want %d", c.model, c.key, got, c.want)
		}
	}
	before := g.posts()
	g.settled.cap = true
	if got := [2]int{openaiStatus("chat/m1", g.secret), anthropicStatus("claude/m1", g.secret)}; got != [2]int{402, 402} || g.posts() != before {
		t.Errorf("without money: %v, %d calls", got, g.posts()-before)
	}
}

// TestSDKModels: the SDKs list what the gateway offers.
func TestSDKModels(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	var ours, theirs []string
	a, b := g.openai(), g.anthropic()
	page := a.Models.ListAutoPaging(t.Context())
	for page.Next() {
		ours = append(ours, page.Current().ID)
	}
	must(t, page.Err())
	other := b.Models.ListAutoPaging(t.Context(), anthropicsdk.ModelListParams{})
	for other.Next() {
		theirs = append(theirs, other.Current().ID)
	}
	must(t, other.Err())
	if got := fmt.Sprint(ours); got != "[chat/m1 resp/m1 claude/m1 gem/m1]" || got != fmt.Sprint(theirs) {
		t.Errorf("%s and %v", got, theirs)
	}
}

// The SDK counts tokens through the gateway.
func TestSDKCountsTokens(t *testing.T) {
	t.Parallel()
	client := newGate(t).anthropic()
	got, err := client.Messages.CountTokens(t.Context(), anthropicsdk.MessageCountTokensParams{
		Model: "chat/m1", Messages: []anthropicsdk.MessageParam{anthropicsdk.NewUserMessage(anthropicsdk.NewTextBlock(strings.Repeat("four", 100)))},
	})
	must(t, err)
	if got.InputTokens != 101 {
		t.Errorf("%d tokens", got.InputTokens)
	}
}
