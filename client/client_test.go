package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"mgx"
	"mgx/client"
	"mgx/internal/api"
	"mgx/internal/event"
	"mgx/internal/store"
)

const token = "a-token-of-at-least-26-characters"

// site is a real server over a real store, behind a proxy that can cut
// connections.
type site struct {
	t     testing.TB
	store *store.Store
	hub   *event.Hub
	scope mgx.Scope
	url   string
	proxy *proxy
}

func openStore(t testing.TB) *store.Store {
	t.Helper()
	contracts, err := event.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(context.Background(), filepath.Join(t.TempDir(), "mgx.db"), store.Options{Check: func(e *mgx.Event) error {
		t, _ := contracts.Type(e.Type)
		e.Version = t.Version
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func newSite(t testing.TB, s *store.Store, epoch string) *site {
	t.Helper()
	contracts, err := event.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	hub := event.NewHub(event.HubOptions{
		Source: s, Epoch: epoch, Key: []byte("0123456789abcdef"), Authorize: event.OneWorkspace(mgx.DefaultWorkspace), Contracts: contracts,
	})
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { hub.Run(ctx) })
	web := httptest.NewServer(api.New(api.Options{Hub: hub, Contracts: contracts, Token: token, Actor: "user_local"}))
	p := newProxy(t, web.Listener.Addr().String())
	t.Cleanup(func() {
		stop()
		p.cut()
		all.Wait()
		web.Close()
	})
	return &site{t: t, store: s, hub: hub, url: "http://" + p.addr, proxy: p, scope: mgx.Scope{Workspace: mgx.DefaultWorkspace, Run: mgx.NewRunID()}}
}

func (s *site) begin() {
	s.t.Helper()
	s.commit(s.scope.Event(mgx.RunCreated, mgx.RunCreatedData{}))
}

func (s *site) commit(events ...mgx.Event) {
	s.t.Helper()
	if _, err := s.store.Commit(context.Background(), mgx.Change{Events: events}); err != nil {
		s.t.Error(err)
	}
}

func (s *site) note(text string) {
	s.t.Helper()
	s.commit(s.scope.Event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: text}))
}

// client has a deadline instead of the test, so that a stream which goes silent
// fails it.
func (s *site) client() *client.Client {
	s.t.Helper()
	c, err := client.New(s.url, token)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// proxy passes bytes on until it is told to cut every connection.
type proxy struct {
	addr string
	mu   sync.Mutex
	open map[net.Conn]struct{}
	cuts atomic.Int64
}

func newProxy(t testing.TB, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := &proxy{addr: l.Addr().String(), open: map[net.Conn]struct{}{}}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			p.join(in, out)
		}
	}()
	return p
}

func (p *proxy) join(a, b net.Conn) {
	p.mu.Lock()
	p.open[a], p.open[b] = struct{}{}, struct{}{}
	p.mu.Unlock()
	pass := func(from, to net.Conn) {
		io.Copy(to, from)
		from.Close()
		to.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, from)
	}
	go pass(a, b)
	go pass(b, a)
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		c.Close()
		p.cuts.Add(1)
	}
}

// Connections are cut and clients start anew from their tokens while events are
// appended: each client has every event once, in order.
func TestStreamLosesNothing(t *testing.T) {
	t.Parallel()
	const events, clients = 1000, 6
	s := newSite(t, openStore(t), "epoch-1")
	s.begin()
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	var readers sync.WaitGroup
	for i := range clients {
		readers.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(i)))
			o := client.StreamOptions{After: new(int64), Wait: true}
			o.Token = func(t string) { o.Resume, o.After = t, nil }
			want := int64(1)
			for want <= events+1 {
				for e, err := range s.client().Stream(ctx, o) {
					if err != nil {
						t.Errorf("client %d at %d: %v", i, want, err)
						return
					}
					if e.Position != want {
						t.Errorf("client %d: got %d, want %d", i, e.Position, want)
						return
					}
					if want++; want > events+1 {
						break
					}
					if random.IntN(200) == 0 {
						// What was yielded last has no token yet, as after a crash.
						want--
						break
					}
				}
			}
		})
	}
	go func() {
		for range 25 {
			time.Sleep(40 * time.Millisecond)
			s.proxy.cut()
		}
	}()
	for i := range events {
		s.note(fmt.Sprint(i))
	}
	readers.Wait()
	if s.proxy.cuts.Load() == 0 {
		t.Error("nothing was cut")
	}
}

// A consumer never gets a token before it is through with the event.
func TestTokenFollowsTheLoop(t *testing.T) {
	t.Parallel()
	s := newSite(t, openStore(t), "epoch-1")
	s.begin()
	s.note("2")
	s.note("3")
	var log []string
	o := client.StreamOptions{After: new(int64), Token: func(string) { log = append(log, "token") }}
	for e, err := range s.client().Stream(t.Context(), o) {
		if err != nil {
			t.Fatal(err)
		}
		log = append(log, fmt.Sprint(e.Position))
		if e.Position == 3 {
			break
		}
	}
	if got := strings.Join(log, " "); got != "1 token 2 token 3" {
		t.Errorf("got %s", got)
	}
}

// A loop that ends its own context and is left is left.
func TestLeftAndEnded(t *testing.T) {
	t.Parallel()
	s := newSite(t, openStore(t), "epoch-1")
	s.begin()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for _, err := range s.client().Stream(ctx, client.StreamOptions{After: new(int64)}) {
		if err != nil {
			t.Fatal(err)
		}
		stop()
		break
	}
}

func TestStreamErrors(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	s := newSite(t, db, "epoch-1")
	s.begin()
	var resume string
	for _, err := range s.client().Stream(t.Context(), client.StreamOptions{After: new(int64), Token: func(t string) { resume = t }}) {
		if err != nil {
			t.Fatal(err)
		}
		if s.note("x"); resume != "" {
			break
		}
	}
	other := newSite(t, db, "epoch-2")
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	defer plain.Close()
	far := int64(1000)
	for name, c := range map[string]struct {
		url, token string
		o          client.StreamOptions
		code       string // or the reason of a reset
	}{
		"token":       {s.url, "wrong", client.StreamOptions{}, "unauthenticated"},
		"channel":     {s.url, token, client.StreamOptions{Channels: []string{"workspace:ws_other"}}, "channel_refused"},
		"bad channel": {s.url, token, client.StreamOptions{Channels: []string{"planet:mars"}}, "bad_channel"},
		"filter":      {s.url, token, client.StreamOptions{Types: []string{"tool.*"}, Resume: resume}, "other_filter"},
		"tampered":    {s.url, token, client.StreamOptions{Resume: "B" + resume[1:]}, "invalid_token"},
		"epoch":       {other.url, token, client.StreamOptions{Resume: resume}, "other_epoch"},
		"ahead":       {s.url, token, client.StreamOptions{After: &far}, "ahead_of_log"},
		"nobody":      {"http://127.0.0.1:1", token, client.StreamOptions{}, client.CodeUnreachable},
		"no mgx":      {plain.URL, token, client.StreamOptions{}, client.CodeBadServer},
	} {
		remote, err := client.New(c.url, c.token)
		if err != nil {
			t.Fatal(err)
		}
		var errs []error
		ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
		for _, err := range remote.Stream(ctx, c.o) {
			if errs = append(errs, err); err == nil {
				break
			}
		}
		stop()
		if len(errs) != 1 {
			t.Errorf("%s: got %v", name, errs)
			continue
		}
		reset, _ := errors.AsType[*client.ResetError](errs[0])
		if !mgx.IsCode(errs[0], c.code) && (reset == nil || reset.Reason != c.code || reset.Head == 0) {
			t.Errorf("%s: got %v, want %s", name, errs[0], c.code)
		}
	}
	for _, bad := range []string{"", "127.0.0.1:7780", "ftp://x", "http://", "http://user:pass@x", "http://x?y", "::"} {
		if _, err := client.New(bad, token); !mgx.IsCode(err, "bad_server_url") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A server that sends an event again, as one behind a relay might, is put right;
// frames that a later version may send are left out.
func TestStreamLeavesOutWhatItHas(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"events.v1+json"}})
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		conn.Read(r.Context())
		for _, text := range []string{
			`{"type":"subscribed","id":"1"}`, `{"type":"novelty"}`,
			`{"type":"event","id":"1","resume":"a","event":{"position":1}}`,
			`{"type":"event","id":"1","resume":"a","event":{"position":1}}`,
			`{"type":"event","id":"1","resume":"b","event":{"position":2,"novelty":true}}`,
			`{"type":"event","id":"1","resume":"a","event":{"position":1}}`,
			`{"type":"event","id":"1","resume":"c","event":{"position":7}}`,
		} {
			conn.Write(r.Context(), websocket.MessageText, []byte(text))
		}
		conn.Read(r.Context())
	}))
	defer web.Close()
	c, err := client.New(web.URL, token)
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	for e, err := range c.Stream(t.Context(), client.StreamOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, e.Position); e.Position == 7 {
			break
		}
	}
	if fmt.Sprint(got) != "[1 2 7]" {
		t.Errorf("got %v", got)
	}
}

// A server that cannot begin the subscription just now keeps the connection open;
// the client comes again.
func TestStreamComesAgain(t *testing.T) {
	t.Parallel()
	var connections atomic.Int32
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"events.v1+json"}})
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		conn.Read(r.Context())
		text := `{"type":"error","id":"1","problem":{"status":503,"code":"database_unavailable","detail":"away"}}`
		if connections.Add(1) == 3 {
			text = `{"type":"event","id":"1","resume":"a","event":{"position":1}}`
		}
		conn.Write(r.Context(), websocket.MessageText, []byte(text))
		conn.Read(r.Context())
	}))
	defer web.Close()
	c, err := client.New(web.URL, token)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range c.Stream(t.Context(), client.StreamOptions{}) {
		if !mgx.IsCode(err, "database_unavailable") {
			t.Errorf("the first time: %v", err)
		}
	}
	for e, err := range c.Stream(t.Context(), client.StreamOptions{Wait: true}) {
		if err != nil || e.Position != 1 {
			t.Errorf("got %v %v", e, err)
		}
		break
	}
	if n := connections.Load(); n != 3 {
		t.Errorf("%d connections", n)
	}
}

func TestPagesAndStream(t *testing.T) {
	t.Parallel()
	s := newSite(t, openStore(t), "epoch-1")
	s.begin()
	for range 30 {
		s.note("x")
	}
	if err := s.hub.Reached(t.Context(), 31); err != nil {
		t.Fatal(err)
	}
	var got []int64
	q := client.EventQuery{Channels: []string{"run:" + string(s.scope.Run)}, Types: []string{"run.*"}, After: 5, Limit: 7}
	var page client.EventPage
	for {
		var err error
		if page, err = s.client().Events(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			got = append(got, e.Position)
		}
		if q.Page = page.NextPage; q.Page == "" {
			break
		}
	}
	if len(got) != 26 || got[0] != 6 || got[25] != 31 {
		t.Errorf("got %v", got)
	}
	s.note("next")
	for e, err := range s.client().Stream(t.Context(), client.StreamOptions{Channels: q.Channels, Types: q.Types, Resume: page.Resume}) {
		if err != nil || e.Position != 32 {
			t.Errorf("got %d %v", e.Position, err)
		}
		break
	}
	if _, err := s.client().Events(t.Context(), client.EventQuery{Page: "x"}); err == nil {
		t.Error("a page token that is none was accepted")
	}
}

func TestLive(t *testing.T) {
	t.Parallel()
	s := newSite(t, openStore(t), "epoch-1")
	s.begin()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var got client.Live
	go func() {
		for ctx.Err() == nil {
			s.hub.Live(event.Live{Workspace: mgx.DefaultWorkspace, Run: s.scope.Run, Agent: "planner", Text: "hm"})
			time.Sleep(time.Millisecond)
		}
	}()
	for _, err := range s.client().Stream(ctx, client.StreamOptions{Live: func(l client.Live) { got = l; stop() }}) {
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if got.Text != "hm" || got.Agent != "planner" || got.Run != s.scope.Run {
		t.Errorf("got %+v", got)
	}
}

// soak multiplies what a test does when MGX_SOAK is set.
func soak(usual, long int) int {
	if os.Getenv("MGX_SOAK") != "" {
		return long
	}
	return usual
}

// A client far behind catches up while others are served and events go on, and
// neither it nor the server holds more than a little of what it reads.
func TestCatchUpInBoundedMemory(t *testing.T) {
	behind := soak(50_000, 500_000) / slowness
	s := newSite(t, openStore(t), "epoch-1")
	s.begin()
	text := strings.Repeat("x", 100)
	for have := 1; have < behind; {
		batch := make([]mgx.Event, min(500, behind-have))
		for i := range batch {
			batch[i] = s.scope.Event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: text})
		}
		s.commit(batch...)
		have += len(batch)
	}
	if err := s.hub.Reached(t.Context(), int64(behind)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
	defer stop()
	caughtUp := make(chan struct{})
	var live sync.WaitGroup
	live.Go(func() {
		for {
			select {
			case <-caughtUp:
				return
			case <-ctx.Done():
				return
			case <-time.After(2 * time.Millisecond):
				s.note(text)
			}
		}
	})
	base, peak := heap(), uint64(0)
	start, want := time.Now(), int64(1)
	for e, err := range s.client().Stream(ctx, client.StreamOptions{After: new(int64)}) {
		if err != nil || e.Position != want {
			t.Fatalf("got %d, want %d: %v", e.Position, want, err)
		}
		if want++; want%int64(behind/10) == 0 {
			peak = max(peak, heap())
		}
		if e.Position > int64(behind) && s.hub.Head()-e.Position < 100 {
			break
		}
	}
	took := time.Since(start)
	close(caughtUp)
	live.Wait()
	grown := int64(peak) - int64(base)
	t.Logf("%d events in %v (%.0f/s), heap grew by %d KB", want-1, took.Round(time.Millisecond), float64(want)/took.Seconds(), grown>>10)
	if grown > 32<<20 {
		t.Errorf("catching up took %d MB", grown>>20)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Whoever types an address wrongly reads why, and nothing of the request.
func TestAnUnreachableServerIsSaidInWords(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"http://127.0.0.1:1":    "the server at 127.0.0.1:1 cannot be reached; is mgx serve running there? (connection refused)",
		"https://mgx.invalid:1": "the server at mgx.invalid:1 cannot be reached; is mgx serve running there? (there is no address for the name mgx.invalid)",
	} {
		remote, err := client.New(address, "token")
		if err != nil {
			t.Fatal(err)
		}
		if _, err = remote.Me(t.Context()); err == nil || err.Error() != want {
			t.Errorf("%s: got %v", address, err)
		}
	}
}
