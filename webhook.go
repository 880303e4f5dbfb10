package mgx

import (
	"net/url"
	"time"
)

// WebhookID names an endpoint that events are sent to: whk_…
type WebhookID string

func NewWebhookID() WebhookID { return NewID[WebhookID]("whk") }

// Webhook is an address outside to which the events of one workspace are sent.
// Its secrets are not part of it: they are shown once and never read back.
type Webhook struct {
	ID          WebhookID   `json:"id"`
	Workspace   WorkspaceID `json:"workspace_id"`
	URL         string      `json:"url"`
	Description string      `json:"description,omitempty"`
	Types       []string    `json:"types,omitempty"`    // globs of event types; none: every type
	Channels    []string    `json:"channels,omitempty"` // as a subscriber names them; none: all of the workspace
	Enabled     bool        `json:"enabled"`
	DisabledWhy string      `json:"disabled_why,omitempty"`
	// FailingSince is when the first of the attempts failed of which none has
	// succeeded since; zero: the last one succeeded.
	FailingSince time.Time `json:"failing_since,omitzero"`
	Cursor       int64     `json:"cursor"` // position up to which the log has become deliveries
	CreatedAt    time.Time `json:"created_at"`
	UpdatedAt    time.Time `json:"updated_at"`

	Pending int64 `json:"pending"` // deliveries that are left to make
	Dead    int64 `json:"dead"`    // dead letters

	Lease WebhookLease `json:"-"` // as it stands, held or not
}

// Shown is the webhook as people see it, with [ShownAddress].
func (w Webhook) Shown() Webhook {
	w.URL = ShownAddress(w.URL)
	return w
}

// ShownAddress is what may be shown of the address of a webhook: the scheme and the
// host. Whoever has the rest can often send there themselves, as with those of chats.
func ShownAddress(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "":
		return "…"
	case u.RawQuery == "" && u.Path == "":
		return u.Scheme + "://" + u.Host
	case u.RawQuery == "" && u.Path == "/":
		return u.Scheme + "://" + u.Host + "/"
	}
	return u.Scheme + "://" + u.Host + "/…"
}

// WebhookLease is the right to deliver to one endpoint until it expires or a
// later term is given out.
type WebhookLease struct {
	Webhook WebhookID
	Owner   string // empty: nobody's
	Term    int64  // raised at every claim
	Until   time.Time
}

// DeliveryStatus is where a delivery stands.
type DeliveryStatus string

const (
	DeliveryPending   DeliveryStatus = "pending"
	DeliveryDelivered DeliveryStatus = "delivered"
	DeliveryDead      DeliveryStatus = "dead" // every attempt failed; kept until somebody retries it
)

// DeliveryStatuses are all of them.
var DeliveryStatuses = []DeliveryStatus{DeliveryPending, DeliveryDelivered, DeliveryDead}

// WebhookDelivery is one event on its way to one endpoint. The event's id names
// it, and is the webhook-id of every attempt.
type WebhookDelivery struct {
	Webhook  WebhookID      `json:"webhook_id"`
	Event    EventID        `json:"event_id"`
	Type     EventType      `json:"event_type"`
	Stream   StreamID       `json:"stream"`
	Position int64          `json:"position"`
	Status   DeliveryStatus `json:"status"`
	Attempts int            `json:"attempts"` // since it was made or retried by hand
	// NextAt is when the next attempt is due; zero: never, or not before the
	// event that precedes it in its stream is done with.
	NextAt    time.Time `json:"next_at,omitzero"`
	LastError string    `json:"last_error,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// WebhookAttempt is what came of sending one delivery once.
type WebhookAttempt struct {
	Event    EventID       `json:"event_id"`
	At       time.Time     `json:"at"`
	Duration time.Duration `json:"duration_ns"`
	Status   int           `json:"status,omitempty"`   // of HTTP; 0: there was no answer
	Error    string        `json:"error,omitempty"`    // why it counts as failed; empty: it succeeded
	Response string        `json:"response,omitempty"` // the beginning of the answer's body
	NextAt   time.Time     `json:"next_at,omitzero"`   // when the next attempt was planned for
}

// WebhookOutcome is what follows from an attempt, recorded together with it.
type WebhookOutcome struct {
	Workspace WorkspaceID // of the endpoint: its secrets are hidden in what was answered; empty: those of all
	Attempt   WebhookAttempt
	Status    DeliveryStatus // the delivery's from now on; pending: due at Attempt.NextAt
	Unsent    bool           // nothing was sent, so it says nothing about the endpoint
	Disable   string         // disables the endpoint, for this reason
	// FailingSince limits Disable to endpoints that have been failing since then
	// or longer; zero: any.
	FailingSince time.Time
	// Raise is stored if Disable disables the endpoint; nil: nothing is.
	Raise *Event
}

// WebhookDisabledData says that MGX stopped sending to an endpoint by itself.
type WebhookDisabledData struct {
	WebhookID    WebhookID `json:"webhook_id"`
	Reason       string    `json:"reason"` // answered_gone, failed_too_long
	FailingSince time.Time `json:"failing_since,omitzero"`
}

// WebhookSkippedData says that events were removed from the log before they were
// read for an endpoint, which may have been meant to get some of them.
type WebhookSkippedData struct {
	WebhookID WebhookID `json:"webhook_id"`
	UpTo      int64     `json:"up_to"` // position of the last one removed
}

// WebhookTestData is the data of a message that only tests an endpoint.
type WebhookTestData struct {
	WebhookID WebhookID `json:"webhook_id"`
}

// DeliveryQuery selects deliveries of one endpoint.
type DeliveryQuery struct {
	Workspace WorkspaceID // required
	Webhook   WebhookID   // required
	Statuses  []DeliveryStatus
	Failed    bool  // only those whose last attempt failed
	Before    int64 // a position: only what is before it; 0: all
	Limit     int   // 0: as many as the store lists at once
}
