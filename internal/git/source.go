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
	"slices"
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
func Inspect(ctx context.Context, dir string) (*Source, error) {
	src, err := locate(ctx, dir)
	if err != nil {
		return nil, err
	}
	var dirty bool
	if err := both(
		func() error { return src.readHead(ctx) },
		func() (err error) { dirty, err = src.dirty(ctx); return err },
	); err != nil {
		return nil, err
	}
	src.Dirty = dirty
	return src, src.complete(ctx)
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

// locate finds the parts of the repository.
func locate(ctx context.Context, dir string) (*Source, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, mgx.Errorf(mgx.KindUsage, "not_a_directory", "%s cannot be found: %w", dir, err)
	}
	if err := checkDirectory(abs); err != nil {
		return nil, err
	}
	ask := finder{ctx, abs}
	src := &Source{}
	var told []byte
	if err := both(
		func() error { return ask.whole(src) },
		func() (err error) { told, err = ask.settings(); return err },
	); err != nil {
		return nil, err
	}
	if err := ask.heed(src, told); err != nil {
		return nil, err
	}
	return src, src.readFiles()
}

func checkDirectory(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return mgx.Errorf(mgx.KindUsage, "unreadable_repository", "%s may not be read by this user", dir)
	case err != nil:
		return mgx.Errorf(mgx.KindUsage, "not_a_directory", "%s does not exist; give the directory of a git repository", dir)
	case !info.IsDir():
		return mgx.Errorf(mgx.KindUsage, "not_a_directory", "%s is a file; give the directory of a git repository", dir)
	}
	return nil
}

// finder asks git where a repository is. It alone reads the user's own
// configuration, which says which repositories of other people to trust and what
// to ignore; none of its questions runs anything that configuration names.
type finder struct {
	ctx context.Context
	dir string
}

func (f finder) git(args ...string) ([]byte, error) {
	env := []string{"LC_ALL=C", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "GIT_PAGER=cat"}
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "SUDO_UID", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return hostCommand{dir: f.dir, env: env, args: args}.run(f.ctx)
}

// kinds and paths are what is asked of a repository first.
var (
	kinds = []string{"--is-bare-repository", "--is-inside-work-tree", "--show-object-format"}
	paths = []string{"--show-toplevel", "--absolute-git-dir", "--git-common-dir"}
)

// whole finds a repository whose git directory is that of its files.
func (f finder) whole(src *Source) error {
	if err := f.places(src); err != nil {
		return err
	}
	return src.belongs()
}

// places learns what kind of repository it is and where: by one question, or, where
// that fails or a path has line ends, by several, which say what is wrong.
func (f finder) places(src *Source) error {
	out, err := f.git(slices.Concat([]string{"rev-parse", "--path-format=absolute"}, kinds, paths)...)
	said := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	into := []*string{&src.Path, &src.GitDir, &src.CommonDir}
	if err == nil && len(said) == len(kinds)+len(paths) {
		for i, path := range said[len(kinds):] {
			*into[i] = path
		}
		return f.judge(src, said[:len(kinds)])
	}
	if out, err = f.git(append([]string{"rev-parse"}, kinds...)...); err != nil {
		return f.explain(err)
	}
	if err := f.judge(src, strings.Fields(string(out))); err != nil {
		return err
	}
	for i, flag := range paths {
		if out, err = f.git("rev-parse", "--path-format=absolute", flag); err != nil {
			return f.explain(err)
		}
		*into[i] = strings.TrimSuffix(string(out), "\n")
	}
	return nil
}

// judge refuses what is not a repository with files, and learns its format.
func (f finder) judge(src *Source, said []string) error {
	switch {
	case len(said) != len(kinds):
		return mgx.Errorf(mgx.KindConfig, "git_too_old", "this git is too old; install git 2.32 or later")
	case said[0] == "true":
		return mgx.Errorf(mgx.KindUsage, "bare_repository", "%s is a bare repository, which has no files to work on; give a clone of it", f.dir)
	case said[1] == "false":
		return mgx.Errorf(mgx.KindUsage, "not_a_repository", "%s is inside a git directory; give the directory with the files", f.dir)
	}
	src.ObjectFormat = said[2]
	return nil
}

func (f finder) explain(err error) error {
	said := saidBy(err)
	switch {
	case said == "":
		return err
	case strings.Contains(said, "dubious ownership") || strings.Contains(said, "unsafe repository"):
		return mgx.Errorf(mgx.KindUsage, "unsafe_repository",
			"%s belongs to another user, and git refuses it; if you trust what is in it, run: git config --global --add safe.directory %s", f.dir, owned(said, f.dir))
	case strings.Contains(said, "not a git repository") && !f.traces():
		return mgx.Errorf(mgx.KindUsage, "not_a_repository", "%s is not in a git repository; run git init and commit what is there, or give another directory", f.dir)
	}
	return mgx.Errorf(mgx.KindUsage, "unreadable_repository", "git cannot read the repository at %s: %s", f.dir, sentence(said))
}

// owned is the directory that git's advice names.
func owned(said, dir string) string {
	const advice = "--add safe.directory "
	if _, after, ok := strings.Cut(said, advice); ok {
		line, _, _ := strings.Cut(after, "\n")
		return sentence(line)
	}
	return dir
}

// traces reports whether dir or a directory above has a .git: then there is a
// repository, and it is broken.
func (f finder) traces() bool {
	for dir := f.dir; ; dir = filepath.Dir(dir) {
		if exists(filepath.Join(dir, ".git")) {
			return true
		}
		if dir == filepath.Dir(dir) {
			return false
		}
	}
}

// settings asks for what of the user's configuration matters to a run.
func (f finder) settings() ([]byte, error) {
	out, err := f.git("config", "-z", "--show-scope", "--get-regexp",
		`^(core\.(autocrlf|eol|filemode|symlinks|ignorecase|excludesfile)|filter\..*\.(clean|smudge|process|required)|remote\..*\.promisor|extensions\.partialclone)$`)
	if err != nil && exitCode(err) != 1 { // 1: there is none
		return nil, f.explain(err)
	}
	return out, nil
}

// heed takes over what settings told.
func (f finder) heed(src *Source, told []byte) error {
	ignored, by := "", ""
	for rest := strings.Split(string(told), "\x00"); len(rest) > 1; rest = rest[2:] {
		scope := rest[0]
		key, value, valued := strings.Cut(rest[1], "\n")
		switch {
		case key == "core.excludesfile":
			if scope == "system" || scope == "global" { // the repository's own could name any file of the machine
				ignored, by = value, scope
			}
		case strings.HasPrefix(key, "remote."), key == "extensions.partialclone":
			src.partial = true
		case strings.HasPrefix(key, "filter."):
			src.filters = append(src.filters, key, off(key))
		case strings.HasPrefix(key, "core."):
			if !valued {
				value = "true"
			}
			src.convert = append(src.convert, key, value)
		}
	}
	return f.ignores(src, ignored, by)
}

// off is the value that switches a filter setting off.
func off(key string) string {
	if strings.HasSuffix(key, ".required") {
		return "false"
	}
	return ""
}

// ignores gathers what the user ignores outside of the repository's files. A run
// ignores the same. What comes later wins, so the repository's own comes last.
// Global is core.excludesFile, of a scope; where that begins with what git replaces,
// git is asked for what it means.
func (f finder) ignores(src *Source, global, scope string) error {
	if strings.HasPrefix(global, "~") || strings.HasPrefix(global, "%(") {
		out, err := f.git("config", "--"+scope, "--includes", "--type=path", "--get", "core.excludesFile")
		if err != nil && exitCode(err) != 1 {
			return f.explain(err)
		}
		global = strings.TrimSuffix(string(out), "\n")
	}
	if global == "" {
		global = defaultIgnore()
	}
	add := func(text []byte, err error) {
		if err == nil && len(text) > 0 {
			src.ignore = append(append(src.ignore, text...), '\n')
		}
	}
	if real, err := filepath.EvalSymlinks(global); err == nil { // links of the user's own
		add(readSide(filepath.Dir(real), filepath.Base(real)))
	}
	add(readSide(src.CommonDir, "info/exclude"))
	return nil
}

func defaultIgnore() string {
	home := os.Getenv("XDG_CONFIG_HOME")
	if home == "" {
		home = filepath.Join(os.Getenv("HOME"), ".config")
	}
	return filepath.Join(home, "git", "ignore")
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

// belongs refuses a git directory that is not the .git of the files. Git finds such
// by core.worktree, which can name any files of the machine, and in a directory of a
// repository that looks like a bare one, which any commit can hold.
func (s *Source) belongs() error {
	own, err := os.Stat(named(s.Path))
	found, foundErr := os.Stat(s.GitDir)
	if err == nil && foundErr == nil && os.SameFile(own, found) {
		return nil
	}
	return mgx.Errorf(mgx.KindUsage, "unsafe_repository", "git takes %s for the repository of the files in %s, which do not say so by a .git of theirs; use a clone with git clone", s.GitDir, s.Path)
}

// named is the git directory that the .git of a directory with files is or names.
func named(dir string) string {
	at := filepath.Join(dir, ".git")
	text, err := readSide(dir, ".git")
	to, ok := strings.CutPrefix(strings.TrimRight(string(text), "\r\n"), "gitdir: ")
	switch {
	case err != nil || !ok:
		return at
	case filepath.IsAbs(to):
		return to
	}
	return filepath.Join(dir, to)
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

// headRef is the ref that HEAD stands for; "": none. Where the file does not say it,
// since HEAD is detached or refs are kept elsewhere, git is asked.
func (s *Source) headRef(ctx context.Context) (string, error) {
	text, err := readSide(s.GitDir, "HEAD")
	line, rest, _ := strings.Cut(string(text), "\n")
	ref, symbolic := strings.CutPrefix(line, "ref: refs/heads/")
	if err == nil && symbolic && rest == "" && ref != "" && ref != ".invalid" && ref == strings.TrimSpace(ref) {
		return "refs/heads/" + ref, nil
	}
	said, err := s.git(ctx, "symbolic-ref", "-q", "HEAD")
	if err != nil && exitCode(err) != 1 { // 1: detached
		return "", s.unreadable(err)
	}
	return strings.TrimSuffix(string(said), "\n"), nil
}

func (s *Source) readHead(ctx context.Context) error {
	ref, err := s.headRef(ctx)
	if err != nil {
		return err
	}
	s.Branch = strings.TrimPrefix(ref, "refs/heads/")
	if s.glance(ctx) {
		return nil
	}
	head, err := s.git(ctx, "rev-parse", "--verify", "-q", "HEAD")
	if exitCode(err) == 1 && ref != "" && !exists(filepath.Join(s.CommonDir, ref)) {
		return mgx.Errorf(mgx.KindUsage, "no_commits", "the repository at %s has no commits on %s yet; commit something first", s.Path, s.Branch)
	}
	if err != nil {
		return s.unreadable(err)
	}
	s.Head = strings.TrimSpace(string(head))
	if _, err := s.git(ctx, "cat-file", "-e", s.Head+"^{tree}"); err != nil {
		return s.unreadable(err)
	}
	return s.readTop(ctx)
}

// glance reads HEAD and the files of its top that say what a run leaves out, by one
// question. It reports whether all was well; where it was not, or git is older than
// 2.36, the questions one by one say what is wrong.
func (s *Source) glance(ctx context.Context) bool {
	ask := "info HEAD\ninfo HEAD^{tree}\ninfo HEAD:.gitmodules\ncontents HEAD:.gitattributes\n"
	out, err := hostCommand{
		dir: s.Path, env: s.env(), stdin: strings.NewReader(ask), limit: maxList, doing: "read the repository",
		args: []string{"cat-file", "--batch-command"},
	}.run(ctx)
	if err != nil {
		return false
	}
	var lines [4]string
	for i := range lines {
		line, rest, ended := bytes.Cut(out, []byte("\n"))
		if !ended {
			return false
		}
		lines[i], out = string(line), rest
	}
	head, about, _ := strings.Cut(lines[0], " ")
	if !strings.HasPrefix(about, "commit ") || !strings.Contains(lines[1], " tree ") || needIDs(head) != nil {
		return false
	}
	s.Head = head
	s.Submodules = !strings.HasSuffix(lines[2], " missing")
	s.LFS = strings.Contains(lines[3], " blob ") && bytes.Contains(out, []byte("filter=lfs"))
	return true
}

func (s *Source) unreadable(err error) error {
	if saidBy(err) == "" && exitCode(err) < 0 {
		return err
	}
	return mgx.Errorf(mgx.KindUsage, "unreadable_repository", "git cannot read HEAD of the repository at %s (%s); git fsck there says what is damaged", s.Path, sentence(saidBy(err)))
}

// readTop looks at the files in the top directory that say what a run leaves out.
func (s *Source) readTop(ctx context.Context) error {
	_, err := s.git(ctx, "cat-file", "-e", s.Head+":.gitmodules")
	s.Submodules = err == nil
	text, err := s.git(ctx, "cat-file", "blob", s.Head+":.gitattributes")
	s.LFS = err == nil && bytes.Contains(text, []byte("filter=lfs"))
	return ctx.Err()
}

// dirty reports whether anything differs from HEAD. Files behind a filter that
// is off may count when only their time changed.
func (s *Source) dirty(ctx context.Context) (bool, error) {
	out, err := hostCommand{dir: s.Path, env: s.env(), limit: 1, cut: true, args: []string{
		"status", "--porcelain", "-z", "--untracked-files=normal", "--ignore-submodules=dirty", "--no-renames",
	}}.run(ctx)
	if err != nil {
		return false, s.unreadable(err)
	}
	return len(out) > 0, nil
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
