package app

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/guard"
)

// Templates are tasks that are asked for again and again, with what is the same each
// time filled in: those that are built in, and those of the actor's workspace, each
// for all of its projects or for one. Whoever may create tasks may keep them.
type Templates struct {
	Access *Access
	Store  TemplateStore

	// Ahead allows a template for a project before it is one; see [Budgets].
	Ahead bool
}

// TemplateStore keeps templates, as settings of their workspace; *store.Store documents
// and is one.
type TemplateStore interface {
	Settings(ctx context.Context, ws mgx.WorkspaceID) (map[string]string, error)
	ChangeSettings(ctx context.Context, by mgx.Doer, action, resource, prefix string, change func(was map[string]string) (map[string]string, error)) error

	projectStore // of which templates may be
}

// TemplateID names a template: tpl_…, or built-in: and a name.
type TemplateID string

// TaskTemplate is one of them.
type TaskTemplate struct {
	ID        TemplateID    `json:"id"`
	Name      string        `json:"name"`
	Project   mgx.ProjectID `json:"project_id,omitempty"` // empty: for every project
	Task      TemplateTask  `json:"task"`
	BuiltIn   bool          `json:"built_in,omitempty"`
	CreatedBy string        `json:"created_by,omitempty"`
	CreatedAt time.Time     `json:"created_at,omitzero"`
}

// TemplateTask is what a template fills in. What is empty is as for any task.
type TemplateTask struct {
	Text    string     `json:"text,omitempty"`
	Model   string     `json:"model,omitempty"`
	Approve string     `json:"approve,omitempty"` // auto, ask or never
	Budget  *mgx.Money `json:"budget_usd,omitempty"`
	Plan    bool       `json:"plan,omitempty"`
	Checks  []string   `json:"checks,omitempty"`
}

// Bounds of templates.
const (
	maxTemplate     = 16_000 // bytes of one, as it is kept
	maxTemplateName = 80     // characters
)

const templatePrefix = "template."

// List lists the templates that fit a project, the workspace's own by name and then
// those that are built in; without a project all.
func (t *Templates) List(ctx context.Context, actor access.Actor, project mgx.ProjectID) ([]TaskTemplate, error) {
	if err := t.Access.Authorize(ctx, actor, "read", access.Resource{Kind: "tasks"}); err != nil {
		return nil, err
	}
	own, err := t.own(ctx, actor)
	if err != nil {
		return nil, err
	}
	all := slices.Concat(own, BuiltInTemplates())
	return slices.DeleteFunc(all, func(one TaskTemplate) bool { return project != "" && one.Project != "" && one.Project != project }), nil
}

func (t *Templates) own(ctx context.Context, actor access.Actor) ([]TaskTemplate, error) {
	set, err := t.Store.Settings(ctx, actor.Workspace)
	if err != nil {
		return nil, err
	}
	return templatesIn(set)
}

// templatesIn are those among settings, by name.
func templatesIn(set map[string]string) ([]TaskTemplate, error) {
	var all []TaskTemplate
	for name, value := range set {
		id, ours := strings.CutPrefix(name, templatePrefix)
		if !ours {
			continue
		}
		var one TaskTemplate
		if err := json.Unmarshal([]byte(value), &one); err != nil {
			return nil, mgx.Errorf(mgx.KindInternal, "bad_template", "the template %s cannot be read: %w", id, err)
		}
		one.ID = TemplateID(id)
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b TaskTemplate) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}

// Get returns a template by its id.
func (t *Templates) Get(ctx context.Context, actor access.Actor, id TemplateID) (TaskTemplate, error) {
	all, err := t.List(ctx, actor, "")
	if err != nil {
		return TaskTemplate{}, err
	}
	at := slices.IndexFunc(all, func(one TaskTemplate) bool { return one.ID == id })
	if at < 0 {
		return TaskTemplate{}, noSuch("template", string(id))
	}
	return all[at], nil
}

// Save keeps a template for the actor's workspace. One of the same name and project
// takes the place of the one before it.
func (t *Templates) Save(ctx context.Context, actor access.Actor, n TaskTemplate) (TaskTemplate, error) {
	own, err := t.own(ctx, actor)
	if err != nil {
		return n, err
	}
	n.Name = strings.Join(strings.Fields(n.Name), " ")
	if at := n.namesake(own); at >= 0 {
		return t.Replace(ctx, actor, own[at].ID, n)
	}
	return t.Create(ctx, actor, n)
}

// Create keeps a new template for the actor's workspace (CodeConflict: there is one of
// that name for the same project).
func (t *Templates) Create(ctx context.Context, actor access.Actor, n TaskTemplate) (TaskTemplate, error) {
	return t.keep(ctx, actor, "template.create", mgx.NewID[TemplateID]("tpl"), n, func([]TaskTemplate, int) error { return nil })
}

// Replace puts a template in the place of one of the actor's workspace.
func (t *Templates) Replace(ctx context.Context, actor access.Actor, id TemplateID, n TaskTemplate) (TaskTemplate, error) {
	return t.keep(ctx, actor, "template.update", id, n, func(_ []TaskTemplate, at int) error {
		if at < 0 {
			return noSuch("template of its own", string(id))
		}
		return nil
	})
}

// keep keeps a template under an id, if allow says so of those that there are, one of
// which may be at that id.
func (t *Templates) keep(ctx context.Context, actor access.Actor, action string, id TemplateID, n TaskTemplate, allow func(own []TaskTemplate, at int) error) (TaskTemplate, error) {
	if err := t.Access.Authorize(ctx, actor, "create", access.Resource{Kind: "tasks"}); err != nil {
		return n, err
	}
	n, err := n.normal()
	if err != nil {
		return n, err
	}
	if err := t.fits(ctx, actor, id, n.Project); err != nil {
		return n, err
	}
	by, now := whoActs(actor), mgx.Now()
	err = t.Store.ChangeSettings(ctx, actor.Doer(), action, string(id), templatePrefix, func(was map[string]string) (map[string]string, error) {
		own, err := templatesIn(was)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(own, func(one TaskTemplate) bool { return one.ID == id })
		if err := allow(own, at); err != nil {
			return nil, err
		}
		if other := n.namesake(own); other >= 0 && other != at {
			return nil, mgx.Errorf(mgx.KindUsage, mgx.CodeConflict, "there is a template %q already; change that one, or take another name", n.Name)
		}
		if n.CreatedBy, n.CreatedAt = by, now; at >= 0 {
			n.CreatedBy, n.CreatedAt = own[at].CreatedBy, own[at].CreatedAt
		}
		text, err := n.text()
		if err != nil {
			return nil, err
		}
		all := maps.Clone(was)
		all[templatePrefix+string(id)] = text
		return all, nil
	})
	n.ID = id
	return n, err
}

// fits refuses a template for a project that the workspace does not have. One that was
// for it when it was there may stay so.
func (t *Templates) fits(ctx context.Context, actor access.Actor, id TemplateID, project mgx.ProjectID) error {
	if project == "" || t.Ahead {
		return nil
	}
	err := knownProject(ctx, t.Store, actor.Workspace, project)
	if !mgx.IsCode(err, mgx.CodeNotFound) {
		return err
	}
	own, err := t.own(ctx, actor)
	if err != nil || slices.ContainsFunc(own, func(one TaskTemplate) bool { return one.ID == id && one.Project == project }) {
		return err
	}
	return mgx.Errorf(mgx.KindUsage, "bad_template", "there is no project %s in this workspace; name one of those that it has, or none, for all of them", project)
}

// namesake is where a list has the template of the same name and project; -1: nowhere.
func (n TaskTemplate) namesake(all []TaskTemplate) int {
	return slices.IndexFunc(all, func(one TaskTemplate) bool { return strings.EqualFold(one.Name, n.Name) && one.Project == n.Project })
}

// text is a template as it is kept.
func (n TaskTemplate) text() (string, error) {
	n.ID = ""
	text := string(jsonOf(n))
	if len(text) > maxTemplate {
		return "", mgx.Errorf(mgx.KindUsage, "bad_template", "a template has at most %d KB; shorten its words", maxTemplate/1000)
	}
	return text, nil
}

// normal is a template as it is kept, or what is wrong with it.
func (n TaskTemplate) normal() (TaskTemplate, error) {
	name, err := guard.Line("bad_template", "the name of a template", n.Name, maxTemplateName)
	if err != nil {
		return n, err
	}
	n.Name, n.BuiltIn = strings.Join(strings.Fields(name), " "), false
	bad := func(format string, args ...any) (TaskTemplate, error) {
		return n, mgx.Errorf(mgx.KindUsage, "bad_template", format, args...)
	}
	switch {
	case n.Name == "":
		return bad("a template needs a name by which people know it")
	case !mgx.IsText(append(n.Task.Checks, string(n.Project), n.Task.Text, n.Task.Model)...):
		return bad("a template is of text")
	case n.Task.Approve != "" && !slices.Contains([]string{"auto", "ask", "never"}, n.Task.Approve):
		return bad("who approves is auto, ask or never")
	case n.Task.Budget != nil && (*n.Task.Budget < 0 || *n.Task.Budget > mgx.MaxBudget):
		return bad("a budget is from 0 to 1,000,000,000 dollars")
	case n.Task.empty():
		return bad("a template fills in something: words, a model, a budget, checks or who approves")
	}
	return n, nil
}

// Words are what a task by the template is asked for with, for somebody who said so
// much themselves. Lines that end in … are gaps, which those words fill; with none of
// them a gap is left that only a person can fill.
func (t TemplateTask) Words(said string) (string, error) {
	if said = strings.TrimSpace(said); said == "" {
		if strings.Contains(t.Text, gap) {
			return "", mgx.Errorf(mgx.KindUsage, "template_has_gaps", "the template leaves gaps to fill in; say in words what is wanted, which takes their place")
		}
		return t.Text, nil
	}
	var rest []string
	for line := range strings.Lines(t.Text) {
		if line = strings.TrimRight(line, "\r\n"); !strings.HasSuffix(strings.TrimSpace(line), gap) {
			rest = append(rest, line)
		}
	}
	return strings.TrimSpace(said + "\n\n" + strings.TrimSpace(strings.Join(rest, "\n"))), nil
}

// gap is what a person fills in.
const gap = "…"

func (t TemplateTask) empty() bool {
	return strings.TrimSpace(t.Text) == "" && t.Model == "" && t.Approve == "" && t.Budget == nil && !t.Plan && len(t.Checks) == 0
}

// Delete gives a template up. Those that are built in stay.
func (t *Templates) Delete(ctx context.Context, actor access.Actor, id TemplateID) error {
	if err := t.Access.Authorize(ctx, actor, "create", access.Resource{Kind: "tasks"}); err != nil {
		return err
	}
	name := templatePrefix + string(id)
	return t.Store.ChangeSettings(ctx, actor.Doer(), "template.delete", string(id), templatePrefix, func(was map[string]string) (map[string]string, error) {
		if _, there := was[name]; !there {
			return nil, noSuch("template of its own", string(id))
		}
		rest := maps.Clone(was)
		delete(rest, name)
		return rest, nil
	})
}

// BuiltInTemplates are those that every workspace has.
func BuiltInTemplates() []TaskTemplate {
	builtIn := func(name, text string, plan bool) TaskTemplate {
		id := TemplateID("built-in:" + strings.ReplaceAll(strings.ToLower(name), " ", "-"))
		return TaskTemplate{ID: id, Name: name, BuiltIn: true, Task: TemplateTask{Text: text, Plan: plan}}
	}
	return []TaskTemplate{
		builtIn("Fix a bug", "What goes wrong: …\nHow to see it: …\nWhat should happen instead: …\n\nWrite a test that fails because of it first, then fix it and nothing else.", false),
		builtIn("Add a feature", "What is to be possible: …\nFor whom, and why: …\nHow one sees that it works: …\n\nAdd tests, and say it in the documentation.", true),
		builtIn("Add tests", "Code to be tested: …\n\nTest what it promises, its edge cases and its errors. Change nothing but tests; tell of what is wrong in the code instead of fixing it.", false),
		builtIn("Update a dependency", "Which one, and to which version: …\n\nRead what has changed, adapt the code to it, and have all checks pass. Update nothing else.", false),
		builtIn("Explain", "Question about the repository: …\n\nAnswer it with the names of files and lines. Change nothing.", false),
	}
}
