package gateway

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"time"

	"mgx"
	"mgx/internal/limit"
)

// firstBytes is what is made ready for a body that says that it is larger.
const firstBytes = 64 << 10

// body reads a request's body within bounds of size and time. Its bytes are held
// until the call ends.
func (s *Server) body(w http.ResponseWriter, r *http.Request, held *limit.Held) ([]byte, error) {
	if r.Header.Get("Content-Encoding") != "" {
		return nil, bad("unsupported_encoding", "send the body without Content-Encoding")
	}
	rc := http.NewResponseController(w)
	rc.SetReadDeadline(time.Now().Add(s.o.BodyWait))
	var body bytes.Buffer
	if n := r.ContentLength; n > 0 {
		body.Grow(int(min(n, firstBytes)) + bytes.MinRead)
	}
	_, err := body.ReadFrom(held.Reader(http.MaxBytesReader(w, r.Body, s.o.Body)))
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
	if _, over := errors.AsType[*mgx.Error](err); large || over {
		return nil, err
	}
	return nil, bad("body_broke_off", "the body broke off")
}
