package egress

import (
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mgx/internal/sandbox"
)

// Options of a gate. With the zero value it connects by itself.
type Options struct {
	Environ []string // for programs; see [Environment]
	// Upstream is the operator's own proxy for an address, http or https; nil:
	// none. Its credentials stay in this process.
	Upstream func(*url.URL) (*url.URL, error)
	Resolver *net.Resolver // of names; nil: that of this process
	Sent     int64         // most bytes that one command may send; 0: any number
	Received int64
	Places   *Places // that it shares with other gates
}

// Gate serves the boxes of one list.
type Gate struct {
	list  *List
	o     Options
	times times
	most  int // connections of one command at once
}

// times are bounds that tests shorten.
type times struct{ head, dial, idle, linger time.Duration }

// New returns the gate to what is on the list.
func New(list *List, o Options) *Gate {
	return &Gate{list: list, o: o, times: times{headTime, dialTime, idleTime, lingerTime}, most: o.Places.most()}
}

func (g *Gate) Environ() []string { return slices.Concat(g.o.Environ, g.list.direct()) }

func (g *Gate) Serve(l net.Listener) (soFar, end func() []sandbox.Visit) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &session{Gate: g, ctx: ctx, slots: make(chan struct{}, g.most)}
	s.work.Go(func() { s.accept(l) })
	return s.visits.list, sync.OnceValue(func() []sandbox.Visit {
		cancel()
		l.Close()
		s.work.Wait()
		return s.visits.list()
	})
}

// session is what the gate does for one command.
type session struct {
	*Gate
	ctx    context.Context // ends with the command
	slots  chan struct{}
	work   sync.WaitGroup
	visits visits

	sent, received atomic.Int64
}

// accept takes no more connections than there are slots: the others wait, in the
// box. One that is taken may have to wait for a place.
func (s *session) accept(l net.Listener) {
	for {
		select {
		case s.slots <- struct{}{}:
		case <-s.ctx.Done():
			return
		}
		conn, err := l.Accept()
		if err != nil {
			<-s.slots
			if errors.Is(err, net.ErrClosed) || s.pause() != nil {
				return
			}
			continue
		}
		if !s.o.Places.enter(s.ctx) {
			conn.Close()
			return
		}
		s.work.Go(func() {
			defer func() { <-s.slots }()
			defer s.o.Places.leave()
			s.serve(conn)
		})
	}
}

// pause waits a little when this process has no descriptor left, for one.
func (s *session) pause() error {
	select {
	case <-s.ctx.Done():
		return s.ctx.Err()
	case <-time.After(50 * time.Millisecond):
		return nil
	}
}

// closing closes a connection with the command, or when its use is over.
func (s *session) closing(c net.Conn) (closed func()) {
	stop := context.AfterFunc(s.ctx, func() { c.Close() })
	return func() {
		stop()
		c.Close()
	}
}

// serve answers the one request of a connection. More would be possible, but where
// the next one begins is what smuggling is about.
func (s *session) serve(conn net.Conn) {
	defer s.closing(conn)()
	c := newClient(conn)
	conn.SetDeadline(time.Now().Add(s.times.head))
	h, err := c.request()
	if err != nil {
		s.turnAway(c, h, err)
		return
	}
	allowed, private := s.list.find(h.host, h.port)
	switch {
	case !allowed:
		s.turnAway(c, h, &refusal{reason: NotListed})
	case h.connects():
		s.tunnel(c, h, private)
	default:
		s.forward(c, h, private)
	}
}
