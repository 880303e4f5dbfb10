package openai

import (
	"cmp"
	"net/url"
	"strings"

	"mgx/internal/llm"
)

// NewAzure returns a provider for a resource of Azure OpenAI, whose models are
// the deployments in it. BaseURL is the resource's endpoint, such as
// https://NAME.openai.azure.com, with or without /openai/v1. An apiVersion such
// as 2025-04-01-preview asks for the dated API; without one the v1 API is used,
// which needs none. Name is "azure" by default.
func NewAzure(o Options, apiVersion string) llm.Provider {
	o.Name = cmp.Or(o.Name, "azure")
	base := strings.TrimRight(o.BaseURL, "/")
	base = strings.TrimSuffix(strings.TrimSuffix(base, "/v1"), "/openai") + "/openai"
	path := plainPath
	if o.BaseURL = base + "/v1"; apiVersion != "" {
		o.BaseURL, path = base, datedPath(apiVersion)
	}
	return newProvider(o, azureQuirks, "Api-Key", "", path)
}

// datedPath is where a dated API has its calls: those of Chat Completions under
// the deployment, others beside it.
func datedPath(apiVersion string) func(call, model string) string {
	query := "?api-version=" + url.QueryEscape(apiVersion)
	return func(call, model string) string {
		if call == "/chat/completions" {
			call = "/deployments/" + url.PathEscape(model) + call
		}
		return call + query
	}
}
