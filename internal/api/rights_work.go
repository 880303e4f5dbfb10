package api

import (
	"context"
	"net/http"

	"mgx"
	"mgx/internal/app"
)

// workRightsRoutes hand out and erase what is held on a task or a run, and find the
// person that somebody asks about.
func (s *Server) workRightsRoutes() []route {
	const group = "Rights on data"
	gone := codes{"not_confirmed": 400, "run_not_ended": 409, mgx.CodeErased: 410}
	const stays = "Ids, times, counts and sums of money stay, and so does what was delivered. Once begun it goes on though nobody waits; asked for again it goes on where it was interrupted."
	return []route{
		op("GET /api/v1/people", to("manage", "users"), with(s.rights, findPeople), about{
			ID: "findPeople", Group: group, Short: "Find the person with an address", Long: "There is one or none.",
		}, installation),
		plain[At[mgx.TaskID], textOut]("GET /api/v1/tasks/{id}/export", s.exportTask, to("manage", "settings"), about{
			ID: "exportTask", Group: group, Short: "Hand out everything that is held on a task and its runs, as lines of JSON", Type: typeLines, Codes: codes{mgx.CodeErased: 410}, Long: "The files of its runs come last, in pieces." + wholeExport,
		}, stream),
		plain[At[mgx.RunID], textOut]("GET /api/v1/runs/{id}/export", s.exportRun, to("manage", "settings"), about{
			ID: "exportRun", Group: group, Short: "Hand out everything that is held on a run, as lines of JSON", Type: typeLines, Codes: codes{mgx.CodeErased: 410}, Long: "Its files come last, in pieces." + wholeExport,
		}, stream),
		op("GET /api/v1/tasks/{id}/erasure", to("manage", "settings"), with(s.rights, planTaskErasure), about{
			ID: "planTaskErasure", Group: group, Short: "Say what erasing a task would erase", Codes: gone,
		}),
		op("POST /api/v1/tasks/{id}/erasure", to("manage", "settings"), with(s.rights, eraseTask), about{
			ID: "eraseTask", Group: group, Short: "Erase a task and all its runs for good", Codes: gone, Long: stays,
		}),
		op("GET /api/v1/runs/{id}/erasure", to("manage", "settings"), with(s.rights, planRunErasure), about{
			ID: "planRunErasure", Group: group, Short: "Say what erasing a run would erase", Codes: gone,
		}),
		op("POST /api/v1/runs/{id}/erasure", to("manage", "settings"), with(s.rights, eraseRun), about{
			ID: "eraseRun", Group: group, Short: "Erase a run for good", Codes: gone, Long: "The only run of a task takes the task with it. " + stays,
		}),
		op("POST /api/v1/settings/retention/removal", to("manage", "settings"), with(s.rights, retainEvents), about{
			ID: "removeOldEvents", Group: "Settings", Short: "Remove the events whose time is over, as is done once a day", Status: 200,
			Long: "Events of runs that have not ended stay, and so does the last event of every stream, without its data.",
		}, installation),
	}
}

type peopleIn struct {
	Email string `query:"email" doc:"The address" minLength:"1" maxLength:"320" required:"true" example:"jo@example.com"`
}

// foundPerson is somebody who was asked about.
type foundPerson struct {
	ID    mgx.UserID `json:"id"`
	Email string     `json:"email"`
	Name  string     `json:"name"`
}

type peopleOut struct {
	Body struct {
		People []foundPerson `json:"people" doc:"One, or nobody"`
	} `nameHint:"PersonList"`
}

func findPeople(ctx context.Context, r *app.Rights, in *peopleIn) (*peopleOut, error) {
	out := &peopleOut{}
	out.Body.People = []foundPerson{}
	u, err := r.FindPerson(ctx, in.Email)
	if mgx.IsCode(err, mgx.CodeNotFound) {
		return out, nil
	}
	out.Body.People = append(out.Body.People, foundPerson{u.ID, u.Email, u.Name})
	return out, err
}

func (s *Server) exportTask(w http.ResponseWriter, r *http.Request) error {
	return s.exportWork(w, r, "task", mgx.Work{Task: mgx.TaskID(r.PathValue("id"))})
}

func (s *Server) exportRun(w http.ResponseWriter, r *http.Request) error {
	return s.exportWork(w, r, "run", mgx.Work{Run: mgx.RunID(r.PathValue("id"))})
}

func (s *Server) exportWork(w http.ResponseWriter, r *http.Request, name string, of mgx.Work) error {
	theirs, err := s.rights(r.Context())
	if err != nil {
		return err
	}
	out := newExport(w, name)
	return out.finish(theirs.ExportWork(r.Context(), of, out.line))
}

type workErasureOut struct {
	Body mgx.WorkErasure
}

func workErasure(e mgx.WorkErasure, err error) (*workErasureOut, error) {
	e.Runs, e.Forks, e.Delivered = every(e.Runs), every(e.Forks), every(e.Delivered)
	return &workErasureOut{e}, err
}

func planTaskErasure(ctx context.Context, r *app.Rights, in *At[mgx.TaskID]) (*workErasureOut, error) {
	return workErasure(r.PlanWork(ctx, mgx.Work{Task: in.ID}))
}

func planRunErasure(ctx context.Context, r *app.Rights, in *At[mgx.RunID]) (*workErasureOut, error) {
	return workErasure(r.PlanWork(ctx, mgx.Work{Run: in.ID}))
}

func eraseTask(ctx context.Context, r *app.Rights, in *struct {
	At[mgx.TaskID]
	Body confirmed
},
) (*workErasureOut, error) {
	return workErasure(r.EraseWork(ctx, mgx.Work{Task: in.ID}, in.Body.Confirm))
}

func eraseRun(ctx context.Context, r *app.Rights, in *struct {
	At[mgx.RunID]
	Body confirmed
},
) (*workErasureOut, error) {
	return workErasure(r.EraseWork(ctx, mgx.Work{Run: in.ID}, in.Body.Confirm))
}

type removalIn struct {
	Body struct {
		Dry bool `json:"dry_run,omitempty" doc:"Only count"`
	} `nameHint:"EventRemoval"`
}

type removedOut struct {
	Body mgx.RetainedEvents
}

func retainEvents(ctx context.Context, r *app.Rights, in *removalIn) (*removedOut, error) {
	done, err := r.RetainEvents(ctx, in.Body.Dry)
	return &removedOut{done}, err
}
