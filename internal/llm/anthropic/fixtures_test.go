package anthropic_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/llm/llmtest/suite"
)

// TestRecordings decodes what Anthropic really sent, and checks that what goes
// back is what the next recorded request holds.
func TestRecordings(t *testing.T) {
	t.Parallel()
	seen, signed := 0, 0
	for name, exchanges := range suite.Cassettes(t, "TestAnthropic*/*/*.yaml") {
		t.Run(name, func(t *testing.T) {
			p := connect(suite.Replay(t, exchanges), suite.Key)
			for i, e := range exchanges {
				resp := checkRecording(t, p, e)
				seen++
				if i+1 < len(exchanges) {
					signed += checkEcho(t, resp, exchanges[i+1].Request)
				}
			}
		})
	}
	if seen < 15 || signed < 2 {
		t.Errorf("only %d exchanges and %d signed blocks were seen", seen, signed)
	}
}

func checkRecording(t *testing.T, p llm.Provider, e suite.Exchange) *llm.Response {
	t.Helper()
	req := &llm.Request{Model: "m", MaxTokens: 1, Messages: []llm.Message{{Role: llm.User, Parts: []llm.Part{{Text: "?"}}}}}
	var resp *llm.Response
	var shown strings.Builder
	for chunk, err := range p.Stream(t.Context(), req) {
		if err != nil {
			t.Fatal(err)
		}
		shown.WriteString(chunk.Text)
		resp = chunk.Response
	}
	want, used := plainly(t, e.Response)
	var got []string
	var text strings.Builder
	for _, part := range resp.Message.Parts {
		switch {
		case part.Text != "":
			got = append(got, "text "+part.Text)
			text.WriteString(part.Text)
		case part.Call != nil:
			got = append(got, "tool_use "+part.Call.ID+" "+part.Call.Name+" "+canonical(t, part.Call.Args))
		case isRest(part):
		case part.Opaque != nil:
			var b struct{ Thinking, Signature string }
			json.Unmarshal(part.Opaque.Raw, &b)
			got = append(got, "thinking "+b.Thinking+b.Signature)
		}
	}
	if !reflect.DeepEqual(got, want) || shown.String() != text.String() {
		t.Errorf("got  %q\nwant %q\nshown %q", got, want, shown.String())
	}
	if !resp.UsageOK || resp.Usage != used {
		t.Errorf("usage %+v, want %+v", resp.Usage, used)
	}
	return resp
}

func isRest(p llm.Part) bool {
	if p.Opaque == nil {
		return false
	}
	_, rest := p.Opaque.Rest()
	return rest
}

func canonical(t *testing.T, doc string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(doc), &v); err != nil {
		t.Fatalf("%v in %q", err, doc)
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// plainly reads an answer without any of the code under test: its blocks, and
// its usage.
func plainly(t *testing.T, body string) (blocks []string, used mgx.Usage) {
	t.Helper()
	usage := func(v any) {
		u, _ := v.(map[string]any)
		n := func(key string) int64 { f, _ := u[key].(float64); return int64(f) }
		if in := n("input_tokens") + n("cache_read_input_tokens") + n("cache_creation_input_tokens"); in > 0 {
			used.Prompt, used.Cached, used.CacheWrite = in, n("cache_read_input_tokens"), n("cache_creation_input_tokens")
		}
		used.Completion = max(used.Completion, n("output_tokens"))
	}
	var open map[string]any
	input := ""
	add := func(b map[string]any, input string) {
		switch b["type"] {
		case "text":
			blocks = append(blocks, "text "+b["text"].(string))
		case "thinking":
			blocks = append(blocks, "thinking "+b["thinking"].(string)+b["signature"].(string))
		case "tool_use":
			if input == "" {
				raw, _ := json.Marshal(b["input"])
				input = string(raw)
			}
			blocks = append(blocks, "tool_use "+b["id"].(string)+" "+b["name"].(string)+" "+canonical(t, input))
		}
	}
	var doc map[string]any
	if json.Unmarshal([]byte(body), &doc) == nil {
		for _, b := range doc["content"].([]any) {
			add(b.(map[string]any), "")
		}
		usage(doc["usage"])
		return blocks, used
	}
	for line := range strings.Lines(body) {
		data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: ")
		if !ok {
			continue
		}
		var v map[string]any
		if err := json.Unmarshal([]byte(data), &v); err != nil {
			t.Fatal(err)
		}
		switch v["type"] {
		case "message_start":
			usage(v["message"].(map[string]any)["usage"])
		case "message_delta":
			usage(v["usage"])
		case "content_block_start":
			open, input = v["content_block"].(map[string]any), ""
		case "content_block_delta":
			for key, piece := range v["delta"].(map[string]any) {
				if key == "partial_json" {
					input += piece.(string)
				} else if key != "type" {
					open[key] = open[key].(string) + piece.(string)
				}
			}
		case "content_block_stop":
			add(open, input)
		}
	}
	return blocks, used
}

// checkEcho compares the thinking blocks kept from an answer with those in the
// request that was recorded after it, and returns how many there are.
func checkEcho(t *testing.T, resp *llm.Response, next string) int {
	t.Helper()
	var req struct {
		Messages []struct {
			Role    string
			Content []map[string]any
		}
	}
	if err := json.Unmarshal([]byte(next), &req); err != nil {
		t.Fatal(err)
	}
	var want []map[string]any
	for _, m := range req.Messages {
		for _, b := range m.Content {
			if b["type"] == "thinking" {
				want = append(want, b)
			}
		}
	}
	n := 0
	for _, part := range resp.Message.Parts {
		if part.Opaque == nil || isRest(part) {
			continue
		}
		var got map[string]any
		json.Unmarshal(part.Opaque.Raw, &got)
		if n >= len(want) || !reflect.DeepEqual(got, want[n]) {
			t.Errorf("goes back as %s", part.Opaque.Raw)
		}
		n++
	}
	return n
}
