package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"mgx"
)

// Source is the user's repository, as far as a run must know it.
type Source struct {
	mgx.RepoInfo
	GitDir       string   // of this work tree: differs from CommonDir in a linked one
	CommonDir    string   // what all its work trees share
	Objects      []string // object directories, its own first, then all it borrows from
	ObjectFormat string   // sha1 or sha256
	Shallow      []byte   // the boundary of a shallow clone; empty otherwise
	Submodules   bool     // HEAD has a .gitmodules; they stay empty directories in a run
	LFS          bool     // HEAD's .gitattributes names LFS; its files are pointers in a run

	ignore  []byte   // what the user ignores beside .gitignore files
	convert []string // settings that say how files look in the user's work tree
	filters []string // settings that switch the user's filters off
	partial bool     // it may be a partial clone
}

const maxSide = 1 << 20 // bytes of the small files beside a repository's objects

// Inspect looks at the repository that contains dir. It changes nothing, not
// even the index's cached times, and runs nothing that the repository names.
func Inspect(ctx context.Context, dir string) (*Source, error) { return inspect(ctx, dir, &tops{}) }

// inspect asks git as little as it can. Where that does not do, all is asked, which says
// what is wrong.
func inspect(ctx context.Context, dir string, known *tops) (*Source, error) {
	if src := locatePlain(ctx, dir); src != nil && src.look(ctx, known) == nil {
		return src, nil
	}
	src, err := locate(ctx, dir)
	if err != nil {
		return nil, err
	}
	return src, src.look(ctx, known)
}

// both asks two questions at once, since people wait for a task to be created while
// each takes a process of git. It waits for both, and what the first fails with goes
// before the second.
func both(first, second func() error) error {
	done := make(chan error, 1)
	go func() { done <- second() }()
	err := first()
	if other := <-done; err == nil {
		err = other
	}
	return err
}

// Reopen finds the repository of a run that has begun: everything as it is
// today, except that the run keeps the head and branch it started from.
func Reopen(ctx context.Context, repo mgx.RepoInfo) (*Source, error) {
	src, err := locate(ctx, repo.Path)
	if err != nil {
		return nil, err
	}
	src.RepoInfo = repo
	if err := needIDs(repo.Head); err != nil {
		return nil, err
	}
	if _, err := src.git(ctx, "cat-file", "-e", repo.Head+"^{commit}"); err != nil {
		return nil, mgx.Errorf(mgx.KindUsage, "unreadable_repository", "the commit %.12s that the run started from is no longer in %s", repo.Head, repo.Path)
	}
	return src, nil
}

// readSide reads a small file below a directory; it may be absent. It may not be a
// link, which in a repository that somebody else made leads to any file of the machine.
func readSide(dir, name string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, err := root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is a link or no regular file", filepath.Join(dir, name))
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would have its reader wait
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if now, err := f.Stat(); err != nil || !os.SameFile(info, now) {
		return nil, fmt.Errorf("%s changed while it was read", filepath.Join(dir, name))
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSide+1))
	if err == nil && len(text) > maxSide {
		return nil, fmt.Errorf("%s is larger than %d bytes", filepath.Join(dir, name), maxSide)
	}
	return text, err
}

// readFiles reads what git has no question for.
func (s *Source) readFiles() error {
	err := readable(filepath.Join(s.CommonDir, "info/attributes"))
	if err == nil {
		s.Shallow, err = readSide(s.CommonDir, "shallow")
	}
	if err == nil {
		s.Objects, err = objectDirs(filepath.Join(s.CommonDir, "objects"))
	}
	if err != nil {
		return mgx.Errorf(mgx.KindUsage, "unreadable_repository", "the repository at %s cannot be read: %w", s.Path, err)
	}
	return nil
}

// readable refuses what git itself would read, whatever it is: a file without an end, a
// pipe that nobody writes to.
func readable(name string) error {
	if info, err := os.Stat(name); err == nil && (!info.Mode().IsRegular() || info.Size() > maxSide) {
		return fmt.Errorf("%s is no regular file of at most %d bytes", name, maxSide)
	}
	return nil
}

// git asks a question about the user's repository. It must not be one that
// writes; see [Deliver] for the only commands that do.
func (s *Source) git(ctx context.Context, args ...string) ([]byte, error) {
	return hostCommand{dir: s.Path, env: s.env(), limit: maxList, doing: "read the repository", args: args}.run(ctx)
}

// env names the repository outright, so that git neither searches nor asks
// again whom it belongs to.
func (s *Source) env() []string {
	env := base(s.filters...)
	return append(env, "GIT_DIR="+s.GitDir, "GIT_WORK_TREE="+s.Path)
}

// look learns what a run starts from.
func (s *Source) look(ctx context.Context, known *tops) error {
	if err := s.status(ctx); err != nil {
		return err
	}
	if s.Branch == "" {
		said, err := s.git(ctx, "symbolic-ref", "-q", "HEAD")
		if err != nil && exitCode(err) != 1 { // 1: detached
			return s.unreadable(err)
		}
		s.Branch = strings.TrimPrefix(strings.TrimSuffix(string(said), "\n"), "refs/heads/")
	}
	if !isID(s.Head) {
		return s.headless(ctx)
	}
	if err := s.learnTop(ctx, known); err != nil {
		return err
	}
	return s.complete(ctx)
}

// status reads HEAD, its branch, and whether anything differs from it. Files behind a
// filter that is off may count when only their time changed.
func (s *Source) status(ctx context.Context) error {
	const headers = 64 << 10 // more than the names of two branches
	out, err := hostCommand{dir: s.Path, env: s.env(), limit: headers, cut: true, args: []string{
		"status", "--porcelain=v2", "--branch", "--no-ahead-behind", "-z", "--untracked-files=normal", "--ignore-submodules=dirty", "--no-renames",
	}}.run(ctx)
	if err != nil {
		return s.unreadable(err)
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		header, isHeader := strings.CutPrefix(line, "# ")
		key, value, _ := strings.Cut(header, " ")
		switch {
		case !isHeader:
			s.Dirty = true
			return nil
		case key == "branch.oid":
			s.Head = value
		case key == "branch.head" && value != "(detached)" && value != "(unknown)": // or a branch of that name
			s.Branch = value
		}
	}
	return nil
}

// headless says why there is no HEAD.
func (s *Source) headless(ctx context.Context) error {
	_, err := s.git(ctx, "rev-parse", "--verify", "-q", "HEAD")
	switch {
	case exitCode(err) == 1 && s.Branch != "" && !exists(filepath.Join(s.CommonDir, "refs/heads", s.Branch)):
		return mgx.Errorf(mgx.KindUsage, "no_commits", "the repository at %s has no commits on %s yet; commit something first", s.Path, s.Branch)
	case err == nil:
		return mgx.Errorf(mgx.KindUsage, "unreadable_repository", "the first commit of the repository at %s was made just now; try again", s.Path)
	}
	return s.unreadable(err)
}

func (s *Source) unreadable(err error) error {
	if saidBy(err) == "" && exitCode(err) < 0 {
		return err
	}
	return mgx.Errorf(mgx.KindUsage, "unreadable_repository", "git cannot read HEAD of the repository at %s (%s); git fsck there says what is damaged", s.Path, sentence(saidBy(err)))
}

// complete refuses a partial clone that lacks objects of HEAD's files: a run has
// no network to fetch them from.
func (s *Source) complete(ctx context.Context) error {
	if !s.partial {
		return nil
	}
	out, err := s.git(ctx, "rev-list", "--objects", "--no-object-names", "--missing=print", "--max-count=1", s.Head)
	if err != nil {
		return s.unreadable(err)
	}
	if found := bytes.Contains(out, []byte{'?'}); found {
		return mgx.Errorf(mgx.KindUsage, "partial_clone",
			"%s is a partial clone that lacks some files of HEAD, and a run has no network to fetch them; run git -C %s fetch --refetch --no-filter once, then try again", s.Path, s.Path)
	}
	return nil
}
