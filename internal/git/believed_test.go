package git_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mgx"
	"mgx/internal/git"
)

// secrets is a directory of the machine that is nobody's repository.
func secrets(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "key"), "open sesame\n")
	return dir
}

// A git directory that somebody else made names files of the machine, in each way that
// git has for it. None is shown to agents.
func TestNoFileOfTheMachineIsShownForWhatAGitDirectorySays(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]func(r repo, key string){
		"core.excludesFile": func(r repo, key string) { r.git("config", "core.excludesFile", key) },
		"an included core.excludesFile": func(r repo, key string) {
			r.write(".git/more", "[core]\n\texcludesFile = "+key+"\n")
			r.git("config", "include.path", "more")
		},
		"a link at info/exclude": func(r repo, key string) { link(t, key, filepath.Join(r.dir, ".git/info/exclude")) },
		"a link at info": func(r repo, key string) {
			must(t, os.Rename(key, filepath.Join(filepath.Dir(key), "exclude")))
			must(t, os.RemoveAll(filepath.Join(r.dir, ".git/info")))
			link(t, filepath.Dir(key), filepath.Join(r.dir, ".git/info"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			plant(r, filepath.Join(secrets(t), "key"))
			run := prepared(t, r.dir)
			if out := run.sh("cat .git/info/exclude; grep -r sesame /workspace /borrow || true"); strings.Contains(out, "sesame") {
				t.Errorf("an agent sees %q", out)
			}
		})
	}
}

// What cannot be left out is refused.
func TestAGitDirectoryThatLeadsElsewhereIsRefused(t *testing.T) {
	t.Parallel()
	objects := func(r repo) string { return filepath.Join(r.dir, ".git/objects") }
	for name, tc := range map[string]struct {
		code  string
		plant func(r repo, secrets string) (at string)
	}{
		"a link at shallow": {"unreadable_repository", func(r repo, secrets string) string {
			link(t, filepath.Join(secrets, "key"), filepath.Join(r.dir, ".git/shallow"))
			return r.dir
		}},
		"borrowed directories of other things": {"unreadable_repository", func(r repo, secrets string) string {
			r.write(".git/objects/info/alternates", secrets+"\n")
			return r.dir
		}},
		"by a way up": {"unreadable_repository", func(r repo, secrets string) string {
			rel, err := filepath.Rel(objects(r), secrets)
			must(t, err)
			r.write(".git/objects/info/alternates", rel+"\n")
			return r.dir
		}},
		"by a store in between": {"unreadable_repository", func(r repo, secrets string) string {
			other := newRepo(t)
			other.write(".git/objects/info/alternates", secrets+"\n")
			r.write(".git/objects/info/alternates", objects(other)+"\n")
			return r.dir
		}},
		"a link at alternates": {"unreadable_repository", func(r repo, secrets string) string {
			link(t, filepath.Join(secrets, "key"), filepath.Join(objects(r), "info/alternates"))
			return r.dir
		}},
		"its own objects among other things": {"unreadable_repository", func(r repo, secrets string) string {
			must(t, os.CopyFS(secrets, os.DirFS(objects(r))))
			must(t, os.RemoveAll(objects(r)))
			link(t, secrets, objects(r))
			return r.dir
		}},
		"attributes without an end": {"unreadable_repository", func(r repo, _ string) string {
			link(t, "/dev/zero", filepath.Join(r.dir, ".git/info/attributes"))
			return r.dir
		}},
		"core.worktree": {"unsafe_repository", func(r repo, secrets string) string {
			must(t, os.Rename(r.dir, filepath.Join(secrets, "inner")))
			inner := repo{t, filepath.Join(secrets, "inner")}
			inner.git("config", "core.worktree", secrets)
			return inner.dir
		}},
		"a directory that looks like a bare repository": {"unsafe_repository", func(r repo, _ string) string {
			inner := newRepo(t)
			must(t, os.CopyFS(filepath.Join(r.dir, "dir"), os.DirFS(filepath.Join(inner.dir, ".git"))))
			repo{t, r.dir}.git("config", "-f", "dir/config", "core.worktree", ".")
			r.commit("as a clone has it")
			return filepath.Join(r.dir, "dir")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			first := inspect(t, r.dir)
			first.Path = tc.plant(r, secrets(t))
			_, err := git.Inspect(t.Context(), first.Path)
			wantCode(t, err, mgx.KindUsage, tc.code)
			_, err = git.Reopen(t.Context(), first.RepoInfo) // a run that waited meanwhile
			wantCode(t, err, mgx.KindUsage, tc.code)
		})
	}
}

// A git directory that somebody else made names a file without an end for attributes,
// which git would read until the machine has no memory left; or a pipe that nobody
// writes to, for which it would wait.
func TestFilesWithoutAnEndAreNotRead(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"core.attributesFile", "core.excludesFile"} {
		r := newRepo(t)
		pipe := filepath.Join(t.TempDir(), "pipe")
		must(t, syscall.Mkfifo(pipe, 0o600))
		r.git("config", key, pipe)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := git.Inspect(ctx, r.dir); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// Nor is what stands beside the index copied, when it is a link or a pipe.
func TestOnlyFilesAreTakenForASnapshot(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]func(at string) error{
		"link": func(at string) error { return os.Symlink(filepath.Join(secrets(t), "key"), at) },
		"pipe": func(at string) error { return syscall.Mkfifo(at, 0o600) },
	} {
		r := newRepo(t)
		must(t, plant(filepath.Join(r.dir, ".git/sharedindex.0")))
		run := newRun(t, r.dir)
		_, err := run.Snapshot(t.Context())
		if err == nil {
			t.Errorf("%s: it was copied", name)
			continue
		}
		wantCode(t, err, mgx.KindUsage, "unreadable_repository")
	}
}

// What the user ignores everywhere is the user's own word, by a link of theirs too.
func TestWhatTheUserIgnoresEverywhereIsIgnored(t *testing.T) {
	home := t.TempDir()
	write(t, filepath.Join(home, "dotfiles/ignore"), "mine\n")
	link(t, filepath.Join(home, "dotfiles/ignore"), filepath.Join(home, "linked"))
	write(t, filepath.Join(home, "gitconfig"), "[core]\n\texcludesFile = ~/linked\n")
	t.Setenv("HOME", home)
	t.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(home, "gitconfig"))
	r := newRepo(t)
	r.git("config", "core.excludesFile", "/nowhere")
	if out := prepared(t, r.dir).sh("touch mine yours; git status --short"); out != "?? yours" {
		t.Errorf("the status is %q", out)
	}
}

func link(t *testing.T, to, at string) {
	t.Helper()
	must(t, os.RemoveAll(at))
	must(t, os.Symlink(to, at))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
