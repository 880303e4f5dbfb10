package web_test

import (
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/access/oidc"
	"mgx/internal/access/oidc/oidctest"
	"mgx/internal/store"
)

// scene is somebody who signs in at a real OpenID provider.
type scene struct {
	*house
	p, evil *there // evil is another provider, of somebody else
	b       *browser
}

// asked is what the browser is sent to the provider with.
func (c *scene) asked() url.Values {
	c.t.Helper()
	begun := c.b.wants(303, c.b.get("/signin/with/corp?next=/runs"))
	u, err := url.Parse(begun.Header.Get("Location"))
	must(c.t, err)
	return u.Query()
}

// back is where the browser comes back to from a provider, as somebody.
func (c *scene) back(p *there, asked url.Values, who string) *url.URL {
	c.t.Helper()
	return c.b.at(p.issuer+"/auth?"+asked.Encode(), who)
}

// returns has the browser come back.
func (c *scene) returns(back *url.URL) seen {
	c.t.Helper()
	return c.b.get(back.String(), "Sec-Fetch-Site", "cross-site")
}

// signIn signs in as a person does.
func (c *scene) signIn() seen {
	c.t.Helper()
	return c.returns(c.back(c.p, c.asked(), "jo"))
}

// given is a sign-in in which members of the token endpoint's answer are those of
// another answer.
func given(members string, other func(*scene, url.Values) map[string]any) func(*scene) seen {
	return func(c *scene) seen {
		asked := c.asked()
		theirs := other(c, asked)
		c.p.swapping(swapped{answer: func(all map[string]any) {
			for name := range strings.FieldsSeq(members) {
				all[name] = theirs[name]
			}
		}})
		return c.returns(c.back(c.p, asked, "jo"))
	}
}

// edited is a parameter with another value; none takes it away.
func edited(name, v string) func(url.Values) {
	return func(q url.Values) {
		if q.Set(name, v); v == "" {
			q.Del(name)
		}
	}
}

// brings is a sign-in in which what the browser brings back is edited.
func brings(edit func(*scene, url.Values)) func(*scene) seen {
	return func(c *scene) seen {
		back := c.back(c.p, c.asked(), "jo")
		q := back.Query()
		edit(c, q)
		back.RawQuery = q.Encode()
		return c.returns(back)
	}
}

// client sets up how MGX is registered at the provider.
func client(name string, v any) func(*setup) { return func(s *setup) { s.client[name] = v } }

// alg has ID tokens signed by an algorithm.
func alg(name string) func(*setup) {
	return func(s *setup) {
		s.client["id_token_signed_response_alg"] = name
		s.With["enabledJWA"] = map[string]any{"idTokenSigningAlgValues": []string{name, "RS256"}}
	}
}

// feature switches a feature of the provider on, besides those that tests need.
func feature(s *setup, name string) {
	on := map[string]bool{"enabled": true}
	s.With["features"] = map[string]any{"backchannelLogout": on, "devInteractions": on, name: on}
}

// than is a person of whom something is otherwise.
func than(more map[string]any) map[string]any {
	all := person("builders")
	maps.Copy(all, more)
	return all
}

// wrong is a sign-in at a real OpenID provider that comes to nothing.
type wrong struct {
	set    func(*setup)       // of the provider
	edit   func(*oidc.Config) // of MGX
	person map[string]any     // jo
	do     func(*scene) seen  // scene.signIn
	code   string             // of the refusal; oidc.CodeRefused
	cause  string             // in the log, which alone says it
	shown  string             // to the person; that the answer cannot be trusted
}

// wrongs are by what is wrong. What a token says wrongly is signed so by the provider
// itself; only where it goes is changed.
var wrongs = map[string]wrong{
	// Tokens that were made for something else.
	"the ID token of another client": {do: given("id_token", func(c *scene, asked url.Values) map[string]any {
		return c.p.tokens(asked, "jo", func(q url.Values) { q.Set("client_id", "other"); q.Set("redirect_uri", elsewhere) })
	}), cause: `expected audience`},
	"the ID token of another issuer with our keys": {do: given("id_token", func(c *scene, asked url.Values) map[string]any {
		c.evil.begin(c.house, nil, map[string]any{"jo": person("admins")})
		return c.evil.tokens(asked, "jo", nil)
	}), cause: "issued by a different provider"},
	"the ID token of another issuer": {do: given("id_token", func(c *scene, asked url.Values) map[string]any {
		c.evil.begin(c.house, func(s *setup) { s.Keys = "second" }, map[string]any{"jo": person("admins")})
		return c.evil.tokens(asked, "jo", nil)
	}), cause: "failed to verify id token signature"},
	"all tokens of another sign-in": {do: given("id_token access_token", func(c *scene, asked url.Values) map[string]any {
		return c.p.tokens(asked, "jo", edited("nonce", "of another sign-in"))
	}), cause: "(nonce)"},
	"tokens without a nonce": {do: given("id_token access_token", func(c *scene, asked url.Values) map[string]any {
		return c.p.tokens(asked, "jo", edited("nonce", ""))
	}), cause: "(nonce)"},
	"the ID token of another person": {do: given("id_token", func(c *scene, asked url.Values) map[string]any {
		return c.p.tokens(asked, "al", nil)
	}), cause: "userinfo is of another subject"},
	"the access token of another person": {do: given("access_token", func(c *scene, asked url.Values) map[string]any {
		return c.p.tokens(asked, "al", nil)
	}), cause: "userinfo is of another subject"},
	"userinfo of another person": {do: func(c *scene) seen {
		asked := c.asked()
		theirs, _ := c.p.tokens(asked, "al", nil)["access_token"].(string)
		c.p.swapping(swapped{bearer: theirs})
		return c.returns(c.back(c.p, asked, "jo"))
	}, cause: "userinfo is of another subject"},
	"an ID token that came with another access token": {
		set: func(s *setup) {
			s.client["application_type"], s.client["token_endpoint_auth_method"] = "native", "client_secret_basic"
			s.client["response_types"], s.client["grant_types"] = []string{"code", "code id_token token"}, []string{"authorization_code", "implicit"}
			s.With["responseTypes"] = s.client["response_types"]
		},
		do: given("id_token", func(c *scene, asked url.Values) map[string]any {
			return c.p.tokens(asked, "jo", edited("response_type", "code id_token token"))
		}), cause: "access token hash does not match",
	},
	"an access token in the place of the ID token": {do: func(c *scene) seen {
		c.p.swapping(swapped{answer: func(all map[string]any) { all["id_token"] = all["access_token"] }})
		return c.signIn()
	}, cause: "malformed jwt"},
	"no ID token": {do: func(c *scene) seen {
		c.p.swapping(swapped{answer: func(all map[string]any) { delete(all, "id_token") }})
		return c.signIn()
	}, cause: "there is no ID token"},

	"a subject that a person gives themselves": {
		set: func(s *setup) {
			s.With["claims"] = map[string]any{"openid": []string{"sub", "SUB"}, "email": []string{"email", "email_verified"}, "profile": []string{"name"}, "groups": []string{"groups"}}
			s.With["conformIdTokenClaims"] = false
		},
		person: than(map[string]any{"SUB": "al"}), cause: "more than one",
	},

	// Times.
	"an ID token that has expired": {set: func(s *setup) { s.With["ttl"] = map[string]any{"IdToken": 60} }, do: func(c *scene) seen {
		back := c.back(c.p, c.asked(), "jo")
		c.pass(3 * time.Minute)
		defer c.pass(-3 * time.Minute)
		return c.returns(back)
	}, cause: "token is expired"},
	"an ID token from the future": {do: func(c *scene) seen {
		back := c.back(c.p, c.asked(), "jo")
		c.pass(-3 * time.Minute)
		defer c.pass(3 * time.Minute)
		return c.returns(back)
	}, cause: "(iat)"},
	"a sign-in that took too long": {do: func(c *scene) seen {
		back := c.back(c.p, c.asked(), "jo")
		c.pass(signInWait)
		return c.returns(back)
	}, code: mgx.CodeTokenUnknown, shown: "This sign-in did not begin in this browser"},

	// Algorithms.
	"HS256":                     {set: alg("HS256"), cause: "unexpected signature algorithm"},
	"an algorithm not of ours":  {set: alg("Ed25519"), cause: "unexpected signature algorithm"},
	"an ID token in encryption": {set: func(s *setup) { feature(s, "encryption"); s.client["id_token_encrypted_response_alg"] = "dir" }, cause: "malformed jwt"},
	"userinfo signed by HS256": {
		set: func(s *setup) {
			feature(s, "jwtUserinfo")
			s.client["userinfo_signed_response_alg"] = "HS256"
			s.With["enabledJWA"] = map[string]any{"userinfoSigningAlgValues": []string{"HS256"}}
		},
		cause: "invalid userinfo jwt signature",
	},

	// Codes, and what the browser brings.
	"another PKCE verifier": {do: func(c *scene) seen {
		c.p.swapping(swapped{asked: edited("code_verifier", strings.Repeat("w", 43))})
		return c.signIn()
	}, cause: "invalid_grant"},
	"the code of another person's sign-in": {do: brings(func(c *scene, q url.Values) {
		theirs := &scene{house: c.house, p: c.p, b: c.browser()}
		q.Set("code", theirs.back(c.p, theirs.asked(), "al").Query().Get("code"))
	}), cause: "invalid_grant"},
	"the code of another sign-in of the browser": {do: brings(func(c *scene, q url.Values) {
		q.Set("code", c.back(c.p, c.asked(), "jo").Query().Get("code"))
	}), cause: "invalid_grant"},
	"a code for another client": {do: brings(func(c *scene, q url.Values) {
		asked := c.asked()
		asked.Set("client_id", "other")
		asked.Set("redirect_uri", elsewhere)
		q.Set("code", c.back(c.p, asked, "jo").Query().Get("code"))
	}), cause: "invalid_grant"},
	"the answer of another provider": {do: brings(func(c *scene, q url.Values) { c.mixUp(q) }), cause: "(iss)"},
	"the answer of another provider, which does not say so": {do: brings(func(c *scene, q url.Values) {
		c.mixUp(q)
		q.Del("iss")
	}), cause: "(iss)"},
	"the code of another provider": {do: brings(func(c *scene, q url.Values) {
		c.mixUp(q)
		q.Set("iss", c.p.issuer)
	}), cause: "invalid_grant"},
	"an answer of two issuers": {do: brings(func(c *scene, q url.Values) { q.Add("iss", c.evil.issuer) }), cause: "twice"},
	"at the address of another provider": {do: func(c *scene) seen {
		back := c.back(c.p, c.asked(), "jo")
		back.Path = "/signin/with/other/back"
		return c.returns(back)
	}, code: mgx.CodeTokenUnknown, shown: "This sign-in did not begin in this browser"},
	"in another browser": {do: func(c *scene) seen {
		theirs := &scene{house: c.house, p: c.p, b: c.browser()}
		back := theirs.back(c.p, theirs.asked(), "al")
		c.asked()
		return c.returns(back)
	}, code: mgx.CodeTokenUnknown, shown: "This sign-in did not begin in this browser"},
	"with a state of the provider's": {do: brings(func(_ *scene, q url.Values) { q.Set("state", q.Get("code")) }), code: mgx.CodeTokenUnknown, shown: "This sign-in did not begin in this browser"},
	"somebody who does not agree":    {do: func(c *scene) seen { return c.returns(c.back(c.p, c.asked(), "")) }, shown: "Corp did not let you in (access_denied)"},
	"another client secret":          {set: client("client_secret", "another secret of the client, long"), cause: "invalid_client"},

	// What is said of people.
	"groups that are elsewhere": {
		person: than(map[string]any{"groups": nil, "_claim_names": map[string]any{"groups": "src1"}, "_claim_sources": map[string]any{"src1": map[string]any{"endpoint": "https://graph.example.com"}}}),
		cause:  "distributed claim", shown: "Corp did not tell all the groups",
	},
	"more groups than anybody reads": {person: than(map[string]any{"groups": strings.Split(strings.Repeat("builders ", 1001), " ")}), cause: "more than 1000 groups", shown: "Corp did not tell all the groups"},
	"groups that are an object":      {person: than(map[string]any{"groups": map[string]any{"builders": true}}), cause: "the groups are no list", shown: "Corp did not tell all the groups"},
	"groups that are numbers":        {person: than(map[string]any{"groups": []int{1}}), cause: "a group is no text", shown: "Corp did not tell all the groups"},
	"groups in a list in a list":     {person: than(map[string]any{"groups": [][]string{{"builders"}}}), cause: "a group is no text", shown: "Corp did not tell all the groups"},
	"userinfo that nobody reads":     {person: than(map[string]any{"groups": []string{strings.Repeat("g", 2<<20)}}), cause: "failed to decode userinfo"},
	"no groups":                      {person: than(map[string]any{"groups": nil}), code: "no_account", shown: "ask an admin for an invitation"},
	"no groups that give a role":     {person: than(map[string]any{"groups": "nobodies"}), code: "no_account", shown: "ask an admin for an invitation"},
	"the owner's address, which is not verified": {
		person: than(map[string]any{"email": ownersAddress, "email_verified": false, "groups": nil}), code: "no_account", shown: "ask an admin for an invitation",
	},
	"an address of the domains, which is not verified": {
		person: than(map[string]any{"email_verified": false}), edit: func(c *oidc.Config) { c.Domains = []string{"example.com"} }, shown: "People sign in here with an address of example.com",
	},
	"an address of another domain": {
		person: than(map[string]any{"email": "jo@example.com.example.net"}), edit: func(c *oidc.Config) { c.Domains = []string{"example.com"} }, shown: "People sign in here with an address of example.com",
	},
}

// mixUp has another provider answer what this one was asked.
func (c *scene) mixUp(q url.Values) {
	c.t.Helper()
	c.evil.begin(c.house, nil, map[string]any{"jo": person("admins")})
	theirs := c.back(c.evil, c.asked(), "jo").Query()
	q.Set("code", theirs.Get("code"))
	q.Set("iss", theirs.Get("iss"))
}

// Whatever is wrong with what a real OpenID provider gives, or with where it comes from,
// nobody is signed in, the audit log has it with the code, the server's log with the cause,
// and the person reads neither. What is right after it lets them in.
func TestWrongSignIns(t *testing.T) {
	t.Parallel()
	for name, w := range wrongs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w.refused(t)
		})
	}
}

func (w wrong) refused(t *testing.T) {
	p, evil := startProvider(t), startProvider(t)
	h := build(t, blueprint{corp: p.issuer, other: evil.issuer, clock: true, edit: w.edit})
	h.moveIn()
	al := map[string]any{"email": "al@example.com", "email_verified": true, "name": "Al", "groups": []string{"admins"}}
	people := map[string]any{"jo": person("builders"), "al": al}
	if w.person != nil {
		people["jo"] = w.person
	}
	p.begin(h, w.set, people)
	c := &scene{h, p, evil, h.browser()}
	if w.do == nil {
		w.do = (*scene).signIn
	}
	s := w.do(c)

	if s.StatusCode != 403 || c.b.me() != "" || c.b.cookie("mgx_session") != "" {
		t.Fatalf("answered with %d, and is %q: %s", s.StatusCode, c.b.me(), words(s.body))
	}
	if w.shown == "" {
		w.shown = "What Corp says of you cannot be trusted, so you are not signed in"
	}
	if !strings.Contains(words(s.body), w.shown) {
		t.Errorf("they read %s", words(s.body))
	}
	if w.code == "" {
		w.code = oidc.CodeRefused
	}
	if all := h.denied(); len(all) != 1 || all[0].Action != "session.create" || all[0].Reason != w.code || all[0].Request != s.Header.Get("X-Request-Id") {
		t.Errorf("the audit log has %+v", all)
	}
	if !strings.Contains(words(s.body), "Code "+w.code) {
		t.Errorf("the page does not say %s: %s", w.code, words(s.body))
	}
	said := h.said()
	if !strings.Contains(said, "somebody could not sign in") || !strings.Contains(said, w.cause) {
		t.Errorf("the log says %s", said)
	}
	if w.cause != "" && strings.Contains(words(s.body), w.cause) {
		t.Errorf("the page says why: %s", words(s.body))
	}
	for _, secret := range []string{"eyJ", oidctest.ClientSecret, url.QueryEscape(oidctest.ClientSecret), s.Request.URL.Query().Get("code"), s.Request.URL.Query().Get("state"), c.b.cookie("mgx_signin")} {
		if secret != "" && (strings.Contains(said, secret) || strings.Contains(s.body, secret)) {
			t.Errorf("%q is in the log or on the page", secret)
		}
	}
	for _, who := range []string{"jo", "al"} {
		if user, err := h.store.UserByIdentity(t.Context(), p.issuer, who); !mgx.IsCode(err, mgx.CodeNotFound) {
			t.Errorf("%s is known as %+v, %v", who, user, err)
		}
	}

	p.swapping(swapped{})
	p.begin(h, nil, map[string]any{"jo": person("builders")})
	if s := c.signIn(); s.StatusCode != 303 || c.b.me() != "jo@example.com developer" {
		t.Errorf("after it, what is right is answered with %d: %s", s.StatusCode, words(s.body))
	}
}

// denied is what the audit log of the installation has of what was denied.
func (h *house) denied() (all []mgx.AuditData) {
	h.t.Helper()
	list, err := h.store.Events(h.t.Context(), store.EventQuery{Stream: mgx.AuditStream(mgx.DefaultWorkspace)})
	must(h.t, err)
	for _, e := range list {
		var d mgx.AuditData
		if must(h.t, e.Decode(&d)); d.Decision == mgx.AuditDenied {
			all = append(all, d)
		}
	}
	return all
}
