package main

import (
	"context"
	"strings"

	"mgx"
	"mgx/client"
	"mgx/internal/app"
	"mgx/internal/event"
)

// rights are what commands do with what is held on people, work and workspaces,
// where they work.
type rights interface {
	FindPerson(ctx context.Context, email string) (mgx.UserID, error)
	FindRun(ctx context.Context, name string) (mgx.RunID, error)
	PlanPerson(ctx context.Context, id mgx.UserID) (mgx.PersonErasure, error)
	ErasePerson(ctx context.Context, id mgx.UserID, tasks bool) (mgx.PersonErasure, error)
	PlanWorkspace(ctx context.Context, ws mgx.WorkspaceID) (mgx.WorkspaceErasure, error)
	EraseWorkspace(ctx context.Context, ws mgx.WorkspaceID) (mgx.WorkspaceErasure, error)
	PlanWork(ctx context.Context, w mgx.Work) (mgx.WorkErasure, error)
	EraseWork(ctx context.Context, w mgx.Work) (mgx.WorkErasure, error)
	RetainEvents(ctx context.Context, dry bool) (mgx.RetainedEvents, error)
	Retention(ctx context.Context) ([]client.Kept, error)
	EditRetention(ctx context.Context, change func(days map[string]int64)) ([]client.Kept, error)
}

// withRights does something with what is held where a command says.
func (c *cli) withRights(ctx context.Context, f func(context.Context, rights) error) error {
	return reach(ctx, c,
		func(_ context.Context, n *node) (rights, error) { return ownRights{n}, nil },
		func(remote *client.Client) rights { return theirRights{remote.Rights(), remote} }, f)
}

// personNamed finds who is meant by an address or an id.
func personNamed(ctx context.Context, r rights, name string) (mgx.UserID, error) {
	if strings.Contains(name, "@") {
		return r.FindPerson(ctx, strings.ToLower(name))
	}
	return mgx.UserID(name), nil
}

// ownRights are those of the owner of the data directory.
type ownRights struct{ n *node }

// in are the rights in a workspace.
func (o ownRights) in(ws mgx.WorkspaceID) *app.Rights {
	own := o.n.asOwner()
	own.actor.Workspace = ws
	return &app.Rights{Actor: own.actor, Access: own.Access, Store: o.n.store, Files: o.n.exportFiles, Remove: o.n.removeFiles, RemoveAll: o.n.removeAll, Retain: o.n.retain}
}

func (o ownRights) FindPerson(ctx context.Context, email string) (mgx.UserID, error) {
	u, err := o.in(mgx.DefaultWorkspace).FindPerson(ctx, email)
	return u.ID, err
}

func (o ownRights) FindRun(ctx context.Context, name string) (mgx.RunID, error) {
	run, err := o.n.find(ctx, name)
	return run.ID, err
}

func (o ownRights) PlanPerson(ctx context.Context, id mgx.UserID) (mgx.PersonErasure, error) {
	return o.in(mgx.DefaultWorkspace).PlanPerson(ctx, id)
}

func (o ownRights) ErasePerson(ctx context.Context, id mgx.UserID, tasks bool) (mgx.PersonErasure, error) {
	return o.in(mgx.DefaultWorkspace).ErasePerson(ctx, id, tasks, string(id))
}

func (o ownRights) PlanWorkspace(ctx context.Context, ws mgx.WorkspaceID) (mgx.WorkspaceErasure, error) {
	return o.in(ws).PlanWorkspace(ctx)
}

func (o ownRights) EraseWorkspace(ctx context.Context, ws mgx.WorkspaceID) (mgx.WorkspaceErasure, error) {
	return o.in(ws).EraseWorkspace(ctx, string(ws))
}

func (o ownRights) PlanWork(ctx context.Context, w mgx.Work) (mgx.WorkErasure, error) {
	return o.in(o.n.workspace).PlanWork(ctx, w)
}

func (o ownRights) EraseWork(ctx context.Context, w mgx.Work) (mgx.WorkErasure, error) {
	return o.in(o.n.workspace).EraseWork(ctx, w, w.ID())
}

func (o ownRights) RetainEvents(ctx context.Context, dry bool) (mgx.RetainedEvents, error) {
	return o.in(mgx.DefaultWorkspace).RetainEvents(ctx, dry)
}

// retention is what the owner sets for the whole data directory.
func (o ownRights) retention() (*app.Retention, error) {
	contracts, err := event.NewRegistry()
	if err != nil {
		return nil, err
	}
	r := o.n.retention(contracts)
	r.By = o.in(mgx.DefaultWorkspace).Actor.Doer()
	return r, nil
}

func (o ownRights) Retention(ctx context.Context) ([]client.Kept, error) {
	r, err := o.retention()
	if err != nil {
		return nil, err
	}
	return listKept(ctx, r)
}

func listKept(ctx context.Context, r *app.Retention) (list []client.Kept, err error) {
	all, err := r.List(ctx)
	for _, k := range all {
		list = append(list, client.Kept(k))
	}
	return list, err
}

func (o ownRights) EditRetention(ctx context.Context, change func(days map[string]int64)) ([]client.Kept, error) {
	r, err := o.retention()
	if err != nil {
		return nil, err
	}
	seen, err := o.n.store.Revision(ctx, mgx.DefaultWorkspace, "settings", string(mgx.DefaultWorkspace))
	if err != nil {
		return nil, err
	}
	was, err := listKept(ctx, r)
	if err != nil {
		return nil, err
	}
	terms := &mgx.Terms{Kind: "settings", ID: string(mgx.DefaultWorkspace), Match: []int64{seen}}
	if err := r.Set(mgx.OnTerms(ctx, terms), client.Changed(was, change)); err != nil {
		return nil, err
	}
	return listKept(ctx, r)
}

// theirRights are those of whoever asks a server.
type theirRights struct {
	client.Rights
	remote *client.Client
}

func (t theirRights) FindRun(ctx context.Context, name string) (mgx.RunID, error) {
	return theirRuns{t.remote.Runs(), t.remote}.idOf(ctx, name)
}
