package web

import (
	"strconv"
	"strings"

	"mgx"
	"mgx/internal/webhook"
)

// webhooksPage is where events are sent to.
type webhooksPage struct {
	sheetPage
	Webhooks []mgx.Webhook
	Create   bool
}

// webhookPage is one of those addresses, with what was sent there.
type webhookPage struct {
	sheetPage
	Webhook    mgx.Webhook
	Seen       int64 // its revision
	Types      string
	Channels   string
	Statuses   []filter
	Deliveries []deliveryLine
	Older      string
	Newer      string
	Tested     *mgx.WebhookAttempt

	Update, Remove, Execute, Manage bool
}

// deliveryLine is a delivery, with its attempts where they were asked for.
type deliveryLine struct {
	mgx.WebhookDelivery
	Path  string // where its attempts are shown
	Tries []mgx.WebhookAttempt
}

// Retry reports whether it can be tried again now.
func (d deliveryLine) Retry() bool {
	return d.Status == mgx.DeliveryDead || d.Status == mgx.DeliveryPending && d.Attempts > 0 && !d.NextAt.IsZero()
}

const deliveriesAtOnce = 50

var (
	readsWebhooks    = need{action: "read", kind: "webhooks"}
	createsWebhooks  = need{action: "create", kind: "webhooks"}
	updatesWebhooks  = need{action: "update", kind: "webhooks"}
	deletesWebhooks  = need{action: "delete", kind: "webhooks"}
	managesWebhooks  = need{action: "manage", kind: "webhooks"}
	executesWebhooks = need{action: "execute", kind: "webhooks"}
)

// hooks are the endpoints of the reader's workspace.
func (v *visit) hooks() webhook.Endpoints {
	theirs := *v.site.o.Settings.Webhooks
	theirs.By, theirs.May = v.Actor.Doer(), v.site.o.Access.Sends(v.Actor)
	return theirs
}

func webhooks(v *visit, f *form) (page, error) {
	d := &webhooksPage{sheetPage: v.sheetPage("webhooks", f), Create: v.meets(createsWebhooks)}
	var err error
	if d.Webhooks, err = v.hooks().List(v.Context()); err != nil {
		return page{}, err
	}
	return v.settingsPage("webhooks", "set.webhooks", "mgx webhooks\nmgx webhooks add https://example.com/hook --type 'task.*'", d), nil
}

// oneWebhook shows an endpoint, its settings and its deliveries.
func oneWebhook(v *visit, f *form) (page, error) {
	id := mgx.WebhookID(v.PathValue("id"))
	d := &webhookPage{
		sheetPage: v.sheetPage("webhooks", f), Update: v.meets(updatesWebhooks), Remove: v.meets(deletesWebhooks), Execute: v.meets(executesWebhooks), Manage: v.meets(managesWebhooks),
	}
	seen, err := v.revisions("webhook", string(id))
	if err != nil {
		return page{}, err
	}
	d.Seen = seen[string(id)]
	if d.Webhook, err = v.hooks().Get(v.Context(), id); mgx.IsCode(err, mgx.CodeNotFound) && f.Moved {
		f.Name, f.Wrong = "webhook", v.site.t("set.webhook.wasremoved") // what was typed can make it anew
		return webhooks(v, f)
	} else if err != nil {
		return page{}, err
	}
	d.Types, d.Channels = strings.Join(d.Webhook.Types, " "), strings.Join(d.Webhook.Channels, " ")
	d.Tested, _ = f.Data.(*mgx.WebhookAttempt)
	if err := fillDeliveries(v, d); err != nil {
		return page{}, err
	}
	return v.settingsPage("webhook", "set.webhook", "mgx webhooks deliveries "+string(id)+"\nmgx webhooks test "+string(id)+"\nmgx webhooks retry "+string(id)+" --dead", d), nil
}

// fillDeliveries shows what was sent, the newest event first, and all attempts of one
// that the address names.
func fillDeliveries(v *visit, d *webhookPage) error {
	q, here := v.URL.Query(), under("/settings/webhooks", string(d.Webhook.ID))
	ask := mgx.DeliveryQuery{Webhook: d.Webhook.ID, Limit: deliveriesAtOnce + 1}
	status := q.Get("status")
	for _, one := range []mgx.DeliveryStatus{"", mgx.DeliveryPending, mgx.DeliveryDelivered, mgx.DeliveryDead} {
		d.Statuses = append(d.Statuses, filter{Name: v.site.t("set.delivery." + string(one)), Path: here + with1(nil, "status", string(one)), Here: string(one) == status})
		if one != "" && string(one) == status {
			ask.Statuses = []mgx.DeliveryStatus{one}
		}
	}
	if text := q.Get("before"); text != "" {
		var err error
		if ask.Before, err = strconv.ParseInt(text, 10, 64); err != nil || ask.Before < 1 {
			return mgx.Errorf(mgx.KindUsage, "bad_page", "A page of deliveries begins before the position of an event, not %q.", middle(20, text))
		}
		d.Newer = here + with1(q, "before", "")
	}
	all, err := v.hooks().Deliveries(v.Context(), ask)
	if err != nil {
		return err
	}
	if len(all) > deliveriesAtOnce {
		all = all[:deliveriesAtOnce]
		d.Older = here + with1(q, "before", strconv.FormatInt(all[deliveriesAtOnce-1].Position, 10))
	}
	for _, one := range all {
		line := deliveryLine{WebhookDelivery: one, Path: here + with1(q, "event", string(one.Event)) + "#" + string(one.Event)}
		if q.Get("event") == string(one.Event) {
			if line.Tries, err = v.hooks().Attempts(v.Context(), d.Webhook.ID, one.Event); err != nil {
				return err
			}
		}
		d.Deliveries = append(d.Deliveries, line)
	}
	return nil
}

func (s *site) webhookActs(m *mux) {
	m.Handle("POST /settings/webhooks", s.act("webhook", createsWebhooks, addWebhook, readsWebhooks, webhooks))
	m.Handle("GET /settings/webhooks/{id}", s.sheet(readsWebhooks, oneWebhook))
	of := func(path, name string, takes need, do deed) {
		m.Handle("POST /settings/webhooks/{id}"+path, s.act(name, takes, do, readsWebhooks, oneWebhook))
	}
	of("", "change", updatesWebhooks, changeWebhook)
	of("/enable", "enable", updatesWebhooks, enableWebhook)
	of("/disable", "disable", updatesWebhooks, disableWebhook)
	of("/rotate", "rotate", managesWebhooks, rotateWebhook)
	of("/test", "test", executesWebhooks, testWebhook)
	of("/retry", "retry", executesWebhooks, retryDead)
	of("/deliveries/{event}/retry", "retry", executesWebhooks, retryDelivery)
	m.Handle("POST /settings/webhooks/{id}/remove", s.act("remove", deletesWebhooks, removeWebhook, readsWebhooks, oneWebhook))
}

func addWebhook(v *visit) (outcome, error) {
	w, secret, err := v.hooks().Add(v.Context(), webhook.NewEndpoint{URL: v.text("url"), Description: v.text("description"), Types: spaced(v.text("types")), Channels: spaced(v.text("channels"))})
	if err != nil {
		return outcome{}, err
	}
	return v.webhookMade(v.site.t("set.webhook.made"), w.ID, secret), nil
}

// webhookMade shows what requests are signed with, in this answer alone.
func (v *visit) webhookMade(title string, id mgx.WebhookID, secret string) outcome {
	return outcome{Once: &once{Title: title, Text: v.site.t("set.webhook.made.text"), Value: secret, Command: "mgx webhooks test " + string(id)}}
}

func (v *visit) hookID() mgx.WebhookID { return mgx.WebhookID(v.PathValue("id")) }

func (v *visit) hookPath() string { return under("/settings/webhooks", v.PathValue("id")) }

func changeWebhook(v *visit) (outcome, error) {
	url, about, types, channels := v.text("url"), v.text("description"), spaced(v.text("types")), spaced(v.text("channels"))
	if _, err := v.hooks().Update(v.upon("webhook", v.PathValue("id")), v.hookID(), webhook.Change{URL: &url, Description: &about, Types: &types, Channels: &channels}); mgx.IsCode(err, mgx.CodeNotFound) {
		return outcome{}, mgx.Errorf(mgx.KindUsage, mgx.CodeChanged, "%w", err)
	} else if err != nil {
		return outcome{}, err
	}
	return done(v.hookPath(), "webhook")
}

func enableWebhook(v *visit) (outcome, error) {
	if err := v.hooks().Enable(v.Context(), v.hookID(), v.text("skip") != ""); err != nil {
		return outcome{}, err
	}
	return done(v.hookPath(), "enabled")
}

func disableWebhook(v *visit) (outcome, error) {
	if err := v.hooks().Disable(v.Context(), v.hookID()); err != nil {
		return outcome{}, err
	}
	return done(v.hookPath(), "disabled")
}

func rotateWebhook(v *visit) (outcome, error) {
	secret, err := v.hooks().Rotate(v.Context(), v.hookID(), v.text("revoke") != "")
	if err != nil {
		return outcome{}, err
	}
	return v.webhookMade(v.site.t("set.webhook.rotated"), v.hookID(), secret), nil
}

func testWebhook(v *visit) (outcome, error) {
	a, err := v.hooks().Test(v.Context(), v.hookID())
	if err != nil {
		return outcome{}, err
	}
	return outcome{Data: &a}, nil
}

func retryDead(v *visit) (outcome, error) {
	if _, err := v.hooks().RetryDead(v.Context(), v.hookID()); err != nil {
		return outcome{}, err
	}
	return done(v.hookPath(), "retried")
}

func retryDelivery(v *visit) (outcome, error) {
	if err := v.hooks().Retry(v.Context(), v.hookID(), mgx.EventID(v.PathValue("event"))); err != nil {
		return outcome{}, err
	}
	return done(v.hookPath(), "retried")
}

func removeWebhook(v *visit) (outcome, error) {
	if err := v.hooks().Remove(v.upon("webhook", v.PathValue("id")), v.hookID()); err != nil {
		return outcome{}, err
	}
	return done("/settings/webhooks", "webhookgone")
}
