// Package gemini speaks Google's generateContent dialect.
//
// An answer counts as whole only when its stream gave a finish reason, or said
// that the prompt was blocked. Thought signatures, and every other field of a
// part that has no place in a message, go back with the part as they came, as
// the API demands. The API knows no ids of calls, or does not insist on them:
// each call gets one that is unique in its conversation. The key travels in a
// header, never in an address.
package gemini

import (
	"cmp"
	"context"
	"iter"
	"net/url"
	"slices"
	"strings"

	"mgx/internal/llm"
)

// DefaultBaseURL is Google's own endpoint.
const DefaultBaseURL = "https://generativelanguage.googleapis.com/v1beta"

// dialect names the blocks that are kept for this API.
const dialect = "gemini"

// Options describe one endpoint. Name is "gemini" by default; BaseURL, with or
// without /v1beta, is [DefaultBaseURL].
type Options = llm.Connection

type provider struct {
	name     string
	endpoint *llm.Endpoint
}

// New returns a provider for the endpoint. It makes no call.
func New(o Options) llm.Provider {
	o.Name, o.BaseURL = cmp.Or(o.Name, "gemini"), withVersion(o.BaseURL)
	return &provider{name: o.Name, endpoint: llm.NewEndpoint(o, "X-Goog-Api-Key", "")}
}

func withVersion(base string) string {
	base = strings.TrimRight(base, "/")
	if base == "" {
		return DefaultBaseURL
	}
	if u, err := url.Parse(base); err == nil && u.Path == "" {
		return base + "/v1beta"
	}
	return base
}

func (p *provider) Name() string { return p.name }

func (p *provider) Stream(ctx context.Context, req *llm.Request) iter.Seq2[llm.Chunk, error] {
	return func(yield func(llm.Chunk, error) bool) {
		if err := llm.CheckRequest(req); err != nil {
			yield(llm.Chunk{}, err)
			return
		}
		if err := check(req, p.name); err != nil {
			yield(llm.Chunk{}, err)
			return
		}
		path := "/models/" + url.PathEscape(modelID(req.Model)) + ":streamGenerateContent?alt=sse"
		answer, err := p.endpoint.Post(ctx, path, req.Model, encode(req))
		if err != nil {
			yield(llm.Chunk{}, err)
			return
		}
		answer.Deliver(ctx, yield, func() (*llm.Response, error) { return p.decode(answer, req, yield) })
	}
}

func modelID(name string) string { return strings.TrimPrefix(name, "models/") }

// modelPage is one page of the list of models.
type modelPage struct {
	Models []struct {
		Name             string   `json:"name"`
		InputTokenLimit  int      `json:"inputTokenLimit"`
		OutputTokenLimit int      `json:"outputTokenLimit"`
		Methods          []string `json:"supportedGenerationMethods"`
	} `json:"models"`
	NextPageToken string `json:"nextPageToken"`
}

// Models lists what the endpoint serves, leaving out models that generate no content.
func (p *provider) Models(ctx context.Context) ([]llm.ModelInfo, error) {
	const maxPages = 10
	var models []llm.ModelInfo
	next := ""
	for range maxPages {
		var page modelPage
		if err := p.endpoint.GetJSON(ctx, "/models?pageSize=1000"+next, &page); err != nil {
			return nil, err
		}
		for _, m := range page.Models {
			if m.Methods == nil || slices.Contains(m.Methods, "generateContent") {
				models = append(models, llm.ModelInfo{ID: modelID(m.Name), ContextWindow: m.InputTokenLimit, MaxOutput: m.OutputTokenLimit})
			}
		}
		if page.NextPageToken == "" {
			break
		}
		next = "&pageToken=" + url.QueryEscape(page.NextPageToken)
	}
	return models, nil
}
