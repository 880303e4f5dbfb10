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
			content = append(content, object("type", "redacted_thinking", "data", p.travels.wrap()))
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

func (messages) encoder(c *call) encoder {
	e := &messagesEncoder{call: c}
	e.sequence = newSequence(e)
	return e
}

// messagesEncoder has blocks come as they are said. What a provider wants back
// follows at the end.
type messagesEncoder struct {
	*sequence
	call    *call
	index   int // of the open or the next block
	said    int // bytes of the open block
	scratch []byte
}

func (e *messagesEncoder) start(out *bytes.Buffer, model string) {
	event(out, "message_start", object("type", "message_start", "message", object(
		"id", "msg_"+e.call.id, "type", "message", "role", "assistant", "model", model, "content", []any{},
		"stop_reason", nil, "stop_sequence", nil, "usage", messagesUsage(mgx.Usage{}))))
	out.Write(e.call.dialect.beat())
}

func (e *messagesEncoder) begin(out *bytes.Buffer, p piece) {
	e.said = 0
	switch p.kind {
	case thinkingPiece:
		e.block(out, object("type", "thinking", "thinking", "", "signature", ""))
	case textPiece:
		e.block(out, object("type", "text", "text", ""))
	case callPiece:
		e.block(out, object("type", "tool_use", "id", p.id, "name", p.name, "input", object()))
	}
}

func (e *messagesEncoder) block(out *bytes.Buffer, block any) {
	event(out, "content_block_start", object("type", "content_block_start", "index", e.index, "content_block", block))
}

func (e *messagesEncoder) more(out *bytes.Buffer, p piece) {
	e.said += len(p.text)
	switch p.kind {
	case thinkingPiece:
		e.delta(out, "thinking_delta", "thinking", p.text)
	case textPiece:
		e.delta(out, "text_delta", "text", p.text)
	case callPiece:
		if p.whole {
			p.text = string(llm.ArgsObject(p.text))
		}
		e.delta(out, "input_json_delta", "partial_json", p.text)
	}
}

// delta is what there is most of, so it is put together by hand.
func (e *messagesEncoder) delta(out *bytes.Buffer, kind, name, text string) {
	b := append(e.scratch[:0], "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":"...)
	b = append(appendInt(b, e.index), `,"delta":{"type":"`...)
	b = append(append(append(append(b, kind...), `","`...), name...), `":`...)
	e.scratch = append(appendString(b, text), "}}\n\n"...)
	out.Write(e.scratch)
}

func (e *messagesEncoder) finish(out *bytes.Buffer, first piece) {
	switch {
	case first.kind == thinkingPiece:
		e.delta(out, "signature_delta", "signature", wrapping)
	case first.kind == callPiece && e.said == 0:
		e.delta(out, "input_json_delta", "partial_json", "{}")
	}
	e.stop(out)
}

func (e *messagesEncoder) stop(out *bytes.Buffer) {
	event(out, "content_block_stop", object("type", "content_block_stop", "index", e.index))
	e.index++
}

func (e *messagesEncoder) end(out *bytes.Buffer, r *llm.Response) {
	e.complete(out, r)
	for _, p := range shown(r) {
		if p.Opaque != nil {
			e.block(out, object("type", "redacted_thinking", "data", p.travels.wrap()))
			e.stop(out)
		}
	}
	event(out, "message_delta", object("type", "message_delta",
		"delta", object("stop_reason", messagesFinish(r.Finish), "stop_sequence", nil), "usage", messagesUsage(r.Usage)))
	event(out, "message_stop", object("type", "message_stop"))
}

func (e *messagesEncoder) fail(out *bytes.Buffer, f *failure) {
	event(out, "error", anthropicError(f, e.call.id))
}
