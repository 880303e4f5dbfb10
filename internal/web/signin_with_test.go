package web_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/access/oidc/oidctest"
	"mgx/internal/app"
	"mgx/internal/store"
)

// jo is who signs in at the provider.
func jo(groups ...string) map[string]any {
	return map[string]any{"email": "jo@example.com", "email_verified": true, "name": "Jo", "groups": groups, "sid": "sid-1"}
}

func (h *house) says(person map[string]any) { h.there.Say(oidctest.Said{Person: person}) }

// signInThere goes to the provider and comes back.
func (b *browser) signInThere(next string) seen {
	b.h.t.Helper()
	return b.wants(303, b.toProvider(next))
}

// toProvider is the answer to the browser that comes back from the provider.
func (b *browser) toProvider(next string) seen {
	b.h.t.Helper()
	return b.get(b.backAt(next), "Sec-Fetch-Site", "cross-site")
}

// backAt is the address at which the browser comes back.
func (b *browser) backAt(next string) string {
	b.h.t.Helper()
	begun := b.wants(303, b.get("/signin/with/corp?"+url.Values{"next": {next}}.Encode()))
	there := b.wants(303, b.get(begun.Header.Get("Location")))
	return there.Header.Get("Location")
}

func TestSignInWithProvider(t *testing.T) {
	t.Parallel()
	h := newHouse(t, false)
	h.moveIn()
	h.says(jo("builders"))
	b := h.browser()
	begun := b.wants(303, b.get("/signin/with/corp?next=/runs/x"))
	there, err := url.Parse(begun.Header.Get("Location"))
	must(t, err)
	q := there.Query()
	if q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" || q.Get("redirect_uri") != h.url+"/signin/with/corp/back" || q.Get("client_id") != oidctest.ClientID {
		t.Error(there)
	}
	if set := begun.Header.Get("Set-Cookie"); !strings.HasPrefix(set, "mgx_signin=") || !strings.Contains(set, "HttpOnly; SameSite=Lax") {
		t.Error(set)
	}
	if strings.Contains(there.String(), b.cookie("mgx_signin")) {
		t.Error("what the browser keeps goes to the provider")
	}
	in := b.signInThere("/runs/x")
	if in.Header.Get("Location") != "/runs/x" || b.cookie("mgx_signin") != "" {
		t.Error(in.Header)
	}
	if me := b.me(); me != "jo@example.com developer" {
		t.Errorf("the API takes the browser for %q", me)
	}
	// Who leaves a group loses the role, at the next sign-in.
	h.says(jo("admins"))
	b.signInThere("/")
	if me := b.me(); me != "jo@example.com admin" {
		t.Errorf("in another group %q", me)
	}
	h.says(jo())
	b.signInThere("/")
	if me := b.me(); me != "jo@example.com" {
		t.Errorf("in no group any more %q", me)
	}
	if s := b.get("/api/v1/budgets"); s.StatusCode/100 != 4 {
		t.Errorf("in no workspace, and answered with %d", s.StatusCode)
	}
}

// Each of these comes back in a way in which no sign-in of this browser does.
func TestComingBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t, false)
	h.moveIn()
	h.says(jo("builders"))
	refused := func(what string, b *browser, s seen) {
		t.Helper()
		if s.StatusCode != 403 || b.me() != "" || !strings.Contains(words(s.body), "Request req_") {
			t.Errorf("%s: %d %s", what, s.StatusCode, words(s.body))
		}
	}
	victim, thief := h.browser(), h.browser()
	thiefs := thief.backAt("/")
	refused("in a browser that began nothing", victim, victim.get(thiefs, "Sec-Fetch-Site", "cross-site"))
	victim.backAt("/")
	refused("in a browser that began another", victim, victim.get(thiefs, "Sec-Fetch-Site", "cross-site"))

	b := h.browser()
	back := b.backAt("/")
	refused("from another provider", b, b.get(strings.Replace(back, "/with/corp/", "/with/other/", 1)))
	b.wants(303, b.get(back, "Sec-Fetch-Site", "cross-site"))
	b.do("POST", "/signout", url.Values{})
	refused("a second time", b, b.get(back))

	late := h.browser()
	back = late.backAt("/")
	h.pass(signInWait)
	refused("too late", late, late.get(back))

	b = h.browser()
	u, err := url.Parse(b.backAt("/"))
	must(t, err)
	q := u.Query()
	q.Set("state", "another")
	u.RawQuery = q.Encode()
	refused("with another state", b, b.get(u.String()))

	h.there.Say(oidctest.Said{Person: jo("builders"), Token: func(c map[string]any) { c["nonce"] = "another" }})
	b = h.browser()
	refused("with the token of another attempt", b, b.toProvider("/"))
	h.there.Say(oidctest.Said{Back: func(q url.Values) {
		q.Del("code")
		q.Set("error", "access_denied")
		q.Set("error_description", "<b>evil words</b>")
	}})
	s := b.toProvider("/")
	if refused("refused there", b, s); strings.Contains(s.body, "evil words") {
		t.Error("the provider's words are shown")
	}
	b.wants(404, b.get("/signin/with/nobody"))
	b.wants(404, b.get("/signin/with/nobody/back?state=x"))
}

// signInWait is how long a sign-in may take.
const signInWait = 10 * time.Minute

// A page of others that sends people here begins nothing.
func TestBegunByOthers(t *testing.T) {
	t.Parallel()
	h := newHouse(t, false)
	h.moveIn()
	b := h.browser()
	s := b.wants(200, b.get("/signin/with/corp?next=//evil.example.com", "Sec-Fetch-Site", "cross-site"))
	if s.Header.Get("Set-Cookie") != "" || strings.Contains(s.body, "evil") {
		t.Error(s.Header, s.body)
	}
	h.says(jo("builders"))
	if s := b.signInThere("//evil.example.com/"); s.Header.Get("Location") != "/" {
		t.Errorf("sent to %s", s.Header.Get("Location"))
	}
}

// An account is linked by an address that the provider has verified, and by no
// other; who has none, and no role, gets none.
func TestLinking(t *testing.T) {
	t.Parallel()
	h := newHouse(t, false)
	h.moveIn()
	owner := jo()
	owner["email"] = strings.ToUpper(ownersAddress)
	unverified := maps.Clone(owner)
	unverified["email_verified"] = false
	b := h.browser()
	h.says(unverified)
	if s := b.wants(403, b.toProvider("/")); !strings.Contains(words(s.body), "ask an admin for an invitation") {
		t.Error(words(s.body))
	}
	h.says(owner)
	b.signInThere("/")
	if me := b.me(); me != ownersAddress+" admin" { // though no group says so
		t.Errorf("linked to %q", me)
	}
	h.says(unverified) // known by the subject from now on
	b.signInThere("/")
	if me := b.me(); me != ownersAddress+" admin" {
		t.Errorf("linked to %q", me)
	}
	another := maps.Clone(owner)
	another["sub"] = "subject-2"
	h.says(another)
	if s := b.wants(403, b.toProvider("/")); !strings.Contains(words(s.body), "as somebody else") {
		t.Error(words(s.body))
	}
}

// An account that somebody made under an address that is not theirs is of no use to
// them once the one whose address it is has signed in at the provider. One that the
// installation's own admins invited by that address goes on as it was.
func TestLinkingLeavesNobodyElseIn(t *testing.T) {
	t.Parallel()
	const password = "four words of theirs"
	for name, trusted := range map[string]bool{"made in a name": false, "invited by it": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, false)
			h.moveIn()
			at := mgx.DefaultWorkspace
			invitation := app.NewInvitation{Email: "jo@example.com", Role: mgx.RoleViewer}
			if !trusted {
				other, err := h.access.CreateWorkspace(t.Context(), h.owner(at), "other")
				must(t, err)
				at, invitation.Email = other.ID, ""
			}
			_, token, err := h.access.Invite(t.Context(), h.owner(at), invitation)
			must(t, err)
			made, err := h.access.Accept(t.Context(), app.Accepting{Token: token, Email: "jo@example.com", Name: "J", Password: password}, access.Where{})
			must(t, err)
			user, err := h.store.UserByEmail(t.Context(), "jo@example.com")
			must(t, err)
			key, _ := access.NewKey(mgx.APIKey{Workspace: at, User: user.ID, Name: "k", Scopes: []string{"*"}})
			must(t, h.store.CreateKey(t.Context(), mgx.Doer{Workspace: at, Actor: string(user.ID)}, key))

			h.says(jo("admins"))
			b := h.browser()
			b.signInThere("/")
			if me := b.me(); !strings.HasPrefix(me, "jo@example.com") {
				t.Fatalf("they are %q", me)
			}
			_, signing := h.access.SignIn(t.Context(), "jo@example.com", password, access.Where{})
			session, err := h.store.Session(t.Context(), made.Session.ID)
			must(t, err)
			key, err = h.store.Key(t.Context(), key.ID)
			must(t, err)
			for what, works := range map[string]bool{"password": signing == nil, "session": session.RevokedAt.IsZero(), "key": key.RevokedAt.IsZero()} {
				if works != trusted {
					t.Errorf("the %s that was there before works: %v", what, works)
				}
			}
		})
	}
}

// Who signs out there is out here; who signs out here is told where else they are
// signed in.
func TestSignedOutThere(t *testing.T) {
	t.Parallel()
	h := newHouse(t, false)
	h.moveIn()
	h.says(jo("builders"))
	b, other := h.browser(), h.browser()
	b.signInThere("/")
	h.says(map[string]any{"sub": "subject-2", "email": "al@example.com", "email_verified": true, "groups": []string{"builders"}})
	other.signInThere("/")
	there := func(token string) seen {
		return h.browser().do("POST", "/signin/with/corp/signed-out", url.Values{"logout_token": {token}}, "Sec-Fetch-Site", "", "Origin", "")
	}
	for _, token := range []string{"", "nonsense", oidctest.Unsigned(map[string]any{}), h.there.Sign(h.there.Claims(""))} {
		if s := there(token); s.StatusCode != 400 {
			t.Errorf("answered with %d %s", s.StatusCode, s.body)
		}
	}
	if s := there(h.there.LogoutToken(func(c map[string]any) { c["sid"] = "sid-of-nobody" })); s.StatusCode != 200 || b.me() == "" {
		t.Errorf("another session ended: %d", s.StatusCode)
	}
	if s := there(h.there.LogoutToken(nil)); s.StatusCode != 200 {
		t.Fatal(s.StatusCode, s.body)
	}
	if b.me() != "" || other.me() == "" {
		t.Error("the wrong people are out")
	}
	s := b.follow(other.wants(http.StatusSeeOther, other.do("POST", "/signout", url.Values{})))
	if !strings.Contains(s.body, h.there.URL+"/end?client_id=mgx") || !strings.Contains(words(s.body), "Sign out of Corp, too") {
		t.Error(s.body)
	}
	var found bool
	for _, e := range h.audited() {
		found = found || e == "session.delete allowed"
	}
	if !found {
		t.Error("the audit log does not tell of it")
	}
}

// audited is what the audit log of the installation tells.
func (h *house) audited() (all []string) {
	h.t.Helper()
	list, err := h.store.Events(h.t.Context(), store.EventQuery{Stream: mgx.AuditStream(mgx.DefaultWorkspace)})
	must(h.t, err)
	for _, e := range list {
		var d mgx.AuditData
		must(h.t, e.Decode(&d))
		all = append(all, d.Action+" "+d.Decision)
	}
	return all
}

// A provider that is down is told of, and passwords go on.
func TestProviderIsDown(t *testing.T) {
	t.Parallel()
	h := newHouse(t, false)
	h.moveIn()
	h.there.Say(oidctest.Said{Down: true})
	b := h.browser()
	if s := b.wants(503, b.get("/signin/with/corp")); !strings.Contains(words(s.body), "Corp cannot be asked") {
		t.Error(words(s.body))
	}
	b.wants(303, b.signIn(ownersPassword, "/"))
}
