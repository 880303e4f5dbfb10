package llm

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"mgx"
)

func TestAdviceSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  CallError
		code string
		says []string
	}{
		{CallError{Fault: FaultAuth, Status: 401, Message: "invalid key", KeySetting: "X_API_KEY"}, "provider_auth", []string{"p: invalid key (HTTP 401).", "X_API_KEY"}},
		{CallError{Fault: FaultAuth}, "provider_auth", []string{"API key for p"}},
		{CallError{Fault: FaultRequest, NoModel: true}, "model_not_found", []string{"--model p/NAME", "a, b"}},
		{CallError{Fault: FaultRequest}, "provider_rejected", []string{"another model"}},
		{CallError{Fault: FaultRate, RetryAfter: 90 * time.Second}, "provider_rate_limit", []string{"1m30s", "try again then"}},
		{CallError{Fault: FaultRate}, "provider_rate_limit", []string{"then try again"}},
		{CallError{Fault: FaultQuota}, "provider_quota", []string{"billing"}},
		{CallError{Fault: FaultConnection}, "provider_unreachable", []string{"network"}},
		{CallError{Fault: FaultTimeout}, "provider_timeout", []string{"again"}},
		{CallError{Fault: FaultOverloaded}, "provider_overloaded", []string{"later"}},
		{CallError{Fault: FaultTooLong}, "context_length", []string{"larger context"}},
		{CallError{Fault: FaultBad, Message: "cut."}, "provider_bad_response", []string{"p: cut. Try again"}},
	} {
		c.err.Provider = "p"
		got := c.err.AsMGX([]string{"a", "b"})
		if got.Kind != mgx.KindProvider || got.Code != c.code {
			t.Errorf("%+v: kind %s, code %s, want %s", c.err, got.Kind, got.Code, c.code)
		}
		if strings.Contains(strings.ToLower(got.Message), "resume") {
			t.Errorf("%q speaks of a run, and there may be none", got.Message)
		}
		for _, s := range c.says {
			if !strings.Contains(got.Message, s) {
				t.Errorf("%q does not say %q", got.Message, s)
			}
		}
		if e, ok := errors.AsType[*CallError](error(got)); !ok || e.Provider != "p" {
			t.Errorf("%s does not wrap the cause", got.Code)
		}
	}
}

func TestManyNamesAreCut(t *testing.T) {
	t.Parallel()
	e := CallError{Provider: "p", NoModel: true}
	if got := e.AsMGX(strings.Fields(strings.Repeat("m ", 25))).Message; !strings.Contains(got, "and 15 more") {
		t.Errorf("got %q", got)
	}
}

func TestRetryable(t *testing.T) {
	t.Parallel()
	for fault, want := range map[Fault]bool{
		FaultTimeout: true, FaultRate: true, FaultConnection: true, FaultOverloaded: true, FaultBad: true,
		FaultQuota: false, FaultAuth: false, FaultRequest: false, FaultTooLong: false,
	} {
		if got := (&CallError{Fault: fault}).Retryable(); got != want {
			t.Errorf("%s: %v", fault, got)
		}
	}
	if (&CallError{Fault: FaultBad, Err: ErrTooLarge}).Retryable() {
		t.Error("an endless answer is asked for again")
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":                                 "plain",
		"two\nlines\t and\r\n  more":            "two lines and more",
		"\x1b[31mred\x1b[0m \u202e":             "[31mred[0m",
		"key hunter2hunter2 leaks":              "key [redacted] leaks",
		"Incorrect API key: sk-proj-abc***xyz.": "Incorrect API key: [redacted]",
		"AIzaSyA1234567890 is bad":              "[redacted] is bad",
		"Authorization: Bearer abc.def":         "Authorization: [redacted]",
		"dial https://user:pw@host/v1: refused": "dial https[redacted]host/v1: refused",
		"bad \xff bytes":                        "bad ? bytes",
		"the task-based risk-free word stays":   "the task-based risk-free word stays",
	} {
		if got := Clean(in, "hunter2hunter2", "x"); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := Clean(strings.Repeat("ü", 10_000)); len(got) > maxMessage || !strings.HasSuffix(got, "ü…") {
		t.Errorf("%d bytes: …%q", len(got), got[len(got)-8:])
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		status int
		value  string
		want   time.Duration
	}{
		{429, "2", 2 * time.Second},
		{503, "0.5", 500 * time.Millisecond},
		{529, "120", 2 * time.Minute},
		{200, "2", 0},
		{500, "2", 0},
		{400, "2", 0}, // others carry it and mean nothing
		{429, "Fri, 02 Jan 2026 03:04:15 GMT", 10 * time.Second},
		{429, "Fri, 02 Jan 2026 03:00:00 GMT", 0},
		{429, "soon", 0},
		{429, "", 0},
		{429, "-3", 0},
		{429, "NaN", 0},
		{429, "1e300", 24 * time.Hour},
	} {
		h := http.Header{}
		h.Set("Retry-After", c.value)
		if got := RetryAfter(c.status, h, now); got != c.want {
			t.Errorf("%d %q: %v, want %v", c.status, c.value, got, c.want)
		}
	}
}

func TestClassifyKnowsModelsThatAreNotThere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		body   string
	}{
		{404, `{"error":{"message":"The model 'gpt-9' does not exist or you do not have access to it.","code":"model_not_found"}}`},
		{404, `{"type":"error","error":{"type":"not_found_error","message":"model: claude-9"}}`},
		{404, `{"error":{"message":"model 'llama9' not found","type":"api_error"}}`},
		{400, `{"object":"error","message":"Invalid model: mistral-9","type":"invalid_model","code":"1500"}`},
		{400, `{"error":{"message":"foo/bar is not a valid model ID","code":400}}`},
		{404, `{"error":{"message":"This is not a chat model and thus not supported in the v1/chat/completions endpoint."}}`},
	} {
		if fault, no := Classify(c.status, ParseError([]byte(c.body))); fault != FaultRequest || !no {
			t.Errorf("%s: %s, %v", c.body, fault, no)
		}
	}
	if _, no := Classify(404, ParseError([]byte("404 page not found"))); no {
		t.Error("a wrong path is taken for a wrong model")
	}
}

func TestParseErrorTakesEveryForm(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"error":{"message":"m"}}`:              "m",
		`{"error":"m"}`:                          "m",
		`{"message":"m"}`:                        "m",
		`{"detail":"m"}`:                         "m",
		`[{"error":{"message":"m","code":429}}]`: "m",
		`m`:                                      "m",
		`"m"`:                                    "m",
		`{"error":{"type":"t"}}`:                 "",
		`{"object":"error","message":{"detail":[{"x":1}]}}`: `{"detail":[{"x":1}]}`,
		``: "",
	} {
		if got := ParseError([]byte(in)).Message; got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestCheckRequest(t *testing.T) {
	t.Parallel()
	user := Message{Role: User, Parts: []Part{{Text: "hi"}}}
	asks := func(ids ...string) Message {
		m := Message{Role: Assistant}
		for _, id := range ids {
			m.Parts = append(m.Parts, Part{Call: &ToolCall{ID: id, Name: "t", Args: "{}"}})
		}
		return m
	}
	answers := func(ids ...string) Message {
		m := Message{Role: Tool}
		for _, id := range ids {
			m.Parts = append(m.Parts, Part{Result: &ToolResult{CallID: id}})
		}
		return m
	}
	for _, c := range []struct {
		name     string
		messages []Message
		ok       bool
	}{
		{"plain", []Message{user}, true},
		{"whole", []Message{user, asks("a", "b"), answers("a", "b"), user}, true},
		{"results in two messages", []Message{user, asks("a", "b"), answers("a"), answers("b")}, true},
		{"ids used again later", []Message{user, asks("a"), answers("a"), asks("a"), answers("a")}, true},
		{"none", nil, false},
		{"no result", []Message{user, asks("a")}, false},
		{"no result of one", []Message{user, asks("a", "b"), answers("a"), user}, false},
		{"result late", []Message{user, asks("a"), user, answers("a")}, false},
		{"result of nothing", []Message{user, answers("a")}, false},
		{"result twice", []Message{user, asks("a"), answers("a", "a")}, false},
		{"one id twice", []Message{user, asks("a", "a"), answers("a")}, false},
		{"call by the user", []Message{{Role: User, Parts: asks("a").Parts}, answers("a")}, false},
	} {
		err := CheckRequest(&Request{Model: "m", MaxTokens: 1, Messages: c.messages})
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && mgx.AsError(err).Kind != mgx.KindInternal {
			t.Errorf("%s: kind %s", c.name, mgx.AsError(err).Kind)
		}
	}
	for name, req := range map[string]*Request{
		"no model":   {MaxTokens: 1, Messages: []Message{user}},
		"no bound":   {Model: "m", Messages: []Message{user}},
		"bad schema": {Model: "m", MaxTokens: 1, Messages: []Message{user}, Tools: []ToolSpec{{Schema: json.RawMessage(`{`)}}},
		"bad opaque": {Model: "m", MaxTokens: 1, Messages: []Message{{Role: Assistant, Parts: []Part{{Opaque: &Opaque{Raw: json.RawMessage(`x`)}}}}}},
	} {
		if CheckRequest(req) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestArgsObject(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		``: `{}`, ` `: `{}`, `{"a":1}`: `{"a":1}`, " {\"a\" : \"<&>\"}\n": `{"a" : "<&>"}`,
		`[1]`: `{"invalid_arguments":"[1]"}`, `{"a":`: `{"invalid_arguments":"{\"a\":"}`, `null`: `{"invalid_arguments":"null"}`,
	} {
		if got := string(ArgsObject(in)); got != want {
			t.Errorf("ArgsObject(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestBoundedReader(t *testing.T) {
	t.Parallel()
	b := &boundedReader{in: strings.NewReader("0123456789"), left: 4}
	got, err := io.ReadAll(b)
	if string(got) != "0123" || !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %q, %v", got, err)
	}
}
