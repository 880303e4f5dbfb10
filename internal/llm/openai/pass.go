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

// pass sends a request on as its client wrote it. What is set: the model, the bound
// on the answer that was reserved for, by the one name that the server heeds, and
// that a stream tells its usage.
func (p *provider) pass(ctx context.Context, req *llm.Request) iter.Seq2[llm.Chunk, error] {
	set := []llm.Field{{Name: "model", Value: llm.MarshalWire(req.Model)}}
	path, bound, other, decode := "/responses", "max_output_tokens", "", p.decodeResponses
	chat := req.Pass.Dialect == llm.DialectChat
	if chat {
		path, bound, other, decode = "/chat/completions", "max_tokens", "max_completion_tokens", p.decodeChat
		if p.quirks(req.Model).MaxCompletionTokens {
			bound, other = other, bound
		}
		set = append(set, llm.Field{Name: other})
	}
	fields, err := req.Pass.Apart()
	if err != nil {
		return failing(err)
	}
	set = append(set, llm.Field{Name: bound, Value: llm.MarshalWire(req.MaxTokens)})
	if chat && req.Pass.Stream && !p.quirks(req.Model).NoStreamOptions {
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
