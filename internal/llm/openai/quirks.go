package openai

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Quirks are how an endpoint differs from plain Chat Completions for a model.
type Quirks struct {
	MaxCompletionTokens bool   // the bound on the answer is max_completion_tokens, max_tokens is refused
	NoTemperature       bool   // a temperature is refused
	ToolEffort          string // reasoning_effort that a request with tools must state
	EchoReasoning       bool   // reasoning_content must come back with the message it belongs to
}

// QuirksOf is the table of known quirks for the host of a base URL. Hosts that it
// does not name have none.
func QuirksOf(baseURL string) func(model string) Quirks {
	none := func(string) Quirks { return Quirks{} }
	u, err := url.Parse(baseURL)
	if err != nil {
		return none
	}
	switch u.Hostname() {
	case "api.openai.com":
		return openAIQuirks
	case "api.deepseek.com", "api.moonshot.ai", "api.z.ai":
		return func(string) Quirks { return Quirks{EchoReasoning: true} }
	}
	return none
}

var (
	oSeries   = regexp.MustCompile(`^o[1-9]`)
	gptSeries = regexp.MustCompile(`^gpt-(\d+)(?:\.(\d+))?`)
)

// openAIQuirks: reasoning models take no sampling parameters and another name
// for the bound. From gpt-5.4 on, Chat Completions refuses tools together with
// reasoning, and reasoning is on unless the request says none
// (openai/openai-openapi#541).
func openAIQuirks(model string) Quirks {
	if oSeries.MatchString(model) {
		return Quirks{MaxCompletionTokens: true, NoTemperature: true}
	}
	m := gptSeries.FindStringSubmatch(model)
	if m == nil || strings.Contains(model, "-chat") {
		return Quirks{}
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	q := Quirks{}
	if major >= 5 {
		q.MaxCompletionTokens, q.NoTemperature = true, true
	}
	if major > 5 || (major == 5 && minor >= 4) {
		q.ToolEffort = "none"
	}
	return q
}
