package web_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/access/oidc"
	"mgx/internal/access/oidc/oidctest"
	"mgx/internal/api"
	"mgx/internal/app"
	"mgx/internal/event"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
	"mgx/internal/web"
)

// house is a server with its console, an owner who has set a password, and a
// provider of identities.
type house struct {
	t      testing.TB
	url    string
	store  *store.Store
	access *app.Access
	server *api.Server
	there  *oidctest.Server

	mu     sync.Mutex
	now    time.Time
	passed time.Duration
	log    bytes.Buffer
}

const (
	ownersAddress  = "owner@example.com"
	ownersPassword = "four words of theirs"
)

func newHouse(t *testing.T, secure bool) *house {
	t.Helper()
	there := oidctest.New(t)
	h := build(t, blueprint{corp: there.URL, secure: secure})
	h.there = there
	return h
}

// blueprint is how a house is built.
type blueprint struct {
	corp, other string // issuers of the providers of these names; other: that of corp
	secure      bool
	clock       bool // what is passed on the clock of the house is so for providers, too
	edit        func(*oidc.Config)
}

// build is a house as a blueprint has it. Below TestOnPostgreSQL it is on PostgreSQL.
func build(t *testing.T, p blueprint) *house {
	t.Helper()
	h := &house{t: t, now: time.Now().UTC().Truncate(time.Microsecond)}
	clock := func() time.Time {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.now
	}
	contracts, err := event.NewRegistry()
	must(t, err)
	place := filepath.Join(t.TempDir(), "mgx.db")
	if strings.HasPrefix(t.Name(), "TestOnPostgreSQL/") {
		place = pgtest.NewDatabase(t)
	}
	h.store, err = store.Open(context.Background(), place, store.Options{Now: clock, Check: func(e *mgx.Event) error {
		kind, _ := contracts.Type(e.Type)
		e.Version = kind.Version
		return nil
	}})
	must(t, err)
	t.Cleanup(func() { h.store.Close() })
	o := oidc.Options{Secret: func(context.Context) (string, error) { return oidctest.ClientSecret, nil }}
	if p.clock {
		o.Now = func() time.Time {
			h.mu.Lock()
			defer h.mu.Unlock()
			return time.Now().Add(h.passed) // with which real ones go on
		}
	}
	corp := p.provider(t, "corp", p.corp, o)
	h.access = app.NewAccess(app.AccessOptions{
		Store: h.store, Now: clock, Costs: access.Params{Memory: 8, Time: 1, Threads: 1}, Log: slog.New(slog.NewTextHandler(logged{h}, nil)),
		Providers: []access.Provider{corp, p.provider(t, "other", cmp.Or(p.other, p.corp), o)},
	})
	hub := event.NewHub(event.HubOptions{Source: h.store, Epoch: "epoch-1", Key: []byte("0123456789abcdef"), Authorize: h.access.Channels, Contracts: contracts})
	h.server = api.New(api.Options{Hub: hub, Contracts: contracts, Access: h.access, Secure: p.secure, Console: func(s *api.Server) http.Handler {
		return web.New(web.Options{People: &web.People{Access: h.access, Where: s.Where, Secure: p.secure}, Now: clock})
	}})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { hub.Run(ctx) })
	listening := httptest.NewServer(h.server)
	t.Cleanup(func() { listening.CloseClientConnections(); stop(); running.Wait(); listening.Close() })
	h.url = listening.URL
	return h
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (p blueprint) provider(t *testing.T, name, issuer string, o oidc.Options) access.Provider {
	t.Helper()
	all, err := oidc.ReadConfig(fmt.Appendf(nil, `{"providers": {%q: {"title": "Corp", "issuer": %q, "client_id": %q, "groups_claim": "groups", "new_people": true,
		"scopes": ["openid", "email", "profile", "groups"], "roles": [{"group": "admins", "role": "admin"}, {"group": "builders", "role": "developer"}]}}}`, name, issuer, oidctest.ClientID))
	must(t, err)
	if p.edit != nil {
		p.edit(&all[0])
	}
	return oidc.New(all[0], o)
}

// logged is the log of a house.
type logged struct{ h *house }

func (l logged) Write(line []byte) (int, error) {
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	return l.h.log.Write(line)
}

// said is what the log says.
func (h *house) said() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.String()
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now, h.passed = h.now.Add(d), h.passed+d
}

// browser keeps cookies and says where requests come from, as browsers do.
type browser struct {
	h    *house
	http *http.Client
}

func (h *house) browser() *browser {
	jar, err := cookiejar.New(nil)
	must(h.t, err)
	return &browser{h, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// seen is an answer.
type seen struct {
	*http.Response
	body string
}

func (b *browser) do(method, address string, form url.Values, header ...string) seen {
	b.h.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = b.h.url + address
	}
	r, err := http.NewRequestWithContext(b.h.t.Context(), method, address, strings.NewReader(form.Encode()))
	must(b.h.t, err)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", b.h.url)
	}
	for i := 0; i < len(header); i += 2 {
		if r.Header.Del(header[i]); header[i+1] != "" {
			r.Header.Set(header[i], header[i+1])
		}
	}
	answer, err := b.http.Do(r)
	must(b.h.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(b.h.t, err)
	return seen{answer, string(text)}
}

func (b *browser) get(address string, header ...string) seen {
	b.h.t.Helper()
	return b.do("GET", address, nil, header...)
}

// follow goes where an answer leads, until it leads nowhere.
func (b *browser) follow(s seen) seen {
	b.h.t.Helper()
	for range 10 {
		to := s.Header.Get("Location")
		if s.StatusCode/100 != 3 {
			return s
		}
		at, err := s.Request.URL.Parse(to)
		must(b.h.t, err)
		s = b.get(at.String(), "Sec-Fetch-Site", "cross-site")
	}
	b.h.t.Fatal("redirected for ever")
	return s
}

// cookie is what the browser keeps.
func (b *browser) cookie(name string) string {
	u, err := url.Parse(b.h.url)
	must(b.h.t, err)
	for _, c := range b.http.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func (b *browser) keep(name, value string) {
	u, err := url.Parse(b.h.url)
	must(b.h.t, err)
	b.http.Jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}

// me is whom the API takes the browser for; empty: nobody.
func (b *browser) me(header ...string) string {
	b.h.t.Helper()
	s := b.get("/api/v1/me", header...)
	if s.StatusCode == http.StatusUnauthorized {
		return ""
	}
	var me app.Me
	if err := json.Unmarshal([]byte(s.body), &me); err != nil || s.StatusCode != 200 {
		b.h.t.Fatalf("%d %s", s.StatusCode, s.body)
	}
	return strings.TrimSpace(me.User.Email + " " + me.Role)
}

func (b *browser) wants(status int, s seen) seen {
	b.h.t.Helper()
	if s.StatusCode != status {
		b.h.t.Fatalf("%s %s answered %d, want %d: %s", s.Request.Method, s.Request.URL.Path, s.StatusCode, status, words(s.body))
	}
	return s
}

var tags = regexp.MustCompile(`(?s)<svg class="sprite".*?</svg>|<[^>]*>`)

// words is what a page says.
func words(body string) string {
	return strings.Join(strings.Fields(tags.ReplaceAllString(body, " ")), " ")
}

// moveIn has the owner accept the invitation of the first start.
func (h *house) moveIn() *browser {
	h.t.Helper()
	setup, err := h.access.Found(h.t.Context(), access.Where{})
	must(h.t, err)
	b := h.browser()
	s := b.wants(303, b.do("POST", "/invitation", url.Values{"token": {setup}, "email": {ownersAddress}, "name": {"Owner"}, "password": {ownersPassword}}))
	if s.Header.Get("Location") != "/" || strings.Contains(s.body, setup) {
		h.t.Fatal(s.Header, s.body)
	}
	return b
}

func (b *browser) signIn(password, next string) seen {
	b.h.t.Helper()
	return b.do("POST", "/signin", url.Values{"email": {ownersAddress}, "password": {password}, "next": {next}})
}

func TestSignInWithPassword(t *testing.T) {
	t.Parallel()
	h := newHouse(t, false)
	h.moveIn()
	b := h.browser()
	page := b.wants(200, b.get("/signin?next=/runs/x"))
	if !strings.Contains(page.body, `name="next" value="/runs/x"`) || !strings.Contains(page.body, `/signin/with/corp?next=%2fruns%2fx`) {
		t.Error(page.body)
	}
	wrong := b.wants(403, b.signIn("not the password", "/runs/x"))
	if !strings.Contains(words(wrong.body), "The address or the password is wrong. Request "+wrong.Header.Get("X-Request-Id")+" ") || !strings.Contains(wrong.body, `value="/runs/x"`) || strings.Contains(wrong.body, "not the password") {
		t.Error(words(wrong.body))
	}
	in := b.wants(303, b.signIn(ownersPassword, "/runs/x"))
	if in.Header.Get("Location") != "/runs/x" {
		t.Error(in.Header)
	}
	if set := in.Header.Get("Set-Cookie"); !strings.HasPrefix(set, "mgx_session=mgxb_") || !strings.Contains(set, "; HttpOnly; SameSite=Lax") || !strings.Contains(set, "Path=/;") || strings.Contains(set, "Domain") {
		t.Error(set)
	}
	if me := b.me(); me != ownersAddress+" admin" {
		t.Errorf("the API takes the browser for %q", me)
	}
	if s := b.wants(303, b.get("/signin?next=/runs/x")); s.Header.Get("Location") != "/runs/x" {
		t.Error("who is signed in is asked to sign in")
	}
	// The session is listed as what it is, and whoever ends it is out.
	var all struct{ Sessions []mgx.Session }
	must(t, json.Unmarshal([]byte(b.wants(200, b.get("/api/v1/sessions")).body), &all))
	var current mgx.Session
	for _, s := range all.Sessions {
		if s.Current {
			current = s
		}
	}
	if len(all.Sessions) != 2 || current.Kind != mgx.SessionBrowser {
		t.Fatalf("%+v", all)
	}
	b.wants(204, b.do("DELETE", "/api/v1/sessions/"+string(current.ID), nil))
	if me := b.me(); me != "" {
		t.Errorf("still %s", me)
	}
	if s := b.wants(303, b.get("/home")); s.Header.Get("Location") != "/signin?next=%2Fhome" && s.Header.Get("Location") != "/" {
		t.Error(s.Header)
	}
}

// A cookie counts for pages of this server alone, and only as a cookie.
func TestCookiesCountForOurPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t, false)
	b := h.moveIn()
	cookie := b.cookie("mgx_session")
	for _, c := range []struct {
		in     bool
		header []string
	}{
		{true, nil},
		{true, []string{"Sec-Fetch-Site", "", "Origin", h.url}},
		{false, []string{"Sec-Fetch-Site", "cross-site"}},
		{false, []string{"Sec-Fetch-Site", "same-site"}},
		{false, []string{"Sec-Fetch-Site", "none"}},
		{false, []string{"Sec-Fetch-Site", ""}},
		{false, []string{"Authorization", "Bearer THE COOKIE"}},
		{false, []string{"Authorization", "Basic eDp5"}},
	} {
		for i := range c.header {
			c.header[i] = strings.ReplaceAll(c.header[i], "THE COOKIE", cookie)
		}
		if me := b.me(c.header...); (me != "") != c.in {
			t.Errorf("%v: %q", c.header, me)
		}
		if s := b.do("POST", "/api/v1/auth/sign-out", nil, c.header...); !c.in && s.StatusCode != 401 {
			t.Errorf("%v: a change was answered with %d", c.header, s.StatusCode)
		}
		b.signIn(ownersPassword, "/")
		cookie = b.cookie("mgx_session")
	}
	if s := b.get("/api/v1/me", "Origin", "https://evil.example.com"); s.StatusCode != 403 {
		t.Errorf("a page of others is answered with %d", s.StatusCode)
	}
	if s := b.get("/v1/models"); s.StatusCode == 200 {
		t.Error("a cookie calls models")
	}
	b.keep("mgx_session", "mgx_"+cookie)
	if me := b.me(); me != "" {
		t.Errorf("a text that is no cookie of ours is %s", me)
	}
}

// Over TLS a cookie is for this host alone, and one without the prefix is none.
func TestSecureCookies(t *testing.T) {
	t.Parallel()
	h := newHouse(t, true)
	setup, err := h.access.Found(t.Context(), access.Where{})
	must(t, err)
	b := h.browser()
	s := b.wants(303, b.do("POST", "/invitation", url.Values{"token": {setup}, "email": {ownersAddress}, "name": {"Owner"}, "password": {ownersPassword}}))
	set := s.Header.Get("Set-Cookie")
	name, rest, _ := strings.Cut(set, "=")
	cookie, attributes, _ := strings.Cut(rest, ";")
	if name != "__Host-mgx_session" || !strings.Contains(attributes, "Secure") || !strings.Contains(attributes, "HttpOnly") {
		t.Fatal(set)
	}
	shown := func(as string) string {
		return h.browser().me("Cookie", as+"="+cookie)
	}
	if shown("__Host-mgx_session") == "" || shown("mgx_session") != "" {
		t.Error("the prefix is not what makes it count")
	}
	if me := h.browser().me("Cookie", "__Host-mgx_session="+cookie+"; __Host-mgx_session=mgxb_planted"); me != "" {
		t.Errorf("of two cookies one counts: %s", me)
	}
}

// Nobody goes on with a session that was there before they signed in.
func TestFixation(t *testing.T) {
	t.Parallel()
	h := newHouse(t, false)
	b := h.moveIn()
	old := b.cookie("mgx_session")
	b.wants(303, b.signIn(ownersPassword, "/"))
	if fresh := b.cookie("mgx_session"); fresh == old || fresh == "" {
		t.Error("the cookie stays when somebody signs in")
	}
	thief := h.browser()
	thief.keep("mgx_session", old)
	if me := thief.me(); me != "" {
		t.Errorf("whoever had planted the cookie is %s", me)
	}
	victim := h.browser()
	victim.keep("mgx_session", "mgxb_planted")
	victim.wants(303, victim.signIn(ownersPassword, "/"))
	if victim.cookie("mgx_session") == "mgxb_planted" || victim.me() == "" {
		t.Error("a planted cookie was taken")
	}
}

// A cookie that is old is replaced by whatever the browser asks for, and the one
// before goes on for what it asked for at the same time.
func TestCookieIsReplaced(t *testing.T) {
	t.Parallel()
	h := newHouse(t, false)
	b := h.moveIn()
	old := b.cookie("mgx_session")
	h.pass(mgx.BrowserRotate)
	late := h.browser()
	late.keep("mgx_session", old)
	if b.me() == "" || b.cookie("mgx_session") == old {
		t.Fatal("it stays")
	}
	if late.me() == "" || late.cookie("mgx_session") != old {
		t.Error("what was asked at the same time is refused, or gets another")
	}
	if b.me() == "" {
		t.Error("the new one is not taken")
	}
	h.pass(mgx.BrowserGrace + access.Fresh)
	if me := late.me(); me != "" || late.cookie("mgx_session") != "" {
		t.Errorf("the old one goes on: %s", me)
	}
	if me := b.me(); me != "" {
		t.Errorf("a cookie is in two hands, and the session goes on: %s", me)
	}
	b.signIn(ownersPassword, "/")
	h.pass(mgx.BrowserIdle)
	if me := b.me(); me != "" {
		t.Errorf("unused for a day, it goes on: %s", me)
	}
}

// Pages of others can neither send forms nor show ours in a frame; and no page
// needs anything that the policy would have to allow.
func TestFormsOfOthers(t *testing.T) {
	t.Parallel()
	h := newHouse(t, false)
	b := h.moveIn()
	form := url.Values{"email": {ownersAddress}, "password": {ownersPassword}, "token": {"mgxi_x"}, "name": {"x"}, "workspace": {"ws_x"}}
	for _, path := range []string{"/signin", "/invitation", "/signout", "/workspace"} {
		for _, from := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Sec-Fetch-Site", "", "Origin", "https://evil.example.com"}, {"Sec-Fetch-Site", "", "Origin", "null"}} {
			if s := b.do("POST", path, form, from...); s.StatusCode != 403 || s.Header.Get("Set-Cookie") != "" {
				t.Errorf("%s from %v: %d %v", path, from, s.StatusCode, s.Header)
			}
		}
	}
	if b.me() == "" {
		t.Error("a page of others signed somebody out")
	}
	for _, path := range []string{"/signin", "/invitation", "/signedout"} {
		s := h.browser().get(path)
		policy := s.Header.Get("Content-Security-Policy")
		if s.StatusCode != 200 || s.Header.Get("X-Frame-Options") != "DENY" || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") ||
			s.Header.Get("Referrer-Policy") != "same-origin" || s.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", path, s.StatusCode, s.Header)
		}
		if strings.Contains(s.body, " style=") || strings.Contains(s.body, "<script>") || regexp.MustCompile(` on[a-z]+=`).MatchString(s.body) {
			t.Errorf("%s has something inline", path)
		}
	}
}

// Who signs in by a link that somebody else made stays on this server.
func TestNobodyIsSentAway(t *testing.T) {
	t.Parallel()
	h := newHouse(t, false)
	h.moveIn()
	for _, next := range []string{"https://evil.example.com/", "//evil.example.com", "/\\evil.example.com"} {
		b := h.browser()
		link := "/signin?next=" + url.QueryEscape(next)
		for what, s := range map[string]seen{"the form": b.get(link), "the form again": b.wants(403, b.signIn("a guess", next))} {
			if strings.Contains(s.body, "evil") {
				t.Errorf("%s holds %q", what, next)
			}
		}
		for _, s := range []seen{
			b.signIn(ownersPassword, next), b.get(link), b.do("POST", "/workspace", url.Values{"workspace": {"ws_default"}, "next": {next}}),
		} {
			if b.wants(303, s); s.Header.Get("Location") != "/" {
				t.Errorf("%q of %s leads to %q", next, s.Request.URL, s.Header.Get("Location"))
			}
		}
	}
}

// Who guesses has to wait, and is told how long; others are not kept out.
func TestGuessing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, false)
	h.moveIn()
	b := h.browser()
	for range 5 {
		b.wants(403, b.signIn("a guess", "/"))
	}
	s := b.wants(429, b.signIn(ownersPassword, "/"))
	if s.Header.Get("Retry-After") == "" || !strings.Contains(words(s.body), "too many failed attempts") && !strings.Contains(words(s.body), "Too many failed attempts") {
		t.Error(s.Header, words(s.body))
	}
	h.pass(time.Minute)
	b.wants(303, b.signIn(ownersPassword, "/"))
}

func TestSignOut(t *testing.T) {
	t.Parallel()
	h := newHouse(t, false)
	b := h.moveIn()
	cookie := b.cookie("mgx_session")
	s := b.wants(303, b.do("POST", "/signout", url.Values{}))
	if s.Header.Get("Location") != "/signedout" || b.cookie("mgx_session") != "" {
		t.Error(s.Header)
	}
	b.keep("mgx_session", cookie)
	if me := b.me(); me != "" {
		t.Errorf("signed out, and still %s", me)
	}
	b.wants(303, b.do("POST", "/signout", url.Values{})) // again
}

// An invitation that is spent, and a password that is weak, are told in words; what
// was typed stays, but for the password.
func TestInvitation(t *testing.T) {
	t.Parallel()
	h := newHouse(t, false)
	setup, err := h.access.Found(t.Context(), access.Where{})
	must(t, err)
	b := h.browser()
	form := url.Values{"token": {setup}, "email": {ownersAddress}, "name": {"Owner"}, "password": {"short"}}
	s := b.wants(400, b.do("POST", "/invitation", form))
	if !strings.Contains(s.body, `value="Owner"`) || !strings.Contains(words(s.body), "The password is too short") || strings.Contains(s.body, `value="short"`) {
		t.Error(s.body)
	}
	form.Set("password", ownersPassword)
	b.wants(303, b.do("POST", "/invitation", form))
	if s := b.wants(403, h.browser().do("POST", "/invitation", form)); !strings.Contains(words(s.body), "ask for another") {
		t.Error(words(s.body))
	}
}
