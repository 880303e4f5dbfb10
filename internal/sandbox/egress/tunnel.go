package egress

import (
	"errors"
	"net"
	"net/url"
	"time"

	"mgx/internal/sandbox"
)

// tunnel carries TLS to the host that a CONNECT asked for.
func (s *session) tunnel(c *client, h *head, private bool) {
	server, err := s.connect(h, private)
	if err != nil {
		s.turnAway(c, h, err)
		return
	}
	defer s.closing(server)()
	if _, err := c.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		s.hangUp(c, h, err)
		return
	}
	c.SetDeadline(time.Now().Add(s.times.head))
	first, name, err := hello(c.r)
	if err == nil {
		err = checkName(name, h.host)
	}
	if err != nil {
		s.hangUp(c, h, err)
		return
	}
	l := &link{s: s, client: c.Conn, server: server, visit: s.visits.add(sandbox.Visit{Host: h.host, Port: h.port, Allowed: true})}
	l.alive()
	out := counted{server, l}
	if _, err := out.Write(first); err != nil {
		return
	}
	relay(c.r, c.Conn, out)
}

func (s *session) connect(h *head, private bool) (net.Conn, error) {
	switch u, err := s.upstream(h); {
	case err != nil:
		return nil, err
	case u != nil:
		return s.tunnelThrough(u, h)
	}
	return s.dial(h.host, h.port, private)
}

// hangUp refuses in the middle of a tunnel, where only TLS is understood.
func (s *session) hangUp(c *client, h *head, err error) {
	r, ok := errors.AsType[*refusal](err)
	if !ok { // it connected, and then said nothing, or was gone
		s.visits.add(sandbox.Visit{Host: h.host, Port: h.port, Allowed: true})
		return
	}
	s.visits.add(sandbox.Visit{Host: h.host, Port: h.port, Reason: r.reason})
	c.SetDeadline(time.Now().Add(s.times.linger))
	c.Write(alert)
	s.linger(c)
}

// address is what a proxy is chosen for.
func (h *head) address() *url.URL {
	u := &url.URL{Scheme: "http", Host: join(h.host, h.port)}
	if h.connects() {
		u.Scheme = "https"
	}
	return u
}
