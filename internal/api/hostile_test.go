package api_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mgx/internal/api"
	"mgx/internal/event"
)

// Pages that somebody else made can make a browser send things here. None of what
// they can send does anything, and no page of theirs shows a page of ours.
func TestForgedByPages(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	admin := w.tokens["admin"]
	before := w.do(admin, "GET", "/api/v1/webhooks", nil, nil).body
	for name, edit := range map[string]func(*http.Request){
		"form":       with("Origin", "https://evil.example", "Content-Type", "application/x-www-form-urlencoded"),
		"text":       with("Content-Type", "text/plain"), // what a page may send without asking
		"no type":    with("Content-Type", ""),
		"sandboxed":  with("Origin", "null"),
		"fetch":      with("Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"),
		"other port": with("Origin", "http://127.0.0.1:1"),
		"rebound":    func(r *http.Request) { r.Host = "evil.example" },
	} {
		got := w.call(admin, "POST", "/api/v1/webhooks", map[string]any{"url": "https://example.com/x"}, nil, edit)
		if got.status < 400 || got.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if after := w.do(admin, "GET", "/api/v1/webhooks", nil, nil).body; after != before {
		t.Errorf("%s became %s", before, after)
	}
	for _, at := range []string{"/", "/api/v1/docs", "/api/v1/me", "/nowhere"} {
		h := w.do(admin, "GET", at, nil, nil).header
		if h.Get("X-Frame-Options") != "DENY" || !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", at, h)
		}
	}
}

// What is sent comes back in no header, and nobody is sent elsewhere.
func TestNothingIsInjected(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	admin := w.tokens["admin"]
	const mark = "injected-mark"
	for _, at := range []string{
		"/%0d%0aX-Evil:%20" + mark, "//evil.example/" + mark, "/\\evil.example/" + mark, "/.//evil.example/" + mark, "/api/v1//evil.example/%2e%2e/" + mark, "/api/v1/../../" + mark,
		"/api/v1/events/schemas/" + mark + "%0d%0aX-Evil:1", "/api/v1/events/schemas/x/%0d%0a" + mark, "/api/v1/events?page_token=%0d%0a" + mark, "/api/v1/consumers/%0d%0a" + mark + "/dead",
		"/api/v1/runs/" + mark + "%0d%0a/artifacts/%0d%0a" + mark, "/api/v1/docs/?next=https://evil.example/" + mark,
	} {
		got := w.call(admin, "GET", at, nil, nil, with("X-Request-Id", mark, "Traceparent", mark, "X-Forwarded-Host", "evil.example"))
		if got.status >= 300 && got.status < 400 || got.status >= 500 {
			t.Errorf("%s: %d %s", at, got.status, got.header.Get("Location"))
		}
		for name, all := range got.header {
			text := strings.Join(all, " ")
			if name != "Link" && strings.Contains(text, mark) || strings.ContainsAny(text, "\r\n") || strings.Contains(name, "Evil") || strings.Contains(text, "evil.example") {
				t.Errorf("%s: %s: %q", at, name, text)
			}
		}
	}
}

// Raw requests that are no HTTP, or too much of it, are refused without a word of
// them in what is said.
func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	s := newSite(t, api.Options{}, event.HubOptions{})
	for name, text := range map[string]string{
		"two lengths":       "POST /api/v1/budgets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
		"length and chunks": "POST /api/v1/budgets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"space in a header": "GET /health/live HTTP/1.1\r\nHost : localhost\r\n\r\n",
		"two hosts":         "GET /health/live HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
		"no host":           "GET /health/live HTTP/1.1\r\n\r\n",
		"long header":       "GET /health/live HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("a", 64<<10) + "\r\n\r\n",
		"long path":         "GET /" + strings.Repeat("a", 64<<10) + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"no HTTP":           "\x16\x03\x01\x02\x00\x01",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		must(t, err)
		fmt.Fprint(conn, text)
		if name == "no HTTP" {
			conn.(*net.TCPConn).CloseWrite()
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil && resp.StatusCode < 400 {
			t.Errorf("%s: %s", name, resp.Status)
		}
		conn.Close()
	}
}

// A body that does not end in time, or is larger than it may be, ends the request.
func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	s := newMoneySite(t)
	var p struct{ Code string }
	huge := `{"limit_usd":1,"scope_id":"` + strings.Repeat("a", 1<<20) + `"}`
	if s.ask("POST", "/api/v1/budgets", huge, 413, &p); p.Code != "body_too_large" {
		t.Error(p.Code)
	}
	deep := `{"limit_usd":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`
	if s.ask("POST", "/api/v1/budgets", deep, 400, &p); p.Code != "bad_body" {
		t.Error(p.Code)
	}
	for _, twice := range []string{`{"limit_usd":1,"limit_usd":2}`, `{"limit_usd":1,"LIMIT_USD":2}`, `{"limit_usd":1,"limit_\u0075sd":2}`} {
		if s.ask("POST", "/api/v1/budgets", twice, 400, &p); p.Code != "bad_body" {
			t.Error(twice, p.Code)
		}
	}
	if got := s.ask("POST", "/api/v1/budgets", `{"limit_usd":"the-value-that-was-sent"}`, 400, nil); strings.Contains(got, "the-value") {
		t.Errorf("what was sent is said again: %s", got)
	}
}

// Whoever sends a request slowly is not waited for: the connection ends after the
// time that a head may take.
func TestSlowHeads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := event.NewHub(event.HubOptions{Source: nothing{}, Epoch: "e", Key: make([]byte, 16), Authorize: event.OneWorkspace("ws")})
		contracts, err := event.NewRegistry()
		must(t, err)
		l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		web := api.New(api.Options{Hub: hub, Contracts: contracts, Token: token})
		all.Go(func() { web.Serve(ctx, l) })
		client, server := net.Pipe()
		l.conns <- server
		began := time.Now()
		all.Go(func() {
			for _, c := range "GET /health/live HTTP/1.1\r\nX: " + strings.Repeat("a", 1000) {
				if _, err := client.Write([]byte(string(c))); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		answer, _ := io.ReadAll(client)
		if took := time.Since(began); took > time.Minute || bytes.Contains(answer, []byte("200 OK")) {
			t.Errorf("ended after %s with %q", took, answer)
		}
		client.Close()
		stop()
		all.Wait()
	})
}

// pipes is a listener in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
