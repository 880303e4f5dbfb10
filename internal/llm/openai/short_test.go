package openai

import (
	"encoding/json"
	"reflect"
	"testing"
)

var shortChunks = []string{
	`{"id":"c","object":"chat.completion.chunk","created":1764000000,"model":"m","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"delta":{"content":" a \"b\"\n"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x"}`,
	`{"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null,"tool_calls":[]},"finish_reason":"stop"}]}`,
	`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"a","type":"function","function":{"name":"add","arguments":"{\"a\":"}},{"index":null,"function":{"arguments":"1}"},"extra_content":null}]}}]}`,
	`{"choices":[{"delta":{"reasoning":"hm","reasoning_content":"hm"}},{"index":1,"delta":{"refusal":"no"},"message":null}]}`,
	`{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":1},"prompt_cache_hit_tokens":2}}`,
	`{}`,
}

var longChunks = []string{
	`{"error":{"message":"x"}}`, `{"Model":"m"}`, `{"model":"m","model":"n"}`, `{"choices":null}`, `{"choices":[{"message":{"content":"x"}}]}`,
	`{"choices":[{"delta":{"content":[{"type":"text","text":"x"}]}}]}`, `{"choices":[{"delta":{"content":1}}]}`, `{"choices":[{"delta":null}]}`,
	`{"choices":[{"delta":{"reasoning_details":[{"type":"x"}]}}]}`, `{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":{"a":1}}}]}}]}`,
	`{"choices":[{"delta":{"tool_calls":[{"extra_content":{"a":1}}]}}]}`, `{"usage":{"prompt_tokens":1.5}}`, `{"choices":[{"delta":{"content":"a","content":"b"}}]}`,
	`{"choices":[{"index":0}`, `[]`, `null`, ``,
}

// FuzzShortChat: what the short way takes, encoding/json takes for the same.
func FuzzShortChat(f *testing.F) {
	for _, s := range append(shortChunks, longChunks...) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got chatChunk
		got.short([]byte(shortChunks[2])) // whatever came before
		if !got.short(data) {
			return
		}
		var want chatChunk
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("%q is taken: %v", data, err)
		}
		if tidy(&got); !reflect.DeepEqual(&got, tidy(&want)) {
			t.Errorf("%q is %+v, and should be %+v", data, got, want)
		}
	})
}

// tidy makes empty lists none: nobody asks for the difference.
func tidy(in *chatChunk) *chatChunk {
	if len(in.Choices) == 0 {
		in.Choices = nil
	}
	for i := range in.Choices {
		if len(in.Choices[i].Delta.ToolCalls) == 0 {
			in.Choices[i].Delta.ToolCalls = nil
		}
	}
	return in
}

// TestWhatGoesTheShortWay: nearly all that servers send does.
func TestWhatGoesTheShortWay(t *testing.T) {
	t.Parallel()
	var in chatChunk
	for _, s := range shortChunks {
		if !in.short([]byte(s)) {
			t.Errorf("%s goes the long way", s)
		}
	}
	for _, s := range longChunks {
		if in.short([]byte(s)) {
			t.Errorf("%s goes the short way", s)
		}
	}
}

var shortEvents = []string{
	`{"type":"response.output_text.delta","sequence_number":4,"item_id":"m","output_index":1,"content_index":0,"delta":"a \"b\"","logprobs":[],"obfuscation":"x"}`,
	`{"type":"response.function_call_arguments.delta","output_index":0,"delta":"{\"a\":"}`,
	`{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":2,"delta":null}`,
}

var longEvents = []string{
	`{"type":"response.created","response":{}}`, `{"type":"response.output_item.done","output_index":0,"item":{}}`, `{"type":"error"}`, `{"delta":{"a":1},"type":"x.delta"}`,
	`{"type":"x.delta","delta":"a","delta":"b"}`, `{"type":"x.delta","output_index":-1}`, `{"type":"x.delta","Delta":"a"}`, `{"type":"x.delta"`, `[]`, ``,
}

// FuzzShortResponses is FuzzShortChat for the other dialect.
func FuzzShortResponses(f *testing.F) {
	for _, s := range append(shortEvents, longEvents...) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, want responseEvent
		got.short([]byte(shortEvents[2])) // whatever came before
		if !got.short(data) {
			return
		}
		if err := json.Unmarshal(data, &want); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is %+v, and should be %+v, %v", data, got, want, err)
		}
	})
}

func TestWhichEventsGoTheShortWay(t *testing.T) {
	t.Parallel()
	var in responseEvent
	for _, s := range shortEvents {
		if !in.short([]byte(s)) {
			t.Errorf("%s goes the long way", s)
		}
	}
	for _, s := range longEvents {
		if in.short([]byte(s)) {
			t.Errorf("%s goes the short way", s)
		}
	}
}
