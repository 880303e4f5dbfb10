package storetest

import (
	"context"
	"testing"
	"time"

	"mgx"
)

// Queues tell what waits, what is worked on and since when, of one workspace alone.
func queuesStand(t *testing.T, open Opener) {
	s := open(t)
	q := s.(interface {
		Queues(context.Context, mgx.WorkspaceID) ([]mgx.Queue, error)
		CreateWebhook(context.Context, mgx.Doer, mgx.Webhook, string) error
		ClaimWebhook(context.Context, mgx.WebhookLease, string, time.Time) (mgx.WebhookLease, bool, error)
		AddDeliveries(context.Context, mgx.WebhookLease, []mgx.Event, int64) error
		RecordDelivery(context.Context, mgx.WebhookLease, mgx.WebhookOutcome) (bool, error)
	})
	ctx := t.Context()
	stand := func(of mgx.WorkspaceID) map[mgx.QueueKind]mgx.Queue {
		t.Helper()
		all, err := q.Queues(ctx, of)
		if err != nil {
			t.Fatal(err)
		}
		byKind := map[mgx.QueueKind]mgx.Queue{}
		for _, one := range all {
			byKind[one.Kind] = one
		}
		return byKind
	}
	for kind, one := range stand(ws) {
		if (one != mgx.Queue{Kind: kind}) {
			t.Errorf("with nothing: %+v", one)
		}
	}
	before := mgx.Now()
	begin(t, s)
	worked := begin(t, s)
	lease(t, s, worked, "worker")
	commit(t, s, mgx.Change{Events: []mgx.Event{worked.Event(mgx.TaskStarted, mgx.TaskStartedData{Attempt: 1})}})
	asks := begin(t, s)
	l := lease(t, s, asks, "worker")
	commit(t, s, mgx.Change{
		Lease:  l,
		Events: []mgx.Event{asks.Event(mgx.TaskStarted, mgx.TaskStartedData{Attempt: 1}), asks.Event(mgx.ApprovalRequested, mgx.ApprovalRequestedData{ApprovalID: "decision/plan", Effect: "It.", Hash: "sha256:x"}), asks.Event(mgx.WorkflowWaiting, mgx.WaitingData{For: "decision/plan"})},
		Update: &mgx.ExecutionUpdate{Execution: asks.Execution, Status: mgx.ExecWaiting, Awaits: []string{"decision/plan"}, Release: true},
	})
	commit(t, s, mgx.Change{Reserve: &mgx.Reservation{ID: "open", Workspace: ws, Run: worked.Run, Amount: 1}})

	hook := mgx.Webhook{ID: mgx.NewWebhookID(), Workspace: ws, URL: "https://example.com/"}
	if err := q.CreateWebhook(ctx, doer, hook, "whsec_x"); err != nil {
		t.Fatal(err)
	}
	held, ok, err := q.ClaimWebhook(ctx, mgx.WebhookLease{Webhook: hook.ID}, "worker", before.Add(time.Hour))
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	var told []mgx.Event
	for range 3 {
		told = append(told, commit(t, s, mgx.Change{Events: []mgx.Event{note(begin(t, s), "told")}}).Events[0])
	}
	if err := q.AddDeliveries(ctx, held, told, told[2].Position); err != nil {
		t.Fatal(err)
	}
	for i, status := range []mgx.DeliveryStatus{mgx.DeliveryDead, mgx.DeliveryPending} {
		o := mgx.WebhookOutcome{Attempt: mgx.WebhookAttempt{Event: told[i].ID, At: before, Error: "no answer", NextAt: before.Add(time.Minute)}, Status: status}
		if _, err := q.RecordDelivery(ctx, held, o); err != nil {
			t.Fatal(err)
		}
	}
	got := stand(ws)
	for kind, want := range map[mgx.QueueKind]mgx.Queue{
		mgx.QueueRuns:       {Waiting: 4, Working: 1, Asleep: 1},
		mgx.QueueExecutions: {Waiting: 4, Working: 1, Asleep: 1},
		mgx.QueueApprovals:  {Waiting: 1},
		mgx.QueueCalls:      {Working: 1},
		mgx.QueueDeliveries: {Waiting: 2, Retried: 1, Dead: 1},
	} {
		one := got[kind]
		if one.Oldest.Before(before.Add(-time.Second)) {
			t.Errorf("%s: the oldest is of %s", kind, one.Oldest)
		}
		if want.Kind, want.Oldest = kind, one.Oldest; one != want {
			t.Errorf("got %+v, want %+v", one, want)
		}
	}
	for kind, one := range stand(elsewhere) {
		if (one != mgx.Queue{Kind: kind}) {
			t.Errorf("elsewhere: %+v", one)
		}
	}
}
