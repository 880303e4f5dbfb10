package app

import (
	"context"

	"mgx"
	"mgx/internal/access"
)

// EventsQuery selects events of a run's stream, in order.
type EventsQuery struct {
	After int64    // sequence after which they are; not with Types
	Types []string // only of these; the first ones of the run
	Limit int      // MaxEventsPage when 0
}

// MaxEventsPage bounds the events that are read at once.
const MaxEventsPage = 1000

// Events returns events of a run of the actor's workspace.
func (w *Work) Events(ctx context.Context, actor access.Actor, id mgx.RunID, q EventsQuery) ([]mgx.Event, error) {
	if _, err := w.runFor(ctx, actor, "read", "events", id); err != nil {
		return nil, err
	}
	limit := q.Limit
	if limit <= 0 || limit > MaxEventsPage {
		limit = MaxEventsPage
	}
	if len(q.Types) == 0 {
		return w.o.Store.StreamAfter(ctx, mgx.StreamID(id), max(0, q.After), limit)
	}
	return w.o.Store.EventsAfter(ctx, actor.Workspace, mgx.StreamID(id), id, q.Types, 0, limit)
}

// May reports whether an actor may do something, for whoever shows what can be
// done. Doing it asks again.
func (a *Access) May(ctx context.Context, actor access.Actor, action string, on access.Resource) bool {
	return a.may(ctx, actor, action, on)
}
