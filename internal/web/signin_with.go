package web

import (
	"errors"
	"net/http"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
)

// signInCookie binds a sign-in that is under way to the browser in which it began.
const (
	signInCookie = "signin"
	signInTime   = time.Hour // more than a sign-in may take
)

// goToProvider sends a browser to a provider of identities. It begins with a link
// of ours or by hand: a page of others that sends people here gets the form.
func (s *site) goToProvider(w http.ResponseWriter, v *visit) error {
	next := app.Next(v.URL.Query().Get("next"))
	if site := v.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		s.enteringPage(w, v, "signin", http.StatusOK, entering{Next: next})
		return nil
	}
	if err := s.peopled(); err != nil {
		return err
	}
	kept, provider := s.o.People.cookies(), v.PathValue("provider")
	address, keep, err := s.o.People.Access.BeginSignIn(v.Context(), provider, kept.Get(v.Request, signInCookie), s.returnTo(v, provider), next)
	if err != nil {
		return err
	}
	kept.Set(w, signInCookie, keep, s.o.Now().Add(signInTime))
	http.Redirect(w, v.Request, address, http.StatusSeeOther)
	return nil
}

// returnTo is the address to which a provider sends browsers back, of its own for
// each provider.
func (s *site) returnTo(v *visit, provider string) string {
	return s.origin(v) + "/signin/with/" + provider + "/back"
}

// backFromProvider finishes a sign-in.
func (s *site) backFromProvider(w http.ResponseWriter, v *visit) error {
	if err := s.peopled(); err != nil {
		return err
	}
	kept, provider := s.o.People.cookies(), v.PathValue("provider")
	where := s.whence(v)
	b, next, err := s.o.People.Access.FinishSignIn(v.Context(), app.Returned{
		Provider: provider, Kept: kept.Get(v.Request, signInCookie), Back: s.returnTo(v, provider), Query: v.URL.Query(), Old: kept.Session(v.Request),
	}, where)
	if b.Cookie != "" {
		kept.Clear(w, signInCookie)
	}
	return s.letIn(w, v, b, next, err)
}

// signedOutAtProvider hears from a provider that somebody signed out there (OpenID
// Connect Back-Channel Logout 1.0, 2.5). No browser sends it, and what it says is
// signed.
func (s *site) signedOutAtProvider(w http.ResponseWriter, r *http.Request) {
	err := readForm(r)
	if err == nil {
		err = s.o.People.Access.SignedOutAt(r.Context(), r.PathValue("provider"), r.PostFormValue("logout_token"), s.o.People.Where(r))
	}
	if err != nil {
		w.Header().Set("Content-Type", "application/json")
		status := http.StatusBadRequest
		if e := mgx.AsError(err); e.Kind != mgx.KindRefused && e.Kind != mgx.KindUsage {
			status = http.StatusServiceUnavailable
		}
		w.WriteHeader(status)
		w.Write([]byte(`{"error":"invalid_request"}` + "\n"))
	}
}

// waitOf is how long somebody has to wait who tried too often.
func waitOf(err error) (time.Duration, bool) {
	wait, ok := errors.AsType[*access.WaitError](err)
	if !ok {
		return 0, false
	}
	return wait.Wait, true
}
