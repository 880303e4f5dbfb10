package api

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// openAIFailure is the body of an error in OpenAI's dialects, as far as MGX fills it in.
type openAIFailure struct {
	Error struct {
		Message string  `json:"message" doc:"What is wrong and what to do"`
		Type    string  `json:"type" doc:"The kind of error, as OpenAI has it" example:"invalid_request_error"`
		Param   *string `json:"param" doc:"Always null" nullable:"true"`
		Code    string  `json:"code" doc:"What programs tell errors apart by. It is stable" example:"model_not_found"`
	} `json:"error" doc:"Why there is no answer" nameHint:"OpenAIFailureError"`
}

// anthropicFailure is the body of an error in Anthropic's dialect.
type anthropicFailure struct {
	Type  string `json:"type" doc:"Always error" enum:"error"`
	Error struct {
		Type    string `json:"type" doc:"The kind of error, as Anthropic has it" example:"not_found_error"`
		Message string `json:"message" doc:"What is wrong and what to do"`
	} `json:"error" doc:"Why there is no answer" nameHint:"AnthropicFailureError"`
	Request string `json:"request_id" doc:"Of the request, also in the header X-Mgx-Request-Id"`
}

// statusOverloaded is Anthropic's of a server that has more to do than it bears.
const statusOverloaded = 529

// What operations of the gateway fail with: all of them, those with a body, those that
// have a model answer.
var (
	failsAny  = []int{400, 401, 403, 404, 429, 500, 503}
	failsBody = []int{408, 413, 502}
	failsCall = []int{402, 504}
)

// describeGateway tells of what is below /v1/, which speaks the dialects of others:
// their documents say what is in it, docs/gateway.md what MGX makes of it.
func (s *surface) describeGateway() {
	schemas := s.OpenAPI().Components.Schemas
	openAI := schemas.Schema(reflect.TypeFor[openAIFailure](), true, "")
	anthropic := schemas.Schema(reflect.TypeFor[anthropicFailure](), true, "")
	either := &huma.Schema{OneOf: []*huma.Schema{openAI, anthropic}, Description: "Anthropic's with the header Anthropic-Version"}
	for _, g := range []struct {
		method, path, id, short, long string

		fails    *huma.Schema
		statuses []int
	}{
		{"POST", "/v1/chat/completions", "createChatCompletion", "Call a model, as OpenAI's chat completions", "Also as a stream of server-sent events.", openAI, slices.Concat(failsAny, failsBody, failsCall)},
		{"POST", "/v1/responses", "createResponse", "Call a model, as OpenAI's responses", "Also as a stream of server-sent events.", openAI, slices.Concat(failsAny, failsBody, failsCall)},
		{"POST", "/v1/messages", "createMessage", "Call a model, as Anthropic's messages", "Also as a stream of server-sent events.", anthropic, slices.Concat(failsAny, failsBody, failsCall, []int{statusOverloaded})},
		{"POST", "/v1/messages/count_tokens", "countTokens", "Count the tokens of a call, as Anthropic does", "", anthropic, slices.Concat(failsAny, failsBody, []int{statusOverloaded})},
		{"GET", "/v1/models", "listModels", "List the models that a key may call", "", either, slices.Concat(failsAny, []int{statusOverloaded})},
		{"GET", "/v1/models/{name}", "getModel", "Show a model", "", either, slices.Concat(failsAny, []int{statusOverloaded})},
	} {
		object := func() *huma.Schema { return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true} }
		o := &huma.Operation{
			Method: g.method, Path: g.path, OperationID: g.id, Tags: []string{"Models"}, Summary: g.short, Description: g.long,
			Security: []map[string][]string{{"bearer": {}}},
			Responses: map[string]*huma.Response{
				"200": {Description: "As the dialect says", Content: map[string]*huma.MediaType{typeJSON: {Schema: object()}}},
			},
			Extensions: map[string]any{"x-dialect": true},
		}
		for _, status := range g.statuses {
			o.Responses[strconv.Itoa(status)] = dialectFailure(status, g.fails)
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

// dialectFailure is an error of a status, as a dialect says it.
func dialectFailure(status int, body *huma.Schema) *huma.Response {
	text := http.StatusText(status)
	if status == statusOverloaded {
		text = "Overloaded"
	}
	r := &huma.Response{Description: text + ", as the dialect says it", Content: map[string]*huma.MediaType{typeJSON: {Schema: body}}}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		r.Headers = map[string]*huma.Param{"Retry-After": {Description: "Seconds to wait, where that is known", Schema: &huma.Schema{Type: huma.TypeInteger}}}
	}
	return r
}
