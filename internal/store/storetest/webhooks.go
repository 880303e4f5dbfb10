package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mgx"
)

// WebhookStore is what a store does for webhooks; *store.Store documents it.
type WebhookStore interface {
	Commit(context.Context, mgx.Change) (mgx.Committed, error)
	Verify(context.Context) error
	EventsAfter(ctx context.Context, ws mgx.WorkspaceID, stream mgx.StreamID, run mgx.RunID, types []string, position int64, limit int) ([]mgx.Event, error)

	CreateWebhook(ctx context.Context, by mgx.Doer, w mgx.Webhook, secret string) error
	Webhook(ctx context.Context, ws mgx.WorkspaceID, id mgx.WebhookID) (mgx.Webhook, error)
	Webhooks(ctx context.Context, ws mgx.WorkspaceID) ([]mgx.Webhook, error)
	UpdateWebhook(ctx context.Context, by mgx.Doer, w mgx.Webhook) error
	EnableWebhook(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.WebhookID, skip bool) error
	DisableWebhook(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.WebhookID, why string) error
	RemoveWebhook(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.WebhookID) error
	WebhookSecrets(ctx context.Context, id mgx.WebhookID) ([]string, error)
	RotateWebhookSecret(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.WebhookID, secret string, overlap time.Duration) error

	ActiveWebhooks(ctx context.Context) ([]mgx.Webhook, error)
	ClaimWebhook(ctx context.Context, seen mgx.WebhookLease, owner string, until time.Time) (mgx.WebhookLease, bool, error)
	RenewWebhooks(ctx context.Context, owner string, until time.Time, read map[mgx.WebhookID]int64) error
	ReleaseWebhook(ctx context.Context, l mgx.WebhookLease, cursor int64) error

	AddDeliveries(ctx context.Context, l mgx.WebhookLease, events []mgx.Event, cursor int64) error
	DueDeliveries(ctx context.Context, id mgx.WebhookID, now time.Time, limit int) ([]mgx.WebhookDelivery, error)
	NextDelivery(ctx context.Context, id mgx.WebhookID, after time.Time) (time.Time, bool, error)
	PendingDeliveries(ctx context.Context, id mgx.WebhookID) (int, error)
	RecordDelivery(ctx context.Context, l mgx.WebhookLease, o mgx.WebhookOutcome) (bool, error)
	Deliveries(ctx context.Context, q mgx.DeliveryQuery) ([]mgx.WebhookDelivery, error)
	Attempts(ctx context.Context, ws mgx.WorkspaceID, id mgx.WebhookID, event mgx.EventID) ([]mgx.WebhookAttempt, error)
	RetryDelivery(ctx context.Context, ws mgx.WorkspaceID, id mgx.WebhookID, event mgx.EventID) error
	RetryDead(ctx context.Context, ws mgx.WorkspaceID, id mgx.WebhookID) (int64, error)
	PruneDeliveries(ctx context.Context, l mgx.WebhookLease, delivered, dead time.Time, keep int) (int64, error)
}

// RunWebhooks runs the part of the suite that is about webhooks. create makes a
// new, empty database.
func RunWebhooks(t *testing.T, create func(testing.TB) WebhookStore) {
	for name, test := range map[string]func(*hooks){
		"Settings":    (*hooks).settings,
		"Secrets":     (*hooks).secrets,
		"Fencing":     (*hooks).fencing,
		"ClaimOnce":   (*hooks).claimOnce,
		"Streams":     (*hooks).streams,
		"Outcomes":    (*hooks).outcomes,
		"Disabling":   (*hooks).disabling,
		"RetryOrder":  (*hooks).retryOrder,
		"Skip":        (*hooks).skip,
		"Pages":       (*hooks).pages,
		"Pruning":     (*hooks).pruning,
		"KeptBounded": (*hooks).keptBounded,
		"Bounded":     (*hooks).bounded,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &hooks{t, t.Context(), create(t)}
			test(h)
			if err := h.s.Verify(h.ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

type hooks struct {
	t   *testing.T
	ctx context.Context
	s   WebhookStore
}

func (h *hooks) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *hooks) add(change ...func(*mgx.Webhook)) mgx.Webhook {
	h.t.Helper()
	w := mgx.Webhook{ID: mgx.NewWebhookID(), Workspace: ws, URL: "https://example.com/hook", Cursor: -1}
	for _, f := range change {
		f(&w)
	}
	h.must(h.s.CreateWebhook(h.ctx, doer, w, "whsec_"+string(w.ID)))
	return h.get(w.ID)
}

func (h *hooks) get(id mgx.WebhookID) mgx.Webhook {
	h.t.Helper()
	w, err := h.s.Webhook(h.ctx, ws, id)
	h.must(err)
	return w
}

func (h *hooks) claim(id mgx.WebhookID, owner string) mgx.WebhookLease {
	h.t.Helper()
	l, ok, err := h.s.ClaimWebhook(h.ctx, h.get(id).Lease, owner, mgx.Now().Add(time.Minute))
	if err != nil || !ok {
		h.t.Fatal(ok, err)
	}
	return l
}

// say appends n events to each of the streams.
func (h *hooks) say(n int, streams ...mgx.StreamID) []mgx.Event {
	h.t.Helper()
	var c mgx.Change
	for range n {
		for _, stream := range streams {
			e := mgx.NewEvent("agent.message", struct{}{})
			e.Workspace, e.Stream = ws, stream
			c.Events = append(c.Events, e)
		}
	}
	out, err := h.s.Commit(h.ctx, c)
	h.must(err)
	return out.Events
}

func (h *hooks) due(id mgx.WebhookID) []mgx.EventID {
	h.t.Helper()
	list, err := h.s.DueDeliveries(h.ctx, id, mgx.Now().Add(time.Second), 100)
	h.must(err)
	return eventsOf(list)
}

func eventsOf(list []mgx.WebhookDelivery) []mgx.EventID {
	var out []mgx.EventID
	for _, d := range list {
		out = append(out, d.Event)
	}
	slices.Sort(out)
	return out
}

func ids(events ...mgx.Event) []mgx.EventID {
	var out []mgx.EventID
	for _, e := range events {
		out = append(out, e.ID)
	}
	slices.Sort(out)
	return out
}

func (h *hooks) record(l mgx.WebhookLease, e mgx.Event, s mgx.DeliveryStatus, failed string, next time.Time) {
	h.t.Helper()
	a := mgx.WebhookAttempt{Event: e.ID, At: mgx.Now(), Duration: time.Millisecond, Status: 200, Error: failed, Response: "fine", NextAt: next}
	_, err := h.s.RecordDelivery(h.ctx, l, mgx.WebhookOutcome{Attempt: a, Status: s})
	h.must(err)
}

func (h *hooks) settings() {
	t := h.t
	h.say(3, "task_a")
	w := h.add(func(w *mgx.Webhook) {
		w.Types, w.Channels, w.Description = []string{"task.*", "run.*"}, []string{"task:*"}, "the chat"
	})
	if w.Cursor != 3 || !w.Enabled || len(w.Types) != 2 || len(w.Channels) != 1 || w.Description != "the chat" || w.CreatedAt.IsZero() {
		t.Errorf("stored %+v", w)
	}
	if from := h.add(func(w *mgx.Webhook) { w.Cursor = 1 }); from.Cursor != 1 {
		t.Errorf("begins at %d", from.Cursor)
	}
	before := w.UpdatedAt
	w.URL, w.Types, w.Description = "https://example.com/other", nil, ""
	h.must(h.s.UpdateWebhook(h.ctx, doer, w))
	if w = h.get(w.ID); w.URL != "https://example.com/other" || w.Types != nil || w.Description != "" || !w.UpdatedAt.After(before) {
		t.Errorf("changed %+v", w)
	}
	h.must(h.s.DisableWebhook(h.ctx, doer, ws, w.ID, "a reason"))
	if w = h.get(w.ID); w.Enabled || w.DisabledWhy != "a reason" {
		t.Errorf("disabled %+v", w)
	}
	if active, err := h.s.ActiveWebhooks(h.ctx); err != nil || len(active) != 1 || active[0].ID == w.ID {
		t.Errorf("active %+v %v", active, err)
	}
	h.must(h.s.EnableWebhook(h.ctx, doer, ws, w.ID, false))
	if w = h.get(w.ID); !w.Enabled || w.DisabledWhy != "" || w.Cursor != 3 {
		t.Errorf("enabled %+v", w)
	}
	h.must(h.s.RemoveWebhook(h.ctx, doer, ws, w.ID))
	for _, err := range []error{
		h.s.RemoveWebhook(h.ctx, doer, ws, w.ID), h.s.UpdateWebhook(h.ctx, doer, w), h.s.EnableWebhook(h.ctx, doer, ws, w.ID, true), h.s.DisableWebhook(h.ctx, doer, ws, w.ID, ""),
		h.s.RotateWebhookSecret(h.ctx, doer, ws, w.ID, "whsec_x", 0), h.s.RetryDelivery(h.ctx, ws, w.ID, "evt_1"),
	} {
		if !mgx.IsCode(err, mgx.CodeNotFound) {
			t.Errorf("on a removed webhook: %v", err)
		}
	}
}

func (h *hooks) secrets() {
	t, w := h.t, h.add()
	other := h.add()
	h.must(h.s.RotateWebhookSecret(h.ctx, doer, ws, w.ID, "whsec_2", time.Hour))
	if got, err := h.s.WebhookSecrets(h.ctx, w.ID); err != nil || !slices.Equal(got, []string{"whsec_2", "whsec_" + string(w.ID)}) {
		t.Errorf("secrets %v %v", got, err)
	}
	h.must(h.s.RotateWebhookSecret(h.ctx, doer, ws, w.ID, "whsec_3", 0))
	if got, err := h.s.WebhookSecrets(h.ctx, w.ID); err != nil || !slices.Equal(got, []string{"whsec_3"}) {
		t.Errorf("after revoking %v %v", got, err)
	}
	if got, err := h.s.WebhookSecrets(h.ctx, other.ID); err != nil || len(got) != 1 {
		t.Errorf("another's %v %v", got, err)
	}
	if err := h.s.RotateWebhookSecret(h.ctx, doer, "ws_other", w.ID, "whsec_4", 0); !mgx.IsCode(err, mgx.CodeNotFound) {
		t.Errorf("rotated another workspace's: %v", err)
	}
}

func (h *hooks) fencing() {
	t, w, e := h.t, h.add(), h.say(2, "task_a")
	old := h.claim(w.ID, "own_a")
	h.must(h.s.AddDeliveries(h.ctx, old, e[:1], 1))
	now := h.claim(w.ID, "own_b")
	if now.Term != old.Term+1 {
		t.Errorf("term %d after %d", now.Term, old.Term)
	}
	_, err := h.s.RecordDelivery(h.ctx, old, mgx.WebhookOutcome{Attempt: mgx.WebhookAttempt{Event: e[0].ID, At: mgx.Now()}, Status: mgx.DeliveryDelivered})
	_, pruned := h.s.PruneDeliveries(h.ctx, old, mgx.Now(), mgx.Now(), 1)
	for name, err := range map[string]error{"add": h.s.AddDeliveries(h.ctx, old, e[1:], 2), "record": err, "prune": pruned} {
		if !mgx.IsCode(err, mgx.CodeFenced) {
			t.Errorf("%s under a lost lease: %v", name, err)
		}
	}
	h.must(h.s.ReleaseWebhook(h.ctx, old, 2))
	h.must(h.s.RenewWebhooks(h.ctx, "own_a", mgx.Now().Add(time.Hour), nil))
	if got := h.get(w.ID); got.Lease.Owner != "own_b" || !got.Lease.Until.Equal(now.Until) || got.Cursor != 1 || got.Pending != 1 {
		t.Errorf("a lost lease changed %+v", got)
	}
	h.must(h.s.ReleaseWebhook(h.ctx, now, 2))
	if got := h.get(w.ID); got.Lease.Owner != "" || got.Cursor != 2 {
		t.Errorf("released: %+v", got)
	}
}

// Of many who see a free lease one gets it.
func (h *hooks) claimOnce() {
	w := h.add()
	for range 5 {
		seen := h.get(w.ID).Lease
		var won atomic.Int32
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				_, ok, err := h.s.ClaimWebhook(h.ctx, seen, fmt.Sprint("own_", i), mgx.Now())
				if err != nil {
					h.t.Error(err)
				}
				if ok {
					won.Add(1)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			h.t.Errorf("%d got the lease", won.Load())
		}
	}
}

// Of each stream one is due at a time; what is there already is not added again.
func (h *hooks) streams() {
	t, w := h.t, h.add()
	e := h.say(3, "task_a", "task_b") // a1 b1 a2 b2 a3 b3
	l := h.claim(w.ID, "own_a")
	h.must(h.s.AddDeliveries(h.ctx, l, e[:4], 4))
	h.must(h.s.AddDeliveries(h.ctx, l, e[2:], 6))
	if n, err := h.s.PendingDeliveries(h.ctx, w.ID); err != nil || n != 6 {
		t.Errorf("%d pending %v", n, err)
	}
	if got := h.due(w.ID); !slices.Equal(got, ids(e[0], e[1])) {
		t.Errorf("due at first: %v", got)
	}
	h.record(l, e[0], mgx.DeliveryDelivered, "", time.Time{})
	h.record(l, e[1], mgx.DeliveryPending, "no", mgx.Now().Add(time.Hour))
	if got := h.due(w.ID); !slices.Equal(got, ids(e[2])) {
		t.Errorf("due then: %v", got)
	}
	if at, ok, err := h.s.NextDelivery(h.ctx, w.ID, mgx.Now().Add(time.Minute)); err != nil || !ok || time.Until(at) < 50*time.Minute {
		t.Errorf("next at %s %v %v", at, ok, err)
	}
	if at, ok, err := h.s.NextDelivery(h.ctx, w.ID, mgx.Now().Add(2*time.Hour)); err != nil || ok {
		t.Errorf("next at %s %v %v", at, ok, err)
	}
	h.record(l, e[2], mgx.DeliveryDead, "no", time.Time{})
	h.record(l, e[4], mgx.DeliveryDelivered, "", time.Time{})
	if got := h.due(w.ID); len(got) != 0 {
		t.Errorf("due at last: %v", got)
	}
}

func (h *hooks) outcomes() {
	t, w := h.t, h.add()
	e := h.say(1, "task_a", "task_b")
	l := h.claim(w.ID, "own_a")
	h.must(h.s.AddDeliveries(h.ctx, l, e, 2))
	next := mgx.Now().Add(time.Minute)
	h.record(l, e[0], mgx.DeliveryPending, "first", next)
	since := h.get(w.ID).FailingSince
	h.record(l, e[0], mgx.DeliveryPending, "second", next)
	if got := h.get(w.ID).FailingSince; since.IsZero() || !got.Equal(since) {
		t.Errorf("failing since %s, then %s", since, got)
	}
	all, err := h.s.Attempts(h.ctx, ws, w.ID, e[0].ID)
	if err != nil || len(all) != 2 || all[0].Error != "first" || all[1].Error != "second" || !all[1].NextAt.Equal(next) || all[0].Response != "fine" || all[0].Duration != time.Millisecond {
		t.Errorf("attempts %+v %v", all, err)
	}
	h.record(l, e[0], mgx.DeliveryDelivered, "", time.Time{})
	if got := h.get(w.ID); !got.FailingSince.IsZero() || got.Pending != 1 || got.Dead != 0 {
		t.Errorf("after a success %+v", got)
	}
	h.record(l, e[1], mgx.DeliveryDead, "no", time.Time{})
	if got := h.get(w.ID); got.Pending != 0 || got.Dead != 1 {
		t.Errorf("after a dead letter %+v", got)
	}
	list, err := h.s.Deliveries(h.ctx, mgx.DeliveryQuery{Workspace: ws, Webhook: w.ID, Failed: true})
	if err != nil || len(list) != 1 || list[0].LastError != "no" || list[0].Status != mgx.DeliveryDead || !list[0].NextAt.IsZero() || list[0].Attempts != 1 {
		t.Errorf("failed ones %+v %v", list, err)
	}
}

func (h *hooks) disabling() {
	t := h.t
	for _, c := range []struct {
		why   string
		since time.Duration // ago
		want  bool
	}{{"", 0, false}, {"gone", 0, true}, {"failing", time.Hour, false}, {"failing", -time.Hour, true}} {
		w, e := h.add(), h.say(1, "task_a")
		l := h.claim(w.ID, "own_a")
		h.must(h.s.AddDeliveries(h.ctx, l, e, e[0].Position))
		o := mgx.WebhookOutcome{Attempt: mgx.WebhookAttempt{Event: e[0].ID, At: mgx.Now(), Error: "no"}, Status: mgx.DeliveryPending, Disable: c.why}
		if c.since != 0 {
			o.FailingSince = mgx.Now().Add(-c.since)
		}
		raised := mgx.NewEvent(mgx.WebhookDisabled, mgx.WebhookDisabledData{WebhookID: w.ID})
		raised.Workspace, raised.Stream = ws, mgx.StreamID(w.ID)
		o.Raise = &raised
		disabled, err := h.s.RecordDelivery(h.ctx, l, o)
		if got := h.get(w.ID); err != nil || disabled != c.want || got.Enabled == c.want || c.want && got.DisabledWhy != c.why {
			t.Errorf("%+v: %v %v %+v", c, disabled, err, got)
		}
		told, err := h.s.EventsAfter(h.ctx, ws, raised.Stream, "", nil, 0, 10)
		if err != nil || c.want != (len(told) == 1 && told[0].ID == raised.ID) || !c.want && len(told) > 0 {
			t.Errorf("%+v: told %+v %v", c, told, err)
		}
	}
	w, e := h.add(), h.say(1, "task_a")
	l := h.claim(w.ID, "own_a")
	h.must(h.s.AddDeliveries(h.ctx, l, e, e[0].Position))
	o := mgx.WebhookOutcome{Attempt: mgx.WebhookAttempt{Event: e[0].ID, At: mgx.Now(), Error: "no longer kept"}, Status: mgx.DeliveryDead, Unsent: true, Disable: "x"}
	if disabled, err := h.s.RecordDelivery(h.ctx, l, o); err != nil || disabled || !h.get(w.ID).FailingSince.IsZero() {
		t.Errorf("what was not sent counts: %v %v", disabled, err)
	}
}

// A dead letter that is retried goes before those of its stream that wait.
func (h *hooks) retryOrder() {
	t, w := h.t, h.add()
	e := h.say(3, "task_a")
	l := h.claim(w.ID, "own_a")
	h.must(h.s.AddDeliveries(h.ctx, l, e, 3))
	h.record(l, e[0], mgx.DeliveryDead, "no", time.Time{})
	h.record(l, e[1], mgx.DeliveryPending, "no", mgx.Now().Add(time.Hour))
	before := h.get(w.ID).UpdatedAt
	h.must(h.s.RetryDelivery(h.ctx, ws, w.ID, e[0].ID))
	if !h.get(w.ID).UpdatedAt.After(before) {
		t.Error("nobody is told")
	}
	if got := h.due(w.ID); !slices.Equal(got, ids(e[0])) {
		t.Errorf("due %v", got)
	}
	for _, one := range e {
		h.record(l, one, mgx.DeliveryDead, "no", time.Time{})
	}
	if n, err := h.s.RetryDead(h.ctx, ws, w.ID); err != nil || n != 3 {
		t.Errorf("retried %d %v", n, err)
	}
	for _, one := range e {
		if got := h.due(w.ID); !slices.Equal(got, ids(one)) {
			t.Errorf("due %v", got)
		}
		h.record(l, one, mgx.DeliveryDelivered, "", time.Time{})
	}
	if err := h.s.RetryDelivery(h.ctx, ws, w.ID, e[0].ID); !mgx.IsCode(err, "nothing_to_retry") {
		t.Errorf("retried what was delivered: %v", err)
	}
}

func (h *hooks) skip() {
	t, w := h.t, h.add()
	e := h.say(2, "task_a")
	l := h.claim(w.ID, "own_a")
	h.must(h.s.AddDeliveries(h.ctx, l, e[:1], 1))
	h.must(h.s.EnableWebhook(h.ctx, doer, ws, w.ID, true)) // behind the two and the entry that it was added
	if got := h.get(w.ID); got.Cursor != 3 || got.Pending != 0 || got.Dead != 1 {
		t.Errorf("skipped: %+v", got)
	}
}

func (h *hooks) pages() {
	t, w := h.t, h.add()
	e := h.say(5, "task_a")
	l := h.claim(w.ID, "own_a")
	h.must(h.s.AddDeliveries(h.ctx, l, e, 5))
	var got []mgx.EventID
	for q := (mgx.DeliveryQuery{Workspace: ws, Webhook: w.ID, Limit: 2}); ; {
		page, err := h.s.Deliveries(h.ctx, q)
		h.must(err)
		if len(page) == 0 {
			break
		}
		for _, d := range page {
			got = append(got, d.Event)
		}
		q.Before = page[len(page)-1].Position
	}
	slices.Reverse(got)
	for i := range e {
		if i >= len(got) || got[i] != e[i].ID {
			t.Fatalf("pages held %v", got)
		}
	}
	if list, err := h.s.Deliveries(h.ctx, mgx.DeliveryQuery{Workspace: ws, Webhook: w.ID, Statuses: []mgx.DeliveryStatus{mgx.DeliveryDead, mgx.DeliveryDelivered}}); err != nil || len(list) != 0 {
		t.Errorf("%v %v", list, err)
	}
}

func (h *hooks) pruning() {
	t, w := h.t, h.add()
	e := h.say(6, "task_a")
	l := h.claim(w.ID, "own_a")
	h.must(h.s.AddDeliveries(h.ctx, l, e, 6))
	for i, s := range []mgx.DeliveryStatus{mgx.DeliveryDelivered, mgx.DeliveryDelivered, mgx.DeliveryDelivered, mgx.DeliveryDead, mgx.DeliveryDead} {
		h.record(l, e[i], s, "x", time.Time{})
	}
	past, future := mgx.Now().Add(-time.Hour), mgx.Now().Add(time.Hour)
	prune := func(delivered, dead time.Time, keep int, lost int64, left ...mgx.Event) {
		t.Helper()
		n, err := h.s.PruneDeliveries(h.ctx, l, delivered, dead, keep)
		list, e2 := h.s.Deliveries(h.ctx, mgx.DeliveryQuery{Workspace: ws, Webhook: w.ID})
		if got := eventsOf(list); err != nil || e2 != nil || n != lost || !slices.Equal(got, ids(left...)) {
			t.Errorf("lost %d %v %v, left %v", n, err, e2, got)
		}
	}
	prune(past, past, 10, 0, e...)
	prune(past, past, 2, 0, e[1], e[2], e[3], e[4], e[5])
	prune(past, past, 1, 1, e[2], e[4], e[5])
	prune(future, past, 10, 0, e[4], e[5])
	if a, err := h.s.Attempts(h.ctx, ws, w.ID, e[0].ID); err != nil || len(a) != 0 {
		t.Errorf("attempts of what is forgotten: %v %v", a, err)
	}
	prune(future, future, 10, 1, e[5])
}

func (h *hooks) keptBounded() {
	w, e := h.add(), h.say(1, "task_a")
	l := h.claim(w.ID, "own_a")
	h.must(h.s.AddDeliveries(h.ctx, l, e, 1))
	for i := range 60 {
		h.record(l, e[0], mgx.DeliveryPending, fmt.Sprint(i), mgx.Now())
	}
	all, err := h.s.Attempts(h.ctx, ws, w.ID, e[0].ID)
	if err != nil || len(all) != 50 || all[49].Error != "59" {
		h.t.Errorf("%d attempts %v", len(all), err)
	}
}

func (h *hooks) bounded() {
	for range 100 {
		h.add()
	}
	err := h.s.CreateWebhook(h.ctx, doer, mgx.Webhook{ID: mgx.NewWebhookID(), Workspace: ws, URL: "https://example.com/"}, "whsec_x")
	if !mgx.IsCode(err, "too_many_webhooks") {
		h.t.Errorf("webhook 101: %v", err)
	}
	if err := h.s.CreateWebhook(h.ctx, doer, mgx.Webhook{ID: mgx.NewWebhookID(), Workspace: "ws_other", URL: "https://example.com/"}, "whsec_x"); err != nil {
		h.t.Errorf("another workspace: %v", err)
	}
	if all, err := h.s.Webhooks(h.ctx, ws); err != nil || len(all) != 100 {
		h.t.Errorf("%d %v", len(all), err)
	}
}
