package git_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/git"
)

func TestPrepareChecksOut(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t, "--object-format="+format)
			r.git("checkout", "-q", "-b", "feature/x")
			before := snapshotOf(t, r.dir)
			run := prepared(t, r.dir)
			wantSame(t, "files", filesOf(t, run.work("")), filesOf(t, r.dir))
			if got := run.sh("git status --short; git branch --show-current; git rev-parse HEAD; git fsck --strict 2>&1"); got != "feature/x\n"+run.src.Head {
				t.Errorf("the agent sees %q", got)
			}
			if err := run.Prepare(t.Context()); err != nil {
				t.Errorf("a second time: %v", err)
			}
			r.untouched(before, "")
		})
	}
}

func TestPrepareDetachedAndWorktree(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	first := r.git("rev-parse", "HEAD")
	r.write("README.md", "second\n")
	r.commit("second")
	tree := repo{t, filepath.Join(t.TempDir(), "linked")}
	r.git("worktree", "add", "-q", "--detach", tree.dir, first)
	before := snapshotOf(t, r.dir)

	run := prepared(t, filepath.Join(tree.dir, "dir"))
	if run.src.Path != tree.dir || run.src.GitDir == run.src.CommonDir {
		t.Errorf("source is %+v", run.src)
	}
	if got := run.sh("git branch --show-current; git log --format=%s; cat README.md"); got != "main\nfirst\nhello" {
		t.Errorf("the run has %q", got)
	}
	commit := run.changed()
	if _, err := run.deliver(commit, "mgx/t/run-1"); err != nil {
		t.Fatal(err)
	}
	if got := tree.git("rev-parse", "mgx/t/run-1"); got != commit {
		t.Errorf("delivered %s, want %s", got, commit)
	}
	r.untouched(before, "mgx/t/run-1")
}

func TestPrepareStartsOverWhenInterrupted(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	run := prepared(t, r.dir)
	// As if killed halfway: no mark, half the files, a lock, a damaged index.
	for _, name := range []string{"git/mgx.prepared", "work/README.md", "git/HEAD.lock"} {
		os.Remove(filepath.Join(run.dir, name))
	}
	write(t, run.work("rest/of/file"), "half")
	write(t, filepath.Join(run.dir, "git/index.lock"), "")
	write(t, filepath.Join(run.dir, "git/refs/mgx/start.lock"), "")
	write(t, filepath.Join(run.dir, "git/index"), "DIRC damaged")
	again := openRun(t, run.src, run.dir)
	if err := again.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantSame(t, "files", filesOf(t, run.work("")), filesOf(t, r.dir))
	if got := again.sh("git status --short"); got != "" {
		t.Errorf("status %q", got)
	}
}

func TestSubmodulesAndLFSStayAsTheyAre(t *testing.T) {
	t.Parallel()
	inner := newRepo(t)
	r := newRepo(t)
	r.git("submodule", "--quiet", "add", inner.dir, "lib")
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("a", 64) + "\nsize 5\n"
	r.write("big.bin", pointer)
	r.commit("submodule and pointer")
	r.write(".gitattributes", "*.bin filter=lfs diff=lfs -text\n*.txt text eol=crlf\n*.enc working-tree-encoding=UTF-16\n*.id ident\n")
	r.write("dos.txt", "a\r\nb\r\n")
	r.write("c.id", "$Id$\n")
	ran := filepath.Join(t.TempDir(), "ran")
	for _, verb := range []string{"clean", "smudge"} {
		r.git("config", "filter.lfs."+verb, "touch "+ran+"; cat")
	}
	r.git("config", "filter.lfs.required", "true")
	r.commit("attributes")
	os.Remove(ran)
	r.git("config", "filter.lfs.process", "touch "+ran)
	// The file's time changes, so that a status must read it.
	r.write("big.bin", pointer)

	run := prepared(t, r.dir)
	if !run.src.Submodules || !run.src.LFS {
		t.Errorf("source is %+v", run.src)
	}
	if got, _ := os.ReadFile(run.work("big.bin")); string(got) != pointer {
		t.Errorf("the pointer became %q", got)
	}
	if got, _ := os.ReadFile(run.work("dos.txt")); string(got) != "a\nb\n" {
		t.Errorf("line endings were converted: %q", got)
	}
	if got, _ := os.ReadFile(run.work("c.id")); string(got) != "$Id$\n" {
		t.Errorf("ident was expanded: %q", got)
	}
	if entries, err := os.ReadDir(run.work("lib")); err != nil || len(entries) != 0 {
		t.Errorf("the submodule's directory: %v, %v", entries, err)
	}
	tree := run.checkpoint()
	if want := r.git("rev-parse", "HEAD^{tree}"); tree != want {
		t.Errorf("an untouched run's tree is %s, want %s", tree, want)
	}
	write(t, run.work("x.enc"), "not UTF-16 at all, odd")
	write(t, run.work("win.txt"), "1\r\n2\n")
	write(t, run.work("big.bin"), "changed")
	tree = run.checkpoint()
	os.Remove(run.work("win.txt"))
	run.restore(tree)
	if got, _ := os.ReadFile(run.work("win.txt")); string(got) != "1\r\n2\n" {
		t.Errorf("restored %q", got)
	}
	commit := run.commit(run.src.Head, "x")
	if got := run.sh("git ls-tree HEAD lib"); !strings.HasPrefix(got, "160000 commit ") {
		t.Errorf("the submodule became %q", got)
	}
	if _, err := run.deliver(commit, "mgx/lfs/run-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := run.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustNotExist(t, ran)
}

func TestNothingOfTheRepositoryRuns(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	ran := filepath.Join(t.TempDir(), "ran")
	hook := "#!/bin/sh\ntouch " + ran + "\n"
	for _, name := range []string{"post-checkout", "pre-commit", "post-commit", "reference-transaction", "post-index-change", "post-merge", "pre-auto-gc", "fsmonitor-watchman", "update", "post-receive"} {
		r.write(".git/hooks/"+name, hook)
		if err := os.Chmod(filepath.Join(r.dir, ".git/hooks", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script := filepath.Join(r.dir, ".git/hooks/fsmonitor-watchman")
	for _, kv := range [][2]string{
		{"core.fsmonitor", script},
		{"diff.external", script},
		{"core.pager", script},
		{"core.sshCommand", script},
		{"core.editor", script},
		{"credential.helper", script},
		{"diff.evil.textconv", script},
		{"diff.evil.command", script},
		{"filter.evil.clean", script},
		{"filter.evil.smudge", script},
		{"core.alternateRefsCommand", script},
		{"gpg.program", script},
		{"commit.gpgSign", "true"},
		{"uploadpack.packObjectsHook", script},
		{"maintenance.auto", "true"},
		{"gc.auto", "1"},
		{"fetch.fsckObjects", "false"},
	} {
		r.git("config", kv[0], kv[1])
	}
	r.write("README.md", "changed\n")
	r.write(".gitattributes", "* diff=evil filter=evil\n")
	os.Remove(ran)
	before := snapshotOf(t, r.dir)

	run := prepared(t, r.dir)
	if _, err := run.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The agent plants the same in its files, in a repository it makes there.
	run.sh("mkdir -p hooks sub && cp -r . /tmp/x 2>/dev/null; cd sub && git init -q && git config core.fsmonitor 'touch /workspace/RAN; false' && git config filter.evil.clean 'touch /workspace/RAN; cat' && echo '* filter=evil' > .gitattributes && echo 1 > f && printf '#!/bin/sh\ntouch /workspace/RAN\n' > .git/hooks/post-index-change && chmod +x .git/hooks/post-index-change")
	for range 2 {
		commit := run.commit(run.src.Head, "with a nested repository")
		if _, err := run.Status(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := run.Diff(t.Context(), run.src.Head, commit, git.DiffOptions{}); err != nil {
			t.Fatal(err)
		}
		run.restore(commit)
		if _, err := run.deliver(commit, "mgx/hooks/run-1"); err != nil {
			t.Fatal(err)
		}
	}
	mustNotExist(t, ran)
	mustNotExist(t, run.work("RAN"))
	r.untouched(before, "mgx/hooks/run-1")
}

func TestAgentCannotWriteGit(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	run := prepared(t, r.dir)
	before := snapshotOf(t, filepath.Join(run.dir, "git"))
	for _, script := range []string{
		"git commit -q --allow-empty -m x", "git config core.fsmonitor /bin/sh", "echo x > .git/hooks", "mkdir .git/hooks",
		"rm -rf .git", "mv .git .git2", "git update-ref refs/heads/evil HEAD", "git gc", "touch /borrow/0/x", "rm -rf /borrow/0/pack",
		"ln -sf /etc .git/x", "chmod 777 .git", "git update-index --refresh --force-write-index",
	} {
		if out, code := run.trySh(script); code == 0 {
			t.Errorf("%s succeeded: %s", script, out)
		}
	}
	wantSame(t, "the git directory", snapshotOf(t, filepath.Join(run.dir, "git")), before)
	// What a file tool writes at .git on the host is not what git sees.
	write(t, run.work(".git/config"), "[core]\n\tfsmonitor = touch /workspace/RAN\n")
	write(t, run.work("a"), "a")
	run.commit(run.src.Head, "x")
	mustNotExist(t, run.work("RAN"))
}

func TestBorrowedChainAndShallow(t *testing.T) {
	t.Parallel()
	a := newRepo(t)
	b := repo{t, filepath.Join(t.TempDir(), `b "quoted" # and spaced`)}
	a.git("clone", "-q", "--shared", a.dir, b.dir)
	b.write("b.txt", "b\n")
	b.commit("in b")
	c := repo{t, filepath.Join(t.TempDir(), "c")}
	b.git("clone", "-q", "--shared", ".", c.dir)
	c.write("c.txt", "c\n")
	c.commit("in c")
	// A relative alternate, and one that is gone.
	write(t, filepath.Join(c.dir, ".git/objects/info/alternates"), "# comment\n"+string(mustRead(t, filepath.Join(c.dir, ".git/objects/info/alternates")))+"/nowhere/objects\n")
	run := prepared(t, c.dir)
	if len(run.src.Objects) != 3 {
		t.Errorf("object directories: %q", run.src.Objects)
	}
	if got := run.sh("git log --format=%s"); got != "in c\nin b\nfirst" {
		t.Errorf("log %q", got)
	}
	deliverInto(t, run, c)

	shallow := repo{t, filepath.Join(t.TempDir(), "shallow")}
	c.git("clone", "-q", "--depth=2", "file://"+c.dir, shallow.dir)
	run = prepared(t, shallow.dir)
	if got := run.sh("git log --format=%s"); got != "in c\nin b" || len(run.src.Shallow) == 0 {
		t.Errorf("shallow log %q", got)
	}
	deliverInto(t, run, shallow)
}

func deliverInto(t *testing.T, run *run, r repo) {
	t.Helper()
	before := snapshotOf(t, r.dir)
	commit := run.changed()
	if _, err := run.deliver(commit, "mgx/d/run-1"); err != nil {
		t.Fatal(err)
	}
	r.untouched(before, "mgx/d/run-1")
	if got := r.git("show", "mgx/d/run-1:new.txt"); got != "new" {
		t.Errorf("delivered %q", got)
	}
	r.git("fsck", "--strict", "--connectivity-only")
}

func mustRead(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLogAndStatus(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.commit("second: ☃ subject")
	run := prepared(t, r.dir)
	log, err := run.Log(t.Context(), 5)
	if err != nil || strings.Join(log, "|") != "second: ☃ subject|first" {
		t.Errorf("log %q, %v", log, err)
	}
	clean, err := run.Status(t.Context())
	if err != nil || !strings.Contains(clean, "branch: main\n") || !strings.Contains(clean, " first\n") || !strings.Contains(clean, "no uncommitted changes") {
		t.Errorf("status %q, %v", clean, err)
	}
	run.sh(`echo 2 >> README.md; for i in $(seq 30); do echo x > "f$i"; done; echo > "$(printf 'a\n\033[31m')"`)
	dirty, err := run.Status(t.Context())
	if err != nil || !strings.Contains(dirty, "  M README.md\n") || !strings.Contains(dirty, "and 12 more") || strings.Contains(dirty, "\x1b") {
		t.Errorf("status %q, %v", dirty, err)
	}
}

// TestTrailersAreFoundWhereverTheyStand has commits squashed, as a forge does, and one
// whose message is longer than what is read.
func TestTrailersAreFoundWhereverTheyStand(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.commit("old\n\nRead-From: attachment")
	r.commit("squashed (#1)\n\n* one\n\n  Read-From: web\nAssisted-by: x\n\n* two\n\nRead-From: mcp\n")
	r.commit("no Read-From: nothing")
	run := prepared(t, r.dir)
	for n, want := range map[int]string{1: "", 2: "mcp|web", 10: "attachment|mcp|web"} {
		got, whole, err := run.Trailers(t.Context(), "Read-From", n)
		if err != nil || !whole || strings.Join(got, "|") != want {
			t.Errorf("of %d commits: %q, whole %v, %v", n, got, whole, err)
		}
	}
	r.write("message", strings.Repeat("A line that says nothing of it.\n", 17<<20/32))
	r.git("commit", "-q", "--allow-empty", "-F", "message")
	if _, whole, err := prepared(t, r.dir).Trailers(t.Context(), "Read-From", 10); err != nil || whole {
		t.Errorf("a message of 17 MB is said to be read whole, %v", err)
	}
}

func TestBadIDsAreRefused(t *testing.T) {
	t.Parallel()
	run := newRun(t, newRepo(t).dir)
	for _, id := range []string{"", "HEAD", "--output=/tmp/x", strings.Repeat("g", 40), strings.Repeat("a", 39)} {
		_, err := run.Diff(t.Context(), id, run.src.Head, git.DiffOptions{})
		wantCode(t, err, mgx.KindInternal, "bad_object_id")
		wantCode(t, run.Restore(t.Context(), id), mgx.KindInternal, "bad_object_id")
		_, err = git.Deliver(t.Context(), run.src, "x", id, "b")
		wantCode(t, err, mgx.KindInternal, "bad_object_id")
	}
}
