package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"mgx"
	"mgx/internal/event"
)

// A measure is one of the metrics that /metrics has beside those of the Go
// runtime. docs/reference/metrics.md is made of these.
type measure struct {
	name   string // as OpenTelemetry has it
	kind   string // gauge, counter, histogram
	unit   string
	labels string // with commas between
	help   string
}

// measures are all of them. The labels have few values each: of event types,
// consumers (at most 100) and models only as many as there are, up to 1,000 in a
// metric.
var measures = []measure{
	{"mgx.hub.subscribers", "gauge", "{subscriber}", "", "Subscriptions to the event stream."},
	{"mgx.hub.head", "gauge", "{event}", "", "Position of the last event that the hub has read."},
	{"mgx.hub.lag", "gauge", "{event}", "", "Events between the slowest subscriber and the head."},
	{"mgx.hub.unacknowledged", "gauge", "{event}", "", "Events between the head and what a subscriber that acknowledges has acknowledged, of the slowest one."},
	{"mgx.hub.queued", "gauge", "By", "", "Bytes of events that wait for subscribers, about; events that several wait for count for each."},
	{"mgx.hub.events", "counter", "{event}", "", "Events that the hub has read from the log."},
	{"mgx.hub.deliveries", "counter", "{event}", "", "Events handed to subscribers."},
	{"mgx.hub.drops", "counter", "{drop}", "", "Full queues that were dropped, after which the subscriber read the log."},
	{"mgx.hub.too_slow", "counter", "{subscriber}", "", "Subscribers that were let go because they made no progress."},
	{"mgx.hub.holes", "counter", "{look}", "", "Looks at the log in which the next position was missing."},
	{"mgx.hub.unreadable", "counter", "{event}", "", "Events delivered as they are stored, because the version asked for could not be made."},
	{"mgx.hub.pages", "counter", "{page}", "source", "Pages of the log read for subscribers that are behind, from memory or the store."},
	{"mgx.hub.live", "counter", "{frame}", "outcome", "Live frames that were sent, or dropped for subscribers that did not keep up."},

	{"mgx.consumer.position", "gauge", "{event}", "consumer", "Position up to which a consumer has dealt with the log."},
	{"mgx.consumer.lag", "gauge", "{event}", "consumer", "Events between a consumer's position and the head of the log."},
	{"mgx.consumer.dead_letters", "gauge", "{event}", "consumer", "Events that a consumer has given up; see mgx consumers."},
	{"mgx.consumer.failing", "gauge", "{attempt}", "consumer", "Failed attempts at the event that holds a consumer up; 0: none does."},
	{"mgx.consumer.gaps", "counter", "{gap}", "consumer", "How often events were removed before a consumer had read them."},
	{"mgx.webhook.endpoints", "gauge", "{endpoint}", "", "Webhooks that are enabled."},
	{"mgx.webhook.lag", "gauge", "{event}", "", "Events between the head of the log and the webhook that has read least of it."},
	{"mgx.webhook.pending", "gauge", "{delivery}", "", "Webhook deliveries that are left to make."},
	{"mgx.webhook.dead_letters", "gauge", "{delivery}", "", "Webhook deliveries that were given up; see mgx webhooks."},

	{"mgx.event.rejected", "counter", "{event}", "code,event_type", "Events that were not stored because they break their contract."},
	{"mgx.event.size", "histogram", "By", "class", "Size of the data of events, by the days they are kept for at least."},
	{"mgx.event.old_version.reads", "counter", "{event}", "event_type,version", "Events read in a version that is not the latest."},

	{"mgx.audit.unrecorded", "counter", "{act}", "", "Acts that were denied and that the audit log could not be told of."},

	{"mgx.outbox.waiting", "gauge", "{event}", "", "Events that are committed and not numbered yet. PostgreSQL only."},
	{"mgx.sequencer.leads", "gauge", "{process}", "", "1 in the process that numbers the log, 0 in others. PostgreSQL only."},
	{"mgx.sequencer.term", "gauge", "{term}", "", "Raised whenever another process takes over numbering the log. PostgreSQL only."},
	{"mgx.sequencer.lease", "gauge", "s", "", "Time that is left of the lease on numbering; less than nothing: nobody numbers. PostgreSQL only."},

	{"mgx.run.ended", "counter", "{run}", "outcome", "Runs that have ended: completed, cancelled, or the type of the error."},
	{"mgx.run.duration", "histogram", "s", "", "Time that runs took which reached their goal."},
	{"mgx.run.tools", "counter", "{call}", "tool,status", "Tools called by agents."},
	{"mgx.run.cost", "counter", "{USD}", "provider,model", "Dollars that model calls of runs have cost, as far as prices are known."},
}

// buckets of histograms.
var (
	sizeBuckets     = []float64{256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20}
	durationBuckets = []float64{1, 10, 60, 300, 900, 3600, 4 * 3600, 24 * 3600}
)

// meters are the instruments of measures, by name. Those of OpenTelemetry's
// global provider do nothing until there is one.
type meters struct {
	counters   map[string]metric.Float64Counter
	histograms map[string]metric.Float64Histogram
	observed   map[string]metric.Float64Observable
	meter      metric.Meter
}

// pushed are counters that are counted as things happen; all other counters and
// the gauges are read when somebody asks.
var pushed = map[string]bool{"mgx.event.rejected": true, "mgx.run.ended": true, "mgx.run.tools": true, "mgx.run.cost": true}

func newMeters() (*meters, error) {
	m := &meters{
		counters: map[string]metric.Float64Counter{}, histograms: map[string]metric.Float64Histogram{},
		observed: map[string]metric.Float64Observable{}, meter: otel.Meter("mgx"),
	}
	for _, one := range measures {
		if err := m.add(one); err != nil {
			return nil, mgx.Errorf(mgx.KindInternal, "metrics_failed", "the metric %s cannot be: %w", one.name, err)
		}
	}
	return m, nil
}

func (m *meters) add(one measure) (err error) {
	help, unit := metric.WithDescription(one.help), metric.WithUnit(one.unit)
	switch {
	case one.kind == "histogram" && one.unit == "By":
		m.histograms[one.name], err = m.meter.Float64Histogram(one.name, help, unit, metric.WithExplicitBucketBoundaries(sizeBuckets...))
	case one.kind == "histogram":
		m.histograms[one.name], err = m.meter.Float64Histogram(one.name, help, unit, metric.WithExplicitBucketBoundaries(durationBuckets...))
	case pushed[one.name]:
		m.counters[one.name], err = m.meter.Float64Counter(one.name, help, unit)
	case one.kind == "counter":
		m.observed[one.name], err = m.meter.Float64ObservableCounter(one.name, help, unit)
	default:
		m.observed[one.name], err = m.meter.Float64ObservableGauge(one.name, help, unit)
	}
	return err
}

func (m *meters) count(name string, n float64, labels ...attribute.KeyValue) {
	m.counters[name].Add(context.Background(), n, metric.WithAttributes(labels...))
}

func (m *meters) record(name string, v float64, labels ...attribute.KeyValue) {
	m.histograms[name].Record(context.Background(), v, metric.WithAttributes(labels...))
}

// observe has f called whenever somebody asks for metrics.
func (m *meters) observe(f func(context.Context, observer) error) error {
	var all []metric.Observable
	for _, o := range m.observed {
		all = append(all, o)
	}
	_, err := m.meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		ctx, stop := context.WithTimeout(ctx, observeWait)
		defer stop()
		return f(ctx, observer{m, o})
	}, all...)
	return err
}

const observeWait = 5 * time.Second // for the database, when metrics are asked for

// observer takes what is observed.
type observer struct {
	m  *meters
	to metric.Observer
}

func (o observer) set(name string, v int64, labels ...attribute.KeyValue) {
	o.to.ObserveFloat64(o.m.observed[name], float64(v), metric.WithAttributes(labels...))
}

// checked is the check of events before they are stored, which is counted.
func (m *meters) checked(contracts *event.Registry, keep map[mgx.EventType]time.Duration) func(*mgx.Event) error {
	classes := map[mgx.EventType]string{}
	for typ, kept := range keep {
		classes[typ] = fmt.Sprintf("%dd", kept/(24*time.Hour))
	}
	return func(e *mgx.Event) error {
		err := contracts.Check(e)
		class, known := classes[e.Type]
		if err == nil {
			m.record("mgx.event.size", float64(len(e.Data)), attribute.String("class", class))
			return nil
		}
		typ := string(e.Type)
		if !known {
			typ = "unknown"
		}
		m.count("mgx.event.rejected", 1, attribute.String("code", mgx.AsError(err).Code), attribute.String("event_type", typ))
		return err
	}
}

// exported is a metric's name as Prometheus has it.
func (one measure) exported() string {
	name := strings.ReplaceAll(one.name, ".", "_")
	switch one.unit {
	case "By":
		name += "_bytes"
	case "s":
		name += "_seconds"
	}
	if one.kind == "counter" {
		name += "_total"
	}
	return name
}
