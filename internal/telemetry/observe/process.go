package observe

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// What the process and the Go runtime are measured by, under the names that
// OpenTelemetry gives them: https://opentelemetry.io/docs/specs/semconv/runtime/go-metrics/
// and https://opentelemetry.io/docs/specs/semconv/system/process-metrics/.
var processMeasures = []struct {
	name, unit, help string
	counts           bool // up only
	read             func(*runtime.MemStats) float64
}{
	{"go.goroutine.count", "{goroutine}", "Goroutines that exist.", false, func(*runtime.MemStats) float64 { return float64(runtime.NumGoroutine()) }},
	{"go.processor.limit", "{thread}", "Threads that may run Go code at once.", false, func(*runtime.MemStats) float64 { return float64(runtime.GOMAXPROCS(0)) }},
	{"go.memory.used", "By", "Memory used by the Go runtime.", false, func(m *runtime.MemStats) float64 { return float64(m.Sys) }},
	{"go.memory.gc.goal", "By", "Size of the heap at which the next collection ends.", false, func(m *runtime.MemStats) float64 { return float64(m.NextGC) }},
	{"go.memory.allocated", "By", "Memory allocated on the heap.", true, func(m *runtime.MemStats) float64 { return float64(m.TotalAlloc) }},
	{"go.memory.gc.cycles", "{cycle}", "Collections that were completed.", true, func(m *runtime.MemStats) float64 { return float64(m.NumGC) }},
	{"process.cpu.time", "s", "Processor time that was used.", true, cpuTime},
	{"process.memory.usage", "By", "Memory that is resident.", false, resident},
	{"process.unix.file_descriptor.count", "{file_descriptor}", "File descriptors that are open.", false, descriptors},
	{"process.uptime", "s", "Time since the process began to measure.", false, func(*runtime.MemStats) float64 { return time.Since(begun).Seconds() }},
}

var begun = time.Now()

// measureProcess has all that read whenever somebody asks. Package runtime/metrics would
// read the runtime with less ado, and is made ready in every process of ours: each command
// in a sandbox would begin a fiftieth later. So it is stopped, once for all of them.
func measureProcess(m metric.Meter) error {
	var all []metric.Observable
	for _, one := range processMeasures {
		help, unit := metric.WithDescription(one.help), metric.WithUnit(one.unit)
		var made metric.Float64Observable
		var err error
		if one.counts {
			made, err = m.Float64ObservableCounter(one.name, help, unit)
		} else {
			made, err = m.Float64ObservableGauge(one.name, help, unit)
		}
		if err != nil {
			return err
		}
		all = append(all, made)
	}
	_, err := m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		for i, one := range processMeasures {
			if v := one.read(&stats); v >= 0 {
				o.ObserveFloat64(all[i].(metric.Float64Observable), v)
			}
		}
		return nil
	}, all...)
	return err
}

func cpuTime(*runtime.MemStats) float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return -1
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// resident and descriptors are known where there is /proc; -1 elsewhere.
func resident(*runtime.MemStats) float64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return -1
	}
	return parseResident(string(text))
}

func descriptors(*runtime.MemStats) float64 {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return float64(len(list) - 1) // without the one that reads
}

// parseResident reads the second number of statm, in pages.
func parseResident(statm string) float64 {
	var size, pages int64
	if _, err := fmt.Sscan(statm, &size, &pages); err != nil {
		return -1
	}
	return float64(pages) * float64(os.Getpagesize())
}
