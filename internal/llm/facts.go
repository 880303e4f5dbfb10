package llm

import (
	"cmp"
	"path"
	"strings"
)

// Facts are what a model is and can. Zero fields are unknown, and what is
// unknown excludes nothing.
type Facts struct {
	Context   int `json:"context,omitempty"`    // tokens of prompt and answer
	MaxOutput int `json:"max_output,omitempty"` // tokens of an answer
	// Quality is how good its work is, from 0 to 100, on no scale but its own:
	// only the order matters, and its distances to the strategy balanced.
	Quality      float64  `json:"quality,omitempty"`
	Capabilities []string `json:"capabilities,omitempty"` // nil: tools and json
}

// ModelFacts are facts about the models that a pattern names.
type ModelFacts struct {
	Pattern string // provider/model, with the wildcards of path.Match
	Facts
}

// commonQuality is taken for models of which nothing is known.
const commonQuality = 50

// commonCapabilities likewise: today's models have these.
var commonCapabilities = []string{CapTools, CapJSON}

var allCapabilities = []string{CapTools, CapJSON, CapVision, CapThinking}

// builtinFacts are our own rough order of the families of models that people
// use for code, for policies that do not say better. The most exact pattern
// (the longest) wins; what is not here has commonQuality.
var builtinFacts = []ModelFacts{
	{"*/claude-fable-*", Facts{Quality: 95, Capabilities: allCapabilities}},
	{"*/claude-opus-*", Facts{Quality: 90, Capabilities: allCapabilities}},
	{"*/claude-sonnet-*", Facts{Quality: 82, Capabilities: allCapabilities}},
	{"*/claude-haiku-*", Facts{Quality: 62, Capabilities: allCapabilities}},
	{"*/gpt-5*", Facts{Quality: 85, Capabilities: allCapabilities}},
	{"*/gpt-5*-mini*", Facts{Quality: 65, Capabilities: allCapabilities}},
	{"*/gpt-5*-nano*", Facts{Quality: 45, Capabilities: allCapabilities}},
	{"*/gpt-4.1*", Facts{Quality: 60, Capabilities: []string{CapTools, CapJSON, CapVision}}},
	{"*/gpt-4o*", Facts{Quality: 55, Capabilities: []string{CapTools, CapJSON, CapVision}}},
	{"*/gpt-4o-mini*", Facts{Quality: 40, Capabilities: []string{CapTools, CapJSON, CapVision}}},
	{"*/o3*", Facts{Quality: 78, Capabilities: allCapabilities}},
	{"*/o4-mini*", Facts{Quality: 68, Capabilities: allCapabilities}},
	{"*/gemini-*-pro*", Facts{Quality: 82, Capabilities: allCapabilities}},
	{"*/gemini-*-flash*", Facts{Quality: 64, Capabilities: allCapabilities}},
	{"*/gemini-*-flash-lite*", Facts{Quality: 45, Capabilities: allCapabilities}},
	{"*/mistral-large*", Facts{Quality: 65}},
	{"*/codestral*", Facts{Quality: 58}},
	{"*/devstral*", Facts{Quality: 60}},
}

// facts are what is known of a model: what the configuration says, then the price
// list, then our own table.
func (r *Router) facts(provider, model string, price Price) Facts {
	name := provider + "/" + model
	f := matching(r.Facts, name)
	known := matching(builtinFacts, provider+"/"+path.Base(model)) // openrouter/openai/gpt-5 too
	f.Quality = cmp.Or(f.Quality, known.Quality, commonQuality)
	if f.Capabilities == nil {
		f.Capabilities = price.Capabilities
	}
	if f.Capabilities == nil {
		f.Capabilities = known.Capabilities
	}
	if f.Capabilities == nil {
		f.Capabilities = commonCapabilities
	}
	f.Context = cmp.Or(f.Context, price.ContextWindow)
	f.MaxOutput = cmp.Or(f.MaxOutput, price.MaxOutput)
	return f
}

// matching returns the facts of the longest pattern that matches.
func matching(all []ModelFacts, name string) (f Facts) {
	longest := -1
	name = flat(name)
	for _, m := range all {
		if ok, _ := path.Match(flat(m.Pattern), name); ok && len(m.Pattern) > longest {
			f, longest = m.Facts, len(m.Pattern)
		}
	}
	return f
}

// flat hides the slashes within a model's own name from path.Match, so that a *
// covers them.
func flat(name string) string {
	provider, model, _ := strings.Cut(name, "/")
	if !strings.Contains(model, "/") {
		return name
	}
	return provider + "/" + strings.ReplaceAll(model, "/", "\x00")
}
