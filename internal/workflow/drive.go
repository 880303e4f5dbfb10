package workflow

import (
	"context"
	"errors"
	"sync"
	"time"

	"mgx"
)

const (
	driveConcurrency = 64                     // executions of one run worked on at once by Drive
	versionPoll      = time.Second            // how soon changes by other processes are seen
	settling         = 2 * time.Millisecond   // changes this close together are looked at once
	troubleDelay     = 500 * time.Millisecond // before Serve tries a store that failed again
)

var never time.Time

// Drive works on every due execution of a run, each in its own goroutine, until
// the root has ended, or until the whole run waits for signals that have not
// come; it sleeps through timers. It returns the root's row. Without a run it
// works on any due execution. While another live process works on the run it
// returns an error with the code "run_busy". When ctx ends it stops the steps
// that run, gives the leases back and returns the context's error.
func (e *Engine) Drive(ctx context.Context, run mgx.RunID, root mgx.ExecutionID) (mgx.Execution, error) {
	x, err := e.store.Execution(ctx, root)
	if err == nil {
		err = e.busy(ctx, x)
	}
	if err != nil {
		return x, err
	}
	crew := e.hire(ctx, run, driveConcurrency)
	defer crew.dismiss()
	for {
		from := e.look(ctx)
		s, err := crew.step(root)
		switch {
		case ctx.Err() != nil:
			return s.root, ctx.Err()
		case err != nil:
			return s.root, err
		case s.finished(run):
			return s.root, nil
		case s.idle && !s.timed:
			return s.root, e.busy(ctx, s.root)
		}
		e.watch(ctx, from, s.next(), crew.news)
	}
}

// standing is what a Drive sees after it has claimed what was due.
type standing struct {
	root  mgx.Execution
	idle  bool      // nobody works here
	full  bool      // nobody can be set to work
	wake  time.Time // when something is due by itself
	timed bool      // there is such a time
}

// step claims what is due and looks around. Whether anybody works is asked
// first: what they did last is then seen by the reads after it.
func (c *crew) step(root mgx.ExecutionID) (s standing, err error) {
	if err = errors.Join(c.claimDue(), c.trouble()); err != nil {
		return s, err
	}
	s.idle, s.full = c.idle(), len(c.seats) == cap(c.seats)
	if s.root, err = c.engine.store.Execution(c.ctx, root); err != nil {
		return s, err
	}
	if err = c.engine.held(s.root); err != nil {
		return s, err
	}
	s.wake, s.timed, err = c.engine.store.NextWake(c.ctx, c.run)
	return s, err
}

// finished reports whether the root has ended and, within a run, nobody works
// for it any more and nothing of it is left to be cancelled.
func (s standing) finished(run mgx.RunID) bool {
	left := s.timed && !s.wake.After(time.Now())
	return s.root.Status.Ended() && (run == "" || s.idle && !left)
}

// next is when to look again without news: a wake-up that is due already was
// missed by a hair.
func (s standing) next() time.Time {
	if s.full || !s.timed {
		return never
	}
	if soon := time.Now().Add(settling); s.wake.Before(soon) {
		return soon
	}
	return s.wake
}

// Serve works on any due execution, at most concurrency at once, until ctx ends;
// then it stops the steps that run, gives the leases back and returns nil. A
// store that fails is tried again.
func (e *Engine) Serve(ctx context.Context, concurrency int) error {
	crew := e.hire(ctx, "", max(1, concurrency))
	defer crew.dismiss()
	for ctx.Err() == nil {
		from := e.look(ctx)
		s := standing{}
		err := errors.Join(crew.claimDue(), crew.trouble())
		if err == nil {
			s.full = len(crew.seats) == cap(crew.seats)
			s.wake, s.timed, err = e.store.NextWake(ctx, "")
		}
		if err != nil && ctx.Err() == nil {
			e.options.Log.Error("the store failed; trying again", "error", err)
			pause(ctx, troubleDelay)
			continue
		}
		e.watch(ctx, from, s.next(), crew.news)
	}
	return nil
}

// crew are the goroutines of one Drive or Serve.
type crew struct {
	engine *Engine
	ctx    context.Context
	cancel context.CancelFunc
	run    mgx.RunID
	seats  chan struct{}
	news   chan struct{} // holds a token when somebody has finished
	done   sync.WaitGroup

	mu   sync.Mutex
	busy int
	errs []error
}

func (e *Engine) hire(ctx context.Context, run mgx.RunID, seats int) *crew {
	ctx, cancel := context.WithCancel(ctx)
	return &crew{engine: e, ctx: ctx, cancel: cancel, run: run, seats: make(chan struct{}, seats), news: make(chan struct{}, 1)}
}

// dismiss stops everybody and waits until they have gone.
func (c *crew) dismiss() {
	c.cancel()
	c.done.Wait()
}

// claimDue claims executions and sets to work on them until nothing is due or
// all seats are taken.
func (c *crew) claimDue() error {
	for c.ctx.Err() == nil {
		select {
		case c.seats <- struct{}{}:
		default:
			return nil
		}
		x, found, err := c.engine.claimOne(c.ctx, c.run)
		if err != nil || !found {
			<-c.seats
			return err
		}
		c.start(x)
	}
	return c.ctx.Err()
}

func (e *Engine) claimOne(ctx context.Context, run mgx.RunID) (mgx.Execution, bool, error) {
	return e.store.Claim(ctx, mgx.ClaimRequest{
		Owner: e.options.Owner, TTL: e.options.TTL, Now: mgx.Now(), Run: run, Alive: e.alive(),
	})
}

// alive is Options.Alive, and knows that this engine is.
func (e *Engine) alive() func(string) bool {
	if e.options.Alive == nil {
		return nil
	}
	return func(owner string) bool { return owner == e.options.Owner || e.options.Alive(owner) }
}

func (c *crew) start(x mgx.Execution) {
	c.count(1, nil)
	c.done.Go(func() {
		var err error
		defer func() {
			<-c.seats
			c.count(-1, err)
			select {
			case c.news <- struct{}{}:
			default:
			}
		}()
		err = c.engine.work(c.ctx, x)
	})
}

func (c *crew) count(n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy += n
	if err != nil {
		c.errs = append(c.errs, err)
	}
}

func (c *crew) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.busy == 0
}

// trouble returns what went wrong since it was last asked.
func (c *crew) trouble() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := errors.Join(c.errs...)
	c.errs = nil
	return err
}

// held returns the error that says that another live process works on x.
func (e *Engine) held(x mgx.Execution) error {
	if x.Status.Ended() || x.Owner == "" || x.Owner == e.options.Owner || !x.LeaseUntil.After(time.Now()) {
		return nil
	}
	if e.options.Alive != nil && !e.options.Alive(x.Owner) {
		return nil
	}
	return mgx.Errorf(mgx.KindConfig, "run_busy", "another process (%s) is working on this run; wait for it, or stop it and try again", x.Owner)
}

// busy is held for x and the children it waits for.
func (e *Engine) busy(ctx context.Context, x mgx.Execution) error {
	if err := e.held(x); err != nil || x.Status.Ended() {
		return err
	}
	records, err := e.store.Journal(ctx, x.Execution)
	if err != nil {
		return err
	}
	for _, id := range newJournal(records).openChildren() {
		child, err := e.store.Execution(ctx, id)
		if err == nil {
			err = e.busy(ctx, child)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// look is a point in the store's history, taken before looking at its data.
type look struct {
	changed <-chan struct{}
	version int64
}

func (e *Engine) look(ctx context.Context) look {
	l := look{changed: e.store.Changed()}
	l.version, _ = e.store.Version(ctx) // an error makes the next poll look again
	return l
}

// watch returns when the store has changed since from, when until has come, when
// news arrive, or when ctx ends.
func (e *Engine) watch(ctx context.Context, from look, until time.Time, news <-chan struct{}) {
	var due <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		due = t.C
	}
	poll := time.NewTicker(versionPoll)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-news:
			return
		case <-due:
			return
		case <-from.changed:
			pause(ctx, settling)
			return
		case <-poll.C:
			if v, err := e.store.Version(ctx); err != nil || v != from.version {
				return
			}
		}
	}
}
