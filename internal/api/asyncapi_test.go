package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"mgx"
	"mgx/internal/api"
	"mgx/internal/event"
	"mgx/internal/store"
)

// messages compiles those of the AsyncAPI document.
type messages struct {
	t        *testing.T
	compiler *jsonschema.Compiler
	seen     map[string]int
}

func asyncAPI(t *testing.T, r *event.Registry) *messages {
	t.Helper()
	text, err := r.AsyncAPI()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	if err := c.AddResource("urn:doc", doc); err != nil {
		t.Fatal(err)
	}
	return &messages{t, c, map[string]int{}}
}

// holds checks a message of a name against the document.
func (d *messages) holds(name string, text []byte) {
	d.t.Helper()
	d.seen[name]++
	schema, err := d.compiler.Compile("urn:doc#/components/messages/" + name + "/payload/schema")
	if err != nil {
		d.t.Fatalf("%s is not in the document: %v", name, err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		d.t.Fatal(err)
	}
	if err := schema.Validate(v); err != nil {
		d.t.Errorf("%s\n%v", text, err)
	}
	if object, ok := v.(map[string]any); ok && !slices.Contains([]string{"run.created", "run.noted"}, name) {
		for field := range object {
			if _, err := d.compiler.Compile("urn:doc#/components/messages/" + name + "/payload/schema/properties/" + field); err != nil {
				d.t.Errorf("%s has a field that the document does not name: %s", name, field)
			}
		}
	}
}

// What the real server says, on both ways, is what the AsyncAPI document says.
func TestServerKeepsTheAsyncAPIDocument(t *testing.T) {
	t.Parallel()
	r, err := event.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(context.Background(), filepath.Join(t.TempDir(), "mgx.db"), store.Options{Check: r.Check})
	if err != nil {
		t.Fatal(err)
	}
	hub := event.NewHub(event.HubOptions{
		Source: s, Epoch: "one", Key: []byte("0123456789abcdef"), Authorize: event.OneWorkspace(mgx.DefaultWorkspace), Contracts: r, Checkpoint: 20 * time.Millisecond,
	})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { hub.Run(ctx) })
	web := httptest.NewServer(api.New(api.Options{Hub: hub, Contracts: r, Token: token, Actor: "user_local"}))
	t.Cleanup(func() {
		web.CloseClientConnections()
		stop()
		running.Wait()
		web.Close()
		s.Close()
	})
	sc := mgx.Scope{Workspace: mgx.DefaultWorkspace, Run: mgx.NewRunID()}
	begun := sc.Event(mgx.RunCreated, mgx.RunCreatedData{Task: mgx.TaskInfo{ID: mgx.NewTaskID(), Title: "t"}, Settings: mgx.RunSettings{Approve: "auto"}})
	noted := sc.Event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: "x"})
	if _, err := s.Commit(t.Context(), mgx.Change{Events: []mgx.Event{begun, noted}}); err != nil {
		t.Fatal(err)
	}

	d := asyncAPI(t, r)
	overSocket(t, d, web.URL, func() {
		hub.Live(event.Live{Workspace: sc.Workspace, Run: sc.Run, Agent: "implementer", Text: "hello"})
	})
	for _, name := range []string{"subscribed", "event", "checkpoint", "reset", "error", "pong", "live"} {
		if d.seen[name] == 0 {
			t.Errorf("the server did not say %s", name)
		}
	}
	overStream(t, d, web.URL)
}

// overSocket has a client say everything that the document lets it say.
func overSocket(t *testing.T, d *messages, url string, live func()) {
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	conn, _, err := websocket.Dial(ctx, url+"/api/v1/events/ws", &websocket.DialOptions{
		Subprotocols: []string{"events.v1+json"}, HTTPHeader: http.Header{"Authorization": {"Bearer " + token}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	say := func(name, frame string) {
		d.holds(name, []byte(frame))
		if err := conn.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
			t.Fatal(err)
		}
	}
	// hear reads until a frame of this type.
	hear := func(want string) {
		for {
			_, text, err := conn.Read(ctx)
			if err != nil {
				t.Fatalf("waiting for %s: %v", want, err)
			}
			var frame struct{ Type string }
			if err := json.Unmarshal(text, &frame); err != nil {
				t.Fatal(err)
			}
			d.holds(frame.Type, text)
			if frame.Type == want {
				return
			}
		}
	}
	say("subscribe", `{"type":"subscribe","id":"a","channels":["all"],"filter":{"types":["run.created"]},"after":0,"live":true,"versions":"run.noted@1"}`)
	hear("event")
	hear("checkpoint")
	live()
	hear("live")
	say("ack", `{"type":"ack","id":"a","position":1}`)
	say("ping", `{"type":"ping","id":"p"}`)
	hear("pong")
	say("subscribe", `{"type":"subscribe","id":"b","channels":["run:*"],"resume":"no token"}`)
	hear("reset")
	say("subscribe", `{"type":"subscribe","id":"c","channels":["nothing"]}`)
	hear("error")
	say("unsubscribe", `{"type":"unsubscribe","id":"a"}`)
	say("ping", `{"type":"ping"}`)
	hear("pong")
}

// overStream reads events as server-sent events, until the second.
func overStream(t *testing.T, d *messages, url string) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/v1/events/stream?after=0", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		var e mgx.Event
		if !ok || json.Unmarshal([]byte(data), &e) != nil || e.Type == "" {
			continue
		}
		d.holds(string(e.Type), []byte(data))
		if e.Position == 2 {
			return
		}
	}
	t.Error("the stream ended before the second event")
}
