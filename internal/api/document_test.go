package api_test

import (
	"bytes"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/api"
	"mgx/internal/event"
)

// documentFile is the copy of the document in the repository.
const documentFile = "../../docs/reference/openapi.json"

// The copy in the repository is the document of the code. MGX_UPDATE=1 writes it.
func TestDocumentIsCurrent(t *testing.T) {
	t.Parallel()
	now, err := bare(t).Document()
	must(t, err)
	if os.Getenv("MGX_UPDATE") != "" {
		must(t, os.WriteFile(filepath.FromSlash(documentFile), now, 0o644))
		return
	}
	kept, err := os.ReadFile(filepath.FromSlash(documentFile))
	must(t, err)
	if !bytes.Equal(now, kept) {
		t.Error("docs/reference/openapi.json is not the document of the code any more; run: make docs")
	}
}

// ours are the problems that are no fault of who asks, with what is the matter then.
var ours = map[string]string{
	"internal":             "a mistake in the program",
	"timed_out":            "a disk or a database that hangs",
	"restarting":           "the server goes down",
	"overloaded":           "more to do than the machine bears",
	"too_busy":             "more passwords to check than the machine bears",
	"too_many_connections": "more streams than the machine bears", "too_many_subscribers": "the same",
	"uploads_busy":         "more uploads than the machine bears",
	"server_behind":        "the log is numbered later than it is read",
	"database_unavailable": "the database is away", "database_busy": "it is locked", "database_refused": "it does not let us in", "database_corrupt": "it is damaged",
	"data_read_only": "the disk takes nothing", "data_unusable": "nor the directory", "disk_full": "it is full", "disk_error": "it fails",
	"git_missing": "the machine lacks a program", "sandbox_unavailable": "its sandbox does not work", "sandbox_state": "it has no room for one",
	"no_key_ring": "the file that opens secrets is gone", "wrong_key_ring": "it is another one", "secret_damaged": "it does not open this one",
	"vault_unreachable": "the Vault that opens secrets is away", "vault_sealed": "it is sealed", "vault_answer": "it makes no sense",
	"vault_token": "it does not take our token", "vault_refused": "it does not let us", "vault_key": "its key is not as it must be",
	// Of 502, whom we ask.
	"provider_timeout": "", "provider_rate_limit": "", "provider_quota": "", "provider_auth": "", "provider_unreachable": "", "provider_overloaded": "", "provider_bad_response": "",
	"provider_rejected": "", "content_filter": "", "context_length": "",
}

// Somebody has said of every problem that is answered with 5xx that it is none of the
// caller's making, nor of how a workspace or a server is set up.
func TestServerErrorsAreOurs(t *testing.T) {
	t.Parallel()
	doc, seen := parseDocument(t, bare(t)), map[string]bool{}
	for _, methods := range doc.Paths {
		for _, o := range methods {
			for status := range o.Responses {
				for _, code := range doc.codes(o, status) {
					if seen[code] = seen[code] || status >= "5"; status < "5" {
						continue
					}
					if why, judged := ours[code]; !judged || (why == "") != (status == "502") {
						t.Errorf("%s answers %s with %s: say whose fault that is", o.ID, code, status)
					}
					if (&mgx.Error{Kind: mgx.KindConfig, Code: code}).Unset() {
						t.Errorf("%s answers %s with %s, and it is about a setting", o.ID, code, status)
					}
				}
			}
		}
	}
	for code := range ours {
		if !seen[code] {
			t.Errorf("no operation answers with %s", code)
		}
	}
}

// bare is a server with nothing behind it, for what hangs on its routes alone.
func bare(t testing.TB) *api.Server {
	t.Helper()
	hub := event.NewHub(event.HubOptions{Source: nothing{}, Epoch: "e", Key: make([]byte, 16), Authorize: event.OneWorkspace("ws")})
	contracts, err := event.NewRegistry()
	must(t, err)
	return api.New(api.Options{Hub: hub, Contracts: contracts, Token: token})
}

// A name is refused where it is longer than any, wherever it stands: also that of a
// workspace in the address of a stream, where browsers put it.
func TestNamesHaveALength(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	for most, code := range map[string]string{strings.Repeat("é", 200): "not_a_member", strings.Repeat("é", 201): "bad_query"} {
		escaped := url.QueryEscape(most)
		for _, at := range []string{"/api/v1/runs?workspace=" + escaped, "/api/v1/events/stream?workspace=" + escaped} {
			w.do(w.tokens["developer"], "GET", at, nil, nil).want(map[string]int{"bad_query": 400, "not_a_member": 403}[code], code)
		}
	}
}

// The page that people read has no Markdown left in it.
func TestReferenceIsRead(t *testing.T) {
	t.Parallel()
	out := httptest.NewRecorder()
	bare(t).ServeHTTP(out, httptest.NewRequest("GET", "http://localhost/api/v1/docs", nil))
	page := out.Body.String()
	if out.Code != 200 || strings.Contains(page, "`") || !strings.Contains(page, "<code>agents:read</code>") || !strings.Contains(page, "<code>limit</code> runs") {
		t.Errorf("%d, with backquotes: %v", out.Code, strings.Contains(page, "`"))
	}
}

var (
	toldRoute = regexp.MustCompile("`(GET|POST|PUT|PATCH|DELETE) (/api/v1/[^`? ]+)")
	wildcard  = regexp.MustCompile(`\{[^}]*\}|/(ID|NAME|RUN)\b`)
)

// Every route that the documents tell of is there, and not one that is to go.
func TestRoutesThatAreToldOfAreThere(t *testing.T) {
	t.Parallel()
	there := map[string]bool{}
	for path, methods := range parseDocument(t, bare(t)).Paths {
		for method, o := range methods {
			if !o.Deprecated {
				there[strings.ToUpper(method)+" "+wildcard.ReplaceAllString(path, "{}")] = true
			}
		}
	}
	files, err := filepath.Glob("../../docs/*.md")
	must(t, err)
	seen := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		for _, m := range toldRoute.FindAllStringSubmatch(string(text), -1) {
			seen++
			route := m[1] + " " + wildcard.ReplaceAllStringFunc(m[2], func(w string) string { return strings.Repeat("/", strings.Count(w, "/")) + "{}" })
			if !there[route] && filepath.Base(file) != "api.md" { // which says what is to go
				t.Errorf("%s: there is no %s", filepath.Base(file), route)
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d routes are told of", seen)
	}
}
