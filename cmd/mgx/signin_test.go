package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mgx/internal/access/oidc/oidctest"
)

// A server offers what the file of providers says, from its first start on: people
// sign in there, and neither the client's secret nor the owner's invitation is in
// any file or log line.
func TestServeSignsIn(t *testing.T) {
	t.Parallel()
	there := oidctest.New(t)
	there.Say(oidctest.Said{Person: map[string]any{"email": "jo@example.com", "email_verified": true, "name": "Jo", "groups": []string{"builders"}}})
	l := newLab(t, labScript)
	l.env = append(l.env, "MGX_TEST_CLIENT="+oidctest.ClientSecret)
	file := filepath.Join(t.TempDir(), "oidc.json")
	config := fmt.Sprintf(`{"providers": {"corp": {"title": "Corp", "issuer": %q, "client_id": %q, "client_secret_env": "MGX_TEST_CLIENT", "groups_claim": "groups", "new_people": true,
		"roles": [{"group": "builders", "role": "developer"}]}}}`, there.URL, oidctest.ClientID)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	server := l.serve("127.0.0.1:0", "--oidc", file, "--workers", "0", "--log-level", "debug")
	browse := func(method, address string, form url.Values) (int, string) {
		t.Helper()
		return server.browse(newBrowser(t), method, address, form)
	}
	if status, text := browse("GET", "/api/v1/auth/providers", nil); status != 200 || !strings.Contains(text, `{"name":"corp","title":"Corp"}`) {
		t.Errorf("%d %s", status, text)
	}
	if status, text := browse("GET", "/signin", nil); status != 200 || !strings.Contains(text, "Sign in with Corp") {
		t.Errorf("%d %s", status, text)
	}
	owner, jo := newBrowser(t), newBrowser(t)
	setup := url.Values{"token": {server.setup}, "email": {"owner@example.com"}, "name": {"Owner"}, "password": {"four words of theirs"}}
	server.browse(owner, "POST", "/invitation", setup)
	if _, text := server.browse(owner, "GET", "/api/v1/me", nil); !strings.Contains(text, "owner@example.com") {
		t.Errorf("the owner is %s", text)
	}
	server.browse(jo, "GET", "/signin/with/corp", nil)
	if _, text := server.browse(jo, "GET", "/api/v1/me", nil); !strings.Contains(text, "jo@example.com") || !strings.Contains(text, "developer") {
		t.Errorf("who signed in there is %s", text)
	}
	there.Say(oidctest.Said{Token: func(c map[string]any) { c["nonce"] = "another" }})
	server.browse(newBrowser(t), "GET", "/signin/with/corp", nil)
	server.end()
	said := server.errs.String()
	if !strings.Contains(said, "somebody could not sign in") {
		t.Errorf("the log does not tell of a lie: %s", said)
	}
	for name, secret := range map[string]string{"the client's secret": oidctest.ClientSecret, "the invitation": server.setup} {
		if strings.Contains(said, secret) {
			t.Errorf("%s is in the log", name)
		}
		l.nowhere(server.data, name, secret)
	}
}

// nowhere fails the test when a text is in a file below a directory.
func (l *lab) nowhere(dir, name, text string) {
	l.t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(text)) {
			l.t.Errorf("%s is in %s", name, path)
		}
		return err
	})
	if err != nil {
		l.t.Error(err)
	}
}

func newBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

// browse asks as a browser does for a page of the server, and goes where the
// answer leads.
func (s *served) browse(b *http.Client, method, path string, form url.Values) (int, string) {
	s.l.t.Helper()
	r, err := http.NewRequestWithContext(s.l.t.Context(), method, s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.l.t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := b.Do(r)
	if err != nil {
		s.l.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.l.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}
