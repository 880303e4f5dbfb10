package openai

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

// respond makes a call in Responses to a server that answers with this body.
func respond(t *testing.T, body string) (*llm.Response, []llm.Chunk, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) }))
	defer server.Close()
	var chunks []llm.Chunk
	for chunk, err := range NewResponses(Options{Name: "x", BaseURL: server.URL}).Stream(t.Context(), basicRequest("m")) {
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

func stream(docs ...string) string { return "data: " + strings.Join(docs, "\n\ndata: ") + "\n\n" }

const (
	created   = `{"type":"response.created","response":{"model":"m-1","status":"in_progress","output":[],"usage":null}}`
	began     = `{"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"msg_1","content":[]}}`
	said      = `{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Hi"}`
	message   = `{"type":"message","id":"msg_1","status":"completed","role":"assistant","phase":"final_answer","content":[{"type":"output_text","text":"Hi","annotations":[]}]}`
	did       = `{"type":"response.output_item.done","output_index":0,"item":` + message + `}`
	usage     = `{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":17}`
	completed = `{"type":"response.completed","response":{"model":"m-1","status":"completed","output":[` + message + `],"usage":` + usage + `}}`
	whole     = `{"object":"response","model":"m-1","status":"completed","output":[` + message + `],"usage":` + usage + `}`
)

func cut(reason string) string {
	return `{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"` + reason + `"},"output":[],"usage":` + usage + `}}`
}

func TestResponsesAnswers(t *testing.T) {
	t.Parallel()
	refused := `{"type":"response.output_item.done","output_index":0,"item":{"type":"message","content":[{"type":"refusal","refusal":"Hi"}]}}`
	for name, c := range map[string]struct {
		body string
		want llm.Finish
	}{
		"all events":                {stream(created, began, said, did, completed), llm.FinishStop},
		"a document":                {whole, llm.FinishStop},
		"no deltas":                 {stream(created, began, did, completed), llm.FinishStop},
		"an item that never began":  {stream(created, did, completed), llm.FinishStop},
		"nothing but the end":       {stream(completed), llm.FinishStop},
		"an item that is not done":  {stream(created, began, said, completed), llm.FinishStop},
		"[DONE] behind it":          {stream(created, began, said, did, completed, "[DONE]"), llm.FinishStop},
		"started twice":             {stream(created, created, began, said, did, completed), llm.FinishStop},
		"events of another time":    {stream(created, `{"type":"response.dreaming","delta":{"a":1}}`, began, said, did, completed), llm.FinishStop},
		"cut by length":             {stream(created, began, said, did, cut("max_output_tokens")), llm.FinishLength},
		"cut within an item":        {stream(created, began, said, cut("max_output_tokens")), llm.FinishLength},
		"filtered":                  {stream(created, began, said, did, cut("content_filter")), llm.FinishFilter},
		"refused":                   {stream(created, began, strings.Replace(said, "output_text", "refusal", 1), refused, strings.Replace(completed, message, "", 1)), llm.FinishRefusal},
		"refused without its delta": {stream(created, refused, strings.Replace(completed, message, "", 1)), llm.FinishRefusal},
	} {
		resp, chunks, err := respond(t, c.body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var shown strings.Builder
		for _, chunk := range chunks {
			shown.WriteString(chunk.Text)
		}
		if resp.Finish != c.want || messageText(resp) != "Hi" || shown.String() != "Hi" {
			t.Errorf("%s: finish %q, text %q, shown %q", name, resp.Finish, messageText(resp), shown.String())
		}
		if want := (mgx.Usage{Prompt: 10, Completion: 7, Cached: 4, Reasoning: 5}); !resp.UsageOK || resp.Usage != want {
			t.Errorf("%s: usage %+v", name, resp.Usage)
		}
	}
}

func TestNotAWholeResponse(t *testing.T) {
	t.Parallel()
	failed := func(code string) string {
		return `{"type":"response.failed","response":{"status":"failed","error":{"code":"` + code + `","message":"x"}}}`
	}
	call := `{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","call_id":"a","name":"t","arguments":""}}`
	for name, c := range map[string]struct {
		body  string
		fault llm.Fault
	}{
		"nothing":                     {"", llm.FaultBad},
		"no end":                      {stream(created, began, said, did), llm.FaultBad},
		"[DONE] for an end":           {stream(created, began, said, did, "[DONE]"), llm.FaultBad},
		"an end without a response":   {stream(created, `{"type":"response.completed"}`), llm.FaultBad},
		"an end that is none":         {stream(created, strings.Replace(completed, `"status":"completed"`, `"status":"in_progress"`, 1)), llm.FaultBad},
		"cancelled":                   {strings.Replace(whole, `"status":"completed"`, `"status":"cancelled"`, 1), llm.FaultBad},
		"a call that is not done":     {stream(created, call, strings.Replace(completed, message, "", 1)), llm.FaultBad},
		"starts again":                {stream(created, began, said, created), llm.FaultBad},
		"begins twice":                {stream(created, began, began), llm.FaultBad},
		"done twice":                  {stream(created, began, did, did), llm.FaultBad},
		"done as another kind":        {stream(created, call, did), llm.FaultBad},
		"a piece of nothing":          {stream(created, said), llm.FaultBad},
		"a piece behind the end":      {stream(created, began, did, said), llm.FaultBad},
		"arguments of a message":      {stream(created, began, `{"type":"response.function_call_arguments.delta","output_index":0,"delta":"{"}`), llm.FaultBad},
		"an item that is a list":      {stream(created, `{"type":"response.output_item.added","output_index":0,"item":[]}`), llm.FaultBad},
		"not an object":               {stream(created, `[1]`), llm.FaultBad},
		"failed":                      {stream(created, failed("server_error")), llm.FaultOverloaded},
		"failed for its rate":         {stream(created, failed("rate_limit_exceeded")), llm.FaultRate},
		"failed for its prompt":       {stream(created, failed("invalid_prompt")), llm.FaultRequest},
		"failed for its length":       {stream(created, failed("context_length_exceeded")), llm.FaultTooLong},
		"failed by policy":            {stream(created, failed("misalignment_policy_violation")), llm.FaultRequest},
		"failed for no reason":        {stream(created, `{"type":"response.failed"}`), llm.FaultOverloaded},
		"an error":                    {stream(created, `{"type":"error","code":"server_error","message":"x","param":null}`), llm.FaultOverloaded},
		"an error of rate":            {stream(created, `{"type":"error","error":{"type":"tokens","code":"rate_limit_exceeded","message":"x"}}`), llm.FaultRate},
		"an error of quota":           {stream(created, `{"type":"error","code":"insufficient_quota","message":"x"}`), llm.FaultQuota},
		"an error without an event":   {stream(`{"error":{"message":"overloaded","type":"server_error"}}`), llm.FaultOverloaded},
		"a document that failed":      {`{"status":"failed","error":{"code":"rate_limit_exceeded","message":"x"}}`, llm.FaultRate},
		"a document of another shape": {`{"output":{}}`, llm.FaultBad},
		"a hollow document":           {`{}`, llm.FaultBad},
	} {
		_, _, err := respond(t, c.body)
		if e, ok := err.(*llm.CallError); !ok || e.Fault != c.fault || !e.InStream {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestItemsGoBack: the items of an answer go back as they came, to Responses of
// the same provider and to nobody else.
func TestItemsGoBack(t *testing.T) {
	t.Parallel()
	reasoning := `{"id":"rs_1","type":"reasoning","summary":[],"encrypted_content":"se<&>cret","future":{"a":[1.50,"x"]}}`
	call := `{"type":"function_call","id":"fc_1","status":"completed","call_id":"c","name":"t","arguments":"{\"a\": 1}"}`
	resp, _, err := respond(t, strings.Replace(whole, message, strings.Join([]string{reasoning, message, call, `{"type":"new_kind","x":1}`}, ","), 1))
	if err != nil {
		t.Fatal(err)
	}
	req := basicRequest("m")
	req.Messages = append(req.Messages, resp.Message, llm.Message{Role: llm.Tool, Parts: []llm.Part{{Result: &llm.ToolResult{CallID: "c", Text: "ok"}}}})
	encoded := func(p llm.Provider, req *llm.Request) string {
		return string(llm.MarshalWire(p.(*provider).encodeResponses(req).Input[1:]))
	}
	want := `[` + reasoning + `,{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi","annotations":[]}],"id":"msg_1","phase":"final_answer","status":"completed"},` +
		`{"type":"function_call","call_id":"c","name":"t","arguments":"{\"a\": 1}","id":"fc_1","status":"completed"},{"type":"new_kind","x":1},` +
		`{"type":"function_call_output","call_id":"c","output":"ok"}]`
	if got := encoded(NewResponses(Options{Name: "x"}), req); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	short := `[{"type":"message","role":"assistant","content":"Hi"},{"type":"function_call","call_id":"c","name":"t","arguments":"{\"a\": 1}"},{"type":"function_call_output","call_id":"c","output":"ok"}]`
	if got := encoded(NewResponses(Options{Name: "other"}), req); got != short {
		t.Errorf("another provider gets %s", got)
	}
	if got := string(llm.MarshalWire(New(Options{Name: "x"}).(*provider).encode(req).Messages[1])); strings.Contains(got, "cret") || strings.Contains(got, "msg_1") {
		t.Errorf("another dialect gets %s", got)
	}
	// Reasoning that is not encrypted means nothing to a server that keeps nothing,
	// and what followed it must not go by its id then.
	resp.Message.Parts[0].Opaque.Raw = json.RawMessage(`{"id":"rs_1","type":"reasoning","summary":[]}`)
	if got := encoded(NewResponses(Options{Name: "x"}), req); strings.Contains(got, "rs_1") || strings.Contains(got, "msg_1") || strings.Contains(got, "fc_1") {
		t.Errorf("without its encrypted content: %s", got)
	}
}

func TestEncodeResponses(t *testing.T) {
	t.Parallel()
	half := 0.5
	req := &llm.Request{
		Model: "gpt-5.6-terra", System: "Be <brief>.", MaxTokens: 100, Temperature: &half, TopP: &half, ToolChoice: "required", Effort: "high",
		Tools:    []llm.ToolSpec{{Name: "read", Schema: json.RawMessage(`{"type": "object"}`)}},
		Format:   &llm.Format{Name: "my answer", Schema: json.RawMessage(`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}`)},
		Messages: []llm.Message{userSays("hi")},
	}
	got := string(llm.MarshalWire(New(Options{}).(*provider).encodeResponses(req)))
	want := `{"model":"gpt-5.6-terra","instructions":"Be <brief>.",` +
		`"tools":[{"type":"function","name":"read","parameters":{"type":"object"},"strict":false}],` +
		`"input":[{"type":"message","role":"user","content":"hi"}],"tool_choice":"required","max_output_tokens":100,` +
		`"reasoning":{"effort":"high"},"text":{"format":{"type":"json_schema","name":"my_answer",` +
		`"schema":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false},"strict":true}},` +
		`"include":["reasoning.encrypted_content"],"store":false,"stream":true}`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	req.Model, req.Format.Schema = "gpt-4o", json.RawMessage(`{"type":"object","properties":{"a":{"type":"string"}}}`)
	got = string(llm.MarshalWire(New(Options{}).(*provider).encodeResponses(req)))
	for _, part := range []string{`"temperature":0.5,"top_p":0.5`, `"strict":false}}`} {
		if !strings.Contains(got, part) {
			t.Errorf("a model that does not think gets %s", got)
		}
	}
	if strings.Contains(got, "reasoning") {
		t.Errorf("a model that does not think gets %s", got)
	}
}

// TestDemandsAreNotDropped: where an answer stops is no wish.
func TestDemandsAreNotDropped(t *testing.T) {
	t.Parallel()
	req := basicRequest("gpt-5.6-terra")
	req.Stop = []string{"\n\n"}
	for _, p := range []llm.Provider{New(Options{}), NewResponses(Options{})} {
		for _, err := range p.Stream(t.Context(), req) {
			if e, ok := err.(*llm.CallError); !ok || e.Fault != llm.FaultRequest || !strings.Contains(e.Message, "stop") {
				t.Errorf("got %v", err)
			}
		}
	}
}
