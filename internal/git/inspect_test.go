package git_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/git"
)

func TestInspectFindsTheRepository(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	src := inspect(t, filepath.Join(r.dir, "dir"))
	if src.Path != r.dir || src.Head != r.git("rev-parse", "HEAD") || src.Branch != "main" || src.Dirty || src.ObjectFormat != "sha1" || src.Submodules || src.LFS {
		t.Errorf("source is %+v", src)
	}
	r.write("untracked", "x")
	if !inspect(t, r.dir).Dirty {
		t.Error("an untracked file does not make the repository dirty")
	}
	r.git("checkout", "-q", "--detach")
	if src := inspect(t, r.dir); src.Branch != "" || src.Head == "" {
		t.Errorf("detached: %+v", src)
	}
}

func TestInspectRefuses(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	unborn := repo{t, t.TempDir()}
	unborn.git("init", "-q", "-b", "main")
	bare := repo{t, t.TempDir()}
	bare.git("init", "-q", "--bare")
	good := newRepo(t)
	damaged := newRepo(t)
	head := damaged.git("rev-parse", "HEAD")
	if err := os.Remove(filepath.Join(damaged.dir, ".git/objects", head[:2], head[2:])); err != nil {
		t.Fatal(err)
	}
	garbage := t.TempDir()
	write(t, filepath.Join(garbage, ".git/HEAD"), "\x1b[31mgarbage")
	badConfig := newRepo(t)
	badConfig.write(".git/config", "[core\n\x1b[0m")
	for _, tc := range []struct{ name, dir, code string }{
		{"a file", filepath.Join(good.dir, "README.md"), "not_a_directory"},
		{"nothing there", filepath.Join(empty, "no"), "not_a_directory"},
		{"no repository", empty, "not_a_repository"},
		{"inside .git", filepath.Join(good.dir, ".git", "objects"), "not_a_repository"},
		{"bare", bare.dir, "bare_repository"},
		{"no commits", unborn.dir, "no_commits"},
		{"HEAD's commit is missing", damaged.dir, "unreadable_repository"},
		{"broken .git", garbage, "unreadable_repository"},
		{"broken config", badConfig.dir, "unreadable_repository"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := git.Inspect(t.Context(), tc.dir)
			wantCode(t, err, mgx.KindUsage, tc.code)
		})
	}
}

func TestInspectWithoutGit(t *testing.T) {
	r := newRepo(t)
	t.Setenv("PATH", t.TempDir())
	_, err := git.Inspect(t.Context(), r.dir)
	wantCode(t, err, mgx.KindConfig, "git_missing")
}

// Git may be installed elsewhere while a server runs.
func TestInspectAfterGitMoved(t *testing.T) {
	r := newRepo(t)
	program, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	first, second := t.TempDir(), t.TempDir()
	t.Setenv("PATH", first+string(os.PathListSeparator)+second)
	for _, dir := range []string{second, first} {
		link := filepath.Join(dir, "git")
		if err := os.Symlink(program, link); err != nil {
			t.Fatal(err)
		}
		inspect(t, r.dir)
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
	}
	_, err = git.Inspect(t.Context(), r.dir)
	wantCode(t, err, mgx.KindConfig, "git_missing")
}

func TestInspectOtherOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give a repository to another user")
	}
	t.Parallel()
	r := newRepo(t)
	if err := filepath.WalkDir(r.dir, func(name string, _ os.DirEntry, _ error) error { return os.Lchown(name, 12345, 12345) }); err != nil {
		t.Fatal(err)
	}
	_, err := git.Inspect(t.Context(), r.dir)
	wantCode(t, err, mgx.KindUsage, "unsafe_repository")
	if !strings.Contains(err.Error(), "git config --global --add safe.directory "+r.dir) {
		t.Errorf("no advice in %q", err)
	}
}

// A user who told git to trust another user's repository is believed.
func TestTrustedOtherOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give a repository to another user")
	}
	r := newRepo(t)
	if err := filepath.WalkDir(r.dir, func(name string, _ os.DirEntry, _ error) error { return os.Lchown(name, 12345, 12345) }); err != nil {
		t.Fatal(err)
	}
	global := filepath.Join(t.TempDir(), "gitconfig")
	write(t, global, "[safe]\n\tdirectory = "+r.dir+"\n")
	t.Setenv("GIT_CONFIG_GLOBAL", global)
	run := prepared(t, r.dir)
	commit := run.changed()
	if _, err := run.deliver(commit, "mgx/x/run-1"); err != nil {
		t.Fatal(err)
	}
	if out := run.sh("git status --short"); out != "" {
		t.Errorf("status in the box: %q", out)
	}
}

func TestInspectPartialClone(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.git("config", "uploadpack.allowFilter", "true")
	p := repo{t, filepath.Join(t.TempDir(), "partial")}
	r.git("clone", "-q", "--filter=blob:none", "--no-checkout", "file://"+r.dir, p.dir)
	_, err := git.Inspect(t.Context(), p.dir)
	wantCode(t, err, mgx.KindUsage, "partial_clone")

	p.git("fetch", "-q", "--refetch", "--no-filter") // what the message says to do
	run := prepared(t, p.dir)
	wantSame(t, "files", filesOf(t, run.work("")), filesOf(t, r.dir))
}

func TestInspectChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("README.md", "hello\n") // the time changed, the content did not
	before := snapshotOf(t, r.dir)
	inspect(t, r.dir)
	r.untouched(before, "")
}

func TestReopenKeepsTheStart(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	first := inspect(t, r.dir)
	r.write("README.md", "more\n")
	r.commit("second")
	r.git("checkout", "-q", "-b", "other")
	again, err := git.Reopen(t.Context(), first.RepoInfo)
	if err != nil {
		t.Fatal(err)
	}
	if again.RepoInfo != first.RepoInfo || len(again.Objects) != 1 {
		t.Errorf("reopened as %+v", again)
	}
	gone := first.RepoInfo
	gone.Head = strings.Repeat("1", 40)
	_, err = git.Reopen(t.Context(), gone)
	wantCode(t, err, mgx.KindUsage, "unreadable_repository")
}
