package store

import (
	"context"
	"runtime"
	"sync/atomic"

	"mgx"
)

// job is one unit of writing. Whoever swaps its state first decides: a writer
// takes it, or the caller whose context ended withdraws it.
type job struct {
	ctx    context.Context
	run    func(*tx) error
	change *mgx.Change // what run applies; nil: something else
	terms  *mgx.Terms
	state  atomic.Int32
	reply  chan error

	numbers *waiter // for the positions of its events, where they come later
}

// do runs the job on behalf of whom its context says, and on whose terms.
func (j *job) do(t *tx) error {
	if j.terms == nil { // or they were held to when it ran before, which did not count
		j.terms = mgx.TermsOf(j.ctx)
	}
	t.tenant, t.terms, t.heeded = tenantOf(j.ctx), j.terms, false
	defer func() { t.tenant, t.terms = tenant{}, nil }()
	err := j.run(t)
	if err == nil && t.terms != nil && t.heeded {
		t.terms.Held()
	}
	return err
}

// tenant is on behalf of whom something is written: a workspace, or, when within is
// false, the installation.
type tenant struct {
	workspace mgx.WorkspaceID
	within    bool
}

func tenantOf(ctx context.Context) tenant {
	ws, within := mgx.WorkspaceOf(ctx)
	return tenant{ws, within}
}

const (
	jobQueued = iota
	jobTaken
	jobWithdrawn
)

// outcome waits for the answer to a job that was queued.
func (j *job) outcome(ctx context.Context) error {
	select {
	case err := <-j.reply:
		return err
	case <-ctx.Done():
		if j.state.CompareAndSwap(jobQueued, jobWithdrawn) {
			return ctx.Err()
		}
		return <-j.reply
	}
}

// gather takes what else is queued. Callers that were just answered are about
// to queue their next change, so it lets them run before it looks again; a lone
// writer pays a few hundred nanoseconds for that, many share an fsync.
func gather(queue chan *job, first *job, most int) []*job {
	batch := []*job{first}
	for idle := 0; len(batch) < most && idle < 3; {
		select {
		case j, open := <-queue:
			if !open {
				return batch
			}
			batch, idle = append(batch, j), 0
		default:
			runtime.Gosched()
			idle++
		}
	}
	return batch
}

// take leaves out the jobs that were withdrawn.
func take(batch []*job) []*job {
	taken := batch[:0]
	for _, j := range batch {
		if j.state.CompareAndSwap(jobQueued, jobTaken) {
			taken = append(taken, j)
		}
	}
	return taken
}
