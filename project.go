package mgx

import "time"

// ProjectSettings are what an operator has set for one project, by the names of
// settings: what its runs begin with unless a flag or the environment says
// otherwise. They are kept in the database, never in the repository.
type ProjectSettings map[string]string

// Project is a code base that a workspace was given: a repository on the machine
// where its runs work. A path is one project of a workspace, whose id follows from
// it (see [ProjectOf]).
type Project struct {
	ID        ProjectID   `json:"id"`
	Workspace WorkspaceID `json:"workspace_id"`
	Name      string      `json:"name"` // unique in the workspace
	Path      string      `json:"path"` // of the repository, without links
	Within    string      `json:"-"`    // the directory that it must not lead out of; empty: anywhere
	CreatedBy string      `json:"created_by"`
	CreatedAt time.Time   `json:"created_at"`
	UpdatedAt time.Time   `json:"updated_at"`
}
