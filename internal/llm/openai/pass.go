package openai

import (
	"context"
	"encoding/json"
	"iter"

	"mgx/internal/llm"
)

// Passes reports whether requests of a dialect can be sent on as they are: Chat
// wherever the model answers in it, Responses where it is known to exist.
func (p *provider) Passes(dialect, model string) bool {
	q := p.quirks(model)
	switch dialect {
	case llm.DialectChat:
		return !p.speaksResponses(model)
	case llm.DialectResponses:
		return p.speaksResponses(model) || q.HasResponses
	}
	return false
}

// pass sends a request on as its client wrote it. What is set: the model, a bound
// on the answer if there is none, and that a stream tells its usage.
func (p *provider) pass(ctx context.Context, req *llm.Request) iter.Seq2[llm.Chunk, error] {
	set := []llm.Field{{Name: "model", Value: llm.MarshalWire(req.Model)}}
	path, bound, decode := "/responses", []string{"max_output_tokens"}, p.decodeResponses
	if req.Pass.Dialect == llm.DialectChat {
		path, bound, decode = "/chat/completions", []string{"max_tokens", "max_completion_tokens"}, p.decodeChat
	}
	fields, err := req.Pass.Apart()
	if err != nil {
		return failing(err)
	}
	if !states(fields, bound...) {
		name := bound[0]
		if len(bound) > 1 && p.quirks(req.Model).MaxCompletionTokens {
			name = bound[1]
		}
		set = append(set, llm.Field{Name: name, Value: llm.MarshalWire(req.MaxTokens)})
	}
	if len(bound) > 1 && req.Pass.Stream && !p.quirks(req.Model).NoStreamOptions {
		set = append(set, llm.Field{Name: "stream_options", Value: withUsage(fields)})
	}
	body, err := req.Pass.Set(set...)
	if err != nil {
		return failing(err)
	}
	return p.endpoint.PassStream(ctx, p.path(path, req.Model), req, body, func(a *llm.Answer, yield func(llm.Chunk, error) bool) (*llm.Response, error) {
		return decode(a, req, yield)
	})
}

func failing(err error) iter.Seq2[llm.Chunk, error] {
	return func(yield func(llm.Chunk, error) bool) { yield(llm.Chunk{}, err) }
}

// states reports whether any of the fields is there.
func states(fields []llm.Field, names ...string) bool {
	for _, f := range fields {
		for _, name := range names {
			if f.Name == name && string(f.Value) != "null" {
				return true
			}
		}
	}
	return false
}

// withUsage is the request's stream_options with usage asked for.
func withUsage(fields []llm.Field) json.RawMessage {
	for _, f := range fields {
		if f.Name == "stream_options" {
			if options, err := llm.SetFields(f.Value, llm.Field{Name: "include_usage", Value: json.RawMessage("true")}); err == nil {
				return options
			}
		}
	}
	return json.RawMessage(`{"include_usage":true}`)
}
