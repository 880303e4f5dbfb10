package llm

import (
	"encoding/json"
	"strconv"
	"strings"

	"mgx"
)

// CheckRequest refuses what no provider would accept: no model, no bound on the
// answer, no message, or a call without its result. It is the caller's duty to
// repair a history before sending it, so this is an internal error.
func CheckRequest(req *Request) error {
	switch {
	case req.Pass != nil && req.Pass.Only != "":
		return untranslatable("", req.Model, req.Pass) // who passes it on does not ask here
	case req.Model == "":
		return badRequest("it names no model")
	case req.MaxTokens <= 0:
		return badRequest("MaxTokens is %d", req.MaxTokens)
	case len(req.Messages) == 0:
		return badRequest("it has no message")
	}
	for _, t := range req.Tools {
		if !json.Valid(t.Schema) {
			return badRequest("the schema of tool %s is not JSON", t.Name)
		}
	}
	if req.Format != nil && !json.Valid(req.Format.Schema) {
		return badRequest("the schema of its format is not JSON")
	}
	open := map[string]bool{}
	for i, m := range req.Messages {
		if m.Role != Tool && len(open) > 0 {
			return badRequest("message %d comes before the result of tool call %s", i, anyKey(open))
		}
		if err := checkParts(i, m, open); err != nil {
			return err
		}
	}
	if len(open) > 0 {
		return badRequest("tool call %s has no result", anyKey(open))
	}
	return nil
}

func checkParts(i int, m Message, open map[string]bool) error {
	for _, p := range m.Parts {
		switch {
		case p.Opaque != nil && !json.Valid(p.Opaque.Raw):
			return badRequest("message %d holds an opaque block that is not JSON", i)
		case p.Call != nil && m.Role != Assistant:
			return badRequest("message %d of role %s holds a tool call", i, m.Role)
		case p.Call != nil && open[p.Call.ID]:
			return badRequest("message %d uses tool call id %q twice", i, p.Call.ID)
		case p.Call != nil:
			open[p.Call.ID] = true
		case p.Result != nil && (m.Role != Tool || !open[p.Result.CallID]):
			return badRequest("message %d holds a result of tool call %q, which is not open", i, p.Result.CallID)
		case p.Result != nil:
			delete(open, p.Result.CallID)
		}
	}
	return nil
}

func badRequest(format string, args ...any) error {
	return mgx.Errorf(mgx.KindInternal, "bad_model_request", "a request to a model is malformed: "+format, args...)
}

func anyKey(m map[string]bool) string {
	for k := range m {
		return strconv.Quote(k)
	}
	return ""
}

// ArgsObject returns a call's arguments as a JSON object, as they must be when
// sent back: what is none is wrapped in one, so that the model sees what it wrote.
func ArgsObject(args string) json.RawMessage {
	trimmed := strings.TrimSpace(args)
	if trimmed == "" {
		return json.RawMessage("{}")
	}
	if trimmed[0] == '{' && json.Valid([]byte(trimmed)) {
		return json.RawMessage(trimmed)
	}
	return MarshalWire(map[string]string{"invalid_arguments": args})
}
