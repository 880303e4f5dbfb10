package api

import (
	"context"
	"net/http"

	"mgx"
	"mgx/internal/access"
)

// Browsers that signed in prove who they are by a cookie, docs/adr/0017. It counts
// only for what pages of this server ask for: any other page can make a browser
// send a request, but not one that says so.

type cookieKey struct{}

// browsers takes the cookies of browsers, and replaces those that are old.
func (s *Server) browsers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kept := access.Cookies{Secure: s.o.Secure}
		if cookie := kept.Session(r); cookie != "" && s.o.Access.People() {
			s.renew(w, r, kept, cookie)
			if r.Header.Get("Authorization") == "" && ofOurPage(r) {
				r = r.WithContext(context.WithValue(r.Context(), cookieKey{}, cookie))
			}
		}
		next.ServeHTTP(w, r)
	})
}

// renew has the browser keep another cookie where it is time for that. The one
// that it sent is good for this request all the same.
func (s *Server) renew(w http.ResponseWriter, r *http.Request, kept access.Cookies, cookie string) {
	ctx, stop := context.WithTimeout(r.Context(), s.o.WorkWait)
	defer stop()
	if !s.o.Access.Due(ctx, cookie) {
		return
	}
	where, _ := s.where(r)
	fresh, until, err := s.o.Access.Renew(ctx, cookie, where)
	switch {
	case fresh != "":
		kept.SetSession(w, fresh, until)
	case mgx.IsCode(err, mgx.CodeTokenReused):
		kept.Clear(w, "session")
	case err != nil && mgx.AsError(err).Kind != mgx.KindRefused:
		s.o.Log.Warn("the cookie of a browser cannot be renewed", "error", err)
	}
}

// ofOurPage reports whether the browser says that a page of this server asks
// (https://www.w3.org/TR/fetch-metadata/). One that says nothing of it has to say
// so by the origin, as those do that change something or open a socket.
func ofOurPage(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	origin := r.Header.Get("Origin")
	return origin != "" && sameOrigin(origin, r.Host)
}

// cookieOf is the cookie that proves who makes a request.
func cookieOf(r *http.Request) string {
	cookie, _ := r.Context().Value(cookieKey{}).(string)
	return cookie
}

// Where is where a request comes from, for the pages that are served beside the API.
func (s *Server) Where(r *http.Request) access.Where {
	where, _ := s.where(r)
	return where
}
