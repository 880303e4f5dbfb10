package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/sandbox"
)

// BenchmarkVersion starts the process that does least, beside /bin/true.
func BenchmarkVersion(b *testing.B) {
	bin := program(b)
	spawn := func(name string, args ...string) time.Duration {
		start := time.Now()
		if err := exec.Command(name, args...).Run(); err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
	var ours, theirs time.Duration
	for b.Loop() {
		ours += spawn(bin, "version")
		theirs += spawn("/bin/true")
	}
	b.ReportMetric(float64(ours.Microseconds())/1000/float64(b.N), "ms/version")
	b.ReportMetric(float64(theirs.Microseconds())/1000/float64(b.N), "ms/true")
}

// BenchmarkTrue starts /bin/true in a box, and by plain exec, as this program does,
// whose init is as large as it is: this has more in it than users have.
func BenchmarkTrue(b *testing.B) {
	box, err := driver("").Open(b.Context(), sandbox.Spec{ID: b.Name(), Work: b.TempDir()})
	if err != nil {
		b.Skip(err)
	}
	defer box.Close()
	var boxed, plain []time.Duration
	for b.Loop() {
		begin := time.Now()
		r, err := box.Run(b.Context(), sandbox.Command{Args: []string{"/bin/true"}, Timeout: time.Minute})
		if err != nil || r.ExitCode != 0 {
			b.Fatal(r.ExitCode, err)
		}
		boxed = append(boxed, time.Since(begin))
		begin = time.Now()
		if err := exec.Command("/bin/true").Run(); err != nil {
			b.Fatal(err)
		}
		plain = append(plain, time.Since(begin))
	}
	slices.Sort(boxed)
	slices.Sort(plain)
	ours, theirs := boxed[len(boxed)/2], plain[len(plain)/2]
	b.ReportMetric(float64(ours.Microseconds()), string(box.Level())+"-p50-us")
	b.ReportMetric(float64(theirs.Microseconds()), "plain-p50-us")
	b.ReportMetric(float64(ours)/float64(theirs), string(box.Level())+"/plain")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkDemo runs the demo and reports what the platform itself took: the
// whole time less that of the sample's own commands, which are the checks and
// the shell calls.
func BenchmarkDemo(b *testing.B) {
	bin := program(b)
	home := b.TempDir()
	cache := goEnv("GOCACHE")
	var whole, theirs time.Duration
	var peak int64
	for b.Loop() {
		cmd := exec.Command(bin, "demo", "--json")
		cmd.Env = append(os.Environ(), "HOME="+home, "GOCACHE="+cache, "GOMODCACHE="+goEnv("GOMODCACHE"))
		var out bytes.Buffer
		cmd.Stdout = &out
		start := time.Now()
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		seen := make(chan int64)
		go watchPeak(cmd.Process.Pid, seen)
		if err := cmd.Wait(); err != nil {
			b.Fatal(err)
		}
		whole += time.Since(start)
		theirs += commandTime(b, out.Bytes())
		peak = max(peak, <-seen)
	}
	own := (whole - theirs).Seconds() * 1000 / float64(b.N)
	b.ReportMetric(own, "own-ms/demo")
	b.ReportMetric(theirs.Seconds()*1000/float64(b.N), "checks-ms/demo")
	b.ReportMetric(float64(peak)/1024, "MB-peak")
}

// watchPeak reads the most memory that a process has held, in KB, until the
// process has gone. (What wait reports includes the compilers of the checks.)
func watchPeak(pid int, seen chan<- int64) {
	var peak int64
	for {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		_, rest, found := strings.Cut(string(status), "VmHWM:")
		if err != nil || !found {
			break
		}
		var kb int64
		fmt.Sscan(rest, &kb)
		peak = max(peak, kb)
		time.Sleep(5 * time.Millisecond)
	}
	seen <- peak
}

// commandTime sums up what the sample's own commands took, by the log.
func commandTime(b *testing.B, log []byte) time.Duration {
	var ms int64
	for line := range bytes.Lines(log) {
		var e mgx.Event
		if err := json.Unmarshal(line, &e); err != nil {
			b.Fatal(err)
		}
		switch e.Type {
		case mgx.RunChecksCompleted:
			var d mgx.ChecksData
			e.Decode(&d)
			for _, c := range d.Checks {
				ms += c.DurationMS
			}
		case mgx.ToolReturned:
			var d mgx.ToolResultData
			if e.Decode(&d); d.Name == "shell" {
				ms += d.DurationMS
			}
		}
	}
	return time.Duration(ms) * time.Millisecond
}

// BenchmarkStartIn1GB has a run begin in a repository of 1 GB that does not
// compress: from the start of the process to the first question to a model. Its
// peer is git's own cheapest clone of the same repository.
func BenchmarkStartIn1GB(b *testing.B) {
	l := newLab(b, labScript)
	l.git("config", "core.compression", "0")
	noise := make([]byte, 512<<10)
	for i := range 2000 {
		rand.Read(noise)
		l.write(fmt.Sprintf("d%d/f%d", i%40, i), string(noise))
	}
	l.git("add", "-A")
	l.git("commit", "-qm", "A lot")
	var ours, theirs time.Duration
	for b.Loop() {
		start := time.Now()
		l.killAt(func(_ int, e mgx.Event) bool {
			return e.Type == mgx.RunPhaseChanged && strings.Contains(string(e.Data), mgx.PhaseTriage)
		}, labRun...)
		ours += time.Since(start)
		start = time.Now()
		l.git("clone", "-q", "--shared", ".", filepath.Join(b.TempDir(), "clone"))
		theirs += time.Since(start)
	}
	b.ReportMetric(ours.Seconds()/float64(b.N), "s/start")
	b.ReportMetric(theirs.Seconds()/float64(b.N), "s/git-clone-shared")
}
