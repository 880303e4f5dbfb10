package api_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"

	"mgx"
	"mgx/internal/api"
)

// wire is a connection to a server, by which one asks.
type wire struct {
	t testing.TB
	net.Conn
	in *bufio.Reader
}

// harbour is a town whose listener is bounded.
type harbour struct {
	*town
	at     string
	secure *tls.Config // of who comes; nil: they come without TLS
	said   chan string // of what there was no room
}

// dial opens a connection from an address of this machine. By TLS nothing is said before
// somebody asks.
func (h *harbour) dial(from string) *wire {
	h.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(h.t.Context(), "tcp", h.at)
	if errors.Is(err, syscall.ECONNRESET) { // closed at once, which dialling may hear of
		c, _ = net.Pipe()
		c.Close()
		return &wire{h.t, c, bufio.NewReader(c)}
	}
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	if h.secure != nil {
		c = tls.Client(c, h.secure)
	}
	return &wire{h.t, c, bufio.NewReader(c)}
}

// ask returns the status of what is asked for by a connection, and whether the server
// then closes it; 0: it was closed before.
func (c *wire) ask(path, token string) (status int, closes bool) {
	c.t.Helper()
	r, err := http.NewRequest("GET", "http://"+c.RemoteAddr().String()+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if r.Write(c) != nil {
		return 0, true
	}
	resp, err := http.ReadResponse(c.in, r)
	if err != nil {
		return 0, true
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		c.t.Fatal(err)
	}
	if resp.Close { // it counts until the server has closed it, which TLS says before
		io.Copy(io.Discard, c.in)
		if secure, is := c.Conn.(*tls.Conn); is {
			io.Copy(io.Discard, secure.NetConn())
		}
	}
	return resp.StatusCode, resp.Close
}

// bounding runs a test with a listener that is bounded, without TLS and with it.
func bounding(t *testing.T, limits api.ConnLimits, test func(*testing.T, *harbour)) {
	t.Parallel()
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newHarbour(t, limits, secure))
		})
	}
}

func newHarbour(t *testing.T, limits api.ConnLimits, secure bool) *harbour {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &harbour{town: newTown(t), at: l.Addr().String(), said: make(chan string, 100)}
	limits.Full = func(of string) { h.said <- of }
	l = api.Bound(l.(*net.TCPListener), limits)
	if secure {
		known := httptest.NewTLSServer(nil) // whose certificate it is
		known.Close()
		l = tls.NewListener(l, &tls.Config{Certificates: known.TLS.Certificates})
		h.secure = known.Client().Transport.(*http.Transport).TLSClientConfig
		h.secure.ServerName = "example.com"
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); h.web.Serve(ctx, l) }()
	t.Cleanup(func() { stop(); <-ended })
	return h
}

const members = "/api/v1/members"

// There are as many connections as may be: a few more hear why, and how the server is;
// those after them are closed, and all is well when others have left.
func TestConnectionsAreBounded(t *testing.T) {
	bounding(t, api.ConnLimits{Most: 3}, connectionsAreBounded)
}

func connectionsAreBounded(t *testing.T, w *harbour) {
	admin := w.tokens[mgx.RoleAdmin]
	var open []*wire
	for range 3 {
		c := w.dial("127.0.0.1")
		if status, closes := c.ask(members, admin); status != 200 || closes {
			t.Fatalf("%d, closed: %v", status, closes)
		}
		open = append(open, c)
	}
	for path, want := range map[string]int{members: 503, "/health/live": 200, "/health/ready": 200, "/healthy": 503, "/": 503} {
		if status, closes := w.dial("127.0.0.1").ask(path, admin); status != want || !closes {
			t.Errorf("%s: %d, closed: %v", path, status, closes)
		}
	}
	if status, _ := open[0].ask(members, admin); status != 200 {
		t.Errorf("a connection that was there: %d", status)
	}
	// Connections that say nothing take the places for that, too, and then there is none.
	for closed := false; !closed; {
		c := w.dial("127.0.0.1")
		open = append(open, c)
		if len(open) > 3+16+8 {
			t.Fatal("all that come are taken")
		}
		if len(open) > 3+16 {
			status, _ := c.ask("/health/live", "")
			closed = status == 0
		}
	}
	if of := <-w.said; of != "all" || len(w.said) > 0 {
		t.Errorf("told is %q, and %d more", of, len(w.said))
	}
	for _, c := range open {
		c.Close()
	}
	for status := 0; status != 200; { // until the server has seen it; the test's own end bounds how long that may take
		status, _ = w.dial("127.0.0.1").ask(members, admin)
	}
}

// Of one address few are open that nobody has said whose they are, whoever else has
// connections, and those do not count whose are known.
func TestConnectionsOfAnAddress(t *testing.T) {
	bounding(t, api.ConnLimits{Address: 2, Spared: []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")}}, connectionsOfAnAddress)
}

func connectionsOfAnAddress(t *testing.T, w *harbour) {
	first, second := w.dial("127.0.0.1"), w.dial("127.0.0.1")
	for _, c := range []*wire{first, second} {
		if status, _ := c.ask("/health/live", ""); status != 200 {
			t.Fatal(status)
		}
	}
	fits := func(from string) bool {
		t.Helper()
		status, _ := w.dial(from).ask("/health/live", "")
		return status == 200
	}
	if fits("127.0.0.1") {
		t.Error("a third is taken")
	}
	if !fits("127.0.0.2") {
		t.Error("another address has no place")
	}
	for range 4 {
		if !fits("127.0.0.9") {
			t.Error("the proxy has no place")
		}
	}
	if status, _ := first.ask(members, "mgx_x"); status != 401 || fits("127.0.0.1") {
		t.Error("a secret that is none makes it known")
	}
	if status, _ := first.ask(members, w.tokens[mgx.RoleViewer]); status != 200 || !fits("127.0.0.1") {
		t.Error("a connection whose person is known counts still")
	}
}

// unable is a listener that can take no connection at first.
type unable struct {
	net.Listener
	times atomic.Int32
}

func (u *unable) Accept() (net.Conn, error) {
	if u.times.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.ENOSPC} // as when there is no room in epoll
	}
	return u.Listener.Accept()
}

// A server that cannot take a connection takes the next, and ends when its listener does.
func TestServerOutlivesItsListenersErrors(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l = &unable{Listener: l}
	l.(*unable).times.Store(2)
	w := newTown(t)
	ended := make(chan error, 1)
	go func() { ended <- w.web.Serve(t.Context(), l) }()
	resp, err := http.Get("http://" + l.Addr().String() + "/health/live")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
	l.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("it ended with %v", err)
	}
}
