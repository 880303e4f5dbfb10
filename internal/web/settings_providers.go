package web

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"mgx"
	"mgx/internal/app"
)

// providersPage is where the models of the workspace are had from.
type providersPage struct {
	sheetPage
	Providers []providerLine
	Policies  []app.RoutingPolicy
	Trouble   string // why none can be told of
	Try       bool
	Tried     *app.ModelTrial // by the form just now
}

// providerLine is a provider with what it serves.
type providerLine struct {
	Name    string
	From    string // where it was found; empty: the reader is not told
	Local   bool
	Trouble string // why it did not say what it serves
	Models  []modelLine
	More    int // models than are shown
}

// modelLine is a model, and how it did.
type modelLine struct{ app.ModelInfo }

// Free reports whether it is known to cost nothing.
func (m modelLine) Free() bool {
	return m.Input != nil && m.Output != nil && *m.Input == 0 && *m.Output == 0
}

// Tokens are those that it takes at once.
func (m modelLine) Tokens() int64 { return int64(m.Window) }

// First is how long an answer took to begin.
func (m modelLine) First() time.Duration {
	return time.Duration(m.Health.FirstToken) * time.Millisecond
}

// State is how a provider stands, as a status.
func (p providerLine) State() string {
	switch {
	case p.Trouble != "":
		return "failed"
	case slices.ContainsFunc(p.Models, func(m modelLine) bool { return m.Health != nil && m.Health.Breaker == "open" }):
		return "waiting"
	}
	return "done"
}

// mostModels bounds the models of one provider that are shown.
const mostModels = 300

var (
	readsModels = need{action: "read", kind: "models"}
	callsModels = need{action: "execute", kind: "models"}
)

func providers(v *visit, f *form) (page, error) {
	d := &providersPage{sheetPage: v.sheetPage("providers", f), Try: v.meets(callsModels)}
	d.Tried, _ = f.Data.(*app.ModelTrial)
	list, err := v.site.o.Settings.Models.List(v.Context(), v.Actor)
	if err != nil {
		d.Trouble = sentence(mgx.AsError(err).Message)
	}
	d.Policies = list.Policies
	d.fill(list)
	return v.settingsPage("providers", "set.providers", "mgx models\nmgx models test PROVIDER/MODEL", d), nil
}

// fill sorts models and failures by provider.
func (d *providersPage) fill(list app.ModelList) {
	at := map[string]int{}
	line := func(name string) *providerLine {
		if _, there := at[name]; !there {
			at[name] = len(d.Providers)
			d.Providers = append(d.Providers, providerLine{Name: name})
		}
		return &d.Providers[at[name]]
	}
	for _, m := range list.Models {
		name, _, _ := strings.Cut(m.Model, "/")
		p := line(name)
		if p.Local, p.From = m.Local, m.From; len(p.Models) >= mostModels {
			p.More++
			continue
		}
		p.Models = append(p.Models, modelLine{m})
	}
	for _, failed := range list.Failed {
		line(failed.Provider).Trouble = cmp.Or(sentence(failed.Message), "?")
	}
}

func (s *site) modelActs(m *mux) {
	m.Handle("POST /settings/providers", s.act("model", callsModels, tryModel, readsModels, providers))
}

// tryModel makes one small real call, which the workspace pays for.
func tryModel(v *visit) (outcome, error) {
	t, err := v.site.o.Settings.Models.Try(v.Context(), v.Actor, v.text("model"))
	if err != nil {
		return outcome{}, err
	}
	return outcome{Data: &t}, nil
}
