package git_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mgx/internal/git"
)

// bigRepo is a repository of 20,000 files of about 2 KB.
func bigRepo(b *testing.B) repo {
	b.Helper()
	r := repo{b, b.TempDir()}
	r.git("init", "-q", "-b", "main")
	r.git("config", "gc.auto", "0")
	line := "the quick brown fox jumps over the lazy dog, and this is line number\n"
	for i := range 20_000 {
		var text strings.Builder
		text.WriteString(fmt.Sprintf("file %d\n", i))
		for range 28 {
			text.WriteString(line)
		}
		r.write(fmt.Sprintf("d%d/e%d/f%d.txt", i%20, i%400, i), text.String())
	}
	r.git("add", "-A")
	r.git("commit", "-q", "-m", "big")
	r.git("gc", "-q")
	return r
}

// timed returns how long a plain git command takes.
func timed(b *testing.B, dir string, args ...string) time.Duration {
	b.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	begin := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return time.Since(begin)
}

// BenchmarkPrepare compares with git clone --shared in the same run.
func BenchmarkPrepare(b *testing.B) {
	r := bigRepo(b)
	var ours, theirs time.Duration
	n := 0
	for b.Loop() {
		dir := filepath.Join(b.TempDir(), fmt.Sprint("clone", n))
		theirs += timed(b, r.dir, "clone", "-q", "--shared", ".", dir)
		begin := time.Now()
		src, err := git.Inspect(b.Context(), r.dir)
		if err != nil {
			b.Fatal(err)
		}
		run := openRun(b, src, filepath.Join(b.TempDir(), fmt.Sprint("run", n)))
		if err := run.Prepare(b.Context()); err != nil {
			b.Fatal(err)
		}
		ours += time.Since(begin)
		n++
		os.RemoveAll(dir)
		os.RemoveAll(run.dir)
	}
	b.ReportMetric(0, "ns/op")
	report(b, n, "git clone --shared", ours, theirs)
}

// BenchmarkCheckpoint compares with git status in the same run: of files that
// have not changed, and with one that has.
func BenchmarkCheckpoint(b *testing.B) {
	r := bigRepo(b)
	run := prepared(b, r.dir)
	run.checkpoint()
	for _, edit := range []bool{false, true} {
		b.Run(fmt.Sprintf("edited=%v", edit), func(b *testing.B) {
			var ours, theirs time.Duration
			n := 0
			for b.Loop() {
				if edit {
					write(b, run.work("d1/e1/f1.txt"), fmt.Sprint(time.Now()))
					r.write("d1/e1/f1.txt", fmt.Sprint(time.Now()))
				}
				theirs += timed(b, r.dir, "status", "--porcelain")
				begin := time.Now()
				run.checkpoint()
				ours += time.Since(begin)
				n++
			}
			b.ReportMetric(0, "ns/op")
			report(b, n, "git status", ours, theirs)
		})
	}
}

func report(b *testing.B, n int, peer string, ours, theirs time.Duration) {
	b.ReportMetric(float64(ours.Milliseconds())/float64(n), "ms")
	b.ReportMetric(float64(theirs.Milliseconds())/float64(n), "ms-of-peer")
	b.ReportMetric(float64(ours)/float64(theirs), "ratio")
	b.Logf("peer: %s, 20,000 files", peer)
}
