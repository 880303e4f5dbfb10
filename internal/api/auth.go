package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"mgx"
)

// bearerProtocol is how a browser, which cannot set headers of a WebSocket,
// sends its token: as a sub-protocol bearer.TOKEN beside the real one.
const bearerProtocol = "bearer."

func digest(token string) [32]byte { return sha256.Sum256([]byte(token)) }

func (s *Server) authenticate(r *http.Request) error {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		token = ""
	}
	return s.check(strings.TrimSpace(token))
}

// authenticateSocket also takes the token from the sub-protocols.
func (s *Server) authenticateSocket(r *http.Request) error {
	if r.Header.Get("Authorization") != "" {
		return s.authenticate(r)
	}
	for _, p := range protocols(r) {
		if token, ok := strings.CutPrefix(p, bearerProtocol); ok {
			return s.check(token)
		}
	}
	return s.check("")
}

// check compares digests, so that time tells neither length nor content.
func (s *Server) check(token string) error {
	got := digest(token)
	if subtle.ConstantTimeCompare(got[:], s.token[:]) == 1 {
		return nil
	}
	return mgx.Errorf(mgx.KindRefused, codeUnauthenticated, "send the server's token as Authorization: Bearer TOKEN; mgx serve says where it is")
}

func protocols(r *http.Request) []string {
	var all []string
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for p := range strings.SplitSeq(line, ",") {
			all = append(all, strings.TrimSpace(p))
		}
	}
	return all
}

// guard refuses requests that a page of somebody else may have sent: those to a
// host name that is not ours (it may have been made to point here) and those
// that say they come from another origin.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		out := &answer{ResponseWriter: w}
		switch origin := r.Header.Get("Origin"); {
		case !s.ourHost(r.Host):
			s.fail(out, r, mgx.Errorf(mgx.KindRefused, codeHost, "this server does not answer to that host name"))
		case origin != "" && !sameOrigin(origin, r.Host):
			s.fail(out, r, mgx.Errorf(mgx.KindRefused, codeOrigin, "pages of other origins may not use this server"))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (s *Server) ourHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.Trim(name, "[]")
	if addr, err := netip.ParseAddr(name); err == nil {
		return addr.IsLoopback()
	}
	return strings.EqualFold(name, "localhost") || slices.ContainsFunc(s.o.Hosts, func(h string) bool { return strings.EqualFold(name, h) })
}

func sameOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}
