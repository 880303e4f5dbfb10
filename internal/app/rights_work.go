package app

import (
	"context"
	"strings"

	"mgx"
)

// FindPerson finds the person with an address, for whoever may do something with
// what is held on people.
func (r *Rights) FindPerson(ctx context.Context, email string) (mgx.User, error) {
	if err := r.may(ctx, "manage", "users", mgx.DefaultWorkspace); err != nil {
		return mgx.User{}, err
	}
	return r.Store.UserByEmail(ctx, strings.ToLower(email))
}

// ExportWork hands out everything that is held on a task or a run of the actor's
// workspace, record by record, the files of the runs last.
func (r *Rights) ExportWork(ctx context.Context, w mgx.Work, each func(kind string, record any) error) error {
	ws := r.Actor.Workspace
	if err := r.may(ctx, "manage", "settings", ws); err != nil {
		return err
	}
	action := "task.export"
	if w.Run != "" {
		action = "run.export"
	}
	return r.withFiles(r.handing(ctx, action, w.ID(), each), func(each func(string, any) error) error { return r.Store.ExportWork(ctx, ws, w, each) })
}

// RetainEvents removes the events of the installation whose time is over, as is done
// once a day anyway; dry: it only counts them.
func (r *Rights) RetainEvents(ctx context.Context, dry bool) (mgx.RetainedEvents, error) {
	if err := r.may(ctx, "manage", "settings", mgx.DefaultWorkspace); err != nil {
		return mgx.RetainedEvents{}, err
	}
	if r.Retain == nil {
		return mgx.RetainedEvents{}, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "events are kept for ever here")
	}
	if !dry {
		if err := r.acting(ctx, "events.retain", string(mgx.DefaultWorkspace)); err != nil {
			return mgx.RetainedEvents{}, err
		}
	}
	return r.Retain(ctx, dry)
}

// PlanWork says what erasing a task or a run of the actor's workspace would erase.
func (r *Rights) PlanWork(ctx context.Context, w mgx.Work) (mgx.WorkErasure, error) {
	if err := r.may(ctx, "manage", "settings", r.Actor.Workspace); err != nil {
		return mgx.WorkErasure{}, err
	}
	return r.Store.PlanWorkErasure(ctx, r.Actor.Workspace, w)
}

// EraseWork erases a task with its runs, or a run, of the actor's workspace for
// good; confirm is its id once more. Once it has begun it goes on, whether or not
// somebody waits for it, and asked for again it goes on where it was interrupted.
func (r *Rights) EraseWork(ctx context.Context, w mgx.Work, confirm string) (mgx.WorkErasure, error) {
	if err := r.may(ctx, "manage", "settings", r.Actor.Workspace); err != nil {
		return mgx.WorkErasure{}, err
	}
	if confirm != w.ID() {
		return mgx.WorkErasure{}, unconfirmed(w.ID())
	}
	done, err := r.Store.EraseWork(context.WithoutCancel(ctx), r.Actor.Doer(), w)
	return done, r.finish(err, done.Runs)
}
