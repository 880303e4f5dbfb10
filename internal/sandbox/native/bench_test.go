//go:build linux

package native_test

import (
	"os/exec"
	"slices"
	"testing"
	"time"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/native"
)

// BenchmarkTrue compares /bin/true in a box with /bin/true by plain exec in the
// same run: ns/op is the box, "plain-p50-ns" the other.
func BenchmarkTrue(b *testing.B) {
	box, err := native.New().Open(b.Context(), sandbox.Spec{Work: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	var boxed, plain []time.Duration
	for b.Loop() {
		begin := time.Now()
		if r, err := box.Run(b.Context(), sandbox.Command{Args: []string{"/bin/true"}, Timeout: time.Minute}); err != nil || r.ExitCode != 0 {
			b.Fatal(r, err)
		}
		boxed = append(boxed, time.Since(begin))
		begin = time.Now()
		if err := exec.Command("/bin/true").Run(); err != nil {
			b.Fatal(err)
		}
		plain = append(plain, time.Since(begin))
	}
	b.ReportMetric(float64(p50(boxed)), "boxed-p50-ns")
	b.ReportMetric(float64(p50(plain)), "plain-p50-ns")
}

func p50(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
