package app

import (
	"context"

	"mgx"
)

// ProjectStore keeps what is set for projects; *store.Store is one.
type ProjectStore interface {
	ProjectSettings(ctx context.Context, ws mgx.WorkspaceID, project mgx.ProjectID) (mgx.ProjectSettings, error)
	ChangeProject(ctx context.Context, by mgx.Doer, project mgx.ProjectID, name string, value *string) error
}

// Projects are what an operator may do with the settings of projects.
type Projects struct {
	By    mgx.Doer // whose workspace it is, too
	Store ProjectStore
	// Check returns a value as it is to be kept, or says what is wrong with it.
	Check func(name, value string) (string, error)
}

// Settings returns what is set for a project.
func (p *Projects) Settings(ctx context.Context, project mgx.ProjectID) (mgx.ProjectSettings, error) {
	return p.Store.ProjectSettings(ctx, p.By.Workspace, project)
}

// Set sets one setting of a project. It holds for runs that begin from then on.
func (p *Projects) Set(ctx context.Context, project mgx.ProjectID, name, value string) error {
	value, err := p.Check(name, value)
	if err != nil {
		return err
	}
	return p.Store.ChangeProject(ctx, p.By, project, name, &value)
}

// Unset takes a setting back (CodeNotFound).
func (p *Projects) Unset(ctx context.Context, project mgx.ProjectID, name string) error {
	return p.Store.ChangeProject(ctx, p.By, project, name, nil)
}
