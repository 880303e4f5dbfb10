package api

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mgx"
)

// Bounds of a request whose answer is no stream. They end before answerWait, so
// that whoever asked hears something.
const (
	workWait  = 20 * time.Second // for what is asked; then it is told to stop
	graceWait = 5 * time.Second  // then nobody waits for it any more
)

// late is an answer that is held back until it is complete.
type late struct {
	header http.Header
	status int
	body   *bytes.Buffer // nil: it was sent
	secret bool          // there is a secret in it
}

func newLate() *late {
	return &late{header: http.Header{}, body: heldBuffers.Get().(*bytes.Buffer)}
}

// drop gives back the room of an answer, when it is complete: who writes to one that
// nobody waits for any more keeps that.
func (l *late) drop() {
	if l.body.Cap() <= 2*maxHeld {
		l.body.Reset()
		heldBuffers.Put(l.body)
	}
	l.body = nil
}

func (l *late) Header() http.Header { return l.header }

func (l *late) WriteHeader(status int) {
	if l.status == 0 {
		l.status = status
	}
}

func (l *late) Write(b []byte) (int, error) {
	l.WriteHeader(http.StatusOK)
	return l.body.Write(b)
}

// hide takes secrets out of an answer that is text, unless it is one that hands out
// a secret.
func (l *late) hide(of mgx.WorkspaceID, redact func(mgx.WorkspaceID, string) string) {
	if l.secret || !textual(l.header.Get("Content-Type")) {
		return
	}
	text := l.body.String()
	if clean := redact(of, text); clean != text {
		l.body.Reset()
		l.body.WriteString(clean)
		l.header.Del("Content-Length")
	}
}

// textual reports whether a media type is one of text.
func textual(typ string) bool {
	return strings.HasPrefix(typ, "text/") || strings.Contains(typ, "json") || strings.Contains(typ, "yaml")
}

// send sends what was held back, compressed or as it is.
func (l *late) send(w http.ResponseWriter, zipped bool) {
	if zipped {
		w.Header().Set("Content-Encoding", "gzip")
	}
	if !zipped && l.body.Len() > 0 { // or a long one would be sent in chunks
		w.Header().Set("Content-Length", strconv.Itoa(l.body.Len()))
	}
	if l.status != 0 {
		w.WriteHeader(l.status)
	}
	if zipped {
		zip(w, l.body.Bytes())
		return
	}
	w.Write(l.body.Bytes())
}

// within has a handler answer in time, also when the database or the disk hangs:
// what it is in the middle of may then still come to pass, and the answer says so.
func (s *Server) within(to route, handle handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if spools(to, r) {
			return handle(w, r)
		}
		ctx, stop := context.WithTimeout(r.Context(), s.o.WorkWait)
		defer stop()
		held := newLate()
		done := make(chan error, 1)
		panicked := make(chan any, 1)
		go func() {
			defer func() {
				if p := recover(); p != nil {
					panicked <- p
				}
			}()
			done <- handle(held, r.WithContext(ctx))
		}()
		over := make(chan struct{})
		answered := context.AfterFunc(ctx, func() { time.AfterFunc(s.o.GraceWait, func() { close(over) }) })
		defer answered() // or each answer would leave a timer
		select {
		case err := <-done:
			defer held.drop()
			held.hide(actorOf(r).Workspace, s.o.Redact)
			zipped := err == nil && held.compressible(r)
			maps.Copy(w.Header(), held.header)
			if err == nil {
				held.send(w, zipped)
			}
			if err != nil && ctx.Err() == context.DeadlineExceeded && !mgx.IsCode(err, "database_unavailable") {
				err = unanswered(to, r, err)
			}
			return err
		case p := <-panicked:
			panic(p)
		case <-over:
			if p := placeOf(r.Context()); p != nil { // the work takes its place on
				p.until(func() {
					select {
					case <-done:
					case <-panicked:
					}
				})
			}
			return unanswered(to, r, ctx.Err())
		}
	}
}

// unanswered says what may have become of a request that ran out of time, and what to
// do about it.
func unanswered(to route, r *http.Request, err error) error {
	once := to.about.Made || to.about.Once
	then := "what you asked for may have been done all the same, or may be done yet: look whether it was before you send it again"
	switch {
	case r.Method == http.MethodGet:
		then = "nothing was changed: ask again in a moment"
	case once && r.Header.Get(keyHeader) != "":
		then = "what you asked for may have been done all the same, or may be done yet: send the same request again with the same " + keyHeader + ", and it is done once"
	case once:
		then += ", and send it with an " + keyHeader + " next time, with which it is done once however often you send it"
	}
	e := mgx.Errorf(mgx.KindConfig, mgx.CodeTimedOut, "the server did not get an answer from its disk or database in time; %s", then)
	e.Err = err
	return e
}
