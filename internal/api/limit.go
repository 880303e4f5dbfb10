package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/limit"
)

// codeRateLimited refuses who asks too often.
const codeRateLimited = limit.CodeRateLimited

// Limits are how often somebody may ask, in units of which an ordinary request
// costs one, and how much is answered at once. What is zero has no limit.
type Limits struct {
	Key       limit.Rate // of one key
	User      limit.Rate // of one person, with all their sessions and keys
	Workspace limit.Rate // of all who act in it
	Address   limit.Rate // of those who have not said who they are

	// Streams and sockets that are open at a time, of one key, one person, one workspace.
	KeyStreams, UserStreams, WorkspaceStreams int

	AtOnce    int           // requests that are being answered; streams and calls of models have bounds of their own
	Queue     int           // that wait for that
	QueueWait time.Duration // for so long
}

// What costs more than an ordinary request. Attempts to get in are dear, so that
// few can be made; what reads much or stays is dearer than what does not.
const (
	costRead    = 1
	costWrite   = 2
	costHeavy   = 10 // exports, streams, signing in
	costFailure = limit.FailureCost
)

// heavy are routes, besides streams and those that anybody may use, that do much.
var heavy = []string{"export", "usage", "audit", "backup", "retry", "models", "replay", "uploads", "branch", "trials", "policy-trials"}

// costOf is what a request by a route costs.
func costOf(to route) int {
	method, path := split(to.pattern)
	switch {
	case strings.HasPrefix(path, "/health"):
		return 0
	case to.flags&stream != 0, to.needs == anybody && method == http.MethodPost:
		return costHeavy
	}
	for part := range strings.SplitSeq(path, "/") {
		for _, h := range heavy {
			if part == h || strings.HasPrefix(part, h+".") {
				return costHeavy
			}
		}
	}
	if method == http.MethodGet || method == http.MethodHead || method == "" {
		return costRead
	}
	return costWrite
}

// edge is what a server lets through.
type edge struct {
	limits  Limits
	limiter *limit.Limiter // nil: there are no limits
	gate    *limit.Gate    // nil: everything is begun at once
}

func newEdge(o Options) edge {
	e := edge{limits: o.Limits, limiter: o.Limiter}
	if o.Limits.AtOnce > 0 {
		e.gate = limit.NewGate(o.Limits.AtOnce, o.Limits.Queue, o.Limits.QueueWait)
	}
	return e
}

// limited has those who have not said who they are ask as often as their address
// may. For the others allowed asks, when it knows them.
func (s *Server) limited(to route, next handler) handler {
	cost := costOf(to)
	if cost == 0 || to.needs != anybody && to.flags&socks == 0 {
		return next
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := s.draw(w, r, cost); err != nil {
			return err
		}
		return next(w, r)
	}
}

// missed has things remembered that somebody asked for and that are not there.
func (s *Server) missed(r *http.Request, actor access.Actor, err error) error {
	if mgx.IsCode(err, mgx.CodeNotFound) {
		s.o.Access.Missed(r.Context(), actor, r.PathValue("id"))
	}
	return err
}

// charged has the address pay for secrets that are none. Others at the address, who
// show good ones, are not kept out by that.
func (s *Server) charged(w http.ResponseWriter, r *http.Request, err error) error {
	if status(mgx.AsError(err)) != http.StatusUnauthorized {
		return err
	}
	if over := s.draw(w, r, costFailure); over != nil {
		return over
	}
	return err
}

// draw draws on all buckets of a request.
func (s *Server) draw(w http.ResponseWriter, r *http.Request, cost int) error {
	if s.edge.limiter == nil || cost == 0 {
		return nil
	}
	actor, known := access.From(r.Context())
	buckets := s.edge.bucketsOf(actor)
	if !known {
		where, local := s.where(r)
		if local {
			return nil
		}
		buckets = []limit.Bucket{{Policy: "address", Whose: access.Network(where.Address), Rate: s.edge.limits.Address}}
		actor.Where = where
	}
	v := s.edge.limiter.Take(r.Context(), cost, buckets...)
	v.Headers(w.Header())
	if v.OK {
		return nil
	}
	s.o.Access.Throttled(r.Context(), actor, v.Policy)
	return mgx.Errorf(mgx.KindRefused, codeRateLimited, "there were too many requests of this %s; wait %s, then go on more slowly: the headers RateLimit-Policy and RateLimit say how fast, and who runs the server sets it (mgx help serve, --rate-limits)",
		v.Policy, max(time.Second, (v.Wait+time.Second-1).Truncate(time.Second))) // as Retry-After says
}

// bucketsOf are those of somebody who is known. The owner of the data directory is
// bounded by nothing but the machine.
func (e edge) bucketsOf(a access.Actor) []limit.Bucket {
	if a.Owner {
		return nil
	}
	all := []limit.Bucket{{Policy: "user", Whose: string(a.User), Rate: e.limits.User}}
	if a.Key != nil {
		all = append(all, limit.Bucket{Policy: "key", Whose: string(a.Key.ID), Rate: e.limits.Key})
	}
	if a.Workspace != "" {
		all = append(all, limit.Bucket{Policy: "workspace", Whose: string(a.Workspace), Rate: e.limits.Workspace})
	}
	return all
}

// admitted begins to answer only as many requests at once as the machine bears.
// Health always answers, and streams are counted by themselves.
func (s *Server) admitted(to route, next handler) handler {
	if s.edge.gate == nil || to.flags&(stream|bulky) != 0 || costOf(to) == 0 {
		return next
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		p := &place{gate: s.edge.gate}
		if err := p.enter(r.Context()); err != nil {
			return err
		}
		defer p.leave()
		return next(w, r.WithContext(context.WithValue(r.Context(), placeKey{}, p)))
	}
}

// shared lets nobody, and no workspace, have more than a share of the places for what
// may take long, so that a slow provider or disk that somebody waits for keeps the
// others out of nothing.
func (s *Server) shared(to route, next handler) handler {
	if s.edge.gate == nil || to.flags&(stream|bulky) != 0 || costOf(to) < costHeavy {
		return next
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		actor, known := access.From(r.Context())
		if !known || actor.Owner {
			return next(w, r)
		}
		leave, err := s.slow.Enter(
			limit.Share{Owner: "user:" + string(actor.User), Most: max(1, s.edge.limits.AtOnce/16)},
			limit.Share{Owner: "workspace:" + string(actor.Workspace), Most: max(1, s.edge.limits.AtOnce/4)},
		)
		if err != nil {
			return err
		}
		if p := placeOf(r.Context()); p != nil {
			p.also(leave)
		} else {
			defer leave()
		}
		return next(w, r)
	}
}

// visited has those who ask for pages do so as often as they may, and begins only as
// many pages at once as the machine bears.
func (s *Server) visited(pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/static/") {
			pages.ServeHTTP(w, r)
			return
		}
		s.bodyDue(w, r)
		to := route{pattern: r.Method + " " + r.URL.Path}
		page := s.admitted(to, s.paid(to, s.received(to, s.spooled(to, s.shared(to, func(w http.ResponseWriter, read *http.Request) error {
			pages.ServeHTTP(w, read.WithContext(r.Context())) // who asks, and where, is for them to say
			return nil
		})))))
		if err := page(w, r); err != nil {
			s.fail(answerOf(w), r, err)
		}
	})
}

// paid draws for a page as for a route: on whoever is signed in, or on the address of
// who is not, for whom signing in, also elsewhere, is what costs.
func (s *Server) paid(to route, next handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		who, kept := r, access.Cookies{Secure: s.o.Secure}
		if ws := kept.Get(r, access.WorkspaceCookie); ws != "" && r.URL.Query().Get("workspace") == "" {
			who = r.Clone(r.Context())
			who.Header.Set("Mgx-Workspace", ws)
		}
		if actor, err := s.identify(who, kept.Session(r)); err == nil {
			r = r.WithContext(access.With(r.Context(), actor))
		}
		cost := costOf(to)
		if strings.HasPrefix(r.URL.Path, "/signin/with/") || r.Method == http.MethodPost && (r.URL.Path == "/signin" || r.URL.Path == "/invitation") {
			cost = costHeavy
		}
		if err := s.draw(w, r, cost); err != nil {
			return err
		}
		return next(w, r)
	}
}
