package openai

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"mgx/internal/llm"
)

// TestServers: what each server's quirks make of the same request.
func TestServers(t *testing.T) {
	t.Parallel()
	half, seed := 0.5, int64(7)
	req := &llm.Request{
		Model: "m", MaxTokens: 100, Temperature: &half, TopP: &half, Seed: &seed, Stop: []string{"END"}, Effort: "none",
		Messages: []llm.Message{
			userSays("hi"),
			{Role: llm.Assistant, Parts: []llm.Part{{Call: &llm.ToolCall{ID: "call_abc", Name: "t", Args: "{}"}}, {Call: &llm.ToolCall{ID: "call00001", Name: "t", Args: "{}"}}}},
			{Role: llm.Tool, Parts: []llm.Part{{Result: &llm.ToolResult{CallID: "call_abc", Text: "x"}}, {Result: &llm.ToolResult{CallID: "call00001", Text: "y"}}}},
			userSays("and?"),
		},
	}
	for host, c := range map[string]struct{ has, hasNot []string }{
		"https://api.mistral.ai/v1": {
			[]string{`"random_seed":7`, `"max_tokens":100`, `"stop":["END"]`, `"reasoning_effort":"none"`, `"id":"call00001"`, `"role":"assistant","content":"I have seen the results."},{"role":"user","content":"and?"`},
			[]string{"stream_options", `"seed"`, "call_abc"},
		},
		"https://openrouter.ai/api/v1": {
			[]string{`"usage":{"include":true}`, `"reasoning":{"effort":"none"}`, `"stream_options":{"include_usage":true}`, `"seed":7`, "call_abc"},
			[]string{"reasoning_effort", "I have seen"},
		},
		"http://127.0.0.1:11434/v1":       {[]string{`"reasoning_effort":"none"`, `"seed":7`, `"stream_options"`, `"top_p":0.5`}, []string{"num_ctx", `"options"`}},
		"https://api.together.xyz/v1":     {[]string{`"seed":7`, `"stream_options"`, `"temperature":0.5`}, []string{"reasoning"}},
		"https://x.openai.azure.com/v1":   {[]string{`"max_completion_tokens":100`, `"seed":7`}, []string{"reasoning", `"max_tokens"`}},
		"http://some.server.example:8080": {[]string{`"max_tokens":100`, `"seed":7`, `"stream_options"`, "call_abc"}, []string{"reasoning", "usage\":{", "I have seen"}},
	} {
		got := string(llm.MarshalWire(New(Options{BaseURL: host}).(*provider).encode(req)))
		for _, part := range c.has {
			if !strings.Contains(got, part) {
				t.Errorf("%s: no %s in %s", host, part, got)
			}
		}
		for _, part := range c.hasNot {
			if strings.Contains(got, part) {
				t.Errorf("%s: %s in %s", host, part, got)
			}
		}
	}
}

func TestShortIDs(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", "call_abc", "toolu_01N2eM4V43kGCDkq2Lw7ChWQ", "abcdefghi-", "ünïcödéé"} {
		short := shortID(id)
		if !regexp.MustCompile(`^[a-zA-Z0-9]{9}$`).MatchString(short) || short != shortID(id) {
			t.Errorf("%q becomes %q", id, short)
		}
	}
	if shortID("abcdeFGH9") != "abcdeFGH9" {
		t.Error("an id that was fine was replaced")
	}
}

// TestAzure: where the calls go, and with which key, in both kinds of API.
func TestAzure(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ endpoint, version, model, want, models string }{
		{"/", "", "mine", "/openai/v1/chat/completions", "/openai/v1/models"},
		{"/openai/v1/", "", "gpt-5.4", "/openai/v1/responses", "/openai/v1/models"},
		{"/openai", "2025-04-01-preview", "my deployment", "/openai/deployments/my%20deployment/chat/completions?api-version=2025-04-01-preview", "/openai/models?api-version=2025-04-01-preview"},
		{"", "2025-04-01-preview", "gpt-5-codex", "/openai/responses?api-version=2025-04-01-preview", "/openai/models?api-version=2025-04-01-preview"},
	} {
		var got, key, bearer string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got, key, bearer = r.URL.RequestURI(), r.Header.Get("Api-Key"), r.Header.Get("Authorization")
			if r.Method == http.MethodPost {
				w.WriteHeader(http.StatusTeapot)
				return
			}
			io.WriteString(w, `{"data":[{"id":"m"}]}`)
		}))
		p := NewAzure(Options{BaseURL: server.URL + c.endpoint, APIKey: "azure-key-0123"}, c.version)
		for range p.Stream(t.Context(), basicRequest(c.model)) {
		}
		if got != c.want || key != "azure-key-0123" || bearer != "" || p.Name() != "azure" {
			t.Errorf("%+v: called %s with key %q and %q", c, got, key, bearer)
		}
		if models, err := p.Models(t.Context()); err != nil || len(models) != 1 || got != c.models {
			t.Errorf("%+v: listed at %s: %v, %v", c, got, models, err)
		}
		server.Close()
	}
}

// TestAzureFilters: a prompt that is filtered is no error of ours, and an answer
// that is comes with results for each part, which must not be mistaken for one.
func TestAzureFilters(t *testing.T) {
	t.Parallel()
	body := events(
		`{"choices":[],"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]}`,
		delta(`"content":"a"`),
		`{"choices":[{"index":0,"content_filter_offsets":{"check_offset":1},"content_filter_results":{"hate":{"filtered":true}},"finish_reason":null}]}`,
		`{"choices":[{"index":0,"delta":{},"finish_reason":"content_filter","content_filter_results":{"hate":{"filtered":true}}}]}`)
	resp, _, err := answerWith(t, "azure", body, basicRequest("m"))
	if err != nil || resp.Finish != llm.FinishFilter || messageText(resp) != "a" {
		t.Errorf("got %+v, %v", resp, err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":{"message":"The response was filtered.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}`)
	}))
	defer server.Close()
	for _, err := range NewAzure(Options{BaseURL: server.URL}, "").Stream(t.Context(), basicRequest("m")) {
		e, ok := err.(*llm.CallError)
		if !ok || !e.Filtered || e.Fault != llm.FaultRequest || e.Retryable() || e.AsMGX(nil).Code != "content_filter" {
			t.Errorf("got %+v", err)
		}
	}
	missing := llm.ParseError([]byte(`{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}`))
	if _, noModel := llm.Classify(404, missing); !noModel {
		t.Error("a deployment that does not exist is not a model that does not")
	}
}

// TestChatThatRefuses: a model that turns out to answer in Responses only is
// asked there, at once and from then on; other refusals stay what they are.
func TestChatThatRefuses(t *testing.T) {
	t.Parallel()
	var paths []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path)
		if strings.HasSuffix(r.URL.Path, "/chat/completions") {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"error":{"message":"Function tools with reasoning_effort are not supported for gpt-5.6-sol in /v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to 'none'.","type":"invalid_request_error","param":"reasoning_effort","code":null}}`)
			return
		}
		io.WriteString(w, whole)
	}))
	defer server.Close()
	azure := NewAzure(Options{BaseURL: server.URL}, "")
	req := basicRequest("mine")
	req.Tools = []llm.ToolSpec{{Name: "t", Schema: json.RawMessage(`{}`)}}
	for range 2 {
		for _, err := range azure.Stream(t.Context(), req) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := strings.Join(paths, " "); got != "/openai/v1/chat/completions /openai/v1/responses /openai/v1/responses" {
		t.Errorf("called %s", got)
	}
	paths = nil
	for _, err := range New(Options{BaseURL: server.URL}).Stream(t.Context(), req) {
		if err == nil {
			t.Error("a server that may not have Responses was asked there")
		}
	}
	if len(paths) != 1 {
		t.Errorf("called %s", paths)
	}
}
