package oracle

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	anthropicsdk "github.com/anthropics/anthropic-sdk-go/v2"
	openaisdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"
	"pgregory.net/rapid"

	"mgx/internal/llm"
	"mgx/internal/llm/anthropic"
	"mgx/internal/llm/openai"
)

// TestRequestsDecode: what we send, for any request, is what the official SDKs
// send: their types take it in and give it out again with nothing lost.
func TestRequestsDecode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		models  []string
		connect func(llm.Connection) llm.Provider
		into    func() any
		extra   []string // fields that the newest SDK has no more, for models that are older
	}{
		{"Chat Completions", []string{"gpt-4o", "gpt-5", "o4-mini"}, openai.New, func() any { return &openaisdk.ChatCompletionNewParams{} }, nil},
		{"Responses", []string{"gpt-4o", "gpt-5.4", "gpt-5-codex"}, openai.NewResponses, func() any { return &responses.ResponseNewParams{} }, nil},
		{"Messages", []string{"claude-sonnet-4-20250514", "claude-opus-4-6", "claude-sonnet-5", "claude-opus-5-5"}, anthropic.New, func() any { return &anthropicsdk.MessageNewParams{} }, []string{"temperature", "top_p"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			catch := newCatcher(t)
			provider := c.connect(llm.Connection{BaseURL: "https://api.openai.com/v1", Client: &http.Client{Transport: catch}})
			rapid.Check(t, func(t *rapid.T) {
				body := catch.body(t, provider, requests(c.models).Draw(t, "request"))
				if body != nil {
					same(t, body, c.into(), c.extra)
				}
			})
		})
	}
}

// same reads a body into an SDK's type and compares what that writes.
func same(t *rapid.T, body []byte, into any, extra []string) {
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("the SDK does not take %s: %v", body, err)
	}
	written, err := json.Marshal(into)
	if err != nil {
		t.Fatal(err)
	}
	var ours, theirs map[string]any
	json.Unmarshal(body, &ours)
	json.Unmarshal(written, &theirs)
	delete(ours, "stream") // the SDKs say it by the method that is called
	for _, name := range extra {
		delete(ours, name)
	}
	normal(ours)
	if !reflect.DeepEqual(ours, theirs) {
		t.Fatalf("we send\n%s\nthe SDK\n%s", body, written)
	}
}

// normal writes what may be said in two ways in the SDK's: what is null is
// absent, and the text of a tool's result is a block. Of an answer that goes back
// to Responses the SDK can say the id, but reads it as a message without.
func normal(v any) {
	switch v := v.(type) {
	case map[string]any:
		maps.DeleteFunc(v, func(_ string, v any) bool { return v == nil })
		if text, ok := v["content"].(string); ok && v["type"] == "tool_result" {
			v["content"] = []any{map[string]any{"type": "text", "text": text}}
		}
		if v["type"] == "message" && v["role"] == "assistant" {
			delete(v, "id")
			delete(v, "status")
		}
		for _, sub := range v {
			normal(sub)
		}
	case []any:
		for _, sub := range v {
			normal(sub)
		}
	}
}

// catcher is a transport that keeps what is sent and answers nothing of use.
type catcher struct{ sent []byte }

func newCatcher(*testing.T) *catcher { return &catcher{} }

func (c *catcher) RoundTrip(r *http.Request) (*http.Response, error) {
	c.sent, _ = io.ReadAll(r.Body)
	w := httptest.NewRecorder()
	w.WriteHeader(http.StatusTeapot)
	return w.Result(), nil
}

// body is what a provider sends for a request; nil: it refuses to.
func (c *catcher) body(t *rapid.T, p llm.Provider, req *llm.Request) []byte {
	c.sent = nil
	for _, err := range p.Stream(t.Context(), req) {
		if c.sent == nil && err == nil {
			t.Fatal("nothing was sent and nothing is wrong")
		}
	}
	return c.sent
}
