package transit

import (
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mgx"
)

// shown has a client show copies of a certificate and its key, which may be changed.
func shown(t *testing.T, cert, key string) (show func(*Options), change func(cert, key string)) {
	t.Helper()
	dir := t.TempDir()
	at := [2]string{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	change = func(cert, key string) {
		t.Helper()
		for i, from := range []string{cert, key} {
			put(t, at[i], read(t, from))
		}
	}
	change(cert, key)
	return func(o *Options) { o.ClientCertFile, o.ClientKeyFile = at[0], at[1] }, change
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Who shows a certificate that Vault knows is signed in by it, and again when the token
// is spent or the certificate was renewed; others are not.
func certificates(t *testing.T, w *world) {
	cert, key := w.Certificate("mgx")
	other, otherKey := w.Certificate("somebody")
	w.Do("POST", "auth/cert/certs/mgx", map[string]any{"certificate": read(t, cert), "token_policies": "mgx", "token_no_default_policy": true, "token_ttl": "1h"})
	show, become := shown(t, cert, key)
	by := func(c Cert) *Client {
		return w.client(t, func(o *Options) { show(o); o.Cert = &c })
	}
	c := by(Cert{Mount: "cert"})
	box := wrap(t, c, "a key")
	opens(t, by(Cert{Mount: "cert", Role: "mgx"}), box, "a key")
	spent := c.token
	w.Do("POST", "auth/token/revoke", map[string]string{"token": spent})
	opens(t, c, box, "a key")
	if c.token == spent {
		t.Error("the token that was revoked is still in use")
	}
	if after, err := c.Renew(t.Context()); err != nil || !after.Renewable {
		t.Errorf("renewed: %+v %v", after, err)
	}
	token := c.token
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := w.client(t, tokenFile(t, token)).Unwrap(t.Context(), box, []byte("of"))
	w.fails(t, "signed out", CodeToken, err)

	become(other, otherKey)
	again := by(Cert{Mount: "cert"})
	_, err = again.Unwrap(t.Context(), box, []byte("of"))
	w.fails(t, "a certificate that Vault does not know", CodeToken, err, "does not sign MGX in by certificate", "cert.pem")
	become(cert, key)
	again.http.CloseIdleConnections()
	opens(t, again, box, "a key")

	_, err = by(Cert{Mount: "cert", Role: "none"}).Unwrap(t.Context(), box, []byte("of"))
	w.fails(t, "no role", CodeToken, err)
	_, err = by(Cert{Mount: "nowhere"}).Unwrap(t.Context(), box, []byte("of"))
	w.fails(t, "no such mount", CodeToken, err)
	late := by(Cert{Mount: "cert"})
	put(t, late.o.ClientKeyFile, "no key any more")
	_, err = late.Unwrap(t.Context(), box, []byte("of"))
	w.fails(t, "a key that is none", CodeConfig, err, "client_key_file")
}

// What stands before Vault and takes known certificates alone takes that of a client
// whose token comes from elsewhere, and who shows none hears that it is to.
func TestCertificateOnTheWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cert, key := w.Certificate("mgx")
	known := x509.NewCertPool()
	known.AppendCertsFromPEM([]byte(read(t, cert)))
	front := httptest.NewUnstartedServer(newBetween(t, w).Config.Handler)
	pair, err := tls.LoadX509KeyPair(w.CA, filepath.Join(filepath.Dir(w.CA), "server-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	front.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: known}
	front.StartTLS()
	t.Cleanup(front.Close)
	client := func(show func(*Options)) *Client {
		return w.client(t, func(o *Options) { tokenFile(t, w.Token(nil, "mgx"))(o); show(o); o.Address = front.URL })
	}
	show, _ := shown(t, cert, key)
	opens(t, client(show), wrap(t, client(show), "a key"), "a key")
	_, err = client(func(*Options) {}).Wrap(t.Context(), []byte("a key"), []byte("of"))
	w.fails(t, "no certificate", CodeUnreachable, err, "client_cert_file")
	show, _ = shown(t, w.CA, filepath.Join(filepath.Dir(w.CA), "server-key.pem"))
	_, err = client(show).Wrap(t.Context(), []byte("a key"), []byte("of"))
	w.fails(t, "a certificate that is not known", CodeUnreachable, err, "client_cert_file")
}

// What is wrong with a certificate is said when the file of the options is read.
func TestLoadCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "no.pem"), "nothing")
	put(t, filepath.Join(dir, "open.pem"), "nothing")
	if err := os.Chmod(filepath.Join(dir, "open.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "vault.json")
	for more, words := range map[string]string{
		`"token_env": "T", "cert": {}`: "give one of",
		`"cert": {}`:                   "client_cert_file",
		`"cert": {"mount": "../sys"}, "client_cert_file": "x", "client_key_file": "x"`:                               "mount",
		`"token_env": "T", "client_cert_file": "no.pem"`:                                                             "go together",
		`"token_env": "T", "client_key_file": "no.pem"`:                                                              "go together",
		`"token_env": "T", "client_cert_file": "none.pem", "client_key_file": "no.pem"`:                              "none.pem: no such file",
		`"token_env": "T", "client_cert_file": "no.pem", "client_key_file": "none.pem"`:                              "none.pem: no such file",
		`"token_env": "T", "client_cert_file": "no.pem", "client_key_file": "open.pem"`:                              "chmod 600",
		`"token_env": "T", "client_cert_file": "open.pem", "client_key_file": "no.pem"`:                              "not a certificate and its key",
		`"token_env": "T", "address": "http://localhost", "client_cert_file": "no.pem", "client_key_file": "no.pem"`: "over https://",
	} {
		put(t, file, `{"address": "https://a", "key": "k", `+more+`}`)
		if _, err := Load(file); !mgx.IsCode(err, CodeConfig) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v, want %q", more, err, words)
		}
	}
}
