package sandbox

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// clonesOf finds the git directories in which cargo, uv and managers of versions keep
// what they fetched. What was fetched from a private repository can have left the
// password there.
func clonesOf(f *finder) (dirs []string) {
	at := func(variable, below string) []string {
		roots := []string{f.dir(variable, "")}
		for _, home := range f.homes {
			roots = append(roots, filepath.Join(home, below))
		}
		return roots
	}
	add := func(roots []string, patterns ...string) {
		for _, root := range roots {
			if root == "" {
				continue
			}
			for _, p := range patterns {
				found, _ := filepath.Glob(filepath.Join(root, p))
				for _, dir := range found {
					if real, err := filepath.EvalSymlinks(dir); err == nil {
						dirs = append(dirs, real)
					}
				}
			}
		}
	}
	add(at("CARGO_HOME", ".cargo"), "git/db/*", "git/checkouts/*/*/.git", "registry/index/*/.git")
	for _, m := range managers {
		add(at(m.variable, m.dir), ".git", "plugins/*/.git")
	}
	add(append(at("UV_CACHE_DIR", ".cache/uv"), f.cacheDir("uv")), "git-v*/db/*", "git-v*/checkouts/*/*/.git")
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// maskClones hides the files that can hold a password in clones of a tree that is shown
// at guest. Builds read the repositories themselves; a configuration with nothing in it
// but what git writes into each is shown, for git opens none whose configuration it
// cannot read.
func (f *finder) maskClones(host, guest string) {
	root, err := filepath.EvalSymlinks(host)
	if err != nil {
		return
	}
	for _, dir := range f.clones {
		if !within(dir, root) {
			continue
		}
		_ = filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
			switch {
			case err != nil: // nor can a command look there
			case e.IsDir() && (e.Name() == "objects" || e.Name() == "refs"):
				return fs.SkipDir
			case e.Type().IsRegular() && (e.Name() == "config" || e.Name() == "FETCH_HEAD") && !withoutPassword(name):
				f.mounts = append(f.mounts, Mount{Host: os.DevNull, Guest: guest + strings.TrimPrefix(name, root), Mode: ReadOnly})
			}
			return nil
		})
	}
}

// gitWrites is a line in the configuration of a clone as git writes it, of a path or of
// an address without a user.
var gitWrites = regexp.MustCompile(`^(\[(core|extensions|(remote|branch|submodule) "[^"@?]*")\]|` +
	`(repositoryformatversion|objectformat|filemode|bare|logallrefupdates|autocrlf|ignorecase|precomposeunicode|symlinks|worktree|url|fetch|tagopt|remote|merge|active) = [^@?]*|url = (file://)?/[^?]*)?$`)

// withoutPassword reports whether a file of a clone holds none for certain.
func withoutPassword(name string) bool {
	text, err := os.ReadFile(name)
	if err != nil {
		return false
	}
	if filepath.Base(name) == "FETCH_HEAD" {
		return !strings.ContainsAny(string(text), "@?")
	}
	for line := range strings.Lines(string(text)) {
		if !gitWrites.MatchString(strings.TrimSpace(line)) {
			return false
		}
	}
	return true
}
