package egress

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"mgx/internal/sandbox"
)

// client is the program's end of a connection.
type client struct {
	net.Conn
	r *bufio.Reader // of what it sends
}

func newClient(conn net.Conn) *client { return &client{conn, bufio.NewReaderSize(conn, 8<<10)} }

// request reads the head. That is returned with an error too, when it was read.
func (c *client) request() (*head, error) {
	text, err := readHead(c.r)
	if isTimeout(err) {
		return nil, &refusal{reason: TooSlow, text: "The request did not come in time."}
	}
	if err != nil {
		return nil, err
	}
	return parseHead(text)
}

// turnAway tells the program, and counts, why it does not get what it asked for.
// Who went away without asking is not told, nor counted.
func (s *session) turnAway(c *client, h *head, err error) {
	r, ok := errors.AsType[*refusal](err)
	if !ok {
		return
	}
	v := sandbox.Visit{Host: asked(r.asked), Reason: r.reason, Allowed: allows(r.reason)}
	if h != nil && h.host != "" {
		v.Host, v.Port = h.host, h.port
	}
	s.visits.add(v)
	s.answer(c, r.reason, s.explain(h, r))
}

// allows reports whether a rule allowed what then failed for the reason.
func allows(reason string) bool {
	return reason == Unresolved || reason == Unreachable || reason == ProxyRefused
}

// explain is for the program, and whoever reads what it prints.
func (s *session) explain(h *head, r *refusal) string {
	where := ""
	if h != nil && h.host != "" {
		where = join(h.host, h.port)
	}
	switch r.reason {
	case NotListed:
		return fmt.Sprintf("%s is not among the hosts that this sandbox may reach, which are: %s. There is no other way out. If it is needed, say so, and why: a person can allow it with --allow-host %s.", where, s.list.shown(), where)
	case AddressTaken:
		return fmt.Sprintf("%s leads to an address that is not public. If it is a host of this site, a person can allow it with --allow-host %s%s.", where, where, privateMark)
	case AddressNever:
		return where + " leads to an address that is never dialled, whatever is allowed."
	case Unresolved:
		return where + " is allowed, but the name was not found."
	case Unreachable:
		return where + " is allowed, but cannot be reached."
	case ProxyRefused:
		return where + " is allowed, but the proxy of this site does not let it through."
	}
	return r.text
}

var statuses = map[string]int{
	BadRequest: http.StatusBadRequest, BadHost: http.StatusForbidden, OtherHost: http.StatusBadRequest, TooSlow: http.StatusRequestTimeout,
	Unresolved: http.StatusBadGateway, Unreachable: http.StatusBadGateway, ProxyRefused: http.StatusBadGateway,
}

// answer ends the connection with the gate's own words.
func (s *session) answer(c *client, reason, text string) {
	status, ok := statuses[reason]
	if !ok {
		status = http.StatusForbidden
	}
	body := "MGX: " + text + "\n"
	c.SetDeadline(time.Now().Add(s.times.linger))
	fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nX-Mgx-Reason: %s\r\nConnection: close\r\n\r\n%s",
		status, http.StatusText(status), len(body), reason, body)
	s.linger(c)
}

// linger lets the program read an answer before the connection is gone, which is
// lost to it when it has sent more than was read.
func (s *session) linger(c *client) {
	closeWrite(c.Conn)
	c.SetDeadline(time.Now().Add(s.times.linger))
	io.Copy(io.Discard, io.LimitReader(c.Conn, 256<<10))
}

func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
}

// hopByHop are headers for the next program only: RFC 9110, 7.6.1.
var hopByHop = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", "Expect", "Host",
}

// onward is what of headers goes on.
func onward(from http.Header) http.Header {
	to := from.Clone()
	for _, list := range from["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			to.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopByHop {
		to.Del(name)
	}
	return to
}
