package gateway

import (
	"bytes"

	"mgx"
	"mgx/internal/llm"
)

func (messages) refuse(f *failure, id string) any { return anthropicError(f, id) }

func (messages) beat() []byte { return []byte("event: ping\ndata: {\"type\": \"ping\"}\n\n") }

func (messages) whole(c *call, s *said) any {
	content := []any{}
	if s.thinking != "" {
		content = append(content, object("type", "thinking", "thinking", s.thinking, "signature", wrapping))
	}
	for _, p := range shown(s.Response) {
		switch {
		case p.Opaque != nil:
			content = append(content, object("type", "redacted_thinking", "data", wrap(p.Opaque)))
		case p.Text != "":
			content = append(content, object("type", "text", "text", p.Text))
		case p.Call != nil:
			content = append(content, object("type", "tool_use", "id", p.Call.ID, "name", p.Call.Name, "input", llm.ArgsObject(p.Call.Args)))
		}
	}
	return object("id", "msg_"+c.id, "type", "message", "role", "assistant", "model", s.Model, "content", content,
		"stop_reason", messagesFinish(s.Finish), "stop_sequence", nil, "usage", messagesUsage(s.Usage))
}

func messagesFinish(f llm.Finish) string {
	switch f {
	case llm.FinishTools:
		return "tool_use"
	case llm.FinishLength:
		return "max_tokens"
	case llm.FinishRefusal, llm.FinishFilter:
		return "refusal"
	}
	return "end_turn"
}

func messagesUsage(u mgx.Usage) any {
	return object("input_tokens", max(0, u.Prompt-u.Cached-u.CacheWrite), "cache_creation_input_tokens", u.CacheWrite,
		"cache_read_input_tokens", u.Cached, "output_tokens", u.Completion)
}

func (messages) encoder(c *call) encoder { return &messagesEncoder{call: c} }

// messagesEncoder keeps which block is open: text and thinking come as they
// are said, tool calls whole at the end.
type messagesEncoder struct {
	call     *call
	open     string // kind of the open block; empty: none
	index    int    // of the open or the next block
	streamed int
	scratch  []byte
}

func (e *messagesEncoder) begin(out *bytes.Buffer, model string) {
	event(out, "message_start", object("type", "message_start", "message", object(
		"id", "msg_"+e.call.id, "type", "message", "role", "assistant", "model", model, "content", []any{},
		"stop_reason", nil, "stop_sequence", nil, "usage", messagesUsage(mgx.Usage{}))))
	out.Write(e.call.dialect.beat())
}

func (e *messagesEncoder) chunk(out *bytes.Buffer, c llm.Chunk) {
	if c.Thinking != "" {
		e.piece(out, "thinking", object("type", "thinking", "thinking", "", "signature", ""), c.Thinking)
	}
	if c.Text != "" {
		e.streamed += len(c.Text)
		e.piece(out, "text", object("type", "text", "text", ""), c.Text)
	}
	if c.ToolName != "" {
		e.closeBlock(out)
	}
}

func (e *messagesEncoder) piece(out *bytes.Buffer, kind string, block any, text string) {
	if e.open != kind {
		e.closeBlock(out)
		e.openBlock(out, kind, block)
	}
	e.delta(out, kind+"_delta", kind, text)
}

// delta is what there is most of, so it is put together by hand.
func (e *messagesEncoder) delta(out *bytes.Buffer, kind, name, text string) {
	b := append(e.scratch[:0], "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":"...)
	b = append(appendInt(b, e.index), `,"delta":{"type":"`...)
	b = append(append(append(append(b, kind...), `","`...), name...), `":`...)
	e.scratch = append(appendString(b, text), "}}\n\n"...)
	out.Write(e.scratch)
}

func (e *messagesEncoder) openBlock(out *bytes.Buffer, kind string, block any) {
	e.open = kind
	event(out, "content_block_start", object("type", "content_block_start", "index", e.index, "content_block", block))
}

func (e *messagesEncoder) closeBlock(out *bytes.Buffer) {
	if e.open == "" {
		return
	}
	if e.open == "thinking" {
		e.delta(out, "signature_delta", "signature", wrapping)
	}
	event(out, "content_block_stop", object("type", "content_block_stop", "index", e.index))
	e.open = ""
	e.index++
}

func (e *messagesEncoder) end(out *bytes.Buffer, r *llm.Response) {
	if text := rest(r, e.streamed); text != "" {
		e.chunk(out, llm.Chunk{Text: text})
	}
	e.closeBlock(out)
	for _, p := range shown(r) {
		switch {
		case p.Opaque != nil:
			e.openBlock(out, "redacted", object("type", "redacted_thinking", "data", wrap(p.Opaque)))
		case p.Call != nil:
			e.openBlock(out, "tool_use", object("type", "tool_use", "id", p.Call.ID, "name", p.Call.Name, "input", object()))
			e.delta(out, "input_json_delta", "partial_json", string(llm.ArgsObject(p.Call.Args)))
		}
		e.closeBlock(out)
	}
	event(out, "message_delta", object("type", "message_delta",
		"delta", object("stop_reason", messagesFinish(r.Finish), "stop_sequence", nil), "usage", messagesUsage(r.Usage)))
	event(out, "message_stop", object("type", "message_stop"))
}

func (e *messagesEncoder) fail(out *bytes.Buffer, f *failure) {
	event(out, "error", anthropicError(f, e.call.id))
}
