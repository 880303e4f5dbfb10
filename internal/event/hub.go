package event

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"mgx"
)

// Codes of the errors that end a subscription.
const (
	CodeTooSlow    = "too_slow"   // no progress for SlowAfter
	CodeRestarting = "restarting" // the hub has stopped; come again and resume
)

// Keys returns what resume tokens are signed with in all processes on one log:
// the key that signs, then others that count.
type Keys func(context.Context) ([][]byte, error)

// HubOptions configure a hub. Zero sizes and times take the stated defaults.
type HubOptions struct {
	Source    Source    // required; with no workspace it must read all of them
	Epoch     string    // required: names this log; another after its database is replaced
	Key       []byte    // required: signs resume tokens; at least 16 bytes
	Keys      Keys      // asked for a key that is not known; nil: there is only Key
	Authorize Authorize // required
	Contracts *Registry // reads events in the version a subscriber asks for; nil: as they are stored
	Server    string    // address under which the schemas are served, for CloudEvents; empty: their names
	Log       *slog.Logger

	QueueEvents  int           // most events waiting for one subscriber; 1024
	QueueBytes   int           // and their bytes; 4 MB
	LiveFrames   int           // most live frames waiting for one subscriber; 256
	RecentEvents int           // newest events kept for all who are a little behind; 4096
	RecentBytes  int           // and their bytes; 16 MB
	Subscribers  int           // most subscriptions at once; 10,000
	SlowAfter    time.Duration // without progress a subscriber is let go; 30 s
	Checkpoint   time.Duration // how often a reader that gets nothing hears how far it is, one that filters at any rate; 10 s
}

func (o HubOptions) withDefaults() HubOptions {
	def(&o.QueueEvents, 1024)
	def(&o.QueueBytes, 4<<20)
	def(&o.LiveFrames, 256)
	def(&o.RecentEvents, 4096)
	def(&o.RecentBytes, 16<<20)
	def(&o.Subscribers, 10_000)
	def(&o.SlowAfter, 30*time.Second)
	def(&o.Checkpoint, 10*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func def[T int | time.Duration](v *T, fallback T) {
	if *v <= 0 {
		*v = fallback
	}
}

// Hub delivers the log of one process to its subscribers. One goroutine, Run,
// reads each event once, whoever committed it; it is encoded once and its bytes
// are shared. A subscriber has a bounded queue. When that is full it is dropped
// and the subscriber goes back to reading the log, so a slow one delays nobody,
// costs no more than its bounds, and loses nothing.
//
// # Promise
//
// A subscription yields every event that matches and is after the position it
// begins at exactly once, in position order. One that resumes with the token of
// the last event it got, on any process that has the same keys, goes on with the
// next.
//
// Live frames ([Hub.Live]) are another matter: never stored, at most once, and
// only to those who asked for them.
type Hub struct {
	o       HubOptions
	source  patient
	epoch   [8]byte
	recent  recent
	keys    atomic.Pointer[[][]byte]
	readers chan struct{} // held while reading the store for catching up
	started chan struct{} // closed once the head is known
	stopped chan struct{} // closed when Run has ended
	last    atomic.Int64  // position read last

	mu     sync.Mutex // held while events are offered, so that a new subscriber misses none
	subs   map[*Subscription]struct{}
	closed bool

	trouble atomic.Pointer[error] // what reading the log failed with, until it works again
	counts  counters
}

// catchUpReaders bounds how many subscribers read the store at once, which
// leaves connections to everybody else.
const catchUpReaders = 2

// NewHub returns a hub that delivers nothing until Run is called. It panics when
// a required option is missing.
func NewHub(o HubOptions) *Hub {
	if o.Source == nil || o.Epoch == "" || len(o.Key) < 16 || o.Authorize == nil {
		panic("event: a hub needs a source, an epoch, a key and an authoriser")
	}
	o = o.withDefaults()
	h := &Hub{
		o: o, source: patient{o.Source}, epoch: epochID(o.Epoch), subs: map[*Subscription]struct{}{},
		recent:  recent{maxEvents: o.RecentEvents, maxBytes: o.RecentBytes},
		readers: make(chan struct{}, catchUpReaders), started: make(chan struct{}), stopped: make(chan struct{}),
	}
	h.SetKeys(o.Key)
	return h
}

// Epoch names the log whose positions these are.
func (h *Hub) Epoch() string { return h.o.Epoch }

// Head is the position of the last event that was read.
func (h *Hub) Head() int64 { return h.last.Load() }

// Reached waits until the hub has read up to a position.
func (h *Hub) Reached(ctx context.Context, position int64) error {
	for h.last.Load() < position {
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), h.Trouble())
		}
		sleep(ctx, holeWait)
	}
	return nil
}

// Trouble is what reading the log fails with at present; nil: it works.
func (h *Hub) Trouble() error {
	if err := h.trouble.Load(); err != nil {
		return *err
	}
	return nil
}

// Run reads the log until ctx ends, then ends every subscription with
// CodeRestarting. When the log cannot be read it tries again. It is called once.
func (h *Hub) Run(ctx context.Context) {
	defer h.stop()
	wait := firstRetry
	for ctx.Err() == nil {
		before := h.last.Load()
		err := h.tail(ctx)
		if ctx.Err() != nil {
			return
		}
		if h.last.Load() > before {
			wait = firstRetry
		}
		h.trouble.Store(&err)
		h.o.Log.Error("the event log cannot be read; trying again", "error", err, "wait", wait)
		sleep(ctx, wait)
		wait = min(2*wait, lastRetry)
	}
}

const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// tail follows the log, whose positions are dense, until something fails.
func (h *Hub) tail(ctx context.Context) error {
	if err := h.start(ctx); err != nil {
		return err
	}
	for {
		changed := h.source.Changed()
		version, err := h.source.Version(ctx)
		if err != nil {
			return err
		}
		if err := h.advance(ctx); err != nil {
			return err
		}
		h.trouble.Store(nil)
		if err := (&follower{src: h.source}).wait(ctx, changed, version); err != nil {
			return err
		}
	}
}

// start finds the head and fetches what is just before it, since those who were
// connected to the process before this one come back for that.
func (h *Hub) start(ctx context.Context) error {
	select {
	case <-h.started:
		return nil
	default:
	}
	head, err := h.source.Head(ctx)
	if err != nil {
		return err
	}
	for after := max(0, head-int64(h.o.RecentEvents)); after < head; {
		page, err := h.source.EventsAfter(ctx, "", "", "", nil, after, followPage)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		h.recent.add(records(page))
		after = page[len(page)-1].Position
		head = max(head, after)
	}
	h.last.Store(head)
	close(h.started)
	return nil
}

// advance offers everything that is new.
func (h *Hub) advance(ctx context.Context) error {
	for {
		page, err := h.next(ctx)
		if err != nil || len(page) == 0 {
			return err
		}
		h.offer(records(page))
	}
}

// next reads the page after the last position. Positions are dense, so one that
// is missing is looked for again before it is given up.
func (h *Hub) next(ctx context.Context) ([]mgx.Event, error) {
	last := h.last.Load()
	for try := 1; ; try++ {
		page, err := h.source.EventsAfter(ctx, "", "", "", nil, last, followPage)
		if err != nil || len(page) == 0 {
			return nil, err
		}
		dense := 0
		for dense < len(page) && page[dense].Position == last+int64(dense)+1 {
			dense++
		}
		if dense > 0 {
			return page[:dense], nil
		}
		h.counts.holes.Add(1)
		if try == holeTries {
			h.o.Log.Error("events are missing in the log", "after", last, "next", page[0].Position)
			return page[:1], nil
		}
		sleep(ctx, holeWait)
	}
}

const (
	holeTries = 5
	holeWait  = 20 * time.Millisecond
)

func (h *Hub) offer(batch []*Record) {
	h.recent.add(batch)
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs {
		s.offer(batch)
	}
	h.last.Store(batch[len(batch)-1].Event.Position)
	h.counts.events.Add(int64(len(batch)))
}

// add makes a subscription known. It is offered everything after the position
// that is returned with it.
func (h *Hub) add(s *Subscription) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return restarting()
	case len(h.subs) >= h.o.Subscribers:
		return mgx.Errorf(mgx.KindConfig, "too_many_subscribers", "the server has its %d subscriptions; try again later", h.o.Subscribers)
	}
	s.offered = h.last.Load()
	h.subs[s] = struct{}{}
	return nil
}

func (h *Hub) remove(s *Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs, s)
}

func (h *Hub) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for s := range h.subs {
		s.fail(restarting())
	}
	close(h.stopped)
}

func restarting() *mgx.Error {
	return mgx.Errorf(mgx.KindStopped, CodeRestarting, "the server is restarting; connect again and resume")
}

// ready waits until the hub knows the head of the log.
func (h *Hub) ready(ctx context.Context) error {
	select {
	case <-h.started:
		return nil
	case <-h.stopped:
		return restarting()
	case <-ctx.Done():
		return errors.Join(ctx.Err(), h.Trouble())
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
