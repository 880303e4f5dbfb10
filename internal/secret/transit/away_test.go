package transit

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mgx"
	"mgx/internal/secret"
)

// A Vault that is sealed, gone and back again is said to be, and works when it does.
func TestVaultComesAndGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.client(t, tokenFile(t, w.Token(nil, "mgx")))
	box := wrap(t, c, "a key")
	w.Seal()
	_, err := c.Unwrap(t.Context(), box, []byte("of"))
	w.fails(t, "sealed", CodeSealed, err, "unseal")
	w.Unseal()
	opens(t, c, box, "a key")
	w.Kill()
	_, err = c.Unwrap(t.Context(), box, []byte("of"))
	w.fails(t, "gone", CodeUnreachable, err, w.Address)
	_, err = c.Wrap(t.Context(), []byte("another"), []byte("of"))
	w.fails(t, "gone for wrapping", CodeUnreachable, err)
	w.Restart()
	_, err = c.Unwrap(t.Context(), box, []byte("of"))
	w.fails(t, "sealed after its start", CodeSealed, err)
	w.Unseal()
	opens(t, c, box, "a key")
}

// between stands before a Vault, and does to requests what a test says.
type between struct {
	*httptest.Server
	do    atomic.Pointer[http.HandlerFunc] // nil: passes requests on
	asked atomic.Int32
}

func newBetween(t *testing.T, w *world) *between {
	to, err := url.Parse(w.Address)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(w.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	pass := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
	}
	b := &between{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		b.asked.Add(1)
		if do := b.do.Load(); do != nil {
			(*do)(rw, r)
			return
		}
		pass.ServeHTTP(rw, r)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *between) does(f http.HandlerFunc) {
	b.asked.Store(0)
	if f == nil {
		b.do.Store(nil)
		return
	}
	b.do.Store(&f)
}

// Whatever answers in Vault's place, the client says something short and true, soon,
// without the token; and it asks again only where that may help.
func TestAnswersThatMakeNoSense(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := newBetween(t, w)
	c := w.client(t, func(o *Options) { tokenFile(t, w.Token(nil, "mgx"))(o); o.Address, o.Namespace = b.URL, "team" })
	box := wrap(t, c, "a key")
	says := func(status int, text string) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Vault-Namespace") != "team" || r.Header.Get("X-Vault-Request") != "true" {
				t.Errorf("asked with %v", r.Header)
			}
			rw.WriteHeader(status)
			io.WriteString(rw, strings.ReplaceAll(text, "TOKEN", r.Header.Get("X-Vault-Token")))
		}
	}
	for _, fault := range []struct {
		what, code string
		do         http.HandlerFunc
		tries      int32
	}{
		{"huge", CodeAnswer, says(200, `{"data":{"plaintext":"`+strings.Repeat("A", 1<<20)+`"}}`), 3},
		{"no JSON", CodeAnswer, says(200, "<html>TOKEN"), 3},
		{"a list", CodeAnswer, says(200, "[]"), 3},
		{"nothing", CodeAnswer, says(200, ""), 3},
		{"no data", CodeAnswer, says(200, "{}"), 1},
		{"no content", CodeAnswer, says(204, ""), 1},
		{"data of another kind", CodeAnswer, says(200, `{"data":{"plaintext":7}}`), 1},
		{"no base64", CodeAnswer, says(200, `{"data":{"plaintext":"TOKEN ***"}}`), 1},
		{"a teapot", CodeAnswer, says(418, `{"errors":["TOKEN"]}`), 3},
		{"an error of its own", CodeUnreachable, says(500, `{"errors":["TOKEN"]}`), 3},
		{"busy", CodeUnreachable, says(429, "TOKEN"), 3},
		{"standing by", CodeUnreachable, says(503, `{"errors":["TOKEN is in standby"]}`), 3},
		{"sealed", CodeSealed, says(503, `{"errors":["Vault is sealed"]}`), 1},
		{"refused, and the token too", CodeToken, says(403, `{"errors":["TOKEN"]}`), 4},
		{"not its box", secret.CodeRing, says(400, `{"errors":["TOKEN"]}`), 1},
		{"no such path", CodeKey, says(404, `{"errors":[]}`), 1},
		{"cut off", CodeUnreachable, func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Length", "100")
			io.WriteString(rw, "{")
		}, 3},
		{"hung up", CodeUnreachable, func(rw http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }, 3},
		{"another address", CodeConfig, func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, w.Address+r.URL.Path, http.StatusTemporaryRedirect)
		}, 1},
	} {
		b.does(fault.do)
		got, err := c.Unwrap(t.Context(), box, []byte("of"))
		w.fails(t, fault.what, fault.code, err)
		if got != nil || len(err.Error()) > 400 || mgx.AsError(err).Kind != mgx.KindConfig {
			t.Errorf("%s: %q %v", fault.what, got, err)
		}
		if asked := b.asked.Load(); asked != fault.tries && fault.code != CodeToken {
			t.Errorf("%s: asked %d times, want %d", fault.what, asked, fault.tries)
		}
		if fault.what == "huge" && !strings.Contains(err.Error(), "larger than 64 KiB") {
			t.Errorf("a huge answer was read: %v", err)
		}
		b.does(nil)
		opens(t, c, box, "a key") // and right after
	}
	// A Vault that knows no associated data opens a box for anything.
	b.does(says(200, `{"data":{"ciphertext":"vault:v1:AAAA","plaintext":"a2V5"}}`))
	_, err := c.Wrap(t.Context(), []byte("key"), []byte("of"))
	w.fails(t, "nothing is bound", CodeKey, err, "associated data")
	_, err = c.Wrap(t.Context(), []byte("another key"), []byte("of"))
	w.fails(t, "not what was wrapped", CodeAnswer, err)
	for _, box := range []string{"", "plain", "vault:v1:" + strings.Repeat("A", maxBox)} {
		b.does(says(200, `{"data":{"ciphertext":"`+box+`"}}`))
		_, err := c.Wrap(t.Context(), []byte("key"), []byte("of"))
		w.fails(t, "wrapped as "+box[:min(len(box), 12)], CodeAnswer, err)
	}
	// What fails twice and then works, works.
	var left atomic.Int32
	left.Store(2)
	b.does(func(rw http.ResponseWriter, r *http.Request) {
		if left.Add(-1) == 0 {
			b.do.Store(nil)
		}
		rw.WriteHeader(http.StatusBadGateway)
	})
	opens(t, c, box, "a key")
}

// A call ends in time although nothing comes back, and so does one that nobody waits for.
func TestStall(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // which takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := Options{Address: "http://" + l.Addr().String(), Mount: "transit", Key: "mgx", Timeout: 300 * time.Millisecond, TokenEnv: "T", Getenv: func(string) string { return "a-token" }}
	if err := o.check(); err != nil {
		t.Fatal(err)
	}
	c := New(o)
	_, err = c.Unwrap(t.Context(), []byte("vault:v1:AAAA"), []byte("of"))
	if !mgx.IsCode(err, CodeUnreachable) || !strings.Contains(err.Error(), "no answer within 300ms") {
		t.Errorf("stalled: %v", err)
	}
	if _, err := c.Try(t.Context()); !mgx.IsCode(err, CodeUnreachable) {
		t.Errorf("tried: %v", err)
	}
}
