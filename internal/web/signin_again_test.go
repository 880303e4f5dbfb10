package web_test

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx"
	"mgx/internal/access/oidc"
)

// newScene is somebody who may sign in at a real OpenID provider, and has not.
func newScene(t *testing.T, set func(*setup)) *scene {
	t.Helper()
	p := startProvider(t)
	h := build(t, blueprint{corp: p.issuer, clock: true})
	h.moveIn()
	p.begin(h, set, map[string]any{"jo": person("builders")})
	return &scene{house: h, p: p, b: h.browser()}
}

// isRefused fails the test when an answer lets somebody in, or says why not.
func (c *scene) isRefused(s seen, code, cause string) {
	c.t.Helper()
	if s.StatusCode != 403 || c.b.me() != "" || !strings.Contains(words(s.body), "Code "+code) {
		c.t.Errorf("answered with %d, and is %q: %s", s.StatusCode, c.b.me(), words(s.body))
	}
	all := c.denied()
	if len(all) == 0 || all[len(all)-1].Reason != code {
		c.t.Errorf("the audit log has %+v", all)
	}
	if lines := strings.Split(strings.TrimSpace(c.said()), "\n"); !strings.Contains(lines[len(lines)-1], cause) {
		c.t.Errorf("the log ends with %s", lines[len(lines)-1])
	}
}

func (c *scene) isIn(s seen) {
	c.t.Helper()
	if s.StatusCode != 303 || c.b.me() != "jo@example.com developer" {
		c.t.Errorf("answered with %d, and is %q: %s\n%s", s.StatusCode, c.b.me(), words(s.body), c.said())
	}
}

// What let somebody in lets nobody in again: not by the browser, not with all that the
// browser had, and not the tokens for a sign-in of later.
func TestReplayedSignIns(t *testing.T) {
	t.Parallel()
	c := newScene(t, nil)
	var tokens map[string]any
	c.p.swapping(swapped{answer: func(all map[string]any) { tokens = all }})
	back := c.back(c.p, c.asked(), "jo")
	kept := c.b.cookie("mgx_signin")
	c.isIn(c.returns(back))
	c.b.do("POST", "/signout", url.Values{})
	c.isRefused(c.returns(back), mgx.CodeTokenUnknown, "did not begin in this browser")

	jo := c.b
	c.b = c.browser()
	c.b.keep("mgx_signin", kept)
	c.isRefused(c.returns(back), oidc.CodeRefused, "invalid_grant")
	c.b = jo
	c.p.swapping(swapped{answer: func(all map[string]any) {
		all["id_token"], all["access_token"] = tokens["id_token"], tokens["access_token"]
	}})
	c.isRefused(c.signIn(), oidc.CodeRefused, "(nonce)")
	c.p.swapping(swapped{})
	c.isIn(c.signIn())
}

// A provider that has new keys is believed by them at once. Its old ones count until a
// token with a new one was seen, or for an hour.
func TestRotatedKeys(t *testing.T) {
	t.Parallel()
	signing := func(keys string) func(*setup) {
		return func(s *setup) { s.Keys, s.With["conformIdTokenClaims"] = keys, false } // a token says all, as userinfo knows no token of before
	}
	c := newScene(t, signing("first"))
	// old is a sign-in whose tokens the provider signed before it had the keys.
	old := func(meanwhile func(), name string) seen {
		asked := c.asked()
		c.p.swapping(swapped{})
		signed := c.p.tokens(asked, "jo", nil)
		c.p.begin(c.house, signing(name), map[string]any{"jo": person("builders")})
		meanwhile()
		c.p.swapping(swapped{answer: func(all map[string]any) {
			all["id_token"], all["access_token"] = signed["id_token"], signed["access_token"]
		}})
		return c.returns(c.back(c.p, asked, "jo"))
	}
	another := func() *scene { return &scene{house: c.house, p: c.p, b: c.browser()} }
	c.isIn(c.signIn())
	c.b = c.browser()
	c.isRefused(old(func() { o := another(); o.isIn(o.signIn()) }, "second"), oidc.CodeRefused, "failed to verify id token signature")
	c.isIn(old(func() {}, "first"))
	c.b = c.browser()
	c.pass(time.Hour)
	c.isRefused(old(func() {}, "second"), oidc.CodeRefused, "failed to verify id token signature")
	c.p.swapping(swapped{})
	c.isIn(c.signIn())
}

// Every algorithm of ours with which the provider can sign is good.
func TestAlgorithmsOfAProvider(t *testing.T) {
	t.Parallel()
	c := newScene(t, nil)
	for _, name := range []string{"RS256", "RS512", "PS256", "ES256", "EdDSA"} {
		c.p.begin(c.house, alg(name), map[string]any{"jo": person("builders")})
		c.b = c.browser()
		if c.isIn(c.signIn()); t.Failed() {
			t.Fatal(name)
		}
	}
}

var formXSRF = regexp.MustCompile(`name="xsrf" value="(\w+)"`)

// What a provider sends when somebody signs out there ends the sessions that they had
// then: not when it was meant for another client, is too late or no such token, and not
// those that begin later, when it comes again.
func TestLogoutTokensOfAProvider(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	sent := map[string]string{} // logout tokens by client
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		sent[r.URL.Path] = r.PostFormValue("logout_token")
	}))
	defer sink.Close()
	c := newScene(t, func(s *setup) {
		other, _ := s.With["clients"].([]any)[1].(map[string]any)
		for name, client := range map[string]map[string]any{"mgx": s.client, "other": other} {
			client["backchannel_logout_uri"], client["backchannel_logout_session_required"] = sink.URL+"/"+name, false
		}
	})
	var id string
	c.p.swapping(swapped{answer: func(all map[string]any) { id, _ = all["id_token"].(string) }})
	asked := c.asked()
	c.isIn(c.returns(c.back(c.p, asked, "jo")))
	asked.Set("client_id", "other")
	asked.Set("redirect_uri", elsewhere)
	c.back(c.p, asked, "jo")
	page := c.b.wants(200, c.b.get(c.p.issuer+"/session/end?client_id=mgx"))
	c.b.do("POST", html.UnescapeString(formAction.FindStringSubmatch(page.body)[1]), url.Values{"xsrf": formXSRF.FindStringSubmatch(page.body)[1:], "logout": {"yes"}})
	mu.Lock()
	ours, theirs := sent["/mgx"], sent["/other"]
	mu.Unlock()
	if ours == "" || theirs == "" {
		t.Fatalf("the provider sent %v", sent)
	}

	post := func(token string) seen {
		t.Helper()
		return c.browser().do("POST", "/signin/with/corp/signed-out", url.Values{"logout_token": {token}}, "Sec-Fetch-Site", "", "Origin", "")
	}
	refused := func(token, cause string) {
		t.Helper()
		if s := post(token); s.StatusCode != 400 || c.b.me() == "" || strings.Contains(s.body, cause) {
			t.Errorf("answered with %d %s", s.StatusCode, s.body)
		}
		all := c.denied()
		if len(all) == 0 || all[len(all)-1].Action != "session.delete" || all[len(all)-1].Reason != oidc.CodeRefused {
			t.Errorf("the audit log has %+v", all)
		}
		if said := c.said(); !strings.Contains(said, cause) || strings.Contains(said, "eyJ") {
			t.Errorf("the log says %s", said)
		}
	}
	refused(theirs, "expected logout token audience")
	refused(id, "missing required")
	refused(ours[:len(ours)-8], "failed to verify signature")
	c.pass(4 * time.Minute)
	refused(ours, "token is expired")
	c.pass(-4 * time.Minute)
	if s := post(ours); s.StatusCode != 200 || c.b.me() != "" {
		t.Errorf("answered with %d, and is %q", s.StatusCode, c.b.me())
	}
	c.p.swapping(swapped{})
	c.pass(2 * time.Minute)
	c.isIn(c.signIn())
	if s := post(ours); s.StatusCode != 200 || c.b.me() == "" {
		t.Errorf("said again, it was answered with %d, and they are %q", s.StatusCode, c.b.me())
	}
}

// A real provider, a real browser and a real PostgreSQL, with row-level security forced.
func TestOnPostgreSQL(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){
		"BrowserSignsInThere": TestBrowserSignsInThere, "ReplayedSignIns": TestReplayedSignIns, "LogoutTokensOfAProvider": TestLogoutTokensOfAProvider, "Linking": TestLinking,
	} {
		t.Run(name, test)
	}
}
