package gateway_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"mgx/internal/llm/llmtest"
)

// speaker is a client of one dialect: it makes bodies and reads answers, whole or
// streamed, as its SDKs do.
type speaker struct {
	name, path string
	// ask is a request that offers the tool look; then also the conversation
	// after the tool was called as the answer says.
	ask  func(model string, stream bool) map[string]any
	then func(req map[string]any, said answer)
	read func(t testing.TB, body []byte) answer
	hear func(t testing.TB, body []byte) answer
}

// answer is what a client makes of one.
type answer struct {
	text, thinking, finish string
	calls                  []call
	prompt, completion     float64
	message                any // as it goes back
}

type call struct{ id, name, args string }

func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			list, _ := v.([]any)
			if p >= len(list) {
				return nil
			}
			v = list[p]
		}
	}
	return v
}

func text(v any, path ...any) string { s, _ := at(v, path...).(string); return s }

func number(v any, path ...any) float64 { f, _ := at(v, path...).(float64); return f }

func list(v any, path ...any) []any { l, _ := at(v, path...).([]any); return l }

func parse(t testing.TB, raw []byte) (v map[string]any) {
	t.Helper()
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return v
}

type object = map[string]any

var lookSchema = object{"type": "object", "properties": object{"at": object{"type": "string"}}, "required": []any{"at"}}

var speakers = []speaker{chatSpeaker, responsesSpeaker, messagesSpeaker}

var chatSpeaker = speaker{
	name: "chat", path: "/v1/chat/completions",
	ask: func(model string, stream bool) map[string]any {
		req := object{
			"model": model, "stream": stream,
			"messages": []any{object{"role": "system", "content": "be brief"}, object{"role": "user", "content": "Is it <warm>?"}},
			"tools":    []any{object{"type": "function", "function": object{"name": "look", "description": "looks", "parameters": lookSchema}}},
		}
		if stream {
			req["stream_options"] = object{"include_usage": true}
		}
		return req
	},
	then: func(req map[string]any, said answer) {
		messages := append(list(req, "messages"), said.message)
		for _, c := range said.calls {
			messages = append(messages, object{"role": "tool", "tool_call_id": c.id, "content": "it is 21 degrees"})
		}
		req["messages"] = messages
	},
	read: func(t testing.TB, body []byte) answer {
		v := parse(t, body)
		m := at(v, "choices", 0, "message")
		return answer{
			text: text(m, "content"), thinking: text(m, "reasoning_content"), finish: text(v, "choices", 0, "finish_reason"), calls: chatCalls(m),
			prompt: number(v, "usage", "prompt_tokens"), completion: number(v, "usage", "completion_tokens"), message: m,
		}
	},
	hear: func(t testing.TB, body []byte) (a answer) {
		events := sse(t, body)
		if n := len(events); n == 0 || string(events[n-1].Data) != "[DONE]" {
			t.Fatalf("the stream does not end in [DONE]: %s", body)
		}
		message := object{"role": "assistant"}
		var calls []any
		for _, e := range events[:len(events)-1] {
			v := parse(t, e.Data)
			if text(v, "object") != "chat.completion.chunk" || text(v, "id") == "" {
				t.Fatalf("not a chunk: %s", e.Data)
			}
			d := at(v, "choices", 0, "delta")
			a.text += text(d, "content")
			a.thinking += text(d, "reasoning_content")
			if f := text(v, "choices", 0, "finish_reason"); f != "" {
				a.finish = f
			}
			if details := at(d, "reasoning_details"); details != nil {
				message["reasoning_details"] = details
			}
			for _, piece := range list(d, "tool_calls") {
				i := int(number(piece, "index"))
				for len(calls) <= i {
					calls = append(calls, object{"type": "function", "function": object{"name": "", "arguments": ""}})
				}
				c := calls[i].(object)
				if id := text(piece, "id"); id != "" {
					c["id"] = id
				}
				if extra := at(piece, "extra_content"); extra != nil {
					c["extra_content"] = extra
				}
				f := c["function"].(object)
				f["name"] = text(f, "name") + text(piece, "function", "name")
				f["arguments"] = text(f, "arguments") + text(piece, "function", "arguments")
			}
			if u := at(v, "usage"); u != nil {
				a.prompt, a.completion = number(u, "prompt_tokens"), number(u, "completion_tokens")
			}
		}
		message["content"] = a.text
		if calls != nil {
			message["tool_calls"] = calls
		}
		a.calls, a.message = chatCalls(message), message
		return a
	},
}

func chatCalls(m any) (all []call) {
	for _, c := range list(m, "tool_calls") {
		all = append(all, call{text(c, "id"), text(c, "function", "name"), text(c, "function", "arguments")})
	}
	return all
}

var messagesSpeaker = speaker{
	name: "messages", path: "/v1/messages",
	ask: func(model string, stream bool) map[string]any {
		return object{
			"model": model, "stream": stream, "max_tokens": 1000, "system": []any{object{"type": "text", "text": "be brief"}},
			"messages": []any{object{"role": "user", "content": []any{object{"type": "text", "text": "Is it <warm>?"}}}},
			"tools":    []any{object{"name": "look", "description": "looks", "input_schema": lookSchema}},
		}
	},
	then: func(req map[string]any, said answer) {
		var results []any
		for _, c := range said.calls {
			results = append(results, object{"type": "tool_result", "tool_use_id": c.id, "content": "it is 21 degrees"})
		}
		req["messages"] = append(list(req, "messages"), said.message, object{"role": "user", "content": results})
	},
	read: func(t testing.TB, body []byte) answer {
		v := parse(t, body)
		return messagesAnswer(list(v, "content"), text(v, "stop_reason"), at(v, "usage"))
	},
	hear: func(t testing.TB, body []byte) answer {
		var blocks []any
		var inputs []string
		var finish string
		usage := object{}
		last, open, ours := "", false, false
		for _, e := range sse(t, body) {
			v := parse(t, e.Data)
			if last = e.Event; text(v, "type") != e.Event {
				t.Fatalf("event %q is of type %q", e.Event, text(v, "type"))
			}
			i := int(number(v, "index"))
			switch e.Event {
			case "message_start":
				ours = text(v, "message", "id") != "msg_1" // the upstream has all blocks open at once
				if u, ok := at(v, "message", "usage").(object); ok {
					usage = u
				}
			case "content_block_start":
				if i != len(blocks) || ours && open {
					t.Fatalf("block %d begins after %d, one is open: %v", i, len(blocks), open)
				}
				open = true
				blocks, inputs = append(blocks, at(v, "content_block")), append(inputs, "")
			case "content_block_delta":
				b := blocks[i].(object)
				for _, name := range []string{"text", "thinking", "signature"} {
					if s := text(v, "delta", name); s != "" {
						b[name] = text(b, name) + s
					}
				}
				inputs[i] += text(v, "delta", "partial_json")
			case "content_block_stop":
				open = false
			case "message_delta":
				if f := text(v, "delta", "stop_reason"); f != "" {
					finish = f
				}
				if u, ok := at(v, "usage").(object); ok {
					maps.Copy(usage, u)
				}
			}
		}
		if last != "message_stop" {
			t.Fatalf("the stream ends in %q: %s", last, body)
		}
		for i, in := range inputs {
			if in != "" {
				blocks[i].(object)["input"] = parse(t, []byte(in))
			}
		}
		return messagesAnswer(blocks, finish, usage)
	},
}

func messagesAnswer(blocks []any, finish string, usage any) answer {
	a := answer{finish: finish, prompt: number(usage, "input_tokens"), completion: number(usage, "output_tokens"), message: object{"role": "assistant", "content": blocks}}
	for _, b := range blocks {
		switch text(b, "type") {
		case "text":
			a.text += text(b, "text")
		case "thinking":
			a.thinking += text(b, "thinking")
		case "tool_use":
			args, _ := json.Marshal(at(b, "input"))
			a.calls = append(a.calls, call{text(b, "id"), text(b, "name"), string(args)})
		}
	}
	return a
}

var responsesSpeaker = speaker{
	name: "responses", path: "/v1/responses",
	ask: func(model string, stream bool) map[string]any {
		return object{
			"model": model, "stream": stream, "instructions": "be brief", "store": false, "include": []any{"reasoning.encrypted_content"},
			"input": []any{object{"role": "user", "content": []any{object{"type": "input_text", "text": "Is it <warm>?"}}}},
			"tools": []any{object{"type": "function", "name": "look", "description": "looks", "parameters": lookSchema, "strict": false}},
		}
	},
	then: func(req map[string]any, said answer) {
		input := append(list(req, "input"), said.message.([]any)...)
		for _, c := range said.calls {
			input = append(input, object{"type": "function_call_output", "call_id": c.id, "output": "it is 21 degrees"})
		}
		req["input"] = input
	},
	read: func(t testing.TB, body []byte) answer { return responsesAnswer(parse(t, body)) },
	hear: func(t testing.TB, body []byte) answer {
		events := sse(t, body)
		text1, open, ours := "", 0, number(parse(t, events[0].Data), "sequence_number") == 0
		args := map[string]string{}
		for i, e := range events {
			v := parse(t, e.Data)
			if text(v, "type") != e.Event || ours && int(number(v, "sequence_number")) != i {
				t.Fatalf("event %d: %s", i, e.Data)
			}
			switch e.Event {
			case "response.output_text.delta":
				text1 += text(v, "delta")
			case "response.function_call_arguments.delta":
				args[text(v, "item_id")] += text(v, "delta")
			case "response.output_item.added":
				open++
			case "response.output_item.done":
				open--
				if id := text(v, "item", "id"); ours && args[id] != text(v, "item", "arguments") {
					t.Fatalf("streamed the arguments %q of %s", args[id], e.Data)
				}
			}
			if ours && open > 1 {
				t.Fatalf("two items are open: %s", e.Data)
			}
		}
		last := parse(t, events[len(events)-1].Data)
		a := responsesAnswer(at(last, "response"))
		if a.text != text1 {
			t.Fatalf("streamed %q, ended with %q", text1, a.text)
		}
		return a
	},
}

func responsesAnswer(v any) answer {
	a := answer{
		finish: text(v, "status"), prompt: number(v, "usage", "input_tokens"), completion: number(v, "usage", "output_tokens"), message: list(v, "output"),
	}
	for _, item := range list(v, "output") {
		switch text(item, "type") {
		case "message":
			for _, p := range list(item, "content") {
				a.text += text(p, "text")
			}
		case "reasoning":
			for _, p := range list(item, "summary") {
				a.thinking += text(p, "text")
			}
		case "function_call":
			a.calls = append(a.calls, call{text(item, "call_id"), text(item, "name"), text(item, "arguments")})
		}
	}
	return a
}

// finishes are how dialects say that tools are called, and that all is said.
var finishes = map[string][2]string{"chat": {"tool_calls", "stop"}, "messages": {"tool_use", "end_turn"}, "responses": {"completed", "completed"}}

func conversation() []llmtest.Turn {
	return []llmtest.Turn{
		{Thinking: "Somebody should look, \"soon\".", Text: "I look — Ω.\n", Calls: []llmtest.Call{{Name: "look", Args: json.RawMessage(`{"at":"<here> & \"there\""}`)}, {Name: "look", Args: json.RawMessage(`{"at":"2"}`)}}},
		{Text: "It is warm.", Expect: "21 degrees"},
	}
}

// Every dialect talks to a provider of every dialect, whole and streamed: the
// same answer, with tools, to the end of the conversation.
func TestEveryDialectToEvery(t *testing.T) {
	t.Parallel()
	for _, s := range speakers {
		for _, p := range providers {
			for _, stream := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s to %s, stream %v", s.name, p, stream), func(t *testing.T) {
					t.Parallel()
					talk(t, s, p, stream)
				})
			}
		}
	}
}

func talk(t *testing.T, s speaker, provider string, stream bool) {
	r := newRig(t, settings{turns: conversation()})
	read := s.read
	if stream {
		read = s.hear
	}
	ask := s.ask(provider+"/m1", stream)
	got := r.post(s.path, marshal(ask))
	if got.status != 200 || got.err != nil {
		t.Fatalf("%d %s %v", got.status, got.body, got.err)
	}
	a := read(t, got.body)
	if a.text != "I look — Ω.\n" || a.finish != finishes[s.name][0] || a.prompt == 0 || a.completion == 0 {
		t.Errorf("answered %+v", a)
	}
	if len(a.calls) != 2 || a.calls[0].name != "look" || a.calls[0].id == "" || a.calls[0].id == a.calls[1].id ||
		at(parse(t, []byte(a.calls[0].args)), "at") != `<here> & "there"` || at(parse(t, []byte(a.calls[1].args)), "at") != "2" {
		t.Errorf("called %+v", a.calls)
	}
	if streamed := s.name == "messages" || stream || s.name == "chat"; streamed && a.thinking != "" && a.thinking != `Somebody should look, "soon".` {
		t.Errorf("thought %q", a.thinking)
	}
	cost := got.header.Get("X-Mgx-Cost")
	if stream {
		cost = got.trail.Get("X-Mgx-Cost")
	}
	if cost == "" || cost == "0.000000000" || got.header.Get("X-Mgx-Request-Id") == "" || got.header.Get("X-Mgx-Model") != provider+"/m1" {
		t.Errorf("cost %q, %v", cost, got.header)
	}

	s.then(ask, a)
	got = r.post(s.path, marshal(ask))
	if got.status != 200 || got.err != nil {
		t.Fatalf("then %d %s %v", got.status, got.body, got.err)
	}
	if a = read(t, got.body); a.text != "It is warm." || a.finish != finishes[s.name][1] || len(a.calls) != 0 {
		t.Errorf("then answered %+v", a)
	}
	if strings.Contains(string(r.up.LastBody()), "mgx1.") {
		t.Errorf("what was wrapped reached the provider wrapped: %s", r.up.LastBody())
	}
	for _, settled := range r.books.idle(2) {
		if settled.Amount <= 0 || settled.Usage.Prompt == 0 {
			t.Errorf("settled %+v", settled)
		}
	}
	if types := fmt.Sprint(r.books.types()); types != "[llm.call.completed llm.call.completed]" {
		t.Errorf("events %s", types)
	}
}

func marshal(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}
