package sandboxtest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
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

// probed is what a driver says of a part of its boxes.
func probed(t *testing.T, d sandbox.Driver, part string) (c sandbox.Check) {
	for _, c := range d.Probe(t.Context()).Checks {
		if c.Name == part {
			return c
		}
	}
	return c
}

// boundFiles is not so where the engine has no option for it.
func boundFiles(t *testing.T, d sandbox.Driver) known {
	if strings.HasPrefix(probed(t, d, "engine").Detail, "Podman") {
		return known{outcome: Open, why: "Podman has no option for it; they take memory, which is bounded where MGX or the engine can"}
	}
	return known{}
}

func boundProcesses(t *testing.T, d sandbox.Driver) known {
	if c := probed(t, d, "processes"); c.Detail != "" {
		return known{outcome: Open, why: c.Detail}
	}
	return known{}
}

// processes allows what the kernel never counts: pids below 300 do not come
// back into use, so that many more may live in the pid namespace of root.
func processes(t *testing.T, d sandbox.Driver) {
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
func grouped(t *testing.T, d sandbox.Driver) bool { return probed(t, d, "cgroup").OK }

// byEngine reports whether another bounds the processes of each command together.
func byEngine(t *testing.T, d sandbox.Driver) bool {
	return strings.HasPrefix(probed(t, d, "cgroup").Detail, "the engine bounds")
}

func boundTogether(t *testing.T, d sandbox.Driver) known {
	if !grouped(t, d) && !byEngine(t, d) {
		return known{outcome: Open, why: "without cgroups that MGX or an engine may make, nothing bounds what processes have together"}
	}
	return known{}
}

func boundRuns(t *testing.T, d sandbox.Driver) known {
	if byEngine(t, d) {
		return known{outcome: Open, why: "what the engine bounds, each command of a run has for itself"}
	}
	return boundTogether(t, d)
}

// memoryBomb runs beside a neighbour, which must not notice.
func memoryBomb(t *testing.T, d sandbox.Driver) {
	small := func(w *world) { w.spec.Limits.Memory = 96 << 20 }
	w := open(t, d, small)
	other := open(t, d, func(w *world) {
		small(w)
		w.spec.ID += ", a neighbour"
	})
	release, ended := started(t, other, sandbox.Command{Args: []string{"sh", "-c", "echo started; cat"}})
	o := w.run(sandbox.Command{Args: []string{w.box.Path(attacker), "hog", fmt.Sprint(512 << 20)}, Env: []string{attackerEnv + "=1"}})
	named := sandbox.LimitMemory
	if !grouped(t, d) { // the engine does not say
		named = ""
	}
	equal(t, "exit code", o.ExitCode, 137)
	equal(t, "limit", o.Limit, named)
	equal(t, "timed out", o.TimedOut, false)
	// Pieces of it are as little allowed as the whole.
	o = w.run(sandbox.Command{Args: []string{"sh", "-c", `for i in 1 2 3 4 5; do "$0" hog 67108864 >/dev/null & done; head -c 300000000 /dev/zero | tail -c 299999999 >/dev/null; wait`, w.box.Path(attacker)}, Env: []string{attackerEnv + "=1"}})
	equal(t, "limit of several", o.Limit, named)
	release()
	neighbour := <-ended
	equal(t, "the neighbour's exit code", neighbour.ExitCode, 0)
	equal(t, "the neighbour's limit", neighbour.Limit, "")
	equal(t, "the limit of the next", w.sh("true").Limit, "")
}

// memoryOfRun has two commands of a run each use most of the memory that the run has,
// beside one of another run.
func memoryOfRun(t *testing.T, d sandbox.Driver) {
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

// evenly has one run use the processor by many processes, and another by one: while
// that gets a second of it, the many get about as much, and not many times that.
func evenly(t *testing.T, d sandbox.Driver) {
	const processes = 64
	many, one := open(t, d, nil), open(t, d, func(w *world) { w.spec.ID += ", a neighbour" })
	endMany := keepBusy(t, many, processes)
	defer endMany()
	endOne := keepBusy(t, one, 1)
	defer endOne()
	marks := []string{busy(many), busy(one)}
	begin := used(t, marks)
	for {
		now := used(t, marks)
		got, own := now[0]-begin[0], now[1]-begin[1]
		if own < 1 {
			continue
		}
		if got > own*processes/8 {
			t.Errorf("%d processes used %.1f s of the processor while the neighbour's used %.1f", processes, got, own)
		}
		return
	}
}

// busy is what the command lines of busy processes of a box have.
func busy(w *world) string { return w.work + " is busy" }

// keepBusy has processes use the processor until they are ended. Each is a session of
// its own, to which some kernels give a share.
func keepBusy(t *testing.T, w *world, processes int) (end func()) {
	t.Helper()
	script := `i=0; while [ $i -lt %d ]; do setsid sh -c 'while :; do :; done' '%s' & i=$((i+1)); done; echo started; read line`
	release, ended := started(t, w, sandbox.Command{Args: []string{"sh", "-c", fmt.Sprintf(script, processes, busy(w))}})
	return func() { release(); <-ended }
}

// used is how many seconds of the processor processes have had by now, for each of the
// marks that their command lines have.
func used(t *testing.T, marks []string) []float64 {
	t.Helper()
	const hertz = 100 // of what the kernel tells, whatever its own
	seconds := make([]float64, len(marks))
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(t, err)
	for _, name := range lines {
		line, _ := os.ReadFile(name) // or it has ended
		i := slices.IndexFunc(marks, func(mark string) bool { return bytes.Contains(line, []byte(mark)) })
		if i < 0 {
			continue
		}
		stat, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "stat"))
		if f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])); len(f) > 12 {
			seconds[i] += float64(number(f[11])+number(f[12])) / hertz
		}
	}
	return seconds
}

func sharedProcessor(t *testing.T, d sandbox.Driver) known {
	if strings.Contains(probed(t, d, "cgroup").Detail, "without the controller cpu") {
		return known{outcome: Open, why: "nobody delegated the processor to MGX"}
	}
	return boundTogether(t, d)
}

// processesNamed has the kernel count where there is a cgroup, which words cannot
// outdo; elsewhere the words of a command that fails are all there is.
func processesNamed(t *testing.T, d sandbox.Driver) {
	counted := grouped(t, d)
	w := open(t, d, func(w *world) { w.spec.Limits.Processes = 32 })
	bomb := func(end string) outcome {
		return w.run(sandbox.Command{Args: []string{"sh", "-c", `"$0" fork 64; ` + end, w.box.Path(attacker)}, Env: []string{attackerEnv + "=1"}})
	}
	o := bomb("exit 3")
	if o.Limit != sandbox.LimitProcesses || o.Told == counted {
		t.Errorf("the limit is %q, told %t, with exit code %d: %s%s", o.Limit, o.Told, o.ExitCode, o.out, o.err)
	}
	if o := bomb("exit 0"); (o.Limit != "") != counted {
		t.Errorf("the limit of success is %q, with exit code %d: %s%s", o.Limit, o.ExitCode, o.out, o.err)
	}
	equal(t, "words make a limit", w.sh("echo fork: Resource temporarily unavailable; exit 1").Limit != "", !counted)
	equal(t, "the limit of the next", w.sh("true").Limit, "")
}

func ofOrdinaryUsers(*testing.T, sandbox.Driver) known {
	if os.Geteuid() == 0 {
		return known{outcome: Untried, why: "of root's the kernel counts none against a limit"}
	}
	return known{}
}

// besideOthers has a user with more processes than a command may have, and a command
// that starts all it can. Both that and one which begins meanwhile have theirs, and so
// has whoever is in no box.
func besideOthers(t *testing.T, d sandbox.Driver) {
	const sleepers = "i=0; while [ $i -lt 400 ]; do sleep 1000 & i=$((i+1)); done"
	others := exec.Command("sh", "-c", sleepers+"; echo ready; read line")
	others.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := others.StdinPipe()
	must(t, err)
	defer in.Close()
	out, err := others.StdoutPipe()
	must(t, err)
	must(t, others.Start())
	defer func() {
		_ = syscall.Kill(-others.Process.Pid, syscall.SIGKILL)
		_ = others.Wait()
	}()
	if said, err := bufio.NewReader(out).ReadString('\n'); said != "ready\n" {
		t.Fatalf("the user's own processes: %q, %v", said, err)
	}
	small := func(w *world) { w.spec.Limits.Processes = 100 }
	w := open(t, d, small)
	other := open(t, d, func(w *world) {
		small(w)
		w.spec.ID += ", a neighbour"
	})
	const few = "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done"
	w.ok(few)
	release, ended := started(t, w, sandbox.Command{Args: []string{"sh", "-c", "(" + sleepers + ") 2>/dev/null && : >unbounded; echo started; read line"}})
	if _, err := os.Stat(filepath.Join(w.work, "unbounded")); err == nil {
		t.Error("nothing bounds a command's processes")
	}
	if err := exec.Command("sh", "-c", "sleep 0 & wait").Run(); err != nil {
		t.Errorf("others of the user, while one starts all it can: %v", err)
	}
	equal(t, "another command meanwhile", other.sh(few).ExitCode, 0)
	release()
	<-ended
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

func placesOfHost(_ *testing.T, d sandbox.Driver) known {
	if d.Name() != "lite" {
		return known{outcome: Untried, why: "home and /tmp have bounds of their own there"}
	}
	return known{}
}

// tmpCounts fills places which are the host's.
func tmpCounts(t *testing.T, d sandbox.Driver) {
	for _, place := range []string{"$TMPDIR", "$HOME"} {
		w := open(t, d, func(w *world) { w.spec.Limits.Disk = 32 << 20 })
		o := w.sh("cd " + place + "; i=0; while :; do i=$((i+1)); head -c 1000000 /dev/zero >made$i; done")
		equal(t, place+": limit", o.Limit, sandbox.LimitDisk)
		equal(t, place+": exit code", o.ExitCode, 137)
		w.ok("rm " + place + "/made*")
		equal(t, place+": limit of the next", w.sh("true").Limit, "")
	}
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
	if w.box.Level() != sandbox.LevelGVisor && boundFiles(t, d).outcome == "" { // else files are bounded by memory only
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
