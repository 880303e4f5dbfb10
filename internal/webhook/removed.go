package webhook

import (
	"context"
	"strconv"

	"mgx"
)

// tell says that events after an endpoint's place were removed before they were
// read, if that is so: to the endpoint, as an event that it gets whatever it asks
// for, and to whoever looks at the log. The event's id follows from what it says, so
// it is told once however often a process begins anew before it has read on.
func (d *Deliverer) tell(ctx context.Context, c *courier, removed int64) error {
	if removed <= max(c.cursor, c.told) {
		return nil
	}
	e := mgx.NewEvent(mgx.WebhookSkipped, mgx.WebhookSkippedData{WebhookID: c.hook.ID, UpTo: removed})
	e.ID = mgx.IDOf[mgx.EventID]("evt", string(mgx.WebhookSkipped), string(c.hook.ID), strconv.FormatInt(removed, 10))
	e.Workspace, e.Stream = c.hook.Workspace, mgx.StreamID(c.hook.ID)
	if _, err := d.o.Store.Commit(ctx, mgx.Change{Events: []mgx.Event{e}}); err != nil {
		return err
	}
	d.o.Log.Warn("events were removed before they were read for a webhook, which is told so", "webhook", c.hook.ID, "after", c.cursor, "up_to", removed)
	c.told = removed
	return nil
}

// gets reports whether an event is for this endpoint.
func (c *courier) gets(e *mgx.Event) bool {
	return c.match(e) || e.Type == mgx.WebhookSkipped && e.Stream == mgx.StreamID(c.hook.ID)
}
