package egress_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/egress"
)

var quiet = log.New(io.Discard, "", 0)

func hi(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "hello %s", r.Host) }

func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestAllowedHosts(t *testing.T) {
	t.Parallel()
	secure, plain := newServer(t, true, hi), newServer(t, false, hi)
	l := newLab(t, egress.Options{}, secure.rule("example.com", "+private"), plain.rule("plain.test", "+private")).serve()
	if code, body := get(t, l.client(secure), fmt.Sprintf("https://EXAMPLE.com:%d/", secure.port)); code != 200 || body != fmt.Sprintf("hello EXAMPLE.com:%d", secure.port) {
		t.Errorf("https: %d %s", code, body)
	}
	if code, body := get(t, l.client(plain), fmt.Sprintf("http://plain.test:%d/a?b", plain.port)); code != 200 || body != fmt.Sprintf("hello plain.test:%d", plain.port) {
		t.Errorf("http: %d %s", code, body)
	}
	got := l.end()
	if len(got) != 2 || got[0].Host != "example.com" || !got[0].Allowed || got[0].Sent < 300 || got[0].Received < 500 || got[1].Sent < 50 || got[1].Received < 50 {
		t.Errorf("visits: %+v", got)
	}
}

// What is not listed is told so, and its name is not asked for anywhere.
func TestNotListed(t *testing.T) {
	t.Parallel()
	s := newServer(t, true, hi)
	l := newLab(t, egress.Options{}, s.rule("example.com", "+private"), "*.below.test:443").serve()
	for _, to := range []string{
		"secret-data.evil.test:443", fmt.Sprintf("example.com.evil.test:%d", s.port), fmt.Sprintf("notexample.com:%d", s.port),
		"example.com:443", "below.test:443", "xbelow.test:443", "a.below.test:80", "127.0.0.1:80", "[::1]:80", "169.254.169.254:80",
	} {
		answer := l.say("CONNECT " + to + " HTTP/1.1\r\nHost: " + to + "\r\n\r\n")
		if reasonOf(answer) != egress.NotListed || !strings.HasPrefix(answer, "HTTP/1.1 403 ") ||
			!strings.Contains(answer, "MGX: "+to+" is not among") || !strings.Contains(answer, "--allow-host "+to) || !strings.Contains(answer, "*.below.test:443") {
			t.Errorf("%s: %s", to, answer)
		}
	}
	if asked := l.names.wasAsked(); asked != nil {
		t.Errorf("names were resolved: %q", asked)
	}
	if n := s.accepted.Load(); n != 0 {
		t.Errorf("the server was reached %d times", n)
	}
}

// Requests that some server could read in another way, hosts that some resolver
// could, and what is no request at all.
func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	s := newServer(t, false, hi)
	l := newLab(t, egress.Options{}, s.rule("a.test", "+private"), s.rule("127.0.0.1", "+private")).serve()
	p := fmt.Sprint(s.port)
	connect := func(to string) string { return "CONNECT " + to + " HTTP/1.1\r\nHost: " + to + "\r\n\r\n" }
	request := func(headers string) string {
		return "POST http://a.test:" + p + "/ HTTP/1.1\r\n" + headers + "\r\n0\r\n\r\n"
	}
	host := "Host: a.test:" + p + "\r\n"
	for reason, list := range map[string][]string{
		egress.BadHost: {
			connect("2130706433:" + p), connect("0x7f000001:" + p), connect("0x7f.1:" + p), connect("0177.0.0.1:" + p), connect("127.1:" + p), connect("127.0.0.1.0x:" + p),
			connect("[::ffff:127.0.0.1]:" + p), connect("[::ffff:7f00:1]:" + p), connect("[fe80::1%25lo]:" + p), connect("[::1]x:" + p), connect("[127.0.0.1]:" + p), connect("::1:" + p),
			connect("a.test@127.0.0.1:" + p), connect("user:pw@a.test:" + p), connect("a.test"), connect("a.test:"), connect("a.test:0" + p), connect("a.test:+" + p),
			connect("a.test:99999"), connect(":" + p), connect("a..test:" + p), connect(".a.test:" + p), connect("a.test..:" + p), connect("a.test%00:" + p), connect("a.test/b:" + p),
			"GET http://evil@a.test:" + p + "/ HTTP/1.1\r\n" + host + "\r\n", "GET http://a.test:" + p + "\\@evil/ HTTP/1.1\r\n" + host + "\r\n", "GET http:///x HTTP/1.1\r\n" + host + "\r\n",
		},
		egress.OtherHost: {
			request("Host: evil.test\r\n"), request("Host: a.test\r\n"), request("Host: \r\n"),
			"CONNECT a.test:" + p + " HTTP/1.1\r\nHost: evil.test:" + p + "\r\n\r\n",
		},
		egress.BadRequest: {
			request(""), request(host + host), request(host + "Host: evil.test\r\n"), request(host + "host: evil.test\r\n"),
			request(host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), request(host + "Content-Length: 5\r\nContent-Length: 5\r\n"),
			request(host + "Content-Length: 5, 5\r\n"), request(host + "Content-Length: +5\r\n"), request(host + "Content-Length: 0x5\r\n"), request(host + "Content-Length:\r\n"),
			request(host + "Transfer-Encoding: xchunked\r\n"), request(host + "Transfer-Encoding: chunked, identity\r\n"), request(host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
			request(host + "Transfer-Encoding : chunked\r\n"), request(host + "X: y\r\n Transfer-Encoding: chunked\r\n"), request(host + "X: a\nTransfer-Encoding: chunked\r\n"),
			request(host + "X: a\rTransfer-Encoding: chunked\r\n"), request(host + "X: \x00\r\n"), request(host + ": x\r\n"), request(host + "no colon\r\n"), request(strings.Repeat("A: b\r\n", 250) + host),
			request(host + "X: " + strings.Repeat("a", 70_000) + "\r\n"),
			"GET / HTTP/1.1\r\n" + host + "\r\n", "GET https://a.test:" + p + "/ HTTP/1.1\r\n" + host + "\r\n", "GET ftp://a.test/ HTTP/1.1\r\n" + host + "\r\n",
			"GET http://a.test:" + p + "/#x HTTP/1.1\r\n" + host + "\r\n", "GET  http://a.test:" + p + "/ HTTP/1.1\r\n" + host + "\r\n", "GET http://a.test:" + p + "/ HTTP/2.0\r\n" + host + "\r\n",
			"GET http://a.test:" + p + "/\t HTTP/1.1\r\n" + host + "\r\n", "GET http://a.test:" + p + "/%zz HTTP/1.1\r\n" + host + "\r\n", "\r\n\r\nGET http://a.test:" + p + "/ HTTP/1.1\r\n" + host + "\r\n",
			"CONNECT a.test:" + p + " HTTP/1.1\r\nHost: a.test:" + p + "\r\nContent-Length: 3\r\n\r\nabc", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x16\x03\x01\x02\x00\x01\r\n\r\n",
		},
	} {
		for _, text := range list {
			if got := reasonOf(l.say(text)); got != reason {
				t.Errorf("%.120q: %s, not %s", text, got, reason)
			}
		}
	}
	if n := s.accepted.Load(); n != 0 {
		t.Errorf("the server was reached %d times", n)
	}
}

// A name may lead anywhere, and elsewhere the next time: what counts is the
// address that is about to be dialled.
func TestRebinding(t *testing.T) {
	t.Parallel()
	s := newServer(t, false, hi)
	l := newLab(t, egress.Options{}, s.rule("public.test", ""), s.rule("private.test", "+private")).serve()
	addresses := func(texts ...string) (list []netip.Addr) {
		for _, text := range texts {
			list = append(list, netip.MustParseAddr(text))
		}
		return list
	}
	ask := func(host string) string {
		to := fmt.Sprintf("%s:%d", host, s.port)
		return l.say("GET http://" + to + "/ HTTP/1.1\r\nHost: " + to + "\r\n\r\n")
	}
	for _, c := range []struct {
		host    string
		answers []netip.Addr
		reason  string
	}{
		{"public.test", addresses("127.0.0.1"), egress.AddressTaken},
		{"public.test", addresses("10.0.0.1", "192.168.1.1"), egress.AddressTaken},
		{"public.test", addresses("::ffff:127.0.0.1"), egress.AddressTaken},
		{"public.test", addresses("64:ff9b::7f00:1"), egress.AddressTaken},
		{"public.test", addresses("2002:7f00:1::"), egress.AddressNever},
		{"public.test", addresses("::1"), egress.AddressTaken},
		{"public.test", addresses("0.0.0.0"), egress.AddressNever},
		{"private.test", addresses("169.254.169.254"), egress.AddressNever},
		{"private.test", addresses("0.0.0.0"), egress.AddressNever},
		{"private.test", addresses("fe80::1", "64:ff9b::a9fe:a9fe"), egress.AddressNever},
		{"public.test", addresses("198.18.0.7"), egress.AddressTaken},
		{"private.test", addresses("169.254.169.254", "127.0.0.1"), ""},
		{"public.test", nil, egress.Unresolved},
	} {
		l.names.lead(func(string, int) []netip.Addr { return c.answers })
		before := s.accepted.Load()
		answer := ask(c.host)
		if got := reasonOf(answer); got != c.reason {
			t.Errorf("%s at %v: %q, not %q\n%s", c.host, c.answers, got, c.reason, answer)
		}
		if reached := s.accepted.Load() - before; (reached > 0) != (c.reason == "") {
			t.Errorf("%s at %v: the server was reached %d times", c.host, c.answers, reached)
		}
	}
	if answer := ask("public.test"); !strings.Contains(answer, "was not found") {
		t.Error(answer)
	}
	l.names.lead(func(_ string, nth int) []netip.Addr { // whatever comes first, the dial decides
		if nth%2 == 0 {
			return addresses("198.51.100.1")
		}
		return addresses("127.0.0.1")
	})
	for range 4 {
		if got := reasonOf(ask("public.test")); got != egress.AddressTaken {
			t.Errorf("rebinding: %s", got)
		}
	}
}

// A redirect is the program's own next request, and checked as such.
func TestRedirect(t *testing.T) {
	t.Parallel()
	other := newServer(t, false, hi)
	s := newServer(t, false, func(w http.ResponseWriter, r *http.Request) {
		to := map[string]string{"/name": fmt.Sprintf("http://other.test:%d/", other.port), "/address": other.URL, "/self": "/there"}[r.URL.Path]
		if to == "" {
			hi(w, r)
			return
		}
		http.Redirect(w, r, to, http.StatusFound)
	})
	l := newLab(t, egress.Options{}, s.rule("a.test", "+private")).serve()
	for path, want := range map[string]int{"/name": 403, "/address": 403, "/self": 200} {
		if code, _ := get(t, l.client(s), fmt.Sprintf("http://a.test:%d%s", s.port, path)); code != want {
			t.Errorf("%s: %d", path, code)
		}
	}
	if other.accepted.Load() > 0 {
		t.Error("the redirect was followed to a host that is not allowed")
	}
}

// The second request on a connection is not one that the gate has looked at, so
// there is none.
func TestOneRequestPerConnection(t *testing.T) {
	t.Parallel()
	s := newServer(t, false, hi)
	l := newLab(t, egress.Options{}, s.rule("a.test", "+private")).serve()
	one := fmt.Sprintf("GET http://a.test:%d/ HTTP/1.1\r\nHost: a.test:%d\r\n\r\n", s.port, s.port)
	if answer := l.say(one + "GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n"); strings.Count(answer, "HTTP/1.1 ") != 1 || !strings.Contains(answer, "hello a.test") {
		t.Error(answer)
	}
	l.visited(sandbox.Visit{Host: "a.test", Port: s.port, Allowed: true, Times: 1})
}

func TestForwarding(t *testing.T) {
	t.Parallel()
	s := newServer(t, false, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %q %d %v %q %q %q\n", r.Method, r.RequestURI, body, r.ContentLength, r.TransferEncoding,
			r.Header.Get("Proxy-Authorization")+r.Header.Get("Named")+r.Header.Get("Upgrade"), r.Header.Get("Kept"), r.Header.Get("User-Agent"))
		if r.URL.Path == "/stream" {
			w.(http.Flusher).Flush()
			fmt.Fprint(w, "more\n")
		}
	})
	l := newLab(t, egress.Options{}, s.rule("a.test", "+private")).serve()
	to := fmt.Sprintf("a.test:%d", s.port)
	for request, want := range map[string][]string{
		"GET http://" + to + "//x/../%2e?a=b%20c HTTP/1.1\r\nHost: " + to + "\r\nProxy-Authorization: Basic eA==\r\nConnection: named\r\nNamed: n\r\nUpgrade: h2c\r\nKept: k\r\n\r\n": {`GET //x/../%2e?a=b%20c "" 0 [] "" "k" ""`, "Connection: close"},
		"POST http://" + to + " HTTP/1.1\r\nHost: " + to + "\r\nContent-Length: 5\r\nUser-Agent: me\r\n\r\nhello extra":                                                               {`POST / "hello" 5 [] "" "" "me"`},
		"POST http://" + to + "/ HTTP/1.1\r\nHost: " + to + "\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n":                                                           {`POST / "hello" -1 [chunked] "" "" ""`},
		"POST http://" + to + "/ HTTP/1.1\r\nHost: " + to + "\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello":                                                              {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200", `"hello"`},
		"GET http://" + to + "/stream HTTP/1.0\r\n\r\n":                                        {"HTTP/1.0 200 OK", "\r\n\r\nGET /stream \"\" 0 [] \"\" \"\" \"\"\nmore\n"},
		"GET http://" + to + "/stream HTTP/1.1\r\nHost: " + to + "\r\n\r\n":                    {"HTTP/1.1 200 OK", "Transfer-Encoding: chunked"},
		"HEAD HTTP://A.TEST.:" + fmt.Sprint(s.port) + "/ HTTP/1.1\r\nHost: " + to + "\r\n\r\n": {"HTTP/1.1 200 OK", "Content-Length: "},
	} {
		answer := l.say(request)
		for _, part := range want {
			if !strings.Contains(answer, part) {
				t.Errorf("%q: no %q in\n%s", request, part, answer)
			}
		}
	}
}

// Who sends nothing, or a byte now and then, does not stay.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	s := newServer(t, true, hi)
	l := newLab(t, egress.Options{}, s.rule("a.test", "+private"))
	l.gate.Hurry(300*time.Millisecond, patience)
	l.serve()
	silent := l.dial()
	drip := l.dial()
	go func() {
		for {
			if _, err := io.WriteString(drip, "GET"); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	for name, conn := range map[string]net.Conn{"silent": silent, "drip": drip} {
		if answer, _ := io.ReadAll(conn); reasonOf(string(answer)) != egress.TooSlow {
			t.Errorf("%s: %q", name, answer)
		}
	}
}

func TestSilentTunnel(t *testing.T) {
	t.Parallel()
	s := newServer(t, true, hi)
	l := newLab(t, egress.Options{}, s.rule("a.test", "+private"))
	l.gate.Hurry(5*time.Second, patience)
	l.serve()
	conn := l.tunnel(fmt.Sprintf("a.test:%d", s.port))
	if answer, err := io.ReadAll(conn); err != nil || len(answer) != 7 { // an alert
		t.Errorf("%q, %v", answer, err)
	}
	l.visited(sandbox.Visit{Host: "a.test", Port: s.port, Reason: egress.TooSlow, Times: 1})
}

// Connections beyond the bound wait until there is room.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	l := newLab(t, egress.Options{})
	l.gate.AtOnce(2)
	l.serve()
	idle := []net.Conn{l.dial(), l.dial()}
	waiting := l.dial()
	io.WriteString(waiting, "CONNECT a.test:1 HTTP/1.1\r\nHost: a.test:1\r\n\r\n")
	waiting.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := waiting.Read(make([]byte, 1)); err == nil {
		t.Error("a third connection was served beside two")
	}
	idle[0].Close()
	waiting.SetReadDeadline(time.Now().Add(patience))
	if answer, _ := io.ReadAll(waiting); reasonOf(string(answer)) != egress.NotListed {
		t.Errorf("%q", answer)
	}
}

// Nor do all commands of a process have more connections than it has places, and none
// has most of them. Who waits for a place ends with its command all the same.
func TestConnectionsOfAllCommands(t *testing.T) {
	t.Parallel()
	s := newSilentServer(t)
	places := egress.NewPlaces(8)
	to := fmt.Sprintf("a.test:%d", s.port)
	reached := func(n int64) {
		for s.accepted.Load() < n {
			time.Sleep(time.Millisecond)
		}
	}
	var labs []*lab
	for i := range int64(6) {
		l := newLab(t, egress.Options{Places: places}, s.rule("a.test", "+private")).serve()
		labs = append(labs, l)
		for range 3 { // two of which get a place
			io.WriteString(l.dial(), "GET http://"+to+"/ HTTP/1.1\r\nHost: "+to+"\r\n\r\n")
		}
		reached(min(2*(i+1), 8))
	}
	labs[5].end()
	if n := s.accepted.Load(); n != 8 {
		t.Errorf("%d connections at once", n)
	}
	if v := labs[3].end(); len(v) == 0 || v[0].Times != 2 {
		t.Fatalf("the fourth command had %+v", v)
	}
	reached(10)
}

// With the command everything ends: tunnels that are in use, clients that have not
// asked yet, and the listener.
func TestEnd(t *testing.T) {
	t.Parallel()
	s := newSilentServer(t)
	l := newLab(t, egress.Options{}, s.rule("a.test", "+private")).serve()
	to := fmt.Sprintf("a.test:%d", s.port)
	silent, tunnel, waiting := l.dial(), l.tunnel(to), l.dial()
	io.WriteString(waiting, "GET http://"+to+"/ HTTP/1.1\r\nHost: "+to+"\r\n\r\n")
	for s.accepted.Load() < 2 {
		time.Sleep(time.Millisecond)
	}
	l.end()
	for name, conn := range map[string]net.Conn{"silent": silent, "tunnel": tunnel, "waiting": waiting} {
		if _, err := io.ReadAll(conn); isTimeout(err) {
			t.Errorf("%s is still there", name)
		}
	}
	if conn, err := net.Dial("tcp", l.at); err == nil {
		conn.Close()
		t.Error("the gate still listens")
	}
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// A loop does not flood what is recorded.
func TestVisitsAreBounded(t *testing.T) {
	t.Parallel()
	l := newLab(t, egress.Options{}).serve()
	for i := range 3 * egress.MaxVisits {
		l.say(fmt.Sprintf("CONNECT host%d.test:443 HTTP/1.0\r\n\r\n", i/2))
	}
	got := l.end()
	if len(got) != egress.MaxVisits+1 || got[0] != (sandbox.Visit{Host: "host0.test", Port: 443, Reason: egress.NotListed, Times: 2}) ||
		got[egress.MaxVisits] != (sandbox.Visit{Reason: egress.Others, Times: egress.MaxVisits}) {
		t.Errorf("%d visits: %+v", len(got), got)
	}
}

// What was refused before does not hide where a command went.
func TestVisitsThatAreAllowedAreToldApart(t *testing.T) {
	t.Parallel()
	s := newServer(t, false, hi)
	l := newLab(t, egress.Options{}, s.rule("plain.test", "+private")).serve()
	for i := range 2 * egress.MaxVisits {
		l.say(fmt.Sprintf("CONNECT host%d.test:443 HTTP/1.0\r\n\r\n", i))
	}
	get(t, l.client(s), fmt.Sprintf("http://plain.test:%d/", s.port))
	got := l.end()
	if last := got[len(got)-1]; len(got) != egress.MaxVisits+2 || last.Host != "plain.test" || !last.Allowed {
		t.Errorf("%d visits, at last %+v", len(got), last)
	}
}

// What is no host is shown so that it does no harm.
func TestWhatWasAskedIsShownHarmless(t *testing.T) {
	t.Parallel()
	l := newLab(t, egress.Options{}).serve()
	l.say("CONNECT 0x7f.1:443 HTTP/1.0\r\n\r\n")
	l.say("CONNECT " + strings.Repeat("\"", 1000) + " HTTP/1.0\r\n\r\n")
	l.visited(sandbox.Visit{Host: `"0x7f.1:443"`, Reason: egress.BadHost, Times: 1},
		sandbox.Visit{Host: `"` + strings.Repeat(`\"`, 60) + `"`, Reason: egress.BadHost, Times: 1})
}

func TestAllowLater(t *testing.T) {
	t.Parallel()
	s := newServer(t, false, hi)
	l := newLab(t, egress.Options{}).serve()
	ask := func() string {
		return l.say(fmt.Sprintf("GET http://a.test:%d/ HTTP/1.1\r\nHost: a.test:%d\r\n\r\n", s.port, s.port))
	}
	if got := reasonOf(ask()); got != egress.NotListed {
		t.Error(got)
	}
	r, err := egress.ParseRule(s.rule("A.test", "+private"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.list.Allow(r); err != nil {
		t.Fatal(err)
	}
	if answer := ask(); !strings.Contains(answer, "hello a.test") {
		t.Error(answer)
	}
}

func TestCaps(t *testing.T) {
	t.Parallel()
	s := newServer(t, false, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Write(make([]byte, 1<<20))
	})
	for _, o := range []egress.Options{{Sent: 100 << 10}, {Received: 100 << 10}} {
		l := newLab(t, o, s.rule("a.test", "+private")).serve()
		resp, err := l.client(s).Post(fmt.Sprintf("http://a.test:%d/", s.port), "", strings.NewReader(strings.Repeat("x", 1<<20)))
		if err == nil {
			body, e := io.ReadAll(resp.Body)
			if resp.StatusCode == 200 && e == nil {
				t.Errorf("%+v: %d bytes came", o, len(body))
			}
			resp.Body.Close()
		}
		if v := l.end()[0]; o.Sent > 0 && v.Sent > o.Sent || o.Received > 0 && v.Received > o.Received+64<<10 {
			t.Errorf("%+v: %+v", o, v)
		}
	}
}
