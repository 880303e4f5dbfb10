package git_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"mgx"
	"mgx/internal/git"
)

func TestDeliverIsIdempotent(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	before := snapshotOf(t, r.dir)
	run := prepared(t, r.dir)
	commit := run.changed()
	for range 2 {
		branch, err := run.deliver(commit, "mgx/a/run-1")
		if err != nil || branch != "mgx/a/run-1" {
			t.Fatalf("delivered to %q, %v", branch, err)
		}
	}
	r.untouched(before, "mgx/a/run-1")
	if got := r.git("reflog", "mgx/a/run-1", "--format=%gs %gn"); got != "mgx: deliver a run MGX" {
		t.Errorf("reflog %q", got)
	}
	if got := r.git("diff", "--name-status", "main", "mgx/a/run-1"); got != "A\tnew.txt" {
		t.Errorf("delivered %q", got)
	}
	r.git("fsck", "--strict")
}

func TestDeliverMovesOnOrRefuses(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	run := prepared(t, r.dir)
	commit := run.changed()
	for _, taken := range []string{"mgx/a/run-1", "mgx/a/run-2", "mine", "x"} {
		r.git("branch", taken)
	}
	branch, err := run.deliver(commit, "mgx/a/run-1")
	if err != nil || branch != "mgx/a/run-3" {
		t.Errorf("delivered to %q, %v", branch, err)
	}
	if again, err := run.deliver(commit, "mgx/a/run-1"); err != nil || again != branch {
		t.Errorf("delivered again to %q, %v", again, err)
	}
	_, err = run.deliver(commit, "mine")
	wantCode(t, err, mgx.KindRefused, "branch_exists")
	_, err = run.deliver(commit, "x/y")
	wantCode(t, err, mgx.KindUsage, "branch_conflict")
	for _, bad := range []string{"", "-f", "a..b", "refs/heads/../../x", "a b", "HEAD"} {
		_, err = run.deliver(commit, bad)
		wantCode(t, err, mgx.KindUsage, "bad_branch_name")
	}
	if got := r.git("rev-parse", "mine"); got != run.src.Head {
		t.Errorf("mine moved to %s", got)
	}
}

func TestDeliverTwoAtOnce(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	runs := []*run{prepared(t, r.dir), prepared(t, r.dir), prepared(t, r.dir)}
	branches := make([]string, len(runs))
	var wg sync.WaitGroup
	for i, run := range runs {
		write(t, run.work("by"), fmt.Sprint(i))
		commit := run.commit(run.src.Head, "by one of several")
		bundle, err := run.Bundle(t.Context(), run.src.Head, commit)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for branches[i] == "" {
				branch, err := git.Deliver(t.Context(), run.src, bundle, commit, "mgx/a/run-1")
				if err != nil && !mgx.IsCode(err, "branch_exists") && !strings.Contains(err.Error(), "lock") {
					t.Error(err)
					return
				}
				branches[i] = branch
			}
		})
	}
	wg.Wait()
	for i, branch := range branches {
		if got := r.git("show", branch+":by"); got != fmt.Sprint(i) {
			t.Errorf("%s holds the work of %s, want %d", branch, got, i)
		}
	}
}

// forge makes a bundle of a commit with a tree that git itself would not write.
func forge(t *testing.T, r repo, entry string) (bundle, commit string) {
	t.Helper()
	evil := repo{t, filepath.Join(t.TempDir(), "evil")}
	r.git("clone", "-q", r.dir, evil.dir)
	blob := evil.git("rev-parse", "HEAD:README.md")
	raw, err := hex.DecodeString(blob)
	if err != nil {
		t.Fatal(err)
	}
	tree := evil.object("tree", append([]byte(entry+"\x00"), raw...))
	commit = evil.git("commit-tree", "-p", "HEAD", "-m", "evil", tree)
	return evil.forged(commit, tree), commit
}

func (r repo) object(kind string, data []byte) string {
	r.t.Helper()
	file := filepath.Join(r.t.TempDir(), "object")
	write(r.t, file, string(data))
	return r.git("hash-object", "-w", "--literally", "-t", kind, file)
}

func TestDeliverRefusesUnsoundObjects(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	src := inspect(t, r.dir)
	before := snapshotOf(t, r.dir)
	for _, entry := range []string{"100644 .git", "100644 ..", "100644 .", "100644 .GIT", "100644 git~1", "100644 .g\u200cit", "100644 a/b", "100644 ", "120000 .gitmodules", "0100644 padded"} {
		bundle, commit := forge(t, r, entry)
		_, err := git.Deliver(t.Context(), src, bundle, commit, "mgx/evil/run-1")
		if !mgx.IsCode(err, "bad_result") {
			t.Errorf("%q: %v", entry, err)
		}
	}
	r.untouched(before, "")
}

func TestDeliverRefusesBadBundles(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	run := prepared(t, r.dir)
	commit := run.changed()
	good, err := run.Bundle(t.Context(), run.src.Head, commit)
	if err != nil {
		t.Fatal(err)
	}
	whole := mustRead(t, good)
	header, _, _ := bytes.Cut(whole, []byte("\n\n"))
	flipped := bytes.Clone(whole)
	flipped[len(header)+30] ^= 1
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(good, link); err != nil {
		t.Fatal(err)
	}
	// A commit that is whole and has nothing to do with the repository.
	other := repo{t, filepath.Join(t.TempDir(), "other")}
	r.git("clone", "-q", r.dir, other.dir)
	orphan := other.git("commit-tree", "-m", "orphan", "HEAD^{tree}")
	unrelated := other.forged(orphan)
	// One that lacks a blob.
	tree := other.object("tree", append([]byte("100644 f\x00"), bytes.Repeat([]byte{7}, 20)...))
	lacking := other.git("commit-tree", "-p", "HEAD", "-m", "lacking", tree)
	incomplete := other.forged(lacking, tree)

	before := snapshotOf(t, r.dir)
	text := func(s []byte) string {
		name := filepath.Join(t.TempDir(), "bundle")
		write(t, name, string(s))
		return name
	}
	for name, tc := range map[string]struct{ bundle, commit string }{
		"no file":      {filepath.Join(t.TempDir(), "none"), commit},
		"a directory":  {t.TempDir(), commit},
		"a link":       {link, commit},
		"empty":        {text(nil), commit},
		"no bundle":    {text([]byte("hello\n\n")), commit},
		"endless":      {text(append([]byte("# v2 git bundle\n"), bytes.Repeat([]byte("-x\n"), 100_000)...)), commit},
		"truncated":    {text(whole[:len(whole)-30]), commit},
		"header only":  {text(append(header, "\n\n"...)), commit},
		"flipped bit":  {text(flipped), commit},
		"other commit": {good, run.src.Head},
		"two branches": {text(bytes.Replace(whole, []byte("\n\n"), []byte("\n"+commit+" refs/heads/main\n\n"), 1)), commit},
		"filter":       {text(bytes.Replace(whole, []byte("# v2 git bundle\n"), []byte("# v3 git bundle\n@filter=blob:none\n"), 1)), commit},
		"other format": {text(bytes.Replace(whole, []byte("# v2 git bundle\n"), []byte("# v3 git bundle\n@object-format=sha256\n"), 1)), commit},
		"unrelated":    {unrelated, orphan},
		"missing blob": {incomplete, lacking},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := git.Deliver(t.Context(), run.src, tc.bundle, tc.commit, "mgx/bad/run-1")
			wantCode(t, err, mgx.KindRefused, "bad_result")
		})
	}
	r.untouched(before, "")
}

// forged writes a bundle of exactly these objects, the first of which is its
// commit. Git itself refuses to bundle some of what the tests need.
func (r repo) forged(ids ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", "pack-objects", "-q", "--stdout")
	cmd.Dir, cmd.Stdin = r.dir, strings.NewReader(strings.Join(ids, "\n")+"\n")
	pack, err := cmd.Output()
	if err != nil {
		r.t.Fatal(err)
	}
	name := filepath.Join(r.t.TempDir(), "bundle")
	write(r.t, name, "# v2 git bundle\n"+ids[0]+" refs/mgx/result\n\n"+string(pack))
	return name
}

func TestDeliverSHA256(t *testing.T) {
	t.Parallel()
	r := newRepo(t, "--object-format=sha256")
	before := snapshotOf(t, r.dir)
	run := prepared(t, r.dir)
	commit := run.changed()
	if _, err := run.deliver(commit, "mgx/a/run-1"); err != nil {
		t.Fatal(err)
	}
	r.untouched(before, "mgx/a/run-1")
}

func TestNextBranch(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	src := inspect(t, r.dir)
	next := func(slug string) string {
		t.Helper()
		b, err := git.NextBranch(t.Context(), src, slug)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if got := next("a"); got != "mgx/a/run-1" {
		t.Error(got)
	}
	r.git("branch", "mgx/a/run-1")
	r.git("branch", "mgx/a/run-3")
	r.git("pack-refs", "--all")
	r.git("branch", "mgx/b")
	if got := next("a"); got != "mgx/a/run-2" {
		t.Error(got)
	}
	if got := next("b"); got != "mgx/b-2/run-1" {
		t.Error(got)
	}
	r.git("branch", "-D", "mgx/a/run-1", "mgx/a/run-3", "mgx/b")
	r.git("branch", "mgx")
	_, err := git.NextBranch(t.Context(), src, "a")
	wantCode(t, err, mgx.KindUsage, "branch_conflict")
}
