package egress_test

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/egress"
)

func TestParseRule(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"registry.npmjs.org:443": "", "Registry.NPMJS.org.:443": "registry.npmjs.org:443", "*.example.org:443": "", "localhost:8080+private": "",
		"8.8.8.8:53": "", "10.0.0.5:443+private": "", "[2606:4700::1111]:443": "", "[FD00::1]:80+private": "[fd00::1]:80+private", "xn--bcher-kva.example:443": "",
		"a_b.example:65535": "",
	} {
		r, err := egress.ParseRule(text)
		if err != nil || r.String() != cmp.Or(want, text) {
			t.Errorf("%s: %s, %v", text, r, err)
		}
	}
	for text, why := range map[string]string{
		"": "HOST:PORT", "example.org": "the port is missing", "example.org:": "HOST:PORT", "example.org:0": "HOST:PORT", "example.org:70000": "HOST:PORT", "example.org:044": "HOST:PORT",
		"https://example.org:443": "alone", "example.org:443/": "alone", "user@example.org:443": "alone", "*:443": "alone", "*.*:443": "alone", "a.*.b:443": "alone",
		"*.org:443": "names below one that has a dot", "*.10.0.0.1:443": "names below", "bücher.example:443": "xn--", "exa mple.org:443": "HOST:PORT",
		"10.0.0.5:443": "10.0.0.5:443+private", "[::1]:443": "[::1]:443+private", "169.254.169.254:80": "nothing can be reached", "169.254.169.254:80+private": "nothing can be reached",
		"[64:ff9b::a9fe:a9fe]:80+private": "nothing can be reached", "0.0.0.0:80+private": "nothing", "0x7f.1:80+private": "HOST:PORT", "2130706433:80": "HOST:PORT",
		"[::ffff:10.0.0.1]:80+private": "HOST:PORT", "::1:80": "HOST:PORT", "a.test:80+private+private": "HOST:PORT", "a.test:80+public": "HOST:PORT",
	} {
		_, err := egress.ParseRule(text)
		if e := mgx.AsError(err); err == nil || e.Code != "bad_allowed_host" || !strings.Contains(e.Message, why) {
			t.Errorf("%q: %v, not %q", text, err, why)
		}
	}
}

func TestListIsBounded(t *testing.T) {
	t.Parallel()
	l, err := egress.NewList()
	for port := 1; port <= 1001 && err == nil; port++ {
		err = l.Allow(egress.Rule{Host: "a.test", Port: port})
	}
	if !mgx.IsCode(err, "too_many_allowed_hosts") {
		t.Error(err)
	}
	if err := l.Allow(egress.Rule{Host: "a.test", Port: 1}); err != nil {
		t.Errorf("a rule that is there: %v", err)
	}
}

// A host in its normal form stays as it is, and whatever is taken for a name is an
// address in no notation.
func TestNormal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.StringMatching(`[0-9a-fx.:\[\]]{1,20}`), rapid.StringMatching(`[A-Za-z0-9.\-_]{1,20}`), rapid.String(),
		).Draw(t, "host")
		host, ok := egress.Normal(text)
		if !ok {
			return
		}
		shown := host
		if strings.Contains(host, ":") {
			shown = "[" + host + "]"
		}
		if again, ok := egress.Normal(shown); !ok || again != host {
			t.Fatalf("%q is %q, and that is %q", text, host, again)
		}
		if a, err := netip.ParseAddr(host); err == nil {
			if !strings.EqualFold(strings.Trim(strings.TrimSuffix(text, "."), "[]"), host) && a.Is4() {
				t.Fatalf("%q is taken for %s", text, a)
			}
		} else if last := host[strings.LastIndexByte(host, '.')+1:]; strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") && strings.Trim(last[2:], "0123456789abcdef") == "" {
			t.Fatalf("%q is taken for a name", text)
		}
	})
}

// FuzzHead: what is taken as a request is one for net/http too, and the same.
func FuzzHead(f *testing.F) {
	for _, text := range []string{
		"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
		"GET http://a.test/x?y HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n",
		"POST http://a.test:80/ HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\n",
		"POST http://a.test:8080 HTTP/1.1\r\nHost: a.test:8080\r\nTransfer-Encoding: chunked\r\n\r\n",
		"GET http://[::1]:8080/ HTTP/1.0\r\n\r\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := egress.ParseHead(text)
		if err != nil || !bytes.HasSuffix(text, []byte("\r\n\r\n")) {
			return
		}
		if len(got.Host) == 0 || got.Port < 1 || got.Port > 65535 || strings.ContainsAny(got.Host, "@/\\ ") {
			t.Fatalf("%q goes to %q", text, got.Host)
		}
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
		if err != nil {
			return // net/http is stricter in what URLs may hold
		}
		host, _ := egress.Normal(bracketed(req.URL.Hostname()))
		if got.Method == http.MethodConnect {
			name, _, err := net.SplitHostPort(req.URL.Host)
			if host, _ = egress.Normal(bracketed(name)); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
		}
		if req.Method != got.Method || host != got.Host || (len(req.TransferEncoding) > 0) != got.Chunked || req.ContentLength > 0 && got.Length == "" {
			t.Fatalf("%q is %+v here, and %s %s %v %d for net/http", text, got, req.Method, req.URL, req.TransferEncoding, req.ContentLength)
		}
	})
}

func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// FuzzHello: the first message goes on as it came.
func FuzzHello(f *testing.F) {
	for _, c := range []*tls.Config{{ServerName: "example.com"}, {ServerName: "a.test", MaxVersion: tls.VersionTLS12}, {InsecureSkipVerify: true}} {
		ours, theirs := net.Pipe()
		go tls.Client(theirs, c).Handshake()
		first := make([]byte, 4096)
		n, err := ours.Read(first)
		ours.Close()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(first[:n])
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		raw, name, err := egress.Hello(text)
		if err != nil {
			return
		}
		if len(raw) > 0 && !bytes.HasPrefix(text, raw) || len(raw) < 40 || raw[0] != 22 || !bytes.Contains(raw, []byte(name)) && len(raw) < 300 {
			t.Errorf("%q for %q of %q", raw, name, text)
		}
	})
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	own, key := filepath.Join(dir, "corp.pem"), filepath.Join(dir, "key.pem")
	os.WriteFile(own, []byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), 0o600)
	os.WriteFile(key, []byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n"), 0o600)
	given := map[string]string{
		"SSL_CERT_FILE": own, "PIP_CERT": key, "GOPROXY": "https://go.corp.example,direct", "PIP_INDEX_URL": "https://me:s3cret@pip.corp.example/simple",
		"npm_config_registry": "https://npm.corp.example/", "HTTPS_PROXY": "http://me:s3cret@proxy.corp.example:8080", "NPM_TOKEN": "s3cret",
	}
	env, mounts := egress.Environment(func(name string) string { return given[name] })
	gate := egress.New(new(egress.List), egress.Options{Environ: env})
	all := sandbox.Environ("/h", "/t", gate.Environ())
	for _, want := range []string{
		"HTTPS_PROXY=http://127.0.0.1:3128", "https_proxy=http://127.0.0.1:3128", "ALL_PROXY=http://127.0.0.1:3128", "no_proxy=localhost,127.0.0.1,::1",
		"GOPROXY=https://go.corp.example,direct", "GOSUMDB=sum.golang.org", "npm_config_registry=https://npm.corp.example/", "npm_config_offline=false",
		"SSL_CERT_FILE=/run/mgx/certificates/corp.pem", "NODE_EXTRA_CA_CERTS=/run/mgx/certificates/corp.pem", "PIP_CERT=/run/mgx/certificates/corp.pem",
	} {
		if !slices.Contains(all, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(strings.Join(all, "\n"), "s3cret") {
		t.Errorf("a secret is handed on: %q", all)
	}
	home, _ := os.UserHomeDir()
	_, offline, _ := sandbox.Toolchains(os.Getenv, home, "")
	for _, kv := range offline { // what keeps toolchains from the network does not hold any more
		upper := strings.ToUpper(kv)
		if (strings.Contains(upper, "OFFLINE") || strings.Contains(upper, "NETWORK") || strings.HasPrefix(kv, "GOPROXY=")) && slices.Contains(sandbox.Environ("/h", "/t", offline, env), kv) {
			t.Errorf("%s holds although there is a network", kv)
		}
	}
	real, _ := filepath.EvalSymlinks(own)
	if len(mounts) != 1 || mounts[0] != (sandbox.Mount{Host: real, Guest: "/run/mgx/certificates/corp.pem", Mode: sandbox.ReadOnly}) {
		t.Errorf("mounts: %+v", mounts)
	}
}
