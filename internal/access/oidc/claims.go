package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"mgx"
	"mgx/internal/access"
)

// Finish returns who somebody is who came back.
func (p *Provider) Finish(ctx context.Context, a access.Attempt, q url.Values) (access.Claims, error) {
	f, err := p.discover(ctx)
	if err != nil {
		return access.Claims{}, err
	}
	for _, name := range []string{"iss", "error", "code"} { // as RFC 6749, 3.1, has it
		if len(q[name]) > 1 {
			return access.Claims{}, p.refused(errors.New("the answer says something twice"))
		}
	}
	if who := q.Get("iss"); who != p.c.Issuer && (who != "" || f.says.SaysWho) {
		return access.Claims{}, p.refused(errors.New("the answer is another provider's (iss)"))
	}
	if code := q.Get("error"); code != "" {
		return access.Claims{}, mgx.Errorf(mgx.KindRefused, CodeRefused, "%s did not let you in (%s)", p.c.Title, word(code))
	}
	if q.Get("code") == "" {
		return access.Claims{}, p.refused(errors.New("the answer has no code"))
	}
	secret := ""
	if p.o.Secret != nil {
		if secret, err = p.o.Secret(ctx); err != nil {
			return access.Claims{}, err
		}
	}
	ctx = oidc.ClientContext(ctx, p.o.Client)
	tokens, err := p.client(f, a, secret).Exchange(ctx, q.Get("code"), oauth2.VerifierOption(a.Verifier))
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok && e.Response != nil && e.Response.StatusCode < 500 {
		return access.Claims{}, p.refused(err)
	}
	if err != nil {
		return access.Claims{}, p.unreachable(err)
	}
	said, err := p.verified(ctx, f, a, tokens)
	if err != nil {
		return access.Claims{}, p.refused(err)
	}
	return p.judge(said)
}

// said is what a provider says of a person.
type said struct {
	*oidc.IDToken
	claims map[string]any
}

// verified are the claims of an ID token, with those of the userinfo endpoint that
// it lacks.
func (p *Provider) verified(ctx context.Context, f *found, a access.Attempt, tokens *oauth2.Token) (said, error) {
	raw, _ := tokens.Extra("id_token").(string)
	if raw == "" {
		return said{}, errors.New("there is no ID token")
	}
	id, err := f.Verifier(p.verifying()).Verify(ctx, raw)
	if err != nil {
		return said{}, err
	}
	s := said{IDToken: id}
	if err := p.check(&s, a, tokens.AccessToken); err != nil {
		return said{}, err
	}
	if f.says.UserInfo == "" || s.complete(p.c.GroupsClaim) {
		return s, nil
	}
	info, err := f.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
	if err != nil {
		return said{}, err
	}
	var more map[string]any
	if err := info.Claims(&more); err != nil {
		return said{}, err
	}
	if more["sub"] != id.Subject { // OpenID Connect Core, 5.3.2
		return said{}, errors.New("the userinfo is of another subject")
	}
	s.add(more)
	return s, nil
}

// add takes what is said elsewhere and not in the ID token. That an address was verified
// is said of the one beside it.
func (s *said) add(more map[string]any) {
	if email, there := s.claims["email"]; there && email != more["email"] {
		delete(more, "email_verified")
	}
	for name, v := range more {
		if _, there := s.claims[name]; !there {
			s.claims[name] = v
		}
	}
}

// verifying is how tokens are verified. An expiry is stretched by the difference
// that clocks may have.
func (p *Provider) verifying() *oidc.Config {
	return &oidc.Config{ClientID: p.c.ClientID, SupportedSigningAlgs: algorithms, Now: func() time.Time { return p.o.Now().Add(-skew) }}
}

// check is what of OpenID Connect Core, 3.1.3.7, the library leaves to its caller. Names
// of claims are taken to the letter, which the library does not: people may have claims
// that they name themselves.
func (p *Provider) check(s *said, a access.Attempt, accessToken string) error {
	if err := s.Claims(&s.claims); err != nil {
		return err
	}
	azp, named := s.claims["azp"]
	nonce, _ := s.claims["nonce"].(string)
	switch {
	case s.claims["iss"] != p.c.Issuer:
		return errors.New("the issuer is not the one to the letter")
	case s.Subject == "" || len(s.Subject) > 255 || s.claims["sub"] != s.Subject:
		return errors.New("there is no subject, or more than one")
	case subtle.ConstantTimeCompare([]byte(nonce), []byte(a.Nonce)) != 1:
		return errors.New("the token is of another attempt (nonce)")
	case named && azp != p.c.ClientID, !named && len(s.Audience) > 1:
		return errors.New("the token was made for another client (azp)")
	case s.IssuedAt.After(p.o.Now().Add(skew)):
		return errors.New("the token is from the future (iat)")
	case s.AccessTokenHash != "":
		return s.VerifyAccessToken(accessToken)
	}
	return nil
}

// complete reports whether an ID token says all that is asked of a person.
func (s *said) complete(groups string) bool {
	_, email := s.claims["email"]
	_, name := s.claims["name"]
	return email && name && (groups == "" || at(s.claims, groups) != nil)
}

// judge says what the claims of a person come to.
func (p *Provider) judge(s said) (access.Claims, error) {
	out := access.Claims{Issuer: s.Issuer, Subject: s.Subject, Email: s.email(), New: p.c.New}
	out.Session, _ = s.claims["sid"].(string)
	if len(out.Session) > 255 {
		out.Session = ""
	}
	out.Name = s.name(out.Email)
	if !p.c.admits(out.Email) {
		return access.Claims{}, mgx.Errorf(mgx.KindRefused, CodeRefused, "people sign in here with an address of %s that %s has verified; yours is none", strings.Join(p.c.Domains, ", "), p.c.Title)
	}
	groups, err := s.groups(p.c.GroupsClaim)
	if err != nil {
		return access.Claims{}, &mgx.Error{Kind: mgx.KindRefused, Code: CodeRefused, Message: p.c.Title + " did not tell all the groups that you are in, so nobody can say what you may do; have it list fewer in the token", Err: err}
	}
	out.Grants = p.c.grants(groups)
	return out, nil
}

// email is the person's address, if the provider has verified that it is.
func (s *said) email() string {
	text, _ := s.claims["email"].(string)
	ok := s.claims["email_verified"]
	if ok != true && ok != "true" { // some providers write it as text
		return ""
	}
	email, err := access.Email(text)
	if err != nil {
		return ""
	}
	return email
}

// name is what to call a person.
func (s *said) name(email string) string {
	local, _, _ := strings.Cut(email, "@")
	for _, text := range []any{s.claims["name"], s.claims["preferred_username"], local} {
		text, _ := text.(string)
		if r := []rune(strings.ToValidUTF8(text, "")); len(r) > 25 { // at most 100 bytes
			text = string(r[:25])
		}
		if name, err := access.Name(text); err == nil {
			return name
		}
	}
	return "somebody"
}

// maxGroups is how many groups a person may be in.
const maxGroups = 1000

// groups are the groups of a person. That there is no such claim means none; that
// there is one which cannot be read, or which is said to be elsewhere (OpenID Connect
// Core, 5.6.2), means that they are not known.
func (s *said) groups(claim string) (all []string, err error) {
	if claim == "" {
		return nil, nil
	}
	if elsewhere, _ := s.claims["_claim_names"].(map[string]any); elsewhere[path(claim)[0]] != nil {
		return nil, errors.New("the groups are a distributed claim")
	}
	switch v := at(s.claims, claim).(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []any:
		if len(v) > maxGroups {
			return nil, fmt.Errorf("there are more than %d groups", maxGroups)
		}
		for _, g := range v {
			name, ok := g.(string)
			if !ok {
				return nil, errors.New("a group is no text")
			}
			all = append(all, name)
		}
		return all, nil
	}
	return nil, errors.New("the groups are no list")
}

// path leads to a claim: its name, or the parts of a JSON pointer.
func path(where string) []string {
	pointer, deep := strings.CutPrefix(where, "/")
	if !deep {
		return []string{where}
	}
	parts := strings.Split(pointer, "/")
	for i, part := range parts {
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
	}
	return parts
}

// at is the claim to which a path leads.
func at(claims map[string]any, where string) any {
	var v any = claims
	for _, part := range path(where) {
		switch in := v.(type) {
		case map[string]any:
			v = in[part]
		case []any:
			n, err := strconv.Atoi(part)
			if err != nil || n < 0 || n >= len(in) {
				return nil
			}
			v = in[n]
		default:
			return nil
		}
	}
	return v
}

// SignedOut reads what a provider sends when somebody signed out there (OpenID
// Connect Back-Channel Logout 1.0, 2.6).
func (p *Provider) SignedOut(ctx context.Context, token string) (access.LoggedOut, error) {
	f, err := p.discover(ctx)
	if err != nil {
		return access.LoggedOut{}, err
	}
	t, err := f.Verifier(p.verifying()).VerifyLogout(oidc.ClientContext(ctx, p.o.Client), token)
	switch {
	case err != nil:
		return access.LoggedOut{}, p.refused(err)
	case t.Issuer != p.c.Issuer, p.o.Now().Sub(t.IssuedAt) > believed, t.IssuedAt.After(p.o.Now().Add(skew)):
		return access.LoggedOut{}, p.refused(errors.New("the logout token is another's, or of another time"))
	}
	return access.LoggedOut{Issuer: t.Issuer, Subject: t.Subject, Session: t.SessionID, Until: t.IssuedAt.Add(skew)}, nil
}

var _ access.Provider = (*Provider)(nil)
