package api

import (
	"context"
	"net/http"

	"mgx"
	"mgx/internal/app"
)

func (s *Server) rightsRoutes() []route {
	const group = "Rights on data"
	return []route{
		plain[At[mgx.UserID], textOut]("GET /api/v1/people/{id}/export", s.exportPerson, to("manage", "users"), about{
			ID: "exportPerson", Group: group, Short: "Hand out everything that is held on a person, as lines of JSON", Type: typeLines,
			Long: "In every workspace: the account, memberships, sessions, keys without their secrets, the tasks that they wrote, and the events that name them." + wholeExport,
		}, stream, installation),
		op("GET /api/v1/people/{id}/erasure", to("manage", "users"), with(s.rights, planPersonErasure), about{
			ID: "planPersonErasure", Group: group, Short: "Say what erasing a person would erase", Codes: codes{"not_confirmed": 400, "owner_stays": 403, "last_admin": 409, "run_not_ended": 409, "erased": 410},
		}, installation),
		op("POST /api/v1/people/{id}/erasure", to("manage", "users"), with(s.rights, erasePerson), about{
			ID: "erasePerson", Group: group, Short: "Erase a person for good", Codes: codes{"not_confirmed": 400, "owner_stays": 403, "last_admin": 409, "run_not_ended": 409, "erased": 410},
			Long: "The account and all they prove themselves with, memberships, sessions, keys, invitations, and what the audit log says in words of acts by or about them. " +
				"Ids, times and the proofs of the audit log stay. Backups and exports from before hold it still. Once begun it goes on though nobody waits; asked for again it goes on where it was interrupted.",
		}, installation),
		plain[InWorkspace, textOut]("GET /api/v1/workspaces/{workspace}/export", s.exportWorkspace, to("manage", "settings"), about{
			ID: "exportWorkspace", Group: group, Short: "Hand out everything that is held on a workspace, as lines of JSON", Type: typeLines, Codes: codes{mgx.CodeErased: 410},
			Long: "The files of its runs come last, in pieces. Secrets are not in it." + wholeExport,
		}, stream),
		op("GET /api/v1/workspaces/{workspace}/erasure", to("manage", "settings"), with(s.rights, planWorkspaceErasure), about{
			ID: "planWorkspaceErasure", Group: group, Short: "Say what erasing a workspace would erase, or that it was erased", Codes: codes{"installation_stays": 403},
		}),
		op("POST /api/v1/workspaces/{workspace}/erasure", to("manage", "settings"), with(s.rights, eraseWorkspace), about{
			ID: "eraseWorkspace", Group: group, Short: "Erase a workspace for good", Codes: codes{"not_confirmed": 400, "installation_stays": 403, "run_not_ended": 409},
			Long: "Its runs must have ended. From then on it takes nothing new and nobody is its member. Asked for again it takes whatever is there still, and says when it was erased. Ids, times, sums of money and the proofs of the audit log stay, and that it was done is in the log of the installation.",
		}),
	}
}

// wholeExport says how one knows that an export is whole.
const wholeExport = " The last line is of the kind end: it has the number of the lines before it and their SHA-256. Without it the export broke off."

// rights are what whoever asks may do with data.
func (s *Server) rights(ctx context.Context) (*app.Rights, error) {
	if s.o.Rights == nil {
		return nil, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "this server keeps nothing on people")
	}
	theirs := *s.o.Rights
	theirs.Actor, theirs.Access = actor(ctx), s.o.Access
	return &theirs, nil
}

func (s *Server) exportPerson(w http.ResponseWriter, r *http.Request) error {
	theirs, err := s.rights(r.Context())
	if err != nil {
		return err
	}
	out := newExport(w, "person")
	return out.finish(theirs.ExportPerson(r.Context(), mgx.UserID(r.PathValue("id")), out.line))
}

func (s *Server) exportWorkspace(w http.ResponseWriter, r *http.Request) error {
	theirs, err := s.rights(r.Context())
	if err != nil {
		return err
	}
	out := newExport(w, "workspace")
	return out.finish(theirs.ExportWorkspace(r.Context(), out.line))
}

type personErasureOut struct {
	Body mgx.PersonErasure
}

func planPersonErasure(ctx context.Context, r *app.Rights, in *At[mgx.UserID]) (*personErasureOut, error) {
	p, err := r.PlanPerson(ctx, in.ID)
	return &personErasureOut{listed(p)}, err
}

// listed has lists that are never null.
func listed(p mgx.PersonErasure) mgx.PersonErasure {
	p.Workspaces, p.Tasks, p.Mentions = every(p.Workspaces), every(p.Tasks), every(p.Mentions)
	return p
}

// confirmed says that somebody knows what they do.
type confirmed struct {
	Confirm string `json:"confirm" doc:"The id once more" maxLength:"200"`
}

type confirmedErasure struct {
	Confirm string `json:"confirm" doc:"The id once more" maxLength:"200"`
	Tasks   bool   `json:"tasks,omitempty" doc:"Also the words of the tasks that they wrote, or that hold their address, with all their runs"`
}

func erasePerson(ctx context.Context, r *app.Rights, in *struct {
	At[mgx.UserID]
	Body confirmedErasure
},
) (*personErasureOut, error) {
	p, err := r.ErasePerson(ctx, in.ID, in.Body.Tasks, in.Body.Confirm)
	return &personErasureOut{listed(p)}, err
}

type workspaceErasureOut struct {
	Body mgx.WorkspaceErasure
}

func planWorkspaceErasure(ctx context.Context, r *app.Rights, _ *InWorkspace) (*workspaceErasureOut, error) {
	p, err := r.PlanWorkspace(ctx)
	p.Runs, p.Running = every(p.Runs), every(p.Running)
	return &workspaceErasureOut{p}, err
}

func eraseWorkspace(ctx context.Context, r *app.Rights, in *struct {
	InWorkspace
	Body confirmed
},
) (*workspaceErasureOut, error) {
	p, err := r.EraseWorkspace(ctx, in.Body.Confirm)
	p.Runs, p.Running = every(p.Runs), every(p.Running)
	return &workspaceErasureOut{p}, err
}
