package observe

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace"

	"mgx"
)

const (
	sendWait  = 10 * time.Second // for one batch, when OTEL_EXPORTER_OTLP_TIMEOUT does not say
	sendTries = 3
)

// sender sends spans by OTLP over HTTP, as JSON
// (https://opentelemetry.io/docs/specs/otlp/#otlphttp). It is a
// trace.SpanExporter.
type sender struct {
	url    string
	header http.Header
	gzip   bool
	wait   time.Duration
	http   *http.Client
}

// newSender reads where to send to from the variables that OpenTelemetry gives
// names to (https://opentelemetry.io/docs/specs/otel/protocol/exporter/).
func newSender(getenv func(string) string) (*sender, error) {
	get := func(name string) string {
		if v := getenv("OTEL_EXPORTER_OTLP_TRACES_" + name); v != "" {
			return v
		}
		return getenv("OTEL_EXPORTER_OTLP_" + name)
	}
	s := &sender{url: getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), header: http.Header{"Content-Type": {"application/json"}, "User-Agent": {"mgx"}}, wait: sendWait}
	if s.url == "" {
		s.url = strings.TrimRight(getenv("OTEL_EXPORTER_OTLP_ENDPOINT"), "/") + "/v1/traces"
	}
	if u, err := url.Parse(s.url); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, badSetting("ENDPOINT", "is not an address such as http://127.0.0.1:4318")
	}
	for _, name := range []string{"CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"} {
		if get(name) != "" {
			return nil, badSetting(name, "is not understood; name certificates that are to be trusted in SSL_CERT_FILE")
		}
	}
	if p := get("PROTOCOL"); p == "grpc" {
		return nil, badSetting("PROTOCOL", "must be http/json or http/protobuf, and the endpoint that of HTTP, usually port 4318")
	}
	switch get("COMPRESSION") {
	case "", "none":
	case "gzip":
		s.gzip = true
		s.header.Set("Content-Encoding", "gzip")
	default:
		return nil, badSetting("COMPRESSION", "must be gzip or none")
	}
	if text := get("TIMEOUT"); text != "" {
		ms, err := strconv.Atoi(text)
		if err != nil || ms <= 0 {
			return nil, badSetting("TIMEOUT", "must be a number of milliseconds")
		}
		s.wait = time.Duration(ms) * time.Millisecond
	}
	if err := s.headers(get("HEADERS")); err != nil {
		return nil, err
	}
	s.http = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return s, nil
}

// headers reads key=value pairs with commas between, percent-encoded.
func (s *sender) headers(text string) error {
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || err != nil {
			return badSetting("HEADERS", "must be name=value with commas between")
		}
		s.header.Set(strings.TrimSpace(name), value)
	}
	return nil
}

func badSetting(name, what string) error {
	return mgx.Errorf(mgx.KindConfig, "bad_otel_settings", "OTEL_EXPORTER_OTLP_%s %s", name, what)
}

// ExportSpans sends a batch, and again when the collector asks for that.
func (s *sender) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	if len(spans) == 0 {
		return nil
	}
	body, err := s.encode(spans)
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, s.wait)
	defer stop()
	for try := 1; ; try++ {
		again, err := s.send(ctx, body)
		if err == nil || again < 0 || try == sendTries {
			return err
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return err
		}
	}
}

// Shutdown has nothing to wait for.
func (s *sender) Shutdown(context.Context) error {
	s.http.CloseIdleConnections()
	return nil
}

func (s *sender) encode(spans []trace.ReadOnlySpan) ([]byte, error) {
	body, err := json.Marshal(request(spans))
	if err != nil || !s.gzip {
		return body, err
	}
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(body)
	return out.Bytes(), z.Close()
}

// send makes one attempt. It returns after what time to make another, if there is
// a point; else less than nothing.
func (s *sender) send(ctx context.Context, body []byte) (again time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return -1, err
	}
	r.Header = s.header
	resp, err := s.http.Do(r)
	if err != nil {
		return time.Second, err
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		again = time.Second
		if n, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 16); err == nil {
			again = time.Duration(n) * time.Second
		}
	default:
		again = -1
	}
	if resp.StatusCode/100 != 2 {
		err = fmt.Errorf("the collector of traces answered with status %d", resp.StatusCode)
	}
	return again, err
}

// object is a JSON object.
type object map[string]any

// request is a batch in the JSON form of ExportTraceServiceRequest. Ids are
// hexadecimal and numbers of 64 bits are strings, as OTLP asks for.
func request(spans []trace.ReadOnlySpan) object {
	type scope struct{ name, version string }
	var order []scope
	byScope := map[scope][]object{}
	for _, s := range spans {
		at := scope{s.InstrumentationScope().Name, s.InstrumentationScope().Version}
		if byScope[at] == nil {
			order = append(order, at)
		}
		byScope[at] = append(byScope[at], spanObject(s))
	}
	var scopes []object
	for _, at := range order {
		scopes = append(scopes, object{"scope": object{"name": at.name, "version": at.version}, "spans": byScope[at]})
	}
	about := object{"attributes": attributesObject(spans[0].Resource().Attributes())}
	return object{"resourceSpans": []object{{"resource": about, "scopeSpans": scopes}}}
}

func spanObject(s trace.ReadOnlySpan) object {
	id := s.SpanContext()
	o := object{
		"traceId": id.TraceID().String(), "spanId": id.SpanID().String(), "traceState": id.TraceState().String(), "flags": uint32(id.TraceFlags()),
		"name": s.Name(), "kind": int(s.SpanKind()), "startTimeUnixNano": nanos(s.StartTime()), "endTimeUnixNano": nanos(s.EndTime()),
		"attributes": attributesObject(s.Attributes()), "droppedAttributesCount": s.DroppedAttributes(),
		"droppedEventsCount": s.DroppedEvents(), "droppedLinksCount": s.DroppedLinks(), "status": statusObject(s.Status()),
	}
	if parent := s.Parent(); parent.SpanID().IsValid() {
		o["parentSpanId"] = parent.SpanID().String()
	}
	var events, links []object
	for _, e := range s.Events() {
		events = append(events, object{"timeUnixNano": nanos(e.Time), "name": e.Name, "attributes": attributesObject(e.Attributes), "droppedAttributesCount": e.DroppedAttributeCount})
	}
	for _, l := range s.Links() {
		links = append(links, object{"traceId": l.SpanContext.TraceID().String(), "spanId": l.SpanContext.SpanID().String(), "attributes": attributesObject(l.Attributes)})
	}
	o["events"], o["links"] = events, links
	return o
}

// statusObject numbers statuses as OTLP does: the API has error before ok.
func statusObject(s trace.Status) object {
	code := map[string]int{"Ok": 1, "Error": 2}[s.Code.String()]
	return object{"code": code, "message": s.Description}
}

func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

func attributesObject(list []attribute.KeyValue) []object {
	all := make([]object, len(list))
	for i, a := range list {
		all[i] = object{"key": string(a.Key), "value": valueObject(a.Value)}
	}
	return all
}

func valueObject(v attribute.Value) object {
	switch v.Type() {
	case attribute.BOOL:
		return object{"boolValue": v.AsBool()}
	case attribute.INT64:
		return object{"intValue": strconv.FormatInt(v.AsInt64(), 10)}
	case attribute.FLOAT64:
		f := v.AsFloat64()
		if math.IsNaN(f) || math.IsInf(f, 0) { // which JSON has no numbers for
			return object{"doubleValue": strings.TrimPrefix(strings.Replace(fmt.Sprint(f), "Inf", "Infinity", 1), "+")}
		}
		return object{"doubleValue": f}
	case attribute.STRINGSLICE:
		values := []object{}
		for _, s := range v.AsStringSlice() {
			values = append(values, object{"stringValue": s})
		}
		return object{"arrayValue": object{"values": values}}
	}
	return object{"stringValue": v.String()}
}
