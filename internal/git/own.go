package git

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

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
