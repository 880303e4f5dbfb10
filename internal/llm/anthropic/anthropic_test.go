package anthropic

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
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
func answerWith(t *testing.T, body string) (*llm.Response, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, body)
	}))
	defer server.Close()
	for chunk, err := range New(Options{BaseURL: server.URL}).Stream(t.Context(), basicRequest("m")) {
		if err != nil {
			return nil, err
		}
		if chunk.Response != nil {
			return chunk.Response, nil
		}
	}
	t.Fatal("no response and no error")
	return nil, nil
}

// Events of a stream.
const (
	start = `{"type":"message_start","message":{"model":"claude-x","usage":{"input_tokens":10,"cache_read_input_tokens":100,"cache_creation_input_tokens":20,"output_tokens":1}}}`
	ends  = `{"type":"message_stop"}`
)

func begin(i int, block string) string {
	return `{"type":"content_block_start","index":` + strconv.Itoa(i) + `,"content_block":` + block + `}`
}

func piece(i int, delta string) string {
	return `{"type":"content_block_delta","index":` + strconv.Itoa(i) + `,"delta":` + delta + `}`
}

func done(i int) string { return `{"type":"content_block_stop","index":` + strconv.Itoa(i) + `}` }

func reason(r string) string {
	return `{"type":"message_delta","delta":{"stop_reason":"` + r + `"},"usage":{"output_tokens":7}}`
}

func text(i int, s string) []string {
	return []string{begin(i, `{"type":"text","text":""}`), piece(i, `{"type":"text_delta","text":"`+s+`"}`), done(i)}
}

func stream(docs ...string) string { return "data: " + strings.Join(docs, "\n\ndata: ") + "\n\n" }

func whole(r string, middle ...string) string {
	return stream(append(append([]string{start}, middle...), reason(r), ends)...)
}

func TestFinishReasons(t *testing.T) {
	t.Parallel()
	call := []string{begin(0, `{"type":"tool_use","id":"a","name":"t","input":{}}`), done(0)}
	for _, c := range []struct {
		reason string
		middle []string
		want   llm.Finish
	}{
		{"end_turn", text(0, "a"), llm.FinishStop},
		{"end_turn", nil, llm.FinishStop},
		{"stop_sequence", text(0, "a"), llm.FinishStop},
		{"something_new", text(0, "a"), llm.FinishStop},
		{"max_tokens", text(0, "a"), llm.FinishLength},
		{"model_context_window_exceeded", text(0, "a"), llm.FinishLength},
		{"refusal", text(0, "a"), llm.FinishRefusal},
		{"tool_use", call, llm.FinishTools},
		{"max_tokens", call, llm.FinishLength},
	} {
		resp, err := answerWith(t, whole(c.reason, c.middle...))
		if err != nil || resp.Finish != c.want || resp.Model != "claude-x" {
			t.Errorf("%s: %+v, %v", c.reason, resp, err)
			continue
		}
		if want := (mgx.Usage{Prompt: 130, Cached: 100, CacheWrite: 20, Completion: 7}); resp.Usage != want || !resp.UsageOK {
			t.Errorf("%s: usage %+v", c.reason, resp.Usage)
		}
	}
}

func TestNotAWholeAnswer(t *testing.T) {
	t.Parallel()
	a := text(0, "a")
	for name, c := range map[string]struct {
		body  string
		fault llm.Fault
	}{
		"nothing":                        {"", llm.FaultBad},
		"no message_stop":                {stream(start, a[0], a[1], a[2], reason("end_turn")), llm.FaultBad},
		"no stop reason":                 {stream(start, a[0], a[1], a[2], ends), llm.FaultBad},
		"block left open":                {whole("end_turn", a[0], a[1]), llm.FaultBad},
		"no start":                       {stream(a[0], a[1], a[2], reason("end_turn"), ends), llm.FaultBad},
		"starts again after content":     {stream(start, a[0], start), llm.FaultBad},
		"piece of no block":              {stream(start, a[1]), llm.FaultBad},
		"end of no block":                {stream(start, a[2]), llm.FaultBad},
		"block begins twice":             {stream(start, a[0], a[0]), llm.FaultBad},
		"block is not an object":         {stream(start, begin(0, `7`)), llm.FaultBad},
		"overloaded":                     {stream(start, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`), llm.FaultOverloaded},
		"api error":                      {stream(`{"type":"error","error":{"type":"api_error","message":"x"}}`), llm.FaultOverloaded},
		"timeout":                        {stream(`{"type":"error","error":{"type":"timeout_error","message":"x"}}`), llm.FaultTimeout},
		"invalid request":                {stream(`{"type":"error","error":{"type":"invalid_request_error","message":"x"}}`), llm.FaultRequest},
		"an error without words":         {stream(`{"type":"error"}`), llm.FaultOverloaded},
		"document that is an error":      {`{"type":"error","error":{"type":"rate_limit_error","message":"x"}}`, llm.FaultRate},
		"half a document":                {`{"type":"message","content":[`, llm.FaultBad},
		"document without a stop reason": {`{"type":"message","content":[]}`, llm.FaultBad},
	} {
		_, err := answerWith(t, c.body)
		if e, ok := err.(*llm.CallError); !ok || e.Fault != c.fault || !e.InStream || e.Message == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStartsAgainBeforeContent(t *testing.T) {
	t.Parallel()
	a := text(0, "a")
	resp, err := answerWith(t, stream(start, start, a[0], a[1], a[2], reason("end_turn"), ends))
	if err != nil || len(resp.Message.Parts) != 1 {
		t.Errorf("got %+v, %v", resp, err)
	}
}

// TestThinkingGoesBackAsItCame, signatures and redacted blocks included, in order.
func TestThinkingGoesBackAsItCame(t *testing.T) {
	t.Parallel()
	resp, err := answerWith(t, whole("tool_use",
		begin(0, `{"type":"thinking","thinking":"","signature":"","new_field":{"a":[1,2]}}`),
		piece(0, `{"type":"thinking_delta","thinking":"I <th"}`), piece(0, `{"type":"thinking_delta","thinking":"ink> & \"ü\""}`),
		piece(0, `{"type":"signature_delta","signature":"EtYD+/"}`), piece(0, `{"type":"signature_delta","signature":"AQ=="}`), done(0),
		begin(1, `{"type":"redacted_thinking","data":"EmwK<x>"}`), done(1),
		begin(2, `{"type":"text","text":"So: "}`), piece(2, `{"type":"text_delta","text":"go"}`), done(2),
		begin(3, `{"type":"tool_use","id":"a","name":"t","input":{}}`), piece(3, `{"type":"input_json_delta","partial_json":""}`),
		piece(3, `{"type":"input_json_delta","partial_json":"{\"p\""}`), piece(3, `{"type":"input_json_delta","partial_json":":1}"}`), done(3),
		begin(4, `{"type":"invented_block","x":1}`), done(4),
	))
	if err != nil {
		t.Fatal(err)
	}
	// Through the journal and back.
	kept, _ := json.Marshal(resp.Message)
	var message llm.Message
	if err := json.Unmarshal(kept, &message); err != nil {
		t.Fatal(err)
	}
	req := basicRequest("m")
	req.Messages = append(req.Messages, message, llm.Message{Role: llm.Tool, Parts: []llm.Part{{Result: &llm.ToolResult{CallID: "a"}}}})
	got := string(llm.MarshalWire(encode(req).Messages[1].Content))
	want := `[{"new_field":{"a":[1,2]},"signature":"EtYD+/AQ==","thinking":"I <think> & \"ü\"","type":"thinking"},` +
		`{"type":"redacted_thinking","data":"EmwK<x>"},` +
		`{"type":"text","text":"So: go"},{"type":"tool_use","id":"a","name":"t","input":{"p":1}},{"type":"invented_block","x":1}]`
	if !sameJSON(t, got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if !strings.Contains(got, `"signature":"EtYD+/AQ=="`) {
		t.Errorf("the signature changed: %s", got)
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		t.Fatalf("not JSON: %s, %s", a, b)
	}
	return reflect.DeepEqual(x, y)
}

func TestToolInputWholeFromTheStart(t *testing.T) {
	t.Parallel()
	resp, err := answerWith(t, whole("tool_use", begin(0, `{"type":"tool_use","id":"a","name":"t","input":{"p":1}}`), done(0)))
	if err != nil || resp.Message.Parts[0].Call.Args != `{"p":1}` {
		t.Errorf("got %+v, %v", resp, err)
	}
}

func call(id string) llm.Message {
	return llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Call: &llm.ToolCall{ID: id, Name: "t", Args: "{}"}}}}
}

func result(id, text string) llm.Message {
	return llm.Message{Role: llm.Tool, Parts: []llm.Part{{Result: &llm.ToolResult{CallID: id, Text: text}}}}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	temperature := 0.5
	req := &llm.Request{
		Model: "claude-sonnet-4-5", System: "Be kind.", MaxTokens: 100, Temperature: &temperature, ToolChoice: "required",
		Tools: []llm.ToolSpec{{Name: "s", Schema: json.RawMessage(`{}`)}, {Name: "t", Description: "<T>", Schema: json.RawMessage(`{"type":"object"}`)}},
		Messages: []llm.Message{
			userSays("hi"), userSays(" \n"), userSays("there"),
			{Role: llm.Assistant, Parts: []llm.Part{{Opaque: &llm.Opaque{Dialect: "chat/x", Raw: json.RawMessage(`{}`)}}, {Text: "Hm."}, {Call: &llm.ToolCall{ID: "a", Name: "t", Args: "oops"}}}},
			{Role: llm.Tool, Parts: []llm.Part{{Result: &llm.ToolResult{CallID: "a", Text: "no", IsError: true}}}},
			userSays("go on"),
		},
	}
	got := string(llm.MarshalWire(encode(req)))
	want := `{"model":"claude-sonnet-4-5","max_tokens":100,"temperature":0.5,"tool_choice":{"type":"any"},` +
		`"tools":[{"name":"s","input_schema":{}},{"name":"t","description":"<T>","input_schema":{"type":"object"},"cache_control":{"type":"ephemeral"}}],` +
		`"system":[{"type":"text","text":"Be kind.","cache_control":{"type":"ephemeral"}}],` +
		`"messages":[{"role":"user","content":[{"type":"text","text":"hi"},{"type":"text","text":"there","cache_control":{"type":"ephemeral"}}]},` +
		`{"role":"assistant","content":[{"type":"text","text":"Hm."},{"type":"tool_use","id":"a","name":"t","input":{"invalid_arguments":"oops"}}]},` +
		`{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"no","is_error":true},` +
		`{"type":"text","text":"go on","cache_control":{"type":"ephemeral"}}]}],"stream":true}`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestModelsThatThinkUnasked(t *testing.T) {
	t.Parallel()
	for model, want := range map[string]bool{
		"claude-3-5-haiku-20241022": false, "claude-sonnet-4-20250514": false, "claude-opus-4-1": false,
		"claude-sonnet-4-5-20250929": false, "claude-opus-4-6": false, "claude-opus-4-7": true, "claude-opus-4.8": true,
		"claude-sonnet-5": true, "claude-opus-5-5": true, "claude-fable-5": true, "claude-mythos-preview": true, "other": false,
	} {
		if got := modelOf(model).fixedSampling(); got != want {
			t.Errorf("%s: %v", model, got)
		}
	}
	temperature := 1.5
	req := basicRequest("claude-sonnet-5")
	req.Temperature, req.ToolChoice = &temperature, "required"
	req.Tools = []llm.ToolSpec{{Name: "t", Schema: json.RawMessage(`{}`)}}
	if got := encode(req); got.Temperature != nil || got.ToolChoice.Type != "auto" {
		t.Errorf("got %+v", got)
	}
	req.ToolChoice = "none"
	if got := encode(req); got.ToolChoice.Type != "none" {
		t.Errorf("got %+v", got.ToolChoice)
	}
}

// TestCachedPrefixIsStable: as a conversation grows, there are at most four
// marks, the newest is on the last message, and without marks each request is
// a prefix of the next.
func TestCachedPrefixIsStable(t *testing.T) {
	t.Parallel()
	req := &llm.Request{
		Model: "claude-sonnet-5", System: "s", MaxTokens: 1,
		Tools:    []llm.ToolSpec{{Name: "t", Schema: json.RawMessage(`{}`)}},
		Messages: []llm.Message{userSays("go")},
	}
	const mark = `,"cache_control":{"type":"ephemeral"}`
	before := ""
	for i := range 6 {
		id := strconv.Itoa(i)
		body := encode(req)
		whole := string(llm.MarshalWire(body))
		if n := strings.Count(whole, mark); n > 4 || (i > 0 && n != 4) {
			t.Errorf("turn %d has %d marks", i, n)
		}
		if last := string(llm.MarshalWire(body.Messages[len(body.Messages)-1])); !strings.Contains(last, mark) {
			t.Errorf("turn %d: no mark on %s", i, last)
		}
		plain := strings.ReplaceAll(string(llm.MarshalWire([]any{body.Tools, body.System, body.Messages})), mark, "")
		if !strings.HasPrefix(plain, strings.TrimSuffix(before, "]]")) {
			t.Errorf("turn %d changes what came before:\n%s\n%s", i, before, plain)
		}
		before = plain
		req.Messages = append(req.Messages, call(id), result(id, "r"+id))
	}
}

func TestModelsOverSeveralPages(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("after_id") == "" {
			io.WriteString(w, `{"data":[{"id":"a","max_input_tokens":200000,"max_tokens":64000}],"has_more":true,"last_id":"a"}`)
			return
		}
		io.WriteString(w, `{"data":[{"id":"b"}],"has_more":true,"last_id":"b"}`) // for ever
	}))
	defer server.Close()
	got, err := New(Options{BaseURL: server.URL}).Models(t.Context())
	if err != nil || len(got) != 10 || got[0] != (llm.ModelInfo{ID: "a", ContextWindow: 200000, MaxOutput: 64000}) || got[1].ID != "b" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func BenchmarkDecode(b *testing.B) {
	const chunks = 2000
	docs := []string{start, begin(0, `{"type":"text","text":""}`)}
	for range chunks {
		docs = append(docs, piece(0, `{"type":"text_delta","text":" location"}      `))
	}
	body := "event: content_block_delta\n" + stream(append(docs, done(0), reason("end_turn"), ends)...)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		d := newDecoder("anthropic", basicRequest("m"))
		for event, err := range llm.ReadSSE(strings.NewReader(body), 1<<20) {
			if err != nil {
				b.Fatal(err)
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
