package llmtest

import (
	"net/http"
	"net/url"
	"strings"

	"mgx/internal/llm"
)

// dialect is the server's side of a wire dialect, for one answer.
type dialect interface {
	behave(how FaultKind)
	request(r *http.Request, body []byte) (req *llm.Request, stream bool, err error)
	document(*llm.Response) any
	models([]llm.ModelInfo) any
	failure(status int, kind, message string) any
	start(model string) []frame
	delta(c llm.Chunk, model string) []frame // text and thinking; calls come with the end
	end(resp *llm.Response) []frame
	streamFailure(kind, message string) frame
	ping() string
}

// dialectOf goes by the end of the path, since servers differ in its beginning.
func dialectOf(path string) dialect {
	switch {
	case strings.HasSuffix(path, "/messages"):
		return &messagesWire{}
	case strings.HasSuffix(path, "/responses"):
		return &responsesWire{}
	case strings.HasPrefix(path, "/v1beta/"):
		return &geminiWire{}
	}
	return &chatWire{}
}

// ParseRequest reads the body of a call as the server does, without what only
// some dialects have: how to think, and the form of the answer.
func ParseRequest(path string, body []byte) (*llm.Request, error) {
	r := &http.Request{URL: &url.URL{Path: path}}
	req, _, err := dialectOf(path).request(r, body)
	return req, err
}

// isCall reports whether a POST to a path is a call to a model.
func isCall(path string) bool {
	for _, end := range []string{"/chat/completions", "/messages", "/responses", ":streamGenerateContent", ":generateContent"} {
		if strings.HasSuffix(path, end) {
			return true
		}
	}
	return false
}

// behaviour is what a fault changes of an answer's form.
type behaviour struct{ how FaultKind }

func (b *behaviour) behave(how FaultKind) { b.how = how }

func object(fields ...any) map[string]any {
	o := map[string]any{}
	for i := 0; i < len(fields); i += 2 {
		o[fields[i].(string)] = fields[i+1]
	}
	return o
}

func event(kind frameKind, name string, v any) frame {
	return frame{kind: kind, event: name, data: string(llm.MarshalWire(v))}
}

// piece is a part of the arguments of one call.
type piece struct {
	call int
	args string
}

// argumentPieces cuts the arguments of calls as the fault asks.
func argumentPieces(calls []llm.ToolCall, how FaultKind) []piece {
	size := 7
	if how == SplitArgs {
		size = 1
	}
	var byCall [][]piece
	for i, c := range calls {
		var list []piece
		// Pieces end anywhere, but never inside a character: JSON strings could
		// not carry half of one.
		for _, args := range pieces(c.Args, size) {
			list = append(list, piece{i, args})
		}
		byCall = append(byCall, list)
	}
	var out []piece
	if how != Interleaved {
		for _, list := range byCall {
			out = append(out, list...)
		}
		return out
	}
	for more := true; more; {
		more = false
		for i, list := range byCall {
			if len(list) > 0 {
				out, byCall[i], more = append(out, list[0]), list[1:], true
			}
		}
	}
	return out
}

// callsOf returns the calls of an answer, with ids as the fault asks.
func callsOf(resp *llm.Response, how FaultKind) []llm.ToolCall {
	var calls []llm.ToolCall
	for _, p := range resp.Message.Parts {
		if p.Call == nil {
			continue
		}
		c := *p.Call
		switch how {
		case NoIDs:
			c.ID = ""
		case SameIDs:
			c.ID = "call_same"
		}
		calls = append(calls, c)
	}
	return calls
}

func textOf(resp *llm.Response) string {
	var all strings.Builder
	for _, p := range resp.Message.Parts {
		all.WriteString(p.Text)
	}
	return all.String()
}

// addPart adds a part to the last message when it has the role, else to a new one.
func addPart(req *llm.Request, role llm.Role, p llm.Part) {
	if n := len(req.Messages); n > 0 && req.Messages[n-1].Role == role {
		req.Messages[n-1].Parts = append(req.Messages[n-1].Parts, p)
		return
	}
	req.Messages = append(req.Messages, llm.Message{Role: role, Parts: []llm.Part{p}})
}
