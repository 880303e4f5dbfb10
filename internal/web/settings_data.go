package web

import (
	"encoding/json"
	"net/http"
	"time"

	"mgx"
	"mgx/internal/app"
)

// rightsPage is what is done when somebody asks for what is held on them, or for its
// erasure: here of the workspace.
type rightsPage struct {
	sheetPage
	Workspace *mgx.WorkspaceErasure // what would go; nil: nobody asked
	Refused   string                // why it cannot be erased
	People    bool
	Person    *mgx.PersonErasure
	Name      string // of the person
	ID        mgx.UserID
}

var managesPeople = need{action: "manage", kind: "users", installation: true}

// rights are those of whoever asks.
func (v *visit) rights() *app.Rights {
	theirs := *v.site.o.Settings.Rights
	theirs.Actor, theirs.Access = v.Actor, v.site.o.Access
	return &theirs
}

func rights(v *visit, f *form) (page, error) {
	d := &rightsPage{sheetPage: v.sheetPage("data", f), People: v.meets(managesPeople)}
	if v.URL.Query().Get("plan") != "" || f.Name != "" {
		plan, err := v.rights().PlanWorkspace(v.Context())
		if err := d.planned(err); err != nil {
			return page{}, err
		}
		if err == nil {
			d.Workspace = &plan
		}
	}
	return v.settingsPage("data", "set.data", "mgx export workspace.jsonl\nmgx erase --workspace "+string(v.Actor.Workspace), d), nil
}

// planned takes a refusal as what the page has to say.
func (d *rightsPage) planned(err error) error {
	if err == nil {
		return nil
	}
	if status := statusOf(mgx.AsError(err)); status == http.StatusInternalServerError || status == http.StatusNotFound {
		return err
	}
	d.Refused = sentence(mgx.AsError(err).Message)
	return nil
}

// person shows what is held on somebody, in every workspace.
func person(v *visit, f *form) (page, error) {
	id := mgx.UserID(v.PathValue("id"))
	d := &rightsPage{sheetPage: v.sheetPage("data", f), People: true, ID: id}
	plan, err := v.rights().PlanPerson(v.Context(), id)
	if err := d.planned(err); err != nil {
		return page{}, err
	}
	if err == nil {
		d.Person = &plan
	}
	if m, err := v.site.o.Access.Member(v.Context(), v.Actor, id); err == nil {
		d.Name = m.Name
	}
	return v.settingsPage("person", "set.person", "mgx export person.jsonl --person "+string(id)+"\nmgx erase --person "+string(id), d), nil
}

func (s *site) rightsActs(m *mux) {
	m.HandleFunc("GET /settings/data/workspace.jsonl", s.exports(managesSettings, "workspace", func(v *visit, each func(string, any) error) error {
		return v.rights().ExportWorkspace(v.Context(), each)
	}))
	m.HandleFunc("GET /settings/data/people/{id}/person.jsonl", s.exports(managesPeople, "person", func(v *visit, each func(string, any) error) error {
		return v.rights().ExportPerson(v.Context(), mgx.UserID(v.PathValue("id")), each)
	}))
	m.Handle("POST /settings/data/erase", s.act("erase", managesSettings, eraseWorkspace, managesSettings, rights))
	m.Handle("GET /settings/data/people/{id}", s.sheet(managesPeople, person))
	m.Handle("GET /settings/data/people", s.sheet(managesPeople, func(v *visit, _ *form) (page, error) {
		id := v.URL.Query().Get("id")
		if id == "" {
			return page{Redirect: "/settings/data"}, nil
		}
		return page{Redirect: under("/settings/data/people", id)}, nil
	}))
	m.Handle("POST /settings/data/people/{id}/erase", s.act("erase", managesPeople, erasePerson, managesPeople, person))
}

// exports hands out records as lines of JSON, to download, for as long as somebody
// reads. What goes wrong before the first is told; later it can only be cut off.
func (s *site) exports(takes need, name string, records func(*visit, func(string, any) error) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := s.enter(r)
		if err != nil && s.signIn(w, r, err) {
			return
		}
		if err == nil {
			err = v.demand(takes)
		}
		begun := false
		if err == nil {
			http.NewResponseController(w).SetWriteDeadline(time.Time{})
			lines := json.NewEncoder(w)
			err = records(v, func(kind string, record any) error {
				if !begun {
					w.Header().Set("Content-Type", "application/jsonl")
					w.Header().Set("Content-Disposition", `attachment; filename="`+name+`.jsonl"`)
					begun = true
				}
				return lines.Encode(map[string]any{"kind": kind, "record": record})
			})
		}
		switch {
		case err != nil && begun:
			s.o.Log.Warn("an export was cut off", "request", v.ID, "error", err)
			panic(http.ErrAbortHandler)
		case err != nil:
			s.fail(w, v, err)
		}
	}
}

// eraseWorkspace erases the workspace in which the reader is, who is in none then or
// in another of theirs.
func eraseWorkspace(v *visit) (outcome, error) {
	if _, err := v.rights().EraseWorkspace(v.Context(), v.text("confirm")); err != nil {
		return outcome{}, err
	}
	return done("/settings", "erased")
}

func erasePerson(v *visit) (outcome, error) {
	if _, err := v.rights().ErasePerson(v.Context(), mgx.UserID(v.PathValue("id")), v.text("tasks") != "", v.text("confirm")); err != nil {
		return outcome{}, err
	}
	return done("/settings/data", "persongone")
}
