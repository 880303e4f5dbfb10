package oracle

import (
	"encoding/json"
	"net/http/httptest"
	"testing"

	anthropicsdk "github.com/anthropics/anthropic-sdk-go/v2"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/v2/option"
	openaisdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"

	"mgx/internal/llm/llmtest"
)

// testServer is the server that our dialects are tested against, with an answer
// that thinks, speaks and calls.
func testServer(t *testing.T) string {
	script := llmtest.Script{
		Models: []string{"m"}, Match: map[string]string{"talker": "talk"},
		Roles: map[string][]llmtest.Turn{"talker": {{
			Thinking: "Which one?", Text: "Let me look, <b> & 你好.",
			Calls: []llmtest.Call{{Name: "read", Args: json.RawMessage(`{"path":"a"}`)}, {Name: "list", Args: json.RawMessage(`{}`)}},
		}}},
	}
	server := httptest.NewServer(&llmtest.Server{Provider: llmtest.NewScripted(script), Key: "key"})
	t.Cleanup(server.Close)
	return server.URL
}

const saidByServer = "Let me look, <b> & 你好."

// TestServerStreams: the official SDKs, unmodified, read what our test server
// streams, so it is a fair partner for our own dialects.
func TestServerStreams(t *testing.T) {
	t.Parallel()
	base := testServer(t)
	client := openaisdk.NewClient(option.WithBaseURL(base+"/v1/"), option.WithAPIKey("key"), option.WithMaxRetries(0))
	t.Run("Chat Completions", func(t *testing.T) {
		stream := client.Chat.Completions.NewStreaming(t.Context(), openaisdk.ChatCompletionNewParams{
			Model: "m", MaxTokens: openaisdk.Int(100), StreamOptions: openaisdk.ChatCompletionStreamOptionsParam{IncludeUsage: openaisdk.Bool(true)},
			Messages: []openaisdk.ChatCompletionMessageParamUnion{openaisdk.SystemMessage("talk"), openaisdk.UserMessage("?")},
		})
		var all openaisdk.ChatCompletionAccumulator
		for stream.Next() {
			if !all.AddChunk(stream.Current()) {
				t.Fatalf("does not fit: %s", stream.Current().RawJSON())
			}
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
		m := all.Choices[0]
		if m.Message.Content != saidByServer || len(m.Message.ToolCalls) != 2 || m.Message.ToolCalls[0].Function.Arguments != `{"path":"a"}` ||
			m.FinishReason != "tool_calls" || all.Usage.PromptTokens == 0 {
			t.Errorf("got %+v", all.ChatCompletion)
		}
	})
	t.Run("Responses", func(t *testing.T) {
		stream := client.Responses.NewStreaming(t.Context(), responses.ResponseNewParams{
			Model: "m", MaxOutputTokens: openaisdk.Int(100), Instructions: openaisdk.String("talk"),
			Input: responses.ResponseNewParamsInputUnion{OfInputItemList: responses.ResponseInputParam{
				responses.ResponseInputItemParamOfMessage("?", responses.EasyInputMessageRoleUser),
			}},
		})
		var last responses.ResponseStreamEventUnion
		said := ""
		for stream.Next() {
			last = stream.Current()
			if last.Type == "response.output_text.delta" {
				said += last.Delta
			}
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
		r := last.Response
		if last.Type != "response.completed" || said != saidByServer || r.OutputText() != saidByServer || len(r.Output) != 4 || r.Usage.InputTokens == 0 {
			t.Errorf("got %s", last.RawJSON())
		}
	})
	t.Run("Messages", func(t *testing.T) {
		claude := anthropicsdk.NewClient(anthropicoption.WithBaseURL(base), anthropicoption.WithAPIKey("key"), anthropicoption.WithMaxRetries(0))
		stream := claude.Messages.NewStreaming(t.Context(), anthropicsdk.MessageNewParams{
			Model: "m", MaxTokens: 100, System: []anthropicsdk.TextBlockParam{{Text: "talk"}},
			Messages: []anthropicsdk.MessageParam{anthropicsdk.NewUserMessage(anthropicsdk.NewTextBlock("?"))},
		})
		var all anthropicsdk.Message
		for stream.Next() {
			if err := all.Accumulate(stream.Current()); err != nil {
				t.Fatal(err)
			}
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
		if len(all.Content) != 4 || all.Content[1].Text != saidByServer || string(all.Content[2].Input) != `{"path":"a"}` || all.StopReason != "tool_use" || all.Usage.InputTokens == 0 {
			t.Errorf("got %s", all.RawJSON())
		}
	})
}
