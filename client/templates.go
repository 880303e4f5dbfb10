package client

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"time"

	"mgx"
)

// Templates are tasks that are asked for again and again, with what is the same each
// time filled in.
type Templates struct{ c *Client }

// Templates is what can be done with templates.
func (c *Client) Templates() Templates { return Templates{c} }

// TemplateID names a template.
type TemplateID string

// Template is one of the workspace, or one that is built in.
type Template struct {
	ID        TemplateID    `json:"id"`
	Name      string        `json:"name"`
	Project   mgx.ProjectID `json:"project_id,omitempty"` // empty: for every project
	Task      TemplateTask  `json:"task"`
	BuiltIn   bool          `json:"built_in,omitempty"`
	CreatedBy string        `json:"created_by,omitempty"`
	CreatedAt time.Time     `json:"created_at,omitzero"`
}

// TemplateTask is what a template fills in.
type TemplateTask struct {
	Text    string     `json:"text,omitempty"`
	Model   string     `json:"model,omitempty"`
	Approve string     `json:"approve,omitempty"`
	Budget  *mgx.Money `json:"budget_usd,omitempty"`
	Plan    bool       `json:"plan,omitempty"`
	Checks  []string   `json:"checks,omitempty"`
}

// templateBody is what of a template is sent.
type templateBody struct {
	Name    string        `json:"name"`
	Project mgx.ProjectID `json:"project_id,omitempty"`
	Task    TemplateTask  `json:"task"`
}

// List lists the workspace's own by name, and then those that are built in.
func (t Templates) List(ctx context.Context) ([]Template, error) {
	var all struct {
		Templates []Template `json:"templates"`
	}
	err := t.c.get(ctx, "/api/v1/templates", nil, &all)
	return all.Templates, err
}

// Create keeps a new one.
func (t Templates) Create(ctx context.Context, n Template) (made Template, err error) {
	return made, t.c.create(ctx, "/api/v1/templates", rand.Text(), templateBody{n.Name, n.Project, n.Task}, &made)
}

// Replace puts another in the place of one.
func (t Templates) Replace(ctx context.Context, id TemplateID, n Template) (kept Template, err error) {
	return kept, t.c.send(ctx, http.MethodPut, templatePath(id), nil, templateBody{n.Name, n.Project, n.Task}, &kept)
}

// Delete gives one up.
func (t Templates) Delete(ctx context.Context, id TemplateID) error {
	return t.c.send(ctx, http.MethodDelete, templatePath(id), nil, nil, nil)
}

func templatePath(id TemplateID) string { return "/api/v1/templates/" + url.PathEscape(string(id)) }
