package api_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"mgx"
	"mgx/internal/api"
	"mgx/internal/event"
)

// accepting asks for a path with an Accept header.
func (s *site) accepting(path, accept string) *http.Response {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), "GET", s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// isCloudEvent checks that a text is the CloudEvent of a stored event.
func (s *site) isCloudEvent(text []byte, position int64) {
	s.t.Helper()
	var c event.CloudEvent
	if err := json.Unmarshal(text, &c); err != nil {
		s.t.Fatalf("%v in %s", err, text)
	}
	got, err := event.FromCloudEvent(c)
	if err != nil {
		s.t.Fatalf("%v: %s", err, text)
	}
	want, err := s.store.EventsAfter(s.t.Context(), "", "", "", nil, position-1, 1)
	if err != nil || len(want) != 1 {
		s.t.Fatal(want, err)
	}
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want[0])
	if string(a) != string(b) || c.DataSchema != "http://mgx.example/api/v1/events/schemas/"+c.Type+"/"+got.Version {
		s.t.Errorf("got %s\nwant %s\nschema %s", a, b, c.DataSchema)
	}
}

func TestCloudEventsOnRequest(t *testing.T) {
	t.Parallel()
	s := newSite(t, api.Options{}, event.HubOptions{Server: "http://mgx.example"})
	s.notes(4, 10)
	if err := s.hub.Reached(t.Context(), 5); err != nil {
		t.Fatal(err)
	}

	// Pages, by header and by parameter; the headers tell where to go on.
	path := "/api/v1/events?limit=2"
	seen := int64(0)
	for path != "" {
		accept := event.CloudEventsType
		if seen > 0 {
			accept = "text/html;q=0.9, " + event.CloudEventType
		}
		resp := s.accepting(path, accept)
		var batch []json.RawMessage
		if err := json.NewDecoder(resp.Body).Decode(&batch); err != nil || resp.Header.Get("Content-Type") != event.CloudEventsType || resp.Header.Get("Mgx-Resume") == "" {
			t.Fatalf("%v %v", resp.Header, err)
		}
		for _, text := range batch {
			seen++
			s.isCloudEvent(text, seen)
		}
		path, _, _ = strings.Cut(strings.TrimPrefix(resp.Header.Get("Link"), "<"), ">")
	}
	if seen != 5 {
		t.Errorf("%d events in all pages", seen)
	}
	for accept, want := range map[string]string{
		"": "application/json", "*/*": "application/json", "application/*": "application/json", "application/json, " + event.CloudEventsType + ";q=0.5": "application/json",
		"application/json;q=0.5, " + event.CloudEventsType: event.CloudEventsType, "*/*;q=0.1, application/json;q=0": event.CloudEventsType,
	} {
		if got := s.accepting("/api/v1/events", accept).Header.Get("Content-Type"); got != want {
			t.Errorf("Accept %q: %s, want %s", accept, got, want)
		}
	}

	// As server-sent events.
	for path, accept := range map[string]string{
		"/api/v1/events/stream?after=1": "text/event-stream, " + event.CloudEventType, "/api/v1/events/stream?after=1&live=false": event.CloudEventType,
		"/api/v1/events/stream?after=1&format=cloudevents": "text/event-stream",
	} {
		resp := s.accepting(path, accept)
		if resp.Header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("%s: %v", path, resp.Header)
		}
		s.isCloudEvent(firstData(t, resp.Body), 2)
	}
	var plain mgx.Event
	if err := json.Unmarshal(firstData(t, s.accepting("/api/v1/events/stream?after=1", "*/*").Body), &plain); err != nil || plain.Position != 2 {
		t.Errorf("without asking %+v %v", plain, err)
	}

	// Over WebSocket, also in a subscription that is asked for later.
	u := "ws" + strings.TrimPrefix(s.url, "http") + "/api/v1/events/ws?" + url.Values{"format": {"cloudevents"}}.Encode()
	conn, _, err := websocket.Dial(t.Context(), u, &websocket.DialOptions{Subprotocols: []string{"events.v1+json", "bearer." + token}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"subscribe","id":"a","channels":["all"],"after":1}`)); err != nil {
		t.Fatal(err)
	}
	for {
		_, text, err := conn.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var f struct {
			Type  string
			Event json.RawMessage
		}
		if json.Unmarshal(text, &f); f.Type == "event" {
			s.isCloudEvent(f.Event, 2)
			break
		}
	}

	// What cannot be had is refused, and says what can be.
	for path, accept := range map[string]string{
		"/api/v1/events": "text/html", "/api/v1/events?limit=1": event.CloudEventsType + ";q=0", "/api/v1/events/stream": "application/json", "/api/v1/events/stream?live=true": event.CloudEventType + ";q=0",
	} {
		resp := s.accepting(path, accept)
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusNotAcceptable || !strings.Contains(string(body), `"code":"not_acceptable"`) || !strings.Contains(string(body), "cloudevents") {
			t.Errorf("%s with %s: %d %s", path, accept, resp.StatusCode, body)
		}
	}
	for _, path := range []string{"/api/v1/events?format=xml", "/api/v1/events/stream?format=xml", "/api/v1/events/ws?format=xml"} {
		if resp := s.accepting(path, ""); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

// firstData is the data of the first event without a name.
func firstData(t *testing.T, body io.Reader) []byte {
	t.Helper()
	named := false
	for lines := bufio.NewScanner(body); lines.Scan(); {
		switch line := lines.Text(); {
		case line == "":
			named = false
		case strings.HasPrefix(line, "event:"):
			named = true
		case strings.HasPrefix(line, "data: ") && !named:
			return []byte(strings.TrimPrefix(line, "data: "))
		}
	}
	t.Fatal("the stream ended without an event")
	return nil
}
