package oidc_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/access/oidc"
	"mgx/internal/access/oidc/oidctest"
)

var attempt = access.Attempt{Redirect: "https://mgx.example.com/signin/with/corp/back", State: "the state", Nonce: "the nonce", Verifier: strings.Repeat("v", 43)}

// person is what the provider says of somebody who may come in.
var person = map[string]any{"email": "Jo@Example.com", "email_verified": true, "name": "Jo", "groups": []string{"staff", "builders"}, "sid": "sid-1"}

func config(t *testing.T, s *oidctest.Server, edit func(*oidc.Config)) oidc.Config {
	t.Helper()
	text := fmt.Sprintf(`{"providers": {"corp": {"title": "Corp", "issuer": %q, "client_id": %q, "client_secret_env": "SECRET", "groups_claim": "groups", "new_people": true,
		"roles": [{"group": "builders", "role": "developer"}, {"group": "*", "role": "viewer"}, {"group": "admins", "workspace": "ws_b", "role": "admin"}]}}}`, s.URL, oidctest.ClientID)
	all, err := oidc.ReadConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(&all[0])
	}
	return all[0]
}

func provider(t *testing.T, s *oidctest.Server, edit func(*oidc.Config)) *oidc.Provider {
	t.Helper()
	return oidc.New(config(t, s, edit), oidc.Options{Secret: func(context.Context) (string, error) { return oidctest.ClientSecret, nil }})
}

// signIn goes to the provider as a browser does, and comes back.
func signIn(t *testing.T, p *oidc.Provider, a access.Attempt) (access.Claims, error) {
	t.Helper()
	return signInBy(t, p, a, http.DefaultTransport)
}

// signInBy reaches the provider in a way of its own.
func signInBy(t *testing.T, p *oidc.Provider, a access.Attempt, by http.RoundTripper) (access.Claims, error) {
	t.Helper()
	address, err := p.Begin(t.Context(), a)
	if err != nil {
		return access.Claims{}, err
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := by.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	back, err := url.Parse(answer.Header.Get("Location"))
	if err != nil || !strings.HasPrefix(back.String(), a.Redirect+"?") {
		t.Fatalf("sent to %q", answer.Header.Get("Location"))
	}
	return p.Finish(t.Context(), a, back.Query())
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	s := oidctest.New(t)
	s.Say(oidctest.Said{Person: person})
	p := provider(t, s, nil)
	got, err := signIn(t, p, attempt)
	if err != nil {
		t.Fatal(err)
	}
	if got.Issuer != s.URL || got.Subject != "subject-1" || got.Session != "sid-1" || got.Email != "jo@example.com" || got.Name != "Jo" || !got.New {
		t.Errorf("%+v", got)
	}
	if want := []mgx.Grant{{Workspace: mgx.DefaultWorkspace, Role: "developer"}}; fmt.Sprint(got.Grants) != fmt.Sprint(want) { // the first of a workspace
		t.Errorf("grants %v", got.Grants)
	}
	if out := p.Out(t.Context(), "https://mgx.example.com/signin"); out != s.URL+"/end?client_id=mgx&post_logout_redirect_uri=https%3A%2F%2Fmgx.example.com%2Fsignin" {
		t.Error(out)
	}
	// What the ID token lacks is asked for.
	s.Say(oidctest.Said{UserInfo: person})
	if again, err := signIn(t, p, attempt); err != nil || again.Email != got.Email || len(again.Grants) != 1 {
		t.Errorf("%+v %v", again, err)
	}
}

// Each of these is a lie of a provider, or of somebody in between.
func TestLies(t *testing.T) {
	t.Parallel()
	s := oidctest.New(t)
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&s.Key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	claim := func(name string, v any) oidctest.Said {
		return oidctest.Said{Token: func(c map[string]any) {
			if v == nil {
				delete(c, name)
			} else {
				c[name] = v
			}
		}}
	}
	signed := func(f func(map[string]any) string) oidctest.Said { return oidctest.Said{Sign: f} }
	back := func(name, v string) oidctest.Said { return oidctest.Said{Back: func(q url.Values) { q.Set(name, v) }} }
	for name, said := range map[string]oidctest.Said{
		"another issuer":                 claim("iss", "https://evil.example.com"),
		"an issuer with a slash":         claim("iss", s.URL+"/"),
		"no issuer":                      claim("iss", nil),
		"another audience":               claim("aud", "other"),
		"no audience":                    claim("aud", nil),
		"two audiences, no party":        claim("aud", []string{oidctest.ClientID, "other"}),
		"another authorised party":       claim("azp", "other"),
		"a party that is no text":        claim("azp", []string{oidctest.ClientID}),
		"another nonce":                  claim("nonce", "another"),
		"no nonce":                       claim("nonce", nil),
		"expired":                        claim("exp", time.Now().Add(-2*time.Minute).Unix()),
		"no expiry":                      claim("exp", nil),
		"from the future":                claim("iat", time.Now().Add(time.Hour).Unix()),
		"not yet":                        claim("nbf", time.Now().Add(time.Hour).Unix()),
		"no subject":                     claim("sub", nil),
		"a very long subject":            claim("sub", strings.Repeat("s", 300)),
		"two subjects":                   claim("ſub", "subject-2"),
		"two issuers":                    {Token: func(c map[string]any) { c["iss"], c["iſſ"] = "https://evil.example.com", s.URL }},
		"another access token":           claim("at_hash", oidctest.AtHash("another")),
		"no signature":                   signed(oidctest.Unsigned),
		"a signature cut off":            signed(func(c map[string]any) string { text := s.Sign(c); return text[:strings.LastIndex(text, ".")+1] }),
		"the client secret as key":       signed(func(c map[string]any) string { return oidctest.SignHS256([]byte(oidctest.ClientSecret), "one", c) }),
		"the public key as a secret":     signed(func(c map[string]any) string { return oidctest.SignHS256(public, "one", c) }),
		"somebody else's key":            signed(func(c map[string]any) string { return oidctest.SignES256(stranger, "one", c) }),
		"a key that nobody knows":        signed(func(c map[string]any) string { return oidctest.SignES256(stranger, "two", c) }),
		"claims changed after signing":   signed(func(c map[string]any) string { return tampered(s.Sign(c), s.Sign(map[string]any{"sub": "other"})) }),
		"a logout token":                 signed(func(map[string]any) string { return s.LogoutToken(nil) }),
		"no ID token":                    {Answer: func(a map[string]any) { delete(a, "id_token") }},
		"another token swapped in":       {Answer: func(a map[string]any) { a["access_token"] = "another" }},
		"userinfo of somebody else":      {UserInfo: map[string]any{"sub": "subject-2", "email": "other@example.com", "email_verified": true}},
		"an answer of another provider":  back("iss", "https://evil.example.com"),
		"an answer of no provider":       {Back: func(q url.Values) { q.Del("iss") }},
		"another code":                   back("code", "another"),
		"no code":                        {Back: func(q url.Values) { q.Del("code") }},
		"two issuers that answer":        {Back: func(q url.Values) { q.Add("iss", "https://evil.example.com") }},
		"a refusal besides":              {Back: func(q url.Values) { q["error"] = []string{"", "access_denied"} }},
		"two codes":                      {Back: func(q url.Values) { q.Add("code", "another") }},
		"a refusal":                      back("error", "access_denied"),
		"groups that are elsewhere":      {Person: map[string]any{"groups": nil, "_claim_names": map[string]any{"groups": "src1"}, "_claim_sources": map[string]any{"src1": map[string]any{"endpoint": "https://x"}}}},
		"groups that are no list":        {Person: map[string]any{"groups": map[string]any{"a": 1}}},
		"groups that are numbers":        {Person: map[string]any{"groups": []int{1}}},
		"more groups than anybody reads": {Person: map[string]any{"groups": strings.Split(strings.Repeat("g ", 2000), " ")}},
	} {
		t.Run(name, func(t *testing.T) {
			all := maps.Clone(person)
			if name == "userinfo of somebody else" {
				all = nil // it has to be asked
			}
			if said.Person != nil {
				maps.Copy(all, said.Person)
			}
			said.Person = all
			s.Say(said)
			got, err := signIn(t, provider(t, s, nil), attempt)
			if !mgx.IsCode(err, oidc.CodeRefused) {
				t.Fatalf("let in as %+v, %v", got, err)
			}
			for _, secret := range []string{oidctest.ClientSecret, s.URL + "/token", "eyJ", "evil"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("people read %q", err)
				}
			}
		})
	}
}

// tampered is a token with the claims of another.
func tampered(token, other string) string {
	parts, others := strings.Split(token, "."), strings.Split(other, ".")
	return parts[0] + "." + others[1] + "." + parts[2]
}

// A clock that is a little off keeps nobody out.
func TestSkew(t *testing.T) {
	t.Parallel()
	s := oidctest.New(t)
	s.Say(oidctest.Said{Person: person, Token: func(c map[string]any) { c["exp"] = time.Now().Add(-20 * time.Second).Unix() }})
	if _, err := signIn(t, provider(t, s, nil), attempt); err != nil {
		t.Error(err)
	}
}

// A code is for the browser whose verifier it was asked with.
func TestPKCE(t *testing.T) {
	t.Parallel()
	s := oidctest.New(t)
	s.Say(oidctest.Said{Person: person})
	p := provider(t, s, nil)
	address, err := p.Begin(t.Context(), attempt)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil || u.Query().Get("code_challenge_method") != "S256" || u.Query().Get("state") != attempt.State || u.Query().Get("nonce") != attempt.Nonce || strings.Contains(address, attempt.Verifier) {
		t.Fatal(address, err)
	}
	stolen := attempt
	stolen.Verifier = strings.Repeat("w", 43)
	q := url.Values{"code": {s.Code(u.Query())}, "iss": {s.URL}}
	if _, err := p.Finish(t.Context(), stolen, q); !mgx.IsCode(err, oidc.CodeRefused) {
		t.Errorf("with another verifier: %v", err)
	}
	q = url.Values{"code": {s.Code(u.Query())}, "iss": {s.URL}}
	if _, err := p.Finish(t.Context(), attempt, q); err != nil {
		t.Error(err)
	}
	if _, err := p.Finish(t.Context(), attempt, q); !mgx.IsCode(err, oidc.CodeRefused) {
		t.Errorf("with a code that was used: %v", err)
	}
}

// Who may come in is what the configuration says of verified addresses and groups.
func TestWhoMayComeIn(t *testing.T) {
	t.Parallel()
	s := oidctest.New(t)
	domains := func(c *oidc.Config) { c.Domains = []string{"example.com"} }
	with := func(more map[string]any) map[string]any {
		all := maps.Clone(person)
		maps.Copy(all, more)
		return all
	}
	for name, c := range map[string]struct {
		person map[string]any
		edit   func(*oidc.Config)
		email  string
		grants string // "-": not let in
	}{
		"verified":                {with(nil), domains, "jo@example.com", "[{ws_default developer}]"},
		"verified, as text":       {with(map[string]any{"email_verified": "true"}), domains, "jo@example.com", "[{ws_default developer}]"},
		"not verified":            {with(map[string]any{"email_verified": false}), nil, "", "[{ws_default developer}]"},
		"not said to be verified": {with(map[string]any{"email_verified": nil}), nil, "", "[{ws_default developer}]"},
		"not verified, domains":   {with(map[string]any{"email_verified": false}), domains, "", "-"},
		"another domain":          {with(map[string]any{"email": "jo@example.com.evil.com"}), domains, "", "-"},
		"two at signs":            {with(map[string]any{"email": "jo@evil.com@example.com"}), domains, "", "-"},
		"a name that is none":     {with(map[string]any{"name": "\x00\n", "preferred_username": "jo"}), nil, "jo@example.com", "[{ws_default developer}]"},
		"no groups":               {with(map[string]any{"groups": nil}), nil, "jo@example.com", "[{ws_default viewer}]"},
		"one group":               {with(map[string]any{"groups": "admins"}), nil, "jo@example.com", "[{ws_default viewer} {ws_b admin}]"},
		"groups in depth":         {with(map[string]any{"realm": map[string]any{"a/b": []string{"admins"}}}), func(c *oidc.Config) { c.GroupsClaim = "/realm/a~1b" }, "jo@example.com", "[{ws_default viewer} {ws_b admin}]"},
	} {
		s.Say(oidctest.Said{Person: c.person})
		got, err := signIn(t, provider(t, s, c.edit), attempt)
		if c.grants == "-" {
			if !mgx.IsCode(err, oidc.CodeRefused) {
				t.Errorf("%s: let in as %+v, %v", name, got, err)
			}
			continue
		}
		if err != nil || got.Email != c.email || fmt.Sprint(got.Grants) != c.grants || got.Name == "" || strings.ContainsAny(got.Name, "\x00\n") {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// That an address was verified is said of no other address.
func TestVerifiedElsewhere(t *testing.T) {
	t.Parallel()
	s := oidctest.New(t)
	p := provider(t, s, nil)
	for email, want := range map[string]string{"jo@example.com": "jo@example.com", "owner@example.com": ""} {
		s.Say(oidctest.Said{Person: map[string]any{"email": email}, UserInfo: map[string]any{"email": "jo@example.com", "email_verified": true, "name": "Jo"}})
		if got, err := signIn(t, p, attempt); err != nil || got.Email != want || got.Name != "Jo" {
			t.Errorf("%s: %+v, %v", email, got, err)
		}
	}
}

// Groups of which a part is elsewhere are not known, also where they lie deep.
func TestGroupsElsewhere(t *testing.T) {
	t.Parallel()
	s := oidctest.New(t)
	s.Say(oidctest.Said{Person: map[string]any{"email": "jo@example.com", "_claim_names": map[string]any{"realm/access": "src1"}, "_claim_sources": map[string]any{"src1": map[string]any{"endpoint": "https://x"}}}})
	for claim, known := range map[string]bool{"/realm~1access/roles": false, "realm/access": false, "/other/roles": true} {
		if got, err := signIn(t, provider(t, s, func(c *oidc.Config) { c.GroupsClaim = claim }), attempt); known != (err == nil) || !known && !mgx.IsCode(err, oidc.CodeRefused) {
			t.Errorf("%s: %+v, %v", claim, got, err)
		}
	}
}

// transport sends what is meant for the provider to it, wherever it says that it is.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A provider that is on another machine names nothing on this one.
func TestAddressesHere(t *testing.T) {
	t.Parallel()
	const issuer = "https://id.example.com"
	for name, fine := range map[string]bool{"authorization_endpoint": false, "token_endpoint": false, "jwks_uri": false, "userinfo_endpoint": true, "end_session_endpoint": true, "nothing": true} {
		s := oidctest.New(t)
		s.Say(oidctest.Said{
			Person: map[string]any{"email": "jo@example.com", "email_verified": true}, UserInfo: map[string]any{"name": "Jo"},
			Metadata: func(m map[string]any) {
				for at, v := range m {
					if text, ok := v.(string); ok && at != name {
						m[at] = strings.Replace(text, s.URL, issuer, 1)
					}
				}
			},
			Token: func(c map[string]any) { c["iss"] = issuer },
			Back:  func(q url.Values) { q.Set("iss", issuer) },
		})
		there := transport(func(r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context())
			r.URL.Scheme, r.URL.Host = "http", strings.TrimPrefix(s.URL, "http://")
			return http.DefaultTransport.RoundTrip(r)
		})
		p := oidc.New(config(t, s, func(c *oidc.Config) { c.Issuer = issuer }), oidc.Options{
			Client: &http.Client{Transport: there}, Secret: func(context.Context) (string, error) { return oidctest.ClientSecret, nil },
		})
		got, err := signInBy(t, p, attempt, there)
		if fine != (err == nil) || !fine && !mgx.IsCode(err, oidc.CodeUnreachable) || fine && (got.Name == "Jo") != (name != "userinfo_endpoint") {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if out := p.Out(t.Context(), "https://mgx.example.com"); (out != "") != (name == "userinfo_endpoint" || name == "nothing") {
			t.Errorf("%s: people sign out at %q", name, out)
		}
	}
}

// Whoever waits for a provider that does not answer can go, all wait for one question,
// and what it said before goes on without asking each time.
func TestSlowProvider(t *testing.T) {
	t.Parallel()
	s := oidctest.New(t)
	now := time.Now()
	var asked atomic.Int64
	answer := make(chan struct{})
	s.Say(oidctest.Said{Person: person, Metadata: func(map[string]any) { asked.Add(1); <-answer }})
	p := oidc.New(config(t, s, nil), oidc.Options{Secret: func(context.Context) (string, error) { return oidctest.ClientSecret, nil }, Now: func() time.Time { return now }})
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := p.Begin(gone, attempt); !mgx.IsCode(err, oidc.CodeUnreachable) {
		t.Errorf("who left: %v", err)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := p.Begin(t.Context(), attempt); err != nil {
				t.Errorf("who waited: %v", err)
			}
		})
	}
	close(answer)
	all.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
	s.Say(oidctest.Said{Person: person, Metadata: func(m map[string]any) { asked.Add(1); m["issuer"] = "https://evil.example.com" }})
	for _, c := range []struct {
		wait time.Duration
		asks int64
	}{{59 * time.Minute, 1}, {time.Minute, 2}, {59 * time.Second, 2}, {time.Second, 3}} {
		now = now.Add(c.wait)
		if _, err := p.Begin(t.Context(), attempt); err != nil || asked.Load() != c.asks {
			t.Errorf("after %s: asked %d times, %v", c.wait, asked.Load(), err)
		}
	}
}

// An answer that is far larger than it may be, as it comes or once it is unpacked, is
// read no further.
func TestLargeAnswers(t *testing.T) {
	t.Parallel()
	const large = 256 << 20
	for name, packed := range map[string]bool{"large": false, "a bomb": true} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int64
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var to io.Writer = w
				if packed {
					w.Header().Set("Content-Encoding", "gzip")
					pack := gzip.NewWriter(w)
					defer pack.Close()
					to = pack
				}
				block := bytes.Repeat([]byte(" "), 64<<10)
				for range large / len(block) {
					n, err := to.Write(block)
					if sent.Add(int64(n)); err != nil {
						return
					}
				}
				fmt.Fprintf(to, `{"issuer": "http://%s", "authorization_endpoint": "http://%[1]s/a", "token_endpoint": "http://%[1]s/t", "jwks_uri": "http://%[1]s/k"}`, r.Host)
			}))
			defer s.Close()
			p := oidc.New(oidc.Config{Name: "corp", Title: "Corp", Issuer: s.URL, ClientID: "mgx"}, oidc.Options{})
			if _, err := p.Begin(t.Context(), attempt); !mgx.IsCode(err, oidc.CodeUnreachable) {
				t.Errorf("%v", err)
			}
			if n := sent.Load(); !packed && n >= large {
				t.Errorf("%d bytes were read", n)
			}
		})
	}
}

// A provider that is down, lies about who it is or sends people over the open
// network lets nobody in, and says nothing of why to them.
func TestMetadata(t *testing.T) {
	t.Parallel()
	for name, said := range map[string]oidctest.Said{
		"down":                       {Down: true},
		"another issuer":             {Metadata: func(m map[string]any) { m["issuer"] = "https://evil.example.com" }},
		"an open address":            {Metadata: func(m map[string]any) { m["token_endpoint"] = "http://evil.example.com/token" }},
		"keys from nowhere":          {Metadata: func(m map[string]any) { delete(m, "jwks_uri") }},
		"an address with a password": {Metadata: func(m map[string]any) { m["authorization_endpoint"] = "https://a:b@evil.example.com" }},
	} {
		s := oidctest.New(t)
		s.Say(said)
		p := provider(t, s, nil)
		_, err := p.Begin(t.Context(), attempt)
		if !mgx.IsCode(err, oidc.CodeUnreachable) || strings.Contains(err.Error(), "evil") {
			t.Errorf("%s: %v", name, err)
		}
		if p.Out(t.Context(), "https://mgx.example.com") != "" {
			t.Errorf("%s: it has somewhere to sign out", name)
		}
		s.Say(oidctest.Said{Person: person})
		if _, err := signIn(t, p, attempt); err != nil {
			t.Errorf("%s: after that %v", name, err)
		}
	}
}

func TestSignedOut(t *testing.T) {
	t.Parallel()
	s := oidctest.New(t)
	p := provider(t, s, nil)
	at := time.Now().Truncate(time.Second)
	got, err := p.SignedOut(t.Context(), s.LogoutToken(func(c map[string]any) { c["sid"], c["iat"] = "sid-1", at.Unix() }))
	if err != nil || got != (access.LoggedOut{Issuer: s.URL, Subject: "subject-1", Session: "sid-1", Until: at.Add(time.Minute)}) {
		t.Errorf("%+v %v", got, err)
	}
	edited := func(name string, v any) string {
		return s.LogoutToken(func(c map[string]any) { c[name] = v })
	}
	for name, token := range map[string]string{
		"another issuer": edited("iss", "https://evil.example.com"), "another audience": edited("aud", "other"), "no event": edited("events", map[string]any{}),
		"a nonce": edited("nonce", "n"), "expired": edited("exp", time.Now().Add(-time.Hour).Unix()), "old": edited("iat", time.Now().Add(-2*time.Hour).Unix()),
		"nobody": s.LogoutToken(func(c map[string]any) { delete(c, "sub") }), "an ID token": s.Sign(s.Claims("")), "unsigned": oidctest.Unsigned(s.Claims("")), "nothing": "",
	} {
		if got, err := p.SignedOut(t.Context(), token); !mgx.IsCode(err, oidc.CodeRefused) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	good := `"issuer": "https://id.example.com", "client_id": "mgx"`
	for text, want := range map[string]string{
		`{`:                                      "JSON",
		`{"providers": {}} {}`:                   "after the end",
		`{"providers": {}}`:                      "1 to 20",
		`{"provider": {}}`:                       "unknown field",
		`{"providers": {"A b": {` + good + `}}}`: "a name has",
		`{"providers": {"a": {"client_id": "x"}}}`:                                                   "providers.a.issuer",
		`{"providers": {"a": {"issuer": "http://id.example.com", "client_id": "x"}}}`:                "https://",
		`{"providers": {"a": {"issuer": "Https://id.example.com", "client_id": "x"}}}`:               "https://",
		`{"providers": {"a": {"issuer": "https://u:p@id.example.com", "client_id": "x"}}}`:           "providers.a.issuer",
		`{"providers": {"a": {"issuer": "https://id.example.com"}}}`:                                 "client_id",
		`{"providers": {"a": {` + good + `, "client_secret": "s"}}}`:                                 "unknown field",
		`{"providers": {"a": {` + good + `, "client_secret_env": "A", "client_secret_file": "/b"}}}`: "give one of",
		`{"providers": {"a": {` + good + `, "scopes": ["email"]}}}`:                                  "openid",
		`{"providers": {"a": {` + good + `, "email_domains": ["a@b"]}}}`:                             "no domain",
		`{"providers": {"a": {` + good + `, "roles": [{"group": "g", "role": "viewer"}]}}}`:          "groups_claim",
		`{"providers": {"a": {` + good + `, "roles": [{"group": "*"}]}}}`:                            "a group and a role",
		`{"providers": {"a": {` + good + `, "roles": [{"group": "*", "role": "service"}]}}}`:         "of keys",
	} {
		if _, err := oidc.ReadConfig([]byte(text)); !mgx.IsCode(err, "bad_oidc") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	all, err := oidc.ReadConfig([]byte(`{"providers": {"b": {` + good + `}, "a": {"issuer": "http://127.0.0.1:8080/realm", "client_id": "x", "roles": [{"group": "*", "role": "viewer"}]}}}`))
	if err != nil || len(all) != 2 || all[0].Name != "a" || all[0].Title != "a" || all[0].Roles[0].Workspace != mgx.DefaultWorkspace || len(all[1].Scopes) != 3 {
		t.Errorf("%+v %v", all, err)
	}
}

func FuzzReadConfig(f *testing.F) {
	f.Add([]byte(`{"providers": {"a": {"issuer": "https://id.example.com", "client_id": "mgx", "roles": [{"group": "*", "role": "viewer"}]}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := oidc.ReadConfig(text)
		if err != nil && !mgx.IsCode(err, "bad_oidc") {
			t.Fatal(err)
		}
		for _, c := range all {
			if c.Name == "" || c.Title == "" || c.ClientID == "" || !strings.HasPrefix(c.Issuer, "http") {
				t.Fatalf("%+v", c)
			}
		}
	})
}
