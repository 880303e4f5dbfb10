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
	o := newOffice(t)
	o.host.making, o.host.made = make(chan mgx.WorkspaceID), make(chan struct{})
	runs := map[mgx.WorkspaceID]mgx.RunID{}
	for _, ws := range []mgx.WorkspaceID{here, there} {
		runs[ws] = o.start(owner(ws), o.project(ws, "shop"), "x").ID
	}
	ask := func(ctx context.Context, ws mgx.WorkspaceID) error {
		_, err := o.work.Diff(ctx, as(mgx.RoleViewer, ws), runs[ws])
		return err
	}
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
