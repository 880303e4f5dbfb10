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
		all := make([]any, len(calls))
		for i, c := range calls {
			all[i] = append(object("id", c.ID, "type", "function", "function", object("name", c.Name, "arguments", c.Args)), c.extra()...)
		}
		message = append(message, "tool_calls", all)
	}
	return object("id", "chatcmpl-"+c.id, "object", "chat.completion", "created", s.at.Unix(), "model", s.Model,
		"choices", []any{object("index", 0, "message", message, "logprobs", nil, "finish_reason", chatFinish(s.Finish))},
		"usage", chatUsage(s.Usage))
}

// chatTail are the blocks of thinking and the tool calls of an answer. What a
// provider wants back goes into the fields that others who have such blocks use.
func chatTail(r *llm.Response) (details []any, calls []chatCall) {
	var with *wrapped
	for _, p := range shown(r) {
		if p.Opaque != nil {
			if _, of := p.Opaque.Rest(); of {
				with = p.travels
			} else {
				details = append(details, object("type", "reasoning.encrypted", "data", p.travels.wrap(), "format", "mgx", "index", len(details)))
			}
			continue
		}
		if p.Call == nil {
			continue
		}
		calls = append(calls, chatCall{p.Call, with})
		with = nil
	}
	return details, calls
}

// chatCall is a tool call and what its provider wants back with it, if anything.
type chatCall struct {
	*llm.ToolCall
	with *wrapped
}

func (c chatCall) extra() ordered {
	if c.with == nil {
		return nil
	}
	return object("extra_content", object("mgx", c.with.wrap()))
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

func (chat) encoder(c *call) encoder {
	return &chatEncoder{call: c, at: time.Now().Unix(), indexes: map[int]int{}, begun: map[string]int{}}
}

type chatEncoder struct {
	call     *call
	at       int64
	model    string
	head     []byte         // of every chunk, up to its choices
	streamed int            // bytes of text
	indexes  map[int]int    // of the calls that began, by the number that chunks have
	begun    map[string]int // the same by id
	scratch  []byte
}

func (e *chatEncoder) start(out *bytes.Buffer, model string) {
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
	if c.ToolName != "" {
		e.indexes[c.ToolIndex] = e.begin(out, c.ToolID, c.ToolName, "", nil)
	}
	if c.ToolArgs != "" {
		e.arguments(out, e.indexes[c.ToolIndex], c.ToolArgs)
	}
}

// piece is the delta that there are most of, so it is put together by hand.
func (e *chatEncoder) piece(out *bytes.Buffer, name, text string) {
	b := append(append(append(append(e.scratch[:0], e.head...), `{"index":0,"delta":{"`...), name...), `":`...)
	e.put(out, append(appendString(b, text), '}'))
}

// arguments likewise.
func (e *chatEncoder) arguments(out *bytes.Buffer, index int, text string) {
	b := append(append(e.scratch[:0], e.head...), `{"index":0,"delta":{"tool_calls":[{"index":`...)
	b = append(appendInt(b, index), `,"function":{"arguments":`...)
	e.put(out, append(appendString(b, text), "}}]}"...))
}

func (e *chatEncoder) put(out *bytes.Buffer, b []byte) {
	e.scratch = e.tail(append(b, `,"logprobs":null,"finish_reason":null}]`...))
	out.Write(e.scratch)
}

// begin begins a call and returns its index.
func (e *chatEncoder) begin(out *bytes.Buffer, id, name, args string, extra ordered) int {
	index := len(e.begun)
	e.begun[id] = index
	call := object("index", index, "id", id, "type", "function", "function", object("name", name, "arguments", args))
	e.delta(out, object("tool_calls", []any{append(call, extra...)}))
	return index
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
	for _, c := range calls {
		switch index, begun := e.begun[c.ID]; {
		case !begun:
			e.begin(out, c.ID, c.Name, c.Args, c.extra())
		case c.with != nil:
			e.delta(out, object("tool_calls", []any{append(object("index", index), c.extra()...)}))
		}
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
