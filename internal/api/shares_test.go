package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"mgx/internal/api"
)

// Many pages of one person take no streams of others, of whom all together take none
// of another workspace; who has too many hears which bound it is, as a program and as
// a browser, and goes on when one of them closes.
func TestManyStreamsOfOnePerson(t *testing.T) {
	t.Parallel()
	w := limitedTown(t, api.Limits{UserStreams: 3, WorkspaceStreams: 6, KeyStreams: 1})
	_, key := w.key("auditor", nil)
	follow := func(secret string) (resp *http.Response, code, detail string, end func()) {
		t.Helper()
		ctx, end := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, "GET", w.url+"/api/v1/events/stream", nil)
		must(t, err)
		r.Header.Set("Authorization", "Bearer "+secret)
		resp, err = http.DefaultClient.Do(r)
		must(t, err)
		t.Cleanup(func() { end(); resp.Body.Close() })
		if resp.StatusCode != 200 {
			var p struct{ Code, Detail string }
			text, err := io.ReadAll(resp.Body)
			must(t, err)
			must(t, json.NewDecoder(bytes.NewReader(text)).Decode(&p))
			return resp, p.Code, p.Detail, end
		}
		return resp, "", "", end
	}
	open := func(who, secret string) (end func()) {
		t.Helper()
		resp, code, detail, end := follow(secret)
		if resp.StatusCode != 200 {
			t.Fatalf("%s: %d %s %s", who, resp.StatusCode, code, detail)
		}
		return end
	}
	refused := func(who, secret, whose string) {
		t.Helper()
		resp, code, detail, _ := follow(secret)
		if resp.StatusCode != 429 || code != "too_many_streams" || resp.Header.Get("Retry-After") == "" || !strings.Contains(detail, whose) || !strings.Contains(detail, "close pages or programs") {
			t.Errorf("%s: %d %s %s %v", who, resp.StatusCode, code, detail, resp.Header)
		}
	}
	dev := w.tokens["developer"]
	first := open("developer", dev)
	for range 2 {
		open("developer", dev)
	}
	refused("developer", dev, "this person has 3 streams open")
	dial := func(header http.Header) (*websocket.Conn, *http.Response, error) {
		header.Set("Authorization", "Bearer "+dev)
		return websocket.Dial(t.Context(), w.url+"/api/v1/events/ws", &websocket.DialOptions{Subprotocols: []string{"events.v1+json"}, HTTPHeader: header})
	}
	if _, resp, err := dial(http.Header{}); err == nil || resp == nil || resp.StatusCode != 429 {
		t.Errorf("a program by WebSocket: %v %v", resp, err)
	}
	conn, _, err := dial(http.Header{"Origin": {w.url}})
	must(t, err)
	_, _, err = conn.Read(t.Context())
	if closed, ok := errors.AsType[websocket.CloseError](err); !ok || closed.Code != 4029 || closed.Reason != "too_many_streams" {
		t.Errorf("a browser: %v", err)
	}
	open("auditor", w.tokens["auditor"])
	open("a key", key)
	refused("a key", key, "this key has 1 streams open")
	open("viewer", w.tokens["viewer"])
	refused("viewer", w.tokens["viewer"], "this workspace has 6 streams open")
	for range 4 {
		open("the owner", token)
	}
	other := w.tokens["other"]
	open("another workspace", other)
	first()
	for until := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if resp, _, _, _ := follow(w.tokens["viewer"]); resp.StatusCode == 200 {
			return
		}
		if time.Now().After(until) {
			t.Fatal("what closed is not given back")
		}
	}
}

// What one connection follows counts as if it were several, so that few connections
// take no places of others.
func TestSubscriptionsAreStreams(t *testing.T) {
	t.Parallel()
	w := limitedTown(t, api.Limits{UserStreams: 3})
	conn, _, err := websocket.Dial(t.Context(), w.url+"/api/v1/events/ws", &websocket.DialOptions{
		Subprotocols: []string{"events.v1+json"}, HTTPHeader: http.Header{"Authorization": {"Bearer " + w.tokens["developer"]}},
	})
	must(t, err)
	defer conn.CloseNow()
	say := func(typ, id string) (code string) {
		t.Helper()
		must(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"`+typ+`","id":"`+id+`","channels":["all"]}`)))
		for {
			_, data, err := conn.Read(t.Context())
			must(t, err)
			var f struct {
				Type, ID string
				Problem  struct{ Code string }
			}
			must(t, json.Unmarshal(data, &f))
			if f.ID == id && f.Type != "event" {
				return f.Type + f.Problem.Code
			}
		}
	}
	for _, id := range []string{"a", "b", "c"} {
		if got := say("subscribe", id); got != "subscribed" {
			t.Fatalf("%s: %s", id, got)
		}
	}
	if got := say("subscribe", "d"); got != "errortoo_many_streams" {
		t.Errorf("a fourth: %s", got)
	}
	must(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"unsubscribe","id":"b"}`)))
	for until := time.Now().Add(patience); say("subscribe", "d") != "subscribed"; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("what was given up is not given back")
		}
	}
}
