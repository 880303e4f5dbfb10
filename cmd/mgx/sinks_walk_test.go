package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// forge is a server of tools that keeps what it is told.
type forge struct {
	url  string
	mu   sync.Mutex
	told []string
}

func newForge(t *testing.T) *forge {
	f := &forge{}
	web := httptest.NewServer(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server {
		s := sdk.NewServer(&sdk.Implementation{Name: "forge", Version: "1"}, nil)
		sdk.AddTool(s, &sdk.Tool{Name: "comment", Description: "Comments on an issue."},
			func(_ context.Context, _ *sdk.CallToolRequest, a struct {
				Q string `json:"q"`
			},
			) (*sdk.CallToolResult, any, error) {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.told = append(f.told, a.Q)
				return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "Noted."}}}, nil, nil
			})
		return s
	}, nil))
	t.Cleanup(func() { web.CloseClientConnections(); web.Close() })
	f.url = web.URL
	return f
}

func (f *forge) config(l *lab) string {
	return l.file("forge.json", `{"mcpServers": {"forge": {"type": "http", "url": "`+f.url+`", "allow": ["127.0.0.0/8"]}}}`)
}

func (f *forge) got() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.told, "\n")
}

// signedIn is a browser in which the owner is signed in.
func (s *served) signedIn() *http.Cookie {
	return &http.Cookie{Name: "mgx_session", Value: s.ownersCookie()}
}

// everything is every answer of the API to who may read everything, and every page
// of the console that links lead to. What there is the API's own document and the
// pages themselves say, so that none can be forgotten here.
func (s *served) everything(when string, owner *http.Cookie) map[string]string {
	s.l.t.Helper()
	all := map[string]string{}
	w := &walk{s: s, ids: map[string][]string{}, keep: func(what, text string) { all[when+": "+what] = text }}
	w.api()
	w.console(owner)
	for _, of := range []string{"runs", "tasks", "events", "webhooks"} {
		if len(w.ids["/api/v1/"+of]) == 0 {
			s.l.t.Errorf("none of the %s was looked at by itself", of)
		}
	}
	return all
}

type walk struct {
	s    *served
	keep func(what, text string)
	ids  map[string][]string // by collection
}

// notAsked are answers with the person's own files, and those of no end.
var notAsked = []string{"/api/v1/runs/{id}/branch", "/api/v1/events/ws"}

func (w *walk) api() {
	t := w.s.l.t
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal([]byte(w.get("/api/v1/openapi.json")), &doc); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for path, methods := range doc.Paths {
		if methods["get"] != nil && !slices.Contains(notAsked, path) {
			paths = append(paths, path)
		}
	}
	slices.SortFunc(paths, func(a, b string) int { return strings.Count(a, "{") - strings.Count(b, "{") })
	for _, path := range paths {
		for _, p := range w.filled(path) {
			text := w.get(p)
			w.keep("GET "+p, text)
			w.learn(p, text)
		}
		if strings.Contains(path, "{") {
			w.keep("GET nothing of "+path, w.get(parameter.ReplaceAllLiteralString(path, url.PathEscape(sinkSecret))))
		}
		w.keep("GET oddly "+path, w.get(parameter.ReplaceAllLiteralString(path, "x")+"?page_token="+url.QueryEscape(sinkSecret)+"&limit="+url.QueryEscape(sinkSecret)))
	}
}

var parameter = regexp.MustCompile(`\{\w+\}`)

// filled are the paths of what is there.
func (w *walk) filled(path string) (all []string) {
	all = []string{path}
	for strings.Contains(all[0], "{") {
		var next []string
		for _, p := range all {
			at := parameter.FindStringIndex(p)
			for _, id := range w.ids[strings.TrimSuffix(p[:at[0]], "/")] {
				next = append(next, p[:at[0]]+url.PathEscape(id)+p[at[1]:])
			}
		}
		if all = next; len(all) == 0 {
			return nil
		}
	}
	return all[:min(len(all), 12)]
}

// learn takes the names of things from a list of them.
func (w *walk) learn(path, text string) {
	var answer map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &answer) != nil {
		return
	}
	for _, list := range answer {
		var items []map[string]any
		if json.Unmarshal(list, &items) != nil {
			continue
		}
		for _, item := range items {
			for _, field := range []string{"id", "name", "event", "type", "sequence"} {
				if v, ok := item[field]; ok {
					w.ids[path] = append(w.ids[path], fmt.Sprint(v))
				}
			}
		}
	}
}

// get is an answer with its headers; of a stream what comes at once.
func (w *walk) get(path string) string {
	t := w.s.l.t
	token := strings.TrimSpace(file(t.(*testing.T), filepath.Join(w.s.data, "token")))
	return w.ask(path, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
}

func (w *walk) ask(path string, as func(*http.Request)) string {
	t := w.s.l.t
	ctx := t.Context()
	if strings.Contains(path, "/stream") {
		own, stop := context.WithTimeout(ctx, 2*time.Second) // what is there already comes first
		defer stop()
		ctx = own
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	as(r)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil && ctx.Err() == nil {
		t.Fatal(path, err)
	}
	if !strings.Contains(path, url.PathEscape(sinkSecret)) { // some repeat the address
		w.keep("headers of "+path, fmt.Sprint(resp.Header))
	}
	return string(text)
}

var leads = regexp.MustCompile(`(?:href|data-part|action|src)="(/[^"#]*)"`)

// console follows the links of the pages, as far as they lead.
func (w *walk) console(owner *http.Cookie) {
	todo, seen := []string{"/", "/" + url.PathEscape(sinkSecret), "/runs/" + url.PathEscape(sinkSecret), "/tasks?q=" + url.QueryEscape(sinkSecret)}, map[string]bool{}
	at := map[string]int{}
	for n := 0; len(todo) > 0 && n < 400; n++ {
		page := todo[0]
		todo = todo[1:]
		text := w.ask(page, func(r *http.Request) { r.AddCookie(owner) })
		w.keep("page "+page, text)
		for _, m := range leads.FindAllStringSubmatch(text, -1) {
			to := strings.ReplaceAll(m[1], "&amp;", "&")
			place, _, _ := strings.Cut(to, "?")
			if strings.HasPrefix(to, "/static/") || strings.HasPrefix(to, "/api/") || strings.HasPrefix(to, "//") || seen[to] || at[place] == 3 {
				continue // of one place a few views will do
			}
			seen[to] = true
			at[place]++
			todo = append(todo, to)
		}
	}
}

// showing are the commands that show what was done, and with what they are called.
// Every command must be here or among those that show nothing of it.
func showing(run, dir string) map[string][]string {
	return map[string][]string{
		"agents": {"agents"}, "artifacts": {"artifacts", run}, "artifacts get": {"artifacts", "get", run, "changes.patch"}, "approvals": {"approvals"}, "audit": {"audit"}, "audit verify": {"audit", "verify"}, "budget": {"budget"}, "config": {"config"}, "consumers": {"consumers"}, "diff": {"diff", run}, "doctor": {"doctor"},
		"events": {"events"}, "executions": {"executions"}, "export": {"export", run}, "export to": {"export", run, "--to", filepath.Join(dir, "export")}, "get": {"get", run, "--repo", dir}, "keys": {"keys"}, "mcp": {"mcp", "list"}, "members": {"members"},
		"models": {"models"}, "policy": {"policy"}, "project": {"project"}, "replay": {"replay", run}, "review": {"review", run}, "roles": {"roles"}, "runs": {"runs"}, "secrets": {"secrets", "list"},
		"show": {"show", run}, "show security": {"show", run, "--security"}, "tasks": {"tasks"}, "templates": {"templates"}, "usage": {"usage"}, "verify": {"verify"},
		"webhooks": {"webhooks"}, "whoami": {"whoami"}, "workspaces": {"workspaces"}, "pause": {"pause", run}, "cancel": {"cancel", run}, "retain": {"retain", "--dry-run"}, "fork": {"fork", run, "--at", "999999"},
	}
}

// showingNothing are those that are used otherwise in the test, or tell of nothing.
var showingNothing = []string{"approve", "backup", "completion", "demo", "erase", "help", "invitations", "login", "logout", "password", "restore", "resume", "run", "sandbox", "serve", "sessions", "steer", "version"}

// TestNoCommandIsForgotten holds the list of commands that are looked at to those
// that there are.
func TestNoCommandIsForgotten(t *testing.T) {
	t.Parallel()
	looked := showing("", "")
	for _, cmd := range (&cli{out: io.Discard, err: io.Discard, getenv: os.Getenv}).command().Commands() {
		if looked[cmd.Name()] == nil && !slices.Contains(showingNothing, cmd.Name()) && !cmd.Hidden {
			t.Errorf("mgx %s is new: add it to showing, or say in showingNothing that it shows nothing of runs", cmd.Name())
		}
	}
}
