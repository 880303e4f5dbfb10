package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"mgx"
	"mgx/internal/api"
	"mgx/internal/event"
)

// frame is any frame of the server.
type frame struct {
	Type, ID, Epoch, Resume, Reason, Text string
	Position, Head, Earliest, Missed      int64
	Event                                 *mgx.Event
	Problem                               *struct {
		Code   string
		Status int
	}
}

// line is a WebSocket as a client has it.
type line struct {
	*websocket.Conn
	t testing.TB
}

func (s *site) dial(query string, protocols ...string) *line {
	s.t.Helper()
	conn, _, err := websocket.Dial(s.t.Context(), s.url+"/api/v1/events/ws"+query, &websocket.DialOptions{
		Subprotocols: append([]string{"events.v1+json"}, protocols...),
		HTTPHeader:   http.Header{"Authorization": {"Bearer " + token}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	conn.SetReadLimit(4 << 20)
	s.t.Cleanup(func() { conn.CloseNow() })
	return &line{conn, s.t}
}

func (l *line) say(format string, args ...any) {
	l.t.Helper()
	if err := l.Write(l.t.Context(), websocket.MessageText, fmt.Appendf(nil, format, args...)); err != nil {
		l.t.Fatal(err)
	}
}

func (l *line) hear() frame {
	l.t.Helper()
	f, err := l.read()
	if err != nil {
		l.t.Fatal(err)
	}
	return f
}

func (l *line) read() (f frame, err error) {
	ctx, stop := context.WithTimeout(l.t.Context(), patience)
	defer stop()
	_, text, err := l.Read(ctx)
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	return f, err
}

// want hears a frame of a type.
func (l *line) want(typ string) frame {
	l.t.Helper()
	f := l.hear()
	if f.Type != typ {
		l.t.Fatalf("got %+v, want %s", f, typ)
	}
	return f
}

// closes hears frames until the server closes, and checks why it does.
func (l *line) closes(code websocket.StatusCode) {
	l.t.Helper()
	for {
		_, err := l.read()
		if err == nil {
			continue
		}
		if got := websocket.CloseStatus(err); got != code {
			l.t.Errorf("closed with %d (%v), want %d", got, err, code)
		}
		return
	}
}

func TestSocket(t *testing.T) {
	t.Parallel()
	s := newSite(t, api.Options{}, event.HubOptions{})
	s.notes(3, 10)
	s.wait(4)
	l := s.dial("")
	if l.Subprotocol() != "events.v1+json" {
		t.Errorf("sub-protocol %q", l.Subprotocol())
	}
	l.say(`{"type":"subscribe","id":"a","channels":["run:%s"],"after":1}`, s.scope.Run)
	f := l.want("subscribed")
	if f.ID != "a" || f.Epoch != "epoch-1" || f.Position != 1 || f.Resume == "" {
		t.Errorf("got %+v", f)
	}
	var resume string
	for want := int64(2); want <= 4; want++ {
		f := l.want("event")
		if f.Event.Position != want || f.ID != "a" || f.Resume == "" {
			t.Fatalf("got %+v, want %d", f, want)
		}
		resume = f.Resume
	}
	l.say(`{"type":"subscribe","id":"b","channels":["all"],"filter":{"types":["tool.*"]}}`)
	if f := l.want("subscribed"); f.ID != "b" || f.Position != 4 {
		t.Errorf("got %+v", f)
	}
	s.commit(s.scope.Event(mgx.ToolCalled, mgx.ToolCallData{}))
	got := map[string]int64{}
	for range 2 {
		f := l.want("event")
		got[f.ID] = f.Event.Position
	}
	if got["a"] != 5 || got["b"] != 5 {
		t.Errorf("got %v", got)
	}
	l.say(`{"type":"ack","id":"a","position":5}`)
	l.say(`{"type":"unsubscribe","id":"a"}`)
	l.say(`{"type":"ping","id":"p"}`)
	if f := l.want("pong"); f.ID != "p" {
		t.Errorf("got %+v", f)
	}
	s.commit(s.scope.Event(mgx.ToolCalled, mgx.ToolCallData{}))
	if f := l.want("event"); f.ID != "b" {
		t.Errorf("unsubscribed, and got %+v", f)
	}
	// The id is free again, and the token resumes.
	l.say(`{"type":"subscribe","id":"a","channels":["run:%s"],"resume":"%s"}`, s.scope.Run, resume)
	if f := l.want("subscribed"); f.Position != 4 {
		t.Errorf("got %+v", f)
	}
	if f := l.want("event"); f.ID != "a" || f.Event.Position != 5 {
		t.Errorf("got %+v", f)
	}
	l.Close(websocket.StatusNormalClosure, "")
	eventually(t, func() bool { return s.hub.Metrics().Subscribers == 0 })
}

func TestSocketFrames(t *testing.T) {
	t.Parallel()
	s := newSite(t, api.Options{Subscriptions: 2}, event.HubOptions{})
	for text, code := range map[string]string{
		`x`:                                     "bad_frame",
		`[]`:                                    "bad_frame",
		`{}`:                                    "bad_frame",
		`{"type":"dance"}`:                      "bad_frame",
		`{"type":"ping"} {"type":"ping"}`:       "bad_frame",
		`{"type":"ping","colour":"red"}`:        "bad_frame",
		`{"type":"subscribe","id":"x"}`:         "bad_frame",
		`{"type":"subscribe","id":7}`:           "bad_frame",
		`{"type":"unsubscribe","id":"nothing"}`: "bad_frame",
		`{"type":"ack","id":"nothing"}`:         "bad_frame",
		`{"type":"subscribe","id":"x","channels":["all"],"after":-1}`:                                                 "bad_frame",
		`{"type":"subscribe","id":"x","channels":["all"],"after":1,"resume":"x"}`:                                     "bad_frame",
		`{"type":"subscribe","id":"` + strings.Repeat("x", 65) + `","channels":["all"]}`:                              "bad_frame",
		`{"type":"subscribe","id":"x","channels":["planet:mars"]}`:                                                    "bad_channel",
		`{"type":"subscribe","id":"x","channels":["all"],"filter":{"types":[""]}}`:                                    "bad_filter",
		`{"type":"subscribe","id":"x","channels":["all"],"filter":{"types":["a"` + strings.Repeat(`,"a"`, 32) + `]}}`: "bad_filter",
		`{"type":"subscribe","id":"x","channels":["all"` + strings.Repeat(`,"all"`, 64) + `]}`:                        "bad_channel",
		`{"type":"subscribe","id":"x","channels":["all"],"versions":"task.created@77"}`:                               "unknown_event_version",
	} {
		l := s.dial("")
		l.say("%s", text)
		if f := l.want("error"); f.Problem == nil || f.Problem.Code != code || f.Problem.Status != 400 {
			t.Errorf("%s: got %+v", text, f)
		}
		l.say(`{"type":"ping"}`)
		l.want("pong")
		l.CloseNow()
	}
	l := s.dial("")
	for _, id := range []string{"1", "2", "3", "2"} {
		l.say(`{"type":"subscribe","id":"%s","channels":["all"]}`, id)
	}
	l.want("subscribed")
	l.want("subscribed")
	if f := l.want("error"); f.ID != "3" || f.Problem.Code != "too_many_subscriptions" {
		t.Errorf("got %+v", f)
	}
	if f := l.want("error"); f.ID != "2" || f.Problem.Code != "bad_frame" {
		t.Errorf("got %+v", f)
	}
	l.say(`{"type":"ack","id":"1","position":99}`)
	if f := l.want("error"); f.ID != "1" {
		t.Errorf("got %+v", f)
	}
}

// Every reason to be turned away has its code, which a browser can see.
func TestSocketCloses(t *testing.T) {
	t.Parallel()
	s := newSite(t, api.Options{}, event.HubOptions{})
	dial := func(h http.Header, protocols ...string) *line {
		conn, _, err := websocket.Dial(t.Context(), s.url+"/api/v1/events/ws", &websocket.DialOptions{HTTPHeader: h, Subprotocols: append([]string{"events.v1+json"}, protocols...)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.CloseNow() })
		return &line{conn, t}
	}
	dial(nil).closes(4001)
	dial(nil, "bearer.wrong").closes(4001)
	dial(http.Header{"Authorization": {"Bearer wrong"}}, "bearer."+token).closes(4001)

	browser := dial(http.Header{"Origin": {s.url}}, "bearer."+token)
	browser.say(`{"type":"ping"}`)
	browser.want("pong")

	foreign := s.dial("")
	foreign.say(`{"type":"subscribe","id":"x","channels":["all","workspace:ws_other"]}`)
	if f := foreign.want("error"); f.Problem.Code != "channel_refused" || f.Problem.Status != 403 {
		t.Errorf("got %+v", f)
	}
	foreign.closes(4003)

	one := s.dial("?client=tab-1")
	one.say(`{"type":"ping"}`)
	one.want("pong") // so it has the name, which the next takes
	two := s.dial("?client=tab-1")
	one.closes(4009)
	two.say(`{"type":"ping"}`)
	two.want("pong")

	big := s.dial("")
	big.Write(t.Context(), websocket.MessageText, make([]byte, 64<<10+1))
	big.closes(websocket.StatusMessageTooBig)
	binary := s.dial("")
	binary.Write(t.Context(), websocket.MessageBinary, []byte("{}"))
	binary.closes(websocket.StatusUnsupportedData)
	rude := s.dial("")
	for range 16 {
		rude.say("no")
	}
	rude.closes(websocket.StatusPolicyViolation)

	stays := s.dial("?channel=all")
	stays.want("subscribed")
	s.drain()
	stays.closes(websocket.StatusServiceRestart)
	two.closes(websocket.StatusServiceRestart)
}

func TestSocketResets(t *testing.T) {
	t.Parallel()
	s := newSite(t, api.Options{}, event.HubOptions{})
	l := s.dial("?channel=all&type=run.*&after=0")
	l.want("subscribed")
	token := l.want("event").Resume
	for reason, say := range map[string]string{
		"invalid_token": `{"type":"subscribe","id":"%s","channels":["all"],"filter":{"types":["run.*"]},"resume":"A` + token[1:] + `x"}`,
		"other_filter":  `{"type":"subscribe","id":"%s","channels":["all"],"filter":{"types":["run.*","tool.*"]},"resume":"` + token + `"}`,
		"ahead_of_log":  `{"type":"subscribe","id":"%s","channels":["all"],"after":99}`,
	} {
		l.say(say, reason)
		if f := l.want("reset"); f.ID != reason || f.Reason != reason || f.Head != 1 || f.Earliest != 1 {
			t.Errorf("%s: got %+v", reason, f)
		}
	}
	// Resumed by the address alone, for clients that only listen.
	s.notes(1, 1)
	simple := s.dial("?channel=all&type=run.*&last_event_id=" + token)
	if f := simple.want("subscribed"); f.ID != "0" || f.Position != 1 {
		t.Errorf("got %+v", f)
	}
	if f := simple.want("event"); f.Event.Position != 2 {
		t.Errorf("got %+v", f)
	}
}

func TestLiveOverSocket(t *testing.T) {
	t.Parallel()
	s := newSite(t, api.Options{}, event.HubOptions{LiveFrames: 2})
	l := s.dial("")
	l.say(`{"type":"subscribe","id":"a","channels":["all"],"live":true}`)
	l.want("subscribed")
	heard := make(chan frame, 1)
	go func() {
		f, err := l.read()
		for err == nil && f.Type == "event" { // the run's first, where the hub has read it after we came
			f, err = l.read()
		}
		heard <- f
	}()
	var f frame
	eventually(t, func() bool {
		s.hub.Live(event.Live{Workspace: mgx.DefaultWorkspace, Run: s.scope.Run, Text: "hm"})
		select {
		case f = <-heard:
			return true
		default:
			return false
		}
	})
	if f.Type != "live" || f.ID != "a" || f.Text != "hm" || f.Event != nil {
		t.Errorf("got %+v", f)
	}
}

// A frame that comes in one packet with the handshake is not lost.
func TestSocketEarlyFrame(t *testing.T) {
	t.Parallel()
	s := newSite(t, api.Options{}, event.HubOptions{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	text := `{"type":"ping","id":"early"}`
	ping := append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
	head := "GET /api/v1/events/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: events.v1+json, bearer." + token + "\r\n\r\n"
	conn.Write(append([]byte(head), ping...))
	conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 101 {
		t.Fatal(resp, err)
	}
	pong := make([]byte, 2+len(`{"type":"pong","id":"early"}`))
	if _, err := io.ReadFull(in, pong); err != nil || string(pong[2:]) != `{"type":"pong","id":"early"}` {
		t.Errorf("got %q %v", pong, err)
	}
}

// stall is a client that subscribes to everything and reads nothing.
func (s *site) stall() *line {
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err == nil {
			conn.(*net.TCPConn).SetReadBuffer(64 << 10)
		}
		return conn, err
	}}
	conn, _, err := websocket.Dial(s.t.Context(), s.url+"/api/v1/events/ws?channel=all&after=0", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, Subprotocols: []string{"events.v1+json"}, HTTPHeader: http.Header{"Authorization": {"Bearer " + token}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	conn.SetReadLimit(4 << 20)
	s.t.Cleanup(func() { conn.CloseNow() })
	return &line{conn, s.t}
}

// Subscribers that read nothing hold nobody up, are let go, and find everything
// when they come back.
func TestStalledSockets(t *testing.T) {
	t.Parallel()
	s := newSite(t, api.Options{CloseWait: time.Hour, PingEvery: time.Hour}, event.HubOptions{SlowAfter: 3 * time.Second, QueueEvents: 64, RecentBytes: 1 << 20})
	const events, size = 120, 60 << 10 // 7 MB are more than a connection takes in
	stalled := s.stall()
	var fast []*line
	for range 19 {
		l := s.dial("?channel=all&type=run.noted")
		l.want("subscribed")
		fast = append(fast, l)
	}
	done := make(chan error, len(fast))
	for _, l := range fast {
		go func() {
			for want := int64(2); want <= events+1; {
				f, err := l.read()
				if err == nil && f.Type == "event" && f.Event.Position != want {
					err = fmt.Errorf("got %d, want %d", f.Event.Position, want)
				}
				if err != nil {
					done <- err
					return
				}
				if f.Type == "event" {
					want++
				}
			}
			done <- nil
		}()
	}
	s.notes(events, size)
	for range fast {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() bool { return s.hub.Metrics().TooSlow == 1 })
	// It reads at last: what was on its way, and why it was closed.
	var last frame
	for {
		f, err := stalled.read()
		if err != nil {
			if got := websocket.CloseStatus(err); got != 4008 {
				t.Errorf("closed with %d: %v", got, err)
			}
			break
		}
		if f.Type == "event" {
			if f.Event.Position != last.Position+1 {
				t.Fatalf("got %d after %d", f.Event.Position, last.Position)
			}
			last = f
			last.Position = f.Event.Position
		}
	}
	if last.Position == 0 || last.Position > events {
		t.Fatalf("it got everything up to %d: it was not stalled", last.Position)
	}
	again := s.dial("?channel=all&last_event_id=" + last.Resume)
	for want := last.Position + 1; want <= events+1; {
		if f := again.hear(); f.Type == "event" {
			if f.Event.Position != want {
				t.Fatalf("got %d, want %d", f.Event.Position, want)
			}
			want++
		}
	}
}

// A peer that is gone without a word is found out, and one that answers is not,
// if it answers in time: the wait grows until this machine can.
func TestSocketPing(t *testing.T) {
	t.Parallel()
	for wait := 2 * time.Second; ; wait *= 4 {
		err := pinged(t, wait)
		if err == nil {
			return
		}
		if wait > patience/4 {
			t.Fatalf("who answered was closed: %v", err)
		}
	}
}

func pinged(t *testing.T, wait time.Duration) error {
	s := newSite(t, api.Options{PingEvery: 20 * time.Millisecond, PongWait: wait}, event.HubOptions{})
	answers := s.dial("?channel=all")
	answers.want("subscribed")
	heard := make(chan error, 1)
	go func() {
		_, err := answers.read() // answers pings
		heard <- err
	}()
	silent := s.stall()
	silent.want("subscribed") // and hears nothing after it
	eventually(t, func() bool { return s.hub.Metrics().Subscribers <= 1 })
	s.notes(1, 1)
	return <-heard
}
