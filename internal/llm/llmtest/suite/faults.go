package suite

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mgx/internal/llm"
	"mgx/internal/llm/llmtest"
)

// Key is the API key that servers of the suite want.
const Key = "sk-suite-0123456789abcdef"

// Connect returns a provider of the dialect under test for a server that wants
// [Key].
type Connect func(baseURL, key string) llm.Provider

// Wire is a dialect under test and where it differs from others.
type Wire struct {
	Connect Connect
	Starts  bool       // an answer says that it starts, and must not do so twice
	Ends    bool       // an answer says that it ends, beyond its finish reason
	Refuses llm.Finish // what an answer that is marked as a refusal ends as
	Filters llm.Finish // what an answer that is marked as filtered ends as
}

// RunFaults tries everything that can go wrong on the wire, and everything that
// is unusual and yet right.
func RunFaults(t *testing.T, w Wire) {
	connect := w.Connect
	t.Run("refused", func(t *testing.T) { t.Parallel(); testRefused(t, connect) })
	t.Run("broken", func(t *testing.T) { t.Parallel(); testBroken(t, w) })
	t.Run("unusual", func(t *testing.T) { t.Parallel(); testUnusual(t, connect) })
	t.Run("finishes", func(t *testing.T) { t.Parallel(); testFinishes(t, w) })
	t.Run("stalls", func(t *testing.T) { t.Parallel(); testStalls(t, connect) })
	t.Run("no server", func(t *testing.T) { t.Parallel(); testNoServer(t, connect) })
	t.Run("TLS failure", func(t *testing.T) { t.Parallel(); testTLS(t, connect) })
	t.Run("redirect", func(t *testing.T) { t.Parallel(); testRedirect(t, connect) })
	t.Run("wrong key", func(t *testing.T) { t.Parallel(); testWrongKey(t, connect) })
	t.Run("key never shown", func(t *testing.T) { t.Parallel(); testKeyNeverShown(t, connect) })
}

// serve starts a server on the suite's script that does the fault to every call.
func serve(t *testing.T, connect Connect, fault *llmtest.Fault) (llm.Provider, *llmtest.Server) {
	s := &llmtest.Server{Provider: llmtest.NewScripted(script()), Key: Key}
	s.Faults = func(int, *http.Request) *llmtest.Fault { return fault }
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		if !comes(func() bool { return s.Open() == 0 }) {
			t.Error("a call that is over is still open at the server")
			server.CloseClientConnections()
		}
		server.Close()
	})
	return connect(server.URL, Key), s
}

// callError makes a call that must fail and returns the error.
func callError(t *testing.T, p llm.Provider, req *llm.Request) *llm.CallError {
	t.Helper()
	err := fail(t, p, req)
	e, ok := errors.AsType[*llm.CallError](err)
	if !ok {
		t.Fatalf("got a %T: %v", err, err)
	}
	if e.Provider != p.Name() || e.Model != req.Model || e.Message == "" || strings.ContainsAny(e.Message, "\n\r\x1b") || len(e.Message) > 300 {
		t.Errorf("not fit to show: %+v", e)
	}
	return e
}

// refusal is an answer that says that there is none, and what it means.
type refusal struct {
	name   string
	status int
	header http.Header
	body   string
	fault  llm.Fault
	retry  bool
	after  time.Duration
	code   string // of the error that ends a call; empty: that of the fault
}

func refusals() []refusal {
	problem := func(kind, message string) string {
		b, _ := json.Marshal(map[string]any{"type": "error", "error": map[string]string{"type": kind, "message": message}})
		return string(b)
	}
	wait := http.Header{"Retry-After": {"7"}}
	return []refusal{
		{"bad request", 400, nil, problem("invalid_request_error", "messages: at least one is required"), llm.FaultRequest, false, 0, ""},
		{"prompt too long", 400, nil, problem("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"), llm.FaultTooLong, false, 0, ""},
		{"context length code", 400, nil, `{"error":{"message":"This model's maximum context length is 128000 tokens.","code":"context_length_exceeded"}}`, llm.FaultTooLong, false, 0, ""},
		{"no credit", 400, nil, problem("invalid_request_error", "Your credit balance is too low to access the API."), llm.FaultQuota, false, 0, ""},
		{"unauthorised", 401, nil, problem("authentication_error", "invalid x-api-key"), llm.FaultAuth, false, 0, ""},
		{"payment", 402, nil, `{"error":{"message":"Insufficient credits","code":402}}`, llm.FaultQuota, false, 0, ""},
		{"forbidden", 403, nil, problem("permission_error", "not yours"), llm.FaultAuth, false, 0, ""},
		{"no such path", 404, nil, "404 page not found", llm.FaultRequest, false, 0, ""},
		{"no such model", 404, nil, problem("not_found_error", "model: suite-model does not exist"), llm.FaultRequest, false, 0, "model_not_found"},
		{"request timeout", 408, nil, "", llm.FaultTimeout, true, 0, ""},
		{"conflict", 409, nil, problem("conflict", "busy"), llm.FaultOverloaded, true, 0, ""},
		{"too large", 413, nil, problem("request_too_large", "Request exceeds the maximum size"), llm.FaultRequest, false, 0, ""},
		{"rate", 429, nil, problem("rate_limit_error", "slow down"), llm.FaultRate, true, 0, ""},
		{"rate with wait", 429, wait, problem("rate_limit_error", "slow down"), llm.FaultRate, true, 7 * time.Second, ""},
		{"rate with a long wait", 429, http.Header{"Retry-After": {"50"}}, problem("rate_limit_error", "slow down"), llm.FaultRate, true, 50 * time.Second, ""},
		{"rate with an hour's wait", 429, http.Header{"Retry-After": {"3600"}}, problem("rate_limit_error", "slow down"), llm.FaultRate, true, time.Hour, ""},
		{"rate with wait in ms", 429, http.Header{"Retry-After": {"60"}, "Retry-After-Ms": {"1500"}}, "", llm.FaultRate, true, 1500 * time.Millisecond, ""},
		{"Gemini's rate says quota", 429, nil, `[{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED"}}]`, llm.FaultRate, true, 0, ""},
		{"Gemini's rate says its wait in the body", 429, nil, `{"error":{"code":429,"message":"Quota exceeded, please retry in 34.07s.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaMetric":"m","quotaId":"GenerateContentInputTokensPerModelPerMinute-FreeTier"}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]}}`, llm.FaultRate, true, 34500 * time.Millisecond, ""},
		{"Gemini's quota of the day", 429, nil, `{"error":{"code":429,"message":"Quota exceeded.","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},{"retryDelay":"9s"}]}}`, llm.FaultQuota, false, 0, ""},
		{"Gemini's key", 400, nil, `{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}`, llm.FaultAuth, false, 0, ""},
		{"Gemini's prompt too long", 400, nil, `{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}`, llm.FaultTooLong, false, 0, ""},
		{"Azure's filter", 400, nil, `{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"jailbreak":{"filtered":true,"detected":true}}}}}`, llm.FaultRequest, false, 0, "content_filter"},
		{"Mistral's validation", 422, nil, `{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]},"type":"invalid_request_error","param":null,"code":null}`, llm.FaultRequest, false, 0, ""},
		{"OpenRouter's moderation", 403, nil, `{"error":{"code":403,"message":"flagged","metadata":{"reasons":["x"],"flagged_input":"y"}}}`, llm.FaultRequest, false, 0, "content_filter"},
		{"quota", 429, wait, `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}`, llm.FaultQuota, false, 7 * time.Second, ""},
		{"server error", 500, wait, problem("api_error", "oops"), llm.FaultOverloaded, true, 0, ""},
		{"bad gateway", 502, nil, "<html>Bad Gateway</html>", llm.FaultOverloaded, true, 0, ""},
		{"unavailable", 503, wait, "", llm.FaultOverloaded, true, 7 * time.Second, ""},
		{"unavailable for long", 503, http.Header{"Retry-After": {"50"}}, "", llm.FaultOverloaded, true, 50 * time.Second, ""},
		{"overloaded", 529, wait, problem("overloaded_error", "Overloaded"), llm.FaultOverloaded, true, 7 * time.Second, ""},
		{"long message", 400, nil, problem("x", strings.Repeat("long\x1b[31m\n", 500)), llm.FaultRequest, false, 0, ""},
		{"no body", 418, nil, "", llm.FaultRequest, false, 0, ""},
	}
}

func (r refusal) strike() llmtest.Fault {
	return llmtest.Fault{Kind: llmtest.Status, Status: r.status, Header: r.header, Body: r.body}
}

func testRefused(t *testing.T, connect Connect) {
	for _, c := range refusals() {
		t.Run(c.name, func(t *testing.T) {
			p, _ := serve(t, connect, new(c.strike()))
			e := callError(t, p, request("talker"))
			if e.Filtered != (c.code == "content_filter") || e.NoModel != (c.code == "model_not_found") {
				t.Errorf("filtered %v, no model %v", e.Filtered, e.NoModel)
			}
			if e.Fault != c.fault || e.Status != c.status || e.Retryable() != c.retry || e.RetryAfter != c.after || e.InStream {
				t.Errorf("got %+v, retryable %v", e, e.Retryable())
			}
		})
	}
}

// breakage is an answer that must never pass for a whole one.
type breakage struct {
	name  string
	fault llmtest.Fault
	want  llm.Fault
	retry bool
	says  string
}

func breakages(w Wire) []breakage {
	all := []breakage{
		{"reset at once", llmtest.Fault{Kind: llmtest.ResetAtOnce}, llm.FaultConnection, true, ""},
		{"reset within the header", llmtest.Fault{Kind: llmtest.ResetMidHeader}, llm.FaultConnection, true, ""},
		{"reset within the first event", llmtest.Fault{Kind: llmtest.ResetMidEvent}, llm.FaultBad, true, "broke off"},
		{"reset after content", llmtest.Fault{Kind: llmtest.ResetMidEvent, After: 4}, llm.FaultBad, true, "broke off"},
		{"half a line", llmtest.Fault{Kind: llmtest.HalfLine, After: 4}, llm.FaultBad, true, "broke off"},
		{"no finish reason", llmtest.Fault{Kind: llmtest.NoFinish}, llm.FaultBad, true, "ended"},
		{"not JSON", llmtest.Fault{Kind: llmtest.BadJSON, After: 3}, llm.FaultBad, true, "promise"},
		{"overloaded in the stream", llmtest.Fault{Kind: llmtest.StreamError, After: 3, Body: `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`}, llm.FaultOverloaded, true, "Overloaded"},
		{"rate limit in the stream", llmtest.Fault{Kind: llmtest.StreamError, Body: `{"error":{"type":"rate_limit_exceeded","message":"slow down"}}`, After: 1}, llm.FaultRate, true, "slow down"},
		{"endless", llmtest.Fault{Kind: llmtest.Endless, After: 3}, llm.FaultBad, false, "more than"},
		{"endless comments", llmtest.Fault{Kind: llmtest.EndlessComments, After: 3}, llm.FaultBad, false, "more than"},
		{"50 MB in one event", llmtest.Fault{Kind: llmtest.Huge, After: 3}, llm.FaultBad, false, "more than"},
		{"50 MB in one document", llmtest.Fault{Kind: llmtest.HugeDocument}, llm.FaultBad, false, "more than"},
		{"a web page", llmtest.Fault{Kind: llmtest.WebPage}, llm.FaultRequest, false, "base URL"},
	}
	if w.Starts {
		all = append(all, breakage{"starts again", llmtest.Fault{Kind: llmtest.Restarted, After: 5}, llm.FaultBad, true, "again"})
	}
	if w.Ends {
		all = append(all, breakage{"no end", llmtest.Fault{Kind: llmtest.NoEnd, After: -1}, llm.FaultBad, true, "ended"})
	}
	return all
}

func testBroken(t *testing.T, w Wire) {
	for _, c := range breakages(w) {
		t.Run(c.name, func(t *testing.T) {
			p, _ := serve(t, w.Connect, &c.fault)
			for _, err := range p.Stream(background, request("talker")) {
				if err == nil {
					continue
				}
				e, ok := errors.AsType[*llm.CallError](err)
				if !ok || e.Fault != c.want || e.Retryable() != c.retry || !strings.Contains(e.Message, c.says) {
					t.Errorf("got %v (%+v)", err, e)
				}
				return
			}
			t.Error("a broken answer passed for a whole one")
		})
	}
}

// testFinishes: an answer that is whole and yet not what was asked for says so.
func testFinishes(t *testing.T, w Wire) {
	for kind, want := range map[llmtest.FaultKind]llm.Finish{llmtest.Refused: w.Refuses, llmtest.Filtered: w.Filters} {
		p, _ := serve(t, w.Connect, &llmtest.Fault{Kind: kind, After: -1})
		resp := ask(t, p, request("talker"))
		if resp.Finish != want || text(resp) != script().Roles["talker"][0].Text {
			t.Errorf("finish %q, want %q; text %q", resp.Finish, want, text(resp))
		}
	}
}

// unusual is what a client must take, with the same result as ever.
var unusual = map[string]llmtest.Fault{
	"gzip":                    {Kind: llmtest.Gzip, After: -1},
	"CRLF":                    {Kind: llmtest.CRLF, After: -1},
	"data over several lines": {Kind: llmtest.MultiLine, After: -1},
	"comments and pings":      {Kind: llmtest.Pings, After: -1},
	"usage twice":             {Kind: llmtest.UsageTwice, After: -1},
	"one document":            {Kind: llmtest.Document, After: -1},
	"arguments in bytes":      {Kind: llmtest.SplitArgs, After: -1},
	"interleaved calls":       {Kind: llmtest.Interleaved, After: -1},
	"calls without ids":       {Kind: llmtest.NoIDs, After: -1},
	"calls with one id":       {Kind: llmtest.SameIDs, After: -1},
	"two starts":              {Kind: llmtest.Restarted, After: 1}, // before any content
}

func testUnusual(t *testing.T, connect Connect) {
	plain, _ := serve(t, connect, nil)
	for name, fault := range unusual {
		t.Run(name, func(t *testing.T) {
			p, _ := serve(t, connect, &fault)
			testText(t, p)
			testCalls(t, p)
			testConversation(t, p)
			testEmpty(t, p)
			for _, role := range []string{"talker", "several"} {
				if got, want := ask(t, p, request(role)).Usage, ask(t, plain, request(role)).Usage; got != want {
					t.Errorf("used %+v, without the fault %+v", got, want)
				}
			}
		})
	}
	t.Run("no usage", func(t *testing.T) {
		p, _ := serve(t, connect, &llmtest.Fault{Kind: llmtest.NoUsage, After: -1})
		for chunk, err := range p.Stream(background, request("talker")) {
			if err != nil || (chunk.Response != nil && chunk.Response.UsageOK) {
				t.Errorf("usage that nobody reported: %+v, %v", chunk.Response, err)
			}
		}
	})
}

// testStalls: ending ctx ends the call at once, whatever the server does.
func testStalls(t *testing.T, connect Connect) {
	for name, fault := range map[string]*llmtest.Fault{
		"before the first byte": {Kind: llmtest.StallFirst},
		"between events":        {Kind: llmtest.Stall, After: 3},
	} {
		t.Run(name, func(t *testing.T) {
			why := errors.New("no patience")
			ctx, cancel := context.WithTimeoutCause(background, 50*time.Millisecond, why)
			defer cancel()
			p, _ := serve(t, connect, fault)
			var last error
			for _, err := range p.Stream(ctx, request("talker")) {
				last = err
			}
			if !errors.Is(last, why) {
				t.Errorf("got %v", last)
			}
		})
	}
}

// gone starts a server that is not there any more.
func gone(h http.Handler) *httptest.Server {
	server := httptest.NewServer(h)
	server.Close()
	return server
}

// unknown starts a server whose certificate nobody knows.
func unknown(h http.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = quiet()
	server.StartTLS()
	return server
}

func testNoServer(t *testing.T, connect Connect) {
	p := connect(gone(http.NotFoundHandler()).URL, Key)
	e := callError(t, p, request("talker"))
	if e.Fault != llm.FaultConnection || !e.Retryable() || e.Status != 0 || e.InStream {
		t.Errorf("got %+v", e)
	}
	if _, err := p.Models(t.Context()); err == nil {
		t.Error("a server that is not there listed its models")
	}
}

func testTLS(t *testing.T, connect Connect) {
	server := unknown(http.NotFoundHandler())
	defer server.Close()
	e := callError(t, connect(server.URL, Key), request("talker"))
	if e.Fault != llm.FaultConnection || !strings.Contains(e.Message, "certificate") {
		t.Errorf("got %+v", e)
	}
}

// testRedirect: the prompt and the key go to no host that the user did not name.
func testRedirect(t *testing.T, connect Connect) {
	var leaked int
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaked++ }))
	defer thief.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, thief.URL+r.URL.Path, status)
		}))
		e := callError(t, connect(server.URL, Key), request("talker"))
		if e.Retryable() || !strings.Contains(e.Message, "redirect") {
			t.Errorf("%d: got %+v", status, e)
		}
		server.Close()
	}
	if leaked > 0 {
		t.Errorf("%d requests went to another host", leaked)
	}
}

func testWrongKey(t *testing.T, connect Connect) {
	_, s := serve(t, connect, nil)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	p := connect(server.URL, "sk-wrong-0123456789")
	e := callError(t, p, request("talker"))
	if e.Fault != llm.FaultAuth || e.Status != 401 || e.Retryable() {
		t.Errorf("got %+v", e)
	}
	if said := e.AsMGX(nil).Message; e.KeySetting == "" || !strings.Contains(said, e.KeySetting) {
		t.Errorf("%q does not say where the key is set", said)
	}
}

// testKeyNeverShown: servers that repeat the key do not get it into errors.
func testKeyNeverShown(t *testing.T, connect Connect) {
	bodies := []string{
		`{"error":{"message":"Incorrect API key provided: ` + Key + `."}}`,
		`{"error":"your header was Authorization: Bearer ` + Key + `"}`,
		"plain " + Key,
		`{"error":{"message":"Incorrect API key provided: sk-suite********cdef."}}`,
	}
	for _, body := range bodies {
		for _, f := range []*llmtest.Fault{
			{Kind: llmtest.Status, Status: 401, Body: body},
			{Kind: llmtest.StreamError, After: 2, Body: body},
		} {
			if f.Kind == llmtest.StreamError && body[0] != '{' {
				continue
			}
			p, _ := serve(t, connect, f)
			e := callError(t, p, request("talker"))
			if shown := e.Error() + e.AsMGX(nil).Message; strings.Contains(shown, Key) || strings.Contains(shown, "sk-suite") {
				t.Errorf("the key is shown: %s", shown)
			}
		}
	}
}

// quiet drops what a server says about failed handshakes.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
