package git

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"mgx"
)

// locate finds the parts of the repository.
func locate(ctx context.Context, dir string) (*Source, error) {
	ask, err := newFinder(ctx, dir)
	if err != nil {
		return nil, err
	}
	src := &Source{}
	var told []byte
	if err := both(
		func() error { return ask.whole(src) },
		func() (err error) { told, err = ask.settings(); return err },
	); err != nil {
		return nil, err
	}
	if _, err := ask.heed(src, told); err != nil {
		return nil, err
	}
	return src, src.readFiles()
}

// locatePlain finds the parts of one that is as most are, without asking git where it
// is; nil: git has to be asked.
func locatePlain(ctx context.Context, dir string) *Source {
	ask, err := newFinder(ctx, dir)
	src := &Source{}
	if err != nil || !ask.plain(src) {
		return nil
	}
	told, err := ask.settings()
	if err != nil {
		return nil
	}
	if odd, err := ask.heed(src, told); odd || err != nil || src.readFiles() != nil {
		return nil
	}
	return src
}

func newFinder(ctx context.Context, dir string) (f finder, err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return f, mgx.Errorf(mgx.KindUsage, "not_a_directory", "%s cannot be found: %w", dir, err)
	}
	return finder{ctx, abs}, checkDirectory(abs)
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
	return hostCommand{dir: f.dir, env: env, doing: "read its configuration", args: args}.run(f.ctx)
}

// kinds and paths are what is asked of a repository first.
var (
	kinds = []string{"--is-bare-repository", "--is-inside-work-tree", "--show-object-format"}
	paths = []string{"--show-toplevel", "--absolute-git-dir", "--git-common-dir"}
)

// plain finds a repository without git, where git would find no other: dir is the top
// of the files, its .git a directory of its own, and both belong to this user, whom git
// trusts. It may turn out not to be one, or one with settings that make it odd.
func (f finder) plain(src *Source) bool {
	top, err := filepath.EvalSymlinks(f.dir)
	at := filepath.Join(top, ".git")
	if err != nil || !ownDirectory(top) || !ownDirectory(at) || exists(filepath.Join(at, "commondir")) {
		return false
	}
	src.Path, src.GitDir, src.CommonDir, src.ObjectFormat = top, at, at, "sha1"
	return true
}

func ownDirectory(name string) bool {
	info, err := os.Lstat(name)
	if err != nil || !info.IsDir() {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

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
		`^(core\.(autocrlf|eol|filemode|symlinks|ignorecase|excludesfile|bare|worktree)|filter\..*\.(clean|smudge|process|required)|remote\..*\.promisor|extensions\..*)$`)
	if err != nil && exitCode(err) != 1 { // 1: there is none
		return nil, f.explain(err)
	}
	return out, nil
}

// heed takes over what settings told. Odd are those by which a repository may lie
// elsewhere, or be of another kind, than most.
func (f finder) heed(src *Source, told []byte) (odd bool, err error) {
	ignored, by := "", ""
	for rest := strings.Split(string(told), "\x00"); len(rest) > 1; rest = rest[2:] {
		scope := rest[0]
		key, value, valued := strings.Cut(rest[1], "\n")
		switch {
		case key == "core.excludesfile":
			if scope == "system" || scope == "global" { // the repository's own could name any file of the machine
				ignored, by = value, scope
			}
		case strings.HasPrefix(key, "remote."):
			src.partial = true
		case strings.HasPrefix(key, "extensions."):
			odd = true
			src.partial = src.partial || key == "extensions.partialclone"
		case key == "core.worktree", key == "core.bare":
			odd = odd || value != "false"
		case strings.HasPrefix(key, "filter."):
			src.filters = append(src.filters, key, off(key))
		case strings.HasPrefix(key, "core."):
			if !valued {
				value = "true"
			}
			src.convert = append(src.convert, key, value)
		}
	}
	return odd, f.ignores(src, ignored, by)
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
