package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"mgx"
	"mgx/internal/app"
)

// templatesPage lists the templates of the workspace and those that are built in.
type templatesPage struct {
	Own, BuiltIn []templateRow
	Create       bool // whether the reader may use and keep them
	Most         int64
}

// templateRow is a template, and where it is used.
type templateRow struct {
	app.TaskTemplate
	Use, Delete string
	For         string // the project's name; empty: every project
	Gist        string
}

func (v *visit) templateRow(t app.TaskTemplate, projects map[string]string) templateRow {
	r := templateRow{TaskTemplate: t, Use: "/tasks/new" + with1(nil, "template", string(t.ID)), Gist: line1(t.Task.Text)}
	if !t.BuiltIn {
		r.Delete = "/tasks/templates/" + url.PathEscape(string(t.ID)) + "/delete"
	}
	if t.Project != "" {
		if r.For = projects[string(t.Project)]; r.For == "" {
			r.For = short(string(t.Project))
		}
	}
	return r
}

func taskTemplates(v *visit) (page, error) {
	all, err := v.site.o.Templates.List(v.Context(), v.Actor, "")
	if err != nil {
		return page{}, err
	}
	names, err := v.usageNames("project")
	if err != nil {
		return page{}, err
	}
	d := &templatesPage{Create: v.may("create", "tasks"), Most: mgx.QuotaTemplates.Most()}
	for _, t := range all {
		if row := v.templateRow(t, names); t.BuiltIn {
			d.BuiltIn = append(d.BuiltIn, row)
		} else {
			d.Own = append(d.Own, row)
		}
	}
	return page{Template: "templates", Title: v.site.t("template.title"), Nav: "tasks", Command: "mgx templates\nmgx run --template NAME", Data: d}, nil
}

func deleteTemplate(v *visit) (string, error) {
	return "/tasks/templates", v.site.o.Templates.Delete(v.Context(), v.Actor, app.TemplateID(v.PathValue("template")))
}

// templatePages are the pages of templates, and what they do.
func (s *site) templatePages(m *mux, page func(string, view)) {
	page("/tasks/templates", taskTemplates)
	m.Handle(http.MethodPost+" /tasks/templates/{template}/delete", s.do(deleteTemplate))
}

// shownTemplates is how many are offered beside the form; the rest have their page.
const shownTemplates = 12

// fillTemplates offers the templates that fit what is asked for.
func (v *visit) fillTemplates(d *newTaskPage) error {
	if v.site.o.Templates == nil {
		return nil
	}
	all, err := v.site.o.Templates.List(v.Context(), v.Actor, mgx.ProjectID(d.Asked.Project))
	for _, t := range all[:min(len(all), shownTemplates)] {
		row := v.templateRow(t, nil)
		if d.Asked.Project != "" {
			row.Use += "&" + url.Values{"project": {d.Asked.Project}}.Encode()
		}
		d.Templates = append(d.Templates, row)
	}
	d.Keep = true
	return err
}

// withTemplate fills in what the address leaves empty and a template has.
func (v *visit) withTemplate(a asking) (asking, error) {
	if a.Template == "" || v.site.o.Templates == nil {
		return a, nil
	}
	var err error
	if a.Seen, err = v.templateSeen(a.Template); err != nil {
		return a, err
	}
	t, err := v.site.o.Templates.Get(v.Context(), v.Actor, app.TemplateID(a.Template))
	if err != nil {
		return a, err
	}
	fill := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	fill(&a.Words, t.Task.Text)
	fill(&a.Project, string(t.Project))
	fill(&a.Model, t.Task.Model)
	fill(&a.Approve, t.Task.Approve)
	fill(&a.Checks, strings.Join(t.Task.Checks, "\n"))
	if t.Task.Budget != nil {
		fill(&a.Budget, typed(*t.Task.Budget))
	}
	a.Plan = a.Plan || t.Task.Plan
	return a, nil
}

// templateSeen is the revision of a template, as forms hold it.
func (v *visit) templateSeen(id string) (string, error) {
	seen, err := v.revisions("template", id)
	return strconv.FormatInt(seen[id], 10), err
}

// keepTemplate keeps what the form holds as a template.
func (v *visit) keepTemplate(a asking) (page, error) {
	t := app.TaskTemplate{Name: v.text("template_name"), Task: app.TemplateTask{Text: a.Words, Model: a.Model, Approve: a.Approve, Plan: a.Plan, Checks: lines(a.Checks)}}
	if v.text("template_for") == "project" {
		t.Project = mgx.ProjectID(a.Project)
	}
	if a.Budget != "" {
		most, err := mgx.ParseMoney(a.Budget)
		if err != nil {
			return v.newTask(a, mgx.Errorf(mgx.KindUsage, "bad_budget", "%s", v.site.t("task.badbudget", middle(20, a.Budget))))
		}
		t.Task.Budget = &most
	}
	kept, err := v.site.o.Templates.Save(v.uponThat("template", a.Template, a.Seen), v.Actor, t)
	if err != nil && statusOf(mgx.AsError(err)) == http.StatusInternalServerError {
		return page{}, err
	}
	if err != nil {
		p, drawn := v.newTask(a, err)
		if d, ok := p.Data.(*newTaskPage); ok {
			d.Field = "template"
		}
		return p, drawn
	}
	return page{Redirect: "/tasks/new" + with1(url.Values{"kept": {"1"}}, "template", string(kept.ID))}, nil
}
