package app_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync/atomic"
	"testing"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/store"
)

// counting is a store that counts the events of streams that are read from it.
type counting struct {
	*store.Store
	read atomic.Int64
}

func (c *counting) StreamAfter(ctx context.Context, stream mgx.StreamID, sequence int64, limit int) ([]mgx.Event, error) {
	all, err := c.Store.StreamAfter(ctx, stream, sequence, limit)
	c.read.Add(int64(len(all)))
	return all, err
}

// TestThen goes through the time of a long run: each moment is the fold of the events
// up to there, and once somebody was at the end few of them are read for any moment.
func TestThen(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	watched := &counting{Store: o.store}
	work := app.NewWork(app.WorkOptions{Access: app.NewAccess(app.AccessOptions{Store: o.store}), Store: watched, Host: o.host})
	who := as(mgx.RoleAdmin, here)
	sc := mgx.Scope{Workspace: here, Task: mgx.NewID[mgx.TaskID]("task"), Run: mgx.NewID[mgx.RunID]("run")}
	_, err := o.store.Commit(t.Context(), mgx.Change{Events: []mgx.Event{sc.Event(mgx.RunCreated, mgx.RunCreatedData{Task: mgx.TaskInfo{ID: sc.Task, Title: "Take long"}})}})
	must(t, err)
	const total = 6_000
	for n := 1; n < total; {
		var some []mgx.Event
		for range min(1000, total-n) {
			n++
			some = append(some, sc.Event(mgx.RunPlanUpdated, mgx.PlanUpdatedData{Plan: mgx.Plan{Goal: fmt.Sprint("goal ", n)}, Hash: fmt.Sprint("hash ", n)}))
		}
		_, err := o.store.Commit(t.Context(), mgx.Change{Events: some})
		must(t, err)
	}
	var all []mgx.Run
	var fold mgx.Run
	for fold.Sequence < total {
		page, err := o.store.StreamAfter(t.Context(), mgx.StreamID(sc.Run), fold.Sequence, app.MaxEventsPage)
		must(t, err)
		for _, e := range page {
			fold, err = fold.Apply(e)
			must(t, err)
			all = append(all, fold)
		}
	}
	at := func(moment int64) (read int64) {
		t.Helper()
		before := watched.read.Load()
		then, err := work.RunAt(t.Context(), who, sc.Run, moment)
		must(t, err)
		if want := all[moment-1]; !reflect.DeepEqual(then.Run, want) {
			t.Fatalf("at %d it is %+v, and was %+v", moment, then.Run, want)
		}
		return watched.read.Load() - before
	}
	if n := at(total / 2); n != total/2 {
		t.Errorf("the first look back read %d events", n)
	}
	if n := at(total); n > total/2+512 {
		t.Errorf("going on from there read %d events", n)
	}
	for range 200 {
		if moment := 1 + rand.Int64N(total); at(moment) > 512 {
			t.Fatalf("at %d more than 512 events were read", moment)
		}
	}

	// Words that are erased are not told from memory.
	_, err = o.store.Commit(t.Context(), mgx.Change{Events: []mgx.Event{sc.Event(mgx.TaskCancelled, mgx.TaskCancelledData{Reason: "enough"})}})
	must(t, err)
	_, err = o.store.EraseWork(t.Context(), who.Doer(), mgx.Work{Run: sc.Run})
	must(t, err)
	if then, err := work.RunAt(t.Context(), who, sc.Run, total); err != nil || then.Plan != nil && then.Plan.Goal != "" {
		t.Errorf("after its words were erased it is told as %+v, %v", then.Plan, err)
	}
}
