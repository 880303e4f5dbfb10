// Package openai speaks the OpenAI Chat Completions dialect, which OpenAI,
// Mistral, Together, OpenRouter, Ollama, Gemini's compatible endpoint and most
// local servers understand. Where they differ there is a small table of
// [Quirks].
//
// An answer counts as whole only when its stream gave a finish reason and ended
// cleanly. Blocks that a provider wants back, such as reasoning details and
// thought signatures, are kept and returned to that provider alone.
package openai

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"mgx/internal/llm"
)

// DefaultBaseURL is OpenAI's own endpoint.
const DefaultBaseURL = "https://api.openai.com/v1"

// Options describe one endpoint.
type Options struct {
	Name       string // the P of P/M; default "openai"
	BaseURL    string // up to and including the version; default [DefaultBaseURL]
	APIKey     string // empty: none is sent
	KeySetting string // where the user set the key, for error messages
	Client     *http.Client
	Headers    map[string]string
	// Quirks says how a model's endpoint differs; default: [QuirksOf] BaseURL.
	Quirks func(model string) Quirks
}

type provider struct {
	name     string
	quirks   func(model string) Quirks
	endpoint *llm.Endpoint
}

// New returns a provider for the endpoint. It makes no call.
func New(o Options) llm.Provider {
	if o.Name == "" {
		o.Name = "openai"
	}
	o.BaseURL = withVersion(o.BaseURL)
	if o.Quirks == nil {
		o.Quirks = QuirksOf(o.BaseURL)
	}
	header := http.Header{}
	for name, value := range o.Headers {
		header.Set(name, value)
	}
	if o.APIKey != "" {
		header.Set("Authorization", "Bearer "+o.APIKey)
	}
	endpoint := llm.NewEndpoint(o.Name, o.BaseURL, o.Client, header)
	endpoint.KeySetting = o.KeySetting
	return &provider{name: o.Name, quirks: o.Quirks, endpoint: endpoint}
}

// withVersion adds the customary /v1 to an address that has no path.
func withVersion(base string) string {
	base = strings.TrimRight(base, "/")
	if base == "" {
		return DefaultBaseURL
	}
	if u, err := url.Parse(base); err == nil && u.Path == "" {
		return base + "/v1"
	}
	return base
}

func (p *provider) Name() string { return p.name }

// dialect names the blocks kept for this endpoint; no other gets them.
func (p *provider) dialect() string { return "chat/" + p.name }

func (p *provider) Stream(ctx context.Context, req *llm.Request) iter.Seq2[llm.Chunk, error] {
	return func(yield func(llm.Chunk, error) bool) {
		if err := llm.CheckRequest(req); err != nil {
			yield(llm.Chunk{}, err)
			return
		}
		answer, err := p.endpoint.Post(ctx, "/chat/completions", req.Model, p.encode(req))
		if err != nil {
			yield(llm.Chunk{}, err)
			return
		}
		defer answer.Close()
		resp, err := p.decode(answer, req, yield)
		switch {
		case err != nil:
			yield(llm.Chunk{}, answer.Fail(ctx, err))
		case resp != nil:
			yield(llm.Chunk{Response: resp}, nil)
		}
	}
}

// modelInfo covers the names that servers have for the same things.
type modelInfo struct {
	ID               string `json:"id"`
	ContextLength    int    `json:"context_length"`
	ContextWindow    int    `json:"context_window"`
	MaxContextLength int    `json:"max_context_length"`
	MaxModelLen      int    `json:"max_model_len"`
	TopProvider      struct {
		MaxCompletionTokens int `json:"max_completion_tokens"`
	} `json:"top_provider"`
}

// Models lists what the endpoint serves.
func (p *provider) Models(ctx context.Context) ([]llm.ModelInfo, error) {
	var raw json.RawMessage
	if err := p.endpoint.GetJSON(ctx, "/models", &raw); err != nil {
		return nil, err
	}
	var list struct {
		Data []modelInfo `json:"data"`
	}
	if json.Unmarshal(raw, &list) != nil && json.Unmarshal(raw, &list.Data) != nil { // Together sends a bare list
		return nil, &llm.CallError{Provider: p.name, Status: 200, Fault: llm.FaultBad, Message: "its list of models is not one"}
	}
	models := make([]llm.ModelInfo, 0, len(list.Data))
	for _, m := range list.Data {
		models = append(models, llm.ModelInfo{
			ID:            strings.TrimPrefix(m.ID, "models/"), // Gemini
			ContextWindow: max(m.ContextLength, m.ContextWindow, m.MaxContextLength, m.MaxModelLen),
			MaxOutput:     m.TopProvider.MaxCompletionTokens,
		})
	}
	return models, nil
}
