package webhook

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"mgx"
)

// Bounds, each a default that Options can change or a constant of the standard.
const (
	perEndpoint = 4                // requests under way to one endpoint
	inAll       = 64               // to all; those that fail have half
	window      = 10_000           // deliveries of one endpoint that are pending
	leaseTime   = 45 * time.Second // after which others may take over from a process that fell silent
	pollTime    = 200 * time.Millisecond
	graceTime   = 5 * time.Second    // for requests under way when the deliverer is stopped
	giveUpAfter = 5 * 24 * time.Hour // of failing alone, an endpoint is disabled
	errorPause  = time.Second        // before trying again when the store fails

	keptDelivered = 7 * 24 * time.Hour
	keptDead      = 30 * 24 * time.Hour
	keptEach      = 10_000 // delivered ones and dead ones of an endpoint
	tidyEvery     = time.Hour
)

// Options configure a deliverer. Zero numbers and times take the defaults.
type Options struct {
	Store DeliveryStore // required
	Guard Guard
	Log   *slog.Logger
	// Owner names this process in leases; empty: a fresh name. Alive reports
	// whether the process of that name may still be running, which spares waiting
	// for the leases of the dead to run out; nil: only time tells.
	Owner string
	Alive func(owner string) bool

	PerEndpoint int           // requests under way to one endpoint; 4
	InAll       int           // to all; 64
	Window      int           // pending deliveries of one endpoint; 10,000
	Lease       time.Duration // 45 s; at least twice the 15 s of one request
	Poll        time.Duration // how often to look for commits of other processes; 200 ms
}

// Deliverer makes the deliveries of all workspaces. All its state belongs to the
// goroutine of Run; requests are goroutines of their own that answer on ended.
type Deliverer struct {
	o        Options
	sender   *sender
	couriers map[mgx.WebhookID]*courier
	turn     int            // which courier is asked first, so that none is always last
	busy     int            // requests under way
	failing  int            // of those, to endpoints that fail
	renewed  time.Time      // when the leases were extended last
	ended    chan attempted // one for each request that has ended
}

// attempted is the end of a request.
type attempted struct {
	courier  *courier
	stream   mgx.StreamID
	failing  bool // the endpoint was, when the request began
	answered answer
	err      error // of reading or recording; the delivery is still pending then
}

// New returns a deliverer. It panics without a store.
func New(o Options) *Deliverer {
	if o.Store == nil {
		panic("webhook: a deliverer needs a store")
	}
	def(&o.PerEndpoint, perEndpoint)
	def(&o.InAll, inAll)
	def(&o.Window, window)
	def(&o.Lease, leaseTime)
	def(&o.Poll, pollTime)
	if o.Owner == "" {
		o.Owner = mgx.NewID[string]("own")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Lease = max(o.Lease, 2*attemptTime)
	return &Deliverer{o: o, sender: newSender(o.Guard), couriers: map[mgx.WebhookID]*courier{}, ended: make(chan attempted, o.InAll)}
}

func def[T int | time.Duration](v *T, fallback T) {
	if *v <= 0 {
		*v = fallback
	}
}

// Run delivers until ctx ends, then lets the requests under way finish for a few
// seconds and gives its leases back. When the store fails it tries again. It is
// called once.
func (d *Deliverer) Run(ctx context.Context) {
	// Requests outlive ctx by the grace.
	work, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	for ctx.Err() == nil {
		changed := d.o.Store.Changed()
		version, err := d.o.Store.Version(ctx)
		next := time.Now().Add(errorPause)
		if err == nil {
			next, err = d.round(ctx, work)
		}
		if err != nil && ctx.Err() == nil {
			d.o.Log.Error("webhooks cannot be delivered at present; trying again", "error", err)
			changed, next = nil, time.Now().Add(errorPause)
		}
		d.wait(ctx, changed, version, next)
	}
	d.stop(kill)
}

// round looks after every endpoint once and returns when to look again at the
// latest.
func (d *Deliverer) round(ctx, work context.Context) (time.Time, error) {
	if err := d.renew(ctx); err != nil {
		return time.Time{}, err
	}
	head, err := d.o.Store.Head(ctx)
	if err != nil {
		return time.Time{}, err
	}
	if err := d.staff(ctx, work); err != nil {
		return time.Time{}, err
	}
	next := d.renewed.Add(d.o.Lease / 3)
	pages := pages{store: d.o.Store}
	for _, c := range d.inTurn() {
		again, err := d.serve(ctx, c, head, &pages)
		if err != nil && !mgx.IsCode(err, mgx.CodeFenced) {
			if _, down := d.o.Store.Head(ctx); down != nil {
				return time.Time{}, err
			}
			// It is this endpoint's own: the others do not wait for it.
			d.o.Log.Error("a webhook cannot be served at present; trying again", "webhook", c.hook.ID, "error", err)
			again = time.Now().Add(stuckPause)
			c.stuck, c.look = again, true
		}
		if !again.IsZero() && again.Before(next) {
			next = again
		}
	}
	return next, nil
}

// unsaved is how far the log was read for endpoints of which that is not stored,
// since nothing there was for them.
func (d *Deliverer) unsaved() map[mgx.WebhookID]int64 {
	read := map[mgx.WebhookID]int64{}
	for id, c := range d.couriers {
		if c.cursor > c.hook.Cursor {
			read[id] = c.cursor
		}
	}
	return read
}

// renew extends the leases when a third of their time has passed.
func (d *Deliverer) renew(ctx context.Context) error {
	now := mgx.Now()
	if now.Sub(d.renewed) < d.o.Lease/3 {
		return nil
	}
	until := now.Add(d.o.Lease)
	if len(d.couriers) > 0 {
		if err := d.o.Store.RenewWebhooks(ctx, d.o.Owner, until, d.unsaved()); err != nil {
			return err
		}
	}
	for _, c := range d.couriers {
		c.lease.Until = until
	}
	d.renewed = now
	return nil
}

// staff makes sure that there is a courier for each endpoint whose lease is ours
// or to be had, and for no other.
func (d *Deliverer) staff(ctx, work context.Context) error {
	active, err := d.o.Store.ActiveWebhooks(ctx)
	if err != nil {
		return err
	}
	seen := map[mgx.WebhookID]bool{}
	for _, w := range active {
		seen[w.ID] = true
		c := d.couriers[w.ID]
		if c != nil && !c.holds(w.Lease) {
			d.o.Log.Warn("another process has taken a webhook over", "webhook", w.ID)
			c.lost()
			delete(d.couriers, w.ID)
			c = nil
		}
		if c == nil {
			if c, err = d.claim(ctx, work, w); err != nil {
				return err
			}
		}
		if c != nil {
			c.update(w)
		}
	}
	for id, c := range d.couriers {
		if c.retired = !seen[id]; c.retired && len(c.streams) == 0 {
			d.release(ctx, c)
		}
	}
	return nil
}

func (d *Deliverer) claim(ctx, work context.Context, w mgx.Webhook) (*courier, error) {
	l, now := w.Lease, mgx.Now()
	free := l.Owner == "" || l.Owner == d.o.Owner || !l.Until.After(now) || d.o.Alive != nil && !d.o.Alive(l.Owner)
	if !free {
		return nil, nil
	}
	lease, ok, err := d.o.Store.ClaimWebhook(ctx, l, d.o.Owner, now.Add(d.o.Lease))
	if err != nil || !ok {
		return nil, err
	}
	c := newCourier(work, w, lease)
	d.couriers[w.ID] = c
	return c, nil
}

// release gives a lease back. It matters little when it fails: the lease runs
// out.
func (d *Deliverer) release(ctx context.Context, c *courier) {
	if err := d.o.Store.ReleaseWebhook(ctx, c.lease, c.cursor); err != nil {
		d.o.Log.Warn("a webhook's lease was not given back", "webhook", c.hook.ID, "error", err)
	}
	c.lost()
	delete(d.couriers, c.hook.ID)
}

// inTurn lists the couriers, beginning with another one each time.
func (d *Deliverer) inTurn() []*courier {
	ids := slices.Sorted(maps.Keys(d.couriers))
	all := make([]*courier, len(ids))
	for i := range ids {
		all[i] = d.couriers[ids[(i+d.turn)%len(ids)]]
	}
	d.turn++
	return all
}

// wait returns when something may be left to do: an attempt has ended, the time
// has come, somebody has committed, or ctx has ended. Without an endpoint of its
// own a deliverer looks no more often than it does for commits of others.
func (d *Deliverer) wait(ctx context.Context, changed <-chan struct{}, version int64, next time.Time) {
	if len(d.couriers) == 0 {
		changed = nil
	}
	due := time.NewTimer(time.Until(next))
	defer due.Stop()
	poll := time.NewTicker(d.o.Poll)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-d.ended:
			d.settle(a)
			return
		case <-due.C:
			return
		case <-changed:
			return
		case <-poll.C:
			if now, err := d.o.Store.Version(ctx); err != nil || now != version {
				return
			}
		}
	}
}

// stop lets requests finish, then ends them, then gives the leases back.
func (d *Deliverer) stop(kill context.CancelFunc) {
	grace := time.AfterFunc(graceTime, kill)
	defer grace.Stop()
	for d.busy > 0 {
		d.settle(<-d.ended)
	}
	ctx, cancel := context.WithTimeout(context.Background(), graceTime)
	defer cancel()
	for _, c := range d.inTurn() {
		d.release(ctx, c)
	}
	d.sender.close()
}
