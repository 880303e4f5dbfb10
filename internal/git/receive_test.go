package git_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/git"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/native"
)

// received receives a bundle in a box, beside where it is to be.
func received(t *testing.T, bundle string) (dir, head string, err error) {
	t.Helper()
	tmp := t.TempDir()
	work := filepath.Join(tmp, "work")
	if err := os.Mkdir(work, 0o700); err != nil {
		t.Fatal(err)
	}
	box, err := native.New().Open(t.Context(), sandbox.Spec{ID: "receive", Work: work, State: filepath.Join(tmp, "state")})
	if err != nil {
		t.Skipf("this machine has no sandbox to test in: %v", err)
	}
	defer box.Close()
	dir = filepath.Join(tmp, "repo")
	head, err = git.Receive(t.Context(), box, work, bundle, dir)
	return dir, head, err
}

// packed is the bundle of a repository's head.
func packed(t *testing.T, r repo) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "bundle")
	before := snapshotOf(t, r.dir)
	if err := inspect(t, r.dir).Pack(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	r.untouched(before, "")
	return name
}

// What was packed is received with its history, in both formats of objects; a run
// works on it, and its result comes back to where it was packed.
func TestPackAndReceive(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t, "--object-format="+format)
			r.write("second.txt", "2\n")
			tip := r.commit("second")
			dir, head, err := received(t, packed(t, r))
			if err != nil || head != tip {
				t.Fatalf("%s %v, want %s", head, err, tip)
			}
			there := repo{t, dir}
			if got, want := there.git("log", "--format=%H %s", "main"), r.git("log", "--format=%H %s"); got != want {
				t.Errorf("its history is %q, want %q", got, want)
			}
			there.git("fsck", "--strict")
			run := prepared(t, dir)
			commit := run.changed()
			bundle, err := run.Bundle(t.Context(), run.src.Head, commit)
			if err != nil {
				t.Fatal(err)
			}
			branch, err := git.Deliver(t.Context(), inspect(t, r.dir), bundle, commit, "mgx/back/run-1")
			if err != nil || r.git("rev-parse", branch) != commit {
				t.Errorf("%s %v", branch, err)
			}
		})
	}
}

// Nothing that is not a whole, sound repository is received, and of what is not there
// is no part where one would be.
func TestReceiveRefuses(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	good := packed(t, r)
	whole := mustRead(t, good)
	header, _, _ := bytes.Cut(whole, []byte("\n\n"))
	tip := r.git("rev-parse", "HEAD")
	flipped := bytes.Clone(whole)
	flipped[len(header)+30] ^= 1
	text := func(s []byte) string {
		name := filepath.Join(t.TempDir(), "bundle")
		write(t, name, string(s))
		return name
	}
	forged := func(entry string) string {
		evil := repo{t, filepath.Join(t.TempDir(), "evil")}
		r.git("clone", "-q", r.dir, evil.dir)
		blob := evil.git("rev-parse", "HEAD:README.md")
		raw, err := hex.DecodeString(blob)
		if err != nil {
			t.Fatal(err)
		}
		tree := evil.object("tree", append([]byte(entry+"\x00"), raw...))
		return evil.forged(evil.git("commit-tree", "-m", "evil", tree), tree, blob)
	}
	blob := r.git("rev-parse", "HEAD:README.md")
	bundles := map[string]string{
		"no bundle":       text([]byte("hello\n\n")),
		"empty":           text(nil),
		"endless":         text(append([]byte("# v2 git bundle\n"), bytes.Repeat([]byte("-x\n"), 100_000)...)),
		"header only":     text(append(bytes.Clone(header), "\n\n"...)),
		"truncated":       text(whole[:len(whole)-30]),
		"flipped bit":     text(flipped),
		"two branches":    text(bytes.Replace(whole, []byte("\n\n"), []byte("\n"+tip+" refs/heads/main\n\n"), 1)),
		"not what it has": text(bytes.Replace(whole, []byte(tip), []byte(strings.Repeat("7", 40)), 1)),
		"builds on more":  text(bytes.Replace(whole, []byte("# v2 git bundle\n"), []byte("# v2 git bundle\n-"+tip+" x\n"), 1)),
		"filter":          text(bytes.Replace(whole, []byte("# v2 git bundle\n"), []byte("# v3 git bundle\n@filter=blob:none\n"), 1)),
		"another format":  text(bytes.Replace(whole, []byte("# v2 git bundle\n"), []byte("# v3 git bundle\n@object-format=md5\n"), 1)),
		"wrong format":    text(bytes.Replace(whole, []byte("# v2 git bundle\n"), []byte("# v3 git bundle\n@object-format=sha256\n"), 1)),
		"no commit":       r.forged(blob),
		"a missing tree":  r.forged(tip),
	}
	for _, entry := range []string{"100644 .git", "100644 ..", "100644 .GIT", "100644 git~1", "100644 a/b", "120000 .gitmodules"} {
		bundles["the file "+entry] = forged(entry)
	}
	for name, bundle := range bundles {
		t.Run(name, func(t *testing.T) {
			dir, _, err := received(t, bundle)
			wantCode(t, err, mgx.KindUsage, "bad_upload")
			mustNotExist(t, filepath.Join(dir, ".git", "refs", "heads", "main"))
		})
	}
}
