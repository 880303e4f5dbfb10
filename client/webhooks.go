package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"mgx"
)

// Webhooks are the addresses that the events of the workspace are sent to.
type Webhooks struct{ c *Client }

// Webhooks is what can be done with webhooks.
func (c *Client) Webhooks() Webhooks { return Webhooks{c} }

// NewWebhook is what it takes to add an address.
type NewWebhook struct {
	URL         string   `json:"url"`
	Description string   `json:"description,omitempty"`
	Types       []string `json:"types,omitempty"`
	Channels    []string `json:"channels,omitempty"`
	Since       *int64   `json:"since,omitempty"` // the position after which events are sent; nil: those from now on
}

// Add adds an address and returns it with its secret, which is not shown again.
func (h Webhooks) Add(ctx context.Context, n NewWebhook) (mgx.Webhook, string, error) {
	var made struct {
		Webhook mgx.Webhook `json:"webhook"`
		Secret  string      `json:"secret"`
	}
	err := h.c.send(ctx, http.MethodPost, "/api/v1/webhooks", nil, n, &made)
	return made.Webhook, made.Secret, err
}

// List lists them.
func (h Webhooks) List(ctx context.Context) ([]mgx.Webhook, error) {
	return pages[mgx.Webhook](ctx, h.c, "/api/v1/webhooks", "webhooks")
}

// WebhookChange is what of an address is to be another. What is nil stays.
type WebhookChange struct {
	URL         *string   `json:"url,omitempty"`
	Description *string   `json:"description,omitempty"`
	Types       *[]string `json:"types,omitempty"`    // empty: all
	Channels    *[]string `json:"channels,omitempty"` // empty: all of the workspace
}

// Update changes one, for the events that are not deliveries yet.
func (h Webhooks) Update(ctx context.Context, id mgx.WebhookID, change WebhookChange) (w mgx.Webhook, err error) {
	return w, h.c.send(ctx, http.MethodPatch, hookPath(id), nil, change, &w)
}

// Enable makes one go on: with everything since it stopped, or, with skip, only
// with what happens from now on.
func (h Webhooks) Enable(ctx context.Context, id mgx.WebhookID, skip bool) error {
	return h.post(ctx, id, "/enable", map[string]bool{"skip": skip}, nil)
}

// Disable stops deliveries. The log keeps what happens meanwhile.
func (h Webhooks) Disable(ctx context.Context, id mgx.WebhookID) error {
	return h.post(ctx, id, "/disable", nil, nil)
}

// Remove forgets one, with its secrets and deliveries.
func (h Webhooks) Remove(ctx context.Context, id mgx.WebhookID) error {
	return h.c.send(ctx, http.MethodDelete, hookPath(id), nil, nil, nil)
}

// Rotate gives one a new secret, which is not shown again. With revoke messages
// are no longer signed with the one before.
func (h Webhooks) Rotate(ctx context.Context, id mgx.WebhookID, revoke bool) (string, error) {
	var made struct {
		Secret string `json:"secret"`
	}
	err := h.post(ctx, id, "/rotate", map[string]bool{"revoke": revoke}, &made)
	return made.Secret, err
}

// Test sends a test message now and returns what came of it.
func (h Webhooks) Test(ctx context.Context, id mgx.WebhookID) (a mgx.WebhookAttempt, err error) {
	return a, h.post(ctx, id, "/test", nil, &a)
}

// deliveriesPage is how many deliveries come at once, and as many as there are
// when the query names no limit.
const deliveriesPage = 1000

// Deliveries lists deliveries of one webhook, the newest event first, as far as
// the query's limit.
func (h Webhooks) Deliveries(ctx context.Context, q mgx.DeliveryQuery) ([]mgx.WebhookDelivery, error) {
	most := q.Limit
	if most <= 0 {
		most = deliveriesPage
	}
	v := url.Values{"limit": {strconv.Itoa(min(most, deliveriesPage))}}
	if q.Failed {
		v.Set("failed", "true")
	}
	for _, s := range q.Statuses {
		v.Add("status", string(s))
	}
	return first(most, each[mgx.WebhookDelivery](ctx, h.c, hookPath(q.Webhook)+"/deliveries", "deliveries", v))
}

// Attempts lists what came of a delivery so far, oldest first.
func (h Webhooks) Attempts(ctx context.Context, id mgx.WebhookID, e mgx.EventID) ([]mgx.WebhookAttempt, error) {
	return pages[mgx.WebhookAttempt](ctx, h.c, hookPath(id)+"/deliveries/"+url.PathEscape(string(e)), "attempts")
}

// Retry gives one delivery all its attempts again, the first one now.
func (h Webhooks) Retry(ctx context.Context, id mgx.WebhookID, e mgx.EventID) error {
	return h.post(ctx, id, "/deliveries/"+url.PathEscape(string(e))+"/retry", nil, nil)
}

// RetryDead does that for every dead letter and returns how many there were.
func (h Webhooks) RetryDead(ctx context.Context, id mgx.WebhookID) (int64, error) {
	var done retried
	err := h.post(ctx, id, "/retry", nil, &done)
	return done.N, err
}

type retried struct {
	N int64 `json:"retried"`
}

func hookPath(id mgx.WebhookID) string { return "/api/v1/webhooks/" + url.PathEscape(string(id)) }

func (h Webhooks) post(ctx context.Context, id mgx.WebhookID, what string, body, into any) error {
	return h.c.send(ctx, http.MethodPost, hookPath(id)+what, nil, body, into)
}
