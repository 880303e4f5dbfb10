package openai

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Quirks are how a server differs from plain Chat Completions for a model.
type Quirks struct {
	Responses    bool // the model is spoken to in Responses
	HasResponses bool // the host has Responses, should a model refuse Chat Completions

	MaxCompletionTokens bool // the bound on the answer is max_completion_tokens, max_tokens is refused
	NoSampling          bool // temperature, top_p, seed and stop are refused
	NoStreamOptions     bool // stream_options is refused; usage comes unasked
	IncludeUsage        bool // usage is asked for by usage: {include: true} as well
	RandomSeed          bool // the seed is random_seed
	ShortIDs            bool // ids of tool calls are nine letters and digits
	AnswerTools         bool // an answer of the model must stand between tool results and the user
	EchoReasoning       bool // reasoning_content must come back with the message it belongs to
	Efforts             Efforts
}

// Efforts is how a server is told how hard a model should think.
type Efforts int

const (
	EffortPlain     Efforts = iota // reasoning_effort low, medium or high; it cannot be told to not think
	EffortNone                     // reasoning_effort, none included
	EffortMinimal                  // reasoning_effort, minimal being the least
	EffortLow                      // reasoning_effort, low being the least
	EffortReasoning                // reasoning: {effort}, none included
	EffortOwn                      // the model thinks as much as it will
	EffortNever                    // the model does not think
)

// least is what "none" becomes; empty: it is left out.
var least = map[Efforts]string{EffortNone: "none", EffortMinimal: "minimal", EffortLow: "low", EffortReasoning: "none"}

// of maps an effort of a request; empty: it is left out.
func (e Efforts) of(effort string) string {
	switch {
	case e == EffortNever || e == EffortOwn:
		return ""
	case effort == "none":
		return least[e]
	}
	return effort
}

// QuirksOf is the table of known quirks for the host of a base URL. Hosts that it
// does not name have none.
func QuirksOf(baseURL string) func(model string) Quirks {
	u, err := url.Parse(baseURL)
	if err != nil {
		return always(Quirks{})
	}
	switch host := u.Hostname(); {
	case host == "api.openai.com":
		return openAIQuirks
	case host == "api.mistral.ai":
		// The API's own request type has no stream_options, seed or ids of another
		// form (mistralai/client-python, ChatCompletionStreamRequest; "Tool call id …
		// must be a-z, A-Z, 0-9, with a length of 9": anomalyco/opencode#1680), and it
		// refuses a user after a tool (zed-industries/zed#37021).
		return always(Quirks{NoStreamOptions: true, RandomSeed: true, ShortIDs: true, AnswerTools: true, Efforts: EffortNone})
	case host == "openrouter.ai":
		// openrouter.ai/docs: use cases, reasoning tokens; usage accounting. Errors of
		// its providers come within the stream (docs, errors and debugging), as in any.
		return always(Quirks{IncludeUsage: true, Efforts: EffortReasoning})
	case host == "api.deepseek.com", host == "api.moonshot.ai", host == "api.z.ai":
		return always(Quirks{EchoReasoning: true})
	case isOllama(u):
		// Its fields: ollama/ollama, openai/openai.go. There is none for the size of the
		// context, which its server sets: OLLAMA_CONTEXT_LENGTH, or num_ctx of a Modelfile.
		return always(Quirks{Efforts: EffortNone})
	case strings.HasSuffix(host, ".openai.azure.com"), strings.HasSuffix(host, ".services.ai.azure.com"):
		return azureQuirks
	}
	return always(Quirks{}) // Together among them: docs.together.ai, chat completions
}

// isOllama goes by Ollama's own port, which it is found by as well.
func isOllama(u *url.URL) bool { return u.Port() == "11434" || u.Hostname() == "ollama.com" }

func always(q Quirks) func(string) Quirks { return func(string) Quirks { return q } }

var (
	oSeries        = regexp.MustCompile(`^o([1-9])`)
	gptSeries      = regexp.MustCompile(`^gpt-(\d+)(?:\.(\d+))?`)
	responsesAlone = regexp.MustCompile(`codex|-pro\b|deep-research|computer-use`) // developers.openai.com, models
)

// openAIQuirks: reasoning models take no sampling parameters and another name
// for the bound. From gpt-5.4 on, Chat Completions refuses tools together with
// reasoning, which is on unless the request says none (openai/openai-openapi#541):
// those models, and all that Chat does not serve at all, are spoken to in Responses.
func openAIQuirks(model string) Quirks {
	q := Quirks{HasResponses: true, Responses: responsesAlone.MatchString(model), Efforts: EffortNever}
	if m := gptSeries.FindStringSubmatch(model); m != nil && !strings.Contains(model, "-chat") {
		major, _ := strconv.Atoi(m[1])
		minor, _ := strconv.Atoi(m[2])
		switch version := 100*major + minor; {
		case version >= 504:
			q.Responses, q.Efforts = true, EffortNone
		case version >= 501:
			q.Efforts = EffortNone
		case version >= 500:
			q.Efforts = EffortMinimal
		}
	} else if oSeries.MatchString(model) {
		q.Efforts = EffortLow
	}
	switch {
	case q.Efforts == EffortNever:
	case strings.Contains(model, "codex"): // low is its least, of every version
		q.Efforts = EffortLow
	case responsesAlone.MatchString(model):
		q.Efforts = EffortOwn
	}
	if q.Efforts != EffortNever {
		q.MaxCompletionTokens, q.NoSampling = true, true
	}
	return q
}

// azureQuirks: a deployment is often named after its model, and then has that
// model's quirks. The v1 API has Responses, and max_completion_tokens for all
// (learn.microsoft.com, Azure OpenAI reasoning models). What a model of another
// name is remains to be seen, so its effort is passed on as it is.
func azureQuirks(model string) Quirks {
	q := openAIQuirks(model)
	q.MaxCompletionTokens = true
	if !strings.HasPrefix(model, "gpt-") && !oSeries.MatchString(model) {
		q.Efforts = EffortPlain
	}
	return q
}
