package api

import (
	"context"

	"mgx"
)

func (s *Server) workspaceRoutes() []route {
	const group = "Workspaces"
	return []route{
		op("GET /api/v1/workspaces", somebody, known(s, s.listWorkspaces), about{
			ID: "listWorkspaces", Group: group, Short: "List the workspaces one is a member of, by id",
			Long: "An admin of the default workspace sees all.",
		}),
		op("POST /api/v1/workspaces", to("manage", "settings"), known(s, s.createWorkspace), about{
			ID: "createWorkspace", Group: group, Short: "Make a workspace", Long: "Whoever makes it is its admin.", Made: true, Kind: "workspace",
			Codes: codes{"bad_name": 400},
		}, installation),
		op("GET /api/v1/workspaces/{workspace}", to("read", "settings"), known(s, s.getWorkspace), about{
			ID: "getWorkspace", Group: group, Short: "Show a workspace", Kind: "workspace",
		}),
		op("PATCH /api/v1/workspaces/{workspace}", to("update", "settings"), known(s, s.renameWorkspace), about{
			ID: "renameWorkspace", Group: group, Short: "Rename a workspace", Kind: "workspace", Codes: codes{"bad_name": 400},
		}),
	}
}

type workspacesOut struct {
	Body struct {
		Workspaces []mgx.Workspace `json:"workspaces"`
		Next       mgx.WorkspaceID `json:"next_page_token,omitempty" doc:"Of the next page, if there may be one"`
	} `nameHint:"WorkspacePage"`
}

func (s *Server) listWorkspaces(ctx context.Context, in *Paged) (*workspacesOut, error) {
	all, err := s.o.Access.Workspaces(ctx, actor(ctx), after[mgx.WorkspaceID](*in), in.Limit)
	out := &workspacesOut{}
	out.Body.Workspaces = every(all)
	out.Body.Next = following(all, *in, func(w mgx.Workspace) mgx.WorkspaceID { return w.ID })
	return out, err
}

// named is a body that names something.
type named struct {
	Name string `json:"name" doc:"What people call it" maxLength:"1000" example:"Compilers"`
}

type workspaceOut struct {
	Body mgx.Workspace
}

type madeWorkspace struct {
	Location string `header:"Location" doc:"Where it is"`
	Body     mgx.Workspace
}

func (s *Server) createWorkspace(ctx context.Context, in *struct{ Body named }) (*madeWorkspace, error) {
	made, err := s.o.Access.CreateWorkspace(ctx, actor(ctx), in.Body.Name)
	return &madeWorkspace{"/api/v1/workspaces/" + string(made.ID), made}, err
}

// InWorkspace is the path of a workspace, which is the one that the request acts
// in.
type InWorkspace struct {
	Workspace mgx.WorkspaceID `path:"workspace" doc:"Its id" maxLength:"200"`
}

func (s *Server) getWorkspace(ctx context.Context, _ *InWorkspace) (*workspaceOut, error) {
	found, err := s.o.Access.Workspace(ctx, actor(ctx))
	return &workspaceOut{found}, err
}

func (s *Server) renameWorkspace(ctx context.Context, in *struct {
	InWorkspace
	Body named
},
) (*workspaceOut, error) {
	changed, err := s.o.Access.RenameWorkspace(ctx, actor(ctx), in.Body.Name)
	return &workspaceOut{changed}, err
}
