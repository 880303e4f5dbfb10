package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"mgx"
)

// undelivered gives the workspace an endpoint that did not get some events, of which
// so many are dead letters.
func (s *stage) undelivered(address string, dead int) (mgx.WebhookID, []mgx.Event) {
	s.t.Helper()
	ctx := s.t.Context()
	hook := mgx.Webhook{ID: mgx.NewWebhookID(), Workspace: mgx.DefaultWorkspace, URL: address}
	must(s.t, s.store.CreateWebhook(ctx, s.owner(), hook, "whsec_x"))
	held, ok, err := s.store.ClaimWebhook(ctx, mgx.WebhookLease{Webhook: hook.ID}, "worker", time.Now().Add(time.Hour))
	if err != nil || !ok {
		s.t.Fatal(ok, err)
	}
	var told []mgx.Event
	for range dead + 1 {
		r := s.play("Something to tell")
		done, err := s.store.Commit(ctx, mgx.Change{Events: []mgx.Event{r.Event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: "told"})}})
		must(s.t, err)
		told = append(told, done.Events...)
	}
	must(s.t, s.store.AddDeliveries(ctx, held, told, told[dead].Position))
	for _, e := range told[:dead] {
		_, err := s.store.RecordDelivery(ctx, held, mgx.WebhookOutcome{Attempt: mgx.WebhookAttempt{Event: e.ID, At: time.Now(), Error: "no answer " + hostile[0]}, Status: mgx.DeliveryDead})
		must(s.t, err)
	}
	return hook.ID, told
}

// gaveUp is a reader of the log that gave an event up.
func (s *stage) gaveUp(name string, e mgx.Event) {
	s.t.Helper()
	ctx := s.t.Context()
	c, err := s.store.OpenConsumer(ctx, name, 0)
	must(s.t, err)
	l, ok, err := s.store.ClaimConsumer(ctx, c.Lease, "worker", time.Now().Add(time.Hour))
	if err != nil || !ok {
		s.t.Fatal(ok, err)
	}
	_, err = s.store.Commit(ctx, mgx.Change{Advance: &mgx.ConsumerAdvance{Lease: l, Position: e.Position, Dead: &mgx.DeadLetter{Consumer: name, Event: e.ID, Workspace: e.Workspace, Type: e.Type, Stream: e.Stream, Position: e.Position, Attempts: 8, LastError: hostile[1]}}})
	must(s.t, err)
	must(s.t, s.store.ReleaseConsumer(ctx, l))
}

// TestQueues shows what waits and since when, and has what was given up tried again
// by those who may.
func TestQueues(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	has(t, s.ask("GET", "/queues", nil), "Nothing waits.", "Every endpoint has got everything.", "No part of MGX reads the log by itself here.")
	s.working()
	s.turn("", "planner", "m", "")
	hook, told := s.undelivered("https://example.com/"+url.PathEscape(hostile[0]), 2)
	s.gaveUp("metrics", told[0])
	got := s.ask("GET", "/queues", nil)
	has(t, got, "Endpoints that did not get everything", `href="/queues/webhooks/`+string(hook)+`"`, `href="/queues/readers/metrics"`, "The oldest has waited for", `<dd class="num over">2</dd>`)
	hasNot(t, got, "<script>window", "webhook:"+string(hook))
	has(t, s.ask("GET", "/queues?part=1", nil), "Decisions", "Calls of models")

	// What an endpoint did not get.
	path := "/queues/webhooks/" + string(hook)
	got = s.ask("GET", path, nil)
	has(t, got, `href="/events/`+string(told[0].ID)+`"`, "no answer &lt;script&gt;", "All 2 that were given up", `action="`+path+`/retry"`)
	hasNot(t, got, "<script>window", "Discard")
	pending := func() int64 {
		w, err := s.store.Webhook(t.Context(), mgx.DefaultWorkspace, hook)
		must(t, err)
		return w.Pending
	}
	if done := s.ask("POST", path+"/retry", url.Values{"event": {string(told[0].ID)}}); done.StatusCode != http.StatusSeeOther || done.Header.Get("Location") != path || pending() != 2 {
		t.Errorf("one again: %d %s, %d pending", done.StatusCode, words(done.body), pending())
	}
	if done := s.ask("POST", path+"/retry", nil); done.StatusCode != http.StatusSeeOther || pending() != 3 {
		t.Errorf("all again: %d %s, %d pending", done.StatusCode, words(done.body), pending())
	}

	// What a reader of the log has given up.
	path = "/queues/readers/metrics"
	got = s.ask("GET", path, nil)
	has(t, got, string(told[0].ID), "&lt;img src=x", "Discard it for good")
	hasNot(t, got, "<img")
	reader := func() mgx.Consumer {
		c, err := s.store.Consumer(t.Context(), "metrics")
		must(t, err)
		return c
	}
	if done := s.ask("POST", path+"/retry", url.Values{"event": {string(told[0].ID)}}); done.StatusCode != http.StatusSeeOther || reader().Pending != 1 || reader().Dead != 0 {
		t.Errorf("again: %d %s, %+v", done.StatusCode, words(done.body), reader())
	}
	if done := s.ask("POST", path+"/discard", url.Values{"event": {string(told[0].ID)}}); done.StatusCode != http.StatusSeeOther || reader().Pending+reader().Dead != 0 {
		t.Errorf("discarded: %d %s, %+v", done.StatusCode, words(done.body), reader())
	}
	has(t, s.ask("GET", path, nil), "Nothing was given up")

	for path, status := range map[string]int{"/queues/webhooks/whk_none": 404, "/queues/readers/none": 404, path + "?page=x": 400, "/queues/webhooks/%00": 404} {
		if got := s.ask("GET", path, nil); got.StatusCode != status {
			t.Errorf("%s: %d %s", path, got.StatusCode, words(got.body))
		}
	}
	for _, path := range []string{"/queues/webhooks/" + string(hook) + "/retry", path + "/retry", path + "/discard"} {
		if got := s.ask("POST", path, url.Values{"event": {"evt_none"}}); got.StatusCode < 400 || got.StatusCode >= 500 {
			t.Errorf("%s of no event: %d %s", path, got.StatusCode, words(got.body))
		}
	}

	// A developer sees what is left to send, and cannot have it sent; a viewer sees
	// neither that nor the readers; whoever sees no work sees nothing.
	developer := s.as(mgx.RoleDeveloper)
	theirs := developer.ask("GET", "/queues/webhooks/"+string(hook), nil)
	hasNot(t, theirs, "Try again")
	for _, path := range []string{"/queues/webhooks/" + string(hook) + "/retry", path + "/retry", path + "/discard"} {
		if got := developer.ask("POST", path, url.Values{"event": {string(told[0].ID)}}); got.StatusCode != http.StatusForbidden {
			t.Errorf("a developer at %s: %d %s", path, got.StatusCode, words(got.body))
		}
	}
	viewer := s.as(mgx.RoleViewer)
	theirs = viewer.ask("GET", "/queues", nil)
	has(t, theirs, "Executions")
	hasNot(t, theirs, "Webhook deliveries", "Readers of the log", "example.com")
	must(t, s.role("stranger", "events"))
	for who, paths := range map[*stage][]string{viewer: {"/queues/webhooks/" + string(hook), path}, s.as("stranger"): {"/queues"}} {
		for _, path := range paths {
			if got := who.ask("GET", path, nil); got.StatusCode != http.StatusForbidden || strings.Contains(got.body, "example.com") {
				t.Errorf("%s: %d %s", path, got.StatusCode, words(got.body))
			}
		}
	}
}

// TestQueuesLive counts what waits as it comes.
func TestQueuesLive(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	b := s.tab().open("/queues").live()
	decisions := `[...document.querySelectorAll(".queue-cards li")].find((e) => e.textContent.includes("Decisions"))?.querySelector(".figures dd").textContent`
	b.until(decisions + ` === "0"`)
	s.working()
	b.until(decisions + ` === "1"`)
	s.undelivered("https://example.com/hook", 1)
	s.play("Meanwhile")
	b.says("https://example.com").press(`main a[href^="/queues/webhooks/"]`).until(`location.pathname.startsWith("/queues/webhooks/")`)
	b.click("#all summary").click("#all button").until(`location.pathname.startsWith("/queues/webhooks/") && !document.querySelector("#all")`)
}
