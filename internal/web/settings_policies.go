package web

import (
	"cmp"
	"encoding/json"
	"strings"

	"mgx"
	"mgx/internal/app"
)

// policiesPage is what decides on the calls of tools, and what it would make of one.
type policiesPage struct {
	sheetPage
	Policies []app.BuiltInPolicy
	Projects []projectPolicy // that have one of their own
	Modes    []string
	Effects  []string
	Try      bool
	Verdict  *app.Verdict // of what was tried just now
	Example  string
}

// projectPolicy is what is set for a project about what its runs may do.
type projectPolicy struct {
	mgx.Project
	Settings map[string]string
}

// mostPolicied bounds the projects whose settings are looked up.
const mostPolicied = 50

var triesPolicies = need{action: "execute", kind: "runs"}

func policies(v *visit, f *form) (page, error) {
	d := &policiesPage{
		sheetPage: v.sheetPage("policies", f), Policies: app.Policies(), Modes: []string{"ask", "auto", "never"}, Effects: []string{"read", "write", "execute", "network", "deliver"},
		Try: v.meets(triesPolicies), Example: `{"command": "git push origin main"}`,
	}
	for i := range d.Policies {
		d.Policies[i].About = sentence(d.Policies[i].About)
	}
	d.Verdict, _ = f.Data.(*app.Verdict)
	if err := fillProjects(v, d); err != nil {
		return page{}, err
	}
	return v.settingsPage("policies", "set.policies", "mgx policy show ask\necho '{\"tool\": \"shell\", \"arguments\": {\"command\": \"git push\"}}' | mgx policy test - --policy ask", d), nil
}

// fillProjects shows what is set for projects.
func fillProjects(v *visit, d *policiesPage) error {
	if v.site.o.Work == nil || !v.mayRead("repositories") {
		return nil
	}
	found, err := v.site.o.Work.Projects(v.Context(), v.Actor, "", mostPolicied)
	for _, p := range found.Items {
		set, err := v.site.o.Work.ProjectSettings(v.Context(), v.Actor, p.ID)
		if err != nil {
			return err
		}
		if len(set) > 0 {
			d.Projects = append(d.Projects, projectPolicy{p, set})
		}
	}
	return err
}

func (s *site) policyActs(m *mux) {
	m.Handle("POST /settings/policies", s.act("try", triesPolicies, tryPolicy, need{action: "read", kind: "runs"}, policies))
}

// tryPolicy says what a policy makes of a call that nobody makes.
func tryPolicy(v *visit) (outcome, error) {
	c := app.Call{
		Tool: v.text("tool"), Effect: v.text("effect"), Role: v.text("role"), Paths: spaced(v.text("paths")), Hosts: spaced(v.text("hosts")), Command: v.text("command"),
		Outside: v.text("outside") != "", PlanOpen: v.text("planopen") != "", Own: v.text("own") != "",
	}
	if v.text("untrusted") != "" {
		c.Label.Untrusted = true
	}
	if text := v.text("arguments"); text != "" {
		if !json.Valid([]byte(text)) {
			return outcome{}, mgx.Errorf(mgx.KindUsage, "bad_arguments", "%s", v.site.t("set.try.badjson"))
		}
		c.Arguments = json.RawMessage(text)
	}
	if c.Tool == "" {
		return outcome{}, mgx.Errorf(mgx.KindUsage, "bad_tool", "%s", v.site.t("set.try.notool"))
	}
	name, text := cmp.Or(v.text("name"), "ask"), strings.TrimSpace(v.PostFormValue("policy"))
	if text != "" {
		name = ""
	}
	verdict, err := v.site.o.Settings.Trial.Try(name, text, c)
	if err != nil {
		return outcome{}, err
	}
	return outcome{Data: &verdict}, nil
}
