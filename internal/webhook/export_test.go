package webhook

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"time"

	"mgx"
)

// What the tests see of the inside.
var (
	Signature = signature
	Key       = key
	Schedule  = schedule
	OneLine   = oneLine
)

func Envelope(e mgx.Event) ([]byte, error) {
	m, err := envelope(e)
	return m.body, err
}

func (g Guard) Check(a netip.Addr, plain bool) error { return g.check(a, plain) }

func (g Guard) CheckWebhook(w mgx.Webhook) error { return g.checkWebhook(w) }

func RetryAfter(h http.Header, now time.Time) time.Duration { return retryAfter(h, now) }

// Dial makes a deliverer reach all its endpoints through one function.
func (d *Deliverer) Dial(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	d.sender.http.Transport.(*http.Transport).DialContext = dial
	d.sender.https.Transport.(*http.Transport).DialContext = dial
}
