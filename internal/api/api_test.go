package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx"
	"mgx/internal/api"
	"mgx/internal/event"
	"mgx/internal/store"
)

const token = "a-token-of-at-least-26-characters"

// patience is for what must come, on a machine that does much else.
const patience = 5 * time.Minute

// site is a server with a real store behind it.
type site struct {
	t     testing.TB
	store *store.Store
	hub   *event.Hub
	web   *api.Server
	url   string
	scope mgx.Scope
	stop  context.CancelFunc // of the hub
	drain func()
}

func newSite(t testing.TB, o api.Options, h event.HubOptions) *site {
	t.Helper()
	s := &site{t: t, scope: mgx.Scope{Workspace: mgx.DefaultWorkspace, Run: mgx.NewRunID()}}
	var err error
	contracts, err := event.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "mgx.db")
	if s.store, err = store.Open(context.Background(), path, store.Options{Check: latest(contracts)}); err != nil {
		t.Fatal(err)
	}
	h.Source, h.Epoch, h.Key, h.Authorize, h.Contracts = s.store, "epoch-1", []byte("0123456789abcdef"), event.OneWorkspace(mgx.DefaultWorkspace), contracts
	s.hub = event.NewHub(h)
	o.Hub, o.Contracts, o.Token, o.Actor, o.Terms = s.hub, contracts, token, "user_local", s.store
	s.web = api.New(o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + l.Addr().String()
	hubContext, stopHub := context.WithCancel(context.Background())
	webContext, stopWeb := context.WithCancel(context.Background())
	s.stop, s.drain = stopHub, stopWeb
	var all sync.WaitGroup
	all.Go(func() { s.hub.Run(hubContext) })
	all.Go(func() { s.web.Serve(webContext, l) })
	t.Cleanup(func() {
		stopWeb()
		stopHub()
		all.Wait()
		s.store.Close()
	})
	s.commit(s.scope.Event(mgx.RunCreated, mgx.RunCreatedData{}))
	return s
}

// latest fills in versions, and lets test data be shorter than contracts want.
func latest(contracts *event.Registry) func(*mgx.Event) error {
	return func(e *mgx.Event) error {
		t, _ := contracts.Type(e.Type)
		e.Version = t.Version
		return nil
	}
}

func (s *site) commit(events ...mgx.Event) {
	s.t.Helper()
	if _, err := s.store.Commit(context.Background(), mgx.Change{Events: events}); err != nil {
		s.t.Error(err)
	}
}

// notes appends n events, each with a text of so many bytes.
func (s *site) notes(n, size int) {
	s.t.Helper()
	text := strings.Repeat("x", size)
	for range n {
		s.commit(s.scope.Event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: text}))
	}
}

// do makes a request; edit may change it.
func (s *site) do(method, path string, edit func(*http.Request)) *http.Response {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if edit != nil {
		edit(r)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func (s *site) get(path string, into any) *http.Response {
	s.t.Helper()
	resp := s.do(http.MethodGet, path, nil)
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		s.t.Fatalf("%s: %v in %s", path, err, body)
	}
	return resp
}

func TestProblems(t *testing.T) {
	t.Parallel()
	s := newSite(t, api.Options{}, event.HubOptions{})
	without := func(r *http.Request) { r.Header.Del("Authorization") }
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	for _, c := range []struct {
		method, path string
		edit         func(*http.Request)
		status       int
		code         string
	}{
		{"GET", "/api/v1/events", without, 401, "unauthenticated"},
		{"GET", "/api/v1/events", header("Authorization", "Bearer "), 401, "unauthenticated"},
		{"GET", "/api/v1/events", header("Authorization", "Bearer "+token+"x"), 401, "unauthenticated"},
		{"GET", "/api/v1/events", header("Authorization", "Basic "+token), 401, "unauthenticated"},
		{"GET", "/api/v1/events/stream", without, 401, "unauthenticated"},
		{"GET", "/api/v1/events/schemas", without, 401, "unauthenticated"},
		{"GET", "/nowhere", without, 404, "not_found"},
		{"GET", "/api/v1/events/", nil, 404, "not_found"},
		{"DELETE", "/api/v1/events", nil, 405, "method_not_allowed"},
		{"POST", "/health/live", nil, 405, "method_not_allowed"},
		{"GET", "/health/live", host("evil.example"), 421, "bad_host"},
		{"GET", "/health/live", host("127.0.0.1.evil.example:80"), 421, "bad_host"},
		{"GET", "/health/live", host("10.0.0.1"), 421, "bad_host"},
		{"GET", "/api/v1/events", header("Origin", "https://evil.example"), 403, "bad_origin"},
		{"GET", "/api/v1/events", header("Origin", "null"), 403, "bad_origin"},
		{"GET", "/api/v1/events?limit=0", nil, 400, "bad_query"},
		{"GET", "/api/v1/events?limit=501", nil, 400, "bad_query"},
		{"GET", "/api/v1/events?limit=x", nil, 400, "bad_query"},
		{"GET", "/api/v1/events?after=-1", nil, 400, "bad_query"},
		{"GET", "/api/v1/events?after=1&after=2", nil, 400, "bad_query"},
		{"GET", "/api/v1/events?chanel=all", nil, 400, "bad_query"},
		{"GET", "/api/v1/events?a=%zz", nil, 400, "bad_query"},
		{"GET", "/api/v1/events?page_token=x&after=1", nil, 400, "bad_query"},
		{"GET", "/api/v1/events?channel=planet:mars", nil, 400, "bad_channel"},
		{"GET", "/api/v1/events?channel=workspace:ws_other", nil, 403, "channel_refused"},
		{"GET", "/api/v1/events?versions=x", nil, 400, "bad_event_pins"},
		{"GET", "/api/v1/events?page_token=x", nil, 410, "reset"},
		{"GET", "/api/v1/events?after=9", nil, 410, "reset"},
		{"GET", "/api/v1/events/stream?live=maybe", nil, 400, "bad_query"},
		{"GET", "/api/v1/events/stream?channel=workspace:ws_other", nil, 403, "channel_refused"},
		{"GET", "/api/v1/events/ws", nil, 400, "bad_subprotocol"},
		{"GET", "/api/v1/events/schemas/task.exploded", nil, 404, "not_found"},
		{"GET", "/api/v1/events/schemas/task.created/9.9.9", nil, 404, "not_found"},
	} {
		resp := s.do(c.method, c.path, c.edit)
		var p struct{ Type, Title, Detail, Code string }
		var status struct{ Status int }
		body, _ := io.ReadAll(resp.Body)
		json.Unmarshal(body, &p)
		json.Unmarshal(body, &status)
		if resp.StatusCode != c.status || p.Code != c.code || status.Status != c.status || p.Detail == "" || p.Title == "" || p.Type != "urn:mgx:problem:"+c.code {
			t.Errorf("%s %s: got %d %s", c.method, c.path, resp.StatusCode, body)
		}
		if got := resp.Header.Get("Content-Type"); got != "application/problem+json" {
			t.Errorf("%s %s: type %q", c.method, c.path, got)
		}
		if resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s %s: without security headers", c.method, c.path)
		}
	}
}

// What the page of the server itself, or no page, asks for is answered.
func TestOwnOrigin(t *testing.T) {
	t.Parallel()
	s := newSite(t, api.Options{Hosts: []string{"mgx.example"}}, event.HubOptions{})
	for name, edit := range map[string]func(*http.Request){
		"localhost":   func(r *http.Request) { r.Host = "localhost:7780" },
		"ipv6":        func(r *http.Request) { r.Host = "[::1]:7780" },
		"named":       func(r *http.Request) { r.Host = "MGX.example" },
		"own origin":  func(r *http.Request) { r.Header.Set("Origin", "http://"+r.URL.Host) },
		"lower case":  func(r *http.Request) { r.Header.Set("Authorization", "bearer "+token) },
		"head method": func(r *http.Request) { r.Method = http.MethodHead },
	} {
		if resp := s.do("GET", "/api/v1/events", edit); resp.StatusCode != 200 {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
}

func TestPagesOfEvents(t *testing.T) {
	t.Parallel()
	s := newSite(t, api.Options{}, event.HubOptions{})
	s.notes(30, 10)
	s.wait(31)
	var page struct {
		Events        []mgx.Event
		NextPageToken string `json:"next_page_token"`
		Resume        string
	}
	path, got := "/api/v1/events?limit=7&type=run.*&channel=run:"+string(s.scope.Run), 0
	for next := path; ; next = path + "&page_token=" + page.NextPageToken {
		page.NextPageToken = ""
		s.get(next, &page)
		for _, e := range page.Events {
			if got++; e.Position != int64(got) || e.Stream != mgx.StreamID(s.scope.Run) {
				t.Fatalf("got %+v as number %d", e, got)
			}
		}
		if page.NextPageToken == "" {
			break
		}
	}
	if got != 31 {
		t.Errorf("got %d events", got)
	}
	// The token is of these channels and types, in whatever order they are.
	if resp := s.do("GET", "/api/v1/events?type=run.*&page_token="+page.Resume, nil); resp.StatusCode != http.StatusGone {
		t.Errorf("a token of another channel: %d", resp.StatusCode)
	}
}

func (s *site) wait(position int64) {
	s.t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	if err := s.hub.Reached(ctx, position); err != nil {
		s.t.Fatal(err)
	}
}

func TestSchemas(t *testing.T) {
	t.Parallel()
	s := newSite(t, api.Options{}, event.HubOptions{})
	var all struct {
		Schemas []struct {
			Type, Version, Category, Owner, Title, Description, Delivery string
			Versions                                                     []string
			RetentionDays                                                int    `json:"retention_days"`
			SchemaURL                                                    string `json:"schema_url"`
		}
		OldReads []event.OldRead `json:"old_reads"`
	}
	s.get("/api/v1/events/schemas", &all)
	if r := all.OldReads; r == nil || len(r) != 0 {
		t.Errorf("reads of old versions: %+v", r)
	}
	if len(all.Schemas) < 24 {
		t.Errorf("only %d types", len(all.Schemas))
	}
	for _, c := range all.Schemas {
		var one struct {
			Schema struct {
				ID string `json:"$id"`
			}
			Examples []json.RawMessage
		}
		s.get("/api/v1/events/schemas/"+c.Type, &one)
		if len(one.Examples) == 0 || !strings.HasSuffix(one.Schema.ID, c.Version) || c.RetentionDays < 1 || c.Category == "" || c.Description == "" {
			t.Errorf("%s: %+v", c.Type, one)
		}
		for _, v := range append(c.Versions, "") {
			var schema map[string]any
			url := c.SchemaURL
			if v != "" {
				url = "/api/v1/events/schemas/" + c.Type + "/" + v
			}
			if resp := s.get(url, &schema); resp.Header.Get("Content-Type") != "application/schema+json" || schema["$id"] == nil {
				t.Errorf("%s: %v", url, resp.Header)
			}
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	var broken error
	var calls int
	var mu sync.Mutex
	check := api.Check{Name: "disk", Run: func(context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		calls++
		return broken
	}}
	s := newSite(t, api.Options{Checks: []api.Check{check}}, event.HubOptions{})
	var r struct {
		Status string
		Checks []struct{ Name, Status, Code string }
	}
	without := func(r *http.Request) { r.Header.Del("Authorization") }
	if resp := s.do("GET", "/health/live", without); resp.StatusCode != 200 {
		t.Errorf("live: %d", resp.StatusCode)
	}
	for range 20 {
		if resp := s.get("/health/ready", &r); resp.StatusCode != 200 || r.Status != "ready" || r.Checks[0].Status == "failed" {
			t.Errorf("ready: %d %+v", resp.StatusCode, r)
		}
	}
	mu.Lock()
	if calls >= 20 {
		t.Errorf("%d requests made the check run %d times", 20, calls)
	}
	broken = mgx.Errorf(mgx.KindConfig, "disk_full", "the disk of /secret/path is full")
	mu.Unlock()
	var resp *http.Response
	eventually(t, func() bool {
		resp = s.do("GET", "/health/ready", without)
		return resp.StatusCode == 503
	})
	body, _ := io.ReadAll(resp.Body)
	if !strings.Contains(string(body), `"code":"disk_full","detail":"the disk is full`) || strings.Contains(string(body), "/secret/path") {
		t.Errorf("not ready: %s", body)
	}
}

func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come to pass")
		}
	}
}

// sseEvent is one message of a stream.
type sseEvent struct{ name, id, data string }

// sse reads messages until the stream ends.
func sse(body io.Reader) (<-chan sseEvent, <-chan string) {
	events, comments := make(chan sseEvent, 1000), make(chan string, 1000)
	go func() {
		defer close(events)
		var e sseEvent
		id := ""
		lines := bufio.NewScanner(body)
		lines.Buffer(nil, 4<<20)
		for lines.Scan() {
			field, value, _ := strings.Cut(lines.Text(), ": ")
			switch {
			case lines.Text() == "":
				if e.data != "" {
					e.id = id
					events <- e
				}
				e = sseEvent{}
			case strings.HasPrefix(lines.Text(), ":"):
				comments <- lines.Text()
			case field == "id":
				id = value
			case field == "event":
				e.name = value
			case field == "data":
				e.data += value
			}
		}
	}()
	return events, comments
}

func (s *site) stream(query string, lastID string) (*http.Response, <-chan sseEvent, <-chan string) {
	s.t.Helper()
	resp := s.do("GET", "/api/v1/events/stream"+query, func(r *http.Request) {
		if lastID != "" {
			r.Header.Set("Last-Event-ID", lastID)
		}
	})
	events, comments := sse(resp.Body)
	return resp, events, comments
}

// next is the next message that is an event of the log.
func next(t *testing.T, events <-chan sseEvent) (mgx.Event, string) {
	t.Helper()
	for {
		select {
		case m, ok := <-events:
			if !ok {
				t.Fatal("the stream has ended")
			}
			if m.name != "" {
				continue
			}
			var e mgx.Event
			if err := json.Unmarshal([]byte(m.data), &e); err != nil {
				t.Fatal(err)
			}
			return e, m.id
		case <-time.After(patience):
			t.Fatal("nothing came")
		}
	}
}

func TestServerSentEvents(t *testing.T) {
	t.Parallel()
	s := newSite(t, api.Options{Comment: 20 * time.Millisecond}, event.HubOptions{})
	s.notes(5, 10)
	resp, events, comments := s.stream("?after=0&type=run.*", "")
	if h := resp.Header; h.Get("Content-Type") != "text/event-stream" || h.Get("X-Accel-Buffering") != "no" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", h)
	}
	first := <-events
	if first.name != "subscribed" || first.id == "" {
		t.Errorf("began with %+v", first)
	}
	var id string
	for want := int64(1); want <= 6; want++ {
		var e mgx.Event
		if e, id = next(t, events); e.Position != want {
			t.Fatalf("got %d, want %d", e.Position, want)
		}
	}
	for range 3 {
		<-comments // it is alive
	}
	s.notes(1, 10)
	if e, _ := next(t, events); e.Position != 7 {
		t.Errorf("got %d", e.Position)
	}
	// Resuming, both ways; what a client read counts more than where its address begins.
	for _, try := range []struct{ query, id string }{{"?after=0&type=run.*", id}, {"?type=run.*&last_event_id=" + id, ""}} {
		_, again, _ := s.stream(try.query, try.id)
		if e, _ := next(t, again); e.Position != 7 {
			t.Errorf("%+v: got %d", try, e.Position)
		}
	}
	// Where that cannot be, the client is told and its id is taken away.
	_, reset, _ := s.stream("?type=tool.*", id)
	m := <-reset
	if m.name != "reset" || m.id != "" || !strings.Contains(m.data, `"reason":"other_filter"`) || !strings.Contains(m.data, `"head":7`) {
		t.Errorf("got %+v", m)
	}
	if _, more := <-reset; more {
		t.Error("a stream went on after its reset")
	}
}

// The stream of a run that has ended says so when there is nothing more.
func TestStreamOfEndedRun(t *testing.T) {
	t.Parallel()
	s := newSite(t, api.Options{}, event.HubOptions{})
	query := "?channel=run:" + string(s.scope.Run)
	_, events, _ := s.stream(query+"&after=0", "")
	_, id := next(t, events)
	if resp, _, _ := s.stream(query, id); resp.StatusCode != 200 {
		t.Errorf("a run at work: %d", resp.StatusCode)
	}
	s.commit(s.scope.Event(mgx.TaskCompleted, mgx.TaskCompletedData{}))
	e, last := next(t, events)
	if e.Type != mgx.TaskCompleted {
		t.Fatalf("got %v", e.Type)
	}
	if resp, _, _ := s.stream(query, id); resp.StatusCode != 200 {
		t.Errorf("with an event left: %d", resp.StatusCode)
	}
	if resp, _, _ := s.stream(query, last); resp.StatusCode != http.StatusNoContent {
		t.Errorf("with nothing left: %d", resp.StatusCode)
	}
}

// Live output is apart from events, and only for those who ask.
func TestLiveOverSSE(t *testing.T) {
	t.Parallel()
	s := newSite(t, api.Options{}, event.HubOptions{})
	_, asked, _ := s.stream("?live=true", "")
	_, other, _ := s.stream("", "")
	<-asked
	<-other
	var m sseEvent
	eventually(t, func() bool {
		s.hub.Live(event.Live{Workspace: mgx.DefaultWorkspace, Run: s.scope.Run, Agent: "planner", Text: "thinking"})
		select {
		case m = <-asked:
			return true
		default:
			return false
		}
	})
	if m.name != "live" || !strings.Contains(m.data, `"text":"thinking"`) {
		t.Errorf("got %+v", m)
	}
	s.notes(1, 1)
	if e := <-other; e.name != "" {
		t.Errorf("who did not ask got %+v", e)
	}
}

func TestTooManyStreams(t *testing.T) {
	t.Parallel()
	s := newSite(t, api.Options{Connections: 2}, event.HubOptions{})
	a, events, _ := s.stream("", "")
	s.stream("", "")
	resp, _, _ := s.stream("", "")
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("got %d", resp.StatusCode)
	}
	a.Body.Close()
	for range events {
	}
	eventually(t, func() bool { resp, _, _ := s.stream("", ""); return resp.StatusCode == 200 })
}

// Streams end when the server drains, and a new server goes on where they were.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := newSite(t, api.Options{}, event.HubOptions{})
	resp, events, _ := s.stream("", "")
	if m := <-events; resp.StatusCode != 200 || m.name != "subscribed" {
		t.Fatal(resp.StatusCode, m)
	}
	s.drain()
	for range events { // or the stream would go on
	}
	if _, err := http.Get(s.url + "/health/live"); err == nil {
		t.Error("it still answers")
	}
}
