package anthropic

import (
	"context"
	"iter"

	"mgx/internal/llm"
)

// Passes reports whether requests of a dialect can be sent on as they are.
func (p *provider) Passes(dialect, _ string) bool { return dialect == llm.DialectMessages }

// pass sends a request on as its client wrote it, with the model's own name, and the
// bound on the answer that was reserved for.
func (p *provider) pass(ctx context.Context, req *llm.Request) iter.Seq2[llm.Chunk, error] {
	body, err := req.Pass.Set(
		llm.Field{Name: "model", Value: llm.MarshalWire(req.Model)},
		llm.Field{Name: "max_tokens", Value: llm.MarshalWire(req.MaxTokens)},
	)
	if err != nil {
		return func(yield func(llm.Chunk, error) bool) { yield(llm.Chunk{}, err) }
	}
	return p.endpoint.PassStream(ctx, "/messages", req, body, func(a *llm.Answer, yield func(llm.Chunk, error) bool) (*llm.Response, error) {
		return p.decode(a, req, yield)
	})
}

// Count has the API count the tokens of a request's prompt.
func (p *provider) Count(ctx context.Context, req *llm.Request) (int64, error) {
	body, err := req.Pass.Set(llm.Field{Name: "model", Value: llm.MarshalWire(req.Model)})
	if err != nil {
		return 0, err
	}
	var count struct {
		Tokens *float64 `json:"input_tokens"`
	}
	if err := p.endpoint.PassDocument(ctx, "/messages/count_tokens", req, body, &count); err != nil {
		return 0, err
	}
	if count.Tokens == nil {
		return 0, &llm.CallError{Provider: p.name, Model: req.Model, Fault: llm.FaultBad, Message: "it was asked to count tokens and says no number"}
	}
	return tokens(*count.Tokens), nil
}
