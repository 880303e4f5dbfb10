package api

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"

	"mgx"
	"mgx/internal/webhook"
)

// Secrets are in two answers only: of adding an endpoint and of rotating its
// secret.

// hooks are the endpoints of whoever asks, where there are any.
func (s *Server) hooks(r *http.Request) (*webhook.Endpoints, error) {
	if s.o.Webhooks == nil {
		return nil, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "this server keeps no webhooks")
	}
	theirs := *s.o.Webhooks
	theirs.By = actorOf(r).Doer()
	return &theirs, nil
}

// hooked makes a handler of one that works on the endpoint in the path.
func (s *Server) hooked(f func(w http.ResponseWriter, r *http.Request, hooks *webhook.Endpoints, id mgx.WebhookID) error) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		hooks, err := s.hooks(r)
		if err != nil {
			return err
		}
		return f(w, r, hooks, mgx.WebhookID(r.PathValue("id")))
	}
}

func (s *Server) getWebhooks(w http.ResponseWriter, r *http.Request) error {
	hooks, err := s.hooks(r)
	if err != nil {
		return err
	}
	all, err := hooks.List(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]any{"webhooks": append([]mgx.Webhook{}, all...)})
}

// postWebhook adds an endpoint. Its secret is in the answer and never again.
func (s *Server) postWebhook(w http.ResponseWriter, r *http.Request) error {
	hooks, err := s.hooks(r)
	if err != nil {
		return err
	}
	var n webhook.NewEndpoint
	if err := readJSON(r, &n); err != nil {
		return err
	}
	added, secret, err := hooks.Add(r.Context(), n)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Location", "/api/v1/webhooks/"+string(added.ID))
	w.WriteHeader(http.StatusCreated)
	return writeJSON(w, map[string]any{"webhook": added, "secret": secret})
}

func getWebhook(w http.ResponseWriter, r *http.Request, hooks *webhook.Endpoints, id mgx.WebhookID) error {
	found, err := hooks.Get(r.Context(), id)
	if err != nil {
		return err
	}
	return writeJSON(w, found)
}

func patchWebhook(w http.ResponseWriter, r *http.Request, hooks *webhook.Endpoints, id mgx.WebhookID) error {
	var c webhook.Change
	if err := readJSON(r, &c); err != nil {
		return err
	}
	changed, err := hooks.Update(r.Context(), id, c)
	if err != nil {
		return err
	}
	return writeJSON(w, changed)
}

func deleteWebhook(w http.ResponseWriter, r *http.Request, hooks *webhook.Endpoints, id mgx.WebhookID) error {
	return done(w, hooks.Remove(r.Context(), id))
}

func enableWebhook(w http.ResponseWriter, r *http.Request, hooks *webhook.Endpoints, id mgx.WebhookID) error {
	var how struct {
		Skip bool `json:"skip"`
	}
	if err := readJSON(r, &how); err != nil {
		return err
	}
	return done(w, hooks.Enable(r.Context(), id, how.Skip))
}

func disableWebhook(w http.ResponseWriter, r *http.Request, hooks *webhook.Endpoints, id mgx.WebhookID) error {
	return done(w, hooks.Disable(r.Context(), id))
}

// rotateWebhook answers with the new secret, once.
func rotateWebhook(w http.ResponseWriter, r *http.Request, hooks *webhook.Endpoints, id mgx.WebhookID) error {
	var how struct {
		Revoke bool `json:"revoke"`
	}
	if err := readJSON(r, &how); err != nil {
		return err
	}
	secret, err := hooks.Rotate(r.Context(), id, how.Revoke)
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]string{"secret": secret})
}

func testWebhook(w http.ResponseWriter, r *http.Request, hooks *webhook.Endpoints, id mgx.WebhookID) error {
	a, err := hooks.Test(r.Context(), id)
	if err != nil {
		return err
	}
	return writeJSON(w, a)
}

const deliveriesPage = 100

// getDeliveries lists deliveries, the newest event first.
func getDeliveries(w http.ResponseWriter, r *http.Request, hooks *webhook.Endpoints, id mgx.WebhookID) error {
	q, err := parseDeliveries(r)
	if err != nil {
		return err
	}
	q.Webhook = id
	all, err := hooks.Deliveries(r.Context(), q)
	if err != nil {
		return err
	}
	out := map[string]any{"deliveries": append([]mgx.WebhookDelivery{}, all...)}
	if len(all) == q.Limit {
		out["next_page_token"] = strconv.FormatInt(all[len(all)-1].Position, 36)
	}
	return writeJSON(w, out)
}

// parseDeliveries reads status (several times, or with commas), failed, limit
// and page_token.
func parseDeliveries(r *http.Request) (q mgx.DeliveryQuery, err error) {
	values := query{Values: r.URL.Query()}
	for name := range values.Values {
		if !slices.Contains([]string{"status", "failed", "limit", "page_token"}, name) {
			return q, badQuery("there is no parameter %q; there are status, failed, limit and page_token", clip(name))
		}
	}
	for _, one := range list(values.Values["status"]) {
		status := mgx.DeliveryStatus(one)
		if status != mgx.DeliveryPending && status != mgx.DeliveryDelivered && status != mgx.DeliveryDead {
			return q, badQuery("status is pending, delivered or dead")
		}
		q.Statuses = append(q.Statuses, status)
	}
	if len(q.Statuses) > 3 {
		return q, badQuery("each status is named once")
	}
	if q.Failed, err = values.flag("failed"); err != nil {
		return q, err
	}
	if q.Limit, err = values.number("limit", deliveriesPage, 1, 1000); err != nil {
		return q, err
	}
	if text := values.Get("page_token"); text != "" {
		if q.Before, err = strconv.ParseInt(text, 36, 64); err != nil || q.Before < 1 {
			return q, badQuery("page_token is the next_page_token of another page")
		}
	}
	return q, nil
}

// getAttempts is what came of one delivery so far.
func getAttempts(w http.ResponseWriter, r *http.Request, hooks *webhook.Endpoints, id mgx.WebhookID) error {
	all, err := hooks.Attempts(r.Context(), id, mgx.EventID(r.PathValue("event")))
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]any{"attempts": append([]mgx.WebhookAttempt{}, all...)})
}

func retryDelivery(w http.ResponseWriter, r *http.Request, hooks *webhook.Endpoints, id mgx.WebhookID) error {
	return done(w, hooks.Retry(r.Context(), id, mgx.EventID(r.PathValue("event"))))
}

// retryDead retries every dead letter.
func retryDead(w http.ResponseWriter, r *http.Request, hooks *webhook.Endpoints, id mgx.WebhookID) error {
	n, err := hooks.RetryDead(r.Context(), id)
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]int64{"retried": n})
}

func done(w http.ResponseWriter, err error) error {
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// readJSON reads a body that is one object with known fields, or nothing.
func readJSON(r *http.Request, into any) error {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if errors.Is(err, io.EOF) {
		return nil // no body: every field as it is by default
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return mgx.Errorf(mgx.KindUsage, codeBody, "send the body as application/json")
	}
	if _, big := errors.AsType[*http.MaxBytesError](err); big {
		return err
	}
	if err != nil || !errors.Is(dec.Decode(&struct{}{}), io.EOF) {
		return mgx.Errorf(mgx.KindUsage, codeBody, "the body is not one JSON object with the fields of this request")
	}
	return nil
}
