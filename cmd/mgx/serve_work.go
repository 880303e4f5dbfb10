package main

import (
	"context"
	"maps"
	"sync"
	"time"

	"mgx"
)

const (
	lookEvery = time.Second
	// settle is how long a run must have been due before a server takes it. A
	// process that a person has just started it in, or decided it in, is faster.
	settle     = 2 * time.Second
	mostRuns   = 1000        // of each workspace, looked at
	tryAgainIn = time.Minute // a run that could not be worked on from here
)

// foreman finds runs that nobody works on and works on them: of every workspace,
// in turns.
type foreman struct {
	node  *node
	seats chan struct{}
	freed chan struct{} // a seat was
	pulse pulse         // beats whenever it looks

	mu     sync.Mutex
	atWork map[mgx.RunID]bool
	alone  map[mgx.RunID]time.Time // left alone, since when; the log says so once
	turns  turns
}

func newForeman(n *node, workers int) *foreman {
	return &foreman{
		node: n, seats: make(chan struct{}, workers), freed: make(chan struct{}, 1),
		atWork: map[mgx.RunID]bool{}, alone: map[mgx.RunID]time.Time{}, turns: newTurns(),
	}
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
		case <-f.freed:
		}
	}
}

// look sets to work on runs that are due, as far as there are seats.
func (f *foreman) look(ctx context.Context, crew *sync.WaitGroup) {
	due, err := f.node.store.DueRuns(ctx, mgx.Now(), mostRuns)
	if err != nil {
		if ctx.Err() == nil {
			f.node.log.Error("runs cannot be listed; trying again", "error", err)
		}
		return
	}
	waiting := map[mgx.WorkspaceID][]mgx.DueRun{}
	for _, d := range due {
		waiting[d.Workspace] = append(waiting[d.Workspace], d)
	}
	for len(waiting) > 0 && ctx.Err() == nil {
		select {
		case f.seats <- struct{}{}:
		default:
			return
		}
		run, ok := f.pick(ctx, waiting)
		if !ok {
			<-f.seats
			return
		}
		crew.Go(func() {
			defer f.leave(run)
			f.work(ctx, run)
		})
	}
}

// pick takes the next run that can be worked on: of the workspace whose turn it is,
// the one that has waited longest. It has a seat from then on.
func (f *foreman) pick(ctx context.Context, waiting map[mgx.WorkspaceID][]mgx.DueRun) (mgx.Run, bool) {
	for len(waiting) > 0 {
		f.mu.Lock()
		ws := f.turns.next(maps.Keys(waiting))
		f.mu.Unlock()
		next := waiting[ws][0]
		if waiting[ws] = waiting[ws][1:]; len(waiting[ws]) == 0 {
			delete(waiting, ws)
		}
		if f.busy(next.Run) {
			continue
		}
		run, err := f.node.store.Run(ctx, next.Workspace, next.Run)
		if err != nil || !f.due(ctx, run) || !f.able(run) {
			continue
		}
		f.mu.Lock()
		f.atWork[run.ID] = true
		f.turns.begin(ws)
		f.mu.Unlock()
		return run, true
	}
	return mgx.Run{}, false
}

// leave frees the seat of a run.
func (f *foreman) leave(run mgx.Run) {
	f.mu.Lock()
	delete(f.atWork, run.ID)
	f.turns.end(run.Workspace)
	f.mu.Unlock()
	<-f.seats
	select {
	case f.freed <- struct{}{}:
	default:
	}
}

// busy reports whether a run is worked on here, or was left alone a moment ago.
func (f *foreman) busy(id mgx.RunID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	since, alone := f.alone[id]
	return f.atWork[id] || alone && time.Since(since) < tryAgainIn
}

// due reports whether a run can go on, nobody works on it, and that for a while.
func (f *foreman) due(ctx context.Context, run mgx.Run) bool {
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

// maxAlone bounds the runs that are remembered as left alone.
const maxAlone = 10_000

// able reports whether the run's model can be called from here.
func (f *foreman) able(run mgx.Run) bool {
	err := f.node.models.prepare(run.Workspace, run.ID, run.Settings)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		delete(f.alone, run.ID)
		return true
	}
	if _, said := f.alone[run.ID]; !said {
		f.node.log.Warn("a run is left alone: its model cannot be called from here", "run_id", run.ID, "model", run.Settings.Model, "error", err)
	}
	if len(f.alone) >= maxAlone {
		clear(f.alone)
	}
	f.alone[run.ID] = time.Now()
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
