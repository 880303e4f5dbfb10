// Package anthropic speaks the Anthropic Messages dialect.
//
// An answer counts as whole only when its stream closed every block, gave a
// stop reason and said message_stop. Thinking blocks are kept with their
// signatures and go back as they came, as the API demands. Tools, system prompt
// and the last messages are marked for the prompt cache; nothing before a mark
// depends on what comes after it, so a conversation that goes on keeps its
// cached prefix.
package anthropic

import (
	"cmp"
	"context"
	"iter"
	"net/url"
	"strings"

	"mgx/internal/llm"
)

// DefaultBaseURL is Anthropic's own endpoint.
const DefaultBaseURL = "https://api.anthropic.com"

// apiVersion is the only version of the API there is.
const apiVersion = "2023-06-01"

// dialect names the blocks that are kept for this API.
const dialect = "anthropic"

// Options describe one endpoint. Name is "anthropic" by default; BaseURL, with or
// without /v1, is [DefaultBaseURL].
type Options = llm.Connection

type provider struct {
	name     string
	endpoint *llm.Endpoint
}

// New returns a provider for the endpoint. It makes no call.
func New(o Options) llm.Provider {
	o.Name, o.BaseURL = cmp.Or(o.Name, "anthropic"), withVersion(o.BaseURL)
	endpoint := llm.NewEndpoint(o, "X-Api-Key", "")
	endpoint.Header.Set("Anthropic-Version", apiVersion)
	return &provider{name: o.Name, endpoint: endpoint}
}

func withVersion(base string) string {
	base = strings.TrimRight(base, "/")
	if base == "" {
		base = DefaultBaseURL
	}
	if strings.HasSuffix(base, "/v1") {
		return base
	}
	return base + "/v1"
}

func (p *provider) Name() string { return p.name }

func (p *provider) Stream(ctx context.Context, req *llm.Request) iter.Seq2[llm.Chunk, error] {
	if req.Pass != nil && p.Passes(req.Pass.Dialect, req.Model) {
		return p.pass(ctx, req)
	}
	return func(yield func(llm.Chunk, error) bool) {
		if err := llm.CheckRequest(req); err != nil {
			yield(llm.Chunk{}, err)
			return
		}
		if err := check(req, p.name); err != nil {
			yield(llm.Chunk{}, err)
			return
		}
		answer, err := p.endpoint.Post(ctx, "/messages", req.Model, encode(req))
		if err != nil {
			yield(llm.Chunk{}, err)
			return
		}
		answer.Deliver(ctx, yield, func() (*llm.Response, error) { return p.decode(answer, req, yield) })
	}
}

// modelPage is one page of the list of models.
type modelPage struct {
	Data []struct {
		ID             string `json:"id"`
		MaxInputTokens int    `json:"max_input_tokens"`
		MaxTokens      int    `json:"max_tokens"`
	} `json:"data"`
	HasMore bool   `json:"has_more"`
	LastID  string `json:"last_id"`
}

// Models lists what the endpoint serves.
func (p *provider) Models(ctx context.Context) ([]llm.ModelInfo, error) {
	const maxPages = 10
	var models []llm.ModelInfo
	after := ""
	for range maxPages {
		var page modelPage
		if err := p.endpoint.GetJSON(ctx, "/models?limit=1000"+after, &page); err != nil {
			return nil, err
		}
		for _, m := range page.Data {
			models = append(models, llm.ModelInfo{ID: m.ID, ContextWindow: m.MaxInputTokens, MaxOutput: m.MaxTokens})
		}
		if !page.HasMore || page.LastID == "" {
			break
		}
		after = "&after_id=" + url.QueryEscape(page.LastID)
	}
	return models, nil
}
