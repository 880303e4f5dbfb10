package sandboxtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mgx"
	"mgx/internal/sandbox"
)

func fileSize(t *testing.T, d sandbox.Driver) {
	w := open(t, d, func(w *world) { w.spec.Limits.FileSize = 1 << 20 })
	w.holds("fill", "big", fmt.Sprint(8<<20))
	info, err := os.Stat(filepath.Join(w.work, "big"))
	must(t, err)
	equal(t, "size", info.Size(), 1<<20)
	o := w.sh("head -c 4000000 /dev/zero >other")
	equal(t, "killed by", o.ExitCode, 128+int(unix.SIGXFSZ))
	equal(t, "limit", o.Limit, sandbox.LimitFileSize)
	// Of one that a shell waited for, the shell's words tell, and where nobody was
	// ended, those of what fails.
	for script, told := range map[string]bool{
		"head -c 4000000 /dev/zero | tee other >/dev/null; true":           true,
		"(head -c 4000000 /dev/zero >other); true":                         true,
		"trap '' XFSZ; head -c 4000000 /dev/zero >other":                   true,
		"trap '' XFSZ; head -c 4000000 /dev/zero >other; true":             false,
		"echo it says File size limit exceeded, and: File too large":       false,
		"echo it says 'os error 28'; exit 1":                               false,
		"head -c 4000000 /dev/zero 2>&1 | tee other >/dev/null 2>&1; true": true,
	} {
		o := w.sh(script)
		equal(t, script+": limit", o.Limit == sandbox.LimitFileSize, told)
		equal(t, script+": told", o.Told, told)
	}
}

func tmpSpace(t *testing.T, d sandbox.Driver) {
	w := open(t, d, func(w *world) { w.spec.Limits.Tmp = 4 << 20 })
	for _, name := range []string{"/tmp/big", "/home/mgx/big", "/dev/shm/big"} {
		if r := w.holds("fill", name, fmt.Sprint(16<<20)); !strings.Contains(r, "no space left") {
			t.Errorf("%s: %s", name, r)
		}
	}
}

func tmpInodes(t *testing.T, d sandbox.Driver) {
	w := open(t, d, func(w *world) { w.spec.Limits.Tmp = 4 << 20 })
	w.holds("inodes", "/tmp", "10000")
}

func tmpFresh(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	w.ok("echo x >/tmp/left; echo x >~/left")
	equal(t, "left", w.ok("find /tmp ~ -mindepth 1"), "") // ls is too new for older versions of gVisor
}

func skipUnboundProcesses(t *testing.T, d sandbox.Driver) {
	for _, c := range d.Probe(t.Context()).Checks {
		if c.Name == "processes" && !c.OK {
			t.Skip(c.Detail)
		}
	}
}

// processes allows what the kernel never counts: pids below 300 do not come
// back into use, so that many more may live in the pid namespace of root.
func processes(t *testing.T, d sandbox.Driver) {
	skipUnboundProcesses(t, d)
	w := open(t, d, func(w *world) { w.spec.Limits.Processes = 64 })
	w.holds("fork", "400")
	o := w.run(sandbox.Command{Args: []string{"sh", "-c", "bomb() { bomb | bomb & }; bomb; sleep 1000"}, Timeout: time.Second})
	if !o.TimedOut && o.ExitCode == 0 {
		t.Errorf("%+v", o)
	}
	equal(t, "afterwards", w.ok("echo fine"), "fine")
}

func openFiles(t *testing.T, d sandbox.Driver) {
	w := open(t, d, func(w *world) { w.spec.Limits.OpenFiles = 64 })
	w.holds("files", "64")
	// Nobody counts it. What a command says that fails, names it.
	for script, limit := range map[string]sandbox.Limit{
		`"$0" files 64; exit 3`: sandbox.LimitOpenFiles, `"$0" files 64 >&2; exit 3`: sandbox.LimitOpenFiles,
		`"$0" files 64`: "", `"$0" files 64 >/dev/null; exit 3`: "", `"$0" files 3; exit 3`: "",
	} {
		o := w.run(sandbox.Command{Args: []string{"sh", "-c", script, w.box.Path(attacker)}, Env: []string{attackerEnv + "=1"}})
		equal(t, script, o.Limit, limit)
		equal(t, script+": told", o.Told, limit != "")
		equal(t, script+": allowed", o.Allowed.Setting(sandbox.LimitOpenFiles), "open-files=64")
	}
}

func memory(t *testing.T, d sandbox.Driver) {
	const limit = 4 << 30
	w := open(t, d, func(w *world) { w.spec.Limits.Addresses = limit })
	equal(t, "limit", w.ok("ulimit -v"), fmt.Sprint(limit>>10))
	if !raceDetector { // which does not run with a limit at all
		w.holds("memory", fmt.Sprint(limit))
	}
}

// grouped reports whether MGX bounds processes together, and so can say which limit
// they reached.
func grouped(t *testing.T, d sandbox.Driver) bool {
	for _, c := range d.Probe(t.Context()).Checks {
		if c.Name == "cgroup" {
			return c.OK
		}
	}
	return false
}

// memoryBomb runs beside a neighbour, which must not notice.
func memoryBomb(t *testing.T, d sandbox.Driver) {
	small := func(w *world) { w.spec.Limits.Memory = 96 << 20 }
	w := open(t, d, small)
	if !grouped(t, d) {
		t.Skip("processes are not bounded together by MGX here")
	}
	other := open(t, d, func(w *world) {
		small(w)
		w.spec.ID += ", a neighbour"
	})
	release, ended := started(t, other, sandbox.Command{Args: []string{"sh", "-c", "echo started; cat"}})
	o := w.run(sandbox.Command{Args: []string{w.box.Path(attacker), "hog", fmt.Sprint(512 << 20)}, Env: []string{attackerEnv + "=1"}})
	equal(t, "exit code", o.ExitCode, 137)
	equal(t, "limit", o.Limit, sandbox.LimitMemory)
	equal(t, "timed out", o.TimedOut, false)
	// Pieces of it are as little allowed as the whole.
	o = w.run(sandbox.Command{Args: []string{"sh", "-c", `for i in 1 2 3 4 5; do "$0" hog 67108864 >/dev/null & done; head -c 300000000 /dev/zero | tail -c 299999999 >/dev/null; wait`, w.box.Path(attacker)}, Env: []string{attackerEnv + "=1"}})
	equal(t, "limit of several", o.Limit, sandbox.LimitMemory)
	release()
	neighbour := <-ended
	equal(t, "the neighbour's exit code", neighbour.ExitCode, 0)
	equal(t, "the neighbour's limit", neighbour.Limit, "")
	equal(t, "the limit of the next", w.sh("true").Limit, "")
}

// memoryOfRun has two commands of a run each use most of the memory that the run has,
// beside one of another run.
func memoryOfRun(t *testing.T, d sandbox.Driver) {
	if !grouped(t, d) {
		t.Skip("processes are not bounded together by MGX here")
	}
	small := func(w *world) { w.spec.Limits.Memory = 256 << 20 }
	w, neighbour := open(t, d, small), open(t, d, func(w *world) {
		small(w)
		w.spec.ID += ", a neighbour"
	})
	const most = 170 << 20
	keeps := sandbox.Command{Args: []string{w.box.Path(attacker), "keep", fmt.Sprint(most)}, Env: []string{attackerEnv + "=1"}}
	release, other := started(t, neighbour, keeps)
	first, one := started(t, w, keeps)
	o := w.run(sandbox.Command{Args: []string{w.box.Path(attacker), "hog", fmt.Sprint(most)}, Env: keeps.Env})
	first()
	both := []outcome{o, <-one}
	if !slices.ContainsFunc(both, func(o outcome) bool {
		return o.Limit == sandbox.LimitMemory && o.Allowed.Setting(o.Limit) == "memory=256MB"
	}) {
		t.Errorf("neither of them came to the limit: %+v", both)
	}
	release()
	n := <-other
	equal(t, "the neighbour's exit code", n.ExitCode, 0)
	equal(t, "the neighbour's limit", n.Limit, "")
}

// started starts a command that says "started" and then reads until it is released.
func started(t *testing.T, w *world, cmd sandbox.Command) (release func(), ended <-chan outcome) {
	t.Helper()
	in, stop := io.Pipe()
	begun, over := make(chan struct{}), make(chan outcome, 1)
	var out bytes.Buffer
	cmd.Stdin, cmd.Timeout = in, 10*patience
	cmd.Stdout = writerFunc(func(p []byte) (int, error) {
		before := out.Len()
		if out.Write(p); before < len("started\n") && strings.HasPrefix(out.String(), "started\n") {
			close(begun)
		}
		return len(p), nil
	})
	go func() {
		o := w.run(cmd)
		o.out = out.String()
		over <- o
	}()
	select {
	case <-begun:
	case o := <-over:
		t.Fatalf("it ended before it was under way: %+v", o)
	}
	return func() { stop.Close() }, over
}

// evenly has one run use the processor by many processes, and another by one, which
// has used a second of it when the many have used about as much: not many times that.
func evenly(t *testing.T, d sandbox.Driver) {
	if !shared(t, d) {
		t.Skip("the processor is not shared out by MGX here")
	}
	many, one := open(t, d, nil), open(t, d, func(w *world) {
		w.spec.ID += ", a neighbour"
		w.spec.Limits.CPU = time.Second
	})
	const processes = 64
	marked := many.work + " is busy" // each is a session of its own, to which some kernels give a share
	script := `i=0; while [ $i -lt %d ]; do setsid sh -c 'while :; do :; done' '%s' & i=$((i+1)); done; echo started; read line`
	release, ended := started(t, many, sandbox.Command{Args: []string{"sh", "-c", fmt.Sprintf(script, processes, marked)}})
	_, spun := started(t, one, sandbox.Command{Args: []string{"sh", "-c", "echo started; while :; do :; done"}})
	begin := used(t, marked)
	o := <-spun
	most := used(t, marked) - begin
	equal(t, "limit", o.Limit, sandbox.LimitCPU)
	if most > processes/8 {
		t.Errorf("%d processes used %.1f s of the processor while the neighbour's used one", processes, most)
	}
	release()
	<-ended
}

// used is how many seconds of the processor processes have had that have a word in
// their command line.
func used(t *testing.T, word string) float64 {
	t.Helper()
	const hertz = 100 // of what the kernel tells, whatever its own
	ticks := 0
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(t, err)
	for _, name := range lines {
		line, _ := os.ReadFile(name) // or it has ended
		stat, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "stat"))
		if f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])); bytes.Contains(line, []byte(word)) && len(f) > 12 {
			ticks += number(f[11]) + number(f[12])
		}
	}
	return float64(ticks) / hertz
}

// shared reports whether MGX shares out the processor.
func shared(t *testing.T, d sandbox.Driver) bool {
	for _, c := range d.Probe(t.Context()).Checks {
		if c.Name == "cgroup" {
			return c.OK && !strings.Contains(c.Detail, "without the controller cpu")
		}
	}
	return false
}

// processesNamed has the kernel count where there is a cgroup, which words cannot
// outdo; elsewhere the words of a command that fails are all there is.
func processesNamed(t *testing.T, d sandbox.Driver) {
	skipUnboundProcesses(t, d)
	counted := grouped(t, d)
	w := open(t, d, func(w *world) { w.spec.Limits.Processes = 32 })
	bomb := func(end string) outcome {
		return w.run(sandbox.Command{Args: []string{"sh", "-c", `"$0" fork 64; ` + end, w.box.Path(attacker)}, Env: []string{attackerEnv + "=1"}})
	}
	o := bomb("exit 3")
	if o.Limit != sandbox.LimitProcesses || o.Told == counted {
		t.Errorf("the limit is %q, told %t, with exit code %d: %s%s", o.Limit, o.Told, o.ExitCode, o.out, o.err)
	}
	equal(t, "the limit of success is known", bomb("exit 0").Limit != "", counted)
	equal(t, "words make a limit", w.sh("echo fork: Resource temporarily unavailable; exit 1").Limit != "", !counted)
	equal(t, "the limit of the next", w.sh("true").Limit, "")
}

func processorTime(t *testing.T, d sandbox.Driver) {
	w := open(t, d, func(w *world) { w.spec.Limits.CPU = time.Second })
	o := w.sh("while :; do :; done")
	equal(t, "exit code", o.ExitCode, 128+int(unix.SIGXCPU))
	equal(t, "limit", o.Limit, sandbox.LimitCPU)
	inTime(t, o)
}

// flood is stopped when there is no end to it: what came is passed on and not
// kept, and a command that does not stop writing is killed as any other.
func flood(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var n, most int
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	count := writerFunc(func(p []byte) (int, error) {
		n += len(p)
		most = max(most, len(p))
		if n > 64<<20 {
			stop()
		}
		return len(p), nil
	})
	_, err := w.box.Run(ctx, sandbox.Command{Args: []string{"sh", "-c", "yes & yes >&2 & while :; do :; done"}, Stdout: count, Stderr: count, Timeout: patience})
	runtime.ReadMemStats(&now)
	equal(t, "cancelled", mgx.IsCode(err, mgx.CodeCancelled), true)
	if n <= 64<<20 {
		t.Errorf("%d bytes came", n)
	}
	if grown := int64(now.HeapSys) - int64(before.HeapSys); most > 1<<20 || grown > 32<<20 {
		t.Errorf("%d bytes at once; the heap grew by %d", most, grown)
	}
}

// workspaceSpace fills one workspace while a neighbour works in another.
func workspaceSpace(t *testing.T, d sandbox.Driver) {
	filled(t, d, sandbox.LimitDisk, func(l *sandbox.Limits) { l.Disk = 32 << 20 },
		"i=0; while :; do i=$((i+1)); head -c 1000000 /dev/zero >made$i; done")
}

func workspaceFiles(t *testing.T, d sandbox.Driver) {
	filled(t, d, sandbox.LimitFiles, func(l *sandbox.Limits) { l.Files = 2000 },
		"i=0; while :; do i=$((i+1)); : >made$i; done")
}

// filled runs a script that would fill its workspace for ever. It is stopped, and
// told why; then a command that tidies up can run, and all is as before. In the
// other box nothing is noticed.
func filled(t *testing.T, d sandbox.Driver, limit sandbox.Limit, set func(*sandbox.Limits), script string) {
	w := open(t, d, func(w *world) { set(&w.spec.Limits) })
	neighbour := open(t, d, func(w *world) { set(&w.spec.Limits) })
	in, stop := io.Pipe()
	started, ended := make(chan struct{}), make(chan outcome, 1)
	go func() {
		ended <- neighbour.run(sandbox.Command{Args: []string{"sh", "-c", "echo started; cat >kept; cat kept"}, Stdin: in, Stdout: writerFunc(func(p []byte) (int, error) {
			if strings.HasPrefix(string(p), "started") {
				close(started)
			}
			return len(p), nil
		})})
	}()
	<-started
	o := w.sh(script)
	equal(t, "limit", o.Limit, limit)
	equal(t, "exit code", o.ExitCode, 137)
	equal(t, "timed out", o.TimedOut, false)
	w.ok("find . -name 'made*' -delete")
	equal(t, "limit of the next", w.sh("echo fine >beside").Limit, "")
	must(t, stop.Close())
	other := <-ended
	equal(t, "the neighbour's exit code", other.ExitCode, 0)
	equal(t, "the neighbour's limit", other.Limit, "")
}

// tmpNamed has commands fill places that are not the workspace, and end as if nothing
// were wrong.
func tmpNamed(t *testing.T, d sandbox.Driver) {
	w := open(t, d, func(w *world) { w.spec.Limits.Tmp = 4 << 20 })
	scripts := map[string]sandbox.Limit{
		"head -c 9000000 /dev/zero >/tmp/x; true":                           sandbox.LimitTmp,
		"head -c 9000000 /dev/zero >~/x":                                    sandbox.LimitTmp,
		"head -c 9000000 /dev/zero >/dev/shm/x; exit 3":                     sandbox.LimitTmp,
		"head -c 3000000 /dev/zero >/tmp/x; head -c 3000000 /dev/zero >~/x": "",
		"head -c 9000000 /dev/zero >x":                                      "",
	}
	if w.box.Level() != sandbox.LevelGVisor { // which bounds files by memory only
		scripts["cd /tmp; i=0; while :>$i; do i=$((i+1)); done; true"] = sandbox.LimitTmp
	}
	for script, want := range scripts {
		equal(t, script, w.sh(script).Limit, want)
	}
	// Who tidies up is seen while it is full, sooner or later.
	for seconds := 1; ; seconds *= 2 {
		if w.sh(fmt.Sprintf("head -c 9000000 /dev/zero >/tmp/x; sleep %d; rm /tmp/x", seconds)).Limit == sandbox.LimitTmp {
			return
		}
		if seconds > 30 {
			t.Fatal("what was full for half a minute was not seen")
		}
	}
}
