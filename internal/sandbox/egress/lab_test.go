package egress_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/egress"
)

// patience is how long what must come may take on a machine that is busy.
const patience = time.Minute

// lab is a gate on a socket of this machine, with servers behind it and names
// that lead to them.
type lab struct {
	t     testing.TB
	list  *egress.List
	gate  *egress.Gate
	names *names
	at    string // of the gate
	end   func() []sandbox.Visit
}

// newLab allows rules, in which {tls} and {http} stand for the ports of servers.
func newLab(t testing.TB, o egress.Options, rules ...string) *lab {
	t.Helper()
	list, err := egress.NewList(rules...)
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, list: list, names: newNames(t)}
	o.Resolver = l.names.resolver()
	l.gate = egress.New(list, o)
	return l
}

func (l *lab) serve() *lab {
	l.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		l.t.Fatal(err)
	}
	l.at = listener.Addr().String()
	_, l.end = l.gate.Serve(listener)
	l.t.Cleanup(func() { l.end() })
	return l
}

// server is a host that allowed and refused names lead to.
type server struct {
	*httptest.Server
	port     int
	accepted atomic.Int64
}

func newServer(t testing.TB, secure bool, h http.HandlerFunc) *server {
	t.Helper()
	s := &server{Server: httptest.NewUnstartedServer(h)}
	s.Listener = counting{s.Listener, &s.accepted}
	s.Config.ErrorLog = quiet
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	s.port = s.Listener.Addr().(*net.TCPAddr).Port
	return s
}

// newSilentServer is one that takes requests and answers none.
func newSilentServer(t testing.TB) *server {
	t.Helper()
	stay := make(chan struct{})
	s := newServer(t, false, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stay:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(stay) })
	return s
}

type counting struct {
	net.Listener
	n *atomic.Int64
}

func (c counting) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.n.Add(1)
	}
	return conn, err
}

// rule allows a name at a server's port.
func (s *server) rule(name, mark string) string { return fmt.Sprintf("%s:%d%s", name, s.port, mark) }

// client goes through the gate. The certificate of a test server is for
// example.com, so names below it are trusted.
func (l *lab) client(s *server) *http.Client {
	roots := x509.NewCertPool()
	if s.TLS != nil {
		roots.AddCert(s.Certificate())
	}
	tr := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: l.at}),
		TLSClientConfig: &tls.Config{RootCAs: roots},
	}
	l.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// say sends raw text and returns all of the answer.
func (l *lab) say(text string) string {
	l.t.Helper()
	conn := l.dial()
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		l.t.Fatal(err)
	}
	answer, _ := io.ReadAll(conn)
	return string(answer)
}

func (l *lab) dial() net.Conn {
	l.t.Helper()
	conn, err := net.Dial("tcp", l.at)
	if err != nil {
		l.t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	l.t.Cleanup(func() { conn.Close() })
	return conn
}

// tunnel asks for one and returns what is after the answer to that.
func (l *lab) tunnel(to string) net.Conn {
	l.t.Helper()
	conn := l.dial()
	fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", to, to)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil || resp.StatusCode != http.StatusOK || r.Buffered() > 0 {
		l.t.Fatalf("CONNECT %s: %v, %v", to, resp, err)
	}
	return conn
}

// visited ends the gate and compares what it counted, without bytes.
func (l *lab) visited(want ...sandbox.Visit) {
	l.t.Helper()
	got := l.end()
	for i := range got {
		got[i].Sent, got[i].Received = 0, 0
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		l.t.Errorf("visits: %+v, not %+v", got, want)
	}
}

func reasonOf(answer string) string {
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
	if err != nil {
		return "no answer: " + err.Error()
	}
	return resp.Header.Get("X-Mgx-Reason")
}

// names is a name server on this machine.
type names struct {
	conn net.PacketConn

	mu     sync.Mutex
	asked  []string
	answer func(name string, nth int) []netip.Addr
	nth    map[string]int
}

// newNames answers 127.0.0.1 for everything.
func newNames(t testing.TB) *names {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &names{conn: conn, nth: map[string]int{}, answer: func(string, int) []netip.Addr { return []netip.Addr{netip.MustParseAddr("127.0.0.1")} }}
	t.Cleanup(func() { conn.Close() })
	go n.serve()
	return n
}

func (n *names) lead(answer func(name string, nth int) []netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answer = answer
}

func (n *names) wasAsked() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked
}

func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", n.conn.LocalAddr().String())
	}}
}

func (n *names) serve() {
	q := make([]byte, 1500)
	for {
		size, from, err := n.conn.ReadFrom(q)
		if err != nil {
			return
		}
		if a := n.reply(q[:size]); a != nil {
			n.conn.WriteTo(a, from)
		}
	}
}

// reply answers one question: RFC 1035, 4.1.
func (n *names) reply(q []byte) []byte {
	const header, typeA, typeAAAA = 12, 1, 28
	end := header
	var labels []string
	for q[end] != 0 {
		labels = append(labels, string(q[end+1:end+1+int(q[end])]))
		end += 1 + int(q[end])
	}
	name, kind := strings.Join(labels, "."), binary.BigEndian.Uint16(q[end+1:])
	end += 5
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, name)
	var records bytes.Buffer
	count := uint16(0)
	for _, a := range n.answer(name, n.nth[name]) {
		if a.Is4() != (kind == typeA) || a.Is6() != (kind == typeAAAA) {
			continue
		}
		count++
		raw := a.AsSlice()
		for _, v := range []any{[]byte{0xc0, header}, kind, uint16(1), uint32(0), uint16(len(raw)), raw} {
			binary.Write(&records, binary.BigEndian, v)
		}
	}
	if kind == typeA {
		n.nth[name]++
	}
	out := append([]byte(nil), q[:end]...)
	binary.BigEndian.PutUint16(out[2:], 0x8180)
	binary.BigEndian.PutUint16(out[6:], count)
	binary.BigEndian.PutUint16(out[8:], 0)
	binary.BigEndian.PutUint16(out[10:], 0)
	return append(out, records.Bytes()...)
}
