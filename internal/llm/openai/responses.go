package openai

import (
	"encoding/json"

	"mgx/internal/llm"
)

// responsesDialect names the blocks kept of Responses. The Router keeps track of
// whose they are.
func (p *provider) responsesDialect() string { return "responses/" + p.name }

// responsesRequest is the body of a call. Nothing is stored with the provider:
// the whole conversation goes with each call, reasoning encrypted within it.
type responsesRequest struct {
	Model           string          `json:"model"`
	Instructions    string          `json:"instructions,omitempty"`
	Tools           []responsesTool `json:"tools,omitempty"`
	Input           []any           `json:"input"`
	ToolChoice      string          `json:"tool_choice,omitempty"`
	MaxOutputTokens int             `json:"max_output_tokens"`
	Temperature     *float64        `json:"temperature,omitempty"`
	TopP            *float64        `json:"top_p,omitempty"`
	Reasoning       *reasoning      `json:"reasoning,omitempty"`
	Text            *textConfig     `json:"text,omitempty"`
	Include         []string        `json:"include,omitempty"`
	Store           bool            `json:"store"`
	Stream          bool            `json:"stream"`
}

type textConfig struct {
	Format textFormat `json:"format"`
}

type textFormat struct {
	Type string `json:"type"`
	jsonSchema
}

type responsesTool struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters"`
	Strict      bool            `json:"strict"` // the API's default is true, which not every schema is fit for
}

// inputMessage is what somebody said.
type inputMessage struct {
	Type    string `json:"type"`
	Role    string `json:"role"`
	Content any    `json:"content"` // a text, or a list of outputText
}

type outputText struct {
	Type        string `json:"type"`
	Text        string `json:"text"`
	Annotations []any  `json:"annotations"`
}

type functionCall struct {
	Type      string `json:"type"`
	CallID    string `json:"call_id"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

type functionOutput struct {
	Type   string `json:"type"`
	CallID string `json:"call_id"`
	Output string `json:"output"`
}

// checkResponses refuses what the dialect cannot say.
func (p *provider) checkResponses(req *llm.Request) error {
	if len(req.Stop) > 0 {
		return llm.CannotAsk(p.name, req.Model, "texts to stop at")
	}
	return nil
}

func (p *provider) encodeResponses(req *llm.Request) responsesRequest {
	q := p.quirks(req.Model)
	out := responsesRequest{
		Model: req.Model, Instructions: req.System, Input: p.input(req), MaxOutputTokens: req.MaxTokens,
		Stream: true,
	}
	for _, t := range req.Tools {
		out.Tools = append(out.Tools, responsesTool{Type: "function", Name: t.Name, Description: t.Description, Parameters: t.Schema})
	}
	if len(out.Tools) > 0 {
		out.ToolChoice = req.ToolChoice
	}
	if req.Format != nil {
		out.Text = &textConfig{textFormat{"json_schema", schemaOf(req.Format)}}
	}
	if q.Efforts != EffortNever {
		out.Include = []string{"reasoning.encrypted_content"}
		if effort := q.Efforts.of(req.Effort); effort != "" {
			out.Reasoning = &reasoning{Effort: effort}
		}
	}
	if !q.NoSampling {
		out.Temperature, out.TopP = req.Temperature, req.TopP
	}
	return out
}

// input is the conversation as items.
func (p *provider) input(req *llm.Request) []any {
	out := []any{}
	for _, m := range req.Messages {
		switch m.Role {
		case llm.Tool:
			for _, part := range m.Parts {
				if part.Result != nil {
					out = append(out, functionOutput{"function_call_output", part.Result.CallID, part.Result.Text})
				}
			}
		case llm.Assistant:
			out = append(out, p.output(m)...)
		default:
			out = append(out, inputMessage{"message", "user", texts(m)})
		}
	}
	return out
}

// output is an answer of the model as the items that it came as.
func (p *provider) output(m llm.Message) []any {
	var out []any
	var rest map[string]json.RawMessage // of the part that follows
	complete := true
	for _, part := range m.Parts {
		kept := rest
		rest = nil
		switch {
		case part.Opaque != nil && part.Opaque.Dialect == p.responsesDialect():
			var isRest bool
			if rest, isRest = part.Opaque.Rest(); isRest {
				break
			}
			if complete = complete && canGoBack(part.Opaque.Raw); complete {
				out = append(out, part.Opaque.Raw)
			}
		case part.Call != nil:
			call := functionCall{"function_call", part.Call.ID, part.Call.Name, string(llm.ArgsObject(part.Call.Args))}
			out = append(out, itemWith(call, kept, complete))
		case part.Text != "" && kept != nil && complete:
			said := inputMessage{"message", "assistant", []outputText{{"output_text", part.Text, []any{}}}}
			out = append(out, llm.WithRest(said, kept))
		case part.Text != "":
			out = append(out, inputMessage{"message", "assistant", part.Text})
		}
	}
	return out
}

// itemWith adds the fields that an item came with. An item whose reasoning does
// not go back must not go back by its id: the API then misses the reasoning.
func itemWith(item any, kept map[string]json.RawMessage, complete bool) any {
	if kept == nil || !complete {
		return item
	}
	return llm.WithRest(item, kept)
}

// canGoBack reports whether an item means something to a server that stores
// nothing: reasoning does only with its encrypted content.
func canGoBack(raw json.RawMessage) bool {
	var item struct {
		Type             string `json:"type"`
		EncryptedContent string `json:"encrypted_content"`
	}
	return json.Unmarshal(raw, &item) == nil && (item.Type != "reasoning" || item.EncryptedContent != "")
}
