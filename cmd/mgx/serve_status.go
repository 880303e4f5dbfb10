package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"mgx"
	"mgx/internal/api"
	"mgx/internal/store"
)

// stuckAfter is for how long nobody may have looked for work before the server
// counts as not ready. Looking takes a moment, and a database that hangs has a
// check of its own.
const stuckAfter = time.Minute

// pulse is when something was last seen to go on.
type pulse struct{ at atomic.Int64 }

func (p *pulse) beat() { p.at.Store(time.Now().UnixMicro()) }

// last is the last beat; zero: none yet.
func (p *pulse) last() time.Time {
	if at := p.at.Load(); at != 0 {
		return time.UnixMicro(at).UTC()
	}
	return time.Time{}
}

// steady fails when the last beat is too long ago.
func (p *pulse) steady(context.Context) error {
	if last := p.last(); !last.IsZero() && time.Since(last) > stuckAfter {
		return mgx.Errorf(mgx.KindInternal, "workers_stuck", "nobody has looked for runs to work on since %s", last.Format(time.RFC3339))
	}
	return nil
}

// crewChecks are what /health/ready says of who works on runs here.
func crewChecks(f *foreman) []api.Check {
	if f == nil {
		return nil
	}
	return []api.Check{{Name: "workers", Run: f.pulse.steady}}
}

// status is what /health/status has beyond what the API knows itself.
func (n *node) status(started time.Time) func(context.Context) (api.Status, error) {
	return func(ctx context.Context) (api.Status, error) {
		st := api.Status{Started: started.UTC(), Uptime: int64(time.Since(started).Seconds()), Disk: api.DiskStatus{Min: leastDisk}, Models: n.modelStatus(), Wakes: wakesStatus(n.store)}
		if f := n.crew; f != nil {
			last := f.pulse.last()
			st.Workers = api.WorkersStatus{Busy: len(f.seats), Seats: cap(f.seats), Looked: known(last)}
		}
		var free, head, db error
		st.Disk.Free, free = freeSpace(n.data)
		st.Events.Head, head = n.store.Head(ctx)
		standing, db := n.store.Standing(ctx)
		st.Data = api.DatabaseStatus{Kind: standing.Kind, Server: standing.Server, Schema: standing.Schema, Known: standing.Known}
		st.Queue = api.QueueStatus{Due: standing.Due, Ready: standing.Ready, Waiting: standing.Waiting}
		if !standing.Oldest.IsZero() {
			st.Queue.Oldest = int64(time.Since(standing.Oldest).Seconds())
		}
		st.LastCheckpoint = known(standing.Checkpoint)
		backup, last := n.store.LastAct(ctx, mgx.DefaultWorkspace, actBackup)
		st.LastBackup = known(backup)
		return st, errors.Join(free, head, db, last)
	}
}

// known is a time, or nil when it is none.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func wakesStatus(s *store.Store) *api.WakesStatus {
	u, apart := s.WakeUps()
	if !apart {
		return nil
	}
	st := &api.WakesStatus{By: "nats"}
	if u.Trouble != nil {
		st.By, st.Trouble = "database", mgx.AsError(u.Trouble).Code
	}
	return st
}

func (n *node) modelStatus() []api.ModelStatus {
	all := []api.ModelStatus{}
	for _, h := range n.models.state.Health() {
		all = append(all, api.ModelStatus{Provider: h.Provider, Model: h.Model, Breaker: string(h.Breaker)})
	}
	return all
}
