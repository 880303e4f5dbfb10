package api

import (
	"github.com/danielgtaylor/huma/v2"
)

// describeGateway tells of what is below /v1/, which speaks the dialects of others:
// their documents say what is in it, docs/gateway.md what MGX makes of it.
func (s *surface) describeGateway() {
	for _, g := range []struct{ method, path, id, short, long string }{
		{"POST", "/v1/chat/completions", "createChatCompletion", "Call a model, as OpenAI's chat completions", "Also as a stream of server-sent events."},
		{"POST", "/v1/responses", "createResponse", "Call a model, as OpenAI's responses", "Also as a stream of server-sent events."},
		{"POST", "/v1/messages", "createMessage", "Call a model, as Anthropic's messages", "Also as a stream of server-sent events."},
		{"POST", "/v1/messages/count_tokens", "countTokens", "Count the tokens of a call, as Anthropic does", ""},
		{"GET", "/v1/models", "listModels", "List the models that a key may call", ""},
		{"GET", "/v1/models/{name}", "getModel", "Show a model", ""},
	} {
		object := func() *huma.Schema { return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true} }
		o := &huma.Operation{
			Method: g.method, Path: g.path, OperationID: g.id, Tags: []string{"Models"}, Summary: g.short, Description: g.long,
			Security: []map[string][]string{{"bearer": {}}},
			Responses: map[string]*huma.Response{
				"200": {Description: "As the dialect says", Content: map[string]*huma.MediaType{typeJSON: {Schema: object()}}},
				"4XX": {Description: "An error, as the dialect says", Content: map[string]*huma.MediaType{typeJSON: {Schema: object()}}},
			},
			Extensions: map[string]any{"x-dialect": true},
		}
		if g.method == "POST" {
			o.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{typeJSON: {Schema: object()}}}
			if g.long != "" {
				o.Responses["200"].Content[typeStream] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
			}
		}
		if g.path == "/v1/models/{name}" {
			o.Parameters = []*huma.Param{{Name: "name", In: "path", Required: true, Description: "As the list tells", Schema: &huma.Schema{Type: huma.TypeString}}}
		}
		s.OpenAPI().AddOperation(o)
	}
	s.OpenAPI().Tags = append(s.OpenAPI().Tags, &huma.Tag{Name: "Models", Description: "Calls of models, in the dialects of OpenAI and Anthropic, for programs with a key."})
}
