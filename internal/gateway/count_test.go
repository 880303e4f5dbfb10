package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/gateway"
)

const countBody = `{"model":"%s","system":"be brief","messages":[{"role":"user","content":"How many tokens are these?"}]%s}`

// counter is an upstream that counts tokens in Anthropic's dialect, or answers
// what it is told to.
type counter struct {
	status int
	answer string
	asked  []string // bodies
	header http.Header
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost { // which models are there
		http.NotFound(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	c.asked, c.header = append(c.asked, r.URL.Path+" "+string(body)), r.Header
	w.WriteHeader(c.status)
	io.WriteString(w, c.answer)
}

// TestCountTokens: a provider of the dialect counts itself and gets the request as
// it came; for any other, and when it does not, the guess says that it is one.
// Nothing is booked.
func TestCountTokens(t *testing.T) {
	t.Parallel()
	refusal := `{"type":"error","error":{"type":"%s","message":"no, thanks"}}`
	for name, c := range map[string]struct {
		model, more  string
		upstream     counter
		status       int
		how, answers string
	}{
		"counted":              {"claude/m1", "", counter{status: 200, answer: `{"input_tokens":1234,"new":1}`}, 200, "counted", `{"input_tokens":1234}`},
		"of another dialect":   {"chat/m1", "", counter{}, 200, "estimated", `{"input_tokens":9}`},
		"no such path there":   {"claude/m1", "", counter{status: 404, answer: "404 page not found"}, 200, "estimated", `{"input_tokens":9}`},
		"overloaded":           {"claude/m1", "", counter{status: 529, answer: fmt.Sprintf(refusal, "overloaded_error")}, 200, "estimated", `{"input_tokens":9}`},
		"nonsense":             {"claude/m1", "", counter{status: 200, answer: `{"input":1}`}, 200, "estimated", `{"input_tokens":9}`},
		"it finds fault":       {"claude/m1", "", counter{status: 400, answer: fmt.Sprintf(refusal, "invalid_request_error")}, 400, "", "no, thanks"},
		"no such model":        {"claude/m1", "", counter{status: 404, answer: fmt.Sprintf(refusal, "not_found_error") + "model: m1"}, 404, "", ""},
		"what we cannot read":  {"claude/m1", `,"top_k":5`, counter{status: 529, answer: fmt.Sprintf(refusal, "overloaded_error")}, 529, "", "no, thanks"},
		"not to be translated": {"chat/m1", `,"top_k":5`, counter{}, 400, "", "top_k is not supported"},
		"refused everywhere":   {"claude/m1", `,"mcp_servers":[{"url":"http://x"}]`, counter{}, 400, "", "mcp_servers is not supported"},
		"no provider":          {"nobody/m1", "", counter{}, 404, "", "not_found_error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := c.upstream
			if name == "no such model" {
				up.answer = `{"type":"error","error":{"type":"not_found_error","message":"model: m1"}}`
			}
			r := newRig(t, settings{up: &up})
			req := r.request("/v1/messages/count_tokens", fmt.Sprintf(countBody, c.model, c.more))
			req.Header.Set("Anthropic-Beta", "x-1")
			got := r.do(req)
			if got.status != c.status || got.header.Get("X-Mgx-Tokens") != c.how || !strings.Contains(string(got.body), c.answers) || got.header.Get("X-Mgx-Request-Id") == "" {
				t.Errorf("%d %v %s", got.status, got.header, got.body)
			}
			if want := "/v1/messages/count_tokens " + fmt.Sprintf(countBody, "m1", c.more); len(up.asked) > 0 &&
				(up.asked[0] != want || up.header.Get("X-Api-Key") != upstreamKey || up.header.Get("Anthropic-Beta") != "x-1" || up.header.Get("Authorization") != "") {
				t.Errorf("asked %q with %v", up.asked, up.header)
			}
			if len(up.asked) > 1 || (len(up.asked) == 1) != (up.status != 0) {
				t.Errorf("asked %q", up.asked)
			}
			if r.books.idle(0); len(r.books.types()) > 0 || len(r.books.keys) > 0 {
				t.Errorf("booked %v", r.books.types())
			}
		})
	}
}

// Who may count is who may call.
func TestWhoMayCountTokens(t *testing.T) {
	t.Parallel()
	up := counter{status: 200, answer: `{"input_tokens":1}`}
	r := newRig(t, settings{
		up: &up, key: mgx.APIKey{Workspace: "ws_a", User: "u", Models: []string{"claude/m1"}},
		options: func(o *gateway.Options) { o.PerMinute = 3 },
	})
	ask := func(model string, key string) int {
		req := r.request("/v1/messages/count_tokens", fmt.Sprintf(countBody, model, ""))
		req.Header.Set("Authorization", "Bearer "+key)
		return r.do(req).status
	}
	got := fmt.Sprint(ask("claude/m1", "mgx_wrong"), ask("claude/m2", r.secret), ask("claude/m1", r.secret), ask("claude/m1", r.secret), ask("claude/m1", r.secret))
	if got != "401 403 200 200 429" || len(up.asked) != 2 {
		t.Errorf("%s, asked %d times", got, len(up.asked))
	}
}
