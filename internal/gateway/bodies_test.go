package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/gateway"
)

// begin sends the head of a call and the beginning of a body that is said to have
// so many bytes.
func (r *rig) begin(secret string, size int, body string) (net.Conn, *bufio.Reader) {
	r.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", secret, size, body)
	return conn, bufio.NewReader(conn)
}

// Who does not send the rest of a body is told so, and holds nothing any more.
func TestBodyThatDoesNotCome(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{options: func(o *gateway.Options) { o.BodyWait = 20 * time.Millisecond }})
	_, in := r.begin(r.secret, 1000, "{")
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusRequestTimeout || !strings.Contains(string(text), "body_too_late") {
		t.Errorf("%d %s", answer.StatusCode, text)
	}
	if n, err := in.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection goes on: %d, %v", n, err)
	}
}

// Bodies take no more memory together than they may, by what came and not by what
// was announced; those of one workspace leave room for others.
func TestBodiesTogether(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{options: func(o *gateway.Options) { o.Bodies = 80_000 }})
	_, other := r.keys.make(mgx.APIKey{Workspace: "ws_b", User: "u"})
	status := func(secret string, size, sent int) (int, string) {
		_, in := r.begin(secret, size, strings.Repeat(" ", sent))
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(text)
	}
	r.begin(r.secret, 30_000_000, " ") // what it announces takes nothing
	if got, text := status(r.secret, 50_000, 50_000); got != http.StatusTooManyRequests || !strings.Contains(text, "too_many_bytes") {
		t.Errorf("more than its share: %d %s", got, text)
	}
	if got, text := status(other, 30_000, 30_000); got != http.StatusBadRequest {
		t.Errorf("another workspace: %d %s", got, text)
	}
	// What one held is there again when it ends.
	if got, text := status(r.secret, 30_000, 30_000); got != http.StatusBadRequest {
		t.Errorf("the next: %d %s", got, text)
	}
}
