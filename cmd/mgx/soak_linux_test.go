package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"mgx"
	"mgx/client"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

// TestFarBehind has one subscriber of twenty take nothing, and one come back that
// is as far behind as the log is long, while events go on. Whoever listens gets
// everything as it comes; the server's memory does not grow with what the two
// have before them; and both find everything. MGX_SOAK=1 makes the log 500,000
// events long.
func TestFarBehind(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"SQLite", "PostgreSQL"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, labScript)
			args, at := []string{"--workers", "0"}, filepath.Join(l.data(), "mgx.db")
			if name == "PostgreSQL" {
				at = pgtest.New(t).NewDatabase(t)
				args = append(args, "--database", at)
			}
			db, err := store.Open(t.Context(), at, store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			far(t, l, db, args)
		})
	}
}

func far(t *testing.T, l *lab, db *store.Store, args []string) {
	behind, size := 12_000, 4000
	if os.Getenv("MGX_SOAK") != "" {
		behind, size = 500_000, 500
	}
	const most = 40 << 10 // KB by which the server may grow: less than the shortened log
	append1, head := appending(t, db, size)
	for int(head.Load()) < behind && !t.Failed() {
		append1(500)
	}
	server := l.serve("127.0.0.1:0", args...)
	server.ready(nil)
	before := server.memory("VmRSS")
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
	defer stop()

	stalled := server.stall(ctx)
	defer stalled.CloseNow()
	var live sync.WaitGroup
	got := make([]atomic.Int64, 18)
	for i := range got {
		start := head.Load()
		got[i].Store(start)
		live.Go(func() {
			read(ctx, t, server.client(), client.StreamOptions{After: &start}, &got[i], nil)
		})
	}
	// Live traffic for as long as the one who is behind reads.
	caughtUp := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for {
			select {
			case <-caughtUp:
				return
			case <-time.After(5 * time.Millisecond):
				append1(1)
			}
		}
	})
	var position atomic.Int64
	begun := time.Now()
	read(ctx, t, server.client(), client.StreamOptions{After: new(int64)}, &position, func() bool { return position.Load() >= head.Load()-10 })
	took := time.Since(begun)
	close(caughtUp)
	writing.Wait()
	for i := range got {
		for got[i].Load() < head.Load() {
			if time.Sleep(10 * time.Millisecond); ctx.Err() != nil {
				t.Fatalf("a subscriber has %d of %d events", got[i].Load(), head.Load())
			}
		}
	}
	if grew := server.memory("VmHWM") - before; grew > most {
		t.Errorf("the server grew by %d KB, with %d KB before it", grew, behind*size>>10)
	} else {
		t.Logf("%d events of %d bytes in %s, %d more meanwhile; the server grew by %d KB", behind, size, took.Round(time.Millisecond), int(head.Load())-behind, grew)
	}
	last, token := drain(ctx, t, stalled)
	if last == 0 || last >= head.Load() {
		t.Errorf("the stalled one had got %d of %d: it was not stalled", last, head.Load())
	}
	position.Store(last)
	read(ctx, t, server.client(), client.StreamOptions{Resume: token}, &position, func() bool { return position.Load() == head.Load() })
	stop()
	live.Wait()
	server.end()
}

// appending returns what appends n events, and the position of the last.
func appending(t *testing.T, db *store.Store, size int) (func(n int), *atomic.Int64) {
	sc := mgx.Scope{Workspace: mgx.DefaultWorkspace, Run: mgx.NewRunID()}
	head, text := new(atomic.Int64), strings.Repeat("x", size)
	return func(n int) {
		var c mgx.Change
		if head.Load() == 0 {
			e := sc.Event(mgx.RunCreated, mgx.RunCreatedData{})
			e.Version = "1.1.0"
			c.Events = append(c.Events, e)
		}
		for len(c.Events) < n {
			e := sc.Event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: text})
			e.Version = "1.0.0"
			c.Events = append(c.Events, e)
		}
		if _, err := db.Commit(context.Background(), c); err != nil {
			t.Error(err)
			return
		}
		head.Add(int64(n))
	}, head
}

// read goes on from where position is, until all is read or ctx ends.
func read(ctx context.Context, t *testing.T, from *client.Client, o client.StreamOptions, position *atomic.Int64, all func() bool) {
	for e, err := range from.Stream(ctx, o) {
		switch {
		case errors.Is(err, context.Canceled) && all == nil:
			return
		case err != nil:
			t.Errorf("at %d: %v", position.Load(), err)
			return
		case e.Position != position.Load()+1:
			t.Errorf("got %d after %d", e.Position, position.Load())
			return
		}
		if position.Store(e.Position); all != nil && all() {
			return
		}
	}
}

// stall asks for the whole log and takes nothing.
func (s *served) stall(ctx context.Context) *websocket.Conn {
	s.l.t.Helper()
	token, err := os.ReadFile(filepath.Join(s.data, "token"))
	if err != nil {
		s.l.t.Fatal(err)
	}
	small := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err == nil {
			conn.(*net.TCPConn).SetReadBuffer(64 << 10)
		}
		return conn, err
	}}
	conn, _, err := websocket.Dial(ctx, s.url+"/api/v1/events/ws?channel=all&after=0", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: small}, Subprotocols: []string{"events.v1+json"},
		HTTPHeader: http.Header{"Authorization": {"Bearer " + strings.TrimSpace(string(token))}},
	})
	if err != nil {
		s.l.t.Fatal(err)
	}
	conn.SetReadLimit(4 << 20)
	return conn
}

// drain takes what was on its way to a stalled subscriber, until it is closed or
// has taken a thousand events, and returns where to resume.
func drain(ctx context.Context, t *testing.T, conn *websocket.Conn) (last int64, token string) {
	t.Helper()
	for last < 1000 {
		var f struct {
			Type, Resume string
			Event        struct{ Position int64 }
		}
		_, text, err := conn.Read(ctx)
		if err != nil {
			break
		}
		if err := json.Unmarshal(text, &f); err != nil {
			t.Fatal(err)
		}
		if f.Type != "event" {
			continue
		}
		if f.Event.Position != last+1 {
			t.Fatalf("got %d after %d", f.Event.Position, last)
		}
		last, token = f.Event.Position, f.Resume
	}
	return last, token
}

// memory is what the kernel says about the server's, in KB.
func (s *served) memory(what string) int {
	s.l.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.l.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), what+":")
	var n int
	if _, err := fmt.Sscanf(rest, "%d", &n); err != nil {
		s.l.t.Fatalf("%s: %v", what, err)
	}
	return n
}
