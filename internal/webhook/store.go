package webhook

import (
	"context"
	"time"

	"mgx"
)

// Log is where events are read from; *store.Store is one. Its methods are those
// of event.Source.
type Log interface {
	EventsAfter(ctx context.Context, ws mgx.WorkspaceID, stream mgx.StreamID, run mgx.RunID, types []string, position int64, limit int) ([]mgx.Event, error)
	// Removed returns the greatest position of an event of a workspace that was
	// removed; 0: none was.
	Removed(ctx context.Context, ws mgx.WorkspaceID, stream mgx.StreamID) (int64, error)
	Head(ctx context.Context) (int64, error)
	Changed() <-chan struct{}
	Version(ctx context.Context) (int64, error)
}

// DeliveryStore is what the deliverer keeps its work in; *store.Store documents
// and is one. Everything that takes a lease fails with mgx.CodeFenced when the
// lease is lost, and then has changed nothing.
type DeliveryStore interface {
	Log
	Commit(ctx context.Context, c mgx.Change) (mgx.Committed, error)
	ActiveWebhooks(ctx context.Context) ([]mgx.Webhook, error)
	WebhookSecrets(ctx context.Context, id mgx.WebhookID) ([]string, error)

	ClaimWebhook(ctx context.Context, seen mgx.WebhookLease, owner string, until time.Time) (mgx.WebhookLease, bool, error)
	RenewWebhooks(ctx context.Context, owner string, until time.Time, read map[mgx.WebhookID]int64) error
	ReleaseWebhook(ctx context.Context, l mgx.WebhookLease, cursor int64) error

	AddDeliveries(ctx context.Context, l mgx.WebhookLease, events []mgx.Event, cursor int64) error
	DueDeliveries(ctx context.Context, id mgx.WebhookID, now time.Time, limit int) ([]mgx.WebhookDelivery, error)
	NextDelivery(ctx context.Context, id mgx.WebhookID, after time.Time) (at time.Time, ok bool, err error)
	PendingDeliveries(ctx context.Context, id mgx.WebhookID) (int, error)
	DeliveriesLeft(ctx context.Context, ws mgx.WorkspaceID) (int, error)
	RecordDelivery(ctx context.Context, l mgx.WebhookLease, o mgx.WebhookOutcome) (disabled bool, err error)
	PruneDeliveries(ctx context.Context, l mgx.WebhookLease, delivered, dead time.Time, keep int) (lost int64, err error)
}

// EndpointStore is what people's doings are kept in; *store.Store documents and
// is one.
type EndpointStore interface {
	CreateWebhook(ctx context.Context, by mgx.Doer, w mgx.Webhook, secret string) error
	Webhook(ctx context.Context, ws mgx.WorkspaceID, id mgx.WebhookID) (mgx.Webhook, error)
	Webhooks(ctx context.Context, ws mgx.WorkspaceID) ([]mgx.Webhook, error)
	UpdateWebhook(ctx context.Context, by mgx.Doer, w mgx.Webhook) error
	EnableWebhook(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.WebhookID, skip bool) error
	DisableWebhook(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.WebhookID, why string) error
	RemoveWebhook(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.WebhookID) error
	WebhookSecrets(ctx context.Context, id mgx.WebhookID) ([]string, error)
	RotateWebhookSecret(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.WebhookID, secret string, overlap time.Duration) error
	Deliveries(ctx context.Context, q mgx.DeliveryQuery) ([]mgx.WebhookDelivery, error)
	Attempts(ctx context.Context, ws mgx.WorkspaceID, id mgx.WebhookID, event mgx.EventID) ([]mgx.WebhookAttempt, error)
	RetryDelivery(ctx context.Context, ws mgx.WorkspaceID, id mgx.WebhookID, event mgx.EventID) error
	RetryDead(ctx context.Context, ws mgx.WorkspaceID, id mgx.WebhookID) (int64, error)
}
