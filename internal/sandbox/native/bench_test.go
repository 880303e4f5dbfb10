//go:build linux

package native_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/native"
)

// way is one of those that a benchmark compares, in turns and in the same run.
type way struct {
	name string
	run  func() error
}

// compare reports the median of each, and of the first in relation to the others.
func compare(b *testing.B, ways []way) {
	took := make([][]time.Duration, len(ways))
	for b.Loop() {
		for i, w := range ways {
			begin := time.Now()
			if err := w.run(); err != nil {
				b.Fatal(w.name, err)
			}
			took[i] = append(took[i], time.Since(begin))
		}
	}
	first := p50(took[0])
	for i, w := range ways {
		b.ReportMetric(float64(p50(took[i]).Microseconds()), w.name+"-p50-us")
		if i > 0 {
			b.ReportMetric(float64(first)/float64(p50(took[i])), ways[0].name+"/"+w.name)
		}
	}
	b.ReportMetric(0, "ns/op")
}

func p50(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// BenchmarkTrue compares /bin/true in a box of each driver with /bin/true by plain
// exec and, where it is installed, by bubblewrap with namespaces and a read-only
// root.
func BenchmarkTrue(b *testing.B) {
	var ways []way
	for _, d := range []sandbox.Driver{native.New(), native.NewLite()} {
		box, err := d.Open(b.Context(), sandbox.Spec{ID: b.Name(), Work: b.TempDir()})
		if err != nil {
			b.Logf("%s: %v", d.Name(), err)
			continue
		}
		b.Cleanup(func() { box.Close() })
		ways = append(ways, way{string(box.Level()), func() error { return runTrue(b, box) }})
	}
	ways = append(ways, way{"plain", func() error { return exec.Command("/bin/true").Run() }})
	if bwrap, err := exec.LookPath("bwrap"); err == nil {
		work := b.TempDir()
		ways = append(ways, way{"bubblewrap", func() error {
			return exec.Command(bwrap, "--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin",
				"--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",
				"--bind", work, "/workspace", "--chdir", "/workspace", "--clearenv", "/bin/true").Run()
		}})
	}
	compare(b, ways)
}

func runTrue(b *testing.B, box sandbox.Box) error {
	r, err := box.Run(b.Context(), sandbox.Command{Args: []string{"/bin/true"}, Timeout: time.Minute})
	if err == nil && r.ExitCode != 0 {
		err = fmt.Errorf("exit code %d", r.ExitCode)
	}
	return err
}

// BenchmarkManyAtOnce has 100 boxes run a command at the same time, and 100 plain
// processes.
func BenchmarkManyAtOnce(b *testing.B) {
	const boxes = 100
	all := func(one func(i int) error) func() error {
		return func() error {
			var wait sync.WaitGroup
			errs := make([]error, boxes)
			for i := range boxes {
				wait.Go(func() { errs[i] = one(i) })
			}
			wait.Wait()
			return errors.Join(errs...)
		}
	}
	driver := native.New()
	opened := make([]sandbox.Box, boxes)
	for i := range opened {
		box, err := driver.Open(b.Context(), sandbox.Spec{ID: b.Name(), Work: b.TempDir()})
		if err != nil {
			b.Skip(err)
		}
		opened[i] = box
	}
	compare(b, []way{
		{"100-boxes", all(func(i int) error { return runTrue(b, opened[i]) })},
		{"100-plain", all(func(int) error { return exec.Command("/bin/true").Run() })},
	})
}

// BenchmarkFlood takes output as fast as it comes, and at 5 MB/s, which a command
// that went wrong writes; and reports how much the heap grew meanwhile.
func BenchmarkFlood(b *testing.B) {
	for name, script := range map[string]string{
		"full-speed": "exec head -c 268435456 /dev/zero",
		"5MB-a-s":    "i=0; while [ $i -lt 100 ]; do head -c 50000 /dev/zero; sleep 0.01; i=$((i+1)); done",
	} {
		b.Run(name, func(b *testing.B) {
			box, err := native.New().Open(b.Context(), sandbox.Spec{ID: b.Name(), Work: b.TempDir()})
			if err != nil {
				b.Skip(err)
			}
			var taken counter
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				if _, err := box.Run(b.Context(), sandbox.Command{Args: []string{"sh", "-c", script}, Stdout: &taken, Timeout: time.Minute}); err != nil {
					b.Fatal(err)
				}
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(taken)/b.Elapsed().Seconds()/1e6, "MB/s")
			b.ReportMetric(float64(int64(after.HeapSys)-int64(before.HeapSys))/1e6, "MB-heap-grown")
		})
	}
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// BenchmarkSuites runs test suites in a box and outside of it. Each is of the size
// at which starting a box still shows: a second or less.
func BenchmarkSuites(b *testing.B) {
	home, err := os.UserHomeDir()
	if err != nil {
		b.Skip(err)
	}
	mounts, env, found := sandbox.Toolchains(os.Getenv, home, "")
	for _, suite := range suites {
		b.Run(suite.tool, func(b *testing.B) {
			if !slices.ContainsFunc(found, func(t sandbox.Tool) bool { return t.Name == suite.tool }) {
				b.Skip("this machine has none")
			}
			work, state := b.TempDir(), filepath.Join(b.TempDir(), "state")
			b.Cleanup(func() { sandbox.RemoveState(state) })
			for name, text := range suite.files {
				if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o644); err != nil {
					b.Fatal(err)
				}
			}
			box, err := native.New().Open(b.Context(), sandbox.Spec{Work: work, State: state, Mounts: mounts, Env: env})
			if err != nil {
				b.Skip(err)
			}
			var out strings.Builder
			compare(b, []way{
				{"inside", func() error {
					out.Reset()
					r, err := box.Run(b.Context(), sandbox.Command{Args: []string{"sh", "-c", suite.command}, Stdout: &out, Stderr: &out, Timeout: time.Minute})
					if err == nil && r.ExitCode != 0 {
						err = fmt.Errorf("exit code %d: %s", r.ExitCode, out.String())
					}
					return err
				}},
				{"outside", func() error {
					cmd := exec.Command("sh", "-c", suite.command)
					cmd.Dir = work
					if out, err := cmd.CombinedOutput(); err != nil {
						return fmt.Errorf("%w: %s", err, out)
					}
					return nil
				}},
			})
		})
	}
}

// suites read and write files, start processes and compute, as tests do.
var suites = []struct {
	tool, command string
	files         map[string]string
}{
	{"go", "go test -count=1 ./...", map[string]string{
		"go.mod": "module example.com/m\n\ngo 1.21\n",
		"m_test.go": `package m

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for i := 0; i < 500; i++ {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), make([]byte, 4096), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProcesses(t *testing.T) {
	for i := 0; i < 30; i++ {
		if err := exec.Command("true").Run(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWork(t *testing.T) {
	b := make([]byte, 1<<20)
	for i := 0; i < 200; i++ {
		sum := sha256.Sum256(b)
		copy(b, sum[:])
	}
}
`,
	}},
	{"node", "node --test", map[string]string{
		"m.test.js": `const test = require('node:test'), fs = require('fs'), os = require('os'), path = require('path')
const { createHash } = require('crypto'), { execFileSync } = require('child_process')
test('files', () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'm-'))
  for (let i = 0; i < 500; i++) fs.writeFileSync(path.join(dir, String(i)), Buffer.alloc(4096))
  fs.rmSync(dir, { recursive: true })
})
test('processes', () => { for (let i = 0; i < 30; i++) execFileSync('true') })
test('work', () => {
  let b = Buffer.alloc(1 << 20)
  for (let i = 0; i < 100; i++) createHash('sha256').update(b).digest().copy(b)
})
`,
	}},
	{"python", "python3 -m unittest", map[string]string{
		"test_m.py": `import hashlib, os, subprocess, tempfile, unittest

class M(unittest.TestCase):
    def test_files(self):
        with tempfile.TemporaryDirectory() as d:
            for i in range(500):
                with open(os.path.join(d, str(i)), "wb") as f:
                    f.write(bytes(4096))

    def test_processes(self):
        for i in range(30):
            subprocess.run(["true"], check=True)

    def test_work(self):
        b = bytes(1 << 20)
        for i in range(100):
            b = hashlib.sha256(b).digest() + b[32:]
`,
	}},
}
