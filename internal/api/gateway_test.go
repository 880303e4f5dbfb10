package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"mgx"
	"mgx/internal/api"
	"mgx/internal/gateway"
	"mgx/internal/limit"
	"mgx/internal/llm"
)

// models is a gateway's models, of which every call fails as a test has it.
type models struct{ fails func() error }

func (m *models) Resolve(context.Context, mgx.WorkspaceID, string, func(string) bool) (gateway.Model, error) {
	return gateway.Model{Name: "p/m"}, nil
}

func (m *models) List(context.Context, mgx.WorkspaceID) ([]gateway.Model, error) {
	return []gateway.Model{{Name: "p/m"}}, m.fails()
}

func (m *models) Count(context.Context, mgx.WorkspaceID, *llm.Request) (int64, bool, error) {
	return 1, true, m.fails()
}

func (m *models) Call(context.Context, mgx.WorkspaceID, *llm.Request, llm.Account, func(llm.Chunk)) (*llm.Result, error) {
	err := m.fails()
	return &llm.Result{Response: &llm.Response{}}, err
}

// unbooked keeps no account of calls.
type unbooked struct{ gateway.Account }

func (unbooked) Open(context.Context, mgx.APIKey, string) gateway.Account { return unbooked{} }

func (unbooked) Close(mgx.Settlement, []mgx.Event) error { return nil }

// Whichever part of the server refuses what is asked of the gateway: the answer is an
// error in the dialect spoken, with a status that the document has for the operation.
// And each status that it has comes.
func TestGatewayFailsInItsDialect(t *testing.T) {
	t.Parallel()
	const most = 4096
	m := &models{}
	w := pagedTown(t, api.Limits{}, func(http.ResponseWriter, *http.Request) {}, func(o *api.Options) {
		o.Gateway = gateway.New(gateway.Options{Keys: o.Access, Models: m, Books: unbooked{}, Body: most})
	})
	_, key := w.key("developer", nil)
	_, without := w.key("developer", func(k *mgx.APIKey) { k.Scopes = []string{"runs"} })
	f := newFuzzer(t, newTown(t)) // whose document is the same
	bodies := map[string]string{
		"/v1/chat/completions": `{"model":"p/m","messages":[{"role":"user","content":"hello"}]}`,
		"/v1/responses":        `{"model":"p/m","input":"hello"}`,
		"/v1/messages":         `{"model":"p/m","max_tokens":1,"messages":[{"role":"user","content":"hello"}]}`,
	}
	bodies["/v1/messages/count_tokens"] = bodies["/v1/messages"]
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	body := func(text string) func(*http.Request) {
		return func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(text)) }
	}
	kind := func(k mgx.Kind, code string) error { return mgx.Errorf(k, code, "because") }
	type provoke struct {
		name   string
		on     string // any, POST, call (has a model answer) or GET
		status int    // in OpenAI's dialects
		edit   func(*http.Request)
		fails  error
	}
	provocations := []provoke{
		{"a zero byte in the path", "any", 404, func(r *http.Request) { r.URL.Path += "/\x00" }, nil},
		{"an empty segment", "any", 404, func(r *http.Request) { r.URL.Path += "//x" }, nil},
		{"nothing there", "any", 404, func(r *http.Request) { r.Method = "DELETE" }, nil},
		{"a zero byte in the query", "any", 400, func(r *http.Request) { r.URL.RawQuery = "x=%00" }, nil},
		{"a zero byte in a header", "any", 400, header("X-Api-Key", "\x00"), nil},
		{"another host", "any", 403, func(r *http.Request) { r.Host = "example.com" }, nil},
		{"another origin", "any", 403, header("Origin", "https://example.com"), nil},
		{"past the proxy", "any", 403, func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1" }, nil},
		{"no key", "any", 401, func(r *http.Request) { r.Header.Del("Authorization") }, nil},
		{"a key that may not", "any", 403, header("Authorization", "Bearer "+without), nil},
		{"a body that does not come", "POST", 408, func(r *http.Request) { r.Body = io.NopCloser(iotest.ErrReader(os.ErrDeadlineExceeded)) }, nil},
		{"a large body", "POST", 413, body(`{"model":"` + strings.Repeat("x", most)), nil},
		{"no JSON", "POST", 400, body(`{`), nil},
		{"too often", "any", 429, nil, kind(mgx.KindRefused, limit.CodeTooManyBytes)},
		{"overloaded", "any", 503, nil, kind(mgx.KindConfig, limit.CodeOverloaded)},
		{"not there", "any", 404, nil, kind(mgx.KindUsage, mgx.CodeNotFound)},
		{"not set up", "any", 404, nil, kind(mgx.KindConfig, "no_provider")},
		{"a part that fails", "any", 503, nil, kind(mgx.KindConfig, "database_unavailable")},
		{"a mistake", "any", 500, nil, errors.New("a mistake")},
		{"a panic", "any", 500, nil, nil},
		{"a provider that fails", "POST", 502, nil, kind(mgx.KindProvider, "provider_unreachable")},
		{"a slow provider", "call", 504, nil, &llm.CallError{Provider: "p", Fault: llm.FaultTimeout}},
		{"no budget", "call", 402, nil, kind(mgx.KindBudget, mgx.CodeBudgetExceeded)},
	}
	for _, path := range sorted(f.doc.Paths) {
		for method, o := range f.doc.Paths[path] {
			if !o.Dialect {
				continue
			}
			method = strings.ToUpper(method)
			seen := map[string]bool{}
			try := func(name string, p provoke, version string) (status int) {
				m.fails = func() error {
					if p.name == "a panic" {
						panic("a mistake")
					}
					return p.fails
				}
				r := httptest.NewRequest(method, "http://localhost"+strings.Replace(path, "{name}", "p/m", 1), strings.NewReader(bodies[path]))
				r.RemoteAddr = "127.0.0.1:1"
				r.Header.Set("Authorization", "Bearer "+key)
				if version != "" {
					r.Header.Set("Anthropic-Version", version)
				}
				if p.edit != nil {
					p.edit(r)
				}
				out := httptest.NewRecorder()
				w.web.ServeHTTP(out, r.WithContext(t.Context()))
				status = out.Code
				if status == http.StatusOK {
					return status
				}
				code := fmt.Sprint(status)
				seen[code] = true
				schema := "OpenAIFailure"
				if strings.HasPrefix(path, "/v1/messages") || version != "" && method == "GET" {
					schema = "AnthropicFailure"
				}
				why := f.invalid("mem:///openapi.json#/components/schemas/"+schema, out.Body.Bytes())
				if _, declared := o.Responses[code]; !declared {
					why = "the operation has no answer of this status"
				} else if why == "" {
					why = f.wrong(fuzzedOperation{o, strings.ToLower(method), path}, out)
				}
				if why != "" && (why != "the server failed" || status != p.status) || out.Header().Get("X-Mgx-Request-Id") == "" {
					t.Errorf("%s, %s %q: %d %v %s\n%s", o.ID, name, version, status, out.Header(), out.Body, why)
				}
				return status
			}
			for _, p := range provocations {
				if p.on == "POST" && method != "POST" || p.on == "call" && (method != "POST" || o.ID == "countTokens") {
					continue
				}
				for _, version := range []string{"", "2023-06-01"} {
					want := p.status
					if p.name == "overloaded" && (strings.HasPrefix(path, "/v1/messages") || version != "" && method == "GET") {
						want = 529
					}
					if got := try(p.name, p, version); got != want {
						t.Errorf("%s, %s %q: %d, want %d", o.ID, p.name, version, got, want)
					}
				}
			}
			if got := try("nothing", provoke{}, ""); got != http.StatusOK {
				t.Errorf("%s: %d with nothing wrong", o.ID, got)
			}
			var declared []string
			for status := range o.Responses {
				if status >= "4" {
					declared = append(declared, status)
				}
			}
			if slices.Sort(declared); !slices.Equal(declared, sorted(seen)) {
				t.Errorf("%s is declared to fail with %v, and fails with %v", o.ID, declared, sorted(seen))
			}
		}
	}
	// What is at no path of an operation is told in a dialect, too.
	for _, path := range []string{"/v1", "/v1/", "/v1/x"} {
		r := httptest.NewRequest("GET", "http://localhost"+path, nil)
		r.RemoteAddr = "127.0.0.1:1"
		out := httptest.NewRecorder()
		w.web.ServeHTTP(out, r.WithContext(t.Context()))
		if why := f.invalid("mem:///openapi.json#/components/schemas/OpenAIFailure", out.Body.Bytes()); out.Code != 404 || why != "" {
			t.Errorf("%s: %d %s %s", path, out.Code, out.Body, why)
		}
	}
}
