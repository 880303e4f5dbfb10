package egress_test

import (
	"slices"
	"testing"
	"time"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/egress"
	"mgx/internal/sandbox/native"
)

// BenchmarkStart compares the start of true in a box that has a gate, for commands
// that may use it and for those that may not, in turns.
func BenchmarkStart(b *testing.B) {
	l := newLab(b, egress.Options{})
	box, err := native.New().Open(b.Context(), sandbox.Spec{Work: b.TempDir(), Gate: l.gate})
	if err != nil {
		b.Fatal(err)
	}
	took := map[string][]time.Duration{}
	for b.Loop() {
		for way, online := range map[string]bool{"online": true, "offline": false} {
			start := time.Now()
			if _, err := box.Run(b.Context(), sandbox.Command{Args: []string{"true"}, Timeout: time.Minute, Online: online}); err != nil {
				b.Fatal(err)
			}
			took[way] = append(took[way], time.Since(start))
		}
	}
	b.ReportMetric(0, "ns/op")
	for way, list := range took {
		slices.Sort(list)
		b.ReportMetric(float64(list[len(list)/2].Microseconds()), way+"-p50-us")
	}
}
