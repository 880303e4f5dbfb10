package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/limit"
)

const (
	codeBodyLate = "body_too_late"
	bodyWait     = 30 * time.Second // for a body that is no file

	mostBodies    = 64 << 20       // bytes of bodies that are being read or answered
	tenantBodies  = mostBodies / 2 // of one workspace
	eachBodies    = mostBodies / 4 // of one person
	strangeBody   = 16 << 10       // of one request of somebody who has not said who it is
	strangeBodies = 4 << 20        // of all of those together
	strangeEach   = 128 << 10      // of one address
)

// bodies are those that are being read or answered. Strangers have room of their own,
// so that they take none of anybody's.
type bodies struct {
	people, workspaces, strangers *limit.Bytes
}

func newBodies() bodies {
	return bodies{
		people: limit.NewBytes(mostBodies, eachBodies), workspaces: limit.NewBytes(mostBodies, tenantBodies),
		strangers: limit.NewBytes(strangeBodies, strangeEach),
	}
}

// held is the room that a body takes.
type held struct {
	of    []*limit.Held
	bound int64 // of the body
}

// hold finds room for the body of a request.
func (s *Server) hold(r *http.Request) held {
	if actor, known := access.From(r.Context()); known {
		return held{[]*limit.Held{s.bodies.people.Hold(string(actor.User)), s.bodies.workspaces.Hold(string(actor.Workspace))}, maxBody}
	}
	where, _ := s.where(r)
	return held{[]*limit.Held{s.bodies.strangers.Hold(access.Network(where.Address))}, strangeBody}
}

func (h held) reader(r io.Reader) io.Reader {
	for _, one := range h.of {
		r = one.Reader(r)
	}
	return r
}

func (h held) drop() {
	for _, one := range h.of {
		one.Drop()
	}
}

// received reads a body before what a route does is begun, and outside the gate:
// whoever sends slowly, or not at all, keeps nothing but a connection, and that for
// Options.BodyWait. What is read is bounded, of all together and of each person.
func (s *Server) received(to route, next handler) handler {
	if to.flags&bulky != 0 || to.pattern == "" {
		return next
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		if !hasBody(r) {
			return next(w, r)
		}
		held := s.hold(r)
		defer held.drop()
		if err := aside(r.Context(), func() error { return s.read(w, r, held) }); err != nil {
			return err
		}
		return next(w, r)
	}
}

func hasBody(r *http.Request) bool { return r.Body != nil && r.Body != http.NoBody }

// bodyDue has a body that nobody reads end in time, too: net/http reads what is left
// of it before it takes the next request.
func (s *Server) bodyDue(w http.ResponseWriter, r *http.Request) {
	if hasBody(r) {
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.o.BodyWait)) // a recorder in a test has none
	}
}

func (s *Server) read(w http.ResponseWriter, r *http.Request, held held) error {
	body, err := io.ReadAll(held.reader(http.MaxBytesReader(w, r.Body, held.bound)))
	c := http.NewResponseController(w)
	c.SetWriteDeadline(time.Now().Add(answerWait)) // the body took some of its time
	if err == nil {
		c.SetReadDeadline(time.Time{})
		r.Body = io.NopCloser(bytes.NewReader(body))
		return nil
	}
	// The deadline stays, and the connection ends: net/http would wait for the rest.
	w.Header().Set("Connection", "close")
	if late, is := errors.AsType[net.Error](err); is && late.Timeout() {
		return mgx.Errorf(mgx.KindUsage, codeBodyLate, "the body did not come within %s; send it again, whole", s.o.BodyWait)
	}
	_, large := errors.AsType[*http.MaxBytesError](err)
	if _, over := errors.AsType[*mgx.Error](err); large || over {
		return err
	}
	return mgx.Errorf(mgx.KindUsage, codeBody, "the body broke off; send it again")
}

// place is that of a request in the gate.
type place struct {
	gate *limit.Gate
	left func() // nil: it is outside
}

type placeKey struct{}

// placeOf is the place of a request; nil: it has none.
func placeOf(ctx context.Context) *place {
	p, _ := ctx.Value(placeKey{}).(*place)
	return p
}

func (p *place) enter(ctx context.Context) (err error) {
	p.left, err = p.gate.Enter(ctx)
	return err
}

func (p *place) leave() {
	if p.left != nil {
		p.left()
		p.left = nil
	}
}

// also has something else be left with the place.
func (p *place) also(leave func()) {
	before := p.left
	p.left = func() {
		leave()
		if before != nil {
			before()
		}
	}
}

// until keeps the place beyond the request, for as long as its work goes on.
func (p *place) until(done func()) {
	leave := p.left
	p.left = nil
	if leave == nil {
		return
	}
	go func() {
		done()
		leave()
	}()
}

// aside does something for which a request needs no place in the gate.
func aside(ctx context.Context, do func() error) error {
	p := placeOf(ctx)
	if p == nil {
		return do()
	}
	p.leave()
	if err := do(); err != nil {
		return err
	}
	return p.enter(ctx)
}
