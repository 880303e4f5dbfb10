package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/gateway"
	"mgx/internal/llm"
	"mgx/internal/llm/llmtest"
)

// simple is a body that asks for a short answer, in each dialect by its path.
func simple(path, model string, stream bool) string {
	body := object{"model": model, "stream": stream}
	switch path {
	case "/v1/responses":
		body["input"] = "hello"
	case "/v1/messages":
		body["max_tokens"] = 100
		fallthrough
	default:
		body["messages"] = []any{object{"role": "user", "content": "hello"}}
	}
	if path == "/v1/messages" {
		body["messages"] = []any{object{"role": "user", "content": []any{object{"type": "text", "text": "hello"}}}}
	}
	return marshal(body)
}

// kindOf is what a dialect's error object says it is.
func kindOf(t testing.TB, got reply) string {
	t.Helper()
	v := parse(t, got.body)
	if text(v, "type") == "error" {
		return text(v, "error", "type")
	}
	return text(v, "error", "code")
}

// Before an answer begins, everything that fails has the status and the form of
// the caller's dialect, and nothing is left set aside.
func TestFailures(t *testing.T) {
	t.Parallel()
	status := func(n int, header ...string) *llmtest.Fault {
		f := &llmtest.Fault{Kind: llmtest.Status, Status: n, Body: `{"error":{"message":"because","type":"x"}}`, Header: http.Header{}}
		for i := 0; i < len(header); i += 2 {
			f.Header.Set(header[i], header[i+1])
		}
		return f
	}
	long := status(400)
	long.Body = `{"error":{"message":"prompt is too long: 210000 tokens > 200000 maximum"}}`
	for _, c := range []struct {
		name              string
		fault             *llmtest.Fault
		model             string
		openai, anthropic int
		code, kind        string
		retry, wait       string // X-Should-Retry, Retry-After
		attempts          int
	}{
		{"our key is refused", status(401), "chat/m1", 502, 502, "provider_authentication", "api_error", "false", "", 1},
		{"rejected", status(400), "chat/m1", 400, 400, "provider_rejected", "invalid_request_error", "false", "", 1},
		{"too long", long, "chat/m1", 400, 400, "context_length_exceeded", "invalid_request_error", "false", "", 1},
		{"no such model there", nil, "chat/none", 404, 404, "model_not_found", "not_found_error", "false", "", 1},
		{"no such provider", nil, "nobody/m1", 404, 404, "model_not_found", "not_found_error", "false", "", 0},
		{"too fast there", status(429, "Retry-After", "120"), "chat/m1", 429, 429, "rate_limit_exceeded", "rate_limit_error", "false", "120", 1},
		{"overloaded", status(503), "claude/m1", 503, 529, "provider_overloaded", "overloaded_error", "false", "", 2},
		{"cut", &llmtest.Fault{Kind: llmtest.ResetAtOnce}, "chat/m1", 502, 502, "provider_connection_error", "api_error", "false", "", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, s := range speakers {
				for _, stream := range []bool{false, true} {
					r := newRig(t, settings{turns: []llmtest.Turn{{Text: "hi"}}, router: func(o *llm.Options) { o.Retries = 1 }})
					r.up.Faults = func(int, *http.Request) *llmtest.Fault { return c.fault }
					got := r.post(s.path, simple(s.path, c.model, stream))
					status, kind := c.openai, c.code
					if s.name == "messages" {
						status, kind = c.anthropic, c.kind
					}
					if got.status != status || kindOf(t, got) != kind || got.header.Get("Content-Type") != "application/json" {
						t.Errorf("%s, stream %v: %d %s, want %d %s", s.name, stream, got.status, got.body, status, kind)
					}
					if h := got.header; h.Get("X-Should-Retry") != c.retry || h.Get("Retry-After") != c.wait || h.Get("Trailer") != "" {
						t.Errorf("%s: headers %v", s.name, h)
					}
					r.books.idle(c.attempts)
					if strings.Contains(string(got.body), upstreamKey) {
						t.Error("the provider's key is in the answer")
					}
				}
			}
		})
	}
}

// A model that is not set up is none that the caller can use, and no failure of the
// server; a part of the server that fails is one, and may pass.
func TestNotSetUp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code               string
		status             int
		anthropic          string
		retry, wait, level string
	}{
		{"no_provider", 404, "not_found_error", "false", "", "WARN"},
		{"no_key", 404, "not_found_error", "false", "", "WARN"},
		{"no_model_fits", 404, "not_found_error", "false", "", "WARN"},
		{"database_unavailable", 503, "api_error", "", "1", "ERROR"},
		{"vault_sealed", 503, "api_error", "", "1", "ERROR"},
	} {
		for _, s := range speakers {
			var log bytes.Buffer
			because := mgx.Errorf(mgx.KindConfig, c.code, "because")
			r := newRig(t, settings{options: func(o *gateway.Options) {
				o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
				o.Models = &gateway.Routed{Router: func(context.Context, mgx.WorkspaceID) (*llm.Router, error) { return nil, because }}
			}})
			got := r.post(s.path, simple(s.path, "chat/m1", false))
			kind := c.code
			if s.name == "messages" {
				kind = c.anthropic
			}
			if got.status != c.status || kindOf(t, got) != kind || got.header.Get("X-Should-Retry") != c.retry || got.header.Get("Retry-After") != c.wait {
				t.Errorf("%s in %s: %d %s %v", c.code, s.name, got.status, got.body, got.header)
			}
			if text := log.String(); !strings.Contains(text, "level="+c.level) || c.level == "WARN" && strings.Contains(text, "level=ERROR") {
				t.Errorf("%s in %s is logged as %s", c.code, s.name, text)
			}
		}
	}
}

// What comes before any call to a provider.
func TestRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{turns: []llmtest.Turn{{Text: "hi"}}, key: mgx.APIKey{Workspace: "ws_a", User: "u", Models: []string{"claude/*"}}, options: func(o *gateway.Options) { o.Body = 4096 }})
	for _, c := range []struct {
		name, path, body string
		key              string
		status           int
		code             string
	}{
		{"no key", "/v1/chat/completions", "{}", "none", 401, "invalid_api_key"},
		{"a key of nobody", "/v1/messages", "{}", "mgx_" + strings.Repeat("0", 26) + "_" + strings.Repeat("A", 26), 401, "authentication_error"},
		{"a wrong key", "/v1/chat/completions", "{}", r.secret[:len(r.secret)-1] + "#", 401, "invalid_api_key"},
		{"a model that is not allowed", "/v1/chat/completions", simple("", "chat/m1", false), "", 403, "model_not_allowed"},
		{"not JSON", "/v1/responses", "{", "", 400, "invalid_json"},
		{"a field twice", "/v1/chat/completions", `{"model":"claude/m1","model":"chat/m1"}`, "", 400, "invalid_json"},
		{"too large", "/v1/messages", `{"x":"` + strings.Repeat("x", 5000) + `"}`, "", 413, "request_too_large"},
		{"nothing there", "/v1/embeddings", "{}", "", 404, "not_found"},
	} {
		req := r.request(c.path, c.body)
		if c.key == "none" {
			req.Header.Del("Authorization")
		} else if c.key != "" {
			req.Header.Set("Authorization", "Bearer "+c.key)
		}
		if got := r.do(req); got.status != c.status || kindOf(t, got) != c.code {
			t.Errorf("%s: %d %s", c.name, got.status, got.body)
		}
	}
	if n := r.up.Requests(); n != 0 {
		t.Errorf("%d calls were made", n)
	}
	r.books.idle(0)
}

// A stream that fails after it began ends with the dialect's error and a broken
// connection, whether it was translated or passed on; it is not tried again, and
// it is settled once.
func TestStreamThatFails(t *testing.T) {
	t.Parallel()
	ends := map[string]string{"chat": "[DONE]", "messages": "event: message_stop", "responses": "event: response.completed"}
	for _, s := range speakers {
		for _, p := range providers {
			for name, fault := range map[string]llmtest.Fault{
				"cut":      {Kind: llmtest.ResetMidEvent, After: 6},
				"half":     {Kind: llmtest.HalfLine, After: 6},
				"reported": {Kind: llmtest.StreamError, After: 6, Body: `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`},
				"no end":   {Kind: llmtest.NoFinish},
			} {
				t.Run(fmt.Sprintf("%s to %s, %s", s.name, p, name), func(t *testing.T) {
					t.Parallel()
					r := newRig(t, settings{turns: []llmtest.Turn{{Text: strings.Repeat("some words ", 20)}}})
					r.up.Faults = func(int, *http.Request) *llmtest.Fault { return &fault }
					got := r.post(s.path, simple(s.path, p+"/m1", true))
					if got.status != 200 || !errors.Is(got.err, io.ErrUnexpectedEOF) || bytes.Contains(got.body, []byte(ends[s.name])) {
						t.Fatalf("%d %v %s", got.status, got.err, got.body)
					}
					events := sse(t, got.body)
					last := parse(t, events[len(events)-1].Data)
					message := text(last, "error", "message")
					if s.name == "responses" {
						message = text(last, "response", "error", "message")
					}
					if message == "" {
						t.Errorf("the last event is %s", events[len(events)-1].Data)
					}
					if n := r.up.Requests(); n != 1 {
						t.Errorf("%d calls", n)
					}
					r.books.idle(1)
					if types := fmt.Sprint(r.books.types()); types != "[llm.provider.error]" {
						t.Errorf("events %s", types)
					}
				})
			}
		}
	}
}

// A caller who goes away in the middle closes the call to the provider; what was
// used is settled once, and nothing goes on.
func TestCallerGoesAway(t *testing.T) {
	t.Parallel()
	for _, s := range speakers {
		for _, p := range providers {
			t.Run(s.name+" to "+p, func(t *testing.T) {
				t.Parallel()
				closed := make(chan struct{})
				up := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					io.Copy(io.Discard, req.Body)
					io.WriteString(w, opening[req.URL.Path])
					http.NewResponseController(w).Flush()
					<-req.Context().Done()
					close(closed)
				})
				r := newRig(t, settings{up: up})
				ctx, leave := context.WithCancel(t.Context())
				resp, err := http.DefaultClient.Do(r.request(s.path, simple(s.path, p+"/m1", true)).WithContext(ctx))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				lines := bufio.NewScanner(resp.Body)
				for lines.Scan() && !strings.Contains(lines.Text(), "begun") {
				}
				leave()
				<-closed
				if settled := r.books.idle(1); settled[0].Amount <= 0 {
					t.Errorf("settled %+v", settled)
				}
				r.gateway.Close() // returns only when no call is under way
			})
		}
	}
}

// opening is the beginning of an answer by the provider's path.
var opening = map[string]string{
	"/v1/chat/completions": "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"begun\"}}]}\n\n",
	"/v1/responses": "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\n" +
		"event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"message\",\"id\":\"m\",\"role\":\"assistant\",\"content\":[]}}\n\n" +
		"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"item_id\":\"m\",\"delta\":\"begun\"}\n\n",
	"/v1beta/models/m1:streamGenerateContent": "data: {\"candidates\":[{\"index\":0,\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"begun\"}]}}]}\n\n",
	"/v1/messages": "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3}}}\n\n" +
		"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n" +
		"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"begun\"}}\n\n",
}

// A server that goes down ends calls that do not end themselves, and settles them.
func TestCloseEndsCalls(t *testing.T) {
	t.Parallel()
	up := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		io.Copy(io.Discard, req.Body)
		io.WriteString(w, opening[req.URL.Path])
		http.NewResponseController(w).Flush()
		<-req.Context().Done()
	})
	r := newRig(t, settings{up: up, options: func(o *gateway.Options) { o.Drain = time.Millisecond }})
	resp, err := http.DefaultClient.Do(r.request("/v1/chat/completions", simple("", "chat/m1", true)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r.gateway.Close()
	body, err := io.ReadAll(resp.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.Contains(body, []byte(`"code":"draining"`)) {
		t.Errorf("%v %s", err, body)
	}
	r.books.idle(1)
	if got := r.post("/v1/messages", simple("/v1/messages", "claude/m1", false)); got.status != 503 || got.header.Get("Retry-After") != "1" {
		t.Errorf("afterwards %d %v", got.status, got.header)
	}
}

// An answer that cannot be settled is no whole answer.
func TestBooksThatFail(t *testing.T) {
	t.Parallel()
	for _, stream := range []bool{false, true} {
		r := newRig(t, settings{turns: []llmtest.Turn{{Text: "hi"}}})
		r.books.fail = errors.New("the disk is full")
		got := r.post("/v1/chat/completions", simple("", "chat/m1", stream))
		if bytes.Contains(got.body, []byte("[DONE]")) || bytes.Contains(got.body, []byte("disk")) || (!stream && got.status != 500) || (stream && got.err == nil) {
			t.Errorf("stream %v: %d %v %s", stream, got.status, got.err, got.body)
		}
	}
}

// Without money left nothing is called, and the status is one that SDKs do not
// try again.
func TestBudget(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{turns: []llmtest.Turn{{Text: "hi"}}, cap: 1})
	for _, s := range speakers {
		got := r.post(s.path, simple(s.path, "gem/m1", true))
		if k := kindOf(t, got); got.status != 402 || (k != "budget_exceeded" && k != "billing_error") || got.header.Get("X-Should-Retry") != "false" {
			t.Errorf("%s: %d %s", s.name, got.status, got.body)
		}
	}
	if r.up.Requests() != 0 {
		t.Error("a provider was called")
	}
}
