package webhook_test

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/webhook"
)

func TestRemovedEventsAreTold(t *testing.T) { onEach(t, testRemoved) }

// An endpoint for which events were removed before they were read hears of it once,
// although it does not ask for such events, and gets what is left.
func testRemoved(t *testing.T, l *lab) {
	rec := newReceiver(t, status(200))
	web := httptest.NewServer(rec)
	defer web.Close()
	w, _ := l.add(web.URL, func(n *webhook.NewEndpoint) { n.Types, n.Channels = []string{"agent.*"}, []string{"task:task_a"} })
	gone := l.say("task_a", "agent.message", 4)
	last := l.say("task_a", "tool.call", 1)[0].Position // is not removed, as the last of its stream
	r, err := l.s.Retain(t.Context(), mgx.Now().Add(70*24*time.Hour), store.Retention{Keep: map[mgx.EventType]time.Duration{"agent.message": 24 * time.Hour}})
	if err != nil || int(r.Removed) != len(gone) {
		t.Fatal(r, err)
	}
	kept := l.say("task_a", "agent.message", 2)
	for range 2 { // the second one begins where the first has ended
		stop := l.run(webhook.Options{})
		l.delivered(w.ID, 1+len(kept))
		stop()
	}
	told := 0
	for _, m := range rec.messages() {
		if m.event.Type != mgx.WebhookSkipped {
			continue
		}
		told++
		var d mgx.WebhookSkippedData
		if err := json.Unmarshal(m.event.Data, &d); err != nil || d.WebhookID != w.ID || d.UpTo >= last || d.UpTo != gone[len(gone)-1].Position {
			t.Errorf("%s %v", m.body, err)
		}
	}
	if told != 1 || len(rec.messages()) != 1+len(kept) {
		t.Errorf("told %d times in %d messages", told, len(rec.messages()))
	}
}
