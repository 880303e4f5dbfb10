package git_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mgx"
)

// dirtyRepo has staged, unstaged, untracked, ignored and stashed changes.
func dirtyRepo(t testing.TB) repo {
	t.Helper()
	r := newRepo(t)
	r.write("README.md", "stashed\n")
	r.git("stash", "push", "-q")
	r.write("staged.txt", "staged\n")
	r.git("add", "staged.txt")
	r.write("staged.txt", "staged, then changed\n")
	r.write("README.md", "unstaged\n")
	r.git("rm", "-q", "--cached", "run.sh")
	r.write("intent.txt", "intent\n")
	r.git("add", "-N", "intent.txt")
	r.write("odd \xff\nname", "untracked\n")
	if err := os.Remove(filepath.Join(r.dir, "link")); err != nil {
		t.Fatal(err)
	}
	r.write(".git/info/exclude", "private\n")
	r.write("private", "never leaves\n")
	r.write("ignored/x", "never leaves\n")
	return r
}

func TestSnapshotTakesTheWorkTree(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"before", "after"} {
		t.Run(order+" preparing", func(t *testing.T) {
			t.Parallel()
			r := dirtyRepo(t)
			before := snapshotOf(t, r.dir)
			run := newRun(t, r.dir)
			if !run.src.Dirty {
				t.Error("not dirty")
			}
			if order == "after" {
				if err := run.Prepare(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			commit, err := run.Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := run.Prepare(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.untouched(before, "")

			want := filesOf(t, r.dir)
			delete(want, "private")
			delete(want, "ignored/x")
			wantSame(t, "the run's files", filesOf(t, run.work("")), want)
			if got := run.sh("git status --short; git rev-parse HEAD HEAD~"); got != commit+"\n"+run.src.Head {
				t.Errorf("the agent sees %q", got)
			}
			if tree := run.checkpoint(); tree != run.sh("git rev-parse HEAD^{tree}") {
				t.Error("the checkpoint is not the snapshot")
			}
			write(t, run.work("by-agent"), "x")
			last := run.commit(commit, "on top")
			if _, err := run.deliver(last, "mgx/dirty/run-1"); err != nil {
				t.Fatal(err)
			}
			r.untouched(before, "mgx/dirty/run-1")
			if got := r.git("log", "--format=%s", "mgx/dirty/run-1"); got != "on top\nUncommitted changes at the start of the run\nfirst" {
				t.Errorf("delivered %q", got)
			}
		})
	}
}

func TestSnapshotOfACleanTreeIsHead(t *testing.T) {
	t.Parallel()
	run := newRun(t, newRepo(t).dir)
	if commit, err := run.Snapshot(t.Context()); err != nil || commit != run.src.Head {
		t.Errorf("snapshot %s, %v", commit, err)
	}
}

func TestSnapshotInTheMiddleOfThings(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	for name, prepare := range map[string]func(repo){
		"split index":    func(r repo) { r.git("update-index", "--split-index") },
		"untracked":      func(r repo) { r.git("update-index", "--untracked-cache"); r.git("status") },
		"index format 4": func(r repo) { r.git("update-index", "--index-version=4") },
		"sparse": func(r repo) {
			r.git("sparse-checkout", "set", "--sparse-index", "nowhere")
			r.git("status")
		},
		"no index": func(r repo) { os.Remove(filepath.Join(r.dir, ".git/index")) },
		"conflict": func(r repo) {
			r.git("checkout", "-q", "-b", "other")
			r.write("README.md", "theirs\n")
			r.commit("theirs")
			r.git("checkout", "-q", "main")
			r.write("README.md", "ours\n")
			r.commit("ours")
			if _, err := r.try("merge", "other"); err == nil {
				r.t.Error("no conflict")
			}
		},
		"a repository inside": func(r repo) {
			r.git("init", "-q", "inner")
			r.write("inner/secret", "another project")
		},
		"autocrlf": func(r repo) { r.git("config", "core.autocrlf", "true"); r.write("crlf", "a\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := repo{t, filepath.Join(t.TempDir(), "c")}
			r.git("clone", "-q", r.dir, c.dir)
			prepare(c)
			c.write("new", "new\n")
			before := snapshotOf(t, c.dir)
			run := newRun(t, c.dir)
			if _, err := run.Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := run.Prepare(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.untouched(before, "")
			changed := run.sh("git diff --name-only HEAD~")
			want := map[string]string{"conflict": "README.md\nnew", "autocrlf": "crlf\nnew"}[name]
			if want == "" {
				want = "new"
			}
			if changed != want {
				t.Errorf("changed %q, want %q", changed, want)
			}
			if name == "autocrlf" && run.sh("cat crlf") != "a" {
				t.Error("line endings were stored as they are in the work tree")
			}
		})
	}
}

func TestSnapshotLeavesFilteredFiles(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("big.bin", "pointer\n")
	r.write(".gitattributes", "*.bin filter=lfs\n")
	r.commit("pointer")
	r.write("big.bin", "the real, large content")
	run := newRun(t, r.dir)
	if _, err := run.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.write("other", "x")
	if _, err := run.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := run.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := run.sh("cat big.bin; git log -1 --format=%b"); !strings.HasPrefix(got, "pointer\nNot included") || !strings.Contains(got, `- "big.bin"`) {
		t.Errorf("the run has %q", got)
	}
}

func TestSnapshotOfUnreadableFile(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root can read every file")
	}
	r := newRepo(t)
	r.write("secret", "x")
	if err := os.Chmod(filepath.Join(r.dir, "secret"), 0); err != nil {
		t.Fatal(err)
	}
	_, err := newRun(t, r.dir).Snapshot(t.Context())
	wantCode(t, err, mgx.KindUsage, "unreadable_file")
}
