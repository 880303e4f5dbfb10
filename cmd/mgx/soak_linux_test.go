package main

import (
	"bytes"
	"context"
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
	// The server may grow by less than the log holds: by queues and what Go keeps.
	behind, size, most := 4000, 8000, 30<<10 // KB
	if os.Getenv("MGX_SOAK") != "" {
		behind, size, most = 500_000, 500, 64<<10
	}
	append1, head := appending(t, db, size)
	for int(head.Load()) < behind && !t.Failed() {
		append1(500)
	}
	server := l.serve("127.0.0.1:0", args...)
	server.ready(nil)
	before := server.memory("VmRSS")
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
	defer stop()

	stalled := server.connect(ctx, "after=0")
	defer stalled.CloseNow()
	var live sync.WaitGroup
	got := make([]atomic.Int64, 18)
	for i := range got {
		start := head.Load()
		got[i].Store(start)
		live.Go(func() {
			read(ctx, t, server.client(), client.StreamOptions{After: &start}, &got[i])
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
	begun := time.Now()
	back := server.connect(ctx, "after=0")
	defer back.CloseNow()
	drain(ctx, t, back, 0, func(last int64) bool { return last >= head.Load()-10 })
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
	last, token := drain(ctx, t, stalled, 0, func(last int64) bool { return last == 500 })
	if last == 0 {
		t.Fatal("the stalled one got nothing")
	}
	again := server.connect(ctx, "last_event_id="+token)
	defer again.CloseNow()
	drain(ctx, t, again, last, func(last int64) bool { return last == head.Load() })
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

// read goes on from where position is, until ctx ends.
func read(ctx context.Context, t *testing.T, from *client.Client, o client.StreamOptions, position *atomic.Int64) {
	for e, err := range from.Stream(ctx, o) {
		switch {
		case errors.Is(err, context.Canceled):
			return
		case err != nil:
			t.Errorf("at %d: %v", position.Load(), err)
			return
		case e.Position != position.Load()+1:
			t.Errorf("got %d after %d", e.Position, position.Load())
			return
		}
		position.Store(e.Position)
	}
}

// connect opens a connection to the whole log, which takes in little by itself.
func (s *served) connect(ctx context.Context, from string) *websocket.Conn {
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
	conn, _, err := websocket.Dial(ctx, s.url+"/api/v1/events/ws?channel=all&"+from, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: small}, Subprotocols: []string{"events.v1+json"},
		HTTPHeader: http.Header{"Authorization": {"Bearer " + strings.TrimSpace(string(token))}},
	})
	if err != nil {
		s.l.t.Fatal(err)
	}
	conn.SetReadLimit(4 << 20)
	return conn
}

// drain takes what comes until it is enough or the connection ends, and returns
// how far it got and where to resume.
func drain(ctx context.Context, t *testing.T, conn *websocket.Conn, last int64, enough func(last int64) bool) (int64, string) {
	t.Helper()
	token := ""
	for !enough(last) {
		_, text, err := conn.Read(ctx)
		if err != nil && ctx.Err() != nil {
			t.Fatalf("at %d: %v", last, err)
		}
		if err != nil {
			break
		}
		if !bytes.HasPrefix(text, []byte(`{"type":"event"`)) {
			continue
		}
		var position int64
		if _, err := fmt.Sscanf(after(text, `"position":`), "%d", &position); err != nil || position != last+1 {
			t.Fatalf("got %d after %d: %v", position, last, err)
		}
		last = position
		token, _, _ = strings.Cut(after(text, `"resume":"`), `"`)
	}
	return last, token
}

// after is the beginning of what follows a mark.
func after(text []byte, mark string) string {
	_, rest, _ := bytes.Cut(text, []byte(mark))
	return string(rest[:min(len(rest), 200)])
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
