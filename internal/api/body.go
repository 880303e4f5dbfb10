package api

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"mgx"
)

const (
	codeBodyLate = "body_too_late"
	bodyWait     = 30 * time.Second // for a body that is no file
)

// received reads a body before anything is begun for it: whoever sends slowly, or
// not at all, keeps nothing but a connection, and that for Options.BodyWait.
func (s *Server) received(w http.ResponseWriter, r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	c := http.NewResponseController(w)
	c.SetReadDeadline(time.Now().Add(s.o.BodyWait)) // a recorder in a test has none
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if late, is := errors.AsType[net.Error](err); is && late.Timeout() {
		// The deadline stays, or the rest of the body would be waited for.
		w.Header().Set("Connection", "close")
		return mgx.Errorf(mgx.KindUsage, codeBodyLate, "the body did not come within %s; send it again, whole", s.o.BodyWait)
	}
	if err != nil {
		return broken(err)
	}
	c.SetReadDeadline(time.Time{})
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// broken is what is said of a body that could not be read.
func broken(err error) error {
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return err
	}
	return mgx.Errorf(mgx.KindUsage, codeBody, "the body broke off; send it again")
}
