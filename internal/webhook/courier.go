package webhook

import (
	"context"
	"slices"
	"strings"
	"time"

	"mgx"
	"mgx/internal/event"
)

// courier serves one endpoint for as long as this process has its lease.
type courier struct {
	hook  mgx.Webhook
	lease mgx.WebhookLease
	match func(*mgx.Event) bool // nil: the stored filters are not valid
	ctx   context.Context       // ends when the lease is lost
	lost  context.CancelFunc

	cursor  int64                 // the log was read up to here; at or after the stored one
	told    int64                 // it knows of what was removed up to here
	streams map[mgx.StreamID]bool // with a request under way
	full    bool                  // the window was, when it was looked at last
	held    time.Time             // the day has no room for more before, as far as is known
	look    bool                  // there may be something due
	next    time.Time             // when something is due at the latest; zero: nothing is
	pause   time.Time             // nothing is sent before
	stuck   time.Time             // nor is anything read for it before, as the store refused to
	retired bool                  // disabled or removed: nothing new is begun
	tidied  time.Time             // when the past was pruned last
}

func newCourier(work context.Context, w mgx.Webhook, l mgx.WebhookLease) *courier {
	c := &courier{lease: l, cursor: w.Cursor, streams: map[mgx.StreamID]bool{}, look: true}
	c.ctx, c.lost = context.WithCancel(work)
	return c
}

func (c *courier) holds(l mgx.WebhookLease) bool {
	return l.Owner == c.lease.Owner && l.Term == c.lease.Term
}

// update takes over the settings of an endpoint as they are now.
func (c *courier) update(w mgx.Webhook) {
	if !w.UpdatedAt.Equal(c.hook.UpdatedAt) {
		c.match, _ = event.Matcher(w.Workspace, w.Channels, w.Types)
		c.look, c.full, c.held, c.pause, c.stuck = true, false, time.Time{}, time.Time{}, time.Time{}
	}
	c.hook = w
	c.cursor = max(c.cursor, w.Cursor)
}

func (c *courier) failing() bool { return !c.hook.FailingSince.IsZero() }

// pages are the parts of the log that one round reads, so that endpoints which
// stand at the same place share one reading.
type pages struct {
	store   Log
	read    map[page][]mgx.Event
	removed int64 // position of the last event that is missing in what was read
}

type page struct {
	workspace mgx.WorkspaceID
	types     string
	after     int64
}

const pageLen = 500

func (p *pages) after(ctx context.Context, w mgx.Webhook, position int64) ([]mgx.Event, error) {
	k := page{w.Workspace, strings.Join(w.Types, "\n"), position}
	if list, ok := p.read[k]; ok {
		return list, nil
	}
	types := w.Types
	if len(types) > 0 {
		types = append(slices.Clone(types), string(mgx.WebhookSkipped))
	}
	list, err := p.store.EventsAfter(ctx, w.Workspace, "", "", types, position, pageLen)
	if err == nil {
		p.removed, err = p.store.Removed(ctx, w.Workspace, "")
	}
	if err == nil {
		p.read = map[page][]mgx.Event{k: list} // the last one is what others ask for
	}
	return list, err
}

// serve reads more of the log for an endpoint and sends what is due. It returns
// when there is something to do again; zero: nothing by itself.
func (d *Deliverer) serve(ctx context.Context, c *courier, head int64, p *pages) (time.Time, error) {
	if c.retired || c.ctx.Err() != nil || c.match == nil {
		return time.Time{}, nil
	}
	if time.Now().Before(c.stuck) {
		return c.stuck, nil
	}
	if err := d.tidy(ctx, c); err != nil {
		return time.Time{}, err
	}
	more, err := d.fill(ctx, c, head, p)
	if err != nil {
		return time.Time{}, err
	}
	if err := d.dispatch(ctx, c); err != nil {
		return time.Time{}, err
	}
	if more {
		return time.Now(), nil
	}
	return c.again(), nil
}

// again is when something is due that nothing else will announce.
func (c *courier) again() time.Time {
	sent := c.resent()
	if c.held.After(time.Now()) && (sent.IsZero() || c.held.Before(sent)) {
		return c.held
	}
	return sent
}

// resent is when something is sent again.
func (c *courier) resent() time.Time {
	if c.next.IsZero() || c.next.Before(c.pause) {
		if !c.next.IsZero() {
			return c.pause
		}
		return time.Time{}
	}
	return c.next
}

// fill turns the next page of the log into deliveries, as far as there is room.
// It reports whether there is more to read.
func (d *Deliverer) fill(ctx context.Context, c *courier, head int64, p *pages) (more bool, err error) {
	if c.cursor >= head || c.full || time.Now().Before(c.held) {
		return false, nil
	}
	list, err := p.after(ctx, c.hook, c.cursor)
	if err != nil {
		return false, err
	}
	if err := d.tell(ctx, c, p.removed); err != nil {
		return false, err
	}
	if len(list) == 0 {
		c.cursor = head // nothing up to here is of these types
		return false, nil
	}
	var matched []mgx.Event
	for i := range list {
		if c.gets(&list[i]) {
			matched = append(matched, list[i])
		}
	}
	cursor := list[len(list)-1].Position
	if len(matched) == 0 {
		c.cursor = cursor
		return cursor < head, nil
	}
	pending, err := d.o.Store.PendingDeliveries(ctx, c.hook.ID)
	if err != nil {
		return false, err
	}
	left, err := d.o.Store.DeliveriesLeft(ctx, c.hook.Workspace)
	if err != nil {
		return false, err
	}
	switch room := min(d.o.Window-pending, left); {
	case pending >= d.o.Window:
		c.full = true
		return false, nil
	case left == 0:
		return false, d.hold(c)
	case len(matched) > room:
		matched = matched[:room]
		cursor = matched[room-1].Position
	}
	err = d.o.Store.AddDeliveries(ctx, c.lease, matched, cursor)
	if mgx.IsCode(err, mgx.CodeQuotaReached) { // by another endpoint, meanwhile
		return false, d.hold(c)
	}
	if err != nil {
		return false, err
	}
	c.cursor, c.look = cursor, true
	return cursor < head, nil
}

// quotaWait is how long it takes until a quota that was raised, and a new day, is seen.
const quotaWait = time.Minute

// hold has an endpoint read no more of the log for a while, since its workspace has sent
// as much on this day as it may. What was begun goes on.
func (d *Deliverer) hold(c *courier) error {
	if c.held.IsZero() {
		d.o.Log.Warn("a workspace has sent as many events to its webhooks on this day as its quota allows; the others wait", "workspace", c.hook.Workspace, "webhook", c.hook.ID)
	}
	c.held = time.Now().Add(quotaWait)
	return nil
}

// tidy prunes what is kept of the past, and notes how far the log was read.
func (d *Deliverer) tidy(ctx context.Context, c *courier) error {
	now := mgx.Now()
	if now.Sub(c.tidied) < tidyEvery {
		return nil
	}
	lost, err := d.o.Store.PruneDeliveries(ctx, c.lease, now.Add(-keptDelivered), now.Add(-keptDead), keptEach)
	if err != nil {
		return err
	}
	if lost > 0 {
		d.o.Log.Warn("dead letters of a webhook were old or too many and are forgotten; their events are still in the log", "webhook", c.hook.ID, "count", lost)
	}
	if c.cursor > c.hook.Cursor {
		err = d.o.Store.AddDeliveries(ctx, c.lease, nil, c.cursor)
	}
	c.tidied = now
	return err
}
