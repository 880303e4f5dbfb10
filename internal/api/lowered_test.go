package api_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/coder/websocket"

	"mgx/internal/api"
	"mgx/internal/event"
)

// A stream with entries of the audit log in it ends when its reader becomes somebody
// who may not read that, though they may follow all other events still.
func TestStreamsEndWithTheRole(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	r, err := http.NewRequestWithContext(t.Context(), "GET", w.url+"/api/v1/events/stream", nil)
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+w.tokens["auditor"])
	stream, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || stream.StatusCode != 200 {
		t.Fatal(stream, err)
	}
	defer stream.Body.Close()
	conn, _, err := websocket.Dial(t.Context(), w.url+"/api/v1/events/ws?channel=all", &websocket.DialOptions{Subprotocols: []string{"events.v1+json", "bearer." + w.tokens["auditor"]}})
	must(t, err)
	defer conn.CloseNow()
	stream.Body.Read(make([]byte, 1)) // both have begun
	_, _, err = conn.Read(t.Context())
	must(t, err)

	w.must(w.do(w.tokens["admin"], "PATCH", "/api/v1/members/"+string(w.users["auditor"]), map[string]string{"role": "viewer"}, nil), 200)
	if _, err := io.Copy(io.Discard, stream.Body); err != nil { // ends, or the test does not
		t.Error(err)
	}
	for err == nil {
		_, _, err = conn.Read(t.Context())
	}
	if code := websocket.CloseStatus(err); code != websocket.StatusCode(event.CloseTryLater) {
		t.Errorf("the socket ended with %d: %v", code, err)
	}
	w.do(w.tokens["auditor"], "GET", "/api/v1/audit", nil, nil).want(403, "forbidden")
	w.must(w.do(w.tokens["auditor"], "GET", "/api/v1/events", nil, nil), 200)
}

// The secret of the owner counts on this machine alone, and not for what a proxy on it
// has passed on, whether somebody declared it or not.
func TestOwnerThroughAProxy(t *testing.T) {
	t.Parallel()
	s := newSite(t, api.Options{}, event.HubOptions{})
	for header, want := range map[string]int{"": 200, "X-Forwarded-For": 401, "Forwarded": 401, "X-Real-Ip": 401, "Via": 401} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/api/v1/events", nil)
		must(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		if header != "" {
			r.Header.Set(header, "192.0.2.1")
		}
		resp, err := http.DefaultClient.Do(r)
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("with %q it answers %d, want %d", header, resp.StatusCode, want)
		}
	}
}
