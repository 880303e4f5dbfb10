package event

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"mgx"
)

// worker works for one consumer in this process, when it has the lease.
type worker struct {
	o      ConsumeOptions
	c      Consumer
	log    *slog.Logger
	reader *Reader
	lease  time.Duration

	// Of the time with the lease.
	held     mgx.ConsumerLease
	cursor   int64 // everything up to it is dealt with
	stored   int64 // the position that is stored
	handled  bool  // something between the two was handled
	storedAt time.Time
	attempts int         // that failed at the event failing
	failing  mgx.EventID // "": none
	next     time.Time   // of the next attempt at it
	known    int64       // greatest position of a removed event that was looked at
	renewed  time.Time
	letters  time.Time // dead letters are looked for then at the earliest
}

// run works until ctx ends. What fails for reasons outside is tried again.
func (w *worker) run(ctx context.Context) {
	failed := 0
	for ctx.Err() == nil {
		ours, err := w.claim(ctx)
		if err == nil && ours {
			begun := w.stored
			err = w.work(ctx)
			w.release(ctx)
			if w.stored > begun {
				failed = 0
			}
		}
		switch {
		case ctx.Err() != nil:
			return
		case mgx.IsCode(err, mgx.CodeFenced):
			w.log.Warn("another process works for a consumer now", "error", err)
		case err != nil:
			failed++
			w.log.Error("a consumer cannot go on at present; trying again", "error", err)
		}
		sleep(ctx, min(longestWait, standBy<<min(failed, 6)))
	}
}

// claim takes the lease if it is to be had.
func (w *worker) claim(ctx context.Context) (bool, error) {
	after := int64(0)
	if w.c.FromHead {
		after = -1
	}
	c, err := w.o.Store.OpenConsumer(ctx, w.c.Name, after)
	if err != nil {
		return false, err
	}
	l, now := c.Lease, mgx.Now()
	free := l.Owner == "" || l.Owner == w.o.Owner || !l.Until.After(now) || w.o.Alive != nil && !w.o.Alive(l.Owner)
	if !free {
		return false, nil
	}
	held, ok, err := w.o.Store.ClaimConsumer(ctx, l, w.o.Owner, now.Add(w.lease))
	if err != nil || !ok {
		return false, err
	}
	w.held, w.renewed = held, now
	w.cursor, w.stored, w.handled, w.storedAt = c.Position, c.Position, false, time.Now()
	w.failing, w.attempts, w.next, w.known = c.Failing, c.Attempts, c.NextAt, c.Removed
	w.letters = time.Time{}
	return true, nil
}

// release stores how far the consumer has come and gives the lease back. It
// matters little when that fails: the lease runs out.
func (w *worker) release(ctx context.Context) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), leaving)
	defer stop()
	err := w.save(ctx, true)
	if err == nil {
		err = w.o.Store.ReleaseConsumer(ctx, w.held)
	}
	if err != nil && !mgx.IsCode(err, mgx.CodeFenced) {
		w.log.Warn("a consumer's lease was not given back", "error", err)
	}
}

// work consumes until ctx ends, the lease is lost or something fails.
func (w *worker) work(ctx context.Context) error {
	for {
		changed := w.o.Store.Changed()
		version, err := w.o.Store.Version(ctx)
		if err != nil {
			return err
		}
		due, err := w.deadLetters(ctx)
		if err != nil {
			return err
		}
		if err := w.catchUp(ctx); err != nil {
			return err
		}
		if err := w.rest(ctx, changed, version, due); err != nil {
			return err
		}
	}
}

// rest waits until there may be something to do.
func (w *worker) rest(ctx context.Context, changed <-chan struct{}, version int64, due time.Time) error {
	until := w.renewed.Add(w.lease / 3)
	if w.handled {
		until = w.storedAt.Add(saveEvery)
	}
	for _, t := range []time.Time{due, w.next} {
		if !t.IsZero() && t.Before(until) {
			until = t
		}
	}
	resting, stop := context.WithDeadline(ctx, until)
	defer stop()
	err := (&follower{src: w.o.Store}).wait(resting, changed, version)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	if err != nil {
		return err
	}
	return w.keep(ctx)
}

// keep extends the lease when a third of its time has passed, and stores the
// position when it is time for that.
func (w *worker) keep(ctx context.Context) error {
	if now := mgx.Now(); now.Sub(w.renewed) >= w.lease/3 {
		if err := w.o.Store.RenewConsumer(ctx, w.held, now.Add(w.lease)); err != nil {
			return err
		}
		w.renewed = now
	}
	return w.save(ctx, false)
}

// save stores the position if it has moved without a change: soon when something
// was handled, and less often when it was only passed over.
func (w *worker) save(ctx context.Context, now bool) error {
	wait := storedAtLeast
	if w.handled {
		wait = saveEvery
	}
	if w.cursor == w.stored || !now && time.Since(w.storedAt) < wait {
		return nil
	}
	return w.commit(ctx, mgx.Change{}, mgx.ConsumerAdvance{Position: w.cursor})
}

// commit makes a change and moves the consumer on, together.
func (w *worker) commit(ctx context.Context, c mgx.Change, a mgx.ConsumerAdvance) error {
	ctx, stop := outlive(ctx, leaving)
	defer stop()
	a.Lease = w.held
	c.Advance = &a
	if _, err := w.o.Store.Commit(ctx, c); err != nil {
		return err
	}
	w.cursor, w.stored, w.handled, w.storedAt = a.Position, a.Position, false, time.Now()
	return nil
}

// outlive returns a context that ends a while after ctx does: what was done is to
// be committed, also when the work is to stop.
func outlive(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(d, cancel) })
	return longer, func() { stop(); cancel() }
}

// catchUp handles everything there is, or returns when an event is to be tried
// again later.
func (w *worker) catchUp(ctx context.Context) error {
	head, err := w.o.Store.Head(ctx)
	if err != nil {
		return err
	}
	for w.cursor < head && !w.next.After(mgx.Now()) {
		page, err := w.o.Store.EventsAfter(ctx, "", "", "", w.c.Types, w.cursor, followPage)
		if err != nil {
			return err
		}
		if err := w.gap(ctx, page, head); err != nil {
			return err
		}
		if len(page) == 0 {
			w.cursor = max(w.cursor, head) // nothing up to here is for it
			w.forget()
		}
		for _, e := range page {
			if err := w.keep(ctx); err != nil {
				return err
			}
			if done, err := w.one(ctx, e); err != nil || !done {
				return err
			}
		}
	}
	return nil
}

// gap notices events that were removed before they were read. Retention keeps
// positions, so what is missing in a consumer's reading of all types is seen, and
// of one of some types it is seen that something may be.
func (w *worker) gap(ctx context.Context, page []mgx.Event, head int64) error {
	removed, err := w.o.Store.Removed(ctx, "", "")
	if err != nil || removed <= max(w.known, w.cursor) {
		return err
	}
	end := head
	if len(page) > 0 {
		end = page[len(page)-1].Position
	}
	if len(w.c.Types) == 0 && len(page) > 0 && end-w.cursor == int64(len(page)) {
		return nil // all of them are there
	}
	g := mgx.ConsumerGap{After: w.cursor, To: removed, At: mgx.Now()}
	w.log.Error("events were removed before a consumer had read them; it goes on with those that are left", "after", g.After, "to", g.To)
	if err := w.commit(ctx, mgx.Change{}, mgx.ConsumerAdvance{Position: w.cursor, Gap: &g}); err != nil {
		return err
	}
	w.known = removed
	return nil
}

// one handles an event of the log. It is not done when it is to be tried again.
func (w *worker) one(ctx context.Context, e mgx.Event) (done bool, err error) {
	if w.failing != e.ID {
		w.forget()
	}
	if e.Erased() {
		w.cursor, w.handled = e.Position, true
		return true, nil
	}
	err = w.try(ctx, e, mgx.ConsumerAdvance{Position: e.Position})
	if err == nil {
		w.forget()
		return true, nil
	}
	if outside(ctx, err) {
		// Whoever looks at the consumer sees why it waits, if that can be stored.
		w.o.Store.FailConsumer(ctx, w.held, mgx.ConsumerFailure{Event: e.ID, Attempts: w.attempts, Error: err.Error(), NextAt: mgx.Now()})
		return false, err
	}
	w.failing, w.attempts = e.ID, w.attempts+1
	if w.over(err, w.attempts) {
		return true, w.bury(ctx, e, err)
	}
	w.next = soon(again.Wait(w.attempts))
	w.log.Warn("a consumer failed at an event; trying again", "event", e.ID, "attempt", w.attempts, "error", err)
	return false, w.o.Store.FailConsumer(ctx, w.held, mgx.ConsumerFailure{Event: e.ID, Attempts: w.attempts, Error: err.Error(), NextAt: w.next})
}

// try handles an event and commits what comes of it.
func (w *worker) try(ctx context.Context, e mgx.Event, a mgx.ConsumerAdvance) error {
	change, err := w.handle(ctx, e)
	if err != nil {
		return err
	}
	if emptyChange(change) && a.Settled == "" && w.failing == "" {
		w.cursor, w.handled = a.Position, true
		return nil
	}
	return w.commit(ctx, change, a)
}

// bury makes a dead letter of an event.
func (w *worker) bury(ctx context.Context, e mgx.Event, why error) error {
	d := letter(e)
	d.Attempts, d.LastError = w.attempts, why.Error()
	if err := w.commit(ctx, mgx.Change{}, mgx.ConsumerAdvance{Position: e.Position, Dead: &d}); err != nil {
		return err
	}
	w.letters = time.Time{}
	w.log.Error("a consumer has given up an event; it is a dead letter", "event", e.ID, "attempts", w.attempts, "error", why)
	w.forget()
	return nil
}

// soon is a time as it is stored.
func soon(d time.Duration) time.Time { return mgx.Now().Add(d).Truncate(time.Microsecond) }

// forget is done with the event that failed.
func (w *worker) forget() { w.failing, w.attempts, w.next = "", 0, time.Time{} }

func letter(e mgx.Event) mgx.DeadLetter {
	return mgx.DeadLetter{Event: e.ID, Workspace: e.Workspace, Type: e.Type, Stream: e.Stream, Position: e.Position}
}

// over reports whether there is no further attempt after this many.
func (w *worker) over(err error, attempts int) bool {
	_, final := errors.AsType[*final](err)
	return final || attempts >= w.c.Attempts
}

// deadLetters tries those again that are due, and returns when to look for more.
// A busy log wakes a consumer a thousand times a second, and that somebody wants a
// dead letter tried again is seen soon enough when it looks twice.
func (w *worker) deadLetters(ctx context.Context) (time.Time, error) {
	if mgx.Now().Before(w.letters) {
		return w.letters, nil
	}
	for {
		due, err := w.o.Store.DueDeadLetters(ctx, w.c.Name, mgx.Now(), followPage)
		if err != nil {
			return time.Time{}, err
		}
		if len(due) == 0 {
			break
		}
		for _, d := range due {
			if err := w.keep(ctx); err != nil {
				return time.Time{}, err
			}
			if err := w.retry(ctx, d); err != nil {
				return time.Time{}, err
			}
		}
	}
	at, _, err := w.o.Store.NextDeadLetter(ctx, w.c.Name)
	w.letters = mgx.Now().Add(lettersEvery)
	if !at.IsZero() && at.Before(w.letters) {
		w.letters = at
	}
	return at, err
}

// retry tries a dead letter again.
func (w *worker) retry(ctx context.Context, d mgx.DeadLetter) error {
	e, err := w.find(ctx, d)
	if err == nil {
		err = w.settle(ctx, e)
	}
	if err == nil || outside(ctx, err) {
		return err
	}
	d.Attempts, d.LastError, d.NextAt = d.Attempts+1, err.Error(), time.Time{}
	if !w.over(err, d.Attempts) {
		d.NextAt = soon(again.Wait(d.Attempts))
	}
	return w.commit(ctx, mgx.Change{}, mgx.ConsumerAdvance{Position: w.cursor, Dead: &d})
}

// find reads the event of a dead letter.
func (w *worker) find(ctx context.Context, d mgx.DeadLetter) (mgx.Event, error) {
	page, err := w.o.Store.EventsAfter(ctx, d.Workspace, d.Stream, "", nil, d.Position-1, 1)
	if err != nil {
		return mgx.Event{}, err
	}
	if len(page) == 0 || page[0].ID != d.Event || page[0].Erased() {
		return mgx.Event{}, GiveUp(mgx.Errorf(mgx.KindGoal, mgx.CodeErased, "the event is no longer in the log; discard the dead letter"))
	}
	return page[0], nil
}

// settle handles the event of a dead letter. The consumer's position stays.
func (w *worker) settle(ctx context.Context, e mgx.Event) error {
	return w.try(ctx, e, mgx.ConsumerAdvance{Position: w.cursor, Settled: e.ID})
}

// outside reports whether an error says nothing about the event at hand.
func outside(ctx context.Context, err error) bool {
	if ctx.Err() != nil || mgx.IsCode(err, mgx.CodeFenced) {
		return true
	}
	if _, final := errors.AsType[*final](err); final {
		return false
	}
	e, ours := errors.AsType[*mgx.Error](err)
	return ours && e.Kind == mgx.KindConfig
}

func emptyChange(c mgx.Change) bool {
	return c.Lease == nil && len(c.Expect)+len(c.Create)+len(c.Events)+len(c.Settle)+len(c.Steps)+len(c.Signals)+len(c.Consume) == 0 &&
		c.Reserve == nil && c.Update == nil && c.Cancel == nil
}
