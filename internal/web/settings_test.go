package web_test

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
	"mgx/internal/event"
	"mgx/internal/secret"
	"mgx/internal/web"
	"mgx/internal/webhook"
)

// boss is the owner as the use cases know them, for what tests set up.
var boss = access.Actor{User: mgx.LocalUser, Workspace: mgx.DefaultWorkspace, Role: mgx.RoleAdmin, Owner: true, Where: access.Where{Address: "cli"}}

// settings are those of a stage, on its real store.
func (s *stage) settings(contracts *event.Registry) *web.Settings {
	s.t.Helper()
	ring, err := secret.NewRing()
	must(s.t, err)
	return &web.Settings{
		Secrets:   &app.Secrets{Vault: func(bool) (secret.Vault, error) { return secret.Vault{Store: s.store, Ring: ring}, nil }},
		Webhooks:  &webhook.Endpoints{Store: s.store, Guard: webhook.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}},
		Retention: &app.Retention{Store: s.store, Contracts: contracts, Changed: s.store.SetKeep},
		Rights:    &app.Rights{Store: s.store},
		Models:    app.NewModels(s.access, shelf{}),
		Health: func(context.Context) (web.Health, error) {
			now := time.Now()
			return web.Health{
				Version: "1.2.3", Started: now.Add(-3 * time.Hour), Checks: []web.HealthCheck{{Name: "database_write", Status: "ok", Took: 3 * time.Millisecond}, {Name: "disk", Status: "failed", Detail: "the disk is full: writes are refused until there is room again", Took: time.Second}},
				Database: "sqlite 3.50", Schema: 18, Known: 18, Head: 12_345, Streams: 3, MostStreams: 4096, Busy: 1, Seats: 4, Looked: now, Due: 2, OldestDue: time.Minute, Free: 5 << 30, Least: 64 << 20,
				Models: []web.ModelHealth{{Provider: "scripted", Model: "demo", Breaker: "open"}},
			}, nil
		},
	}
}

// shelf is a machine with models.
type shelf struct{}

func (shelf) Models(context.Context, mgx.WorkspaceID) (app.ModelList, error) {
	in, out, free := mgx.USD*3, mgx.USD*15, mgx.Money(0)
	return app.ModelList{
		Models: []app.ModelInfo{
			{Model: "corp/large", Window: 200_000, Input: &in, Output: &out, PriceKnown: true, Capabilities: []string{"tools", "json"}, Health: &app.ModelHealth{Breaker: "open", Calls: 12, Failures: 5, FirstToken: 850, Rate: 61, LastError: hostile[0]}},
			{Model: "corp/unpriced" + hostile[1], Window: 32_000, Capabilities: []string{"tools"}},
			{Model: "ollama/small", Window: 32_000, Input: &free, Output: &free, PriceKnown: true, Local: true},
		},
		Failed:   []app.ProviderFailure{{Provider: "mistral", Message: "mistral refused the key; see MISTRAL_API_KEY" + hostile[2]}},
		Policies: []app.RoutingPolicy{{Name: "auto", Strategy: "balanced", Candidates: []string{"corp/large", "ollama/small"}, Fallback: []string{"corp/unpriced"}, Overrides: 2}},
	}, nil
}

func (shelf) TryModel(_ context.Context, _ mgx.WorkspaceID, _ mgx.UserID, model string) (app.ModelTrial, error) {
	if model != "corp/large" {
		return app.ModelTrial{}, mgx.Errorf(mgx.KindProvider, "no_such_model", "there is no model %s", model)
	}
	return app.ModelTrial{Asked: model, Model: model, Streaming: true, Tools: true, CostUSD: mgx.USD / 50, PriceKnown: true, Duration: time.Second}, nil
}

// settled fills the settings of a stage with some of everything, and returns what
// pages there are.
func (s *stage) settled() map[string]string {
	s.t.Helper()
	ctx := s.t.Context()
	// What nobody may name anything any more may be there from before.
	must(s.t, s.store.PutRole(ctx, boss.Doer(), mgx.Role{Workspace: mgx.DefaultWorkspace, Name: "release-manager", Description: "Approves " + hostile[0] + hostile[19], Policy: exampleRole}))
	member := s.as("release-manager")
	_, _, err := s.access.Invite(ctx, boss, app.NewInvitation{Email: "jo@example.com", Role: mgx.RoleViewer})
	must(s.t, err)
	_, _, err = s.access.CreateKey(ctx, boss, app.NewAPIKey{Name: hostile[2], Scopes: []string{"runs:read", "models"}, Models: []string{hostile[3]}, Expires: 3600})
	must(s.t, err)
	member.ask("POST", "/settings/keys", url.Values{"name": {"theirs"}, "scopes": {"runs:read"}, "expires": {"0"}})
	s.mustGo("POST", "/settings/secrets", url.Values{"name": {"openai"}, "value": {"the value"}})
	hook, dead := s.hooked()
	person, err := s.store.UserByEmail(ctx, "release-manager@example.com")
	must(s.t, err)
	s.must(200, s.ask("POST", "/settings/roles/release-manager", url.Values{"do": {"try"}, "policy": {exampleRole}}))
	all := map[string]string{"hook": "/settings/webhooks/" + string(hook), "hook-delivery": "/settings/webhooks/" + string(hook) + "?event=" + string(dead), "person": "/settings/data/people/" + string(person.ID), "plan": "/settings/data?plan=1"}
	for _, name := range []string{"you", "members", "roles", "keys", "providers", "secrets", "policies", "webhooks", "retention", "data", "health"} {
		all[name] = "/settings/" + name
	}
	named := map[string]string{"settings": "/settings"}
	for name, path := range all {
		named["settings-"+name] = path
	}
	return named
}

const exampleRole = `permit (principal, action in [Action::"read", Action::"approve"], resource is Runs);
permit (principal, action, resource is Keys) when { resource.user == principal.user };
`

// hooked adds an endpoint with hostile words and a dead letter.
func (s *stage) hooked() (mgx.WebhookID, mgx.EventID) {
	s.t.Helper()
	ctx := s.t.Context()
	hooks := webhook.Endpoints{By: boss.Doer(), Store: s.store}
	w, _, err := hooks.Add(ctx, webhook.NewEndpoint{URL: "https://example.com/" + strings.Repeat("hook", 40) + "?q=%3Cscript%3E", Description: hostile[1], Types: []string{"task.*"}})
	must(s.t, err)
	w.Description += hostile[19]
	must(s.t, s.store.UpdateWebhook(ctx, boss.Doer(), w))
	now := time.Now()
	lease, ok, err := s.store.ClaimWebhook(ctx, w.Lease, "test", now.Add(time.Hour))
	if must(s.t, err); !ok {
		s.t.Fatal("the endpoint is somebody else's")
	}
	s.play("Told of")
	events, err := s.store.EventsAfter(ctx, mgx.DefaultWorkspace, "", "", []string{"task.*"}, 0, 2)
	must(s.t, err)
	must(s.t, s.store.AddDeliveries(ctx, lease, events, events[len(events)-1].Position))
	_, err = s.store.RecordDelivery(ctx, lease, mgx.WebhookOutcome{Status: mgx.DeliveryDead, Attempt: mgx.WebhookAttempt{Event: events[0].ID, At: now, Duration: time.Second, Status: 500, Error: "answered 500", Response: hostile[0]}})
	must(s.t, err)
	must(s.t, s.store.ReleaseWebhook(ctx, lease, events[len(events)-1].Position))
	return w.ID, events[0].ID
}

// must fails unless an answer has a status.
func (s *stage) must(status int, got seen) seen {
	s.t.Helper()
	if got.StatusCode != status {
		s.t.Fatalf("%s %s answered %d, want %d: %s", got.Request.Method, got.Request.URL.Path, got.StatusCode, status, words(got.body))
	}
	return got
}

// mustGo sends a form that is done and goes elsewhere, and returns the page there.
func (s *stage) mustGo(method, path string, form url.Values) seen {
	s.t.Helper()
	got := s.must(http.StatusSeeOther, s.ask(method, path, form))
	return s.must(http.StatusOK, s.ask("GET", got.Header.Get("Location"), nil))
}

// says fails unless a page says something.
func (s *stage) says(got seen, texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		if !strings.Contains(words(got.body), text) {
			s.t.Errorf("%s does not say %q: %s", got.Request.URL.Path, text, words(got.body))
		}
	}
}
