package egress_test

import (
	"bufio"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/egress"
)

// What a tunnel carries must be TLS for the host that it was asked for.
func TestServerNames(t *testing.T) {
	t.Parallel()
	s := newServer(t, true, hi)
	for name, c := range map[string]struct {
		rule   string // of the host that is asked for
		config *tls.Config
		reason string
	}{
		"same":               {"example.com", &tls.Config{ServerName: "example.com"}, ""},
		"same in capitals":   {"example.com", &tls.Config{ServerName: "EXAMPLE.com"}, ""},
		"TLS 1.2":            {"example.com", &tls.Config{ServerName: "example.com", MaxVersion: tls.VersionTLS12}, ""},
		"another":            {"example.com", &tls.Config{ServerName: "evil.test"}, egress.OtherName},
		"a name below":       {"example.com", &tls.Config{ServerName: "www.example.com"}, egress.OtherName},
		"another, listed":    {"example.com", &tls.Config{ServerName: "listed.test"}, egress.OtherName},
		"none":               {"example.com", &tls.Config{}, egress.NoName},
		"hidden":             {"example.com", &tls.Config{ServerName: "evil.test", MinVersion: tls.VersionTLS13, EncryptedClientHelloConfigList: hidden(t, "example.com")}, egress.HiddenName},
		"of an address":      {"127.0.0.1", &tls.Config{}, ""},
		"a name, by address": {"127.0.0.1", &tls.Config{ServerName: "example.com"}, egress.OtherName},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, egress.Options{}, s.rule(c.rule, "+private"), s.rule("listed.test", "+private")).serve()
			c.config.InsecureSkipVerify = true // it is about what the gate lets through
			conn := tls.Client(l.tunnel(fmt.Sprintf("%s:%d", c.rule, s.port)), c.config)
			err := conn.Handshake()
			conn.Close()
			want := sandbox.Visit{Host: c.rule, Port: s.port, Allowed: c.reason == "", Reason: c.reason, Times: 1}
			if (err == nil) != want.Allowed {
				t.Error(err)
			}
			if err != nil && !strings.Contains(err.Error(), "unrecognized name") {
				t.Errorf("the client does not hear why: %v", err)
			}
			l.visited(want)
		})
	}
}

// hidden is a list of keys for encrypted ClientHello: RFC 9849, 4.
func hidden(t *testing.T, public string) []byte {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pub := key.PublicKey().Bytes()
	config := []byte{1, 0, 0x20} // id, X25519
	config = binary.BigEndian.AppendUint16(config, uint16(len(pub)))
	config = append(config, pub...)
	config = append(config, 0, 4, 0, 1, 0, 1, 0, byte(len(public))) // HKDF-SHA256, AES-128-GCM; any length of names
	config = append(config, public...)
	config = append(config, 0, 0)
	list := append([]byte{0xfe, 0x0d}, binary.BigEndian.AppendUint16(nil, uint16(len(config)))...)
	list = append(list, config...)
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(list))), list...)
}

func TestNotTLS(t *testing.T) {
	t.Parallel()
	s := newServer(t, false, hi)
	for name, first := range map[string]string{
		"http": "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "ssh": "SSH-2.0-x\r\n", "SSL 2": "\x80\x2e\x01\x00\x02" + strings.Repeat("\x00", 60),
		"an alert": "\x15\x03\x01\x00\x02\x02\x28", "a record of another kind": "\x17\x03\x03\x00\x10" + strings.Repeat("x", 16),
		"too large": "\x16\x03\x01\xff\xff" + strings.Repeat("x", 70_000), "another message": "\x16\x03\x01\x00\x06\x02\x00\x00\x02\x03\x03",
		"more records than a hello has": "\x16\x03\x01\x00\x04\x01\x00\xff\xff" + strings.Repeat("\x16\x03\x01\x00\x01x", 12_000),
	} {
		l := newLab(t, egress.Options{}, s.rule("a.test", "+private")).serve()
		conn := l.tunnel(fmt.Sprintf("a.test:%d", s.port))
		io.WriteString(conn, first)
		if answer, _ := io.ReadAll(conn); strings.Contains(string(answer), "hello") {
			t.Errorf("%s: the server answered %q", name, answer)
		}
		t.Log(name)
		l.visited(sandbox.Visit{Host: "a.test", Port: s.port, Reason: egress.NotTLS, Times: 1})
	}
}

// A ClientHello may come in pieces, and is the same one.
func TestHelloInPieces(t *testing.T) {
	t.Parallel()
	s := newServer(t, true, hi)
	for name, want := range map[string]bool{"example.com": true, "evil.test": false} {
		l := newLab(t, egress.Options{}, s.rule("example.com", "+private")).serve()
		conn := tls.Client(&pieces{Conn: l.tunnel(s.rule("example.com", ""))}, &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err := conn.Handshake(); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
		conn.Close()
	}
}

// pieces cuts the first record into many, each of which comes by itself.
type pieces struct {
	net.Conn
	once sync.Once
}

func (p *pieces) Write(b []byte) (n int, err error) {
	first := false
	p.once.Do(func() { first = true })
	if !first {
		return p.Conn.Write(b)
	}
	for at, body := 0, b[5:]; at < len(body); at += 20 {
		part := body[at:min(at+20, len(body))]
		record := append([]byte{b[0], b[1], b[2], 0, byte(len(part))}, part...)
		if _, err := p.Conn.Write(record); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// A tunnel that was given up by its client, or by its server, is no more.
func TestAbandonedTunnels(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	s := newServer(t, true, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hangup" {
			panic(http.ErrAbortHandler)
		}
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(gone)
	})
	l := newLab(t, egress.Options{}, s.rule("example.com", "+private")).serve()
	c := l.client(s)
	if _, err := c.Get("https://" + s.rule("example.com", "/hangup")); err == nil {
		t.Error("a server that hung up answered")
	}
	resp, err := c.Get("https://" + s.rule("example.com", "/stay"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	c.CloseIdleConnections()
	<-gone
}

// Who asks for a tunnel and is gone before it is there has reached the host all the same:
// that is told.
func TestTunnelThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	host, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	to := host.Addr().(*net.TCPAddr).Port
	l := newLab(t, egress.Options{}, fmt.Sprintf("a.test:%d+private", to)).serve()
	client := l.dial().(*net.TCPConn)
	client.SetLinger(0) // closed, it is reset
	l.names.lead(func(string, int) []netip.Addr {
		client.Close()
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	})
	fmt.Fprintf(client, "CONNECT a.test:%d HTTP/1.1\r\nHost: a.test:%d\r\n\r\n", to, to)
	reached, err := host.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if heard, err := io.ReadAll(reached); err != nil || len(heard) > 0 {
		t.Errorf("%q, %v", heard, err)
	}
	l.visited(sandbox.Visit{Host: "a.test", Port: to, Allowed: true, Times: 1})
}

// operator is the proxy of a site.
func operator(t *testing.T, names map[string]string) (at string, asked func() []string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var mu sync.Mutex
	var list []string
	handle := func(conn net.Conn) {
		defer conn.Close()
		r := bufio.NewReader(conn)
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		mu.Lock()
		list = append(list, req.Method+" "+req.RequestURI+" "+req.Header.Get("Proxy-Authorization"))
		mu.Unlock()
		to, known := names[req.Host]
		if !known || req.Header.Get("Proxy-Authorization") == "" {
			io.WriteString(conn, "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
			return
		}
		server, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer server.Close()
		if req.Method == http.MethodConnect {
			io.WriteString(conn, "HTTP/1.0 200 OK\r\nX: y\r\n\r\n")
		} else {
			req.Header.Del("Proxy-Authorization")
			req.Write(server)
		}
		go io.Copy(server, r)
		io.Copy(conn, server)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go handle(conn)
		}
	}()
	return l.Addr().String(), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return list
	}
}

// Behind an operator's proxy the gate asks that, with credentials that the box
// does not have, and it still decides what may be asked for.
func TestUpstream(t *testing.T) {
	t.Parallel()
	secure, plain := newServer(t, true, hi), newServer(t, false, hi)
	const user = "operator:pa55"
	names := map[string]string{"example.com:443": secure.Listener.Addr().String(), "plain.test": plain.Listener.Addr().String()}
	at, asked := operator(t, names)
	o := egress.Options{Upstream: func(u *url.URL) (*url.URL, error) {
		if u.Hostname() == "direct.test" { // as NO_PROXY says
			return nil, nil
		}
		return url.Parse("http://" + user + "@" + at)
	}}
	l := newLab(t, o, "example.com:443", "plain.test:80", "unknown.test:443", "unknown.test:80", plain.rule("direct.test", "+private")).serve()
	l.names.lead(func(name string, _ int) []netip.Addr {
		if name == "direct.test" {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
		}
		t.Errorf("%s was resolved here", name)
		return nil
	})
	if code, body := get(t, l.client(secure), "https://example.com/"); code != 200 || body != "hello example.com" {
		t.Errorf("%d %s", code, body)
	}
	if code, body := get(t, l.client(plain), "http://plain.test/x"); code != 200 || body != "hello plain.test" {
		t.Errorf("%d %s", code, body)
	}
	if code, _ := get(t, l.client(plain), "http://"+plain.rule("direct.test", "/")); code != 200 {
		t.Errorf("direct: %d", code)
	}
	if answer := l.say("CONNECT unknown.test:443 HTTP/1.0\r\n\r\n"); reasonOf(answer) != egress.ProxyRefused || strings.Contains(answer, "pa55") {
		t.Error(answer)
	}
	if got := reasonOf(l.say("CONNECT evil.test:443 HTTP/1.0\r\n\r\n")); got != egress.NotListed {
		t.Error(got)
	}
	const basic = " Basic b3BlcmF0b3I6cGE1NQ=="
	want := fmt.Sprint([]string{"CONNECT example.com:443" + basic, "GET http://plain.test/x" + basic, "CONNECT unknown.test:443" + basic})
	if got := fmt.Sprint(asked()); got != want {
		t.Errorf("the proxy was asked %s, not %s", got, want)
	}
}

func TestUpstreamThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	s := newServer(t, false, hi)
	for _, proxy := range []string{"socks5://127.0.0.1:1", "http://127.0.0.1:1"} {
		l := newLab(t, egress.Options{Upstream: func(*url.URL) (*url.URL, error) { return url.Parse(proxy) }}, s.rule("a.test", "+private")).serve()
		to := s.rule("a.test", "")
		for _, request := range []string{"CONNECT " + to + " HTTP/1.0\r\n\r\n", "GET http://" + to + "/ HTTP/1.0\r\n\r\n"} {
			if got := reasonOf(l.say(request)); got != egress.ProxyRefused {
				t.Errorf("%s: %s: %s", proxy, request, got)
			}
		}
	}
	if s.accepted.Load() > 0 {
		t.Error("the gate went around the proxy")
	}
}
