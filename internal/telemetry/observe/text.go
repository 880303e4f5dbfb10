package observe

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// textType is the format of Prometheus that everything which scrapes reads
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
const textType = "text/plain; version=0.0.4; charset=utf-8"

// handler answers with all metrics. What one source cannot tell, because a
// database is away, is left out and logged.
func handler(reader metric.Reader, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var all metricdata.ResourceMetrics
		if err := reader.Collect(r.Context(), &all); err != nil {
			log.Warn("some metrics could not be read", "error", err)
		}
		w.Header().Set("Content-Type", textType)
		w.Write(text(all))
	})
}

// family is a metric in the form that is written: its samples by their labels.
type family struct {
	kind, help string
	samples    map[string]string // name and labels: value
	order      []string
}

func (f *family) add(series, value string) {
	if _, taken := f.samples[series]; taken {
		return // another scope has the same metric
	}
	f.samples[series] = value
	f.order = append(f.order, series)
}

func text(all metricdata.ResourceMetrics) []byte {
	families := map[string]*family{}
	info := &family{kind: "gauge", help: "What these metrics are about.", samples: map[string]string{}}
	info.add("target_info"+labels(all.Resource.Iter()), "1")
	families["target_info"] = info
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			write(families, m)
		}
	}
	var out bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(families)) {
		f := families[name]
		if len(f.order) == 0 {
			continue
		}
		fmt.Fprintf(&out, "# HELP %s %s\n# TYPE %s %s\n", name, strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(f.help), name, f.kind)
		for _, series := range f.order {
			out.WriteString(series + " " + f.samples[series] + "\n")
		}
	}
	return out.Bytes()
}

// write adds one metric. Two scopes may have metrics of one name, but only of one
// kind.
func write(families map[string]*family, m metricdata.Metrics) {
	kind := kindOf(m.Data)
	name := exported(m.Name, m.Unit, kind)
	f := families[name]
	if f == nil {
		f = &family{kind: kind, help: m.Description, samples: map[string]string{}}
		families[name] = f
	}
	if kind == "" || f.kind != kind {
		return
	}
	switch d := m.Data.(type) {
	case metricdata.Gauge[int64]:
		points(f, name, d.DataPoints)
	case metricdata.Gauge[float64]:
		points(f, name, d.DataPoints)
	case metricdata.Sum[int64]:
		points(f, name, d.DataPoints)
	case metricdata.Sum[float64]:
		points(f, name, d.DataPoints)
	case metricdata.Histogram[int64]:
		histogram(f, name, d.DataPoints)
	case metricdata.Histogram[float64]:
		histogram(f, name, d.DataPoints)
	}
}

// kindOf is a metric's kind, "" for those that the format does not have.
func kindOf(a metricdata.Aggregation) string {
	switch d := a.(type) {
	case metricdata.Gauge[int64], metricdata.Gauge[float64]:
		return "gauge"
	case metricdata.Histogram[int64], metricdata.Histogram[float64]:
		return "histogram"
	case metricdata.Sum[int64]:
		return sumKind(d.IsMonotonic)
	case metricdata.Sum[float64]:
		return sumKind(d.IsMonotonic)
	}
	return ""
}

func sumKind(monotonic bool) string {
	if monotonic {
		return "counter"
	}
	return "gauge"
}

// units are the suffixes of units, after
// https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/.
var units = map[string]string{"By": "_bytes", "s": "_seconds", "ms": "_milliseconds"}

// exported is the name of a metric as Prometheus has it.
func exported(name, unit, kind string) string {
	name = plain(name)
	if suffix := units[unit]; !strings.HasSuffix(name, suffix) {
		name += suffix
	}
	if kind == "counter" && !strings.HasSuffix(name, "_total") {
		name += "_total"
	}
	return name
}

// plain replaces what names may not have.
func plain(name string) string {
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, name)
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "_" + name
	}
	return name
}

func points[N int64 | float64](f *family, name string, list []metricdata.DataPoint[N]) {
	for _, p := range list {
		f.add(name+labels(p.Attributes.Iter()), number(float64(p.Value)))
	}
}

func histogram[N int64 | float64](f *family, name string, list []metricdata.HistogramDataPoint[N]) {
	for _, p := range list {
		below := uint64(0)
		for i, n := range p.BucketCounts {
			below += n
			bound := "+Inf"
			if i < len(p.Bounds) {
				bound = number(p.Bounds[i])
			}
			f.add(name+"_bucket"+labels(p.Attributes.Iter(), `le="`+bound+`"`), strconv.FormatUint(below, 10))
		}
		f.add(name+"_sum"+labels(p.Attributes.Iter()), number(float64(p.Sum)))
		f.add(name+"_count"+labels(p.Attributes.Iter()), strconv.FormatUint(p.Count, 10))
	}
}

// labels writes attributes, whose set is sorted, and more.
func labels(attrs attribute.Iterator, more ...string) string {
	var all []string
	for attrs.Next() {
		a := attrs.Attribute()
		all = append(all, plain(string(a.Key))+`="`+strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(a.Value.String(), "\uFFFD"))+`"`)
	}
	if all = append(all, more...); len(all) == 0 {
		return ""
	}
	return "{" + strings.Join(all, ",") + "}"
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
