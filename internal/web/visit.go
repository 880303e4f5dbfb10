package web

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"mgx"
	"mgx/internal/access"
)

// visit is one request, and who makes it.
type visit struct {
	*http.Request
	site  *site
	Actor access.Actor
	ID    string // of the request, for people who ask for help
}

// stranger is a visit of nobody in particular.
func (s *site) stranger(r *http.Request) *visit {
	return &visit{Request: r, site: s, ID: mgx.NewID[string]("req")}
}

// enter tells who makes a request. The context of the visit carries the actor.
func (s *site) enter(r *http.Request) (*visit, error) {
	v := s.stranger(r)
	actor, err := s.o.Who(r)
	if err != nil {
		return v, err
	}
	v.ID = cmp.Or(actor.Where.Request, v.ID)
	v.Actor = actor
	v.Request = r.WithContext(access.With(r.Context(), actor))
	return v, nil
}

// show answers with the page that a view makes.
func (s *site) show(make view) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := s.enter(r)
		if err != nil && s.signIn(w, r, err) {
			return
		}
		var p page
		if err == nil {
			p, err = make(v)
		}
		switch {
		case s.o.People != nil && mgx.IsCode(err, access.CodeWorkspace):
			http.Redirect(w, r, waitingAt(r.URL.RequestURI()), http.StatusSeeOther)
		case err != nil:
			s.fail(w, v, err)
		default:
			s.render(w, v, p)
		}
	})
}

// do answers a form: it does what the form asks, then has the browser get a page,
// so that a reload does nothing twice.
func (s *site) do(what act) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := s.enter(r)
		if err == nil {
			err = readForm(v.Request)
		}
		to := ""
		if err == nil {
			to, err = what(v)
		}
		if err != nil {
			s.fail(w, v, err)
			return
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
	})
}

func readForm(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return mgx.Errorf(mgx.KindUsage, "bad_form", "The form could not be read, so nothing was done: it was cut off or is longer than %d KB.", maxForm>>10)
	}
	for _, all := range r.Form {
		if !mgx.IsText(all...) {
			return mgx.Errorf(mgx.KindUsage, "bad_form", "The form holds bytes that are no text, so nothing was done: fill it in by hand.")
		}
	}
	return nil
}

// signIn sends whoever is not known to the page for that, and back afterwards.
func (s *site) signIn(w http.ResponseWriter, r *http.Request, err error) bool {
	if s.o.People == nil || mgx.AsError(err).Code != access.CodeUnauthenticated {
		return false
	}
	http.Redirect(w, r, signInPath+"?"+url.Values{"next": {r.URL.RequestURI()}}.Encode(), http.StatusSeeOther)
	return true
}

// text is a field of the form, without the space around it.
func (v *visit) text(name string) string { return strings.TrimSpace(v.PostFormValue(name)) }

// mayRead reports whether the reader may read things of a kind.
func (v *visit) mayRead(kind string) bool {
	return v.site.o.Access == nil || v.may("read", kind)
}

// read refuses whoever may not read things of a kind.
func (v *visit) read(kind string) error {
	return v.site.o.Access.Authorize(v.Context(), v.Actor, "read", access.Resource{Kind: kind})
}

// whoAndWhere are the names of the reader and of the workspace, as far as they are
// known; an error only costs the names.
func (v *visit) whoAndWhere() (person, place string) {
	if v.site.o.Access == nil || v.Actor.User == "" {
		return "", ""
	}
	me, err := v.site.o.Access.Me(v.Context(), v.Actor)
	if err != nil {
		v.site.o.Log.Warn("who reads a page cannot be named", "error", err)
	}
	for _, m := range me.Members {
		if m.Workspace == v.Actor.Workspace {
			place = m.WorkspaceName
		}
	}
	return me.User.Name, place
}

// part reports whether the browser asks for a part of a page that it has, which
// needs no frame.
func (v *visit) part() bool { return v.URL.Query().Get("part") != "" }

// nowhere is the page of every path without one.
func nowhere(v *visit) (page, error) {
	if v.site.o.People != nil && v.URL.Path == "/" && v.Actor.Session != "" && v.Actor.Workspace == "" {
		return page{Redirect: waitingPath}, nil
	}
	if places := v.site.here(v, ""); v.URL.Path == "/" && len(places) > 0 {
		return page{Redirect: places[0].Path}, nil
	}
	return page{}, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "There is nothing at this address.")
}
