package web_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"mgx/internal/access/oidc/oidctest"
)

// providers is a process in which real OpenID providers run, for all tests.
type providers struct {
	url   *url.URL
	mu    sync.Mutex
	in    io.Writer
	ready chan string // issuers, as they begin
}

const providerDir = "../../tools/oidc"

// startProviders starts the process, which ends when this one does.
var startProviders = sync.OnceValues(func() (*providers, error) {
	cmd := exec.Command("node", "provider.mjs")
	cmd.Dir = providerDir
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		return nil, fmt.Errorf("the OpenID provider did not start: %w", cmd.Wait())
	}
	u, err := url.Parse(lines.Text())
	p := &providers{url: u, in: in, ready: make(chan string)}
	go func() {
		for lines.Scan() {
			if issuer, is := strings.CutPrefix(lines.Text(), "ready "); is {
				p.ready <- issuer
			}
		}
		close(p.ready)
	}()
	return p, err
})

// there is a real OpenID provider. MGX and browsers reach it through a proxy, at its
// issuer, which hands everything on as it is but for what a test has swapped.
type there struct {
	h      *house
	t      testing.TB
	all    *providers
	issuer string
	file   string // who there is

	mu   sync.Mutex
	swap swapped
}

// swapped is what becomes something else on the way between MGX and a provider.
type swapped struct {
	asked  func(url.Values)     // of the token endpoint
	answer func(map[string]any) // its answer
	bearer string               // access token with which userinfo is asked
}

func startProvider(t *testing.T) *there {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed; scripts/need.sh installs it")
	}
	if _, err := os.Stat(filepath.Join(providerDir, "node_modules/oidc-provider")); err != nil {
		t.Skip("the OpenID provider is not installed; scripts/sdk.sh installs it")
	}
	all, err := startProviders()
	must(t, err)
	p := &there{t: t, all: all, file: filepath.Join(t.TempDir(), "people.json")}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: p.hand, ModifyResponse: p.handBack})
	t.Cleanup(proxy.Close)
	p.issuer = proxy.URL
	return p
}

func (p *there) hand(r *httputil.ProxyRequest) {
	r.SetURL(p.all.url)
	r.Out.Host = r.In.Host // which says which provider
	switch swap := p.swaps(); {
	case r.In.URL.Path == "/me" && swap.bearer != "":
		r.Out.Header.Set("Authorization", "Bearer "+swap.bearer)
	case r.In.URL.Path == "/token" && swap.asked != nil:
		text, _ := io.ReadAll(r.In.Body)
		q, _ := url.ParseQuery(string(text))
		swap.asked(q)
		r.Out.Body, r.Out.ContentLength = io.NopCloser(strings.NewReader(q.Encode())), int64(len(q.Encode()))
	}
}

func (p *there) handBack(answer *http.Response) error {
	swap := p.swaps()
	if answer.Request.URL.Path != "/token" || swap.answer == nil || answer.StatusCode != http.StatusOK {
		return nil
	}
	var all map[string]any
	if err := json.NewDecoder(answer.Body).Decode(&all); err != nil {
		return err
	}
	swap.answer(all)
	text, err := json.Marshal(all)
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	answer.Header.Set("Content-Length", strconv.Itoa(len(text)))
	return err
}

func (p *there) swaps() swapped {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.swap
}

// swapping has things swapped from now on.
func (p *there) swapping(s swapped) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.swap = s
}

// setup is how a provider is set up, as provider.mjs reads it.
type setup struct {
	Issuer string         `json:"issuer"`
	People string         `json:"people"`
	Keys   string         `json:"keys"`
	With   map[string]any `json:"with"` // configuration of oidc-provider

	client map[string]any // MGX, which is one of its clients
}

// begin begins the provider, or one anew in its place, with a house as its client.
func (p *there) begin(h *house, edit func(*setup), people map[string]any) {
	p.t.Helper()
	p.h = h
	p.people(people)
	client := map[string]any{
		"client_id": oidctest.ClientID, "client_secret": oidctest.ClientSecret, "redirect_uris": []string{h.url + "/signin/with/corp/back"}, "post_logout_redirect_uris": []string{h.url + "/signin"},
		"backchannel_logout_uri": h.url + "/signin/with/corp/signed-out", "backchannel_logout_session_required": true,
	}
	other := map[string]any{"client_id": "other", "client_secret": oidctest.ClientSecret, "redirect_uris": []string{elsewhere}}
	s := setup{Issuer: p.issuer, People: p.file, Keys: "first", With: map[string]any{"clients": []any{client, other}}, client: client}
	if edit != nil {
		edit(&s)
	}
	line, err := json.Marshal(s)
	must(p.t, err)
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	_, err = p.all.in.Write(append(line, '\n'))
	must(p.t, err)
	if issuer := <-p.all.ready; issuer != p.issuer {
		p.t.Fatalf("the provider did not begin, but %q", issuer)
	}
}

// elsewhere is where the other client of a provider has people come back to.
const elsewhere = "https://other.example.com/back"

func (p *there) people(people map[string]any) {
	p.t.Helper()
	text, err := json.Marshal(people)
	must(p.t, err)
	must(p.t, os.WriteFile(p.file, text, 0o600))
}

// tokens are what the provider gives to somebody who signs in with what another was
// sent there with, but for what is edited, and a PKCE verifier of their own.
func (p *there) tokens(asked url.Values, who string, edit func(url.Values)) map[string]any {
	p.t.Helper()
	const verifier = "a-verifier-of-a-thief-who-has-the-same-protocol"
	q, sum := url.Values{}, sha256.Sum256([]byte(verifier))
	for name := range asked {
		q.Set(name, asked.Get(name))
	}
	q.Set("code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]))
	if edit != nil {
		edit(q)
	}
	back := p.h.browser().at(p.issuer+"/auth?"+q.Encode(), who)
	all := map[string]any{}
	if front, err := url.ParseQuery(back.Fragment); err == nil && front.Has("id_token") {
		for name := range front {
			all[name] = front.Get(name)
		}
		return all
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {q.Get("redirect_uri")}, "code_verifier": {verifier}}
	r, err := http.NewRequestWithContext(p.t.Context(), "POST", p.issuer+"/token", strings.NewReader(form.Encode()))
	must(p.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(q.Get("client_id")), url.QueryEscape(oidctest.ClientSecret))
	answer, err := http.DefaultClient.Do(r)
	must(p.t, err)
	defer answer.Body.Close()
	must(p.t, json.NewDecoder(answer.Body).Decode(&all))
	if all["id_token"] == nil {
		p.t.Fatalf("the provider gives %v for %s", all, back)
	}
	return all
}

var (
	formAction = regexp.MustCompile(`<form[^>]* action="([^"]+)"`)
	formPrompt = regexp.MustCompile(`name="prompt" value="(\w+)"`)
	formAbort  = regexp.MustCompile(`href="([^"]+/abort)"`)
)

// at goes through the pages of a real provider as somebody, or as nobody, who leaves,
// and returns where the browser is sent back to.
func (b *browser) at(address, who string) *url.URL {
	b.h.t.Helper()
	s := b.get(address)
	for range 20 {
		if action := formAction.FindStringSubmatch(s.body); s.StatusCode == 200 && action != nil {
			if abort := formAbort.FindStringSubmatch(s.body); who == "" {
				s = b.get(html.UnescapeString(abort[1]))
				continue
			}
			s = b.do("POST", html.UnescapeString(action[1]), url.Values{"prompt": formPrompt.FindStringSubmatch(s.body)[1:], "login": {who}, "password": {"any"}})
			continue
		}
		to, err := s.Request.URL.Parse(s.Header.Get("Location"))
		if must(b.h.t, err); s.StatusCode/100 != 3 {
			break
		}
		if to.Host != s.Request.URL.Host {
			return to
		}
		s = b.get(to.String())
	}
	b.h.t.Fatalf("the provider answers with %d %s", s.StatusCode, words(s.body))
	return nil
}
