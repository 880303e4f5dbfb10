package webhook

import (
	"context"
	"time"

	"mgx"
)

// Overlap is how long a replaced secret goes on signing.
const Overlap = 24 * time.Hour

// TestEvent is the type of the message that Test sends. It is in no log.
const TestEvent = mgx.WebhookTest

// Endpoints is what people do with the endpoints of one workspace.
type Endpoints struct {
	By    mgx.Doer // who acts, in whose workspace
	Store EndpointStore
	Guard Guard
	// May refuses to send what an endpoint asks for on behalf of By; nil: nothing is
	// refused.
	May func(context.Context, mgx.Webhook) error
}

// NewEndpoint is what it takes to add an endpoint.
type NewEndpoint struct {
	URL         string   `json:"url"`
	Description string   `json:"description"`
	Types       []string `json:"types"`
	Channels    []string `json:"channels"`
	// Since is the position after which events are sent; nil: those from now on.
	Since *int64 `json:"since"`
}

// Add stores an endpoint and returns it with its secret, which is not shown
// again. No endpoint is returned with more of its address than [mgx.ShownAddress].
func (s Endpoints) Add(ctx context.Context, n NewEndpoint) (w mgx.Webhook, secret string, err error) {
	w = mgx.Webhook{ID: mgx.NewWebhookID(), Workspace: s.By.Workspace, URL: n.URL, Types: n.Types, Channels: n.Channels, Cursor: -1}
	if n.Since != nil {
		if w.Cursor = *n.Since; w.Cursor < 0 {
			return w.Shown(), "", mgx.Errorf(mgx.KindUsage, "bad_position", "a webhook begins after a position of 0 or more, not %d", w.Cursor)
		}
	}
	if err := describe(&w, n.Description); err != nil {
		return w.Shown(), "", err
	}
	if err := s.check(ctx, w); err != nil {
		return w.Shown(), "", err
	}
	secret = NewSecret()
	if err := s.Store.CreateWebhook(ctx, s.By, w, secret); err != nil {
		return w.Shown(), "", err
	}
	w, err = s.Get(ctx, w.ID)
	return w, secret, err
}

// check refuses an endpoint that cannot be, or that By may not have sent to.
func (s Endpoints) check(ctx context.Context, w mgx.Webhook) error {
	if err := s.Guard.checkWebhook(w); err != nil || s.May == nil {
		return err
	}
	return s.May(ctx, w)
}

// known refuses what sends more to an endpoint of which By may not have all.
func (s Endpoints) known(ctx context.Context, id mgx.WebhookID) error {
	if s.May == nil {
		return nil
	}
	w, err := s.whole(ctx, id)
	if err != nil {
		return err
	}
	return s.May(ctx, w)
}

func (s Endpoints) List(ctx context.Context) ([]mgx.Webhook, error) {
	all, err := s.Store.Webhooks(ctx, s.By.Workspace)
	for i, w := range all {
		all[i] = w.Shown()
	}
	return all, err
}

func (s Endpoints) Get(ctx context.Context, id mgx.WebhookID) (mgx.Webhook, error) {
	w, err := s.whole(ctx, id)
	return w.Shown(), err
}

// whole is an endpoint with its address.
func (s Endpoints) whole(ctx context.Context, id mgx.WebhookID) (mgx.Webhook, error) {
	return s.Store.Webhook(ctx, s.By.Workspace, id)
}

// Change says what to change about an endpoint; nil leaves a thing as it is.
type Change struct {
	URL         *string   `json:"url"`
	Description *string   `json:"description"`
	Types       *[]string `json:"types"`
	Channels    *[]string `json:"channels"`
}

// Update changes an endpoint's settings, for the events that are not deliveries
// yet. The address as it is shown stands for the one that there is. Who changes it may
// have all that is sent to it as it was, too: what waits goes to where it is then.
func (s Endpoints) Update(ctx context.Context, id mgx.WebhookID, c Change) (mgx.Webhook, error) {
	if err := s.known(ctx, id); err != nil {
		return mgx.Webhook{}, err
	}
	w, err := s.whole(ctx, id)
	if err != nil {
		return w.Shown(), err
	}
	if c.URL != nil && *c.URL != mgx.ShownAddress(w.URL) {
		w.URL = *c.URL
	}
	set(&w.Types, c.Types)
	set(&w.Channels, c.Channels)
	if c.Description != nil {
		if err := describe(&w, *c.Description); err != nil {
			return w.Shown(), err
		}
	}
	if err := s.check(ctx, w); err != nil {
		return w.Shown(), err
	}
	if err := s.Store.UpdateWebhook(ctx, s.By, w); err != nil {
		return w.Shown(), err
	}
	return s.Get(ctx, id)
}

func set[T any](to *T, v *T) {
	if v != nil {
		*to = *v
	}
}

// Enable makes an endpoint go on: with everything since it stopped, or, with
// skip, only with what happens from now on.
func (s Endpoints) Enable(ctx context.Context, id mgx.WebhookID, skip bool) error {
	if err := s.known(ctx, id); err != nil {
		return err
	}
	return s.Store.EnableWebhook(ctx, s.By, s.By.Workspace, id, skip)
}

// Disable stops deliveries. The log keeps what happens meanwhile.
func (s Endpoints) Disable(ctx context.Context, id mgx.WebhookID) error {
	return s.Store.DisableWebhook(ctx, s.By, s.By.Workspace, id, "disabled by hand")
}

func (s Endpoints) Remove(ctx context.Context, id mgx.WebhookID) error {
	return s.Store.RemoveWebhook(ctx, s.By, s.By.Workspace, id)
}

// Rotate gives an endpoint a new secret, which is not shown again. Messages are
// signed with the old ones too for [Overlap], or, with revoke, no longer.
func (s Endpoints) Rotate(ctx context.Context, id mgx.WebhookID, revoke bool) (secret string, err error) {
	overlap := Overlap
	if revoke {
		overlap = 0
	}
	secret = NewSecret()
	if err := s.Store.RotateWebhookSecret(ctx, s.By, s.By.Workspace, id, secret, overlap); err != nil {
		return "", err
	}
	return secret, nil
}

// Deliveries lists deliveries of an endpoint, the newest event first.
func (s Endpoints) Deliveries(ctx context.Context, q mgx.DeliveryQuery) ([]mgx.WebhookDelivery, error) {
	q.Workspace = s.By.Workspace
	return s.Store.Deliveries(ctx, q)
}

// Attempts lists what came of a delivery so far, oldest first.
func (s Endpoints) Attempts(ctx context.Context, id mgx.WebhookID, e mgx.EventID) ([]mgx.WebhookAttempt, error) {
	return s.Store.Attempts(ctx, s.By.Workspace, id, e)
}

// Retry gives one delivery all its attempts again, the first one now.
func (s Endpoints) Retry(ctx context.Context, id mgx.WebhookID, e mgx.EventID) error {
	if err := s.known(ctx, id); err != nil {
		return err
	}
	return s.Store.RetryDelivery(ctx, s.By.Workspace, id, e)
}

// RetryDead does that for every dead letter and returns how many there were.
func (s Endpoints) RetryDead(ctx context.Context, id mgx.WebhookID) (int64, error) {
	if err := s.known(ctx, id); err != nil {
		return 0, err
	}
	return s.Store.RetryDead(ctx, s.By.Workspace, id)
}

// Test sends one message of type [TestEvent] now, also to a disabled endpoint,
// and returns what came of it. Nothing is recorded.
func (s Endpoints) Test(ctx context.Context, id mgx.WebhookID) (mgx.WebhookAttempt, error) {
	w, err := s.whole(ctx, id)
	if err != nil {
		return mgx.WebhookAttempt{}, err
	}
	secrets, err := s.Store.WebhookSecrets(ctx, id)
	if err != nil {
		return mgx.WebhookAttempt{}, err
	}
	m, err := envelope(testEvent(w))
	if err != nil {
		return mgx.WebhookAttempt{}, err
	}
	out := newSender(s.Guard)
	defer out.close()
	return out.send(ctx, w.URL, secrets, m).attempt, nil
}

func testEvent(w mgx.Webhook) mgx.Event {
	e := mgx.NewEvent(TestEvent, mgx.WebhookTestData{WebhookID: w.ID})
	e.Version, e.Workspace, e.Stream = "1.0.0", w.Workspace, mgx.StreamID(w.ID)
	return e
}
