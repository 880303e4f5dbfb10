package api

import (
	"context"

	"mgx"
	"mgx/internal/app"
)

func (s *Server) projectRoutes() []route {
	const group = "Projects"
	return []route{
		op("GET /api/v1/projects", to("read", "repositories"), with(s.work, listProjects), about{
			ID: "listProjects", Group: group, Short: "List the projects of the workspace, by name",
		}),
		op("POST /api/v1/projects", to("create", "repositories"), with(s.work, createProject), about{
			ID: "createProject", Group: group, Short: "Give the workspace a project", Made: true, Kind: "project",
			Long: "The repository is one on the server. The owner of the data directory names any; an admin one in the directory of the workspace below a root of `mgx serve --repo-root`. " +
				"The same repository is the same project, however often it is given.",
			Codes: codes{"bad_path": 400, "bad_name": 400, "outside_roots": 403, "conflict": 409, "too_many_projects": 400}.and(badRepo),
		}),
		op("GET /api/v1/projects/{id}", to("read", "repositories"), with(s.work, getProject), about{
			ID: "getProject", Group: group, Short: "Show a project", Kind: "project",
		}),
		op("PATCH /api/v1/projects/{id}", to("update", "repositories"), with(s.work, renameProject), about{
			ID: "renameProject", Group: group, Short: "Rename a project", Kind: "project", Codes: codes{"bad_name": 400, "conflict": 409},
		}),
		op("DELETE /api/v1/projects/{id}", to("delete", "repositories"), with(s.work, removeProject), about{
			ID: "removeProject", Group: group, Short: "Take a project from the workspace", Kind: "project",
			Long: "With what is set for it. Its runs and its repository stay.",
		}),
		op("GET /api/v1/projects/{id}/settings", to("read", "repositories"), with(s.work, getProjectSettings), about{
			ID: "getProjectSettings", Group: group, Short: "Show what is set for a project", Kind: "project",
		}),
		op("PUT /api/v1/projects/{id}/settings/{name}", to("manage", "repositories"), with(s.work, setProject), about{
			ID: "setProject", Group: group, Short: "Set one setting of a project", Kind: "project", Codes: codes{"bad_setting": 400, "no_such_policy": 400, "bad_host": 400, "in_repository": 400},
			Long: "It holds for runs that begin from then on. Its ETag is that of the project and of all its settings. Admins set allow-host, for public hosts, and policy, to a built-in one; the rest is for the owner of the data directory.",
		}),
		op("DELETE /api/v1/projects/{id}/settings/{name}", to("manage", "repositories"), with(s.work, unsetProject), about{
			ID: "unsetProject", Group: group, Short: "Take a setting of a project back", Kind: "project",
		}),
	}
}

type projectsOut struct {
	Body struct {
		Projects []mgx.Project `json:"projects"`
		Next     string        `json:"next_page_token,omitempty" doc:"Of the next page, if there is one"`
	} `nameHint:"ProjectPage"`
}

func listProjects(ctx context.Context, w *app.Work, in *Paged) (*projectsOut, error) {
	page, err := w.Projects(ctx, actor(ctx), in.Page, in.Limit)
	out := &projectsOut{}
	out.Body.Projects, out.Body.Next = every(page.Items), page.Next
	return out, err
}

type newProject struct {
	Name string `json:"name,omitempty" doc:"What people call it; without one, the name of its directory" maxLength:"100" example:"shop"`
	Path string `json:"path" doc:"Of a directory in the repository, on the server; relative to the directory of the workspace below a root" minLength:"1" maxLength:"4096"`
}

type madeProject struct {
	Location string `header:"Location" doc:"Where it is"`
	Body     mgx.Project
}

func createProject(ctx context.Context, w *app.Work, in *struct{ Body newProject }) (*madeProject, error) {
	p, _, err := w.CreateProject(ctx, actor(ctx), app.NewProject(in.Body))
	return &madeProject{"/api/v1/projects/" + string(p.ID), p}, err
}

type projectOut struct {
	Body mgx.Project
}

func getProject(ctx context.Context, w *app.Work, in *At[mgx.ProjectID]) (*projectOut, error) {
	p, err := w.Project(ctx, actor(ctx), in.ID)
	return &projectOut{p}, err
}

func renameProject(ctx context.Context, w *app.Work, in *struct {
	At[mgx.ProjectID]
	Body named
},
) (*projectOut, error) {
	p, err := w.RenameProject(ctx, actor(ctx), in.ID, in.Body.Name)
	return &projectOut{p}, err
}

func removeProject(ctx context.Context, w *app.Work, in *At[mgx.ProjectID]) (*none, error) {
	return &none{}, w.RemoveProject(ctx, actor(ctx), in.ID)
}

type projectSettingsOut struct {
	Body struct {
		Settings map[string]string `json:"settings"`
	} `nameHint:"ProjectSettings"`
}

func getProjectSettings(ctx context.Context, w *app.Work, in *At[mgx.ProjectID]) (*projectSettingsOut, error) {
	set, err := w.ProjectSettings(ctx, actor(ctx), in.ID)
	out := &projectSettingsOut{}
	out.Body.Settings = map[string]string(set)
	if set == nil {
		out.Body.Settings = map[string]string{}
	}
	return out, err
}

// Setting is the path of one setting of a project.
type Setting struct {
	At[mgx.ProjectID]
	Name string `path:"name" doc:"allow-host, policy, sandbox-minimum or mcp" maxLength:"100"`
}

func setProject(ctx context.Context, w *app.Work, in *struct {
	Setting
	Body struct {
		Value string `json:"value" doc:"As the command line takes it; of allow-host several with commas" maxLength:"65536"`
	} `nameHint:"SettingValue"`
},
) (*none, error) {
	return &none{}, w.SetProject(ctx, actor(ctx), app.Setting{Project: in.ID, Name: in.Name, Value: in.Body.Value})
}

func unsetProject(ctx context.Context, w *app.Work, in *Setting) (*none, error) {
	return &none{}, w.UnsetProject(ctx, actor(ctx), in.ID, in.Name)
}
