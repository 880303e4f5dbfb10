package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"mgx"
)

// group is some jobs that are tried together in one transaction, and what must
// be known of it from one try to the next.
type group struct {
	d       *server
	jobs    []*job
	receipt string
	started time.Time
	tries   int
	doubt   bool    // the last try may be committed: the connection was lost over the answer
	refused []error // of the last try that reached its commit, by job
}

// work takes what is queued, together what can be, until the queue is closed.
func (d *server) work() {
	for first := range d.queue {
		var changes []*job
		for _, j := range take(gather(d.queue, first, groupLen)) {
			if j.change == nil { // it locks as it goes
				d.settle([]*job{j})
			} else {
				changes = append(changes, j)
			}
		}
		if len(changes) > 0 {
			d.settle(changes)
		}
	}
}

// settle carries out jobs and answers each.
func (d *server) settle(jobs []*job) {
	g := &group{d: d, jobs: jobs, receipt: mgx.NewID[string]("rcpt"), started: time.Now()}
	for len(g.jobs) > 0 {
		err := g.try()
		if err == nil {
			g.answer()
			return
		}
		if failed, ok := errors.AsType[*spoilt](err); ok {
			g.reply(failed.job, failed.err)
			continue
		}
		if len(g.jobs) > 1 && !g.doubt && !unavailable(err) { // perhaps because of one of them
			for _, j := range g.jobs {
				d.settle([]*job{j})
			}
			return
		}
		g.pause(err)
	}
}

// spoilt is a job that failed after it had written: the others go without it.
type spoilt struct {
	job *job
	err error
}

func (e *spoilt) Error() string { return e.err.Error() }

// reply answers one job and takes it out.
func (g *group) reply(j *job, err error) {
	g.jobs = slices.DeleteFunc(slices.Clone(g.jobs), func(other *job) bool { return other == j })
	g.d.forget(j.numbers)
	j.reply <- err
}

// answer tells everybody how it ended, when it is committed.
func (g *group) answer() {
	told := true // what has events is told of when they are in the log
	for _, j := range g.jobs {
		told = told && j.numbers != nil
	}
	if !told {
		g.d.notify()
	}
	for i, j := range g.jobs {
		j.reply <- g.refused[i]
	}
}

// pause waits before the next try, or answers those for whom there is none.
func (g *group) pause(err error) {
	g.tries++
	waited := time.Since(g.started)
	most, again := time.Second, false
	switch {
	case g.doubt:
		if again = waited < doubt || g.tries < fewTries; !again {
			err = inDoubt(g.d.name, err)
		}
	case unavailable(err):
		again = waited < patience || g.tries < fewTries
	case collided(err):
		most, again = 200*time.Millisecond, g.tries < retries
	}
	if again {
		wait := min(most, 4*time.Millisecond<<min(g.tries, 8))
		time.Sleep(wait/2 + rand.N(wait))
	}
	for _, j := range g.jobs {
		switch {
		case !again:
			g.reply(j, err)
		case !g.doubt && j.ctx.Err() != nil:
			g.reply(j, j.ctx.Err())
		}
	}
}

// try applies the jobs once, in one transaction.
func (g *group) try() error {
	ctx, cancel := context.WithTimeout(context.Background(), changeTime)
	defer cancel()
	conn, err := g.d.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	p := &pipe{conn: conn, become: g.d.become}
	t := &tx{conn: p, d: &postgresDialect, ctx: ctx, log: newLog(), money: newMoney(), now: g.d.clock(), keep: g.d.keep, sums: g.d.sums, later: p.later}
	t.log.known = map[mgx.EventID]*mgx.Event{}
	if err = g.apply(t, p); err != nil && p.begun {
		conn.ExecContext(ctx, `ROLLBACK`) // a connection that cannot is thrown away
	}
	return err
}

func (g *group) apply(t *tx, p *pipe) error {
	again := g.doubt
	if again {
		// Waits for the earlier try, should the server still be at it.
		first, err := t.exec(`INSERT INTO receipts (id, at) VALUES ($1, `+serverTime+`) ON CONFLICT (id) DO NOTHING`, g.receipt)
		if err != nil {
			return err
		}
		g.doubt = false
		if first == 0 {
			return t.control(`ROLLBACK`)
		}
		t.wrote = false
	}
	if err := g.run(t, p); err != nil {
		return err
	}
	if err := t.saveMoney(); err != nil {
		return err
	}
	if err := t.saveRuns(); err != nil {
		return err
	}
	t.saveEvents()
	t.saveStreams()
	if t.wrote && !again {
		p.later(`INSERT INTO receipts (id, at) VALUES ($1, `+serverTime+`)`, g.receipt)
	}
	err := p.commit(t.ctx)
	g.doubt = err != nil && !refusedCommit(err)
	return err
}

// run applies every job, under the locks of all.
func (g *group) run(t *tx, p *pipe) error {
	if err := lockRows(t, p, g.jobs); err != nil {
		return err
	}
	g.refused = make([]error, len(g.jobs))
	for i, j := range g.jobs {
		var err error
		if g.refused[i], err = g.one(t, j); err != nil {
			return err
		}
	}
	return nil
}

// one applies a job. The first result is the job's own failure, which leaves
// nothing of it; the second one ends the transaction.
func (g *group) one(t *tx, j *job) (failed, broken error) {
	g.d.forget(j.numbers)
	j.numbers = nil
	wrote := t.wrote
	t.events, t.done = nil, false
	t.mark()
	err := t.conn.(*pipe).as(tenantOf(j.ctx), func() error { return j.do(t) })
	if err == nil {
		if len(t.events) > 0 {
			j.numbers = g.d.expect(t.events)
		}
		return nil, nil
	}
	if _, own := errors.AsType[*mgx.Error](err); !own {
		return nil, err
	}
	if t.done || len(g.jobs) == 1 {
		return nil, &spoilt{j, err}
	}
	t.undo()
	t.wrote = wrote
	return err, nil
}
