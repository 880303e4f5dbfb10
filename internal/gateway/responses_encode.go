package gateway

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"mgx"
	"mgx/internal/llm"
)

func (responses) refuse(f *failure, _ string) any { return openAIError(f) }

func (responses) beat() []byte { return []byte(": alive\n\n") }

func (responses) encoder(c *call) encoder { return newResponsesEncoder(c, time.Now()) }

func newResponsesEncoder(c *call, at time.Time) *responsesEncoder {
	e := &responsesEncoder{call: c, at: at}
	e.sequence = newSequence(e)
	return e
}

// whole is made of the same items as a stream.
func (responses) whole(c *call, s *said) any {
	e := newResponsesEncoder(c, s.at)
	var unseen bytes.Buffer
	e.start(&unseen, s.Model)
	if s.thinking != "" {
		e.chunk(&unseen, llm.Chunk{Thinking: s.thinking})
	}
	e.items(&unseen, s.Response)
	return e.response(statusOf(s.Finish), s.Response, nil)
}

func statusOf(f llm.Finish) string {
	if f == llm.FinishLength || f == llm.FinishFilter {
		return "incomplete"
	}
	return "completed"
}

func responsesUsage(u mgx.Usage) any {
	return object("input_tokens", u.Prompt, "input_tokens_details", object("cached_tokens", u.Cached),
		"output_tokens", u.Completion, "output_tokens_details", object("reasoning_tokens", u.Reasoning), "total_tokens", u.Total())
}

// responsesEncoder keeps the items that were finished, which the last event
// repeats, and the text of the one that is open.
type responsesEncoder struct {
	*sequence
	call    *call
	at      time.Time
	model   string
	sent    int // events
	done    []any
	id      string // of the open item
	text    []byte // of the open item
	scratch []byte
}

// send appends an event with the next sequence number.
func (e *responsesEncoder) send(out *bytes.Buffer, name string, more ...any) {
	event(out, name, append(object("type", name, "sequence_number", e.sent), more...))
	e.sent++
}

// response is the object that the events are about. Fields of the request come
// back in it as they were.
func (e *responsesEncoder) response(status string, r *llm.Response, failed *failure) any {
	echo := func(name string, otherwise any) any {
		if raw, ok := e.call.echo[name]; ok {
			return raw
		}
		return otherwise
	}
	var wrong, incomplete, usage any
	if failed != nil {
		wrong = object("code", failed.code, "message", failed.message)
	}
	if status == "incomplete" {
		reason := "max_output_tokens"
		if r.Finish == llm.FinishFilter {
			reason = "content_filter"
		}
		incomplete = object("reason", reason)
	}
	if r != nil {
		usage = responsesUsage(r.Usage)
	}
	items := e.done
	if items == nil {
		items = []any{}
	}
	return object("id", "resp_"+e.call.id, "object", "response", "created_at", e.at.Unix(), "status", status,
		"background", false, "error", wrong, "incomplete_details", incomplete, "instructions", echo("instructions", nil),
		"max_output_tokens", echo("max_output_tokens", nil), "model", e.model, "output", items,
		"parallel_tool_calls", echo("parallel_tool_calls", true), "previous_response_id", nil,
		"reasoning", echo("reasoning", object("effort", nil, "summary", nil)), "store", false,
		"temperature", echo("temperature", nil), "text", echo("text", object("format", object("type", "text"))),
		"tool_choice", echo("tool_choice", "auto"), "tools", echo("tools", []any{}), "top_p", echo("top_p", nil),
		"truncation", echo("truncation", "disabled"), "usage", usage, "user", echo("user", nil),
		"metadata", echo("metadata", json.RawMessage("{}")))
}

func (e *responsesEncoder) start(out *bytes.Buffer, model string) {
	e.model = model
	e.send(out, "response.created", "response", e.response("in_progress", nil, nil))
	e.send(out, "response.in_progress", "response", e.response("in_progress", nil, nil))
}

func (e *responsesEncoder) begin(out *bytes.Buffer, first piece) {
	e.text = e.text[:0]
	switch first.kind {
	case thinkingPiece:
		e.id = e.newID("rs_mgx")
		e.added(out, e.reasoning([]any{}, nil))
		e.at0(out, "response.reasoning_summary_part.added", "summary_index", "part", object("type", "summary_text", "text", ""))
	case textPiece:
		e.id = e.newID("msg_")
		e.added(out, e.message("in_progress", []any{}))
		e.at0(out, "response.content_part.added", "content_index", "part", outputText(""))
	case callPiece:
		e.id = e.newID("fc_")
		e.added(out, e.function("in_progress", first, ""))
	}
}

func (e *responsesEncoder) more(out *bytes.Buffer, p piece) {
	e.text = append(e.text, p.text...)
	switch p.kind {
	case thinkingPiece:
		e.piece(out, "response.reasoning_summary_text.delta", `,"summary_index":0,"delta":`, p.text, "")
	case textPiece:
		e.piece(out, "response.output_text.delta", `,"content_index":0,"delta":`, p.text, `,"logprobs":[]`)
	case callPiece:
		e.piece(out, "response.function_call_arguments.delta", `,"delta":`, p.text, "")
	}
}

func (e *responsesEncoder) newID(prefix string) string {
	return prefix + e.call.id + "_" + strconv.Itoa(len(e.done))
}

func (e *responsesEncoder) added(out *bytes.Buffer, item any) {
	e.send(out, "response.output_item.added", "output_index", len(e.done), "item", item)
}

// at0 is an event about the one part that an item has.
func (e *responsesEncoder) at0(out *bytes.Buffer, name, index string, more ...any) {
	e.send(out, name, append(object("item_id", e.id, "output_index", len(e.done), index, 0), more...)...)
}

// piece is the event that there are most of, so it is put together by hand.
func (e *responsesEncoder) piece(out *bytes.Buffer, name, before, text, after string) {
	b := append(append(e.scratch[:0], "event: "...), name...)
	b = append(append(append(b, "\ndata: {\"type\":\""...), name...), `","sequence_number":`...)
	b = append(appendInt(b, e.sent), `,"item_id":"`...)
	b = append(append(b, e.id...), `","output_index":`...)
	b = append(appendInt(b, len(e.done)), before...)
	e.scratch = append(append(appendString(b, text), after...), "}\n\n"...)
	out.Write(e.scratch)
	e.sent++
}

func (e *responsesEncoder) finish(out *bytes.Buffer, first piece) {
	text := string(e.text)
	switch first.kind {
	case thinkingPiece:
		part := object("type", "summary_text", "text", text)
		e.at0(out, "response.reasoning_summary_text.done", "summary_index", "text", text)
		e.at0(out, "response.reasoning_summary_part.done", "summary_index", "part", part)
		e.finished(out, e.reasoning([]any{part}, nil))
	case textPiece:
		part := outputText(text)
		e.at0(out, "response.output_text.done", "content_index", "text", text, "logprobs", []any{})
		e.at0(out, "response.content_part.done", "content_index", "part", part)
		e.finished(out, e.message("completed", []any{part}))
	case callPiece:
		e.send(out, "response.function_call_arguments.done", "item_id", e.id, "output_index", len(e.done), "name", first.name, "arguments", text)
		e.finished(out, e.function("completed", first, text))
	}
}

func (e *responsesEncoder) finished(out *bytes.Buffer, item any) {
	e.send(out, "response.output_item.done", "output_index", len(e.done), "item", item)
	e.done = append(e.done, item)
}

func (e *responsesEncoder) function(status string, first piece, args string) any {
	return object("id", e.id, "type", "function_call", "status", status, "call_id", first.id, "name", first.name, "arguments", args)
}

func (e *responsesEncoder) message(status string, content []any) any {
	return object("id", e.id, "type", "message", "status", status, "role", "assistant", "content", content)
}

func (e *responsesEncoder) reasoning(summary []any, encrypted any) any {
	return object("id", e.id, "type", "reasoning", "summary", summary, "encrypted_content", encrypted)
}

func outputText(text string) any {
	return object("type", "output_text", "text", text, "annotations", []any{}, "logprobs", []any{})
}

// items appends what of an answer was not streamed.
func (e *responsesEncoder) items(out *bytes.Buffer, r *llm.Response) {
	e.complete(out, r)
	for _, p := range shown(r) {
		if p.Opaque != nil {
			e.id = e.newID("rs_")
			item := e.reasoning([]any{}, p.travels.wrap())
			e.added(out, item)
			e.finished(out, item)
		}
	}
}

func (e *responsesEncoder) end(out *bytes.Buffer, r *llm.Response) {
	e.items(out, r)
	status := statusOf(r.Finish)
	e.send(out, "response."+status, "response", e.response(status, r, nil))
}

func (e *responsesEncoder) fail(out *bytes.Buffer, f *failure) {
	e.send(out, "response.failed", "response", e.response("failed", nil, f))
}
