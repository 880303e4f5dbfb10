package gateway

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"mgx"
)

// bodies bounds the memory that the bodies of calls under way take, of all and of
// each workspace, so that none can take all of it. They are counted as they come:
// what a caller says that it will send is its own affair.
type bodies struct {
	most, each int64 // bytes

	mu  sync.Mutex
	all int64
	of  map[mgx.WorkspaceID]int64
}

// held are the bytes of one body.
type held struct {
	in    *bodies
	owner mgx.WorkspaceID
	n     int64
}

func (h *held) take(n int64) error {
	b := h.in
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.of[h.owner]+n > b.each:
		return &failure{kind: tooFast, code: "too_many_bytes", wait: time.Second, message: "the calls that this workspace has under way are as large together as they may be; wait for one to end"}
	case b.all+n > b.most:
		return &failure{kind: overloaded, code: "overloaded", wait: time.Second, message: "the calls under way are as large together as this server can hold; try again in a moment"}
	}
	b.all += n
	b.of[h.owner] += n
	h.n += n
	return nil
}

func (h *held) drop() {
	b := h.in
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all -= h.n
	if b.of[h.owner] -= h.n; b.of[h.owner] == 0 {
		delete(b.of, h.owner)
	}
	h.n = 0
}

// counted is a reader whose bytes are taken as they come.
type counted struct {
	io.Reader
	held *held
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if over := c.held.take(int64(n)); over != nil {
		return 0, over
	}
	return n, err
}

// firstBytes is what is made ready for a body that says that it is larger.
const firstBytes = 64 << 10

// body reads a request's body within bounds of size and time. Its bytes are held
// until the call ends.
func (s *Server) body(w http.ResponseWriter, r *http.Request, held *held) ([]byte, error) {
	if r.Header.Get("Content-Encoding") != "" {
		return nil, bad("unsupported_encoding", "send the body without Content-Encoding")
	}
	rc := http.NewResponseController(w)
	rc.SetReadDeadline(time.Now().Add(s.o.BodyWait))
	var body bytes.Buffer
	if n := r.ContentLength; n > 0 {
		body.Grow(int(min(n, firstBytes)) + bytes.MinRead)
	}
	_, err := body.ReadFrom(counted{http.MaxBytesReader(w, r.Body, s.o.Body), held})
	if err == nil {
		rc.SetReadDeadline(time.Time{})
		return body.Bytes(), nil
	}
	// The deadline stays, and the connection ends: net/http would wait for the rest.
	w.Header().Set("Connection", "close")
	if late, is := errors.AsType[net.Error](err); is && late.Timeout() {
		return nil, &failure{kind: lateBody, code: "body_too_late", message: "the body did not come within " + s.o.BodyWait.String() + "; send it again, whole"}
	}
	_, large := errors.AsType[*http.MaxBytesError](err)
	if _, ours := errors.AsType[*failure](err); large || ours {
		return nil, err
	}
	return nil, bad("body_broke_off", "the body broke off")
}
