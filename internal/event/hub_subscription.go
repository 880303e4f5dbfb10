package event

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"mgx"
)

// SubscribeRequest says what a subscriber wants.
type SubscribeRequest struct {
	Actor    string
	Channels []Channel
	Types    []string // globs; none: every type
	Resume   string   // token of the last event that was got
	After    *int64   // instead: the position to begin after, 0 for all there is
	Live     bool     // also live frames of these channels
	Versions string   // pins such as "tool.result@1", see Registry.Reader; empty: the latest of every type
	Reader   string   // an id under which reads of old versions are counted
	Cloud    bool     // events as CloudEvents
	Stalled  func()   // called when the subscriber has made no progress and Next cannot tell it
	// With neither Resume nor After it begins after what is there now.
}

// DeliveryKind says what a delivery is.
type DeliveryKind int

const (
	DeliverEvent      DeliveryKind = iota // Record
	DeliverCheckpoint                     // nothing up to Position is left to deliver
	DeliverLagging                        // the subscriber was too slow for its queue and reads the log from Position to Head
	DeliverLive                           // Live; Missed before it were dropped
)

// Delivery is one thing for a subscriber.
type Delivery struct {
	Kind     DeliveryKind
	Position int64
	Record   *Record
	JSON     []byte // the envelope or CloudEvent, in the version asked for; shared, so not to be changed
	Head     int64
	Live     Live
	Missed   int64
}

// Bounds on what Next returns at once, and on what it reads to find it.
const (
	batchEvents = 256
	batchBytes  = 256 << 10
	firstPage   = 64
)

// Subscription is one subscriber's place in the log. Next, RecordToken and Close
// are called by one goroutine, the rest by any.
type Subscription struct {
	hub    *Hub
	filter *filter
	reader *Reader
	cloud  bool
	live   bool
	stuck  func()
	wake   chan struct{} // holds a token when there may be something new
	done   chan struct{} // closed when it has failed
	cursor atomic.Int64  // position up to which everything was delivered or passed over
	acked  atomic.Int64  // position that the subscriber says it has dealt with; 0: says nothing

	mu       sync.Mutex
	attached bool       // matching events go to queue
	bound    int64      // the queue holds everything after it
	offered  int64      // position offered last
	queue    []*Record  // matching, in order
	bytes    int        // of queue
	frames   []Delivery // live ones
	missed   int64      // of those dropped since the last one queued
	failed   error

	// Of the goroutine that calls Next.
	reading bool  // from the store
	watch   watch // for what is removed there meanwhile
	page    int   // how many events to read there
	told    int64 // position of the last thing delivered
	toldAt  time.Time
	stall   *time.Timer // runs while the subscriber deals with a batch
	tick    *time.Timer
	out     []Delivery
}

// Subscribe authorises a subscriber and gives it a place in the log. The error
// is a *Reset when it asks to resume from where that is not possible.
func (h *Hub) Subscribe(ctx context.Context, r SubscribeRequest) (*Subscription, error) {
	f, err := h.grant(ctx, r.Actor, r.Channels, r.Types)
	if err != nil {
		return nil, err
	}
	start, err := h.begin(ctx, f, r.Resume, r.After)
	if err != nil {
		return nil, err
	}
	watch, err := h.watcher(ctx, f, start, r.Resume)
	if err != nil {
		return nil, err
	}
	reader, err := h.reader(r.Reader, r.Versions)
	if err != nil {
		return nil, err
	}
	s := &Subscription{
		watch: watch, hub: h, filter: f, reader: reader, cloud: r.Cloud, live: r.Live, stuck: r.Stalled, wake: make(chan struct{}, 1), done: make(chan struct{}),
		reading: true, page: firstPage, told: start, toldAt: time.Now(),
	}
	s.cursor.Store(start)
	return s, h.add(s)
}

// grant is the filter of what an actor asks for and may see.
func (h *Hub) grant(ctx context.Context, actor string, channels []Channel, types []string) (*filter, error) {
	if err := h.ready(ctx); err != nil {
		return nil, err
	}
	if _, err := newFilter(channels, types); err != nil {
		return nil, err
	}
	granted, err := h.o.Authorize(ctx, actor, channels)
	if err != nil {
		return nil, err
	}
	for _, c := range granted {
		if c.Workspace == "" {
			return nil, mgx.Errorf(mgx.KindRefused, CodeChannelRefused, "the channel %s is not yours to read", c)
		}
	}
	return newFilter(granted, types)
}

// encode is the JSON of a record for a reader.
func (h *Hub) encode(r *Record, read *Reader, cloud bool) ([]byte, error) {
	text, asked, err := r.in(read, cloud, h.o.Server)
	if !asked {
		h.counts.unreadable.Add(1)
	}
	return text, err
}

// reader reads events in the versions that somebody pins.
func (h *Hub) reader(who, pins string) (*Reader, error) {
	if h.o.Contracts == nil {
		return nil, nil
	}
	return h.o.Contracts.Reader(who, pins)
}

// Done is closed when the subscription has failed, also while the subscriber
// deals with a batch.
func (s *Subscription) Done() <-chan struct{} { return s.done }

// Err is why it has failed; nil while it has not.
func (s *Subscription) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// Position is up to where everything was delivered or passed over.
func (s *Subscription) Position() int64 { return s.cursor.Load() }

// Ack notes that the subscriber has dealt with everything up to a position.
func (s *Subscription) Ack(position int64) { s.acked.Store(position) }

// Token resumes after everything delivered up to a position.
func (s *Subscription) Token(position int64) string {
	return s.hub.sign(token{epoch: s.hub.epoch, position: position, filter: s.filter.hash})
}

// RecordToken is Token after a record.
func (s *Subscription) RecordToken(r *Record) string {
	if known := r.token.Load(); known != nil && known.filter == s.filter.hash {
		return known.text
	}
	text := s.Token(r.Event.Position)
	r.token.Store(&signed{filter: s.filter.hash, text: text})
	return text
}

// Cancel ends the subscription from outside: Next returns CodeCancelled.
func (s *Subscription) Cancel() {
	s.fail(mgx.Errorf(mgx.KindStopped, mgx.CodeCancelled, "the subscription was closed"))
}

// Close gives up the subscription.
func (s *Subscription) Close() {
	s.hub.remove(s)
	s.rest()
	s.Cancel()
}

// Next waits for what comes next and returns it, never nothing without an error.
// Calling it says that what it returned before has been dealt with; when that
// takes longer than HubOptions.SlowAfter the subscription fails with
// CodeTooSlow. The error is a *Reset when events that it had yet to read have been
// removed. The slice is valid until the next call.
func (s *Subscription) Next(ctx context.Context) ([]Delivery, error) {
	s.rest()
	for {
		if err := s.Err(); err != nil {
			return nil, err
		}
		s.out = s.out[:0]
		if err := s.gather(ctx); err != nil {
			return nil, err
		}
		if len(s.out) > 0 {
			s.work()
			return s.out, nil
		}
		if s.reading {
			continue
		}
		if err := s.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// work starts the clock on the subscriber, rest stops it.
func (s *Subscription) work() {
	if s.stall == nil {
		s.stall = time.AfterFunc(s.hub.o.SlowAfter, s.stalled)
		return
	}
	s.stall.Reset(s.hub.o.SlowAfter)
}

func (s *Subscription) stalled() {
	s.hub.counts.tooSlow.Add(1)
	s.fail(mgx.Errorf(mgx.KindStopped, CodeTooSlow, "the subscriber made no progress for %s; connect again and resume", s.hub.o.SlowAfter))
	if s.stuck != nil {
		s.stuck()
	}
}

func (s *Subscription) rest() {
	if s.stall != nil {
		s.stall.Stop()
	}
}

func (s *Subscription) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed, s.queue, s.frames = err, nil, nil
		close(s.done)
	}
}

// wait returns when there may be something new.
func (s *Subscription) wait(ctx context.Context) error {
	rest := time.Until(s.toldAt.Add(s.hub.o.Checkpoint))
	if rest <= 0 { // and nothing to tell
		s.toldAt, rest = time.Now(), s.hub.o.Checkpoint
	}
	if s.tick == nil {
		s.tick = time.NewTimer(rest)
	} else {
		s.tick.Reset(rest)
	}
	select {
	case <-s.wake:
	case <-s.done:
	case <-s.tick.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// gather puts what can be delivered now into out.
func (s *Subscription) gather(ctx context.Context) error {
	var err error
	if s.reading {
		err = s.catchUp(ctx)
	} else {
		err = s.drain()
	}
	if err == nil {
		s.checkpoint()
	}
	return err
}

// drain takes what is queued.
func (s *Subscription) drain() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.attached { // dropped: everything after the cursor is in the log
		s.reading = true
		s.out = append(s.out, Delivery{Kind: DeliverLagging, Position: s.cursor.Load(), Head: s.offered})
		return nil
	}
	n, size := 0, 0
	for n < len(s.queue) && n < batchEvents && size < batchBytes {
		size += s.queue[n].size()
		n++
	}
	if err := s.deliver(s.queue[:n]); err != nil {
		return err
	}
	clear(s.queue[:n])
	s.queue, s.bytes = s.queue[n:], s.bytes-size
	if len(s.queue) == 0 {
		s.queue, s.bytes = nil, 0
		s.cursor.Store(s.offered)
		s.drainLive()
	}
	return nil
}

// deliver adds records to out and moves the cursor; what was delivered before is
// left out.
func (s *Subscription) deliver(batch []*Record) error {
	for _, r := range batch {
		p := r.Event.Position
		if p <= s.cursor.Load() {
			continue
		}
		text, err := s.hub.encode(r, s.reader, s.cloud)
		if err != nil {
			return err
		}
		s.out = append(s.out, Delivery{Kind: DeliverEvent, Position: p, Record: r, JSON: text})
		s.cursor.Store(p)
		s.tell(p)
		s.hub.counts.deliveries.Add(1)
	}
	return nil
}

func (s *Subscription) tell(position int64) { s.told, s.toldAt = position, time.Now() }

// checkpoint tells a subscriber for whom nothing came how far it is. One that
// filters hears it also when nothing has happened, so that silence means that
// something is wrong.
func (s *Subscription) checkpoint() {
	p := s.cursor.Load()
	if (p > s.told || s.filter.filters()) && time.Since(s.toldAt) >= s.hub.o.Checkpoint {
		s.out = append(s.out, Delivery{Kind: DeliverCheckpoint, Position: p})
		s.tell(p)
	}
}

// catchUp reads one page of the log. Near the end of what was offered it attaches
// the queue first, so that what is committed meanwhile is there when the log has
// been read up to the point where the queue begins.
func (s *Subscription) catchUp(ctx context.Context) error {
	target, attached := s.target()
	after := s.cursor.Load()
	if after >= target {
		s.reading = !attached
		return nil
	}
	batch, end, err := s.hub.read(ctx, s.filter, after, target, &s.page, &s.watch)
	if err != nil {
		return err
	}
	if s.watch.due(end >= target) {
		if err := s.watch.look(ctx, s.hub, s.filter); err != nil {
			return err
		}
	}
	if err := s.deliver(batch); err != nil {
		return err
	}
	s.cursor.Store(end)
	return nil
}

// target is up to where to read the log, and whether what is after it will be in
// the queue.
func (s *Subscription) target() (int64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.attached && s.offered-s.cursor.Load() <= int64(s.hub.o.QueueEvents)/2 {
		s.attached, s.bound, s.queue, s.bytes = true, s.offered, nil, 0
	}
	if s.attached {
		return s.bound, true
	}
	return s.offered, false
}

// offer queues what matches. When the queue is full it is dropped.
func (s *Subscription) offer(batch []*Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offered = batch[len(batch)-1].Event.Position
	if !s.attached || s.failed != nil {
		return
	}
	had := len(s.queue)
	for _, r := range batch {
		if !s.filter.match(&r.Event) {
			continue
		}
		s.queue, s.bytes = append(s.queue, r), s.bytes+r.size()
		if len(s.queue) > s.hub.o.QueueEvents || s.bytes > s.hub.o.QueueBytes && len(s.queue) > 1 {
			s.attached, s.queue, s.bytes = false, nil, 0
			s.hub.counts.drops.Add(1)
			s.signal()
			return
		}
	}
	if len(s.queue) > had {
		s.signal()
	}
}

func (s *Subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// read returns matching records after a position and up to another, and how far
// that goes. It reads a bounded part of the log, so there may be none.
func (h *Hub) read(ctx context.Context, f *filter, after, target int64, page *int, w *watch) ([]*Record, int64, error) {
	if list, ok := h.recent.after(after, followPage); ok {
		h.counts.fromMemory.Add(1)
		return pick(f, list, after, target)
	}
	select {
	case h.readers <- struct{}{}:
		defer func() { <-h.readers }()
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	h.counts.fromStore.Add(1)
	events, err := h.source.EventsAfter(ctx, f.workspace, "", f.run, f.types, after, *page)
	if err != nil {
		return nil, 0, err
	}
	w.read(after)
	if len(events) == 0 {
		return nil, target, nil
	}
	list := records(events)
	*page = nextPage(*page, list)
	return pick(f, list, after, target)
}

// pick takes from consecutive records what matches and fits into a batch.
func pick(f *filter, list []*Record, after, target int64) (out []*Record, end int64, err error) {
	end = after
	size := 0
	for _, r := range list {
		if r.Event.Position > target {
			return out, target, nil
		}
		if size > batchBytes || len(out) == batchEvents {
			return out, end, nil
		}
		end = r.Event.Position
		if f.match(&r.Event) {
			out, size = append(out, r), size+r.size()
		}
	}
	return out, end, nil
}

// nextPage grows pages while their events are small and shrinks them otherwise,
// so that a batch of bytes is what they hold.
func nextPage(page int, list []*Record) int {
	bytes := 0
	for _, r := range list {
		bytes += r.size()
	}
	fit := batchBytes / max(1, bytes/len(list))
	return max(1, min(fit, 2*page, batchEvents))
}
