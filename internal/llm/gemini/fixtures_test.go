package gemini_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"mgx/internal/llm"
	"mgx/internal/llm/gemini"
	"mgx/internal/llm/llmtest/suite"
)

// TestRecordings decodes what Google really sent, and compares with a plain
// reading of it.
func TestRecordings(t *testing.T) {
	t.Parallel()
	seen, signed := 0, 0
	for name, exchanges := range suite.Cassettes(t, "TestGoogle*/*/*.yaml") {
		t.Run(name, func(t *testing.T) {
			p := connect(suite.Replay(t, exchanges), suite.Key)
			for _, e := range exchanges {
				signed += checkRecording(t, p, e)
				seen++
			}
		})
	}
	if seen < 15 || signed < 3 {
		t.Errorf("only %d exchanges and %d signatures were seen", seen, signed)
	}
}

func checkRecording(t *testing.T, p llm.Provider, e suite.Exchange) (signed int) {
	t.Helper()
	req := &llm.Request{Model: "m", MaxTokens: 1, Messages: []llm.Message{{Role: llm.User, Parts: []llm.Part{{Text: "?"}}}}}
	var resp *llm.Response
	var shown, thinking strings.Builder
	for chunk, err := range p.Stream(t.Context(), req) {
		if err != nil {
			t.Fatal(err)
		}
		shown.WriteString(chunk.Text)
		thinking.WriteString(chunk.Thinking)
		resp = chunk.Response
	}
	want := plainly(t, e.Response)
	var got plain
	for _, part := range resp.Message.Parts {
		got.text += part.Text
		if part.Call != nil {
			got.calls = append(got.calls, part.Call.Name+" "+canonical(t, part.Call.Args))
		}
		if part.Opaque != nil {
			fields, _ := part.Opaque.Rest()
			if fields == nil {
				json.Unmarshal(part.Opaque.Raw, &fields)
			}
			if s := fields["thoughtSignature"]; s != nil {
				got.signatures = append(got.signatures, string(s))
			}
		}
	}
	got.thinking = thinking.String()
	if got.text != want.text || got.thinking != want.thinking || shown.String() != want.text ||
		!slices.Equal(got.calls, want.calls) || !slices.Equal(got.signatures, want.signatures) {
		t.Errorf("got  %+v\nwant %+v\nshown %q", got, want, shown.String())
	}
	if u := resp.Usage; !resp.UsageOK || u.Prompt != want.prompt || u.Completion != want.completion || u.Reasoning != want.thoughts {
		t.Errorf("usage %+v, want %+v", u, want)
	}
	if tools := resp.Finish == llm.FinishTools; tools != (len(want.calls) > 0) {
		t.Errorf("finish %q with %d calls", resp.Finish, len(want.calls))
	}
	return len(got.signatures)
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

// plain is an answer read without any of the code under test.
type plain struct {
	text, thinking               string
	calls, signatures            []string
	prompt, completion, thoughts int64
}

func plainly(t *testing.T, body string) plain {
	t.Helper()
	var out plain
	read := func(doc string) {
		var v map[string]any
		if err := json.Unmarshal([]byte(doc), &v); err != nil {
			t.Fatalf("%v in %s", err, doc)
		}
		if u, ok := v["usageMetadata"].(map[string]any); ok {
			n := func(name string) int64 { f, _ := u[name].(float64); return int64(f) }
			out.prompt, out.thoughts = n("promptTokenCount"), max(out.thoughts, n("thoughtsTokenCount"))
			out.completion = n("totalTokenCount") - n("promptTokenCount")
		}
		candidate := v["candidates"].([]any)[0].(map[string]any)
		content, _ := candidate["content"].(map[string]any)
		parts, _ := content["parts"].([]any)
		for _, p := range parts {
			part := p.(map[string]any)
			text, _ := part["text"].(string)
			if part["thought"] == true {
				out.thinking += text
			} else {
				out.text += text
			}
			if call, ok := part["functionCall"].(map[string]any); ok {
				args, _ := json.Marshal(call["args"])
				out.calls = append(out.calls, call["name"].(string)+" "+canonical(t, string(args)))
			}
			if s, ok := part["thoughtSignature"].(string); ok {
				raw, _ := json.Marshal(s)
				out.signatures = append(out.signatures, string(raw))
			}
		}
	}
	if strings.HasPrefix(strings.TrimSpace(body), "{") {
		read(body)
		return out
	}
	for line := range strings.Lines(body) {
		if data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: "); ok {
			read(data)
		}
	}
	return out
}

// TestRecordedRequests: for the same conversations we send what was recorded,
// signatures and all.
func TestRecordedRequests(t *testing.T) {
	t.Parallel()
	suite.CheckRequests(t, "TestGoogle*/*/*.yaml", connectModel, complete, normal)
}

func connectModel(baseURL, key string) llm.Provider {
	return gemini.New(gemini.Options{Name: "tested", BaseURL: baseURL, APIKey: key})
}

func complete(req *llm.Request, recorded suite.Doc) {
	config, _ := recorded["generationConfig"].(suite.Doc)
	if schema := config["responseJsonSchema"]; schema != nil {
		req.Format = &llm.Format{Schema: llm.MarshalWire(schema)}
	}
}

// normal: what we always say, or never need to. How much to think is a number of
// our own.
func normal(d suite.Doc) {
	config, _ := d["generationConfig"].(suite.Doc)
	delete(config, "thinkingConfig")
	if config["maxOutputTokens"] == nil {
		config["maxOutputTokens"] = 1.0
	}
	if schema := config["responseJsonSchema"]; schema != nil {
		config["responseSchema"] = schema
		delete(config, "responseJsonSchema")
	}
	if system, ok := d["systemInstruction"].(suite.Doc); ok {
		delete(system, "role")
	}
	suite.Each(d, func(d suite.Doc) {
		if kind, ok := d["type"].(string); ok {
			d["type"] = strings.ToLower(kind)
		}
		if response, ok := d["functionResponse"].(suite.Doc); ok {
			answer := response["response"].(suite.Doc)
			if answer["result"] != nil {
				answer["output"] = answer["result"]
				delete(answer, "result")
			}
		}
	})
}
