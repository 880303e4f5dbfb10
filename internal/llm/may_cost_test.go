package llm

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"mgx"
)

// A call costs nothing when it did not go out, or the connection broke at once; when
// the provider had it for a while, or something on the way gave up waiting, it may
// have been worked on, and the most that it can cost counts.
func TestWhatMayHaveCost(t *testing.T) {
	t.Parallel()
	read := func(c net.Conn) {
		if req, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			io.Copy(io.Discard, req.Body)
		}
	}
	status := func(line string) func(net.Conn) {
		return func(c net.Conn) {
			read(c)
			io.WriteString(c, "HTTP/1.1 "+line+"\r\nContent-Length: 0\r\n\r\n")
		}
	}
	for name, c := range map[string]struct {
		serve func(net.Conn)
		costs bool
	}{
		"not read":         {func(net.Conn) {}, false},
		"broken at once":   {read, false},
		"broken later":     {func(c net.Conn) { read(c); time.Sleep(workable) }, true},
		"bad gateway":      {status("502 Bad Gateway"), false},
		"gateway time-out": {status("504 Gateway Timeout"), true},
		"Cloudflare's":     {status("524 A Timeout Occurred"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				transport := &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
					ours, theirs := net.Pipe()
					go func() {
						defer theirs.Close()
						c.serve(theirs)
					}()
					return ours, nil
				}}
				e := NewEndpoint(Connection{Name: "p", BaseURL: "http://p", Client: &http.Client{Transport: transport}}, "Authorization", "Bearer ")
				_, err := e.Post(t.Context(), "/chat", "m", map[string]string{"a": "b"})
				failure, ok := errors.AsType[*CallError](err)
				if !ok || failure.MayCost != c.costs {
					t.Fatalf("%v: may cost %v, want %v", err, ok && failure.MayCost, c.costs)
				}

				r, p := two(nil, fails(*failure), answers("ok", mgx.Usage{Prompt: 1, Completion: 1}))
				l := newLedger(0)
				req := testRequest()
				req.Model = "first/m"
				if _, err := r.Call(t.Context(), req, l, nil); err != nil || p.attempts != 2 {
					t.Fatalf("%v after %d attempts", err, p.attempts)
				}
				if paid := l.settled["1"]; (paid > 0) != c.costs {
					t.Errorf("the first attempt is settled at %s", paid)
				}
			})
		})
	}
}
