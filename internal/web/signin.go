package web

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
)

// People is how people sign in to the console.
type People struct {
	Access *app.Access
	Where  func(*http.Request) access.Where // where a request comes from
	Secure bool                             // browsers reach the console over TLS
}

func (p *People) cookies() access.Cookies { return access.Cookies{Secure: p.Secure} }

// Who tells who makes a request, by the cookie of the browser, and in which
// workspace: the one that the address names, or where they were, or their first.
func (p *People) Who(r *http.Request) (access.Actor, error) {
	cookie := p.cookies().Session(r)
	if cookie == "" || !p.Access.People() {
		return access.Actor{}, mgx.Errorf(mgx.KindRefused, access.CodeUnauthenticated, "you are not signed in")
	}
	proof := access.Proof{Secret: cookie, Workspace: mgx.WorkspaceID(r.URL.Query().Get("workspace")), Where: p.Where(r)}
	if proof.Workspace != "" {
		return p.Access.Identify(r.Context(), proof)
	}
	if proof.Workspace = mgx.WorkspaceID(p.cookies().Get(r, access.WorkspaceCookie)); proof.Workspace != "" {
		if actor, err := p.Access.Identify(r.Context(), proof); !mgx.IsCode(err, access.CodeNotMember) {
			return actor, err
		}
	}
	proof.Workspace = ""
	actor, err := p.Access.Identify(r.Context(), proof)
	if err != nil || actor.Workspace != "" {
		return actor, err
	}
	me, err := p.Access.Me(r.Context(), actor)
	if err != nil || len(me.Members) == 0 {
		return actor, err
	}
	proof.Workspace = me.Members[0].Workspace
	return p.Access.Identify(r.Context(), proof)
}

// signInPath is where people sign in.
const signInPath = "/signin"

// signIns are the pages for that. None of them needs a script, none says more of
// anybody than that something was wrong, and what they change comes as a form of this
// server.
func (s *site) signIns(m *mux) {
	m.Handle("GET "+signInPath, s.open(s.signInForm))
	m.Handle("POST "+signInPath, s.form(s.signInWith))
	m.Handle("GET /signin/with/{provider}", s.open(s.goToProvider))
	m.Handle("GET /signin/with/{provider}/back", s.open(s.backFromProvider))
	m.Handle("POST /signin/with/{provider}/signed-out", http.HandlerFunc(s.signedOutAtProvider))
	m.Handle("GET /invitation", s.open(s.invitation))
	m.Handle("POST /invitation", s.form(s.acceptInvitation))
	s.waitings(m)
	m.Handle("POST /signout", s.form(s.signOut))
	m.Handle("GET /signedout", s.open(s.signedOut))
	m.Handle("POST /workspace", s.form(s.changeWorkspace))
}

// entrance answers somebody of whom nothing is known yet. An error becomes a page.
type entrance func(http.ResponseWriter, *visit) error

// open answers whoever comes.
func (s *site) open(f entrance) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := s.stranger(r)
		v.ID = s.o.People.Where(r).Request
		if err := f(w, v); err != nil {
			s.signInFailed(w, v, err)
		}
	})
}

// form answers a form.
func (s *site) form(f entrance) http.Handler {
	return s.open(func(w http.ResponseWriter, v *visit) error {
		if err := readForm(v.Request); err != nil {
			return err
		}
		return f(w, v)
	})
}

// entering is what the pages draw. Wrong is what went wrong just now.
type entering struct {
	Next      string
	Email     string
	Name      string
	Token     string
	Wrong     string
	Code      string
	Least     int // characters of a password
	Providers []app.ProviderInfo
	There     app.ProviderInfo // where one can sign out, too
	Out       string           // by this address
}

func (s *site) enteringPage(w http.ResponseWriter, v *visit, template string, status int, e entering) {
	e.Providers, e.Least = s.o.People.Access.Providers(), access.MinPassword
	s.render(w, v, page{Template: template, Layout: "bare", Title: s.t(template + ".title"), Status: status, Data: e})
}

// signInFailed shows what went wrong beside what can be done about it.
func (s *site) signInFailed(w http.ResponseWriter, v *visit, err error) {
	e := mgx.AsError(err)
	status := statusOf(e)
	if wait, ok := waitOf(err); ok {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		status = http.StatusTooManyRequests
	}
	text := sentence(e.Outward())
	if status == http.StatusInternalServerError {
		s.o.Log.Error("a page failed", "path", v.URL.Path, "request", v.ID, "error", err)
		text = s.t("error.internal")
	}
	at := entering{Wrong: text, Code: e.Code, Next: app.Next(v.PostFormValue("next")), Email: v.text("email"), Name: v.text("name")}
	template := "signin"
	if v.URL.Path == "/invitation" {
		template, at.Token = "invitation", v.text("token")
	}
	s.enteringPage(w, v, template, status, at)
}

func (s *site) signInForm(w http.ResponseWriter, v *visit) error {
	next := app.Next(v.URL.Query().Get("next"))
	if _, err := s.o.People.Who(v.Request); err == nil {
		http.Redirect(w, v.Request, next, http.StatusSeeOther)
		return nil
	}
	s.enteringPage(w, v, "signin", http.StatusOK, entering{Next: next})
	return nil
}

// signInWith an address and a password.
func (s *site) signInWith(w http.ResponseWriter, v *visit) error {
	if err := s.peopled(); err != nil {
		return err
	}
	kept := s.o.People.cookies()
	b, err := s.o.People.Access.SignInBrowser(v.Context(), v.text("email"), v.PostFormValue("password"), kept.Session(v.Request), s.whence(v))
	return s.letIn(w, v, b, v.PostFormValue("next"), err)
}

// letIn has the browser keep its session, and sends it on.
func (s *site) letIn(w http.ResponseWriter, v *visit, b app.Browser, next string, err error) error {
	if b.Cookie != "" { // also when the one before could not be ended
		s.o.People.cookies().SetSession(w, b.Cookie, b.Session.ExpiresAt)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, v.Request, s.onwards(v, b.Session, app.Next(next)), http.StatusSeeOther)
	return nil
}

// whence is where a visit comes from.
func (s *site) whence(v *visit) access.Where { return s.o.People.Where(v.Request) }

func (s *site) peopled() error {
	if s.o.People.Access.People() {
		return nil
	}
	return mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "this server knows nobody but its owner")
}

// invitation is the page for whoever was invited. The token comes behind the # of
// the address, which browsers send to nobody; or it is pasted.
func (s *site) invitation(w http.ResponseWriter, v *visit) error {
	s.enteringPage(w, v, "invitation", http.StatusOK, entering{})
	return nil
}

func (s *site) acceptInvitation(w http.ResponseWriter, v *visit) error {
	if err := s.peopled(); err != nil {
		return err
	}
	c := app.Accepting{Token: v.text("token"), Email: v.text("email"), Name: v.text("name"), Password: v.PostFormValue("password")}
	b, err := s.o.People.Access.AcceptBrowser(v.Context(), c, s.o.People.cookies().Session(v.Request), s.whence(v))
	return s.letIn(w, v, b, "/", err)
}

// signOut ends the session of the browser. Who has none is signed out already.
func (s *site) signOut(w http.ResponseWriter, v *visit) error {
	to := "/signedout"
	actor, err := s.o.People.Who(v.Request)
	if err == nil {
		var provider string
		if provider, err = s.o.People.Access.SignOutBrowser(v.Context(), actor); provider != "" {
			to += "?" + url.Values{"from": {provider}}.Encode()
		}
	}
	if err != nil && mgx.AsError(err).Kind != mgx.KindRefused {
		return err
	}
	s.o.People.cookies().Clear(w, "session")
	http.Redirect(w, v.Request, to, http.StatusSeeOther)
	return nil
}

// signedOut is the page after that, which says where else one is signed in.
func (s *site) signedOut(w http.ResponseWriter, v *visit) error {
	var e entering
	if from := v.URL.Query().Get("from"); from != "" {
		e.There, e.Out = s.o.People.Access.SignOutAt(v.Context(), from, s.origin(v)+signInPath)
	}
	s.enteringPage(w, v, "signedout", http.StatusOK, e)
	return nil
}

// changeWorkspace has the browser keep in which workspace somebody is.
func (s *site) changeWorkspace(w http.ResponseWriter, v *visit) error {
	s.o.People.cookies().Set(w, access.WorkspaceCookie, v.text("workspace"), s.o.Now().Add(app.BrowserTime))
	http.Redirect(w, v.Request, app.Next(v.PostFormValue("next")), http.StatusSeeOther)
	return nil
}

// origin is how browsers reach this server; that the name is one of ours was found
// before.
func (s *site) origin(v *visit) string {
	if s.o.People.Secure {
		return "https://" + v.Host
	}
	return "http://" + v.Host
}
