package api

import (
	"cmp"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"mgx"
	"mgx/internal/access"
)

// bearerProtocol is how a browser, which cannot set headers of a WebSocket,
// sends its token: as a sub-protocol bearer.TOKEN beside the real one.
const bearerProtocol = "bearer."

// actorOf is who makes a request that was allowed.
func actorOf(r *http.Request) access.Actor {
	a, _ := access.From(r.Context())
	return a
}

// stated reports whether a need is one.
func (n need) stated() bool {
	return n == anybody || n == somebody || slices.Contains(mgx.Actions, n.action) && slices.Contains(mgx.Resources, n.kind)
}

// allowed lets those through who may do what a route does.
func (s *Server) allowed(to route, next handler) handler {
	if to.needs == anybody {
		return next
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		actor, err := s.identify(r, secretOf(r))
		if err != nil {
			return s.charged(w, r, err)
		}
		if q := RequestFrom(r.Context()); q != nil {
			q.Actor = actor
		}
		r = r.WithContext(access.With(r.Context(), actor))
		if err := s.draw(w, r, costOf(to)); err != nil {
			return err
		}
		if err := s.permit(r, to, actor); err != nil {
			return err
		}
		return s.missed(r, actor, next(w, r))
	}
}

// permit asks whether an actor may do what a route does. Of things that are
// somebody's own the actor's own are meant; whoever else's are for the handler.
func (s *Server) permit(r *http.Request, to route, actor access.Actor) error {
	if to.needs == somebody {
		return nil
	}
	on := access.Resource{Kind: to.needs.kind, ID: r.PathValue("id")}
	if to.flags&installation != 0 {
		on.Workspace = mgx.DefaultWorkspace
	}
	if to.flags&finer != 0 {
		on.ID, on.User = "", actor.User
	}
	return s.o.Access.Authorize(r.Context(), actor, to.needs.action, on)
}

// placed tells a handler that finds out by itself who makes a request where that
// comes from.
func (s *Server) placed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.rescue(answerOf(w), r)
		where, local := s.where(r)
		next.ServeHTTP(w, r.WithContext(access.Coming(r.Context(), where, local)))
	})
}

// identify tells who makes a request, by its secret, and in which workspace: the
// one in its path, or else in its header.
func (s *Server) identify(r *http.Request, secret string) (access.Actor, error) {
	if secret == "" {
		return access.Actor{}, mgx.Errorf(mgx.KindRefused, codeUnauthenticated, "send a key or a token as Authorization: Bearer …; see: mgx keys, mgx login; mgx serve says where the server's own token is")
	}
	where, local := s.where(r)
	actor, err := s.o.Access.Identify(r.Context(), access.Proof{Secret: secret, Workspace: mgx.WorkspaceID(workspaceOf(r)), Local: local, Where: where})
	if err == nil {
		Known(r.Context())
	}
	return actor, err
}

// workspaceOf is in which workspace a request is made, as far as it says.
func workspaceOf(r *http.Request) string {
	if ws := cmp.Or(r.PathValue("workspace"), r.Header.Get("Mgx-Workspace")); ws != "" {
		return ws
	}
	return r.URL.Query().Get("workspace") // a browser sets no headers of its streams
}

// secretOf is what a request proves itself with: its header, or without one the
// cookie of a page of ours. What is a cookie counts as nothing else.
func secretOf(r *http.Request) string {
	if r.Header.Get("Authorization") == "" {
		return cookieOf(r)
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return noCookie(strings.TrimSpace(token))
}

func noCookie(token string) string {
	if strings.HasPrefix(token, access.BrowserPrefix) {
		return ""
	}
	return token
}

// socketSecret also takes it from the sub-protocols.
func socketSecret(r *http.Request) string {
	if r.Header.Get("Authorization") != "" {
		return secretOf(r)
	}
	for _, p := range protocols(r) {
		if token, ok := strings.CutPrefix(p, bearerProtocol); ok {
			return noCookie(token)
		}
	}
	return cookieOf(r)
}

// identifySocket is who wants to listen, if they may.
func (s *Server) identifySocket(r *http.Request) (access.Actor, error) {
	actor, err := s.identify(r, socketSecret(r))
	if err == nil {
		err = s.o.Access.Authorize(r.Context(), actor, "connect", access.Resource{Kind: "events"})
	}
	return actor, err
}

// where is where a request comes from, and whether that is this machine. What a
// proxy says of it counts when it is one of ours.
func (s *Server) where(r *http.Request) (w access.Where, local bool) {
	w = access.Where{Agent: clip(mgx.ToText(r.UserAgent())), Request: requestID(r)}
	peer, known := peerOf(r)
	if !known {
		w.Address = "socket"
		return w, true
	}
	w.Address = peer.String()
	forwarded := r.Header.Values("X-Forwarded-For")
	if !s.isProxy(peer) || len(forwarded) == 0 {
		return w, peer.IsLoopback() && !passedOn(r)
	}
	hops := strings.Split(strings.Join(forwarded, ","), ",")
	for _, hop := range slices.Backward(hops) { // the last that none of ours added
		addr, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		w.Address = addr.Unmap().String()
		if !s.isProxy(addr.Unmap()) {
			break
		}
	}
	return w, false
}

// passedOn reports whether a request says that a proxy has passed it on. One that nobody
// has declared is believed nothing else, but what comes through it is not of this machine.
func passedOn(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return true
		}
	}
	return false
}

// requestID is the id of a request.
func requestID(r *http.Request) string {
	if q := RequestFrom(r.Context()); q != nil {
		return q.ID
	}
	return mgx.NewID[string]("req")
}

func (s *Server) isProxy(addr netip.Addr) bool {
	return slices.ContainsFunc(s.o.Proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// peerOf is the address at the other end of a request's connection.
func peerOf(r *http.Request) (netip.Addr, bool) {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	return at.Addr().Unmap(), err == nil
}

// pastProxy reports whether a request did not come through a proxy, where all must.
func (s *Server) pastProxy(r *http.Request) bool {
	peer, known := peerOf(r)
	return len(s.o.Proxies) > 0 && known && !s.isProxy(peer) && !peer.IsLoopback() && !strings.HasPrefix(r.URL.Path, "/health/")
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
		if s.o.Secure {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		w.Header().Set(versionHeader, Version)
		out := answerOf(w)
		switch origin := r.Header.Get("Origin"); {
		case s.pastProxy(r):
			s.fail(out, r, mgx.Errorf(mgx.KindRefused, codeProxy, "this server is reached through its proxy"))
		case !s.ourHost(r.Host):
			s.fail(out, r, mgx.Errorf(mgx.KindRefused, codeHost, "this server does not answer to that host name"))
		case origin != "" && !sameOrigin(origin, r.Host) && !s.mayUse(origin):
			s.fail(out, r, mgx.Errorf(mgx.KindRefused, codeOrigin, "pages of other origins may not use this server"))
		case origin != "" && !sameOrigin(origin, r.Host) && s.cors(w, r, origin):
		case !tidy(r.URL.Path) || !mgx.IsText(r.URL.Path): // the mux would redirect; no database would look
			s.fail(out, r, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is nothing at this path"))
		case !saysText(r):
			s.fail(out, r, badQuery("the query, or a header, holds bytes that are no text: zero bytes or broken UTF-8; send it without them"))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// readHeaders are those that are looked up somewhere.
var readHeaders = []string{"Authorization", "X-Api-Key", "Mgx-Workspace", keyHeader, versionHeader, "Last-Event-ID", "If-Match", "If-None-Match", "Sec-WebSocket-Protocol"}

// saysText reports whether what a request says beside its path and body is text, of
// which databases take no other.
func saysText(r *http.Request) bool {
	query, _ := url.ParseQuery(r.URL.RawQuery) // what is not well formed is nowhere read
	for name, all := range query {
		if !mgx.IsText(name) || !mgx.IsText(all...) {
			return false
		}
	}
	return !slices.ContainsFunc(readHeaders, func(name string) bool { return !mgx.IsText(r.Header.Values(name)...) })
}

// tidy reports whether a path has no empty segments, and none that lead elsewhere.
func tidy(path string) bool {
	for part := range strings.SplitSeq(strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/"), "/") {
		if part == "." || part == ".." || part == "" && path != "/" && path != "" {
			return false
		}
	}
	return true
}

func (s *Server) ourHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.Trim(name, "[]")
	if addr, err := netip.ParseAddr(name); err == nil && addr.IsLoopback() {
		return true
	}
	return strings.EqualFold(name, "localhost") || slices.ContainsFunc(s.o.Hosts, func(h string) bool { return isHost(name, h) })
}

// isHost reports whether a name is a host's, or below it where the host begins
// with *, as in a certificate.
func isHost(name, host string) bool {
	if parent, any := strings.CutPrefix(host, "*."); any {
		_, above, below := strings.Cut(name, ".")
		return below && strings.EqualFold(above, parent)
	}
	return strings.EqualFold(name, host)
}

func sameOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}
