package main

import (
	"context"
	"sync"
	"time"

	"mgx"
	"mgx/internal/store"
)

const (
	lookEvery = time.Second
	// settle is how long a run must have been due before a server takes it. A
	// process that a person has just started it in, or decided it in, is faster.
	settle   = 2 * time.Second
	mostRuns = 1000 // looked at
)

// foreman finds runs that nobody works on and works on them.
type foreman struct {
	node  *node
	seats chan struct{}
	pulse pulse // beats whenever it looks

	mu     sync.Mutex
	atWork map[mgx.RunID]bool
	alone  map[mgx.RunID]bool // left alone: the log says so once
}

func newForeman(n *node, workers int) *foreman {
	return &foreman{node: n, seats: make(chan struct{}, workers), atWork: map[mgx.RunID]bool{}, alone: map[mgx.RunID]bool{}}
}

// run looks for work until ctx ends, then waits until what is being done is put
// down.
func (f *foreman) run(ctx context.Context) {
	var crew sync.WaitGroup
	defer crew.Wait()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		f.pulse.beat()
		f.look(ctx, &crew)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look sets to work on every run that is due, as far as there are seats.
func (f *foreman) look(ctx context.Context, crew *sync.WaitGroup) {
	runs, err := f.node.store.Runs(ctx, store.RunQuery{
		Workspace: mgx.DefaultWorkspace, Limit: mostRuns,
		Statuses: []mgx.RunStatus{mgx.RunQueued, mgx.RunRunning, mgx.RunWaiting},
	})
	if err != nil {
		if ctx.Err() == nil {
			f.node.log.Error("runs cannot be listed; trying again", "error", err)
		}
		return
	}
	for _, run := range runs {
		if !f.due(ctx, run) || !f.able(run) {
			continue
		}
		select {
		case f.seats <- struct{}{}:
		default:
			return
		}
		f.mark(run.ID, true)
		crew.Go(func() {
			defer func() { f.mark(run.ID, false); <-f.seats }()
			f.work(ctx, run)
		})
	}
}

func (f *foreman) mark(id mgx.RunID, busy bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if busy {
		f.atWork[id] = true
	} else {
		delete(f.atWork, id)
	}
}

func (f *foreman) busy(id mgx.RunID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.atWork[id]
}

// due reports whether a run can go on, nobody works on it, and that for a while.
func (f *foreman) due(ctx context.Context, run mgx.Run) bool {
	if f.busy(run.ID) {
		return false
	}
	x, err := f.node.store.Execution(ctx, run.Execution)
	if err != nil || x.Status.Ended() {
		return false
	}
	if x.Owner != "" { // what it left behind need not settle
		return !f.node.owner.alive(x.Owner) || !x.LeaseUntil.After(time.Now())
	}
	wake, timed, err := f.node.store.NextWake(ctx, run.ID)
	return err == nil && timed && time.Since(wake) >= settle
}

// able reports whether the run's model can be called from here.
func (f *foreman) able(run mgx.Run) bool {
	err := f.node.models.prepare(run.Workspace, run.ID, run.Settings)
	if err == nil {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.alone[run.ID] {
		f.node.log.Warn("a run is left alone: its model cannot be called from here", "run_id", run.ID, "model", run.Settings.Model, "error", err)
	}
	f.alone[run.ID] = true
	return false
}

// work drives a run until it has ended or waits for a person.
func (f *foreman) work(ctx context.Context, run mgx.Run) {
	defer f.node.models.release(run.ID)
	log := f.node.log.With("run_id", run.ID)
	log.Info("working on a run")
	_, err := f.node.engine.Drive(ctx, run.ID, run.Execution)
	if err != nil && ctx.Err() == nil && !mgx.IsCode(err, "run_busy") {
		log.Error("a run cannot go on; trying again", "error", err)
	}
}
