package web

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"mgx"
	"mgx/internal/app"
)

// newTaskPage is the form by which people ask for something, as they have filled
// it in so far.
type newTaskPage struct {
	Projects []mgx.Project
	More     bool // projects than are listed
	Create   bool
	Owner    bool // may name a directory of the machine
	Asked    asking
	Estimate app.Estimate

	Templates []templateRow // that fit
	Keep      bool          // whether the form can be kept as one
	Kept      bool          // it was, just now
	KeepAs    string        // under which name it was to be kept

	Wrong string // what was wrong with it just now
	Field string // where; empty: nowhere in particular
}

// asking is what the form holds: the words as they were typed.
type asking struct {
	Words, Project, Repo, Branch, Model, Budget, Approve, Checks string

	Attached []app.Attached // files that were sent

	Plan bool
	Key  string // makes it one task however often the form is sent

	Template, Seen string // what it began with, and its revision
}

// Detailed reports whether something is filled in that is folded away at first.
func (a asking) Detailed() bool {
	return a.Branch+a.Model+a.Budget+a.Approve+a.Checks != "" || a.Plan
}

// Open reports whether what is folded away is to be seen.
func (d *newTaskPage) Open() bool {
	return d.Asked.Detailed() || d.Field != "" && d.Field != "words" && d.Field != "project" && d.Field != "template"
}

// MostAttached is how large a file may be, in bytes.
func (d *newTaskPage) MostAttached() int64 { return app.MaxAttached }

// Empty reports whether there is nothing that a task could be about.
func (d *newTaskPage) Empty() bool { return len(d.Projects) == 0 && !d.Owner }

// Modes are who may approve.
func (d *newTaskPage) Modes() []string { return []string{"ask", "auto", "never"} }

const mostProjects = 500

// newTask is the form, filled in with what the address says: so pages link to it.
func newTask(v *visit) (page, error) {
	a, err := v.withTemplate(readAsking(v.URL.Query()))
	if err == nil {
		a, err = v.again(a, mgx.RunID(v.URL.Query().Get("run")))
	}
	if err != nil {
		return page{}, err
	}
	return v.newTask(a, nil)
}

// again fills in what a run was asked for, where nothing else is said.
func (v *visit) again(a asking, id mgx.RunID) (asking, error) {
	if id == "" {
		return a, nil
	}
	run, err := v.site.o.Work.Run(v.Context(), v.Actor, id)
	if err != nil {
		return a, err
	}
	s := run.Settings
	a.Words, a.Model = cmp.Or(a.Words, run.Task.Description, run.Task.Title), cmp.Or(a.Model, s.Model)
	a.Approve, a.Checks, a.Plan = cmp.Or(a.Approve, s.Approve), cmp.Or(a.Checks, strings.Join(s.Checks, "\n")), a.Plan || s.Plan
	if s.Budget != nil {
		a.Budget = cmp.Or(a.Budget, typed(*s.Budget))
	}
	if a.Project == "" && a.Repo == "" {
		switch p, err := v.site.o.Work.Project(v.Context(), v.Actor, mgx.ProjectOf(run.Repo.Path)); {
		case err == nil:
			a.Project = string(p.ID)
		case !mgx.IsCode(err, mgx.CodeNotFound): // the owner may have named its directory
			return a, err
		}
	}
	return a, nil
}

// typed is an amount as somebody types it.
func typed(m mgx.Money) string {
	return strings.TrimRight(strings.TrimRight(m.Decimal(), "0"), ".")
}

func readAsking(form url.Values) asking {
	field := func(name string) string { return strings.TrimSpace(form.Get(name)) }
	return asking{
		Words: field("words"), Project: field("project"), Repo: field("repo"), Branch: field("branch"), Model: field("model"), Budget: field("budget"), Approve: field("approve"), Checks: field("checks"),
		Attached: readAttached(form["attached"]), Plan: field("plan") != "", Key: cmp.Or(field("key"), mgx.NewID[string]("form")), Template: field("template"), Seen: field("seen"),
	}
}

// readAttached reads the files that a form names, each by its digest and its name.
func readAttached(form []string) (all []app.Attached) {
	for _, text := range form {
		if digest, name, ok := strings.Cut(text, " "); ok && len(all) <= app.MaxAttachments {
			all = append(all, app.Attached{Name: name, Digest: digest})
		}
	}
	return all
}

// newTask draws the form with what was asked so far and what was wrong with it.
func (v *visit) newTask(a asking, wrong error) (page, error) {
	d := &newTaskPage{Asked: a, Owner: v.Actor.Owner, Create: v.may("create", "tasks")}
	p := page{Template: "newtask", Title: v.site.t("task.title"), Nav: "tasks", Command: "mgx run \"" + v.site.t("task.example") + "\"", Data: d}
	if !d.Create {
		return p, wrong
	}
	found, err := v.site.o.Work.Projects(v.Context(), v.Actor, "", mostProjects)
	if err != nil {
		return p, err
	}
	if d.Projects, d.More = found.Items, found.Next != ""; len(d.Projects) == 1 && a.Project == "" && a.Repo == "" {
		d.Asked.Project = string(d.Projects[0].ID)
	}
	if err := v.fillTemplates(d); err != nil {
		return p, err
	}
	d.Kept = v.URL.Query().Get("kept") != ""
	if wrong != nil {
		d.KeepAs = v.text("template_name")
		e := mgx.AsError(wrong)
		d.Wrong, d.Field, p.Status = sentence(e.Message), fieldOf[e.Code], statusOf(e)
		if e.Code == mgx.CodeChanged {
			d.Wrong = v.site.t("template.moved")
			if d.Asked.Seen, err = v.templateSeen(a.Template); err != nil {
				return p, err
			}
		}
		if e.Code == mgx.CodeConflict {
			d.Wrong, d.Asked.Key = v.site.t("task.used"), mgx.NewID[string]("form")
		}
	}
	d.Estimate, err = v.estimate(d.Asked)
	if wrong != nil {
		err = nil // what is wrong with the question is said already
	}
	return p, err
}

// estimate is what runs like the one that is asked for took, or, where none are
// like it, what all of the workspace did.
func (v *visit) estimate(a asking) (app.Estimate, error) {
	if !v.may("read", "runs") {
		return app.Estimate{}, nil
	}
	e, err := v.site.o.Work.Estimate(v.Context(), v.Actor, mgx.ProjectID(a.Project), a.Model)
	if err == nil && e.Basis == "" && a.Project+a.Model != "" {
		e, err = v.site.o.Work.Estimate(v.Context(), v.Actor, "", "")
	}
	return e, err
}

// fieldOf says to which field of the form an error belongs.
var fieldOf = map[string]string{
	"empty_task": "words", "task_too_long": "words", "bad_task": "words",
	"no_project": "project", "bad_project": "project", mgx.CodeNotFound: "project", "not_a_repository": "project",
	"bad_branch": "branch", "bad_branch_name": "branch", "bad_budget": "budget", "bad_check": "checks", "bad_approve": "approve",
	"no_model": "model", "no_provider": "model", "unknown_model": "model", "no_such_model": "model",
	"bad_attachment": "attach", "too_many_attachments": "attach",
}

// startTask begins what the form asks for and goes to its run. What cannot be
// begun comes back as it was typed.
func startTask(v *visit) (page, error) {
	if err := readForm(v.Request); err != nil {
		return page{}, err
	}
	a := readAsking(v.PostForm)
	if v.text("do") == "estimate" {
		return v.newTask(a, nil)
	}
	if v.text("do") == "template" && v.site.o.Templates != nil {
		return v.keepTemplate(a)
	}
	n, err := a.task(v.site)
	if err != nil {
		return v.newTask(a, err)
	}
	run, _, err := v.site.o.Work.Start(v.Context(), v.Actor, n)
	if err != nil && statusOf(mgx.AsError(err)) == http.StatusInternalServerError {
		return page{}, err
	}
	if err != nil {
		return v.newTask(a, err)
	}
	return page{Redirect: "/runs/" + url.PathEscape(string(run.ID))}, nil
}

// task is what the form asks for.
func (a asking) task(s *site) (app.NewTask, error) {
	n := app.NewTask{
		Text: a.Words, Project: mgx.ProjectID(a.Project), Model: a.Model, Approve: a.Approve, Plan: a.Plan, Branch: a.Branch, Checks: lines(a.Checks), Attachments: a.Attached,
		IdempotencyKey: a.Key, Source: "console",
	}
	if a.Project == "" {
		n.Repo = a.Repo
	}
	switch {
	case a.Words == "":
		return n, mgx.Errorf(mgx.KindUsage, "empty_task", "%s", s.t("task.empty"))
	case n.Project == "" && n.Repo == "":
		return n, mgx.Errorf(mgx.KindUsage, "no_project", "%s", s.t("task.noproject"))
	}
	if a.Budget != "" {
		most, err := mgx.ParseMoney(a.Budget)
		if err != nil {
			return n, mgx.Errorf(mgx.KindUsage, "bad_budget", "%s", s.t("task.badbudget", middle(20, a.Budget)))
		}
		n.Budget = &most
	}
	return n, nil
}

// lines are those of a text that say something.
func lines(text string) (all []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}
