package gemini

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"mgx/internal/llm"
)

// contentRequest is the body of a call. What does not change within a
// conversation comes first, so that prefix caches hit.
type contentRequest struct {
	SystemInstruction *content         `json:"systemInstruction,omitempty"`
	Tools             []toolSet        `json:"tools,omitempty"`
	ToolConfig        *toolConfig      `json:"toolConfig,omitempty"`
	Contents          []content        `json:"contents"`
	GenerationConfig  generationConfig `json:"generationConfig"`
}

type content struct {
	Role  string            `json:"role,omitempty"`
	Parts []json.RawMessage `json:"parts"`
}

type toolSet struct {
	FunctionDeclarations []declaration `json:"functionDeclarations"`
}

type declaration struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"`
}

type toolConfig struct {
	FunctionCallingConfig callingConfig `json:"functionCallingConfig"`
}

type callingConfig struct {
	Mode string `json:"mode"`
}

type generationConfig struct {
	MaxOutputTokens  int             `json:"maxOutputTokens"`
	Temperature      *float64        `json:"temperature,omitempty"`
	TopP             *float64        `json:"topP,omitempty"`
	StopSequences    []string        `json:"stopSequences,omitempty"`
	Seed             *int32          `json:"seed,omitempty"`
	ResponseMIMEType string          `json:"responseMimeType,omitempty"`
	ResponseSchema   json.RawMessage `json:"responseSchema,omitempty"`
	ThinkingConfig   *thinkingConfig `json:"thinkingConfig,omitempty"`
}

type thinkingConfig struct {
	IncludeThoughts bool   `json:"includeThoughts,omitempty"`
	ThinkingBudget  *int   `json:"thinkingBudget,omitempty"`
	ThinkingLevel   string `json:"thinkingLevel,omitempty"`
}

// part is one of the kinds that we write.
type part struct {
	Text             string            `json:"text,omitempty"`
	FunctionCall     *functionCall     `json:"functionCall,omitempty"`
	FunctionResponse *functionResponse `json:"functionResponse,omitempty"`
	ThoughtSignature string            `json:"thoughtSignature,omitempty"`
}

type functionCall struct {
	ID   string          `json:"id"`
	Name string          `json:"name"`
	Args json.RawMessage `json:"args"`
}

type functionResponse struct {
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Response map[string]string `json:"response"` // output, or error (ai.google.dev/api/caching#FunctionResponse)
}

// check refuses what the dialect cannot say for a model: before 3, a call may
// have tools or a form for its answer, not both (ai.google.dev, structured outputs).
func check(req *llm.Request, provider string) error {
	if v := versionOf(req.Model); req.Format != nil && len(req.Tools) > 0 && v != 0 && v < 300 {
		return llm.CannotAsk(provider, req.Model, "schema for its answer together with tools")
	}
	return nil
}

func encode(req *llm.Request) contentRequest {
	out := contentRequest{Contents: contents(req)}
	if strings.TrimSpace(req.System) != "" {
		out.SystemInstruction = &content{Parts: []json.RawMessage{llm.MarshalWire(part{Text: req.System})}}
	}
	if len(req.Tools) > 0 {
		out.Tools = []toolSet{{declarations(req.Tools)}}
		out.ToolConfig = &toolConfig{callingConfig{modeOf(req.ToolChoice)}}
	}
	g := &out.GenerationConfig
	g.MaxOutputTokens, g.Temperature, g.TopP, g.StopSequences = req.MaxTokens, req.Temperature, req.TopP, req.Stop
	if req.Seed != nil {
		seed := int32(*req.Seed & 0x7fffffff) // the API's are of 32 bits
		g.Seed = &seed
	}
	if req.Format != nil {
		g.ResponseMIMEType, g.ResponseSchema = "application/json", schemaOf(req.Format.Schema)
	}
	g.ThinkingConfig = think(req.Model, req.Effort)
	return out
}

func modeOf(choice string) string {
	switch choice {
	case "none":
		return "NONE"
	case "required":
		return "ANY"
	}
	return "AUTO"
}

func declarations(tools []llm.ToolSpec) []declaration {
	out := make([]declaration, len(tools))
	for i, t := range tools {
		out[i] = declaration{Name: t.Name, Description: t.Description, Parameters: parametersOf(t.Schema)}
	}
	return out
}

// contents are the messages. Results of calls stay in a content of their own,
// which must have as many parts as there were calls.
func contents(req *llm.Request) []content {
	names := map[string]string{}
	out := []content{}
	for _, m := range req.Messages {
		c := content{Role: "user"}
		switch m.Role {
		case llm.Tool:
			c.Parts = results(m, names)
		case llm.Assistant:
			c.Role = "model"
			c.Parts = answer(m, names, needsSignature(req.Model))
		default:
			c.Parts = texts(m)
		}
		if len(c.Parts) > 0 {
			out = append(out, c)
		}
	}
	return out
}

func texts(m llm.Message) []json.RawMessage {
	var out []json.RawMessage
	for _, p := range m.Parts {
		if p.Text != "" {
			out = append(out, llm.MarshalWire(part{Text: p.Text}))
		}
	}
	return out
}

func results(m llm.Message, names map[string]string) []json.RawMessage {
	var out []json.RawMessage
	for _, p := range m.Parts {
		if p.Result == nil {
			continue
		}
		key := "output"
		if p.Result.IsError {
			key = "error"
		}
		name := p.Result.Name
		if name == "" {
			name = names[p.Result.CallID]
		}
		out = append(out, llm.MarshalWire(part{FunctionResponse: &functionResponse{
			ID: p.Result.CallID, Name: name, Response: map[string]string{key: p.Result.Text},
		}}))
	}
	return out
}

// noSignature is what the API takes for the signature of a call that another
// model made (ai.google.dev/gemini-api/docs/thought-signatures, FAQ).
const noSignature = "skip_thought_signature_validator"

// answer is an answer of the model. A model that insists on signatures wants one
// on the first call of each answer; those of other models have none.
func answer(m llm.Message, names map[string]string, signed bool) []json.RawMessage {
	var out []json.RawMessage
	var rest map[string]json.RawMessage // of the part that follows
	first := true
	for _, p := range m.Parts {
		kept := rest
		rest = nil
		switch {
		case p.Opaque != nil && p.Opaque.Dialect == dialect:
			var isRest bool
			if rest, isRest = p.Opaque.Rest(); !isRest {
				out = append(out, p.Opaque.Raw)
			}
		case p.Call != nil:
			names[p.Call.ID] = p.Call.Name
			call := part{FunctionCall: &functionCall{p.Call.ID, p.Call.Name, llm.ArgsObject(p.Call.Args)}}
			if first && signed && kept["thoughtSignature"] == nil {
				call.ThoughtSignature = noSignature
			}
			first = false
			out = append(out, llm.WithRest(call, kept))
		case p.Text != "":
			out = append(out, llm.WithRest(part{Text: p.Text}, kept))
		}
	}
	return out
}

var modelVersion = regexp.MustCompile(`^(?:models/)?gemini-(\d+)(?:\.(\d+))?-`)

// versionOf is 205 for a Gemini 2.5, and 0 for what tells no version.
func versionOf(model string) int {
	m := modelVersion.FindStringSubmatch(model)
	if m == nil {
		return 0
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	return major*100 + minor
}

func needsSignature(model string) bool { return versionOf(model) >= 300 }

// think maps an effort: for 2.5 to a budget of tokens, from 3 on to a level
// (ai.google.dev/gemini-api/docs/thinking). Pro models cannot be told to not
// think, and 3 Pro knows no medium. Models that tell no version are left alone.
func think(model, effort string) *thinkingConfig {
	pro := strings.Contains(model, "-pro")
	switch v := versionOf(model); {
	case effort == "" || v < 205:
		return nil
	case v >= 300 && effort == "none" && pro:
		return &thinkingConfig{ThinkingLevel: "LOW"}
	case v >= 300 && effort == "none":
		return &thinkingConfig{ThinkingLevel: "MINIMAL"}
	case v == 300 && effort == "medium" && pro:
		return &thinkingConfig{IncludeThoughts: true, ThinkingLevel: "HIGH"}
	case v >= 300:
		return &thinkingConfig{IncludeThoughts: true, ThinkingLevel: strings.ToUpper(effort)}
	}
	budget := map[string]int{"none": 0, "low": 1024, "medium": 8192, "high": 24576}[effort]
	if pro {
		budget = max(budget, 128)
	}
	return &thinkingConfig{IncludeThoughts: budget > 0, ThinkingBudget: &budget}
}
