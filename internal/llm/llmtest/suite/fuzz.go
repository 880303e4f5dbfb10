package suite

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"mgx/internal/llm"
)

// RunFuzz lets a dialect read answers that nobody would send. Whatever comes, a
// call ends with one response or one *llm.CallError; a response is fit to be
// stored and to be sent back, says no more than came, and comes of no answer
// without the word that ends one.
func RunFuzz(f *testing.F, connect func(*http.Client) llm.Provider, end string, seeds ...string) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p := connect(&http.Client{Transport: answering(body)})
		req := request("talker")
		resp, err := collect(p, req)
		if err != nil {
			if _, ok := errors.AsType[*llm.CallError](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if said := folded(body); !strings.Contains(said, end) && !strings.Contains(said, `\u`) {
			t.Fatal("what says no end passed for a whole answer")
		}
		stored, err := json.Marshal(resp)
		var back llm.Response
		if err != nil || json.Unmarshal(stored, &back) != nil {
			t.Fatalf("cannot be stored: %v", err)
		}
		if resp.Usage.Prompt < 0 || resp.Usage.Completion < 0 || resp.Finish == "" {
			t.Fatalf("finish %q, usage %+v", resp.Finish, resp.Usage)
		}
		if n := len(text(resp)); n > 4*len(body) { // a bad byte becomes three
			t.Fatalf("%d bytes of text out of %d", n, len(body))
		}
		checkSendable(t, p, req, back.Message)
	})
}

// folded is text in which names can be found as encoding/json finds them.
func folded(body []byte) string {
	return strings.NewReplacer("\u017f", "s", "\u212a", "k").Replace(strings.ToLower(string(body)))
}

// checkSendable sends an answer back, with results for its calls.
func checkSendable(t *testing.T, p llm.Provider, req *llm.Request, answer llm.Message) {
	results := llm.Message{Role: llm.Tool}
	for _, part := range answer.Parts {
		if part.Call != nil {
			results.Parts = append(results.Parts, llm.Part{Result: &llm.ToolResult{CallID: part.Call.ID, Name: part.Call.Name, Text: "x"}})
		}
	}
	next := *req
	if next.Messages = append(next.Messages, answer); len(results.Parts) > 0 {
		next.Messages = append(next.Messages, results)
	}
	if _, err := collect(p, &next); err != nil {
		if _, ok := errors.AsType[*llm.CallError](err); !ok {
			t.Fatalf("cannot be sent back: %v", err)
		}
	}
}

// collect makes a call that is read to its end.
func collect(p llm.Provider, req *llm.Request) (*llm.Response, error) {
	var resp *llm.Response
	var told pieces
	for chunk, err := range p.Stream(background, req) {
		if err == nil {
			err = told.add(chunk)
		}
		if err != nil {
			return nil, err
		}
		resp = chunk.Response
	}
	if resp == nil {
		return nil, errors.New("neither a response nor an error")
	}
	all := calls(resp)
	for _, c := range told.calls {
		if c.ID != "" && !slices.ContainsFunc(all, func(o llm.ToolCall) bool { return o.ID == c.ID }) {
			return nil, fmt.Errorf("watchers saw a call %s that the response has not: %+v", c.ID, all)
		}
	}
	return resp, nil
}

// answering is a network on which every answer is the same, and every request
// is JSON.
type answering []byte

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	sent, err := io.ReadAll(r.Body)
	if err != nil || !json.Valid(sent) {
		panic("what was sent is not JSON")
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}},
		Body: io.NopCloser(strings.NewReader(string(a))), Request: r,
	}, nil
}
