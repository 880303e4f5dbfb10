//go:build linux

package native_test

import (
	"fmt"
	"os/exec"
	"slices"
	"testing"
	"time"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/native"
)

// BenchmarkTrue compares /bin/true in a box of each driver with /bin/true by plain
// exec and, where it is installed, by bubblewrap with namespaces and a read-only
// root, all in the same run and in turns.
func BenchmarkTrue(b *testing.B) {
	ways := map[string]func() error{"plain": func() error { return exec.Command("/bin/true").Run() }}
	for _, d := range []sandbox.Driver{native.New(), native.NewLite()} {
		box, err := d.Open(b.Context(), sandbox.Spec{Work: b.TempDir()})
		if err != nil {
			b.Logf("%s: %v", d.Name(), err)
			continue
		}
		b.Cleanup(func() { box.Close() })
		ways[string(box.Level())] = func() error {
			r, err := box.Run(b.Context(), sandbox.Command{Args: []string{"/bin/true"}, Timeout: time.Minute})
			if err == nil && r.ExitCode != 0 {
				err = fmt.Errorf("exit code %d", r.ExitCode)
			}
			return err
		}
	}
	if bwrap, err := exec.LookPath("bwrap"); err == nil {
		work := b.TempDir()
		ways["bubblewrap"] = func() error {
			return exec.Command(bwrap, "--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin",
				"--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",
				"--bind", work, "/workspace", "--chdir", "/workspace", "--clearenv", "/bin/true").Run()
		}
	}
	took := map[string][]time.Duration{}
	for b.Loop() {
		for name, run := range ways {
			begin := time.Now()
			if err := run(); err != nil {
				b.Fatal(name, err)
			}
			took[name] = append(took[name], time.Since(begin))
		}
	}
	for name, d := range took {
		b.ReportMetric(float64(p50(d).Microseconds()), name+"-p50-us")
	}
	b.ReportMetric(0, "ns/op")
}

func p50(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
