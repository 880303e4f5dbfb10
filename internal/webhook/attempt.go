package webhook

import (
	"context"
	"net/http"
	"time"

	"mgx"
)

const (
	failPause  = time.Second     // between the attempts to an endpoint that fails
	stuckPause = 5 * time.Second // after an attempt that could not be recorded, or the store refused what is for one endpoint
)

// dispatch begins the requests that are due and for which there is a slot.
func (d *Deliverer) dispatch(ctx context.Context, c *courier) error {
	now := time.Now()
	due := c.look || !c.next.IsZero() && !c.next.After(now)
	if !due || now.Before(c.pause) {
		if due {
			c.look, c.next = true, now
		}
		return nil
	}
	free := d.free(c)
	if free <= 0 || c.lease.Until.Sub(now) <= attemptTime {
		c.look, c.next = true, time.Time{} // the end of a request, or the renewal, comes back here
		return nil
	}
	// Those under way are still due in the store.
	list, err := d.o.Store.DueDeliveries(ctx, c.hook.ID, now, free+len(c.streams)+1)
	if err != nil {
		return err
	}
	c.look = false
	for _, one := range list {
		switch {
		case c.streams[one.Stream]:
		case free > 0:
			d.begin(c, one)
			free--
		default:
			c.look = true // the end of a request comes back here
		}
	}
	c.next, _, err = d.o.Store.NextDelivery(ctx, c.hook.ID, now)
	return err
}

// free is how many more requests to an endpoint may be begun.
func (d *Deliverer) free(c *courier) int {
	if !c.failing() {
		return min(d.o.PerEndpoint-len(c.streams), d.o.InAll-d.busy)
	}
	return min(1-len(c.streams), d.o.InAll-d.busy, max(1, d.o.InAll/2)-d.failing)
}

func (d *Deliverer) begin(c *courier, one mgx.WebhookDelivery) {
	end := attempted{courier: c, stream: one.Stream, failing: c.failing()}
	c.streams[one.Stream] = true
	d.busy++
	if end.failing {
		d.failing++
	}
	hook, lease := c.hook, c.lease
	go func() {
		end.answered, end.err = d.attempt(c.ctx, hook, lease, one)
		d.ended <- end
	}()
}

// settle takes note of the end of a request.
func (d *Deliverer) settle(a attempted) {
	c := a.courier
	delete(c.streams, a.stream)
	d.busy--
	if a.failing {
		d.failing--
	}
	c.look, c.full = true, false
	now := time.Now()
	switch {
	case a.err != nil:
		if c.ctx.Err() == nil && !mgx.IsCode(a.err, mgx.CodeFenced) {
			d.o.Log.Error("a webhook's delivery could not be recorded and will be made again", "webhook", c.hook.ID, "error", a.err)
		}
		c.pause = now.Add(stuckPause)
	case a.answered.unsent:
	case a.answered.attempt.Error == "":
		c.hook.FailingSince, c.pause = time.Time{}, time.Time{}
	default:
		if !c.failing() {
			c.hook.FailingSince = a.answered.attempt.At
		}
		c.pause = now.Add(max(failPause, a.answered.after))
	}
}

// attempt sends one delivery once and records what came of it. It runs beside
// the deliverer's own goroutine.
func (d *Deliverer) attempt(ctx context.Context, w mgx.Webhook, l mgx.WebhookLease, one mgx.WebhookDelivery) (answer, error) {
	// Whoever takes over does not meet a request of ours that is still under way.
	sending, cancel := context.WithDeadline(ctx, l.Until)
	defer cancel()
	a, err := d.try(sending, w, one)
	if err != nil {
		return a, err
	}
	if ctx.Err() != nil && a.attempt.Error != "" {
		return a, ctx.Err() // we ended it, which says nothing about the endpoint
	}
	o := d.outcome(w, one, a)
	o.Workspace = w.Workspace
	disabled, err := d.o.Store.RecordDelivery(context.WithoutCancel(ctx), l, o)
	if err != nil {
		return a, err
	}
	log := d.o.Log.With("webhook", w.ID, "host", host(w.URL), "event", one.Event)
	switch {
	case disabled:
		log.Warn("a webhook is disabled: " + o.Disable)
	case o.Status == mgx.DeliveryDead:
		log.Warn("an event could not be delivered and is a dead letter", "error", a.attempt.Error, "attempts", one.Attempts+1)
	case a.attempt.Error != "":
		log.Debug("an attempt to deliver an event failed", "error", a.attempt.Error, "cause", a.cause, "status", a.attempt.Status)
	}
	return a, nil
}

// try reads the event and sends it.
func (d *Deliverer) try(ctx context.Context, w mgx.Webhook, one mgx.WebhookDelivery) (answer, error) {
	found, err := d.o.Store.EventsAfter(ctx, w.Workspace, "", "", nil, one.Position-1, 1)
	if err != nil {
		return answer{}, err
	}
	if len(found) == 0 || found[0].ID != one.Event {
		return unsent(one, "the event is no longer kept"), nil
	}
	m, err := envelope(found[0])
	if err != nil {
		return unsent(one, mgx.AsError(err).Message), nil
	}
	secrets, err := d.o.Store.WebhookSecrets(ctx, w.ID)
	if err != nil {
		return answer{}, err
	}
	return d.sender.send(ctx, w.URL, secrets, m), nil
}

func unsent(one mgx.WebhookDelivery, why string) answer {
	return answer{unsent: true, attempt: mgx.WebhookAttempt{Event: one.Event, At: mgx.Now(), Error: why}}
}

// outcome decides what follows from an attempt.
func (d *Deliverer) outcome(w mgx.Webhook, one mgx.WebhookDelivery, a answer) mgx.WebhookOutcome {
	o := mgx.WebhookOutcome{Attempt: a.attempt, Status: mgx.DeliveryDelivered}
	if a.attempt.Error == "" {
		return o
	}
	if a.unsent {
		o.Unsent, o.Status = true, mgx.DeliveryDead
		return o
	}
	now := mgx.Now()
	o.Disable = "the endpoint has answered nothing with success for 5 days"
	o.FailingSince = now.Add(-giveUpAfter)
	delay, again := wait(one.Attempts + 1)
	switch {
	case a.attempt.Status == http.StatusGone:
		o.Status, o.Attempt.NextAt = mgx.DeliveryPending, now
		o.Disable, o.FailingSince = "the endpoint answered 410 Gone", time.Time{}
		o.Raise = disabledEvent(w, "answered_gone")
	case again:
		o.Status, o.Attempt.NextAt = mgx.DeliveryPending, now.Add(max(delay, a.after))
	default:
		o.Status = mgx.DeliveryDead
	}
	if o.Raise == nil && !w.FailingSince.IsZero() && !w.FailingSince.After(o.FailingSince) {
		o.Raise = disabledEvent(w, "failed_too_long")
	}
	return o
}

// disabledEvent is what is told when an attempt disables an endpoint.
func disabledEvent(w mgx.Webhook, reason string) *mgx.Event {
	e := mgx.NewEvent(mgx.WebhookDisabled, mgx.WebhookDisabledData{WebhookID: w.ID, Reason: reason, FailingSince: w.FailingSince})
	e.Workspace, e.Stream = w.Workspace, mgx.StreamID(w.ID)
	return &e
}
