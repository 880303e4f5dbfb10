package app_test

import (
	"context"
	"sync"
	"testing"

	"mgx"
)

// However many differences one workspace asks for, another gets its own, and who asks for
// more than can wait is told so.
func TestDifferencesAreShared(t *testing.T) {
	t.Parallel()
	o, runs := sharing(t)
	o.shares(func(ctx context.Context, ws mgx.WorkspaceID) error {
		_, err := o.work.Diff(ctx, as(mgx.RoleViewer, ws), runs[ws].Run)
		return err
	})
}

// So it is with branches that are fetched.
func TestBranchesAreShared(t *testing.T) {
	t.Parallel()
	o, runs := sharing(t)
	for _, run := range runs {
		_, err := o.store.Commit(t.Context(), mgx.Change{Events: []mgx.Event{run.Event(mgx.RunDelivered, mgx.DeliveredData{Branch: "mgx/x", Commit: "c0ffee"})}})
		must(t, err)
	}
	o.shares(func(ctx context.Context, ws mgx.WorkspaceID) error {
		d, err := o.work.Branch(ctx, as(mgx.RoleViewer, ws), runs[ws].Run)
		if err == nil {
			err = d.Content.Close()
		}
		return err
	})
}

// sharing is an office with a run in each workspace, whose host says what it makes.
func sharing(t *testing.T) (*office, map[mgx.WorkspaceID]mgx.Scope) {
	o := newOffice(t)
	o.host.making, o.host.made = make(chan mgx.WorkspaceID), make(chan struct{})
	runs := map[mgx.WorkspaceID]mgx.Scope{}
	for _, ws := range []mgx.WorkspaceID{here, there} {
		run := o.start(owner(ws), o.project(ws, "shop"), "x")
		runs[ws] = mgx.Scope{Workspace: ws, Task: run.Task.ID, Run: run.ID}
	}
	return o, runs
}

// shares holds what takes a seat to the seats.
func (o *office) shares(ask func(context.Context, mgx.WorkspaceID) error) {
	t := o.t
	t.Helper()
	var all sync.WaitGroup
	impatient, leave := context.WithCancel(t.Context())
	errs := make(chan error, 100)
	for range 33 {
		all.Go(func() { errs <- ask(impatient, here) })
	}
	for range 3 {
		<-o.host.making
	}
	if err := <-errs; !mgx.IsCode(err, "too_many_at_once") { // once the others have come
		t.Errorf("one more than can wait: %v", err)
	}
	all.Go(func() { errs <- ask(t.Context(), there) })
	if ws := <-o.host.making; ws != there {
		t.Errorf("the fourth seat is one of %s, too", ws)
	}
	leave() // those that wait, 29 of them
	for range 29 {
		if err := <-errs; !mgx.IsCode(mgx.AsError(err), "cancelled") {
			t.Errorf("who waits and leaves: %v", err)
		}
	}
	for range 4 {
		o.host.made <- struct{}{}
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	all.Go(func() { errs <- ask(t.Context(), here) }) // every seat is free again
	<-o.host.making
	o.host.made <- struct{}{}
	if err := <-errs; err != nil {
		t.Error(err)
	}
	all.Wait()
}
