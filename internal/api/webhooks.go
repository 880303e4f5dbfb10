package api

import (
	"context"
	"strconv"

	"mgx"
	"mgx/internal/event"
	"mgx/internal/webhook"
)

// Secrets are in two answers only: of adding an endpoint and of rotating its
// secret.

func (s *Server) webhookRoutes() []route {
	const group = "Webhooks"
	bad := codes{
		webhook.CodeBadAddress: 400, webhook.CodeAddressRefused: 400, "bad_webhook": 400, "bad_webhook_description": 400, event.CodeBadChannel: 400, event.CodeBadFilter: 400, "bad_position": 400,
		"too_many_webhooks": 400,
	}
	return []route{
		op("GET /api/v1/webhooks", to("read", "webhooks"), with(s.hooks, listWebhooks), about{ID: "listWebhooks", Group: group, Short: "List endpoints, by id"}),
		op("POST /api/v1/webhooks", to("create", "webhooks"), with(s.hooks, addWebhook), about{
			ID: "createWebhook", Group: group, Short: "Add an endpoint that events are sent to", Made: true, Kind: "webhook", Secret: true, Inside: "webhook", Codes: bad,
			Long: "The secret that requests are signed with is in this answer and never again. Of the address only scheme and host are shown from now on, and … for the rest.",
		}),
		op("GET /api/v1/webhooks/{id}", to("read", "webhooks"), with(s.hooks, getWebhook), about{ID: "getWebhook", Group: group, Short: "Show an endpoint", Kind: "webhook"}),
		op("PATCH /api/v1/webhooks/{id}", to("update", "webhooks"), with(s.hooks, changeWebhook), about{
			ID: "changeWebhook", Group: group, Short: "Change an endpoint", Long: "It holds for events that are not deliveries yet. What is not sent stays, and so does the address when it is sent as it is shown.",
			Kind: "webhook", Codes: bad,
		}),
		op("DELETE /api/v1/webhooks/{id}", to("delete", "webhooks"), with(s.hooks, removeWebhook), about{
			ID: "removeWebhook", Group: group, Short: "Remove an endpoint, with its deliveries", Kind: "webhook",
		}),
		op("POST /api/v1/webhooks/{id}/enable", to("update", "webhooks"), with(s.hooks, enableWebhook), about{
			ID: "enableWebhook", Group: group, Short: "Send to an endpoint again", Kind: "webhook",
		}),
		op("POST /api/v1/webhooks/{id}/disable", to("update", "webhooks"), with(s.hooks, disableWebhook), about{
			ID: "disableWebhook", Group: group, Short: "Send nothing to an endpoint for now", Kind: "webhook",
		}),
		op("POST /api/v1/webhooks/{id}/rotate", to("manage", "webhooks"), with(s.hooks, rotateWebhook), about{
			ID: "rotateWebhook", Group: group, Short: "Replace the secret of an endpoint", Once: true, Kind: "webhook", Secret: true,
			Long: "For a day requests are signed with both, unless the one before is revoked.", Codes: codes{"rotated_too_often": 400},
		}),
		op("POST /api/v1/webhooks/{id}/test", to("execute", "webhooks"), with(s.hooks, testWebhook), about{
			ID: "testWebhook", Group: group, Short: "Send an event made up for it, now, and say what came of it", Codes: codes{webhook.CodeBadAddress: 400, webhook.CodeAddressRefused: 400},
		}),
		op("POST /api/v1/webhooks/{id}/retry", to("execute", "webhooks"), with(s.hooks, retryDead), about{
			ID: "retryWebhook", Group: group, Short: "Try every dead letter of an endpoint again",
		}),
		op("GET /api/v1/webhooks/{id}/deliveries", to("read", "webhooks"), with(s.hooks, listDeliveries), about{
			ID: "listDeliveries", Group: group, Short: "List deliveries, the newest event first",
		}),
		op("GET /api/v1/webhooks/{id}/deliveries/{event}", to("read", "webhooks"), with(s.hooks, listAttempts), about{
			ID: "listAttempts", Group: group, Short: "List what came of one delivery so far",
		}),
		op("POST /api/v1/webhooks/{id}/deliveries/{event}/retry", to("execute", "webhooks"), with(s.hooks, retryDelivery), about{
			ID: "retryDelivery", Group: group, Short: "Try one dead letter again", Codes: codes{"nothing_to_retry": 400},
		}),
	}
}

// hooks are the endpoints of whoever asks, where there are any.
func (s *Server) hooks(ctx context.Context) (*webhook.Endpoints, error) {
	if s.o.Webhooks == nil {
		return nil, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "this server keeps no webhooks")
	}
	theirs := *s.o.Webhooks
	theirs.By, theirs.May = actor(ctx).Doer(), s.o.Access.Sends(actor(ctx))
	return &theirs, nil
}

type webhooksOut struct {
	Body struct {
		Webhooks []mgx.Webhook `json:"webhooks"`
	} `nameHint:"WebhookList"`
}

func listWebhooks(ctx context.Context, hooks *webhook.Endpoints, _ *none) (*webhooksOut, error) {
	all, err := hooks.List(ctx)
	out := &webhooksOut{}
	out.Body.Webhooks = every(all)
	return out, err
}

type newWebhook struct {
	URL         string   `json:"url" doc:"Where to: https, and not inside our own network" maxLength:"2000" example:"https://example.com/hook"`
	Description string   `json:"description,omitempty" doc:"What it is for" maxLength:"1000"`
	Types       []string `json:"types,omitempty" doc:"Patterns of types of events; without any, all" maxItems:"100" maxLength:"200" example:"[\"task.*\"]"`
	Channels    []string `json:"channels,omitempty" doc:"As subscribers name them; without any, all of the workspace" maxItems:"100" maxLength:"200"`
	Since       *int64   `json:"since,omitempty" doc:"The position after which events are sent, 0 or more; without it those from now on"`
}

type madeWebhook struct {
	Location string `header:"Location" doc:"Where it is"`
	Body     struct {
		Webhook mgx.Webhook `json:"webhook"`
		Secret  string      `json:"secret,omitempty" doc:"What requests are signed with, shown only in the first answer"`
	} `nameHint:"MadeWebhook"`
}

func addWebhook(ctx context.Context, hooks *webhook.Endpoints, in *struct{ Body newWebhook }) (*madeWebhook, error) {
	added, secret, err := hooks.Add(ctx, webhook.NewEndpoint(in.Body))
	out := &madeWebhook{Location: "/api/v1/webhooks/" + string(added.ID)}
	out.Body.Webhook, out.Body.Secret = added, secret
	return out, err
}

type webhookOut struct {
	Body mgx.Webhook
}

func getWebhook(ctx context.Context, hooks *webhook.Endpoints, in *At[mgx.WebhookID]) (*webhookOut, error) {
	found, err := hooks.Get(ctx, in.ID)
	return &webhookOut{found}, err
}

type webhookChange struct {
	URL         *string   `json:"url,omitempty" doc:"Where to" maxLength:"2000"`
	Description *string   `json:"description,omitempty" doc:"What it is for" maxLength:"1000"`
	Types       *[]string `json:"types,omitempty" doc:"Patterns of types of events; empty: all" maxItems:"100" maxLength:"200"`
	Channels    *[]string `json:"channels,omitempty" doc:"As subscribers name them; empty: all of the workspace" maxItems:"100" maxLength:"200"`
}

func changeWebhook(ctx context.Context, hooks *webhook.Endpoints, in *struct {
	At[mgx.WebhookID]
	Body webhookChange
},
) (*webhookOut, error) {
	changed, err := hooks.Update(ctx, in.ID, webhook.Change(in.Body))
	return &webhookOut{changed}, err
}

func removeWebhook(ctx context.Context, hooks *webhook.Endpoints, in *At[mgx.WebhookID]) (*none, error) {
	return &none{}, hooks.Remove(ctx, in.ID)
}

func enableWebhook(ctx context.Context, hooks *webhook.Endpoints, in *struct {
	At[mgx.WebhookID]
	Body *struct {
		Skip bool `json:"skip,omitempty" doc:"Leave out what happened in between"`
	} `nameHint:"Enabling"`
},
) (*none, error) {
	return &none{}, hooks.Enable(ctx, in.ID, in.Body != nil && in.Body.Skip)
}

func disableWebhook(ctx context.Context, hooks *webhook.Endpoints, in *At[mgx.WebhookID]) (*none, error) {
	return &none{}, hooks.Disable(ctx, in.ID)
}

func rotateWebhook(ctx context.Context, hooks *webhook.Endpoints, in *struct {
	At[mgx.WebhookID]
	Body *struct {
		Revoke bool `json:"revoke,omitempty" doc:"The secret before is worthless at once"`
	} `nameHint:"WebhookRotation"`
},
) (*secretOut, error) {
	secret, err := hooks.Rotate(ctx, in.ID, in.Body != nil && in.Body.Revoke)
	out := &secretOut{}
	out.Body.Secret = secret
	return out, err
}

type attemptOut struct {
	Body mgx.WebhookAttempt
}

func testWebhook(ctx context.Context, hooks *webhook.Endpoints, in *At[mgx.WebhookID]) (*attemptOut, error) {
	a, err := hooks.Test(ctx, in.ID)
	return &attemptOut{a}, err
}

type deliveriesIn struct {
	At[mgx.WebhookID]
	Status []string `query:"status" doc:"Only those that stand so; several with commas or by naming it several times" enum:"pending,delivered,dead" maxItems:"3" uniqueItems:"true"`
	Failed bool     `query:"failed" doc:"Only those of which an attempt failed"`
	Limit  int      `query:"limit" doc:"How many at most" minimum:"1" maximum:"1000" default:"100"`
	Page   string   `query:"page_token" doc:"The next_page_token of the page before" maxLength:"200"`
}

type deliveriesOut struct {
	Body struct {
		Deliveries []mgx.WebhookDelivery `json:"deliveries"`
		Next       string                `json:"next_page_token,omitempty" doc:"Of the next page, if there may be one"`
	} `nameHint:"DeliveryPage"`
}

func listDeliveries(ctx context.Context, hooks *webhook.Endpoints, in *deliveriesIn) (*deliveriesOut, error) {
	q := mgx.DeliveryQuery{Webhook: in.ID, Failed: in.Failed, Limit: in.Limit}
	for _, one := range in.Status {
		q.Statuses = append(q.Statuses, mgx.DeliveryStatus(one))
	}
	if in.Page != "" {
		var err error
		if q.Before, err = strconv.ParseInt(in.Page, 36, 64); err != nil || q.Before < 1 {
			return nil, badQuery("page_token is the next_page_token of another page")
		}
	}
	all, err := hooks.Deliveries(ctx, q)
	out := &deliveriesOut{}
	out.Body.Deliveries = every(all)
	if len(all) == q.Limit {
		out.Body.Next = strconv.FormatInt(all[len(all)-1].Position, 36)
	}
	return out, err
}

// OfEvent is the path of what became of an event.
type OfEvent struct {
	At[mgx.WebhookID]
	Event mgx.EventID `path:"event" doc:"Id of the event" maxLength:"200"`
}

type attemptsOut struct {
	Body struct {
		Attempts []mgx.WebhookAttempt `json:"attempts"`
	} `nameHint:"AttemptList"`
}

func listAttempts(ctx context.Context, hooks *webhook.Endpoints, in *OfEvent) (*attemptsOut, error) {
	all, err := hooks.Attempts(ctx, in.ID, in.Event)
	out := &attemptsOut{}
	out.Body.Attempts = every(all)
	return out, err
}

func retryDelivery(ctx context.Context, hooks *webhook.Endpoints, in *OfEvent) (*none, error) {
	return &none{}, hooks.Retry(ctx, in.ID, in.Event)
}

// retriedOut is how many are tried again.
type retriedOut struct {
	Body struct {
		Retried int64 `json:"retried" doc:"How many are tried again"`
	} `nameHint:"Retried"`
}

func retried(n int64) *retriedOut {
	out := &retriedOut{}
	out.Body.Retried = n
	return out
}

func retryDead(ctx context.Context, hooks *webhook.Endpoints, in *At[mgx.WebhookID]) (*retriedOut, error) {
	n, err := hooks.RetryDead(ctx, in.ID)
	return retried(n), err
}
