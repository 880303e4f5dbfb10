package web

import (
	"net/http"
	"net/url"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
)

// waitingPath is where people decide on the invitations that wait for them.
const waitingPath = "/invitations"

// waitingPage are the invitations to the reader.
type waitingPage struct {
	Wrong   string
	Code    string
	Invited []mgx.WaitingInvitation
	Me      app.Me
	Next    string // where they wanted to go
}

func (s *site) waitings(m *mux) {
	m.Handle("GET "+waitingPath, s.open(s.waiting))
	m.Handle("POST "+waitingPath+"/{id}/accept", s.form(s.decided(s.acceptWaiting)))
	m.Handle("POST "+waitingPath+"/{id}/decline", s.form(s.decided(s.declineWaiting)))
}

// onwards is where somebody goes who signed in just now: to the invitations that wait
// for them, if there are any, and from there to where they wanted.
func (s *site) onwards(v *visit, session mgx.Session, next string) string {
	waiting, err := s.o.People.Access.Waiting(v.Context(), access.Actor{User: session.User, Session: session.ID})
	if err != nil {
		s.o.Log.Warn("the invitations of somebody cannot be found", "user", session.User, "error", err)
	}
	if len(waiting) == 0 {
		return next
	}
	return waitingAt(next)
}

func waitingAt(next string) string {
	return waitingPath + "?" + url.Values{"next": {next}}.Encode()
}

func (s *site) waiting(w http.ResponseWriter, v *visit) error {
	return s.waitingFor(w, v, app.Next(v.URL.Query().Get("next")), nil)
}

// waitingFor draws the page; wrong is what could not be done just now.
func (s *site) waitingFor(w http.ResponseWriter, v *visit, next string, wrong error) error {
	if err := s.peopled(); err != nil {
		return err
	}
	actor, err := s.o.People.Who(v.Request)
	if err != nil && s.signIn(w, v.Request, err) {
		return nil
	}
	p := waitingPage{Next: next}
	if err == nil {
		p.Invited, err = s.o.People.Access.Waiting(v.Context(), actor)
	}
	if err == nil {
		p.Me, err = s.o.People.Access.Me(v.Context(), actor)
	}
	if err != nil {
		return err
	}
	status := http.StatusOK
	switch {
	case wrong != nil:
		e := mgx.AsError(wrong)
		p.Wrong, p.Code, status = sentence(e.Message), e.Code, statusOf(e)
	case len(p.Invited) == 0 && len(p.Me.Members) > 0:
		http.Redirect(w, v.Request, next, http.StatusSeeOther)
		return nil
	}
	s.render(w, v, page{Template: "invitations", Layout: "bare", Title: s.t("waiting.title"), Status: status, Data: p})
	return nil
}

// decided does what a form decides on, and shows what still waits. What somebody may
// have done meanwhile is told there, too.
func (s *site) decided(decide func(*visit, access.Actor, mgx.InvitationID) error) entrance {
	return func(w http.ResponseWriter, v *visit) error {
		next := app.Next(v.PostFormValue("next"))
		actor, err := s.o.People.Who(v.Request)
		if err == nil {
			err = decide(v, actor, mgx.InvitationID(v.PathValue("id")))
		}
		if err != nil {
			if e := mgx.AsError(err); e.Kind != mgx.KindUsage && e.Kind != mgx.KindRefused || e.Code == access.CodeUnauthenticated {
				return err
			}
			return s.waitingFor(w, v, next, err)
		}
		http.Redirect(w, v.Request, waitingAt(next), http.StatusSeeOther)
		return nil
	}
}

func (s *site) acceptWaiting(v *visit, actor access.Actor, id mgx.InvitationID) error {
	_, err := s.o.People.Access.AcceptWaiting(v.Context(), actor, id)
	return err
}

func (s *site) declineWaiting(v *visit, actor access.Actor, id mgx.InvitationID) error {
	return s.o.People.Access.Decline(v.Context(), actor, id)
}
