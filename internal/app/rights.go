package app

import (
	"context"
	"encoding/json"
	"errors"

	"mgx"
	"mgx/internal/access"
)

// RightsStore holds what is known of people and workspaces; *store.Store documents
// and is one.
type RightsStore interface {
	Commit(ctx context.Context, c mgx.Change) (mgx.Committed, error)
	ExportPerson(ctx context.Context, id mgx.UserID, each func(kind string, record any) error) error
	ExportWorkspace(ctx context.Context, ws mgx.WorkspaceID, each func(kind string, record any) error) error
	PlanPersonErasure(ctx context.Context, id mgx.UserID) (mgx.PersonErasure, error)
	ErasePerson(ctx context.Context, by mgx.Doer, id mgx.UserID, tasksToo bool) (mgx.PersonErasure, error)
	PlanWorkspaceErasure(ctx context.Context, ws mgx.WorkspaceID) (mgx.WorkspaceErasure, error)
	EraseWorkspace(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID) (mgx.WorkspaceErasure, error)
	ExportWork(ctx context.Context, ws mgx.WorkspaceID, w mgx.Work, each func(kind string, record any) error) error
	PlanWorkErasure(ctx context.Context, ws mgx.WorkspaceID, w mgx.Work) (mgx.WorkErasure, error)
	EraseWork(ctx context.Context, by mgx.Doer, w mgx.Work) (mgx.WorkErasure, error)
	UserByEmail(ctx context.Context, email string) (mgx.User, error)
}

// Rights are what is done with what is held on people and workspaces when they ask
// for it: handing it out, and erasing it. It takes all the rights of an admin: for a
// person of the installation's workspace, since they may be a member of several, for
// a workspace of its own.
type Rights struct {
	Actor  access.Actor
	Access *Access // whose memory of people is to be forgotten; nil: there is none
	Store  RightsStore
	// Files hands out the files of a run, as records; nil: there are none.
	Files func(run mgx.RunID, each func(kind string, record any) error) error
	// Remove removes the files of a run; nil: there are none.
	Remove func(mgx.RunID) error
	// RemoveAll removes what else is kept of a workspace outside of the database; nil: nothing is.
	RemoveAll func(context.Context, mgx.WorkspaceID) error
	// Retain removes the events whose time is over, or counts them; nil: none go.
	Retain func(ctx context.Context, dry bool) (mgx.RetainedEvents, error)
}

// may asks whether the actor may do what there is to do here to a thing of a kind
// in a workspace.
func (r *Rights) may(ctx context.Context, action, kind string, ws mgx.WorkspaceID) error {
	on := access.Resource{Kind: kind, Workspace: ws}
	switch err := full(r.Actor); {
	case r.Access == nil:
		return err
	case err != nil:
		return r.Access.refused(ctx, r.Actor, action, on, err)
	}
	return r.Access.Authorize(ctx, r.Actor, action, on)
}

// handing hands records out, and before the first of them records that it does.
func (r *Rights) handing(ctx context.Context, action, resource string, each func(kind string, record any) error) func(string, any) error {
	return BeforeFirst(func() error { return r.acting(ctx, action, resource) }, each)
}

// BeforeFirst hands records on to each, and before the first of them tells of it: what
// there is not is not handed out, and nothing is where that cannot be told.
func BeforeFirst(tell func() error, each func(kind string, record any) error) func(kind string, record any) error {
	told := false
	return func(kind string, record any) error {
		if !told {
			if err := tell(); err != nil {
				return err
			}
			told = true
		}
		return each(kind, record)
	}
}

// acting records an act before it is done.
func (r *Rights) acting(ctx context.Context, action, resource string) error {
	by := r.Actor.Doer()
	e := mgx.NewAudit(by.Workspace, mgx.AuditData{
		Actor: by.Actor, Action: action, Resource: resource, Decision: mgx.AuditAllowed, Request: by.Request, Details: &mgx.AuditDetails{From: by.From, Agent: by.Agent},
	})
	_, err := r.Store.Commit(mgx.ForInstallation(ctx), mgx.Change{Events: []mgx.Event{e}})
	return err
}

// ExportPerson hands out everything that is held on a person, record by record.
func (r *Rights) ExportPerson(ctx context.Context, id mgx.UserID, each func(kind string, record any) error) error {
	if err := r.may(ctx, "manage", "users", mgx.DefaultWorkspace); err != nil {
		return err
	}
	return r.Store.ExportPerson(ctx, id, r.handing(ctx, "user.export", string(id), each))
}

// ExportWorkspace hands out everything that is held on the actor's workspace,
// record by record, the files of its runs last.
func (r *Rights) ExportWorkspace(ctx context.Context, each func(kind string, record any) error) error {
	ws := r.Actor.Workspace
	if err := r.may(ctx, "manage", "settings", ws); err != nil {
		return err
	}
	return r.withFiles(r.handing(ctx, "workspace.export", string(ws), each), func(each func(string, any) error) error { return r.Store.ExportWorkspace(ctx, ws, each) })
}

// withFiles hands records out, and after them the files of the runs among them.
func (r *Rights) withFiles(each func(kind string, record any) error, held func(func(string, any) error) error) error {
	var runs []mgx.RunID
	err := held(func(kind string, record any) error {
		if raw, ok := record.(json.RawMessage); ok && kind == "run" {
			var run mgx.Run
			if err := json.Unmarshal(raw, &run); err != nil {
				return err
			}
			runs = append(runs, run.ID)
		}
		return each(kind, record)
	})
	for _, id := range runs {
		if err == nil && r.Files != nil {
			err = r.Files(id, each)
		}
	}
	return err
}

// PlanPerson says what erasing a person would erase, and what would stay.
func (r *Rights) PlanPerson(ctx context.Context, id mgx.UserID) (mgx.PersonErasure, error) {
	if err := r.may(ctx, "manage", "users", mgx.DefaultWorkspace); err != nil {
		return mgx.PersonErasure{}, err
	}
	return r.Store.PlanPersonErasure(ctx, id)
}

// ErasePerson erases a person for good; confirm is their id once more. Once it has
// begun it goes on, whether or not somebody waits for it.
func (r *Rights) ErasePerson(ctx context.Context, id mgx.UserID, tasksToo bool, confirm string) (mgx.PersonErasure, error) {
	if err := r.may(ctx, "manage", "users", mgx.DefaultWorkspace); err != nil {
		return mgx.PersonErasure{}, err
	}
	if confirm != string(id) {
		return mgx.PersonErasure{}, unconfirmed(string(id))
	}
	by := r.Actor.Doer()
	by.Workspace = mgx.DefaultWorkspace
	done, err := r.Store.ErasePerson(context.WithoutCancel(ctx), by, id, tasksToo)
	return done, r.finish(err, done.Runs)
}

// PlanWorkspace says what erasing the actor's workspace would erase.
func (r *Rights) PlanWorkspace(ctx context.Context) (mgx.WorkspaceErasure, error) {
	if err := r.may(ctx, "manage", "settings", r.Actor.Workspace); err != nil {
		return mgx.WorkspaceErasure{}, err
	}
	return r.Store.PlanWorkspaceErasure(ctx, r.Actor.Workspace)
}

// EraseWorkspace erases the actor's workspace for good; confirm is its id once more.
func (r *Rights) EraseWorkspace(ctx context.Context, confirm string) (mgx.WorkspaceErasure, error) {
	ws := r.Actor.Workspace
	if err := r.may(ctx, "manage", "settings", ws); err != nil {
		return mgx.WorkspaceErasure{}, err
	}
	if confirm != string(ws) {
		return mgx.WorkspaceErasure{}, unconfirmed(string(ws))
	}
	ctx = context.WithoutCancel(ctx)
	done, err := r.Store.EraseWorkspace(ctx, r.Actor.Doer(), ws)
	return done, r.finish(err, done.Runs, func() error {
		if r.RemoveAll == nil {
			return nil
		}
		return r.RemoveAll(ctx, ws)
	})
}

// finish removes the files of what was erased, and whatever more, also where only
// readers of the database keep earlier pages of it for a while.
func (r *Rights) finish(err error, runs []mgx.RunID, more ...func() error) error {
	if r.Access != nil {
		r.Access.Forget()
	}
	if err != nil && !mgx.IsCode(err, "database_busy") {
		return err
	}
	for _, id := range runs {
		if r.Remove == nil {
			break
		}
		if e := r.Remove(id); err == nil {
			err = e
		}
	}
	for _, remove := range more {
		err = errors.Join(err, remove())
	}
	return err
}

func unconfirmed(id string) error {
	return mgx.Errorf(mgx.KindUsage, "not_confirmed", `this erases %s for good; look at what would go, and send "confirm": "%s" to do it`, id, id)
}
