package llmtest

import (
	"encoding/json"
	"net/http"
	"strings"

	"mgx"
	"mgx/internal/llm"
)

// geminiWire is Google's generateContent.
type geminiWire struct{ behaviour }

func (w *geminiWire) request(r *http.Request, body []byte) (*llm.Request, bool, error) {
	type part struct {
		Text         *string
		FunctionCall *struct {
			ID, Name string
			Args     json.RawMessage
		}
		FunctionResponse *struct {
			ID, Name string
			Response struct{ Output, Result, Error *string }
		}
	}
	var in struct {
		SystemInstruction struct{ Parts []struct{ Text string } }
		Contents          []struct {
			Role  string
			Parts []json.RawMessage
		}
		Tools []struct {
			FunctionDeclarations []struct {
				Name, Description string
				Parameters        json.RawMessage
			}
		}
		ToolConfig       struct{ FunctionCallingConfig struct{ Mode string } }
		GenerationConfig struct {
			MaxOutputTokens int
			Temperature     *float64
		}
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, false, err
	}
	model, method, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1beta/models/"), ":")
	req := &llm.Request{Model: model, MaxTokens: in.GenerationConfig.MaxOutputTokens, Temperature: in.GenerationConfig.Temperature}
	for _, p := range in.SystemInstruction.Parts {
		req.System += p.Text
	}
	switch in.ToolConfig.FunctionCallingConfig.Mode {
	case "NONE":
		req.ToolChoice = "none"
	case "ANY":
		req.ToolChoice = "required"
	}
	for _, set := range in.Tools {
		for _, t := range set.FunctionDeclarations {
			schema := t.Parameters
			if schema == nil {
				schema = json.RawMessage(`{"type":"OBJECT"}`)
			}
			req.Tools = append(req.Tools, llm.ToolSpec{Name: t.Name, Description: t.Description, Schema: schema})
		}
	}
	for _, c := range in.Contents {
		role := llm.User
		if c.Role == "model" {
			role = llm.Assistant
		}
		for _, raw := range c.Parts {
			var p part
			if err := json.Unmarshal(raw, &p); err != nil {
				return nil, false, err
			}
			switch {
			case p.FunctionCall != nil:
				f := p.FunctionCall
				if rest := llm.KeepRest("gemini", raw, "functionCall"); rest != nil {
					addPart(req, role, llm.Part{Opaque: rest})
				}
				addPart(req, role, llm.Part{Call: &llm.ToolCall{ID: f.ID, Name: f.Name, Args: string(f.Args)}})
			case p.FunctionResponse != nil:
				f := p.FunctionResponse
				result := &llm.ToolResult{CallID: f.ID, Name: f.Name, IsError: f.Response.Error != nil}
				for _, text := range []*string{f.Response.Output, f.Response.Result, f.Response.Error} {
					if text != nil {
						result.Text = *text
					}
				}
				addPart(req, llm.Tool, llm.Part{Result: result})
			case p.Text != nil && *p.Text != "":
				addPart(req, role, llm.Part{Text: *p.Text})
			default:
				addPart(req, role, llm.Part{Opaque: &llm.Opaque{Dialect: "gemini", Raw: raw}})
			}
		}
	}
	return req, method == "streamGenerateContent", nil
}

func (w *geminiWire) models(list []llm.ModelInfo) any {
	models := []any{}
	for _, m := range list {
		models = append(models, object("name", "models/"+m.ID, "inputTokenLimit", m.ContextWindow, "outputTokenLimit", m.MaxOutput,
			"supportedGenerationMethods", []string{"generateContent", "countTokens"}))
	}
	models = append(models, object("name", "models/embedder", "supportedGenerationMethods", []string{"embedContent"}))
	return object("models", models)
}

func (w *geminiWire) failure(status int, kind, message string) any {
	return object("error", object("code", status, "message", message, "status", googleStatus(status, kind)))
}

func googleStatus(status int, kind string) string {
	switch {
	case status == http.StatusUnauthorized || kind == "authentication_error":
		return "UNAUTHENTICATED"
	case status == http.StatusNotFound:
		return "NOT_FOUND"
	case kind == "rate_limit_error":
		return "RESOURCE_EXHAUSTED"
	case kind == "invalid_request_error":
		return "INVALID_ARGUMENT"
	}
	return "UNAVAILABLE"
}

func (w *geminiWire) streamFailure(kind, message string) frame {
	return event(otherFrame, "", w.failure(http.StatusServiceUnavailable, kind, message))
}

func (w *geminiWire) ping() string { return "" }

func (w *geminiWire) start(string) []frame { return nil } // there is none

// say is an event with parts, and perhaps a reason why they are the last.
func (w *geminiWire) say(kind frameKind, model, finish string, parts ...any) frame {
	if parts == nil {
		parts = []any{object("text", "")}
	}
	c := object("index", 0, "content", object("role", "model", "parts", parts))
	if finish != "" {
		c["finishReason"] = finish
	}
	return event(kind, "", object("candidates", []any{c}, "modelVersion", model, "responseId", "r1"))
}

func (w *geminiWire) delta(c llm.Chunk, model string) []frame {
	switch {
	case c.Thinking != "":
		return []frame{w.say(otherFrame, model, "", object("text", c.Thinking, "thought", true))}
	case c.Text != "":
		return []frame{w.say(otherFrame, model, "", object("text", c.Text))}
	}
	return nil
}

// callParts are the calls, the first of them signed. Arguments are an object
// here; false: the model wrote none.
func (w *geminiWire) callParts(resp *llm.Response) ([]any, bool) {
	var parts []any
	for i, c := range callsOf(resp, w.how) {
		var args map[string]json.RawMessage
		if json.Unmarshal([]byte(c.Args), &args) != nil {
			return nil, false
		}
		call := object("name", c.Name, "args", json.RawMessage(c.Args))
		if c.ID != "" {
			call["id"] = c.ID
		}
		p := object("functionCall", call)
		if i == 0 {
			p["thoughtSignature"] = "c2lnbmVk"
		}
		parts = append(parts, p)
	}
	return parts, true
}

func (w *geminiWire) end(resp *llm.Response) []frame {
	parts, ok := w.callParts(resp)
	finish := w.finish(resp.Finish)
	if !ok {
		finish = "MALFORMED_FUNCTION_CALL"
	}
	var out []frame
	for _, p := range parts {
		out = append(out, w.say(otherFrame, resp.Model, "", p))
	}
	return append(out, w.say(finishFrame, resp.Model, finish),
		event(usageFrame, "", object("usageMetadata", geminiUsage(resp.Usage), "modelVersion", resp.Model)))
}

func (w *geminiWire) finish(f llm.Finish) string {
	switch {
	case w.how == Filtered || w.how == Refused || f == llm.FinishFilter || f == llm.FinishRefusal:
		return "SAFETY"
	case f == llm.FinishLength:
		return "MAX_TOKENS"
	}
	return "STOP"
}

func geminiUsage(u mgx.Usage) any {
	return object("promptTokenCount", u.Prompt, "candidatesTokenCount", u.Completion-u.Reasoning, "thoughtsTokenCount", u.Reasoning,
		"cachedContentTokenCount", u.Cached, "totalTokenCount", u.Total())
}

func (w *geminiWire) document(resp *llm.Response) any {
	var parts []any
	if text := textOf(resp); text != "" {
		parts = append(parts, object("text", text))
	}
	calls, ok := w.callParts(resp)
	finish := w.finish(resp.Finish)
	if !ok {
		finish = "MALFORMED_FUNCTION_CALL"
	}
	c := object("index", 0, "content", object("role", "model", "parts", append(parts, calls...)), "finishReason", finish)
	return object("candidates", []any{c}, "modelVersion", resp.Model, "usageMetadata", geminiUsage(resp.Usage))
}
