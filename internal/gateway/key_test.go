package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric/noop"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"mgx"
	"mgx/internal/gateway"
	"mgx/internal/llm"
	"mgx/internal/llm/llmtest"
)

// watch is a clock in the hands of a test.
type watch struct {
	mu sync.Mutex
	at time.Time
}

func (w *watch) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *watch) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

// A key is looked up once in a few seconds, so that is how long one that was
// revoked may still be taken; one that expires does so at once. Its use is noted
// about once a minute.
func TestKeys(t *testing.T) {
	t.Parallel()
	clock := &watch{at: time.Now()}
	r := newRig(t, settings{options: func(o *gateway.Options) { o.Now = clock.now }, key: mgx.APIKey{Workspace: "ws_a", User: "u", ExpiresAt: clock.now().Add(time.Hour)}})
	status := func() int {
		req := r.request("/v1/models", "")
		req.Header.Del("Authorization")
		req.Header.Set("X-Api-Key", r.secret)
		return r.do(req).status
	}
	for range 3 {
		if s := status(); s != 200 {
			t.Fatal(s)
		}
	}
	if r.keys.looked != 1 || r.keys.touched != 1 {
		t.Errorf("looked up %d times, touched %d", r.keys.looked, r.keys.touched)
	}
	k := r.keys.all[r.key.ID]
	k.RevokedAt = clock.now()
	r.keys.all[r.key.ID] = k
	clock.pass(5 * time.Second)
	if s := status(); s != 401 {
		t.Errorf("revoked: %d", s)
	}
	k.RevokedAt = time.Time{}
	r.keys.all[r.key.ID] = k
	clock.pass(time.Minute)
	if s := status(); s != 200 || r.keys.touched != 2 {
		t.Errorf("a minute later: %d, touched %d", s, r.keys.touched)
	}
	clock.pass(time.Hour)
	if s := status(); s != 401 {
		t.Errorf("expired: %d", s)
	}
}

// A key lists, and may name, what it is allowed, in each dialect's form.
func TestModels(t *testing.T) {
	t.Parallel()
	policy := llm.Policy{Rule: llm.Rule{Strategy: llm.Ordered, Candidates: []llm.Candidate{{Model: "claude/m1"}, {Model: "gem/m1"}}}}
	r := newRig(t, settings{
		turns: []llmtest.Turn{{Text: "hi"}}, key: mgx.APIKey{Workspace: "ws_a", User: "u", Models: []string{"cheap", "chat/*", "gem/only-here"}},
		router: func(o *llm.Options) { o.Policies = map[string]llm.Policy{"cheap": policy, "dear": policy} },
	})
	var ids []string
	v := parse(t, r.do(r.request("/v1/models", "")).body)
	for _, m := range list(v, "data") {
		ids = append(ids, text(m, "id"))
	}
	if got := fmt.Sprint(ids); got != "[cheap chat/m1 chat/only-here gem/only-here]" || text(v, "object") != "list" {
		t.Errorf("listed %s", got)
	}
	req := r.request("/v1/models", "")
	req.Header.Set("Anthropic-Version", "2023-06-01")
	v = parse(t, r.do(req).body)
	if text(v, "data", 0, "type") != "model" || text(v, "last_id") != "gem/only-here" || v["has_more"] != false {
		t.Errorf("listed %v", v)
	}
	if got := r.do(r.request("/v1/models/chat/m1", "")); got.status != 200 || text(parse(t, got.body), "owned_by") != "chat" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := r.do(r.request("/v1/models/claude/m1", "")); got.status != 404 {
		t.Errorf("%d %s", got.status, got.body)
	}
	for name, want := range map[string]int{"cheap": 200, "chat/m1": 200, "dear": 403, "claude/m1": 403, "m1": 200, "nothing": 404} {
		if got := r.post("/v1/chat/completions", simple("", name, false)); got.status != want {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		} else if name == "cheap" && got.header.Get("X-Mgx-Model") != "claude/m1" {
			t.Errorf("went to %s", got.header.Get("X-Mgx-Model"))
		}
	}
	// Two that the key may use have this name, and two that it may not are not told.
	got := r.post("/v1/chat/completions", simple("", "only-here", false))
	if want := "name one of chat/only-here, gem/only-here"; got.status != 404 || !strings.Contains(string(got.body), want) {
		t.Errorf("%d %s, want %s", got.status, got.body, want)
	}
}

// A bare name is taken when only one provider has it.
func TestBareName(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{turns: []llmtest.Turn{{Text: "hi"}}, router: func(o *llm.Options) { o.Providers = o.Providers[:1] }})
	if got := r.post("/v1/messages", simple("/v1/messages", "m1", false)); got.status != 200 || got.header.Get("X-Mgx-Model") != "chat/m1" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// A key may make so many calls at once, and so many in a minute; the headers say
// how it stands.
func TestLimits(t *testing.T) {
	t.Parallel()
	clock := &watch{at: time.Now()}
	inside, release := make(chan struct{}), make(chan struct{})
	up := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		inside <- struct{}{}
		<-release
		io.WriteString(w, `{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]}`)
	})
	r := newRig(t, settings{up: up, options: func(o *gateway.Options) { o.Now, o.AtOnce, o.PerMinute = clock.now, 1, 2 }})
	body := simple("", "chat/m1", false)
	done := make(chan reply)
	go func() { done <- r.post("/v1/chat/completions", body) }()
	<-inside
	if got := r.post("/v1/chat/completions", body); got.status != 429 || kindOf(t, got) != "too_many_calls" || got.header.Get("Retry-After") != "1" {
		t.Errorf("a second at once: %d %s", got.status, got.body)
	}
	close(release)
	if got := <-done; got.status != 200 || got.header.Get("X-Ratelimit-Remaining-Requests") != "1" || got.header.Get("Ratelimit") != `"calls";r=1;t=30` {
		t.Errorf("%d %v", got.status, got.header)
	}
	go func() { <-inside }()
	if got := r.post("/v1/chat/completions", body); got.status != 200 {
		t.Errorf("the second: %d %s", got.status, got.body)
	}
	if got := r.post("/v1/chat/completions", body); got.status != 429 || kindOf(t, got) != "rate_limit_exceeded" || got.header.Get("Retry-After") != "30" || got.header.Get("X-Should-Retry") != "" {
		t.Errorf("the third: %d %v", got.status, got.header)
	}
	clock.pass(30 * time.Second)
	go func() { <-inside }()
	if got := r.post("/v1/chat/completions", body); got.status != 200 {
		t.Errorf("half a minute later: %d %s", got.status, got.body)
	}
}

// Nothing of a caller's that is not part of the request reaches a provider, and
// nothing of a provider's that is not part of the answer reaches the caller.
func TestHeadersStayHere(t *testing.T) {
	t.Parallel()
	var seen http.Header
	up := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		seen = req.Header.Clone()
		for _, name := range []string{"Set-Cookie", "X-Request-Id", "Openai-Organization", "Server", "X-Ratelimit-Limit-Tokens"} {
			w.Header().Set(name, "upstream-secret")
		}
		io.WriteString(w, `{"type":"message","content":[{"type":"text","text":"x"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}`)
	})
	r := newRig(t, settings{up: up})
	req := r.request("/v1/messages", simple("/v1/messages", "claude/m1", false))
	for _, name := range []string{"Cookie", "Traceparent", "Baggage", "X-Forwarded-For", "X-Api-Key", "Openai-Organization", "User-Agent", "Anthropic-Dangerous-Direct-Browser-Access"} {
		req.Header.Set(name, "callers-secret")
	}
	req.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	req.Header.Add("Anthropic-Beta", "a-feature-2025-01-01")
	req.Header.Add("Anthropic-Beta", "evil\tone")
	got := r.do(req)
	if got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	for name, values := range seen {
		if s := strings.Join(values, " "); strings.Contains(s, "secret") && !strings.Contains(s, upstreamKey) || strings.Contains(s, "mgx_") || strings.Contains(s, "0af765") {
			t.Errorf("the provider got %s: %s", name, s)
		}
	}
	if beta := seen.Values("Anthropic-Beta"); fmt.Sprint(beta) != "[a-feature-2025-01-01]" {
		t.Errorf("betas %q", beta)
	}
	for name, values := range got.header {
		if strings.Contains(strings.Join(values, " "), "secret") {
			t.Errorf("the caller got %s: %s", name, values)
		}
	}
	r.books.mu.Lock()
	defer r.books.mu.Unlock()
	for _, e := range r.books.events {
		if !strings.HasPrefix(e.Traceparent, "00-0af7651916cd43dd8448eb211c80319c-") || strings.Contains(e.Traceparent, "b7ad6b7169203331") || e.Workspace != "ws_a" {
			t.Errorf("event %+v", e)
		}
	}
}

// The span of a call lies in the caller's trace, and those of its attempts in it;
// an event says the same. What the call was about is in none of them.
func TestSpans(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	tracer := sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))
	r := newRig(t, settings{
		turns:   []llmtest.Turn{{Text: "a secret answer"}},
		options: func(o *gateway.Options) { o.Tracer = tracer },
		router: func(o *llm.Options) {
			o.State = llm.NewState(llm.StateOptions{Tracer: tracer, Meter: noop.NewMeterProvider()})
		},
	})
	req := r.request("/v1/messages", simple("/v1/messages", "claude/m1", false))
	req.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if got := r.do(req); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if got := r.post("/v1/messages", simple("/v1/messages", "claude/none", false)); got.status == 200 {
		t.Fatal("a model that nobody serves answered")
	}
	r.gateway.Close()
	byName := map[string][]sdk.ReadOnlySpan{}
	for _, s := range spans.Ended() {
		byName[s.Name()] = append(byName[s.Name()], s)
		if s.Status().Code != codes.Error && s.SpanContext().TraceID().String() != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("%s is in trace %s", s.Name(), s.SpanContext().TraceID())
		}
		if text := fmt.Sprint(s.Attributes(), s.Status()); strings.Contains(text, "secret") || strings.Contains(text, r.secret) {
			t.Errorf("%s says %s", s.Name(), text)
		}
	}
	calls, attempts := byName["POST /v1/messages"], byName["chat m1"]
	if len(calls) != 2 || len(attempts) != 1 {
		t.Fatalf("%d calls, %d attempts: %v", len(calls), len(attempts), byName)
	}
	if calls[0].Parent().SpanID().String() != "b7ad6b7169203331" || attempts[0].Parent().SpanID() != calls[0].SpanContext().SpanID() {
		t.Errorf("the call is in span %s, its attempt in %s", calls[0].Parent().SpanID(), attempts[0].Parent().SpanID())
	}
	if calls[1].Status().Code != codes.Error || calls[1].Parent().IsValid() {
		t.Errorf("the failed call: %+v in %v", calls[1].Status(), calls[1].Parent())
	}
	r.books.mu.Lock()
	defer r.books.mu.Unlock()
	if e := r.books.events[0]; !strings.Contains(e.Traceparent, calls[0].SpanContext().SpanID().String()) {
		t.Errorf("the event is at %s", e.Traceparent)
	}
}
