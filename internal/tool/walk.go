package tool

import (
	"cmp"
	"context"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"syscall"
)

const (
	maxWalked   = 200_000 // entries one search looks at
	maxDepth    = 64
	maxChildren = 20_000 // entries of one directory
)

// bulky are directories of things that were fetched or built. Searches skip them
// and trees do not expand them, unless they are named.
var bulky = map[string]bool{
	"node_modules": true, "bower_components": true, ".venv": true, "venv": true, "__pycache__": true,
	".tox": true, ".nox": true, ".mypy_cache": true, ".pytest_cache": true, ".ruff_cache": true,
	".gradle": true, ".next": true, ".nuxt": true, ".turbo": true, ".cache": true, ".idea": true,
	".terraform": true, ".dart_tool": true, "_build": true, "target": true, "coverage": true,
}

func skipped(dir string) bool { return inRepository(dir) || bulky[dir] }

// children are the entries of a directory by name, at most maxChildren of them,
// without those that are hidden: as p names them, or as links on the way to it do not.
func children(p place) ([]fs.DirEntry, error) {
	f, err := p.root.OpenFile(p.name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe that it became must not be waited for
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(maxChildren)
	if err == io.EOF {
		err = nil
	}
	if p.hidden != nil {
		real, err := follow(p.root, p.name)
		if err != nil {
			return nil, err
		}
		entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
			return p.hidden(p.join(e.Name()).name) || p.hidden(path.Join(real, e.Name()))
		})
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return entries, err
}

// walk calls visit with each file below p that is not in a skipped directory,
// in a stable order, without following links. Directories that cannot be read
// are passed over. It reports whether it saw everything it should have, and
// stops early when visit returns false or ctx ends.
func walk(ctx context.Context, p place, visit func(place, fs.DirEntry) bool) (whole bool) {
	left := maxWalked
	var descend func(p place, depth int) (on, all bool)
	descend = func(p place, depth int) (on, all bool) {
		entries, err := children(p)
		if err != nil || depth > maxDepth {
			return true, err != nil
		}
		all = len(entries) < maxChildren
		for _, e := range entries {
			if left--; left < 0 || ctx.Err() != nil {
				return false, false
			}
			child := p.join(e.Name())
			switch {
			case e.IsDir() && skipped(e.Name()):
			case e.IsDir():
				on, below := descend(child, depth+1)
				if all = all && below; !on {
					return false, all
				}
			case !visit(child, e):
				return false, all
			}
		}
		return true, all
	}
	_, whole = descend(p, 0)
	return whole
}

// directory checks that p is one.
func directory(p place) error {
	info, err := p.root.Stat(p.name)
	if err != nil {
		return fileError(p, err)
	}
	if !info.IsDir() {
		return failf("%s is a file, not a directory. Use read to see it.", p)
	}
	return nil
}

func base(p place) string { return path.Base(p.name) }
