package main

import (
	"context"
	"strings"
	"time"

	"mgx"
	"mgx/client"
	"mgx/internal/app"
	"mgx/internal/ui"
)

// follow shows a run that a server works on, as one that this process works on is
// shown, until it ends, waits for a person who is not here, or is interrupted.
func (c *cli) follow(ctx context.Context, r theirRuns, run mgx.Run, o ui.Options) error {
	start := time.Now()
	watch := c.display(run, o)
	close(watch.done) // nothing but this shows events
	err := c.followTo(ctx, r, run, watch)
	watch.end()
	after, readErr := r.Get(context.WithoutCancel(ctx), run.ID)
	switch {
	case ctx.Err() != nil && (readErr != nil || !after.Status.Ended()):
		return c.leave(ctx, r, run)
	case err != nil:
		return err
	case readErr != nil:
		return readErr
	}
	return c.conclude(ctx, r, after, time.Since(start))
}

// followTo shows events until there is nothing to wait for. What a run waits for is
// put to the person at the terminal, if there is one.
func (c *cli) followTo(ctx context.Context, r theirRuns, now mgx.Run, watch *watcher) error {
	answered := map[string]bool{}
	if over, err := c.rests(ctx, r, now, watch, answered); over || err != nil {
		return err
	}
	live := func(l client.Live) { watch.said(l.Text, l.Again) }
	lost := func(err error) {
		if !c.json {
			release := watch.hold()
			defer release()
			c.tell("%s; connecting again\n", mgx.AsError(err).Message)
		}
	}
	for e, err := range r.Follow(ctx, now.ID, watch.seen.Load(), live, lost) {
		if err != nil {
			return err
		}
		watch.show(e)
		if e.Sequence <= now.Sequence {
			continue // how the run stood when it was asked for has it
		}
		if now, err = now.Apply(e); err != nil {
			return err
		}
		if over, err := c.rests(ctx, r, now, watch, answered); over || err != nil {
			return err
		}
	}
	return ctx.Err()
}

// rests reports whether a run has ended, or waits for a decision that is not made
// here and now.
func (c *cli) rests(ctx context.Context, r theirRuns, now mgx.Run, watch *watcher, answered map[string]bool) (bool, error) {
	switch {
	case now.Status.Ended():
		return true, nil
	case now.Status != mgx.RunWaiting || len(now.Pending()) == 0 || answered[now.Approval.ID+now.Approval.Hash]:
		return false, nil
	case !c.terminal():
		due, err := r.Due(ctx, now.Execution) // there is a decision that the server is about to take up
		return !due, err
	}
	decided, err := c.prompt(ctx, r, now, watch)
	if mgx.IsCode(err, app.CodeDecided) { // by somebody else, meanwhile
		decided, err = true, nil
	}
	answered[now.Approval.ID+now.Approval.Hash] = decided
	return !decided, err
}

// leave is what an interrupt does: the run goes on at the server, unless the person
// at the terminal wants it stopped.
func (c *cli) leave(ctx context.Context, r theirRuns, run mgx.Run) error {
	ctx = context.WithoutCancel(ctx)
	if c.terminal() {
		c.tell("\nThe server goes on with %s. [d]etach, or [c]ancel the run? ", run.ID)
		line, err := c.readLine(ctx)
		if word := strings.ToLower(strings.TrimSpace(line)); err == nil && (word == "c" || word == "cancel") {
			return c.cancel(ctx, r, run, "cancelled by the user")
		}
	}
	c.tell("Detached. %s goes on at the server; come back with: mgx resume %s%s; stop it with: mgx cancel %s%s\n", run.ID, run.ID, c.there(), run.ID, c.there())
	return &saidError{mgx.Errorf(mgx.KindStopped, "detached", "detached from %s, which goes on", run.ID)}
}
