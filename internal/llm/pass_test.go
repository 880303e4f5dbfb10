package llm_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mgx/internal/llm"
	"mgx/internal/llm/anthropic"
	"mgx/internal/llm/openai"
)

// passed is what came of a request that was passed on.
type passed struct {
	sent   string
	wire   []byte
	last   []byte // of wire
	firsts int
	resp   *llm.Response
	err    error
}

// pass sends body on to a server that answers with a text in one go.
func pass(t *testing.T, dialect, body, answer string, stream bool) (out passed) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		out.sent = r.URL.Path + " " + string(raw)
		io.WriteString(w, answer)
	}))
	defer server.Close()
	c := llm.Connection{BaseURL: server.URL, APIKey: "key-of-ours"}
	var p llm.Provider
	switch dialect {
	case llm.DialectMessages:
		p = anthropic.New(c)
	case llm.DialectResponses:
		p = openai.NewResponses(c)
	default:
		p = openai.New(c)
	}
	req := &llm.Request{Model: "real", MaxTokens: 77, Pass: &llm.Pass{Dialect: dialect, Body: []byte(body), Stream: stream, Only: "x"}}
	if err := llm.Suits(p, req.Model, req); err != nil {
		t.Fatal(err)
	}
	for chunk, err := range p.Stream(t.Context(), req) {
		if w := chunk.Wire; w != nil {
			out.wire, out.last = append(out.wire, w.Data...), nil
			if w.First {
				out.firsts++
			}
			if w.Last {
				out.last = w.Data
			}
		}
		out.err = errors.Join(out.err, err)
		out.resp = chunk.Response
	}
	return out
}

var passages = []struct {
	name, dialect, body, sent, answer, last string
	stream                                  bool
	text                                    string
	usage                                   int64
}{
	{
		name: "chat stream", dialect: llm.DialectChat, stream: true, text: "Hi <b>", usage: 7,
		body:   `{"model":"mgx/x", "new_field": {"a" : 1}, "messages":[{"role":"user","content":"hi"}],"stream":true}`,
		sent:   `/v1/chat/completions {"max_tokens":77,"stream_options":{"include_usage":true},"model":"real", "new_field": {"a" : 1}, "messages":[{"role":"user","content":"hi"}],"stream":true}`,
		answer: ": note\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi <b>\"},\"x\":1}]}\r\n\r\nevent: odd\ndata: {\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}],\ndata: \"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
		last:   "data: [DONE]\n\n",
	},
	{
		name: "chat options", dialect: llm.DialectChat, stream: true, text: "a", usage: 0,
		body:   `{"model":"m","max_completion_tokens":5,"stream_options":{"include_usage":false,"y":2},"stream":true}`,
		sent:   `/v1/chat/completions {"max_tokens":77,"model":"real","stream_options":{"include_usage":true,"y":2},"stream":true}`,
		answer: "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n",
	},
	{
		name: "chat document", dialect: llm.DialectChat, text: "Hi", usage: 3,
		body:   `{"model":"m","messages":[],"n":1}`,
		sent:   `/v1/chat/completions {"max_tokens":77,"model":"real","messages":[],"n":1}`,
		answer: "{\"choices\": [{\"index\":0,\"message\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}],\n \"usage\":{\"prompt_tokens\":3}, \"system_fingerprint\":\"fp\"}",
	},
	{
		name: "messages stream", dialect: llm.DialectMessages, stream: true, text: "Hi", usage: 3,
		body:   `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}],"stream":true}`,
		sent:   `/v1/messages {"model":"real","max_tokens":77,"messages":[{"role":"user","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}],"stream":true}`,
		answer: "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3}}}\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\nevent: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
		last:   "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
	},
	{
		name: "responses stream", dialect: llm.DialectResponses, stream: true, text: "Hi", usage: 3,
		body:   `{"input":"x","model":"m","stream":true}`,
		sent:   `/v1/responses {"max_output_tokens":77,"input":"x","model":"real","stream":true}`,
		answer: "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\nevent: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"message\",\"content\":[]}}\n\nevent: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"Hi\"}\n\nevent: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"Hi\"}]}}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"Hi\"}]}],\"usage\":{\"input_tokens\":3,\"output_tokens\":2}}}\n\n",
		last:   "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"Hi\"}]}],\"usage\":{\"input_tokens\":3,\"output_tokens\":2}}}\n\n",
	},
}

// A passed request goes out as it came but for what must be set, and its answer
// comes back byte for byte, with its end apart, and its usage read.
func TestPassThrough(t *testing.T) {
	t.Parallel()
	for _, c := range passages {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := pass(t, c.dialect, c.body, c.answer, c.stream)
			if got.err != nil {
				t.Fatal(got.err)
			}
			if got.sent != c.sent {
				t.Errorf("sent %s\nwant %s", got.sent, c.sent)
			}
			if string(got.wire) != c.answer || string(got.last) != c.last || got.firsts != 1 {
				t.Errorf("%d beginnings, last %q, all %q", got.firsts, got.last, got.wire)
			}
			var text strings.Builder
			for _, p := range got.resp.Message.Parts {
				text.WriteString(p.Text)
			}
			if text.String() != c.text || got.resp.Usage.Prompt != c.usage {
				t.Errorf("read %q, %+v", text.String(), got.resp.Usage)
			}
		})
	}
}

// A stream that ends anywhere before its end is an error, and what ends it is
// never among what was handed out.
func TestPassThroughCut(t *testing.T) {
	t.Parallel()
	c := passages[3]
	for _, n := range []int{0, 10, 200, strings.Index(c.answer, "event: message_stop"), len(c.answer) - 3} {
		got := pass(t, c.dialect, c.body, c.answer[:n], true)
		if got.err == nil || got.resp != nil || got.last != nil || bytes.Contains(got.wire, []byte("message_stop")) {
			t.Errorf("after %d bytes: %v, %+v, %q", n, got.err, got.resp, got.last)
		}
	}
}

// What no other dialect can say goes to a provider of the dialect or nowhere.
func TestPassOnly(t *testing.T) {
	t.Parallel()
	req := &llm.Request{Model: "m", MaxTokens: 1, Pass: &llm.Pass{Dialect: llm.DialectChat, Only: "an image"}}
	p := anthropic.New(llm.Connection{BaseURL: "http://127.0.0.1:1"})
	err := llm.Suits(p, "m", req)
	if e, ok := errors.AsType[*llm.CallError](err); !ok || e.Fault != llm.FaultRequest || !strings.Contains(e.Message, "an image") || e.InStream {
		t.Errorf("suits: %v", err)
	}
	for chunk, err := range p.Stream(t.Context(), req) {
		if e, ok := errors.AsType[*llm.CallError](err); !ok || e.Fault != llm.FaultRequest || chunk.Response != nil {
			t.Errorf("asked all the same: %+v %v", chunk, err)
		}
	}
}
