package sandboxtest

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mgx/internal/sandbox"
)

type wallTest struct {
	name string
	test func(*testing.T, sandbox.Driver)
}

// score tries one, unless it is known why not.
func (c wallTest) score(t *testing.T, d sandbox.Driver, level sandbox.Level) Score {
	if k := c.untried(t, d, level); k.outcome != "" {
		t.Logf("%s: %s: %s", c.name, k.outcome, k.why)
		return Score{Name: c.name, Outcome: k.outcome, Detail: k.why}
	}
	s := Score{Name: c.name, Outcome: Broken}
	t.Run(c.name, func(t *testing.T) {
		t.Cleanup(func() {
			if !t.Failed() && !t.Skipped() {
				s.Outcome = Held
			}
		})
		c.test(t, d)
	})
	return s
}

func (c wallTest) untried(t *testing.T, d sandbox.Driver, level sandbox.Level) known {
	if why, exempted := exempt[level][c.name]; exempted {
		return known{outcome: Untried, why: why}
	}
	if needs := needs[c.name]; needs != nil {
		return needs(t, d)
	}
	return known{}
}

// exempt are the tests that say nothing of a level, and why.
var exempt = map[sandbox.Level]map[string]string{
	sandbox.LevelLite: join(because("at lite nothing can be mounted",
		"the guest paths are true", "a read-only directory in a writable workspace", "a directory mounted over itself stays where it is", "a mount point that is a link",
		"overlay", "overlay side by side", "cache without a host directory", "own loopback works", "hosts that are allowed",
		"/tmp is fresh"), because("at lite they count to the workspace", "space in /tmp and home", "files in /tmp", "places for temporary files are a limit with a name")),
	sandbox.LevelDocker: because("docker and gvisor have no overlays", "overlay", "overlay side by side"),
	sandbox.LevelGVisor: join(
		because("docker and gvisor have no overlays", "overlay", "overlay side by side"),
		because("gvisor has no gate", "hosts that are allowed"),
		because("gvisor bounds them by memory only", "files in /tmp"),
		because("gvisor has processes that the machine does not see", "the processor is shared out evenly"),
		because("gvisor bounds those of the sentry, which are about as many", "processes", "processes are a limit with a name"),
		because("gvisor lets a command end its own sandbox", "the command cannot end its init"),
	),
}

// needs are what a test asks of the machine: each says what is known where that is not
// there.
var needs = map[string]func(*testing.T, sandbox.Driver) known{
	"a program of another architecture": otherPrograms,
	"files in /tmp":                     boundFiles, "temporary files in the workspace's bound": placesOfHost,
	"processes": boundProcesses, "processes are a limit with a name": boundProcesses,
	"processes beside others of the user": ofOrdinaryUsers,
	"memory of all processes":             boundTogether, "memory of all commands of a run": boundRuns, "the processor is shared out evenly": sharedProcessor,
}

func because(why string, names ...string) map[string]string {
	m := map[string]string{}
	for _, name := range names {
		m[name] = why
	}
	return m
}

func join(all ...map[string]string) map[string]string {
	m := map[string]string{}
	for _, one := range all {
		maps.Copy(m, one)
	}
	return m
}

// wallTests are the walls that need a box of their own or a look from outside.
var wallTests = []wallTest{
	{"the guest paths are true", guestPaths},
	{"a read-only workspace", readOnlyWorkspace},
	{"a read-only directory in a writable workspace", readOnlyInside},
	{"a directory mounted over itself stays where it is", pinned},
	{"a mount point that is a link", linkedMountPoint},
	{"a directory of which nothing is seen", hiddenDirectory},
	{"a file of which nothing is seen", hiddenFile},
	{"mounts that a box refuses", refusedMounts},
	{"overlay", overlayKeeps},
	{"overlay side by side", overlaySideBySide},
	{"cache without a host directory", emptyCache},
	{"a program of another architecture", otherArchitecture},
	{"orphans of another session die at the end", orphans},
	{"orphans of another session die at the deadline", orphansAtDeadline},
	{"the command cannot end its init", initSurvives},
	{"no System V or POSIX IPC outlives the command", nothingKept},
	{"hosts that are allowed", allowedHosts},
	{"own loopback works", ownLoopback},
	{"inherited descriptors", descriptors},
	{"file size", fileSize},
	{"space in /tmp and home", tmpSpace},
	{"files in /tmp", tmpInodes},
	{"places for temporary files are a limit with a name", tmpNamed},
	{"/tmp is fresh", tmpFresh},
	{"processes", processes},
	{"open files", openFiles},
	{"memory of a process", memory},
	{"memory of all processes", memoryBomb},
	{"memory of all commands of a run", memoryOfRun},
	{"the processor is shared out evenly", evenly},
	{"processes are a limit with a name", processesNamed},
	{"processes beside others of the user", besideOthers},
	{"processor time", processorTime},
	{"output flood", flood},
	{"space in the workspace", workspaceSpace},
	{"files in the workspace", workspaceFiles},
	{"temporary files in the workspace's bound", tmpCounts},
}

func guestPaths(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	for _, p := range []string{sandbox.Workspace, "/tmp", "/outputs/x"} {
		equal(t, "path", w.box.Path(p), p)
	}
	equal(t, "home", w.ok("cd; pwd"), "/home/mgx")
	equal(t, "user", w.ok("id -un; id -gn"), "mgx\nmgx")
}

func readOnlyWorkspace(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	w.write("file", "kept")
	refused := func(why string, scripts ...string) {
		for _, script := range scripts {
			o := w.run(sandbox.Command{Args: []string{"sh", "-c", script}, ReadOnly: true})
			if o.ExitCode == 0 || !strings.Contains(o.err, why) {
				t.Errorf("%s: %d %s", script, o.ExitCode, o.err)
			}
		}
	}
	ofContent, ofAttributes := "Read-only file system", "Read-only file system"
	if w.box.Level() == sandbox.LevelLite { // by Landlock, and what that does not guard by the filter
		ofContent, ofAttributes = "Permission denied", "Operation not permitted"
	}
	refused(ofContent, "echo x >new", "echo x >file", "rm file", "mv file other", "mkdir dir", "ln file other", "ln -s file other",
		"mkfifo pipe", "echo x >/proc/self/cwd/new", "echo x >>file")
	refused(ofAttributes, "chmod 777 file", "touch -h -d @1 file", "chgrp $(id -g) file")
	entries, err := os.ReadDir(w.work)
	must(t, err)
	equal(t, "entries", len(entries), 1)
	equal(t, "file", w.read("file"), "kept")
	w.ok("echo x >new") // and writable again for the next
}

func readOnlyInside(t *testing.T, d sandbox.Driver) {
	w := open(t, d, func(w *world) {
		must(t, os.Mkdir(filepath.Join(w.work, ".git"), 0o755))
		gitdir := filepath.Join(w.outside, "git")
		must(t, os.MkdirAll(filepath.Join(gitdir, "hooks"), 0o755))
		must(t, os.WriteFile(filepath.Join(gitdir, "config"), []byte("[core]\n"), 0o644))
		w.spec.Mounts = append(w.spec.Mounts, sandbox.Mount{Host: gitdir, Guest: sandbox.Workspace + "/.git", Mode: sandbox.ReadOnly})
	})
	for _, script := range []string{
		"echo x >.git/config", "echo x >.git/hooks/pre-commit", "rm -r .git", "mv .git gone", "rmdir .git",
		"mv .git/config .git/other", "ln -sf /tmp .git/hooks", "chmod 777 .git/config", "mkdir t && mv -T t .git",
	} {
		if o := w.sh(script); o.ExitCode == 0 {
			t.Errorf("%s got through", script)
		}
	}
	equal(t, "config", w.ok("cat .git/config"), "[core]")
	entries, err := os.ReadDir(filepath.Join(w.work, ".git"))
	must(t, err)
	equal(t, "entries of the mount point", len(entries), 0)
	w.ok("echo x >beside")
}

// pinned has a command try to take directories away in which something is hidden, by
// their names: each is mounted over itself.
func pinned(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	w.write("a/b/secret/key", secretText)
	w.write("a/plain", "plain")
	var mounts []sandbox.Mount
	for _, name := range []string{"a", "a/b"} {
		mounts = append(mounts, sandbox.Mount{Host: filepath.Join(w.work, name), Guest: sandbox.Workspace + "/" + name, Mode: sandbox.ReadWrite})
	}
	blank := filepath.Join(w.outside, "blank")
	must(t, os.Mkdir(blank, 0o755))
	mounts = append(mounts, sandbox.Mount{Host: blank, Guest: sandbox.Workspace + "/a/b/secret", Mode: sandbox.ReadOnly})
	o := w.run(sandbox.Command{Mounts: mounts, Args: []string{"sh", "-c", `
		for name in a a/b a/b/secret; do mv $name $name.moved && echo $name was moved; rmdir $name && echo $name was removed; done
		echo new >a/b/new; ls a/b/secret; cat a/plain`}})
	equal(t, "what came of it", o.out, "plain")
	equal(t, "what is hidden", w.read("a/b/secret/key"), secretText)
	equal(t, "what was written", w.read("a/b/new"), "new\n")
}

// linkedMountPoint plants a link where a later command mounts.
func linkedMountPoint(t *testing.T, d sandbox.Driver) {
	w := open(t, d, func(w *world) {
		must(t, os.Mkdir(filepath.Join(w.work, "point"), 0o755))
		w.spec.Mounts = append(w.spec.Mounts, sandbox.Mount{Host: w.outside, Guest: sandbox.Workspace + "/point", Mode: sandbox.ReadOnly})
	})
	equal(t, "mounted", w.ok("cat point/secret"), secretText)
	must(t, os.Remove(filepath.Join(w.work, "point")))
	must(t, os.Symlink("/tmp", filepath.Join(w.work, "point")))
	if r, err := w.box.Run(t.Context(), sandbox.Command{Args: []string{"true"}, Timeout: patience}); err == nil {
		t.Errorf("ran with exit code %d", r.ExitCode)
	}
}

func refusedMounts(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	for _, m := range []sandbox.Mount{
		{Host: w.outside, Guest: "/", Mode: sandbox.ReadOnly},
		{Host: w.outside, Guest: "relative", Mode: sandbox.ReadOnly},
		{Host: w.outside, Guest: "/proc/x", Mode: sandbox.ReadOnly},
		{Host: w.outside, Guest: "/tmp/../proc", Mode: sandbox.ReadOnly},
		{Host: w.outside, Guest: "/dev/x", Mode: sandbox.ReadOnly},
		{Host: w.outside, Guest: "/etc", Mode: sandbox.ReadOnly},
		{Host: w.outside, Guest: sandbox.Workspace, Mode: sandbox.ReadWrite},
		{Host: "relative", Guest: "/x", Mode: sandbox.ReadOnly},
		{Host: "", Guest: "/x", Mode: sandbox.ReadOnly},
		{Host: w.outside, Guest: "/x", Mode: ""},
		{Host: w.secret, Guest: "/x", Mode: sandbox.Overlay},
	} {
		if _, err := w.box.Run(t.Context(), sandbox.Command{Args: []string{"true"}, Timeout: patience, Mounts: []sandbox.Mount{m}}); err == nil {
			t.Errorf("%+v was mounted", m)
		}
	}
}

// hiddenDirectory hides one in a tree whose rest is a cache, and looks for it there
// again after a command that tried all it could to have it elsewhere.
func hiddenDirectory(t *testing.T, d sandbox.Driver) {
	var tree string
	w := open(t, d, func(w *world) {
		tree = filepath.Join(w.outside, "tree")
		for _, name := range []string{"cache/vcs/clone/config", "cache/download/module"} {
			must(t, os.MkdirAll(filepath.Join(tree, filepath.Dir(name)), 0o755))
			must(t, os.WriteFile(filepath.Join(tree, name), []byte(secretText), 0o644))
		}
		w.spec.Mounts = append(w.spec.Mounts,
			sandbox.Mount{Host: tree, Guest: tree, Mode: sandbox.Overlay},
			sandbox.Mount{Guest: filepath.Join(tree, "cache/vcs"), Mode: sandbox.Empty})
	})
	in := "cd '" + tree + "'; "
	look := "grep -rh . --include=config . ; cat cache/vcs/clone/config"
	if w.box.Level() != sandbox.LevelLite { // where names are seen
		look += "; find . -name config; ls -A cache/vcs"
	}
	equal(t, "the rest", w.ok(in+"cat cache/download/module"), secretText)
	for _, script := range []string{look, "cp -r cache seen; mv cache/vcs seen; rmdir cache/vcs; rm -rf cache/vcs; echo x >cache/vcs/x; mv cache other; " + look, look} {
		equal(t, script, w.sh(in+script).out, "")
	}
}

// hiddenFile hides one in a cache that is shown in the home of commands, and looks for
// it there again after a command that tried all it could to have it elsewhere.
func hiddenFile(t *testing.T, d sandbox.Driver) {
	const cache = "/home/mgx/.cargo/git"
	w := open(t, d, func(w *world) {
		tree := filepath.Join(w.outside, "tree")
		for _, name := range []string{"db/clone/FETCH_HEAD", "db/clone/HEAD"} {
			must(t, os.MkdirAll(filepath.Join(tree, filepath.Dir(name)), 0o755))
			must(t, os.WriteFile(filepath.Join(tree, name), []byte(secretText), 0o644))
		}
		w.spec.Mounts = append(w.spec.Mounts,
			sandbox.Mount{Host: tree, Guest: cache, Mode: sandbox.Overlay},
			sandbox.Mount{Host: os.DevNull, Guest: cache + "/db/clone/FETCH_HEAD", Mode: sandbox.ReadOnly})
	})
	in := "cd ~/.cargo/git; "
	look := "find -L . -name FETCH_HEAD -exec cat {} +"
	equal(t, "the rest", w.ok(in+"cat db/clone/HEAD"), secretText)
	for _, script := range []string{look, "cp -r db seen; ln db/clone/FETCH_HEAD linked; mv db/clone other; mv db/clone/FETCH_HEAD seen; rm -f db/clone/FETCH_HEAD; mv db other; " + look + "; cat linked", look} {
		equal(t, script, w.sh(in+script).out, "")
	}
}

func overlayKeeps(t *testing.T, d sandbox.Driver) {
	var lower string
	w := open(t, d, func(w *world) {
		lower = filepath.Join(w.outside, "a:lower,dir")
		must(t, os.MkdirAll(filepath.Join(lower, "sub"), 0o755))
		for _, name := range []string{"changed", "deleted", "sub/kept"} {
			must(t, os.WriteFile(filepath.Join(lower, name), []byte("lower\n"), 0o644))
		}
		must(t, os.Chmod(filepath.Join(lower, "sub"), 0o555))
		t.Cleanup(func() {
			must(t, os.Chmod(filepath.Join(lower, "sub"), 0o755))
			must(t, sandbox.RemoveState(w.state))
		})
		w.spec.Mounts = append(w.spec.Mounts, sandbox.Mount{Host: lower, Guest: "/home/mgx/.cache/things", Mode: sandbox.Overlay})
	})
	w.ok("cd ~/.cache/things && echo upper >>changed && rm deleted && echo upper >new && chmod 755 sub && echo upper >>sub/kept && chmod 555 sub && mkdir made && echo x >made/file")
	equal(t, "seen by the next command", w.ok("cd ~/.cache/things && cat changed new sub/kept made/file && ls"),
		"lower\nupper\nupper\nlower\nupper\nx\nchanged\nmade\nnew\nsub")
	entries, err := os.ReadDir(lower)
	must(t, err)
	equal(t, "entries below", len(entries), 3)
	b, err := os.ReadFile(filepath.Join(lower, "changed"))
	must(t, err)
	equal(t, "file below", string(b), "lower\n")

	again, err := d.Open(t.Context(), w.spec)
	must(t, err)
	defer again.Close()
	w.box = again
	equal(t, "seen by the next box", w.ok("cat ~/.cache/things/new"), "upper")
}

func overlaySideBySide(t *testing.T, d sandbox.Driver) {
	w := open(t, d, func(w *world) {
		w.spec.Mounts = append(w.spec.Mounts, sandbox.Mount{Host: w.outside, Guest: "/cache", Mode: sandbox.Overlay})
	})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() { w.ok(fmt.Sprintf("echo %d >/cache/file%d && echo x >>/cache/secret", i, i)) })
	}
	all.Wait()
	equal(t, "files", w.ok("ls /cache | wc -l | tr -d ' '"), "9")
	equal(t, "appended", w.ok("grep -c '' /cache/secret"), "8")
}

// program32 is the smallest for the 32-bit calls of a 64-bit machine, which ends
// itself with 0 where nobody filters.
const program32 = "\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x03\x00\x01\x00\x00\x00\x54\x80\x04\x08" +
	"\x34\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x34\x00\x20\x00\x01\x00\x00\x00\x00\x00\x00\x00" +
	"\x01\x00\x00\x00\x00\x00\x00\x00\x00\x80\x04\x08\x00\x80\x04\x08\x5d\x00\x00\x00\x5d\x00\x00\x00\x05\x00\x00\x00\x00\x10\x00\x00" +
	"\x31\xdb\xb8\x01\x00\x00\x00\xcd\x80"

func otherPrograms(t *testing.T, _ sandbox.Driver) known {
	name := filepath.Join(t.TempDir(), "program")
	must(t, os.WriteFile(name, []byte(program32), 0o755))
	if err := exec.Command(name).Run(); err != nil {
		return known{outcome: Untried, why: "this kernel runs no 32-bit programs of x86"}
	}
	return known{}
}

func otherArchitecture(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	w.write("program", program32)
	must(t, os.Chmod(filepath.Join(w.work, "program"), 0o755))
	o := w.run(sandbox.Command{Args: []string{"./program"}})
	if refused := w.box.Level() == sandbox.LevelGVisor && o.ExitCode == 126; !refused {
		equal(t, "exit code", o.ExitCode, 128+int(unix.SIGSYS))
	}
}

func emptyCache(t *testing.T, d sandbox.Driver) {
	w := open(t, d, func(w *world) {
		w.spec.Mounts = append(w.spec.Mounts, sandbox.Mount{Guest: "/cache", Mode: sandbox.Cache})
	})
	equal(t, "empty", w.ok("ls /cache; echo kept >/cache/file"), "")
	equal(t, "kept", w.ok("cat /cache/file"), "kept")
}

// escapee is a script that leaves a process of another session behind, which
// holds the fifo.
const escapee = "setsid sh -c 'trap \"\" TERM INT HUP; sleep 1000 & wait' >/dev/null 2>&1 & "

func orphans(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	script, gone := w.alive()
	o := w.sh(script + escapee + "echo done")
	equal(t, "output", o.out, "done\n")
	equal(t, "all dead", gone(), true)
	inTime(t, o)
}

func orphansAtDeadline(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	script, gone := w.alive()
	o := w.run(sandbox.Command{Args: []string{"sh", "-c", script + escapee + "sleep 1000"}, Timeout: 300 * time.Millisecond})
	equal(t, "timed out", o.TimedOut, true)
	equal(t, "all dead", gone(), true)
	inTime(t, o)
}

func initSurvives(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	if w.box.Level() == sandbox.LevelLite && landlockVersion() < 6 {
		t.Skip("before Linux 6.12 Landlock does not guard signals")
	}
	o := w.sh("for s in 1 2 3 6 9 10 12 13 14 15 19 20 23; do kill -$s $PPID; done; (exit 3) & (sleep 0.01; exit 4) & echo alive; exit 7")
	equal(t, "exit code", o.ExitCode, 7)
	equal(t, "output", o.out, "alive\n")
}

func ownLoopback(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	equal(t, "listening and dialling", w.attack(t, []string{"loopback"})[0], fell)
}

func descriptors(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	f, err := os.Open(w.secret)
	must(t, err)
	defer f.Close()
	for _, from := range []int{50, 51, 200} { // the first that is free, without close-on-exec
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD, from)
		must(t, err)
		defer unix.Close(fd)
	}
	w.holds("descriptors")
}
