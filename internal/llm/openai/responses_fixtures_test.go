package openai_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"mgx/internal/llm"
	"mgx/internal/llm/llmtest/suite"
)

// TestResponsesRecordings decodes what OpenAI and Azure really sent in Responses,
// compares with a plain reading of it, and checks that what goes back are the
// very items that came.
func TestResponsesRecordings(t *testing.T) {
	t.Parallel()
	seen, reasoned := 0, 0
	for _, pattern := range []string{"TestOpenAIResponses*/*/*.yaml", "TestAzureResponsesCommon/*/*.yaml"} {
		for name, exchanges := range suite.Cassettes(t, pattern) {
			t.Run(name, func(t *testing.T) {
				p := connectOwnResponses(suite.Replay(t, exchanges), suite.Key)
				for _, e := range exchanges {
					reasoned += checkItems(t, p, e)
					seen++
				}
			})
		}
	}
	if seen < 20 || reasoned < 4 {
		t.Errorf("only %d exchanges and %d reasoning items were seen", seen, reasoned)
	}
}

func checkItems(t *testing.T, p llm.Provider, e suite.Exchange) (reasoned int) {
	t.Helper()
	req := &llm.Request{Model: "gpt-5", MaxTokens: 100, Messages: []llm.Message{{Role: llm.User, Parts: []llm.Part{{Text: "?"}}}}}
	var resp *llm.Response
	var shown strings.Builder
	for chunk, err := range p.Stream(t.Context(), req) {
		if err != nil {
			t.Fatal(err)
		}
		shown.WriteString(chunk.Text)
		resp = chunk.Response
	}
	whole := completed(t, e.Response)
	var text strings.Builder
	calls := 0
	for _, item := range whole.Output {
		calls += count(item["type"] == "function_call")
		reasoned += count(item["type"] == "reasoning" && item["encrypted_content"] != nil)
		if content, ok := item["content"].([]any); ok {
			for _, c := range content {
				said, _ := c.(suite.Doc)["text"].(string)
				text.WriteString(said)
			}
		}
	}
	if shown.String() != text.String() || (resp.Finish == llm.FinishTools) != (calls > 0) {
		t.Errorf("shown %q, want %q; finish %q with %d calls", shown.String(), text.String(), resp.Finish, calls)
	}
	u, want := resp.Usage, whole.Usage
	if !resp.UsageOK || u.Prompt != want.Input || u.Completion != want.Output || u.Reasoning != want.Details.Reasoning || u.Cached != want.InDetails.Cached {
		t.Errorf("usage %+v, want %+v", u, want)
	}
	checkGoesBack(t, req, resp, whole.Output)
	return reasoned
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// checkGoesBack sends an answer back and compares the items with those that came,
// less log probabilities and what was never encrypted.
func checkGoesBack(t *testing.T, req *llm.Request, resp *llm.Response, output []suite.Doc) {
	t.Helper()
	next := *req
	next.Messages = append(next.Messages, resp.Message)
	var results llm.Message
	for _, p := range resp.Message.Parts {
		if p.Call != nil {
			results.Role = llm.Tool
			results.Parts = append(results.Parts, llm.Part{Result: &llm.ToolResult{CallID: p.Call.ID, Text: "x"}})
		}
	}
	if results.Parts != nil {
		next.Messages = append(next.Messages, results)
	}
	var sent struct{ Input []suite.Doc }
	if err := json.Unmarshal([]byte(suite.Sent(t, connectOwnResponses, &next)), &sent); err != nil {
		t.Fatal(err)
	}
	var want []suite.Doc
	encrypted := true
	for _, item := range output {
		if item["type"] == "reasoning" && item["encrypted_content"] == nil {
			encrypted = false
			continue
		}
		suite.Each(item, func(d suite.Doc) { delete(d, "logprobs"); dropNulls(d) })
		want = append(want, item)
	}
	got := sent.Input[1 : 1+len(want)]
	for i := range want {
		if item := got[i]; item["type"] == "reasoning" {
			dropNulls(item)
		}
		if !encrypted { // then items go back without their ids, and in their short form
			want[i] = suite.Doc{"type": want[i]["type"], "call_id": want[i]["call_id"]}
			got[i] = suite.Doc{"type": got[i]["type"], "call_id": got[i]["call_id"]}
		}
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("item %d goes back as\n%s\nand came as\n%s", i, llm.MarshalWire(got[i]), llm.MarshalWire(want[i]))
		}
	}
}

func dropNulls(d suite.Doc) {
	for name, v := range d {
		if v == nil {
			delete(d, name)
		}
	}
}

// response is an answer read without any of the code under test.
type response struct {
	Output []suite.Doc
	Usage  struct {
		Input     int64 `json:"input_tokens"`
		Output    int64 `json:"output_tokens"`
		InDetails struct {
			Cached int64 `json:"cached_tokens"`
		} `json:"input_tokens_details"`
		Details struct {
			Reasoning int64 `json:"reasoning_tokens"`
		} `json:"output_tokens_details"`
	}
}

func completed(t *testing.T, body string) (out response) {
	t.Helper()
	if strings.HasPrefix(strings.TrimSpace(body), "{") {
		if err := json.Unmarshal([]byte(body), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	var event struct {
		Type     string
		Item     suite.Doc
		Response response
	}
	var items []suite.Doc // reasoning is encrypted anew in what repeats it at the end
	for line := range strings.Lines(body) {
		if data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: "); ok {
			event.Item = nil
			if err := json.Unmarshal([]byte(data), &event); err != nil {
				t.Fatal(err)
			}
			if event.Type == "response.output_item.done" {
				items = append(items, event.Item)
			}
		}
	}
	out = event.Response
	if len(out.Output) != len(items) {
		t.Fatalf("%d items were streamed, %d are in the end", len(items), len(out.Output))
	}
	out.Output = items
	return out
}
