package openai

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/llm"
)

func userSays(text string) llm.Message {
	return llm.Message{Role: llm.User, Parts: []llm.Part{{Text: text}}}
}

func basicRequest(model string) *llm.Request {
	return &llm.Request{Model: model, MaxTokens: 100, Messages: []llm.Message{userSays("hi")}}
}

// answerWith makes a call to a server that answers with this body.
func answerWith(t *testing.T, name, body string, req *llm.Request) (*llm.Response, []llm.Chunk, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, body)
	}))
	defer server.Close()
	var chunks []llm.Chunk
	for chunk, err := range New(Options{Name: name, BaseURL: server.URL}).Stream(t.Context(), req) {
		if err != nil {
			return nil, chunks, err
		}
		if chunk.Response != nil {
			return chunk.Response, chunks, nil
		}
		chunks = append(chunks, chunk)
	}
	t.Fatal("no response and no error")
	return nil, nil, nil
}

// events writes a stream of these documents and its end.
func events(docs ...string) string {
	return "data: " + strings.Join(docs, "\n\ndata: ") + "\n\ndata: [DONE]\n\n"
}

const stop = `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`

func delta(fields string) string {
	return `{"choices":[{"index":0,"delta":{` + fields + `},"finish_reason":null}]}`
}

func TestFinishReasons(t *testing.T) {
	t.Parallel()
	call := delta(`"tool_calls":[{"index":0,"id":"a","function":{"name":"t","arguments":"{}"}}]`)
	reason := func(r string) string { return `{"choices":[{"index":0,"delta":{},"finish_reason":"` + r + `"}]}` }
	for _, c := range []struct {
		name string
		docs []string
		want llm.Finish
		text string
	}{
		{"stop", []string{delta(`"content":"a"`), stop}, llm.FinishStop, "a"},
		{"length", []string{delta(`"content":"a"`), reason("length")}, llm.FinishLength, "a"},
		{"filter", []string{delta(`"content":"a"`), reason("content_filter")}, llm.FinishFilter, "a"},
		{"refusal", []string{delta(`"refusal":"I ca"`), delta(`"refusal":"n't"`), stop}, llm.FinishRefusal, "I can't"},
		{"tools", []string{call, reason("tool_calls")}, llm.FinishTools, ""},
		{"old name of tools", []string{call, reason("function_call")}, llm.FinishTools, ""},
		{"tools that are called stop", []string{call, stop}, llm.FinishTools, ""},
		{"tools without a call", []string{delta(`"content":"a"`), reason("tool_calls")}, llm.FinishStop, "a"},
		{"call cut by length", []string{call, reason("length")}, llm.FinishLength, ""},
		{"a second choice", []string{delta(`"content":"a"`), `{"choices":[{"index":1,"delta":{"content":"no"},"finish_reason":"length"}]}`, stop}, llm.FinishStop, "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp, _, err := answerWith(t, "x", events(c.docs...), basicRequest("m"))
			if err != nil || resp.Finish != c.want || messageText(resp) != c.text {
				t.Errorf("got %+v, %v", resp, err)
			}
		})
	}
}

func messageText(resp *llm.Response) string {
	var text strings.Builder
	for _, p := range resp.Message.Parts {
		text.WriteString(p.Text)
	}
	return text.String()
}

func TestNotAWholeAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body  string
		fault llm.Fault
	}{
		"nothing":                  {"", llm.FaultBad},
		"only the end":             {"data: [DONE]\n\n", llm.FaultBad},
		"end without finish":       {events(delta(`"content":"a"`)), llm.FaultBad},
		"no end and no finish":     {"data: " + delta(`"content":"a"`) + "\n\n", llm.FaultBad},
		"finish reason error":      {events(`{"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}`), llm.FaultOverloaded},
		"error object":             {events(delta(`"content":"a"`), `{"error":{"message":"Provider returned error","code":502}}`), llm.FaultOverloaded},
		"error with a 429 code":    {events(`{"error":{"message":"slow","code":429},"choices":[]}`), llm.FaultRate},
		"quota in the stream":      {events(`{"error":{"message":"x","code":"insufficient_quota"}}`), llm.FaultQuota},
		"content of another shape": {events(`{"choices":{"0":1}}`), llm.FaultBad},
		"half a document":          {`{"choices":[{"message":{"content":"a"`, llm.FaultBad},
		"document without finish":  {`{"choices":[{"message":{"content":"a"}}]}`, llm.FaultBad},
		"an error as a document":   {`{"error":{"message":"overloaded","type":"server_error"}}`, llm.FaultOverloaded},
	} {
		_, _, err := answerWith(t, "x", c.body, basicRequest("m"))
		if e, ok := err.(*llm.CallError); !ok || e.Fault != c.fault || !e.InStream {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A finish reason and a clean end are enough: some servers never say [DONE].
	if resp, _, err := answerWith(t, "x", "data: "+stop+"\n\n", basicRequest("m")); err != nil || resp.Finish != llm.FinishStop {
		t.Errorf("without [DONE]: %v", err)
	}
}

func TestCallsOfCarelessServers(t *testing.T) {
	t.Parallel()
	for name, docs := range map[string][]string{
		"no index":           {delta(`"tool_calls":[{"id":"a","function":{"name":"read","arguments":"{\"p\":"}}]`), delta(`"tool_calls":[{"function":{"arguments":"1}"}}]`), delta(`"tool_calls":[{"id":"b","function":{"name":"list","arguments":"{}"}}]`)},
		"no index and no id": {delta(`"tool_calls":[{"function":{"name":"read","arguments":"{\"p\":1}"}},{"function":{"name":"list","arguments":"{}"}}]`)},
		"one index for all":  {delta(`"tool_calls":[{"index":0,"id":"a","function":{"name":"read","arguments":"{\"p\":1}"}}]`), delta(`"tool_calls":[{"index":0,"id":"b","function":{"name":"list","arguments":"{}"}}]`)},
		"arguments as JSON":  {delta(`"tool_calls":[{"index":0,"id":"a","function":{"name":"read","arguments":{"p":1}}},{"index":1,"id":"b","function":{"name":"list","arguments":{}}}]`)},
		"null everywhere":    {delta(`"content":null,"refusal":null,"reasoning":null,"tool_calls":null`), delta(`"tool_calls":[{"index":4,"id":"a","function":{"name":"read","arguments":null}},{"index":9,"id":"b","function":{"name":"list","arguments":"{}"},"extra_content":null}]`), delta(`"tool_calls":[{"index":4,"id":null,"function":{"name":null,"arguments":"{\"p\":1}"}}]`)},
	} {
		resp, chunks, err := answerWith(t, "x", events(append(docs, stop)...), basicRequest("m"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got, shown []string
		for _, p := range resp.Message.Parts {
			if p.Call == nil || p.Call.ID == "" {
				t.Errorf("%s: part %+v", name, p)
				continue
			}
			got = append(got, p.Call.Name+p.Call.Args)
		}
		for _, c := range chunks {
			if c.ToolName != "" {
				shown = append(shown, c.ToolName)
			}
		}
		if !reflect.DeepEqual(got, []string{`read{"p":1}`, `list{}`}) || !reflect.DeepEqual(shown, []string{"read", "list"}) {
			t.Errorf("%s: got %q, shown %q", name, got, shown)
		}
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, usage string
		want        mgx.Usage
		ok          bool
	}{
		{
			"all", `{"prompt_tokens":100,"completion_tokens":30,"total_tokens":130,"prompt_tokens_details":{"cached_tokens":64,"cache_write_tokens":5},"completion_tokens_details":{"reasoning_tokens":20}}`,
			mgx.Usage{Prompt: 100, Completion: 30, Cached: 64, CacheWrite: 5, Reasoning: 20},
			true,
		},
		{
			"reasoning outside completion", `{"prompt_tokens":100,"completion_tokens":10,"total_tokens":130,"completion_tokens_details":{"reasoning_tokens":20}}`,
			mgx.Usage{Prompt: 100, Completion: 30, Reasoning: 20},
			true,
		},
		{"DeepSeek's cache", `{"prompt_tokens":100,"completion_tokens":1,"prompt_cache_hit_tokens":60}`, mgx.Usage{Prompt: 100, Completion: 1, Cached: 60}, true},
		{"null details", `{"prompt_tokens":7,"completion_tokens":1,"prompt_tokens_details":null,"completion_tokens_details":null}`, mgx.Usage{Prompt: 7, Completion: 1}, true},
		{"null", `null`, mgx.Usage{}, false},
		{"zero", `{"prompt_tokens":0,"completion_tokens":0}`, mgx.Usage{}, false},
		{"negative", `{"prompt_tokens":-5,"completion_tokens":1}`, mgx.Usage{}, false},
		{"fractions", `{"prompt_tokens":7.0,"completion_tokens":1e1}`, mgx.Usage{Prompt: 7, Completion: 10}, true},
		{"absurd", `{"prompt_tokens":1e300,"completion_tokens":1}`, mgx.Usage{Prompt: 1e12, Completion: 1}, true},
	} {
		resp, _, err := answerWith(t, "x", events(stop, `{"choices":[],"usage":`+c.usage+`}`), basicRequest("m"))
		if err != nil || resp.UsageOK != c.ok || resp.Usage != c.want {
			t.Errorf("%s: %+v, %v, %v", c.name, resp.Usage, resp.UsageOK, err)
		}
	}
}

func TestMistralContentBlocks(t *testing.T) {
	t.Parallel()
	body := events(
		delta(`"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]`),
		delta(`"content":[{"type":"text","text":"yes"}]`), delta(`"content":"!"`), stop)
	resp, chunks, err := answerWith(t, "mistral", body, basicRequest("m"))
	if err != nil || messageText(resp) != "yes!" || chunks[0].Thinking != "hm" {
		t.Errorf("got %+v, %+v, %v", resp, chunks, err)
	}
}

// TestKeptBlocks: reasoning details and thought signatures go back to the
// provider they came from, as they came, and to no other.
func TestKeptBlocks(t *testing.T) {
	t.Parallel()
	body := events(
		delta(`"reasoning_details":[{"type":"reasoning.text","text":"I th","format":"f<&>","index":0}]`),
		delta(`"reasoning_details":[{"type":"reasoning.text","text":"ink","signature":"s+/=","index":0}]`),
		delta(`"reasoning_details":[{"type":"reasoning.encrypted","data":"AAA","index":1}]`),
		delta(`"tool_calls":[{"index":0,"id":"a","function":{"name":"t","arguments":"{}"},"extra_content":{"google":{"thought_signature":"<sig>"}}}]`),
		stop)
	req := basicRequest("m")
	resp, _, err := answerWith(t, "openrouter", body, req)
	if err != nil {
		t.Fatal(err)
	}
	req.Messages = append(req.Messages, resp.Message, llm.Message{Role: llm.Tool, Parts: []llm.Part{{Result: &llm.ToolResult{CallID: "a", Text: "ok"}}}})
	own := New(Options{Name: "openrouter", BaseURL: "http://x"}).(*provider).encode(req).Messages[1]
	want := `[{"format":"f<&>","index":0,"signature":"s+/=","text":"I think","type":"reasoning.text"},{"data":"AAA","index":1,"type":"reasoning.encrypted"}]`
	if string(own.ReasoningDetails) != want {
		t.Errorf("goes back as %s", own.ReasoningDetails)
	}
	if string(own.ToolCalls[0].ExtraContent) != `{"google":{"thought_signature":"<sig>"}}` {
		t.Errorf("goes back as %s", own.ToolCalls[0].ExtraContent)
	}
	other := New(Options{Name: "openai"}).(*provider).encode(req).Messages[1]
	if other.ReasoningDetails != nil || other.ToolCalls[0].ExtraContent != nil {
		t.Errorf("another provider gets %+v", other)
	}
}

func TestReasoningContentGoesBackWhereItMust(t *testing.T) {
	t.Parallel()
	p := New(Options{Name: "deepseek", BaseURL: "https://api.deepseek.com"}).(*provider)
	d := newDecoder(p, basicRequest("m"))
	for _, doc := range []string{delta(`"reasoning_content":"I think"`), delta(`"content":"so"`), stop} {
		if _, err := d.add([]byte(doc)); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := d.finish()
	if err != nil {
		t.Fatal(err)
	}
	req := basicRequest("m")
	req.Messages = append(req.Messages, resp.Message, userSays("and?"))
	if got := p.encode(req).Messages[1].ReasoningContent; got != "I think" {
		t.Errorf("goes back as %q", got)
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	temperature := 0.5
	req := &llm.Request{
		Model: "gpt-4o", System: "Be <brief> & kind.", MaxTokens: 100, Temperature: &temperature, ToolChoice: "required",
		Tools: []llm.ToolSpec{{Name: "read", Description: "Reads.", Schema: json.RawMessage(`{"type": "object"}`)}},
		Messages: []llm.Message{
			userSays("hi"),
			{Role: llm.Assistant, Parts: []llm.Part{
				{Opaque: &llm.Opaque{Dialect: "anthropic", Raw: json.RawMessage(`{"type":"thinking"}`)}},
				{Call: &llm.ToolCall{ID: "a", Name: "read", Args: `{"p":"<x>"}`}},
				{Call: &llm.ToolCall{ID: "b", Name: "read", Args: `{"p":`}},
			}},
			{Role: llm.Tool, Parts: []llm.Part{
				{Result: &llm.ToolResult{CallID: "a", Text: "one"}},
				{Result: &llm.ToolResult{CallID: "b", Text: "", IsError: true}},
			}},
			{Role: llm.Assistant, Parts: []llm.Part{{Opaque: &llm.Opaque{Dialect: "anthropic", Raw: json.RawMessage(`{}`)}}}},
			{Role: llm.Assistant, Parts: []llm.Part{{Text: "First."}, {Text: "Second."}}},
			userSays("go on"),
		},
	}
	got := string(llm.MarshalWire(New(Options{}).(*provider).encode(req)))
	want := `{"model":"gpt-4o",` +
		`"tools":[{"type":"function","function":{"name":"read","description":"Reads.","parameters":{"type":"object"}}}],` +
		`"messages":[{"role":"system","content":"Be <brief> & kind."},{"role":"user","content":"hi"},` +
		`{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"read","arguments":"{\"p\":\"<x>\"}"}},` +
		`{"id":"b","type":"function","function":{"name":"read","arguments":"{\"invalid_arguments\":\"{\\\"p\\\":\"}"}}]},` +
		`{"role":"tool","content":"one","tool_call_id":"a"},{"role":"tool","content":"(no output)","tool_call_id":"b"},` +
		`{"role":"assistant","content":"First.\n\nSecond."},{"role":"user","content":"go on"}],` +
		`"tool_choice":"required","max_tokens":100,"temperature":0.5,"stream":true,"stream_options":{"include_usage":true}}`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestQuirks(t *testing.T) {
	t.Parallel()
	plain := Quirks{HasResponses: true, Efforts: EffortNever}
	reasoning := func(efforts Efforts) Quirks {
		return Quirks{HasResponses: true, MaxCompletionTokens: true, NoSampling: true, Efforts: efforts}
	}
	newest := reasoning(EffortNone)
	newest.Responses = true
	codex, pro := reasoning(EffortLow), reasoning(EffortOwn)
	codex.Responses, pro.Responses = true, true
	for model, want := range map[string]Quirks{
		"gpt-4o": plain, "gpt-4.1-mini": plain, "gpt-5-chat-latest": plain, "chatgpt-4o-latest": plain,
		"o1": reasoning(EffortLow), "o3-mini": reasoning(EffortLow), "o4-mini-2025-04-16": reasoning(EffortLow),
		"gpt-5": reasoning(EffortMinimal), "gpt-5-mini-2025-08-07": reasoning(EffortMinimal), "gpt-5.2": reasoning(EffortNone),
		"gpt-5.4": newest, "gpt-5.6-terra": newest, "gpt-6-sol": newest, "gpt-10.1": newest, "gpt-5-codex": codex, "gpt-5.1-codex-max": codex, "gpt-5-pro": pro, "o3-pro": pro, "gpt-5.4-pro": pro,
	} {
		if got := QuirksOf(DefaultBaseURL)(model); got != want {
			t.Errorf("%s: %+v", model, got)
		}
		if got := QuirksOf("http://localhost:8080/v1")(model); got != (Quirks{}) {
			t.Errorf("%s elsewhere: %+v", model, got)
		}
	}
	temperature := 0.5
	req := basicRequest("gpt-5.2")
	req.Temperature = &temperature
	req.Tools = []llm.ToolSpec{{Name: "t", Schema: json.RawMessage(`{}`)}}
	got := New(Options{}).(*provider).encode(req)
	if got.MaxTokens != 0 || got.MaxCompletionTokens != 100 || got.Temperature != nil || got.ReasoningEffort != "" {
		t.Errorf("got %+v", got)
	}
	req.Tools = nil
	if got := New(Options{}).(*provider).encode(req); got.ToolChoice != "" {
		t.Errorf("without tools: %+v", got)
	}
}

func TestModelsOfEveryForm(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"OpenAI":     `{"object":"list","data":[{"id":"m"}]}`,
		"Together":   `[{"id":"m","context_length":100}]`,
		"OpenRouter": `{"data":[{"id":"m","context_length":100,"top_provider":{"max_completion_tokens":10}}]}`,
		"Gemini":     `{"data":[{"id":"models/m"}]}`,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) }))
		got, err := New(Options{BaseURL: server.URL}).Models(t.Context())
		if err != nil || len(got) != 1 || got[0].ID != "m" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		server.Close()
	}
	for _, body := range []string{``, `nonsense`, `"text"`, `{"data":{"id":1}}`} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) }))
		if got, err := New(Options{BaseURL: server.URL}).Models(t.Context()); err == nil {
			t.Errorf("%q: %+v", body, got)
		}
		server.Close()
	}
}

func BenchmarkDecode(b *testing.B) {
	const chunks = 2000
	doc := `{"id":"chatcmpl-DuLdov3Qna0hmlIwzwWCG9FRhpJh7","object":"chat.completion.chunk","created":1782321928,"model":"gpt-5-2025-08-07","service_tier":"default","system_fingerprint":null,` +
		`"choices":[{"index":0,"delta":{"content":" location"},"finish_reason":null}],"usage":null,"obfuscation":"r44NVoVhrDTp1Vc"}`
	docs := make([]string, chunks)
	for i := range docs {
		docs[i] = doc
	}
	body := events(append(docs, stop)...)
	p := New(Options{}).(*provider)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		d := newDecoder(p, basicRequest("m"))
		for event, err := range llm.ReadSSE(strings.NewReader(body), 1<<20) {
			if err != nil {
				b.Fatal(err)
			}
			if string(event.Data) == "[DONE]" {
				break
			}
			if _, err := d.add(event.Data); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := d.finish(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/chunks, "ns/chunk")
}
