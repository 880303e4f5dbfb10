package app

import (
	"context"

	"mgx"
	"mgx/internal/access"
)

// QueueStore is what waits, as *store.Store keeps and documents it.
type QueueStore interface {
	Queues(ctx context.Context, ws mgx.WorkspaceID) ([]mgx.Queue, error)
	Webhooks(ctx context.Context, ws mgx.WorkspaceID) ([]mgx.Webhook, error)
	Webhook(ctx context.Context, ws mgx.WorkspaceID, id mgx.WebhookID) (mgx.Webhook, error)
	Deliveries(ctx context.Context, q mgx.DeliveryQuery) ([]mgx.WebhookDelivery, error)
	RetryDelivery(ctx context.Context, ws mgx.WorkspaceID, id mgx.WebhookID, event mgx.EventID) error
	RetryDead(ctx context.Context, ws mgx.WorkspaceID, id mgx.WebhookID) (int64, error)
	Consumers(ctx context.Context) ([]mgx.Consumer, error)
	Consumer(ctx context.Context, name string) (mgx.Consumer, error)
	DeadLetters(ctx context.Context, consumer string, after int64, limit int) ([]mgx.DeadLetter, error)
	RetryDeadLetters(ctx context.Context, consumer string, event mgx.EventID) (int64, error)
	DiscardDeadLetter(ctx context.Context, consumer string, event mgx.EventID) error
}

// Queues are what waits and is worked on: in a workspace, for those who may read
// what it is made of, and, for those who keep the installation, the readers of the
// log inside MGX. Each thing that is asked for is authorised by itself.
type Queues struct {
	Access *Access
	Store  QueueStore
}

// readsOf is what it takes to see a queue.
var readsOf = map[mgx.QueueKind]string{
	mgx.QueueRuns: "runs", mgx.QueueExecutions: "workflows", mgx.QueueApprovals: "runs", mgx.QueueCalls: "budgets", mgx.QueueDeliveries: "webhooks",
}

// Standing tells how those queues stand that an actor may see; none is a refusal.
func (q *Queues) Standing(ctx context.Context, actor access.Actor) ([]mgx.Queue, error) {
	all, err := q.Store.Queues(ctx, actor.Workspace)
	if err != nil {
		return nil, err
	}
	var theirs []mgx.Queue
	for _, one := range all {
		if q.Access.may(ctx, actor, "read", access.Resource{Kind: readsOf[one.Kind]}) {
			theirs = append(theirs, one)
		}
	}
	if len(theirs) == 0 {
		return nil, q.Access.Authorize(ctx, actor, "read", access.Resource{Kind: "runs"})
	}
	return theirs, nil
}

// Endpoints lists the webhooks of the actor's workspace with what is left to send.
func (q *Queues) Endpoints(ctx context.Context, actor access.Actor) ([]mgx.Webhook, error) {
	if err := q.hooks(ctx, actor, "read", ""); err != nil {
		return nil, err
	}
	all, err := q.Store.Webhooks(ctx, actor.Workspace)
	for i, w := range all {
		all[i] = w.Shown()
	}
	return all, err
}

func (q *Queues) hooks(ctx context.Context, actor access.Actor, action string, id mgx.WebhookID) error {
	return q.Access.Authorize(ctx, actor, action, access.Resource{Kind: "webhooks", ID: string(id)})
}

// Undelivered lists what was not sent to an endpoint: dead letters and what is tried
// again, the newest event first, before a position (0: from the end).
func (q *Queues) Undelivered(ctx context.Context, actor access.Actor, id mgx.WebhookID, before int64, limit int) (mgx.Webhook, []mgx.WebhookDelivery, error) {
	if err := q.hooks(ctx, actor, "read", id); err != nil {
		return mgx.Webhook{}, nil, err
	}
	if !mgx.IsText(string(id)) {
		return mgx.Webhook{}, nil, noSuch("webhook", string(id))
	}
	hook, err := q.Store.Webhook(ctx, actor.Workspace, id)
	if err != nil {
		return hook, nil, err
	}
	all, err := q.Store.Deliveries(ctx, mgx.DeliveryQuery{
		Workspace: actor.Workspace, Webhook: id, Statuses: []mgx.DeliveryStatus{mgx.DeliveryDead, mgx.DeliveryPending}, Before: before, Limit: pageSize(limit),
	})
	return hook.Shown(), all, err
}

// Resend gives a delivery all its attempts again, the first one now; without an
// event every dead letter of the endpoint.
func (q *Queues) Resend(ctx context.Context, actor access.Actor, id mgx.WebhookID, event mgx.EventID) error {
	if err := q.hooks(ctx, actor, "execute", id); err != nil {
		return err
	}
	if !mgx.IsText(string(id), string(event)) {
		return noSuch("webhook", string(id))
	}
	if event != "" {
		return q.Store.RetryDelivery(ctx, actor.Workspace, id, event)
	}
	_, err := q.Store.RetryDead(ctx, actor.Workspace, id)
	return err
}

// installation is what it takes to see the readers of the log, or to do something.
func (q *Queues) installation(ctx context.Context, actor access.Actor, action string) error {
	return q.Access.Authorize(ctx, actor, action, access.Resource{Kind: "settings", Workspace: mgx.DefaultWorkspace})
}

// Keeps reports whether an actor may do something to the readers of the log.
func (q *Queues) Keeps(ctx context.Context, actor access.Actor, action string) bool {
	return actor.Workspace == mgx.DefaultWorkspace && q.Access.may(ctx, actor, action, access.Resource{Kind: "settings"})
}

// Readers lists the readers of the log inside MGX.
func (q *Queues) Readers(ctx context.Context, actor access.Actor) ([]mgx.Consumer, error) {
	if err := q.installation(ctx, actor, "read"); err != nil {
		return nil, err
	}
	return q.Store.Consumers(ctx)
}

// Letters lists the dead letters of a reader, the oldest event first, after a
// position.
func (q *Queues) Letters(ctx context.Context, actor access.Actor, name string, after int64, limit int) (mgx.Consumer, []mgx.DeadLetter, error) {
	if err := q.installation(ctx, actor, "read"); err != nil {
		return mgx.Consumer{}, nil, err
	}
	if !mgx.IsText(name) {
		return mgx.Consumer{}, nil, noSuch("reader", name)
	}
	reader, err := q.Store.Consumer(ctx, name)
	if err != nil {
		return reader, nil, err
	}
	all, err := q.Store.DeadLetters(ctx, name, after, pageSize(limit))
	return reader, all, err
}

// Reread has a reader try a dead letter again; without an event all of them.
func (q *Queues) Reread(ctx context.Context, actor access.Actor, name string, event mgx.EventID) error {
	if err := q.installation(ctx, actor, "manage"); err != nil {
		return err
	}
	if !mgx.IsText(name, string(event)) {
		return noSuch("reader", name)
	}
	_, err := q.Store.RetryDeadLetters(ctx, name, event)
	return err
}

// Discard gives a dead letter of a reader up for good.
func (q *Queues) Discard(ctx context.Context, actor access.Actor, name string, event mgx.EventID) error {
	if err := q.installation(ctx, actor, "manage"); err != nil {
		return err
	}
	if !mgx.IsText(name, string(event)) {
		return noSuch("reader", name)
	}
	return q.Store.DiscardDeadLetter(ctx, name, event)
}
