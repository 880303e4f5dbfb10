package anthropic

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"mgx/internal/llm"
)

// model is what a name tells about a model.
type model struct {
	family  string // sonnet, opus, …; empty: not a Claude that we know of
	version int    // 405 is 4.5
}

var (
	// modelVersion finds the version in names such as claude-opus-4-7 and
	// claude-sonnet-4-20250514; dates are not minor versions.
	modelVersion = regexp.MustCompile(`^claude-([a-z]+)-(\d+)(?:[-.](\d{1,2}))?(?:-|$)`)
	oldVersion   = regexp.MustCompile(`^claude-(\d)(?:[-.](\d))?-([a-z]+)`) // claude-3-7-sonnet-20250219
)

func modelOf(name string) model {
	if m := modelVersion.FindStringSubmatch(name); m != nil {
		return model{m[1], number(m[2])*100 + number(m[3])}
	}
	if m := oldVersion.FindStringSubmatch(name); m != nil {
		return model{m[3], number(m[1])*100 + number(m[2])}
	}
	if strings.HasPrefix(name, "claude-mythos") {
		return model{"mythos", 500} // claude-mythos-preview
	}
	return model{}
}

func number(digits string) int {
	n, _ := strconv.Atoi(digits)
	return n
}

// fixedSampling reports whether a model refuses sampling parameters: all from
// 4.7 on (platform.claude.com, migration guides).
func (m model) fixedSampling() bool { return m.version >= 407 }

// thinks reports whether a model thinks unasked: all from 5 on.
func (m model) thinks() bool { return m.version >= 500 }

// takesFormat reports whether a model's answer can be bound to a schema: all from
// 4.5 on (platform.claude.com, structured outputs). Other servers are asked.
func (m model) takesFormat() bool { return m.family == "" || m.version >= 405 }

// thinking is how the API is asked to think.
type thinking struct {
	Type         string `json:"type"`
	BudgetTokens int    `json:"budget_tokens,omitempty"`
}

// think maps an effort. From 4.6 on it is the effort of adaptive thinking; from
// 3.7 to 4.5, a budget. "none" is what each model's thinking can be turned down
// to: 5 can be told to be still, Sonnet 5.5 thinks between tools at most, and
// Opus 5.5, Fable, Mythos and whatever comes next think a little in any case.
func (m model) think(req *llm.Request) (*thinking, string) {
	switch {
	case req.Effort == "" || m.version < 307:
		return nil, ""
	case req.Effort != "none" && m.version >= 406:
		return &thinking{Type: "adaptive"}, req.Effort
	case req.Effort != "none":
		return budget(req), ""
	case !m.thinks():
		return nil, ""
	case m.family == "sonnet" && m.version == 505:
		return &thinking{Type: "between_tools"}, ""
	case m.family == "haiku" && m.version == 505, m.version == 500 && slices.Contains([]string{"opus", "sonnet", "haiku"}, m.family):
		return &thinking{Type: "disabled"}, ""
	}
	return nil, "low"
}

// budget is thinking for models that want a number of tokens, at least 1,024 and
// less than the answer's bound; nil where that leaves none, or where an answer
// that is under way began without thinking, which the API refuses to continue with it.
func budget(req *llm.Request) *thinking {
	tokens := min(map[string]int{"low": 2048, "medium": 8192, "high": 24576}[req.Effort], req.MaxTokens/2)
	if tokens < 1024 || continuesUnthought(req.Messages) {
		return nil
	}
	return &thinking{Type: "enabled", BudgetTokens: tokens}
}

func continuesUnthought(messages []llm.Message) bool {
	n := len(messages)
	if n < 2 || messages[n-1].Role != llm.Tool {
		return false
	}
	return !slices.ContainsFunc(messages[n-2].Parts, func(p llm.Part) bool {
		if p.Opaque == nil || p.Opaque.Dialect != dialect {
			return false
		}
		_, rest := p.Opaque.Rest()
		return !rest
	})
}

// formatOf is the form that an answer must have, in the subset of JSON Schema
// that the API takes: objects name all their fields, and bounds on values go,
// which the caller checks anyway (platform.claude.com, structured outputs,
// JSON Schema limitations).
func formatOf(f *llm.Format) *outputFormat {
	schema := llm.DecodeSchema(f.Schema)
	if schema == nil {
		return &outputFormat{"json_schema", f.Schema}
	}
	llm.WalkSchema(schema, func(s map[string]any) {
		maps.DeleteFunc(s, func(key string, v any) bool {
			return slices.Contains(refusedKeywords, key) || (key == "minItems" && v != json.Number("0") && v != json.Number("1"))
		})
		if llm.IsObjectSchema(s) {
			s["additionalProperties"] = false
		}
	})
	return &outputFormat{"json_schema", llm.MarshalWire(schema)}
}

var refusedKeywords = []string{
	"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
	"maxItems", "uniqueItems", "minProperties", "maxProperties", "patternProperties", "$schema",
}
