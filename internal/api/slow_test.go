package api_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mgx/internal/api"
	"mgx/internal/event"
	"mgx/internal/limit"
)

// Whoever sends a body slowly keeps nobody else waiting, not even on a server that
// answers one request at a time, and is not waited for.
func TestSlowBodies(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/api/v1/auth/sign-in", "/signin"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { slowBody(t, path) })
		})
	}
}

func slowBody(t *testing.T, path string) {
	hub := event.NewHub(event.HubOptions{Source: nothing{}, Epoch: "e", Key: make([]byte, 16), Authorize: event.OneWorkspace("ws")})
	contracts, err := event.NewRegistry()
	must(t, err)
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	web := api.New(api.Options{
		Hub: hub, Contracts: contracts, Token: token,
		Limits: api.Limits{AtOnce: 1, Queue: 1, QueueWait: time.Second}, Limiter: limit.New(limit.Options{}),
		Console: func(*api.Server) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { r.ParseForm() })
		},
	})
	all.Go(func() { web.Serve(ctx, l) })
	dial := func(head, body string) (net.Conn, *bufio.Reader) {
		client, server := net.Pipe()
		l.conns <- server
		_, err := fmt.Fprintf(client, "%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n%s", head, body)
		must(t, err)
		return client, bufio.NewReader(client)
	}
	slow, answers := dial("POST "+path, "{")
	defer slow.Close()
	synctest.Wait()

	other, heard := dial("GET /api/v1/me", string(make([]byte, 100)))
	defer other.Close()
	began := time.Now()
	if a, err := http.ReadResponse(heard, nil); err != nil || a.StatusCode != http.StatusUnauthorized || time.Since(began) != 0 {
		t.Errorf("somebody else is told %v, %v after %s", a, err, time.Since(began))
	}
	a, err := http.ReadResponse(answers, nil)
	if err != nil || a.StatusCode != http.StatusRequestTimeout || time.Since(began) > time.Minute {
		t.Errorf("who sends slowly is told %v, %v after %s", a, err, time.Since(began))
	}
	if _, err := io.Copy(io.Discard, answers); err != nil {
		t.Error("its connection:", err)
	}
	stop()
	all.Wait()
}
