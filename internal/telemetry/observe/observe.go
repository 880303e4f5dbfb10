package observe

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"

	"mgx"
)

const (
	mostSeries = 1000            // of one instrument
	flushWait  = 5 * time.Second // for what is left to send when the process ends
)

// Options say what is let out.
type Options struct {
	Version string              // of this program
	Redact  func(string) string // takes secrets out of what traces say; nil: nothing is taken out
	Log     *slog.Logger
	Getenv  func(string) string // required
	Metrics bool                // also collect metrics
}

// Process is what this process lets out.
type Process struct {
	metrics http.Handler
	stop    []func(context.Context) error
}

// Wanted reports whether the environment asks for traces.
func Wanted(getenv func(string) string) bool {
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") || getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	return getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// Start makes what the process measures from now on go where it should. It sets
// the global providers of OpenTelemetry, so it is called once in a program.
func Start(ctx context.Context, o Options) (*Process, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Redact == nil {
		o.Redact = func(s string) string { return s }
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		o.Log.Warn("measurements or traces were not passed on", "error", err)
	}))
	about, err := resource.New(ctx, resource.WithAttributes(
		attribute.String("service.name", "mgx"), attribute.String("service.version", o.Version)), resource.WithFromEnv())
	if err != nil {
		return nil, mgx.Errorf(mgx.KindConfig, "bad_otel_settings", "OTEL_RESOURCE_ATTRIBUTES cannot be read; write key=value with commas between: %w", err)
	}
	about = (&redacting{redact: o.Redact}).resource(about)
	p := &Process{}
	if o.Metrics {
		if err := p.meter(about, o.Log); err != nil {
			return nil, err
		}
	}
	if Wanted(o.Getenv) {
		err = p.tracer(about, o)
	}
	return p, err
}

// meter collects metrics for whoever asks.
func (p *Process) meter(about *resource.Resource, log *slog.Logger) error {
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader), metric.WithResource(about), metric.WithCardinalityLimit(mostSeries))
	if err := measureProcess(provider.Meter("mgx/process")); err != nil {
		return mgx.Errorf(mgx.KindInternal, "metrics_failed", "the process cannot be measured: %w", err)
	}
	otel.SetMeterProvider(provider)
	p.metrics = handler(reader, log)
	p.stop = append(p.stop, provider.Shutdown)
	return nil
}

// tracer sends spans from a queue that is never waited for.
func (p *Process) tracer(about *resource.Resource, o Options) error {
	to, err := newSender(o.Getenv)
	if err != nil {
		return err
	}
	provider := trace.NewTracerProvider(trace.WithBatcher(&redacting{to, o.Redact}), trace.WithResource(about))
	otel.SetTracerProvider(provider)
	p.stop = append(p.stop, provider.Shutdown)
	return nil
}

// Metrics serves the metrics in the format of Prometheus; nil: none are
// collected.
func (p *Process) Metrics() http.Handler {
	if p == nil {
		return nil
	}
	return p.metrics
}

// Close sends what is left, for a few seconds at most.
func (p *Process) Close() error {
	ctx, stop := context.WithTimeout(context.Background(), flushWait)
	defer stop()
	var all []error
	for _, f := range p.stop {
		all = append(all, f(ctx))
	}
	return errors.Join(all...)
}
