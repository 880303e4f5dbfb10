package sandboxtest

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/egress"
)

// gated is what the gate of a box leads to: servers on this machine, by a name
// that every machine has.
type gated struct {
	plain, secure int // ports that are allowed
	inner         int // one that is allowed by name, whose address is not
	other         int // one that is not
}

const reached = "reached"

// openGate gives the box of w a gate.
func openGate(w *world) *gated {
	g := new(gated)
	start := func(secure bool) int {
		var port int
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/redirect" {
				http.Redirect(rw, r, fmt.Sprintf("http://127.0.0.1:%d/", g.inner), http.StatusFound)
				return
			}
			io.WriteString(rw, reached)
		}))
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		if secure {
			s.StartTLS()
		} else {
			s.Start()
		}
		w.t.Cleanup(s.Close)
		port = s.Listener.Addr().(*net.TCPAddr).Port
		return port
	}
	g.plain, g.secure, g.inner, g.other = start(false), start(true), start(false), start(false)
	list, err := egress.NewList(fmt.Sprintf("localhost:%d+private", g.plain), fmt.Sprintf("localhost:%d+private", g.secure), fmt.Sprintf("localhost:%d", g.inner))
	must(w.t, err)
	env, mounts := egress.Environment(os.Getenv)
	w.spec.Gate = egress.New(list, egress.Options{Environ: env})
	w.spec.Mounts = append(w.spec.Mounts, mounts...)
	return g
}

// mayGate reports whether boxes of the driver can have a gate.
func mayGate(t *testing.T, d sandbox.Driver) bool {
	list, err := egress.NewList()
	must(t, err)
	box, err := d.Open(t.Context(), sandbox.Spec{ID: "gate", Work: t.TempDir(), Gate: egress.New(list, egress.Options{})})
	if mgx.IsCode(err, "no_allow_list") {
		return false
	}
	return errors.Join(err, box.Close()) == nil
}

// at aims at a port of what the gate leads to, written {plain}, {secure}, {inner}
// or {other}.
func at(args ...string) func(*host) []string {
	return func(h *host) []string {
		if h.gated == nil {
			return nil
		}
		ports := strings.NewReplacer("{plain}", fmt.Sprint(h.plain), "{secure}", fmt.Sprint(h.secure), "{inner}", fmt.Sprint(h.inner), "{other}", fmt.Sprint(h.other))
		out := make([]string, len(args))
		for i, a := range args {
			out[i] = ports.Replace(a)
		}
		return out
	}
}

// gateCases attack the proxy that leads to allowed hosts.
var gateCases = []attackCase{
	{"proxy: a host that is not listed", at("connect", "example.com:443"), false},
	{"proxy: a listed host at another port", at("connect", "localhost:{other}"), false},
	{"proxy: the host's loopback", at("connect", "127.0.0.1:{inner}"), false},
	{"proxy: the host's IPv6 loopback", at("connect", "[::1]:{inner}"), false},
	{"proxy: a decimal address", at("connect", "2130706433:{inner}"), false},
	{"proxy: a hexadecimal address", at("connect", "0x7f000001:{inner}"), false},
	{"proxy: an octal address", at("connect", "0177.0.0.1:{inner}"), false},
	{"proxy: a short address", at("connect", "127.1:{inner}"), false},
	{"proxy: an IPv4-mapped address", at("connect", "[::ffff:127.0.0.1]:{inner}"), false},
	{"proxy: a NAT64 address", at("connect", "[64:ff9b::7f00:1]:{inner}"), false},
	{"proxy: the metadata address", at("connect", "169.254.169.254:80"), false},
	{"proxy: a user before the host", at("connect", "localhost:{plain}@127.0.0.1:{inner}"), false},
	{"proxy: a listed name that leads inside", at("ask", "GET http://localhost:{inner}/ HTTP/1.1\r\nHost: localhost:{inner}\r\n\r\n"), false},
	{"proxy: the same by CONNECT", at("connect", "localhost:{inner}"), false},
	{"proxy: a redirect", at("redirect", "http://localhost:{plain}/redirect"), false},
	{"proxy: another server name", at("servername", "localhost:{secure}", "evil.test"), false},
	{"proxy: no server name", at("servername", "localhost:{secure}", ""), false},
	{"proxy: no TLS", at("plaintunnel", "localhost:{plain}"), false},
	{"proxy: another Host", at("ask", "GET http://localhost:{plain}/ HTTP/1.1\r\nHost: evil.test\r\n\r\n"), false},
	{"proxy: two Hosts", at("ask", "GET http://localhost:{plain}/ HTTP/1.1\r\nHost: localhost:{plain}\r\nHost: evil.test\r\n\r\n"), false},
	{"proxy: a length and chunks", at("ask", "POST http://localhost:{plain}/ HTTP/1.1\r\nHost: localhost:{plain}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), false},
	{"proxy: two lengths", at("ask", "POST http://localhost:{plain}/ HTTP/1.1\r\nHost: localhost:{plain}\r\nContent-Length: 4\r\nContent-Length: 0\r\n\r\n1234"), false},
	{"proxy: a folded header", at("ask", "POST http://localhost:{plain}/ HTTP/1.1\r\nHost: localhost:{plain}\r\nX: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), false},
	{"proxy: a second request", at("second", "GET http://localhost:{plain}/ HTTP/1.1\r\nHost: localhost:{plain}\r\n\r\n"), false},
}

// allowedHosts shows that the gate leads somewhere, that only commands which are
// online reach it, and that nothing is left of a connection that is given up.
func allowedHosts(t *testing.T, d sandbox.Driver) {
	var g *gated
	w := open(t, d, func(w *world) { g = openGate(w) })
	h := &host{world: w, gated: g}
	hold := at("hold", "localhost:{secure}")(h)
	args := []string{w.box.Path(attacker)}
	for i, a := range [][]string{
		at("ask", "GET http://localhost:{plain}/ HTTP/1.1\r\nHost: localhost:{plain}\r\n\r\n")(h), at("servername", "localhost:{secure}", "localhost")(h), at("connect", "evil.test:443")(h), hold,
	} {
		if i > 0 {
			args = append(args, separator)
		}
		args = append(args, a...)
	}
	cmd := sandbox.Command{Args: args, Env: []string{attackerEnv + "=1"}, Online: true}
	o := w.run(cmd)
	if lines := strings.Split(o.out, "\n"); len(lines) < 4 || lines[0] != fell || lines[1] != fell || !strings.HasPrefix(lines[2], held) || lines[3] != fell {
		t.Errorf("through the gate: %s%s", o.out, o.err)
	}
	inTime(t, o)
	want := []sandbox.Visit{
		{Host: "localhost", Port: g.plain, Allowed: true, Times: 1},
		{Host: "localhost", Port: g.secure, Allowed: true, Times: 2},
		{Host: "evil.test", Port: 443, Reason: egress.NotListed, Times: 1},
	}
	for i := range o.Visits {
		o.Visits[i].Sent, o.Visits[i].Received = 0, 0
	}
	if fmt.Sprint(o.Visits) != fmt.Sprint(want) {
		t.Errorf("visits: %+v", o.Visits)
	}
	other := open(t, d, func(w2 *world) { w2.spec.Mounts = append(w2.spec.Mounts, w.spec.Mounts[1:]...) })
	once := cmd
	once.Gate, once.Args = w.spec.Gate, append([]string{w.box.Path(attacker)}, at("ask", "GET http://localhost:{plain}/ HTTP/1.1\r\nHost: localhost:{plain}\r\n\r\n")(h)...)
	if o := other.run(once); !strings.HasPrefix(o.out, fell) || len(o.Visits) != 1 || !o.Visits[0].Allowed {
		t.Errorf("a command with a gate of its own: %s%s, %+v", o.out, o.err, o.Visits)
	}
	once.Gate, cmd.Gate = nil, once.Gate
	if o := other.run(once); strings.Contains(o.out, fell) || o.Visits != nil {
		t.Errorf("the next command in the same box: %s, %+v", o.out, o.Visits)
	}
	cmd.Online = false
	if o := w.run(cmd); strings.Contains(o.out, fell) || o.Visits != nil {
		t.Errorf("a command that is not online: %s, %+v", o.out, o.Visits)
	}
}
