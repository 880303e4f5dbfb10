package main

import (
	"context"
	"errors"
	"strings"

	"go.opentelemetry.io/otel/attribute"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/event"
	"mgx/internal/store"
	"mgx/internal/telemetry/observe"
)

// observeServer has what a server knows read whenever somebody asks for metrics.
func observeServer(m *meters, s *store.Store, hub *event.Hub, contracts *event.Registry, who *app.Access) error {
	return m.observe(func(ctx context.Context, o observer) error {
		o.hub(hub.Metrics())
		o.versions(contracts.Usage())
		o.set("mgx.audit.unrecorded", who.Unrecorded())
		consumers, err := s.Consumers(ctx)
		if err == nil {
			o.consumers(consumers)
		}
		n, apart, err2 := s.Numbering(ctx)
		if err2 == nil && apart {
			o.numbering(n)
		}
		return errors.Join(err, err2)
	})
}

func (o observer) hub(h event.Metrics) {
	o.set("mgx.hub.subscribers", int64(h.Subscribers))
	for name, v := range map[string]int64{
		"head": h.Head, "lag": h.Lag, "unacknowledged": h.Unacked, "queued": h.Queued, "events": h.Events, "deliveries": h.Deliveries,
		"drops": h.Drops, "too_slow": h.TooSlow, "holes": h.Holes, "unreadable": h.Unreadable,
	} {
		o.set("mgx.hub."+name, v)
	}
	o.set("mgx.hub.pages", h.FromMemory, attribute.String("source", "memory"))
	o.set("mgx.hub.pages", h.FromStore, attribute.String("source", "store"))
	o.set("mgx.hub.live", h.LiveSent, attribute.String("outcome", "sent"))
	o.set("mgx.hub.live", h.LiveDropped, attribute.String("outcome", "dropped"))
}

// versions leaves out who reads, of which there may be many; the API tells.
func (o observer) versions(reads []event.OldRead) {
	type version struct{ typ, version string }
	sums := map[version]int64{}
	for _, r := range reads {
		sums[version{string(r.Type), r.Version}] += r.Count
	}
	for v, n := range sums {
		o.set("mgx.event.old_version.reads", n, attribute.String("event_type", v.typ), attribute.String("version", v.version))
	}
}

// consumers has each consumer, and all webhooks together.
func (o observer) consumers(all []mgx.Consumer) {
	var endpoints, lag, pending, dead int64
	for _, c := range all {
		if strings.HasPrefix(c.Name, "webhook:") {
			endpoints, lag, pending, dead = endpoints+1, max(lag, c.Lag), pending+c.Pending, dead+c.Dead
			continue
		}
		name := attribute.String("consumer", c.Name)
		o.set("mgx.consumer.position", c.Position, name)
		o.set("mgx.consumer.lag", c.Lag, name)
		o.set("mgx.consumer.dead_letters", c.Dead, name)
		o.set("mgx.consumer.failing", int64(c.Attempts), name)
		gaps := int64(0)
		if c.Gap != nil {
			gaps = c.Gap.Count
		}
		o.set("mgx.consumer.gaps", gaps, name)
	}
	o.set("mgx.webhook.endpoints", endpoints)
	o.set("mgx.webhook.lag", lag)
	o.set("mgx.webhook.pending", pending)
	o.set("mgx.webhook.dead_letters", dead)
}

func (o observer) numbering(n store.Numbering) {
	leads := int64(0)
	if n.Leads {
		leads = 1
	}
	o.set("mgx.outbox.waiting", n.Waiting)
	o.set("mgx.sequencer.leads", leads)
	o.set("mgx.sequencer.term", n.Term)
	o.set("mgx.sequencer.lease", int64(n.Lease.Seconds()))
}

// measure begins to measure, and to let out what the environment or the command
// asks for.
func (n *node) measure(ctx context.Context, c *cli) (err error) {
	if c.metrics || observe.Wanted(c.getenv) {
		n.seen, err = observe.Start(ctx, observe.Options{Version: version, Redact: n.redact.All().String, Log: n.log, Getenv: c.getenv, Metrics: c.metrics})
		if err != nil {
			return err
		}
	}
	n.meters, err = newMeters()
	return err
}

// unmeasure sends what is left. That it could not is in the log, and no reason
// for a command to fail.
func (n *node) unmeasure() {
	if n.seen == nil {
		return
	}
	if err := n.seen.Close(); err != nil {
		n.log.Warn("the last traces were not sent", "error", err)
	}
}
