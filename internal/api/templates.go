package api

import (
	"context"

	"mgx"
	"mgx/internal/app"
)

func (s *Server) templateRoutes() []route {
	const group = "Templates"
	bad := codes{"bad_template": 400, mgx.CodeConflict: 409}
	return []route{
		op("GET /api/v1/templates", to("read", "tasks"), with(s.templates, listTemplates), about{
			ID: "listTemplates", Group: group, Short: "List the templates of tasks, the workspace's own by name and then those that are built in",
			Long: "A template fills in what is the same each time. There are 100 of the workspace's own at the most.",
		}),
		op("POST /api/v1/templates", to("create", "tasks"), with(s.templates, createTemplate), about{
			ID: "createTemplate", Group: group, Short: "Keep a new template", Made: true, Kind: "template", Codes: bad.and(codes{"too_many_templates": 400}),
		}),
		op("GET /api/v1/templates/{id}", to("read", "tasks"), with(s.templates, getTemplate), about{
			ID: "getTemplate", Group: group, Short: "Show a template", Kind: "template",
		}),
		op("PUT /api/v1/templates/{id}", to("create", "tasks"), with(s.templates, replaceTemplate), about{
			ID: "replaceTemplate", Group: group, Short: "Put another in the place of a template", Kind: "template", Codes: bad, Long: "Those that are built in stay as they are.",
		}),
		op("DELETE /api/v1/templates/{id}", to("create", "tasks"), with(s.templates, removeTemplate), about{
			ID: "removeTemplate", Group: group, Short: "Give a template up", Kind: "template",
		}),
	}
}

// templates are those of tasks, where there are any.
func (s *Server) templates(context.Context) (*app.Templates, error) {
	if s.o.Templates == nil {
		return nil, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "this server keeps no templates")
	}
	return s.o.Templates, nil
}

type templatesIn struct {
	Project mgx.ProjectID `query:"project_id" doc:"Only those that fit this project" maxLength:"200"`
}

type templatesOut struct {
	Body struct {
		Templates []app.TaskTemplate `json:"templates" doc:"The workspace's own, and then those that are built in"`
	} `nameHint:"TemplateList"`
}

func listTemplates(ctx context.Context, t *app.Templates, in *templatesIn) (*templatesOut, error) {
	all, err := t.List(ctx, actor(ctx), in.Project)
	out := &templatesOut{}
	out.Body.Templates = every(all)
	return out, err
}

type newTemplate struct {
	Name    string        `json:"name" doc:"By which people know it" minLength:"1" maxLength:"80" example:"Update a dependency"`
	Project mgx.ProjectID `json:"project_id,omitempty" doc:"For this project alone; without it for every one" maxLength:"200"`
	Task    templateWork  `json:"task" doc:"What it fills in"`
}

type templateWork struct {
	Text    string     `json:"text,omitempty" doc:"What is wanted, in words; lines that end in … are gaps for people to fill in" maxLength:"16000"`
	Model   string     `json:"model,omitempty" doc:"provider/model, or a routing policy" maxLength:"200"`
	Approve string     `json:"approve,omitempty" doc:"Who decides on plans, and on calls that the policy asks about" enum:"auto,ask,never"`
	Budget  *mgx.Money `json:"budget_usd,omitempty" doc:"Most that the run may spend, in US dollars" minimum:"0" maximum:"1000000000"`
	Plan    bool       `json:"plan,omitempty" doc:"Plan first, whatever the size"`
	Checks  []string   `json:"checks,omitempty" doc:"Commands that must succeed" maxItems:"50" maxLength:"4096"`
}

func (n newTemplate) template() app.TaskTemplate {
	return app.TaskTemplate{Name: n.Name, Project: n.Project, Task: app.TemplateTask(n.Task)}
}

type madeTemplate struct {
	Location string `header:"Location" doc:"Where it is"`
	Body     app.TaskTemplate
}

func createTemplate(ctx context.Context, t *app.Templates, in *struct{ Body newTemplate }) (*madeTemplate, error) {
	made, err := t.Create(ctx, actor(ctx), in.Body.template())
	return &madeTemplate{"/api/v1/templates/" + string(made.ID), made}, err
}

type templateOut struct {
	Body app.TaskTemplate
}

func getTemplate(ctx context.Context, t *app.Templates, in *At[app.TemplateID]) (*templateOut, error) {
	one, err := t.Get(ctx, actor(ctx), in.ID)
	return &templateOut{one}, err
}

func replaceTemplate(ctx context.Context, t *app.Templates, in *struct {
	At[app.TemplateID]
	Body newTemplate
},
) (*templateOut, error) {
	one, err := t.Replace(ctx, actor(ctx), in.ID, in.Body.template())
	return &templateOut{one}, err
}

func removeTemplate(ctx context.Context, t *app.Templates, in *At[app.TemplateID]) (*none, error) {
	return &none{}, t.Delete(ctx, actor(ctx), in.ID)
}
