package webhook_test

import (
	"fmt"
	"net/http/httptest"
	"testing"

	"mgx"
	"mgx/internal/webhook"
)

// BenchmarkDeliver sends events of many streams to one endpoint that answers at
// once.
func BenchmarkDeliver(b *testing.B) {
	l := newLab(b)
	web := httptest.NewServer(newReceiver(b, status(200)))
	defer web.Close()
	w, _ := l.add(web.URL)
	for i := range 100 {
		l.say(mgx.StreamID(fmt.Sprintf("task_%d", i)), "agent.message", max(1, b.N/100))
	}
	b.ResetTimer()
	l.run(webhook.Options{Window: 1 << 20})
	l.until("all is delivered", func() bool { return l.hook(w.ID).Pending == 0 && l.hook(w.ID).Cursor > 0 })
	b.ReportMetric(float64(max(100, b.N/100*100))/b.Elapsed().Seconds(), "events/s")
}
