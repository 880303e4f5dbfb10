package git_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mgx"
	"mgx/internal/git"
)

func TestCheckpointSeesWhatGitSees(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write(".git/info/exclude", "local-only\n")
	run := prepared(t, r.dir)
	start := run.checkpoint()
	if again := run.checkpoint(); again != start {
		t.Errorf("an unchanged checkpoint moved from %s to %s", start, again)
	}
	run.sh(`
rm dir/a.go; chmod -x run.sh; echo more >> README.md
mkdir -p ignored new/deep; echo x > ignored/x; echo x > a.log; echo x > local-only; echo x > new/deep/f
ln -s /etc/passwd outside; mkfifo pipe; mkdir empty
printf x > 'with space'; printf x > "$(printf 'new\nline')"; printf x > "$(printf 'latin\344')"; printf x > '"quoted"'; printf x > ':(glob)*'; printf x > -dash`)
	tree := run.checkpoint()
	got := strings.Split(run.sh("git -c core.quotePath=false ls-tree -r -z --name-only "+tree), "\x00")
	want := []string{"", ".gitignore", "README.md", "run.sh", "link", "new/deep/f", "outside", "with space", "new\nline", "latin\xe4", `"quoted"`, ":(glob)*", "-dash"}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the tree has\n%q, want\n%q", got, want)
	}
	changes, err := run.Changes(t.Context(), start, tree)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]git.FileChange{}
	for _, c := range changes {
		by[c.Path] = c
	}
	if by["dir/a.go"].Status != git.Deleted || by["README.md"] != (git.FileChange{Path: "README.md", Status: git.Modified, Additions: 1}) ||
		by["latin\xe4"].Status != git.Added || by["run.sh"].Status != git.Modified || len(changes) != 11 {
		t.Errorf("changes %+v", changes)
	}
	run.restore(start)
	if got := run.checkpoint(); got != start {
		t.Errorf("restored to %s, want %s", got, start)
	}
	for _, name := range []string{"ignored/x", "a.log", "local-only"} {
		if _, err := os.Lstat(run.work(name)); err != nil {
			t.Errorf("the ignored file %s did not stay", name)
		}
	}
	mustNotExist(t, run.work("outside"))
	mustNotExist(t, run.work("empty"))
	run.restore(tree)
	if got := run.checkpoint(); got != tree {
		t.Errorf("restored to %s, want %s", got, tree)
	}
}

func TestNamesThatGitCannotStore(t *testing.T) {
	t.Parallel()
	run := prepared(t, newRepo(t).dir)
	start := run.checkpoint()
	run.sh(`mkdir .GIT; echo x > .GIT/config; echo x > git~1; echo x > "$(printf '.g\342\200\214it')"; echo x > '.git '; echo x > .git.; echo x > .git::x; mkdir -p d/.Git; echo x > d/.Git/y; mkdir -p "e/.git\\z"; echo x > "e/.git\\z/q"`)
	if tree := run.checkpoint(); tree != start {
		t.Errorf("stored %s", run.sh("git ls-tree -r --name-only "+tree))
	}
}

func TestRepositoriesInside(t *testing.T) {
	t.Parallel()
	run := prepared(t, newRepo(t).dir)
	run.sh(`
git init -q unborn; echo 1 > unborn/one
git init -q "$(printf 'odd\344\nname')"; echo 2 > "$(printf 'odd\344\nname')/two"
git init -q sub; cd sub; echo '*.tmp' > .gitignore; echo 3 > three; echo x > x.tmp; echo x > x.log; mkdir ignored; echo x > ignored/y
git init -q inner; echo 4 > inner/four; echo inner >> .git/info/exclude
git add three; git -c user.name=a -c user.email=a@b commit -qm x`)
	tree := run.checkpoint()
	got := strings.Split(run.sh("git ls-tree -r -z --name-only "+tree), "\x00")
	for _, want := range []string{"unborn/one", "odd\xe4\nname/two", "sub/.gitignore", "sub/three", "sub/inner/four"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is not in the tree: %q", want, got)
		}
	}
	for _, not := range []string{"sub/x.tmp", "sub/x.log", "sub/ignored/y"} {
		if slices.Contains(got, not) {
			t.Errorf("%q is in the tree", not)
		}
	}
	run.sh("echo 5 > sub/five; rm sub/three; cd sub && git add -A && git -c user.name=a -c user.email=a@b commit -qm y")
	next := run.checkpoint()
	if got := run.sh("git diff-tree -r --name-status " + tree + " " + next); got != "A\tsub/five\nD\tsub/three" {
		t.Errorf("changed %q", got)
	}
	run.restore(tree)
	if again := run.checkpoint(); again != tree {
		t.Errorf("restored to %s, want %s", again, tree)
	}
}

// Repositories in the place of a tracked file, with a commit and without.
func TestRepositoryInPlaceOfAFile(t *testing.T) {
	t.Parallel()
	run := prepared(t, newRepo(t).dir)
	start := run.checkpoint()
	run.sh(`
rm README.md link; git init -q README.md; git init -q link; echo 1 > README.md/one; echo 2 > link/two
cd README.md; git add one; git -c user.name=a -c user.email=a@b commit -qm x`)
	tree := run.checkpoint()
	if got := run.sh("git diff-tree -r --no-renames --name-status " + start + " " + tree); got != "D\tREADME.md\nA\tREADME.md/one\nD\tlink\nA\tlink/two" {
		t.Errorf("changed %q", got)
	}
	run.restore(start)
	if again := run.checkpoint(); again != start {
		t.Errorf("restored to %s, want %s", again, start)
	}
}

func TestUnreadableFilesAreKept(t *testing.T) {
	t.Parallel()
	run := prepared(t, newRepo(t).dir)
	start := run.checkpoint()
	run.sh("mkdir -p p/q; echo 1 > p/q/f; echo 2 > secret; chmod 0 secret p/q; chmod 0 README.md")
	tree := run.checkpoint()
	if got := run.sh("git ls-tree -r --name-only " + tree); !strings.Contains(got, "p/q/f") || !strings.Contains(got, "secret") {
		t.Errorf("the tree has %q", got)
	}
	run.sh("chmod 500 p/q p .; chmod 0 dir")
	run.restore(start)
	run.sh("chmod 0 .")
	run.restore(start)
	if got := run.checkpoint(); got != start {
		t.Errorf("restored to %s, want %s", got, start)
	}
}

func TestCheckpointsSurvive(t *testing.T) {
	t.Parallel()
	run := prepared(t, newRepo(t).dir)
	write(t, run.work("f"), "1")
	one := run.checkpoint()
	write(t, run.work("f"), "2")
	two := run.checkpoint()
	for _, tree := range []string{one, two} {
		if got := run.sh("git for-each-ref --format='%(objectname)' refs/mgx/checkpoints/" + tree); got != tree {
			t.Errorf("the ref of %s has %q", tree, got)
		}
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	run := prepared(t, newRepo(t).dir)
	run.sh(`seq 5000 > many; printf 'a\0b' > bin; mv run.sh moved.sh; echo '[x' > '[x]'`)
	tree := run.checkpoint()
	whole, err := run.Diff(t.Context(), run.src.Head, tree, git.DiffOptions{})
	if err != nil || !strings.Contains(whole, "+4999\n") || !strings.Contains(whole, "Binary files") || !strings.Contains(whole, "rename to moved.sh") {
		t.Errorf("diff %.400q, %v", whole, err)
	}
	cut, err := run.Diff(t.Context(), run.src.Head, tree, git.DiffOptions{MaxBytes: 1000})
	if err != nil || len(cut) > 1200 || !strings.Contains(cut, "more bytes of this diff are not shown") {
		t.Errorf("cut diff %q, %v", cut, err)
	}
	stat, err := run.Diff(t.Context(), run.src.Head, tree, git.DiffOptions{Stat: true})
	if err != nil || !strings.Contains(stat, "4 files changed, 5001 insertions(+)") {
		t.Errorf("stat %q, %v", stat, err)
	}
	one, err := run.Diff(t.Context(), run.src.Head, tree, git.DiffOptions{Paths: []string{"[x]"}})
	if err != nil || strings.Count(one, "diff --git") != 1 {
		t.Errorf("diff of one %q, %v", one, err)
	}
	changes, err := run.Changes(t.Context(), run.src.Head, tree)
	if err != nil || len(changes) != 4 {
		t.Fatalf("changes %+v, %v", changes, err)
	}
	if c := changes[slices.IndexFunc(changes, func(c git.FileChange) bool { return c.Path == "moved.sh" })]; c.Status != git.Renamed || c.OldPath != "run.sh" {
		t.Errorf("the rename is %+v", c)
	}
	if c := changes[slices.IndexFunc(changes, func(c git.FileChange) bool { return c.Path == "bin" })]; !c.Binary {
		t.Errorf("the binary file is %+v", c)
	}
}

func TestCommitMovesHead(t *testing.T) {
	t.Parallel()
	run := prepared(t, newRepo(t).dir)
	run.sh("echo 2 >> README.md; rm dir/a.go; echo n > n")
	commit := run.commit(run.src.Head, "  subject\x00\x1b[31m\n\nbody\nAssisted-by: x\r\n")
	if got := run.sh("git log -1 --format='%an <%ae> %at %B' && git status --short && git branch --show-current && git rev-parse HEAD && git diff HEAD~ --stat | tail -1"); got !=
		fmt.Sprintf("MGX <mgx@localhost> %d subject[31m\n\nbody\nAssisted-by: x\n\nmain\n%s\n 3 files changed, 2 insertions(+), 1 deletion(-)", noon.Unix(), commit) {
		t.Errorf("the agent sees %q", got)
	}
	if again := run.commit(run.src.Head, "  subject\x00\x1b[31m\n\nbody\nAssisted-by: x\r\n"); again != commit {
		t.Errorf("the same request gave %s and %s", commit, again)
	}
	odd, err := run.Commit(t.Context(), git.CommitRequest{Tree: run.checkpoint(), Parent: commit, AuthorName: "<\n>", AuthorEmail: "a\nb@c"})
	if err != nil {
		t.Fatal(err)
	}
	if got := run.sh("git log -1 --format='%an|%ae|%s' " + odd); got != "MGX|ab@c|Change made by MGX" {
		t.Errorf("commit of odd words: %q", got)
	}
}

// A change within the second of the checkout, that keeps the size, shows in no
// time that git compares.
func TestChangeThatLeavesNoTrace(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("README.md", "HELLO\n")
	run := newRun(t, r.dir)
	if _, err := run.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := run.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"HELLO\n", "World\n", "world\n"} {
		write(t, run.work("README.md"), text)
		if got := run.sh("git show " + run.checkpoint() + ":README.md"); got != strings.TrimSpace(text) {
			t.Errorf("the checkpoint has %q, want %q", got, text)
		}
	}
}

// A random walk through file operations and checkpoints: every checkpoint can be
// restored exactly, and two checkpoints are equal only when the files are.
func TestRestoreProperty(t *testing.T) {
	if testing.Short() {
		t.Skip("runs hundreds of sandboxed commands")
	}
	t.Parallel()
	r := newRepo(t)
	run := prepared(t, r.dir)
	names := rapid.SampledFrom([]string{"a", "b", "a/b", "a/b/c", "dir/a.go", "dir", "README.md", "x y", "n\nl", "\xff", "run.sh", "deep/e/f/g"})
	rapid.Check(t, func(t *rapid.T) {
		if err := run.Restore(run.t.Context(), run.src.Head); err != nil {
			t.Fatal(err)
		}
		trees := map[string]map[string]string{}
		save := func() {
			tree, err := run.Checkpoint(run.t.Context())
			if err != nil {
				t.Fatal(err)
			}
			files := contents(t, run.work(""))
			if old, ok := trees[tree]; ok && !maps.Equal(old, files) {
				t.Fatalf("tree %s stands for %q and %q", tree, old, files)
			}
			trees[tree] = files
		}
		save()
		for range rapid.IntRange(1, 4).Draw(t, "rounds") {
			for range rapid.IntRange(0, 6).Draw(t, "operations") {
				operate(t, run.work(names.Draw(t, "name")))
			}
			save()
			tree := rapid.SampledFrom(slices.Sorted(maps.Keys(trees))).Draw(t, "tree")
			if err := run.Restore(run.t.Context(), tree); err != nil {
				t.Fatal(err)
			}
			if got := contents(t, run.work("")); !maps.Equal(got, trees[tree]) {
				t.Fatalf("restored %q, want %q", got, trees[tree])
			}
		}
	})
}

// operate does one thing to a path, whatever is there.
func operate(t *rapid.T, name string) {
	if !inside(filepath.Dir(name)) {
		return
	}
	switch rapid.IntRange(0, 5).Draw(t, "operation") {
	case 0:
		os.RemoveAll(name)
	case 1:
		os.RemoveAll(name)
		os.MkdirAll(name, 0o755)
	case 2:
		os.RemoveAll(name)
		os.Symlink(rapid.SampledFrom([]string{"dir", "a", "/nowhere", "."}).Draw(t, "target"), name)
	case 3:
		os.Chmod(name, os.FileMode(rapid.SampledFrom([]int{0o644, 0o755, 0, 0o400}).Draw(t, "mode")))
	default:
		os.MkdirAll(filepath.Dir(name), 0o755)
		os.WriteFile(name, []byte(rapid.StringN(0, 3, -1).Draw(t, "text")), 0o644)
	}
}

// inside reports whether no link leads elsewhere from the directory: operations
// must stay among the run's files.
func inside(dir string) bool {
	real, err := filepath.EvalSymlinks(dir)
	return err != nil || real == dir
}

// contents is what a tree records of the files.
func contents(t *rapid.T, dir string) map[string]string {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, name)
		if d.Type() == fs.ModeSymlink {
			to, err := os.Readlink(name)
			files[rel] = "link to " + to
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		b, err := os.ReadFile(name)
		files[rel] = fmt.Sprintf("%v %s", info.Mode()&0o100 != 0, b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestBundleOfNothing(t *testing.T) {
	t.Parallel()
	run := prepared(t, newRepo(t).dir)
	_, err := run.Bundle(t.Context(), run.src.Head, run.src.Head)
	wantCode(t, err, mgx.KindInternal, "nothing_to_deliver")
}
