package gemini

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
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

func answerWith(t *testing.T, body string) (*llm.Response, []llm.Chunk, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) }))
	defer server.Close()
	var chunks []llm.Chunk
	for chunk, err := range New(Options{BaseURL: server.URL}).Stream(t.Context(), basicRequest("m")) {
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

func events(docs ...string) string {
	return "data: " + strings.Join(docs, "\r\n\r\ndata: ") + "\r\n\r\n"
}

func say(parts, more string) string {
	return `{"candidates":[{"content":{"parts":[` + parts + `],"role":"model"},"index":0` + more + `}],"modelVersion":"m-1"}`
}

func finish(reason string) string { return say("", `,"finishReason":"`+reason+`"`) }

func messageText(resp *llm.Response) string {
	var all strings.Builder
	for _, p := range resp.Message.Parts {
		all.WriteString(p.Text)
	}
	return all.String()
}

func TestFinishReasons(t *testing.T) {
	t.Parallel()
	hi, call := say(`{"text":"Hi"}`, ""), say(`{"functionCall":{"name":"t","args":{}}}`, "")
	for name, c := range map[string]struct {
		body string
		want llm.Finish
		text string
	}{
		"stop":                        {events(hi, finish("STOP")), llm.FinishStop, "Hi"},
		"with the last text":          {events(say(`{"text":"Hi"}`, `,"finishReason":"STOP"`)), llm.FinishStop, "Hi"},
		"usage behind it":             {events(hi, finish("STOP"), `{"usageMetadata":{"promptTokenCount":1}}`), llm.FinishStop, "Hi"},
		"tools":                       {events(call, finish("STOP")), llm.FinishTools, ""},
		"length":                      {events(hi, finish("MAX_TOKENS")), llm.FinishLength, "Hi"},
		"safety":                      {events(hi, finish("SAFETY")), llm.FinishFilter, "Hi"},
		"prohibited":                  {events(finish("PROHIBITED_CONTENT")), llm.FinishFilter, ""},
		"blocked prompt":              {events(`{"promptFeedback":{"blockReason":"SAFETY","safetyRatings":[]},"usageMetadata":{"promptTokenCount":7,"totalTokenCount":7}}`), llm.FinishFilter, ""},
		"a second candidate":          {events(hi, `{"candidates":[{"index":1,"content":{"parts":[{"text":"no"}]},"finishReason":"MAX_TOKENS"}]}`, finish("STOP")), llm.FinishStop, "Hi"},
		"a list where alt is unheard": {"[" + hi + ",\n" + finish("STOP") + "]", llm.FinishStop, "Hi"},
	} {
		resp, _, err := answerWith(t, c.body)
		if err != nil || resp.Finish != c.want || messageText(resp) != c.text {
			t.Errorf("%s: got %+v, %v", name, resp, err)
		}
	}
}

func TestNotAWholeAnswer(t *testing.T) {
	t.Parallel()
	hi := say(`{"text":"Hi"}`, "")
	for name, c := range map[string]struct {
		body  string
		fault llm.Fault
	}{
		"nothing":            {"", llm.FaultBad},
		"no finish reason":   {events(hi), llm.FaultBad},
		"malformed call":     {events(hi, finish("MALFORMED_FUNCTION_CALL")), llm.FaultBad},
		"other":              {events(finish("OTHER")), llm.FaultBad},
		"a new reason":       {events(finish("TIRED")), llm.FaultBad},
		"overloaded":         {events(hi, `{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}`), llm.FaultOverloaded},
		"rate":               {events(hi, `{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}`), llm.FaultRate},
		"deadline":           {events(hi, `{"error":{"code":504,"message":"x","status":"DEADLINE_EXCEEDED"}}`), llm.FaultTimeout},
		"parts that are not": {events(say(`7`, "")), llm.FaultBad},
		"a call that is not": {events(say(`{"functionCall":"x"}`, "")), llm.FaultBad},
		"half a document":    {`{"candidates":[{"content":`, llm.FaultBad},
		"an empty list":      {`[]`, llm.FaultBad},
	} {
		_, _, err := answerWith(t, c.body)
		if e, ok := err.(*llm.CallError); !ok || e.Fault != c.fault || !e.InStream {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPartsGoBack: signatures and unknown fields go back with the part they came
// with, unsigned thoughts do not, and other dialects get nothing.
func TestPartsGoBack(t *testing.T) {
	t.Parallel()
	resp, chunks, err := answerWith(t, events(
		say(`{"text":"hm","thought":true}`, ""),
		say(`{"text":"Le"},{"text":"t me"}`, ""),
		say(`{"text":" see.","thoughtSignature":"a+/=="}`, ""),
		say(`{"functionCall":{"name":"t","args":{"b": 1.50, "a": "<x>"}},"thoughtSignature":"b"},{"functionCall":{"id":"own","name":"t","args":null},"partMetadata":{"x":[1]}}`, ""),
		say(`{"executableCode":{"code":"1+1"}}`, ""),
		say(`{"text":"","thoughtSignature":"c"}`, ""),
		finish("STOP")))
	if err != nil || chunks[0].Thinking != "hm" {
		t.Fatal(chunks, err)
	}
	req := basicRequest("gemini-3-pro")
	req.Messages = append(req.Messages, resp.Message, llm.Message{Role: llm.Tool, Parts: []llm.Part{
		{Result: &llm.ToolResult{CallID: "call00000", Text: "ok"}}, {Result: &llm.ToolResult{CallID: "own", Text: "no", IsError: true}},
	}})
	got := string(llm.MarshalWire(encode(req).Contents[1:]))
	want := `[{"role":"model","parts":[{"text":"Let me"},{"text":" see.","thoughtSignature":"a+/=="},` +
		`{"functionCall":{"id":"call00000","name":"t","args":{"b":1.50,"a":"<x>"}},"thoughtSignature":"b"},` +
		`{"functionCall":{"id":"own","name":"t","args":{}},"partMetadata":{"x":[1]}},` +
		`{"executableCode":{"code":"1+1"}},{"text":"","thoughtSignature":"c"}]},` +
		`{"role":"user","parts":[{"functionResponse":{"id":"call00000","name":"t","response":{"output":"ok"}}},` +
		`{"functionResponse":{"id":"own","name":"t","response":{"error":"no"}}}]}]`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestCallsOfOtherModels: a Gemini that insists on signatures is told that there
// is none, once for each answer; one that does not is not.
func TestCallsOfOtherModels(t *testing.T) {
	t.Parallel()
	for model, want := range map[string]int{"gemini-3-pro-preview": 1, "gemini-4.2-flash": 1, "gemini-2.5-flash": 0, "gemma-3-27b": 0} {
		req := basicRequest(model)
		req.Messages = append(req.Messages,
			llm.Message{Role: llm.Assistant, Parts: []llm.Part{
				{Opaque: &llm.Opaque{Dialect: "anthropic", Raw: json.RawMessage(`{"type":"thinking"}`)}},
				{Call: &llm.ToolCall{ID: "a", Name: "t", Args: "{}"}},
				{Call: &llm.ToolCall{ID: "b", Name: "t", Args: "[1]"}},
			}},
			llm.Message{Role: llm.Tool, Parts: []llm.Part{{Result: &llm.ToolResult{CallID: "a"}}, {Result: &llm.ToolResult{CallID: "b"}}}})
		got := string(llm.MarshalWire(encode(req)))
		if strings.Count(got, noSignature) != want || strings.Contains(got, "thinking") || !strings.Contains(got, `"args":{"invalid_arguments":"[1]"}`) {
			t.Errorf("%s: %s", model, got)
		}
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		usage string
		want  mgx.Usage
		ok    bool
	}{
		{`{"promptTokenCount":100,"candidatesTokenCount":10,"thoughtsTokenCount":20,"cachedContentTokenCount":64,"totalTokenCount":130}`, mgx.Usage{Prompt: 100, Completion: 30, Cached: 64, Reasoning: 20}, true},
		{`{"promptTokenCount":100,"candidatesTokenCount":10,"totalTokenCount":130}`, mgx.Usage{Prompt: 100, Completion: 30}, true},
		{`{"promptTokenCount":100,"toolUsePromptTokenCount":5,"candidatesTokenCount":10,"totalTokenCount":115}`, mgx.Usage{Prompt: 105, Completion: 10}, true},
		{`{}`, mgx.Usage{}, false},
		{`null`, mgx.Usage{}, false},
		{`{"promptTokenCount":-1}`, mgx.Usage{}, false},
		{`{"promptTokenCount":1e300}`, mgx.Usage{Prompt: 1e12}, true},
	} {
		resp, _, err := answerWith(t, events(finish("STOP"), `{"usageMetadata":`+c.usage+`}`))
		if err != nil || resp.UsageOK != c.ok || resp.Usage != c.want {
			t.Errorf("%s: %+v, %v, %v", c.usage, resp.Usage, resp.UsageOK, err)
		}
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	half, seed := 0.5, int64(1)<<40+7
	req := &llm.Request{
		Model: "models/gemini-2.5-flash", System: "Be <brief>.", MaxTokens: 100, Temperature: &half, TopP: &half, Seed: &seed,
		Stop: []string{"END"}, ToolChoice: "required", Effort: "low",
		Tools: []llm.ToolSpec{
			{Name: "read", Description: "Reads.", Schema: json.RawMessage(`{"type":"object","properties":{"p":{"type":"string"}},"additionalProperties":false}`)},
			{Name: "list", Schema: json.RawMessage(`{"type":"object"}`)},
		},
		Messages: []llm.Message{userSays("hi"), {Role: llm.Assistant, Parts: []llm.Part{{Text: "Hello."}}}, {Role: llm.Assistant}, userSays("go on")},
	}
	got := string(llm.MarshalWire(encode(req)))
	want := `{"systemInstruction":{"parts":[{"text":"Be <brief>."}]},` +
		`"tools":[{"functionDeclarations":[{"name":"read","description":"Reads.","parameters":{"type":"OBJECT","properties":{"p":{"type":"STRING"}}}},{"name":"list"}]}],` +
		`"toolConfig":{"functionCallingConfig":{"mode":"ANY"}},` +
		`"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"text":"Hello."}]},{"role":"user","parts":[{"text":"go on"}]}],` +
		`"generationConfig":{"maxOutputTokens":100,"temperature":0.5,"topP":0.5,"stopSequences":["END"],"seed":7,"thinkingConfig":{"includeThoughts":true,"thinkingBudget":1024}}}`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	req.Format = &llm.Format{Schema: json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer"}}}`)}
	if err := check(req, "gemini"); err == nil {
		t.Error("a form together with tools was asked of a model that refuses it")
	}
	req.Tools = nil
	if got := string(llm.MarshalWire(encode(req).GenerationConfig)); check(req, "gemini") != nil ||
		!strings.Contains(got, `"responseMimeType":"application/json","responseSchema":{"type":"OBJECT","properties":{"n":{"type":"INTEGER"}}}`) {
		t.Errorf("got %s", got)
	}
}

func TestThink(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ model, effort, want string }{
		{"gemini-2.5-flash", "", "null"},
		{"gemini-2.5-flash", "none", `{"thinkingBudget":0}`},
		{"gemini-2.5-flash", "high", `{"includeThoughts":true,"thinkingBudget":24576}`},
		{"gemini-2.5-pro", "none", `{"includeThoughts":true,"thinkingBudget":128}`},
		{"gemini-2.0-flash", "high", "null"},
		{"gemini-flash-latest", "high", "null"},
		{"gemini-3-pro-preview", "none", `{"thinkingLevel":"LOW"}`},
		{"gemini-3-pro-preview", "medium", `{"includeThoughts":true,"thinkingLevel":"HIGH"}`},
		{"gemini-3.1-pro-preview", "medium", `{"includeThoughts":true,"thinkingLevel":"MEDIUM"}`},
		{"gemini-3-flash-preview", "none", `{"thinkingLevel":"MINIMAL"}`},
		{"models/gemini-3.8-flash", "low", `{"includeThoughts":true,"thinkingLevel":"LOW"}`},
	} {
		if got := string(llm.MarshalWire(think(c.model, c.effort))); got != c.want {
			t.Errorf("%s, %q: %s, want %s", c.model, c.effort, got, c.want)
		}
	}
}

// TestSchema: what the API takes, and never a keyword that it refuses.
func TestSchema(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"type":"object","$schema":"x","additionalProperties":false,"properties":{"a":{"type":"string","minLength":1,"format":"uri","default":"x"}},"required":["a","gone"]}`: `{"type":"OBJECT","properties":{"a":{"type":"STRING","minLength":1}},"required":["a"]}`,
		`{"type":"object","properties":{"a":{"type":["integer","null"],"exclusiveMinimum":0,"maximum":10.5}}}`:                                                                 `{"type":"OBJECT","properties":{"a":{"type":"INTEGER","nullable":true,"maximum":10.5}}}`,
		`{"type":"object","properties":{"a":{"type":["string","number"]}}}`:                                                                                                    `{"type":"OBJECT","properties":{"a":{"anyOf":[{"type":"STRING"},{"type":"NUMBER"}]}}}`,
		`{"type":"object","properties":{"a":{"enum":["x","y",null]},"b":{"const":"z"},"c":{"type":"integer","enum":[1,2],"description":"Which."}}}`:                            `{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true,"enum":["x","y"]},"b":{"type":"STRING","enum":["z"]},"c":{"type":"INTEGER","description":"Which. One of: 1, 2."}}}`,
		`{"type":"object","properties":{"a":{"$ref":"#/$defs/d"}},"$defs":{"d":{"type":"array","items":{"type":"string","format":"date-time"},"minItems":1}}}`:                 `{"type":"OBJECT","properties":{"a":{"type":"ARRAY","items":{"type":"STRING","format":"date-time"},"minItems":1}}}`,
		`{"type":"object","properties":{"a":{"oneOf":[{"type":"null"},{"type":"string"}],"description":"D."},"b":{"anyOf":[{"type":"string"},{"type":"array"}]}}}`:             `{"type":"OBJECT","properties":{"a":{"type":"STRING","description":"D.","nullable":true},"b":{"anyOf":[{"type":"STRING"},{"type":"ARRAY","items":{"type":"STRING"}}]}}}`,
		`{"allOf":[{"properties":{"a":{"type":"string"}},"required":["a"]},{"properties":{"b":true},"required":["b"]}]}`:                                                       `{"type":"OBJECT","properties":{"a":{"type":"STRING"},"b":{"type":"STRING"}},"required":["a","b"]}`,
		`{"type":"object","properties":{"a":{"$ref":"https://elsewhere"},"b":{"$ref":"#/nowhere"},"c":{"type":"odd"}}}`:                                                        `{"type":"OBJECT","properties":{"a":{"type":"STRING"},"b":{"type":"STRING"},"c":{"type":"STRING"}}}`,
		`{"type":"object"}`: ``, `{}`: ``, `true`: ``, `[]`: ``,
	} {
		if got := string(parametersOf(json.RawMessage(in))); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", in, got, want)
		}
	}
	// Schemas that contain themselves, or pretend to be endless, end.
	for _, in := range []string{
		`{"type":"object","properties":{"next":{"$ref":"#"}}}`,
		`{"$ref":"#"}`, `{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}`,
		`{"allOf":[{"$ref":"#"},{"$ref":"#"}]}`,
		`{"type":"object","properties":{"a":{"$ref":"#"},"b":{"$ref":"#"},"c":{"$ref":"#"}}}`,
	} {
		if got := parametersOf(json.RawMessage(in)); len(got) > 1<<20 {
			t.Errorf("%s becomes %d bytes", in, len(got))
		}
	}
}

// TestModels: pages, limits, and only models that answer; the key is in a header
// and in no address.
func TestModels(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Goog-Api-Key") != "AIzaTest0123" || strings.Contains(r.URL.String(), "AIza") || r.URL.Path != "/v1beta/models" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if r.URL.Query().Get("pageToken") == "" {
			io.WriteString(w, `{"models":[{"name":"models/gemini-2.5-pro","inputTokenLimit":1048576,"outputTokenLimit":65536,"supportedGenerationMethods":["generateContent"]},{"name":"models/embedding-1","supportedGenerationMethods":["embedContent"]}],"nextPageToken":"a&b"}`)
			return
		}
		io.WriteString(w, `{"models":[{"name":"models/gemini-x"}]}`)
	}))
	defer server.Close()
	models, err := New(Options{BaseURL: server.URL, APIKey: "AIzaTest0123"}).Models(t.Context())
	if err != nil || len(models) != 2 || models[0] != (llm.ModelInfo{ID: "gemini-2.5-pro", ContextWindow: 1048576, MaxOutput: 65536}) || models[1].ID != "gemini-x" {
		t.Errorf("got %v, %v", models, err)
	}
	gone := llm.ParseError([]byte(`{"error":{"code":404,"message":"models/gemini-9.5-max is not found for API version v1beta, or is not supported for generateContent.","status":"NOT_FOUND"}}`))
	if _, noModel := llm.Classify(404, gone); !noModel {
		t.Error("a model that does not exist is not seen to be missing")
	}
}
