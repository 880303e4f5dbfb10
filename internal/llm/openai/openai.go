// Package openai speaks the two dialects of OpenAI: Chat Completions, which
// Azure, Mistral, Together, OpenRouter, Ollama and most local servers understand
// as well, and Responses, in which OpenAI's newer models both reason and call
// tools. Where servers differ there is a small table of [Quirks], which also says
// what is spoken with whom.
//
// An answer counts as whole only when a Chat stream gave a finish reason, or a
// Responses stream said that it is completed or why it is not. Blocks that a
// provider wants back, such as reasoning items, reasoning details and thought
// signatures, are kept and returned to that provider alone, in that dialect alone.
package openai

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/url"
	"strings"
	"sync"

	"mgx/internal/llm"
)

// DefaultBaseURL is OpenAI's own endpoint.
const DefaultBaseURL = "https://api.openai.com/v1"

// Options describe one endpoint. Name is "openai" by default; BaseURL, up to and
// including the version, is [DefaultBaseURL].
type Options = llm.Connection

type provider struct {
	name     string
	quirks   func(model string) Quirks
	path     func(call, model string) string
	endpoint *llm.Endpoint
	refusing sync.Map // models that turned out to refuse Chat and want Responses
}

// New returns a provider for the endpoint. Which of the two dialects a model is
// spoken to in, and its quirks, follow from the host: see [QuirksOf].
func New(o Options) llm.Provider {
	o.BaseURL = withVersion(o.BaseURL)
	return newProvider(o, QuirksOf(o.BaseURL), "Authorization", "Bearer ", plainPath)
}

// NewResponses is New for a server of which it is known that it speaks Responses
// with all its models.
func NewResponses(o Options) llm.Provider {
	o.BaseURL = withVersion(o.BaseURL)
	quirks := QuirksOf(o.BaseURL)
	return newProvider(o, func(model string) Quirks {
		q := quirks(model)
		q.Responses = true
		return q
	}, "Authorization", "Bearer ", plainPath)
}

func newProvider(o Options, quirks func(string) Quirks, keyHeader, scheme string, path func(call, model string) string) *provider {
	o.Name = cmp.Or(o.Name, "openai")
	return &provider{name: o.Name, quirks: quirks, path: path, endpoint: llm.NewEndpoint(o, keyHeader, scheme)}
}

func plainPath(call, _ string) string { return call }

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

// dialect names the blocks kept of Chat Completions; Responses has its own.
func (p *provider) dialect() string { return "chat/" + p.name }

// speaksResponses reports whether a model is spoken to in Responses.
func (p *provider) speaksResponses(model string) bool {
	_, learned := p.refusing.Load(model)
	return learned || p.quirks(model).Responses
}

func (p *provider) Stream(ctx context.Context, req *llm.Request) iter.Seq2[llm.Chunk, error] {
	if req.Pass != nil && p.Passes(req.Pass.Dialect, req.Model) {
		return p.pass(ctx, req)
	}
	return func(yield func(llm.Chunk, error) bool) {
		if err := llm.CheckRequest(req); err != nil {
			yield(llm.Chunk{}, err)
			return
		}
		answer, decode, err := p.post(ctx, req)
		if err != nil {
			yield(llm.Chunk{}, err)
			return
		}
		answer.Deliver(ctx, yield, func() (*llm.Response, error) { return decode(answer, req, yield) })
	}
}

// decoding reads the answer of a call in the dialect that it was made in.
type decoding func(*llm.Answer, *llm.Request, func(llm.Chunk, error) bool) (*llm.Response, error)

// post sends the call. A model that refuses it in Chat Completions because it
// answers in Responses only, which a deployment's name does not tell, is asked
// there, now and from then on; the refusal has cost nothing.
func (p *provider) post(ctx context.Context, req *llm.Request) (*llm.Answer, decoding, error) {
	if !p.speaksResponses(req.Model) {
		if err := p.checkChat(req); err != nil {
			return nil, nil, err
		}
		answer, err := p.endpoint.Post(ctx, p.path("/chat/completions", req.Model), req.Model, p.encode(req))
		if err == nil || !p.wantsResponses(err, req.Model) {
			return answer, p.decodeChat, err
		}
		p.refusing.Store(req.Model, true)
	}
	if err := p.checkResponses(req); err != nil {
		return nil, nil, err
	}
	answer, err := p.endpoint.Post(ctx, p.path("/responses", req.Model), req.Model, p.encodeResponses(req))
	return answer, p.decodeResponses, err
}

// wantsResponses reports whether an error says to use the other dialect, on a
// host that has it.
func (p *provider) wantsResponses(err error, model string) bool {
	e, ok := errors.AsType[*llm.CallError](err)
	return ok && p.quirks(model).HasResponses && (e.Status == 400 || e.Status == 404) && strings.Contains(e.Message, "v1/responses")
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
	if err := p.endpoint.GetJSON(ctx, p.path("/models", ""), &raw); err != nil {
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
