package git

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"mgx"
	"mgx/internal/sandbox"
)

// OwnMounts are the mounts of a box whose workspace is a directory of the user's,
// written in place: its own .git is shown as that of a run is, read-only, since what
// stands there the user's git will run. One that cannot be kept so is refused.
func OwnMounts(work string) ([]sandbox.Mount, error) {
	at := filepath.Join(work, ".git")
	info, err := os.Lstat(at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, mgx.Errorf(mgx.KindUsage, "unreadable_repository", "%s cannot be looked at: %w", at, err)
	case !info.IsDir() && !info.Mode().IsRegular():
		return nil, unsafeOwn("%s is a link, which a command could lead to a repository of its own", at)
	case info.Mode().IsRegular():
		if err := keptApart(named(work), work); err != nil {
			return nil, err
		}
	}
	return []sandbox.Mount{{Host: at, Guest: guestGit, Mode: sandbox.ReadOnly}}, nil
}

// keptApart refuses a git directory that a file .git names, and that commands could
// write or make.
func keptApart(gitDir, work string) error {
	real, err := filepath.EvalSymlinks(gitDir)
	if err != nil {
		return unsafeOwn("%s names %s as its repository, where none can be found", filepath.Join(work, ".git"), gitDir)
	}
	if work, err = filepath.EvalSymlinks(work); err == nil {
		if rel, err := filepath.Rel(work, real); err == nil && !filepath.IsLocal(rel) {
			return nil
		}
	}
	return unsafeOwn("the repository of %s is %s, among the files that a command may write", work, gitDir)
}

func unsafeOwn(format string, args ...any) error {
	return mgx.Errorf(mgx.KindUsage, "unsafe_repository", format+"; use a clone with git clone, or a worktree with git worktree add", args...)
}

const maxLooked = 500_000 // files and directories

// MadeIn names the git directories below a directory that commands made, or whose
// configuration, hooks or attributes they changed, since a time: the user's git, once it
// is started there, runs what these name. Of a .git that boxes show read-only none is
// named. Whole is false when there were too many files to look at.
func MadeIn(work string, since time.Time, own []sandbox.Mount) (names []string, whole bool) {
	left := maxLooked
	_ = filepath.WalkDir(work, func(name string, d fs.DirEntry, err error) error {
		if left--; left < 0 {
			return fs.SkipAll
		}
		if err != nil {
			return nil // the user's git does not come there either
		}
		at := name
		switch {
		case dotGit(d.Name()):
		case looksBare(name):
			at = filepath.Dir(name)
		default:
			return nil
		}
		if rel, err := filepath.Rel(work, at); err == nil && !(rel == ".git" && len(own) > 0) && changedSince(at, since) {
			names = append(names, rel)
		}
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
	return names, left >= 0
}

// looksBare reports whether a file is the HEAD by which git takes a directory for a
// repository without files, whatever it is called.
func looksBare(name string) bool {
	dir, file := filepath.Split(name)
	return file == "HEAD" && exists(dir+"objects") && exists(dir+"refs")
}

// changedSince goes by the time of change, which no command can set.
func changedSince(gitDir string, since time.Time) bool {
	look := []string{gitDir}
	for _, at := range []string{"config", "config.worktree", "hooks", "hooks/*", "info", "info/attributes", "commondir"} {
		found, _ := filepath.Glob(globQuote(gitDir) + "/" + at)
		look = append(look, found...)
	}
	for _, name := range look {
		var info unix.Stat_t
		if unix.Lstat(name, &info) == nil && !time.Unix(info.Ctim.Unix()).Before(since) {
			return true
		}
	}
	return false
}
