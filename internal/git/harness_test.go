package git_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/git"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/native"
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(lifeName); spec != "" {
		if err := live(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	home, err := os.MkdirTemp("", "mgx-git-test-")
	if err != nil {
		panic(err)
	}
	for _, kv := range os.Environ() { // a developer's own git settings
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "GIT_") {
			os.Unsetenv(name)
		}
	}
	os.Setenv("HOME", home)
	os.Setenv("XDG_CONFIG_HOME", filepath.Join(home, ".config"))
	os.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	code := m.Run()
	os.RemoveAll(home)
	os.Exit(code)
}

// repo is a user's repository, driven by plain git.
type repo struct {
	t   testing.TB
	dir string
}

func newRepo(t testing.TB, initArgs ...string) repo {
	t.Helper()
	r := repo{t, t.TempDir()}
	r.git(append([]string{"init", "-q", "-b", "main"}, initArgs...)...)
	r.write("README.md", "hello\n")
	r.write("dir/a.go", "package a\n")
	r.write("run.sh", "#!/bin/sh\n")
	if err := os.Chmod(filepath.Join(r.dir, "run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("dir/a.go", filepath.Join(r.dir, "link")); err != nil {
		t.Fatal(err)
	}
	r.write(".gitignore", "ignored/\n*.log\n")
	r.commit("first")
	return r
}

func (r repo) git(args ...string) string {
	r.t.Helper()
	out, err := r.try(args...)
	if err != nil {
		r.t.Fatalf("git %q in %s: %v\n%s", args, r.dir, err, out)
	}
	return strings.TrimSuffix(out, "\n")
}

func (r repo) try(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=U", "GIT_AUTHOR_EMAIL=u@example.org", "GIT_COMMITTER_NAME=U", "GIT_COMMITTER_EMAIL=u@example.org",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=protocol.file.allow", "GIT_CONFIG_VALUE_0=always")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, said.String())
	}
	return string(out), err
}

func (r repo) write(name, text string) {
	r.t.Helper()
	write(r.t, filepath.Join(r.dir, name), text)
}

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (r repo) commit(message string) string {
	r.t.Helper()
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", message)
	return r.git("rev-parse", "HEAD")
}

// run is a run's clone with its box.
type run struct {
	t   testing.TB
	dir string
	src *git.Source
	box sandbox.Box
	*git.Clone
}

func inspect(t testing.TB, dir string) *git.Source {
	t.Helper()
	src, err := git.Inspect(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// newRun lays out a run on the repository at dir, unprepared.
func newRun(t testing.TB, dir string) *run {
	t.Helper()
	return openRun(t, inspect(t, dir), t.TempDir())
}

func openRun(t testing.TB, src *git.Source, runDir string) *run {
	t.Helper()
	if err := git.Layout(runDir); err != nil {
		t.Fatal(err)
	}
	box, err := native.New().Open(t.Context(), sandbox.Spec{
		ID: "test", Work: filepath.Join(runDir, "work"), State: filepath.Join(runDir, "state"), Mounts: git.Mounts(runDir, src),
	})
	if err != nil {
		t.Skipf("this machine has no sandbox to test in: %v", err)
	}
	t.Cleanup(func() { box.Close() })
	return &run{t, runDir, src, box, git.New(box, runDir, src)}
}

// prepared lays out a run and prepares it.
func prepared(t testing.TB, dir string) *run {
	t.Helper()
	r := newRun(t, dir)
	if err := r.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// sh runs a command as an agent would.
func (r *run) sh(script string) string {
	r.t.Helper()
	out, code := r.trySh(script)
	if code != 0 {
		r.t.Fatalf("%s: exit code %d\n%s", script, code, out)
	}
	return strings.TrimSuffix(out, "\n")
}

func (r *run) trySh(script string) (string, int) {
	r.t.Helper()
	var out bytes.Buffer
	res, err := r.box.Run(r.t.Context(), sandbox.Command{Args: []string{"sh", "-c", script}, Stdout: &out, Stderr: &out, Timeout: time.Minute})
	if err != nil {
		r.t.Fatal(err)
	}
	return out.String(), res.ExitCode
}

func (r *run) work(name string) string { return filepath.Join(r.dir, "work", name) }

func (r *run) checkpoint() string {
	r.t.Helper()
	tree, err := r.Checkpoint(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return tree
}

func (r *run) restore(tree string) {
	r.t.Helper()
	if err := r.Restore(r.t.Context(), tree); err != nil {
		r.t.Fatal(err)
	}
}

var noon = time.Date(2024, 1, 2, 12, 0, 0, 0, time.UTC)

func (r *run) commit(parent, message string) string {
	r.t.Helper()
	commit, err := r.Commit(r.t.Context(), git.CommitRequest{
		Tree: r.checkpoint(), Parent: parent, Message: message, AuthorName: "MGX", AuthorEmail: "mgx@localhost", When: noon,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return commit
}

func (r *run) deliver(commit, branch string) (string, error) {
	r.t.Helper()
	bundle, err := r.Bundle(r.t.Context(), r.src.Head, commit)
	if err != nil {
		r.t.Fatal(err)
	}
	return git.Deliver(r.t.Context(), r.src, bundle, commit, branch)
}

// changed makes and commits a change in a prepared run.
func (r *run) changed() string {
	r.t.Helper()
	write(r.t, r.work("new.txt"), "new\n")
	return r.commit(r.src.Head, "agent: add new.txt")
}

// state is everything in a directory: for each path its mode, time, and content.
type state map[string]string

func snapshotOf(t testing.TB, dir string) state {
	t.Helper()
	s := state{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, name)
		switch {
		case d.IsDir(): // its time changes with its entries, which are seen themselves
			s[rel+"/"] = info.Mode().String()
		case d.Type() == fs.ModeSymlink:
			to, err := os.Readlink(name)
			s[rel] = fmt.Sprintf("%v %s", info.Mode(), to)
			return err
		default:
			b, err := os.ReadFile(name)
			sum := sha256.Sum256(b)
			when := info.ModTime().UnixNano()
			if strings.Contains(rel, "/objects/") || strings.Contains(rel, "sharedindex.") {
				when = 0 // git touches what it finds useful, to save it from pruning
			}
			s[rel] = fmt.Sprintf("%v %d %s", info.Mode(), when, hex.EncodeToString(sum[:]))
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// files is like snapshotOf, without times: what a tree records.
func filesOf(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for name, desc := range snapshotOf(t, dir) {
		parts := strings.Fields(desc)
		if !strings.HasSuffix(name, "/") && !strings.HasPrefix(name, ".git/") && name != ".git" {
			files[name] = parts[0] + " " + parts[len(parts)-1]
		}
	}
	return files
}

func wantSame(t testing.TB, what string, got, want map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			t.Errorf("%s: %q is %q, want %q", what, name, got[name], want[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			t.Errorf("%s: %q appeared", what, name)
		}
	}
}

// untouched fails unless the repository is what it was, but for one branch, its
// reflog and objects.
func (r repo) untouched(before state, branch string) {
	r.t.Helper()
	after := snapshotOf(r.t, r.dir)
	maps.DeleteFunc(after, func(name, _ string) bool {
		if _, old := before[name]; old || branch == "" {
			return false
		}
		ref := ".git/refs/heads/" + branch
		log := ".git/logs/refs/heads/" + branch
		return name == ref || name == log || strings.HasSuffix(name, "/") && (strings.HasPrefix(ref, name) || strings.HasPrefix(log, name)) ||
			strings.HasPrefix(name, ".git/objects/")
	})
	wantSame(r.t, "the user's repository", after, before)
}

func wantCode(t testing.TB, err error, kind mgx.Kind, code string) {
	t.Helper()
	e := mgx.AsError(err)
	if e == nil || e.Code != code || e.Kind != kind {
		t.Fatalf("error is %v (%+v), want %s %s", err, e, kind, code)
	}
	if strings.ContainsAny(e.Message, "\n\x1b") {
		t.Errorf("message is not one clean line: %q", e.Message)
	}
}

func mustNotExist(t testing.TB, name string) {
	t.Helper()
	if _, err := os.Lstat(name); err == nil {
		t.Errorf("%s exists", name)
	}
}
