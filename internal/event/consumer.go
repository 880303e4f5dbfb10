package event

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"mgx"
	"mgx/internal/lazy"
)

// Consumer is a part of MGX that reads the log: budgets, metrics, whatever must
// see each event. [Consume] works for it.
type Consumer struct {
	// Name is what its position is kept under: lower case letters, digits, dots
	// and dashes, at most 64. A consumer that is renamed is a new one.
	Name  string
	Types []string // globs of event types; none: every type
	// FromHead makes a consumer that is new begin after what is in the log then;
	// otherwise it begins with the first event that is left.
	FromHead bool
	// Versions pins versions of types, as [Registry.Reader] reads them; empty: the
	// latest of each.
	Versions string
	// Handle deals with one event. The change that it returns is committed together
	// with the consumer's position; an empty one says that there is nothing to
	// commit. It must not set Advance. One call at a time is made, in the order of
	// the log; its context ends after Timeout and when the work is to stop.
	//
	// An error means that the event was not dealt with, and is tried again after a
	// while, Attempts times in all; see [GiveUp]. One of kind config says that the
	// machine is at fault and not the event (the disk is full, the database away):
	// then the consumer waits for better times and counts nothing. A panic is an
	// error.
	Handle func(ctx context.Context, e mgx.Event) (mgx.Change, error)

	Attempts int           // 6: given up after about half a minute
	Timeout  time.Duration // of one call of Handle; 15 s
}

// ConsumerStore is what consumers keep their work in; *store.Store documents and
// is one. Everything that takes a lease, and Commit with an Advance, fails with
// mgx.CodeFenced when the lease is lost, and then has changed nothing.
type ConsumerStore interface {
	Source
	Removed(ctx context.Context, ws mgx.WorkspaceID, stream mgx.StreamID) (int64, error)
	Commit(ctx context.Context, c mgx.Change) (mgx.Committed, error)

	OpenConsumer(ctx context.Context, name string, after int64) (mgx.Consumer, error)
	ClaimConsumer(ctx context.Context, seen mgx.ConsumerLease, owner string, until time.Time) (mgx.ConsumerLease, bool, error)
	RenewConsumer(ctx context.Context, l mgx.ConsumerLease, until time.Time) error
	ReleaseConsumer(ctx context.Context, l mgx.ConsumerLease) error
	FailConsumer(ctx context.Context, l mgx.ConsumerLease, f mgx.ConsumerFailure) error

	DueDeadLetters(ctx context.Context, consumer string, now time.Time, limit int) ([]mgx.DeadLetter, error)
	NextDeadLetter(ctx context.Context, consumer string) (at time.Time, ok bool, err error)
}

// ConsumeOptions say what consumers work with.
type ConsumeOptions struct {
	Store     ConsumerStore // required
	Contracts *Registry     // reads events in the version a consumer asks for; nil: as they are stored
	Log       *slog.Logger
	// Owner names this process in leases; empty: a fresh name. Alive reports
	// whether the process of that name may still be running, which spares waiting
	// for the leases of the dead to run out; nil: only time tells.
	Owner string
	Alive func(owner string) bool
}

// Consume works for consumers until ctx ends, each in a goroutine of its own. Of
// several processes that consume under one name one works, and another takes over
// when it ends, dies or falls silent. It panics on a consumer without a usable
// name or without Handle, and on two of one name.
//
// # Promises
//
//   - Every event of the consumer's types is handled at least once, in the order
//     of the log, or becomes a dead letter. A change that Handle returns is
//     committed exactly once. Who does something else must expect the same event
//     again after a crash; its ID tells.
//   - A dead letter holds up nothing. It is kept until somebody has it tried again,
//     then out of order, or discards it.
//   - Events whose data was erased are passed over.
//   - Events that retention removed before they were read are noticed: it is in
//     the log and in [mgx.Consumer.Gap].
//   - Bounded: one page of events is in memory, and a consumer that has
//     10,000 dead letters stops until there are fewer.
func Consume(ctx context.Context, o ConsumeOptions, consumers ...Consumer) {
	if o.Store == nil {
		panic("event: consumers need a store")
	}
	if o.Owner == "" {
		o.Owner = mgx.NewID[string]("own")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	workers := map[string]*worker{}
	for _, c := range consumers {
		if workers[c.Name] != nil {
			panic("event: two consumers are named " + c.Name)
		}
		workers[c.Name] = newWorker(o, c)
	}
	var all sync.WaitGroup
	for _, w := range workers {
		all.Go(func() { w.run(ctx) })
	}
	all.Wait()
}

// GiveUp makes an error of Handle final: the event becomes a dead letter at once.
func GiveUp(err error) error { return &final{err} }

type final struct{ err error }

func (f *final) Error() string { return f.err.Error() }
func (f *final) Unwrap() error { return f.err }

var consumerName = lazy.Regexp(`^[a-z][a-z0-9.-]{0,63}$`)

const (
	usualAttempts = 6
	usualTimeout  = 15 * time.Second
	leastLease    = 45 * time.Second
	standBy       = time.Second      // how often a process that does not work for a consumer looks whether it may
	lettersEvery  = time.Second / 2  // how often dead letters are looked for while the log grows
	saveEvery     = 2 * time.Second  // how often a position is stored with which nothing is committed
	longestWait   = time.Minute      // for better times
	leaving       = 5 * time.Second  // to give a lease back
	storedAtLeast = 15 * time.Second // the same for one that passed over events of other types only
)

// again is how long on average a consumer waits after the first failure, the
// second and so on.
var again = Backoff{200 * time.Millisecond, time.Second, 3 * time.Second, 8 * time.Second, 15 * time.Second}

func newWorker(o ConsumeOptions, c Consumer) *worker {
	if !consumerName().MatchString(c.Name) || c.Handle == nil {
		panic(fmt.Sprintf("event: consumer %q needs a name of a-z, 0-9, dots and dashes, and Handle", c.Name))
	}
	def(&c.Attempts, usualAttempts)
	def(&c.Timeout, usualTimeout)
	w := &worker{o: o, c: c, log: o.Log.With("consumer", c.Name), lease: max(leastLease, 3*c.Timeout)}
	if o.Contracts != nil {
		reader, err := o.Contracts.Reader("consumer:"+c.Name, c.Versions)
		if err != nil {
			panic(fmt.Sprintf("event: consumer %q: %s", c.Name, err))
		}
		w.reader = reader
	}
	return w
}

// handle calls Handle within its time, and makes an error of a panic.
func (w *worker) handle(ctx context.Context, e mgx.Event) (change mgx.Change, err error) {
	ctx, stop := context.WithTimeout(ctx, w.c.Timeout)
	defer stop()
	defer func() {
		if p := recover(); p != nil {
			w.log.Error("a consumer panicked", "event", e.ID, "panic", p, "stack", string(debug.Stack()))
			err = mgx.Errorf(mgx.KindInternal, "panicked", "the consumer panicked: %v", p)
		}
	}()
	if w.reader != nil {
		if e, err = w.reader.Read(e); err != nil {
			return change, err
		}
	}
	return w.c.Handle(ctx, e)
}
