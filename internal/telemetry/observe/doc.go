// Package observe lets measurements and traces leave the process. Who measures
// needs only the OpenTelemetry API, whose global providers do nothing until
// [Start] was called:
//
//	calls, _ := otel.Meter("mgx/llm").Int64Counter("mgx.llm.calls")
//	calls.Add(ctx, 1)
//
// Metrics are read from [Process.Metrics], in the format of Prometheus, together
// with those of the Go runtime and of the process. Traces are sent by OTLP over
// HTTP, as JSON, when OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is
// set; the other OTEL_ variables mean what OpenTelemetry says
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
//
// # Promises
//
//   - Nothing waits for it: what cannot be sent in time is dropped, at most 2,048
//     spans wait, and an endpoint that is away costs a line in the log.
//   - No secret leaves: names, statuses and attributes of spans pass Redact.
//   - A series that has too many values of its attributes is cut off at 1,000 and
//     goes on under otel_metric_overflow.
//
// Both formats are written here rather than by the official exporters, which would
// slow the start of every process; docs/adr/0008 has the figures.
package observe
