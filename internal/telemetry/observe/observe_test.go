package observe_test

import (
	"context"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"

	"mgx"
	"mgx/internal/telemetry/observe"
)

const secret = "sk-abcdefgh1"

func hide(s string) string { return strings.ReplaceAll(s, secret, "[redacted]") }

// The providers are global, so this is one test: what is measured is served, what
// is traced is sent, and no secret of it.
func TestProcess(t *testing.T) {
	var mu sync.Mutex
	var sent strings.Builder
	hangs := make(chan struct{})
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		sent.Write(body)
	}))
	defer collector.Close()
	env := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL, "OTEL_EXPORTER_OTLP_COMPRESSION": "none"}
	for k, v := range env {
		t.Setenv(k, v)
	}
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "team=core,deploy.note="+secret+"-x")
	getenv := func(k string) string { return env[k] }
	calls, err := otel.Meter("test").Int64Counter("mgx.test.calls") // before there is a provider
	if err != nil {
		t.Fatal(err)
	}
	p, err := observe.Start(t.Context(), observe.Options{Version: "1.2.3", Redact: hide, Getenv: getenv, Metrics: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		calls.Add(t.Context(), 1, metric.WithAttributes(attribute.Int("n", i)))
	}
	_, span := otel.Tracer("test").Start(t.Context(), "call "+secret)
	span.SetAttributes(attribute.String("prompt", "x "+secret), attribute.StringSlice("words", []string{secret}), attribute.Int("n", 7), attribute.Float64("x", math.NaN()))
	span.AddEvent("said " + secret)
	span.SetStatus(codes.Error, "failed with "+secret)
	span.End()

	sizes, _ := otel.Meter("test").Float64Histogram("mgx.test.size", metric.WithUnit("By"), metric.WithExplicitBucketBoundaries(10, 100), metric.WithDescription("how\nlarge"))
	sizes.Record(t.Context(), 5)
	sizes.Record(t.Context(), 50, metric.WithAttributes(attribute.String("a.b", "q\"\n")))
	sizes.Record(t.Context(), 500)
	w := httptest.NewRecorder()
	before := stops()
	p.Metrics().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if n := stops() - before; n > 1 {
		t.Errorf("the world was stopped %d times for them", n)
	}
	text := w.Body.String()
	if n := strings.Count(text, "mgx_test_calls_total{"); n > 1000 || !strings.Contains(text, `otel_metric_overflow="true"`) || !strings.Contains(text, `service_version="1.2.3"`) || !strings.Contains(text, `deploy_note="[redacted]-x"`) {
		t.Errorf("%d series, of\n%.2000s", n, text)
	}
	for _, part := range []string{
		`# HELP mgx_test_size_bytes how\nlarge`, "# TYPE mgx_test_size_bytes histogram", `mgx_test_size_bytes_bucket{le="10"} 1`, `mgx_test_size_bytes_bucket{le="100"} 1`,
		`mgx_test_size_bytes_bucket{le="+Inf"} 2`, "mgx_test_size_bytes_sum 505", "mgx_test_size_bytes_count 2", `mgx_test_size_bytes_bucket{a_b="q\"\n",le="100"} 1`,
		`mgx_test_calls_total{n="7"} 1`, "# TYPE mgx_test_calls_total counter", "# TYPE go_goroutine_count gauge", "process_cpu_time_seconds_total ",
	} {
		if !strings.Contains(text, part+"\n") && !strings.Contains(text, "\n"+part) {
			t.Errorf("%s is not in\n%.3000s", part, text)
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	mu.Lock()
	got := sent.String()
	if strings.Contains(got, secret) || strings.Count(got, "[redacted]") != 6 || !strings.Contains(got, `{"key":"team","value":{"stringValue":"core"}}`) {
		t.Errorf("sent %q", got)
	}
	id := span.SpanContext()
	for _, part := range []string{
		`"traceId":"` + id.TraceID().String() + `"`, `"spanId":"` + id.SpanID().String() + `"`, `{"key":"n","value":{"intValue":"7"}}`, `{"key":"x","value":{"doubleValue":"NaN"}}`,
		`"status":{"code":2,"message":"failed with [redacted]"}`, `{"key":"words","value":{"arrayValue":{"values":[{"stringValue":"[redacted]"}]}}}`,
		`{"key":"service.name","value":{"stringValue":"mgx"}}`, `"scope":{"name":"test","version":""}`, `"kind":1`,
	} {
		if !strings.Contains(got, part) {
			t.Errorf("%s is not in %s", part, got)
		}
	}
	mu.Unlock()

	// A collector that does not answer holds nothing up but the end, and that for
	// a few seconds at most.
	stuck := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hangs }))
	defer stuck.Close()
	defer close(hangs)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", stuck.URL)
	if p, err = observe.Start(t.Context(), observe.Options{Getenv: getenv, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	for range 10_000 {
		_, span := otel.Tracer("test").Start(context.Background(), "call")
		span.End()
	}
	ended := make(chan struct{})
	go func() { p.Close(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("it waits for the collector")
	}
	if p.Metrics() != nil {
		t.Error("metrics are served that nobody asked for")
	}
}

// stops counts how often all goroutines were stopped so far, but for collections.
func stops() (n uint64) {
	s := []metrics.Sample{{Name: "/sched/pauses/total/other:seconds"}}
	metrics.Read(s)
	for _, c := range s[0].Value.Float64Histogram().Counts {
		n += c
	}
	return n
}

func TestWanted(t *testing.T) {
	t.Parallel()
	for env, want := range map[string]bool{
		"": false, "OTEL_EXPORTER_OTLP_ENDPOINT=http://x": true, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://x": true,
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://x OTEL_SDK_DISABLED=true": false, "OTEL_EXPORTER_OTLP_ENDPOINT=http://x OTEL_TRACES_EXPORTER=none": false,
	} {
		getenv := func(k string) string {
			for pair := range strings.FieldsSeq(env) {
				if name, v, _ := strings.Cut(pair, "="); name == k {
					return v
				}
			}
			return ""
		}
		if got := observe.Wanted(getenv); got != want {
			t.Errorf("%q: %v", env, got)
		}
	}
}

func TestSettings(t *testing.T) {
	for name, c := range map[string]struct {
		name, value string
		ok          bool
	}{
		"no address":    {"OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", false},
		"grpc":          {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", false},
		"certificate":   {"OTEL_EXPORTER_OTLP_CERTIFICATE", "/x.pem", false},
		"zip":           {"OTEL_EXPORTER_OTLP_COMPRESSION", "zip", false},
		"soon":          {"OTEL_EXPORTER_OTLP_TIMEOUT", "soon", false},
		"headers":       {"OTEL_EXPORTER_OTLP_HEADERS", "a", false},
		"good headers":  {"OTEL_EXPORTER_OTLP_HEADERS", "a=b%20c, d=e", true},
		"of the traces": {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://x/y", true},
		"gzip":          {"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", true},
	} {
		env := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", c.name: c.value}
		p, err := observe.Start(t.Context(), observe.Options{Getenv: func(k string) string { return env[k] }})
		if (err == nil) != c.ok || err != nil && !mgx.IsCode(err, "bad_otel_settings") {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			p.Close()
		}
	}
}
