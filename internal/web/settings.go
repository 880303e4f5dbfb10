package web

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
	"mgx/internal/webhook"
)

// Settings are what the pages of settings work with. What is nil has no page.
type Settings struct {
	Secrets   *app.Secrets       // whose By is set for each reader
	Webhooks  *webhook.Endpoints // the same
	Retention *app.Retention     // the same
	Rights    *app.Rights        // whose Actor and Access are
	Trial     app.Trial
	Models    *app.Models
	Health    func(context.Context) (Health, error)
}

// need is what it takes to see a page of the settings, or to do something there.
// [app.Access.Authorize] decides on it, as on that of the same request to the API.
type need struct {
	action, kind string
	own          bool // one's own things are meant; of others' the use case decides
	installation bool // it is about the whole installation
}

// signedIn is what it takes where somebody sees and changes what is their own.
var signedIn = need{}

func (n need) resource(v *visit) access.Resource {
	on := access.Resource{Kind: n.kind, Workspace: v.Actor.Workspace}
	if n.own {
		on.User = v.Actor.User
	}
	if n.installation {
		on.Workspace = mgx.DefaultWorkspace
	}
	return on
}

// demand refuses whoever does not meet a need, in words.
func (v *visit) demand(n need) error {
	if n == signedIn {
		return nil
	}
	return v.site.o.Access.Authorize(v.Context(), v.Actor, n.action, n.resource(v))
}

// meets reports whether somebody does, without anybody hearing of it.
func (v *visit) meets(n need) bool {
	if n.installation && v.Actor.Workspace != mgx.DefaultWorkspace {
		return false
	}
	return n == signedIn || v.site.o.Access.May(v.Context(), v.Actor, n.action, n.resource(v))
}

// sheet is a page of the settings that has a place beside the others.
type sheet struct {
	Key  string // of its texts, below "set."; also its path
	Icon string
	Path string
	Here bool

	sees need
	draw drawing
}

// drawing makes a page of settings, with the form that was sent just now.
type drawing func(*visit, *form) (page, error)

// sheets are the pages of settings, in their order.
func (s *site) sheets() []sheet {
	o := s.o.Settings
	all := []sheet{{Key: "overview", Icon: "settings", sees: signedIn, draw: overview}, {Key: "you", Icon: "person", sees: signedIn, draw: you}}
	add := func(there bool, one sheet) {
		if there {
			all = append(all, one)
		}
	}
	add(true, sheet{Key: "members", Icon: "people", sees: readsUsers, draw: members})
	add(true, sheet{Key: "roles", Icon: "refused", sees: readsUsers, draw: roles})
	add(true, sheet{Key: "keys", Icon: "key", sees: readsKeys, draw: keys})
	add(o.Models != nil, sheet{Key: "providers", Icon: "model", sees: readsModels, draw: providers})
	add(o.Secrets != nil, sheet{Key: "secrets", Icon: "package", sees: need{action: "read", kind: "secrets"}, draw: secrets})
	add(true, sheet{Key: "policies", Icon: "execute", sees: need{action: "read", kind: "runs"}, draw: policies})
	add(o.Webhooks != nil, sheet{Key: "webhooks", Icon: "deliver", sees: readsWebhooks, draw: webhooks})
	add(o.Retention != nil, sheet{Key: "retention", Icon: "clock", sees: need{action: "read", kind: "settings", installation: true}, draw: retention})
	add(o.Rights != nil, sheet{Key: "data", Icon: "file", sees: managesSettings, draw: rights})
	add(o.Health != nil, sheet{Key: "health", Icon: "events", sees: need{action: "read", kind: "settings", installation: true}, draw: health})
	for i := range all {
		if all[i].Path = "/settings"; i > 0 {
			all[i].Path += "/" + all[i].Key
		}
	}
	return all
}

// settings adds the pages of settings and all that is done there.
func (s *site) settings(m *mux) {
	s.leaves = s.sheets()
	for _, one := range s.leaves {
		m.Handle("GET "+one.Path, s.sheet(one.sees, one.draw))
	}
	s.overviewActs(m)
	s.youActs(m)
	s.memberActs(m)
	s.roleActs(m)
	s.keyActs(m)
	s.policyActs(m)
	if s.o.Settings.Models != nil {
		s.modelActs(m)
	}
	if s.o.Settings.Secrets != nil {
		s.secretActs(m)
	}
	if s.o.Settings.Webhooks != nil {
		s.webhookActs(m)
	}
	if s.o.Settings.Retention != nil {
		s.retentionActs(m)
	}
	if s.o.Settings.Rights != nil {
		s.rightsActs(m)
	}
}

// sheet answers with a page of settings, which says once what was done just before.
func (s *site) sheet(sees need, draw drawing) http.Handler {
	return s.show(func(v *visit) (page, error) {
		if err := v.demand(sees); err != nil {
			return page{}, err
		}
		f := &form{Values: url.Values{}}
		if key, said := s.notes.take(v.noteKey(v.URL.Query().Get("done"))); said {
			f.Done = s.t("set.done." + key)
		}
		return draw(v, f)
	})
}

// sheetPage is what every page of settings has.
type sheetPage struct {
	Sheets []sheet
	Key    string
	Form   *form
	Now    time.Time
}

// turning is how to go on in a list of settings.
type turning struct {
	Next  string // address of those after these; empty: there are none
	First string // of the beginning; empty: this is it
}

// pageOf cuts what is one more than most from a list that began after some id, and says
// where path goes on.
func pageOf[T any](path, after string, all []T, most int, id func(T) string) ([]T, turning) {
	var t turning
	if len(all) > most {
		all = all[:most]
		t.Next = path + with1(nil, "after", id(all[most-1]))
	}
	if after != "" {
		t.First = path
	}
	return all, t
}

// sheetPage is that of one, with the places that the reader may go to.
func (v *visit) sheetPage(key string, f *form) sheetPage {
	d := sheetPage{Key: key, Form: f, Now: v.site.o.Now()}
	for _, one := range v.site.leaves {
		if v.meets(one.sees) {
			one.Here = one.Key == key
			d.Sheets = append(d.Sheets, one)
		}
	}
	return d
}

// settingsPage is a page of settings.
func (v *visit) settingsPage(template, title, command string, data any) page {
	return page{Template: "settings", Sheet: "settings_" + template, Title: v.site.t(title), Nav: "settings", Command: command, Data: data}
}
