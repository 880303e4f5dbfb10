package client

import (
	"context"
	"net/http"
	"net/url"

	"mgx"
)

// Projects are the code bases of the workspace.
type Projects struct{ c *Client }

// Projects is what can be done with projects.
func (c *Client) Projects() Projects { return Projects{c} }

// List lists them by name.
func (p Projects) List(ctx context.Context) ([]mgx.Project, error) {
	return pages[mgx.Project](ctx, p.c, "/api/v1/projects", "projects")
}

// Add gives the workspace a repository that is on the server, by the path of a
// directory in it. Without a name it has that of the directory.
func (p Projects) Add(ctx context.Context, path, name string) (made mgx.Project, err error) {
	body := map[string]string{"path": path}
	if name != "" {
		body["name"] = name
	}
	return made, p.c.send(ctx, http.MethodPost, "/api/v1/projects", nil, body, &made)
}

// Rename gives a project another name.
func (p Projects) Rename(ctx context.Context, id mgx.ProjectID, name string) (renamed mgx.Project, err error) {
	return renamed, p.c.send(ctx, http.MethodPatch, projectPath(id), nil, map[string]string{"name": name}, &renamed)
}

// Remove takes a project from the workspace, with what is set for it. Its runs and
// its repository stay.
func (p Projects) Remove(ctx context.Context, id mgx.ProjectID) error {
	return p.c.send(ctx, http.MethodDelete, projectPath(id), nil, nil, nil)
}

// Settings returns what is set for a project.
func (p Projects) Settings(ctx context.Context, id mgx.ProjectID) (mgx.ProjectSettings, error) {
	var out struct {
		Settings mgx.ProjectSettings `json:"settings"`
	}
	err := p.c.get(ctx, projectPath(id)+"/settings", nil, &out)
	return out.Settings, err
}

// Set sets one setting of a project, for the runs that begin from then on.
func (p Projects) Set(ctx context.Context, id mgx.ProjectID, name, value string) error {
	return p.c.send(ctx, http.MethodPut, settingPath(id, name), nil, map[string]string{"value": value}, nil)
}

// Unset takes a setting back.
func (p Projects) Unset(ctx context.Context, id mgx.ProjectID, name string) error {
	return p.c.send(ctx, http.MethodDelete, settingPath(id, name), nil, nil, nil)
}

func projectPath(id mgx.ProjectID) string { return "/api/v1/projects/" + url.PathEscape(string(id)) }

func settingPath(id mgx.ProjectID, name string) string {
	return projectPath(id) + "/settings/" + url.PathEscape(name)
}
