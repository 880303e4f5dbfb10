package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/config"
	"mgx/internal/git"
	"mgx/internal/limit"
	"mgx/internal/store"
)

// A server works on what is sent to it, and the branch comes back, with nothing else
// here touched: when all goes well, and when this end is killed in between.
func TestRunOnWhatIsSent(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	before, head := l.fingerprint(), l.git("rev-parse", "HEAD")
	server := l.serve("127.0.0.1:0", "--workers", "1")
	task := []string{"run", "say hello", "--model", "openai/lab", "--check", "sh check.sh", "--approve", "auto", "--upload", "--server", server.url}
	out, errs, code := l.run(task...)
	if code != 0 || !strings.Contains(errs, "The branch is here: mgx/") {
		t.Fatalf("exit %d\n%s%s\n%s", code, out, errs, server.errs.String())
	}
	if strings.Contains(errs, l.data()) {
		t.Errorf("the repository that was sent is called what it is at the server:\n%s", errs)
	}
	run := l.only(l.store())
	if rel, err := filepath.Rel(l.data(), run.Repo.Path); err != nil || !strings.HasPrefix(rel, "uploads/"+string(mgx.DefaultWorkspace)+"/") || run.Repo.Head != head {
		t.Errorf("the server worked on %+v", run.Repo)
	}
	branch := run.Delivered.Branch
	if got := l.git("show", branch+":greet.sh"); got != "echo hello" {
		t.Errorf("greet.sh on %s: %q", branch, got)
	}
	if got := l.fingerprint(); got != before {
		t.Error("something else of the repository was touched")
	}

	// It comes back as often as it is asked for, also into another clone.
	get := func(dir string) {
		t.Helper()
		l.must("get", string(run.ID), "--repo", dir, "--server", server.url)
		if got := l.git("-C", dir, "rev-parse", "refs/heads/"+branch); got != run.Delivered.Commit {
			t.Errorf("the branch in %s is at %s, want %s", dir, got, run.Delivered.Commit)
		}
	}
	get(l.repo)
	l.git("branch", "-D", branch)
	get(l.repo)
	clone := filepath.Join(t.TempDir(), "clone")
	l.git("clone", "-q", "-b", "main", l.repo, clone)
	get(clone)
	l.must("get", string(run.ID), "--repo", clone) // of the data directory
	stranger := filepath.Join(t.TempDir(), "stranger")
	l.git("init", "-q", stranger)
	l.git("-C", stranger, "commit", "-q", "--allow-empty", "-m", "x")
	if _, errs, code := l.run("get", string(run.ID), "--repo", stranger, "--server", server.url); code != 2 || !strings.Contains(errs, "does not have the commit") {
		t.Errorf("exit %d %s", code, errs)
	}

	// Killed once the server works: the run goes on there, here is nothing, and get
	// brings it.
	l.git("branch", "-D", branch)
	before = l.fingerprint()
	if _, killed := l.killAt(func(_ int, e mgx.Event) bool { return e.Type == mgx.TaskStarted }, task...); !killed {
		t.Fatal("it was not killed")
	}
	if refs := l.git("for-each-ref", "refs/heads/mgx"); l.fingerprint() != before || refs != "" {
		t.Errorf("what was killed left something behind: %q", refs)
	}
	second := l.second(run.ID)
	for end := time.Now().Add(2 * time.Minute); !second.Status.Ended(); second = l.second(run.ID) {
		if time.Now().After(end) {
			t.Fatalf("the run is %s", second.Status)
		}
		time.Sleep(50 * time.Millisecond)
	}
	l.must("get", string(second.ID), "--server", server.url)
	if got := l.git("show", second.Delivered.Branch+":greet.sh"); got != "echo hello" {
		t.Errorf("greet.sh on %s: %q", second.Delivered.Branch, got)
	}
	server.end()
	n := l.node()
	if err := n.uploads.sweepOnce(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, r := range []mgx.Run{run, second} {
		if _, err := os.Stat(r.Repo.Path); err != nil {
			t.Errorf("what a run works on was swept: %v", err)
		}
	}
	hour := time.Now().Add(-time.Hour)
	for _, r := range []mgx.Run{run, second} {
		l.must("erase", "--run", string(r.ID), "--yes")
		if err := os.Chtimes(r.Repo.Path, hour, hour); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.uploads.sweepOnce(t.Context(), time.Now().Add(-uploadUnused)); err != nil {
		t.Fatal(err)
	}
	for _, r := range []mgx.Run{run, second} {
		if _, err := os.Stat(r.Repo.Path); !os.IsNotExist(err) {
			t.Errorf("what an erased run worked on is there: %v", err)
		}
	}
}

// node opens the data directory in this process.
func (l *lab) node() *node {
	l.t.Helper()
	env := func(name string) string { return map[string]string{"HOME": l.home}[name] }
	cfg, err := config.Load(env, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	n, err := (&cli{in: strings.NewReader(""), out: io.Discard, err: io.Discard, getenv: env, real: env, cfg: cfg}).openAny(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { n.close() })
	return n
}

// bundle is the repository as it is sent, and its digest.
func (l *lab) bundle() (text, digest string) {
	l.t.Helper()
	src, err := git.Inspect(l.t.Context(), l.repo)
	if err != nil {
		l.t.Fatal(err)
	}
	at := filepath.Join(l.t.TempDir(), "bundle")
	if err := src.Pack(l.t.Context(), at); err != nil {
		l.t.Fatal(err)
	}
	read, err := os.ReadFile(at)
	if err != nil {
		l.t.Fatal(err)
	}
	sum := sha256.Sum256(read)
	return string(read), "sha256:" + hex.EncodeToString(sum[:])
}

// second is the run that is not the first.
func (l *lab) second(first mgx.RunID) mgx.Run {
	l.t.Helper()
	s := l.store()
	runs, err := s.Runs(l.t.Context(), store.RunQuery{Workspace: mgx.DefaultWorkspace, Limit: 10})
	if err != nil || len(runs) != 2 {
		l.t.Fatalf("%d runs, %v", len(runs), err)
	}
	for _, r := range runs {
		if r.ID != first {
			return r
		}
	}
	return mgx.Run{}
}

// What a server keeps is what was sent, whole, once, and as long as a run works on it.
func TestUploads(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	bundle, digest := l.bundle()
	n := l.node()
	keepFor := func(ws mgx.WorkspaceID, digest string) (string, error) {
		up, err := n.uploads.Keep(t.Context(), ws, digest, strings.NewReader(bundle))
		return up.Head, err
	}
	keep := func(digest string) (string, error) { return keepFor("ws_a", digest) }
	if _, err := keep("sha256:" + strings.Repeat("0", 64)); !mgx.IsCode(err, "bad_upload") {
		t.Errorf("another digest: %v", err)
	}
	for range 2 {
		if head, err := keep(digest); err != nil || head != l.git("rev-parse", "HEAD") {
			t.Fatal(head, err)
		}
	}
	dir, err := n.uploads.Dir("ws_a", digest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.uploads.Dir("ws_b", digest); !mgx.IsCode(err, mgx.CodeNotFound) {
		t.Errorf("another workspace has it, too: %v", err)
	}
	if found, _ := filepath.Glob(filepath.Join(l.data(), "uploads", "*", "*")); len(found) != 1 || found[0] != dir {
		t.Errorf("it keeps %q", found)
	}
	there := func(want bool, why string) {
		t.Helper()
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s: %v", why, err)
		}
	}
	sweep := func(before time.Time) {
		t.Helper()
		if err := n.uploads.sweepOnce(t.Context(), before); err != nil {
			t.Fatal(err)
		}
	}
	sweep(time.Now().Add(-time.Hour))
	there(true, "it has just come")
	sweep(time.Now().Add(time.Hour))
	there(false, "nobody needs it")

	// It counts against what the workspace may keep; what is there already comes again.
	for _, step := range []struct {
		limit int64
		code  string
	}{{0, mgx.CodeQuotaReached}, {100, mgx.CodeQuotaReached}, {1 << 30, ""}, {1, ""}} {
		if err := n.store.SetQuotas(t.Context(), mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: "owner"}, map[mgx.Quota]*int64{mgx.QuotaStoredBytes: &step.limit}); err != nil {
			t.Fatal(err)
		}
		if _, err := keepFor(mgx.DefaultWorkspace, digest); step.code == "" && err != nil || step.code != "" && !mgx.IsCode(err, step.code) {
			t.Errorf("with a quota of %d bytes: %v", step.limit, err)
		}
	}
	all, err := n.store.Quotas(t.Context(), mgx.DefaultWorkspace)
	size, _ := n.uploads.size(mgx.DefaultWorkspace)
	if err != nil || size < 1000 || !slices.ContainsFunc(all, func(u mgx.QuotaUse) bool { return u.Quota == mgx.QuotaStoredBytes && u.Used == size }) {
		t.Errorf("%d bytes are kept, and counted is %+v, %v", size, all, err)
	}

	for i := range uploadsADay {
		if err := os.Mkdir(filepath.Join(l.data(), "uploads", "ws_a", strings.Repeat("f", i+1)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := keep(digest); !mgx.IsCode(err, "too_many_uploads") {
		t.Errorf("more than are wanted in a day: %v", err)
	}
	leave, err := n.uploads.mine.Enter(limit.Share{Owner: "ws_a", Most: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keep(digest); !mgx.IsCode(err, limit.CodeTooManyAtOnce) {
		t.Errorf("a second of one workspace: %v", err)
	}
	leave()
	for range uploadsAt {
		n.uploads.seats <- struct{}{}
	}
	if _, err := keep(digest); !mgx.IsCode(err, uploadBusy) {
		t.Errorf("a third at once: %v", err)
	}
}
