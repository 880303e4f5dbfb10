package web

import (
	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
)

// youPage is who the reader is, where they are signed in, and their password.
type youPage struct {
	sheetPage
	Me       app.Me
	Sessions []mgx.Session
	Waiting  []mgx.WaitingInvitation
	Least    int // characters of a password
}

func you(v *visit, f *form) (page, error) {
	d := &youPage{sheetPage: v.sheetPage("you", f), Least: access.MinPassword}
	var err error
	if d.Me, err = v.site.o.Access.Me(v.Context(), v.Actor); err != nil {
		return page{}, err
	}
	if v.Actor.Session != "" {
		if d.Sessions, err = v.site.o.Access.Sessions(v.Context(), v.Actor); err != nil {
			return page{}, err
		}
		if d.Waiting, err = v.site.o.Access.Waiting(v.Context(), v.Actor); err != nil {
			return page{}, err
		}
	}
	return v.settingsPage("you", "set.you", "mgx login --server URL\nmgx sessions --server URL\nmgx password --server URL", d), nil
}

func (s *site) youActs(m *mux) {
	m.Handle("POST /settings/you/password", s.act("password", signedIn, changePassword, signedIn, you))
	m.Handle("POST /settings/you/sessions/{id}/end", s.act("end", signedIn, endSession, signedIn, you))
}

func changePassword(v *visit) (outcome, error) {
	fresh := v.PostFormValue("new")
	if fresh != v.PostFormValue("again") {
		return outcome{}, mgx.Errorf(mgx.KindUsage, "weak_password", "%s", v.site.t("set.password.differ"))
	}
	if err := v.site.o.Access.ChangePassword(v.Context(), v.Actor, v.PostFormValue("old"), fresh); err != nil {
		return outcome{}, err
	}
	return done("/settings/you", "password")
}

func endSession(v *visit) (outcome, error) {
	if err := v.site.o.Access.RevokeSession(v.Context(), v.Actor, mgx.SessionID(v.PathValue("id"))); err != nil {
		return outcome{}, err
	}
	return done("/settings/you", "session")
}
