package gateway

import (
	"bytes"
	"encoding/json"
	"time"

	"mgx"
	"mgx/internal/llm"
)

func (chat) refuse(f *failure, _ string) any { return openAIError(f) }

func (chat) beat() []byte { return []byte(": alive\n\n") }

func (chat) whole(c *call, s *said) any {
	text := textOf(s.Response)
	message := object("role", "assistant", "content", text, "refusal", nil)
	switch {
	case s.Finish == llm.FinishRefusal:
		message = object("role", "assistant", "content", nil, "refusal", text)
	case text == "" && len(callsOf(s.Response)) > 0:
		message = object("role", "assistant", "content", nil, "refusal", nil)
	}
	if s.thinking != "" {
		message = append(message, "reasoning_content", s.thinking)
	}
	details, calls := chatTail(s.Response)
	if details != nil {
		message = append(message, "reasoning_details", details)
	}
	if calls != nil {
		message = append(message, "tool_calls", calls)
	}
	return object("id", "chatcmpl-"+c.id, "object", "chat.completion", "created", s.at.Unix(), "model", s.Model,
		"choices", []any{object("index", 0, "message", message, "logprobs", nil, "finish_reason", chatFinish(s.Finish))},
		"usage", chatUsage(s.Usage))
}

// chatTail are the blocks of thinking and the tool calls of an answer. What a
// provider wants back goes into the fields that others who have such blocks use.
func chatTail(r *llm.Response) (details, calls []any) {
	var with *llm.Opaque
	for _, p := range shown(r) {
		if p.Opaque != nil {
			if _, of := p.Opaque.Rest(); of {
				with = p.Opaque
			} else {
				details = append(details, object("type", "reasoning.encrypted", "data", wrap(p.Opaque), "format", "mgx", "index", len(details)))
			}
			continue
		}
		if p.Call == nil {
			continue
		}
		call := object("id", p.Call.ID, "type", "function", "function", object("name", p.Call.Name, "arguments", p.Call.Args))
		if with != nil {
			call = append(call, "extra_content", object("mgx", wrap(with)))
			with = nil
		}
		calls = append(calls, call)
	}
	return details, calls
}

func chatFinish(f llm.Finish) string {
	switch f {
	case llm.FinishTools:
		return "tool_calls"
	case llm.FinishFilter:
		return "content_filter"
	case llm.FinishLength:
		return "length"
	}
	return "stop"
}

func chatUsage(u mgx.Usage) any {
	return object("prompt_tokens", u.Prompt, "completion_tokens", u.Completion, "total_tokens", u.Total(),
		"prompt_tokens_details", object("cached_tokens", u.Cached),
		"completion_tokens_details", object("reasoning_tokens", u.Reasoning))
}

func (chat) encoder(c *call) encoder { return &chatEncoder{call: c, at: time.Now().Unix()} }

type chatEncoder struct {
	call     *call
	at       int64
	model    string
	head     []byte // of every chunk, up to its choices
	streamed int    // bytes of text
	scratch  []byte
}

func (e *chatEncoder) begin(out *bytes.Buffer, model string) {
	e.model = model
	head := llm.MarshalWire(object("id", "chatcmpl-"+e.call.id, "object", "chat.completion.chunk", "created", e.at, "model", model))
	e.head = append(append([]byte("data: "), head[:len(head)-1]...), `,"choices":[`...)
	e.delta(out, object("role", "assistant", "content", "", "refusal", nil))
}

func (e *chatEncoder) chunk(out *bytes.Buffer, c llm.Chunk) {
	if c.Thinking != "" {
		e.piece(out, "reasoning_content", c.Thinking)
	}
	if c.Text != "" {
		e.streamed += len(c.Text)
		e.piece(out, "content", c.Text)
	}
}

// piece is the delta that there are most of, so it is put together by hand.
func (e *chatEncoder) piece(out *bytes.Buffer, name, text string) {
	b := append(e.scratch[:0], e.head...)
	b = append(append(append(b, `{"index":0,"delta":{"`...), name...), `":`...)
	b = appendString(b, text)
	b = append(b, `},"logprobs":null,"finish_reason":null}]`...)
	e.scratch = e.tail(b)
	out.Write(e.scratch)
}

func (e *chatEncoder) tail(b []byte) []byte {
	if e.call.usage {
		b = append(b, `,"usage":null`...)
	}
	return append(b, "}\n\n"...)
}

func (e *chatEncoder) delta(out *bytes.Buffer, delta any) { e.choice(out, delta, nil) }

func (e *chatEncoder) choice(out *bytes.Buffer, delta, finish any) {
	b := append(e.scratch[:0], e.head...)
	b = append(b, llm.MarshalWire(object("index", 0, "delta", delta, "logprobs", nil, "finish_reason", finish))...)
	e.scratch = e.tail(append(b, ']'))
	out.Write(e.scratch)
}

func (e *chatEncoder) end(out *bytes.Buffer, r *llm.Response) {
	if text := rest(r, e.streamed); text != "" {
		e.piece(out, "content", text)
	}
	details, calls := chatTail(r)
	if details != nil {
		e.delta(out, object("reasoning_details", details))
	}
	for i, call := range calls {
		e.delta(out, object("tool_calls", []any{append(object("index", i), call.(ordered)...)}))
	}
	e.choice(out, object(), chatFinish(r.Finish))
	if e.call.usage {
		out.Write(e.head)
		out.WriteString(`],"usage":`)
		out.Write(llm.MarshalWire(chatUsage(r.Usage)))
		out.WriteString("}\n\n")
	}
	out.WriteString("data: [DONE]\n\n")
}

func (e *chatEncoder) fail(out *bytes.Buffer, f *failure) { event(out, "", openAIError(f)) }

// usageOnly reports whether an event of a passed stream holds usage and nothing
// else; one who did not ask for it may not expect it.
func usageOnly(data []byte) bool {
	_, raw, _ := bytes.Cut(data, []byte("data:"))
	var chunk struct {
		Choices []json.RawMessage `json:"choices"`
		Usage   json.RawMessage   `json:"usage"`
	}
	return json.Unmarshal(bytes.TrimSpace(raw), &chunk) == nil && len(chunk.Choices) == 0 && len(chunk.Usage) > 0
}
