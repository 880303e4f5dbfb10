package sandbox

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// RemoveState deletes a directory in which programs wrote, and which no program uses
// any more. They leave directories that their owner may not write, as the Go command
// does in its module cache, with names too long for one path, or below each other by
// the thousands; os.RemoveAll would stop at the first two, and has as many descriptors
// open as there are levels.
func RemoveState(dir string) error {
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return os.RemoveAll(dir)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	r := removal{top: root}
	err = r.empty(root, ".")
	root.Close()
	if err != nil {
		return err
	}
	return os.Remove(dir)
}

// removalDepth is how many levels of a tree are open at once.
const removalDepth = 32

// removal is that of what is in one directory.
type removal struct {
	top   *os.Root
	depth int
}

// empty removes all that is in dir, which is the directory at a path from the top.
func (r *removal) empty(dir *os.Root, at string) error {
	for {
		entries, err := list(dir)
		if err != nil || len(entries) == 0 {
			return err
		}
		var failed error
		for _, e := range entries {
			if err := r.entry(dir, at, e); err != nil && failed == nil {
				failed = err
			}
		}
		if failed != nil {
			return failed
		}
	}
}

// list returns some of what is in a directory.
func list(dir *os.Root) ([]fs.DirEntry, error) {
	f, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(1024)
	if err == io.EOF {
		err = nil
	}
	return entries, err
}

func (r *removal) entry(dir *os.Root, at string, e fs.DirEntry) error {
	name := e.Name()
	err := dir.Remove(name)
	if err == nil || errors.Is(err, fs.ErrNotExist) || !e.IsDir() {
		return ignoreGone(err)
	}
	if err := dir.Chmod(name, 0o700); err != nil {
		return err
	}
	if r.depth == removalDepth { // what lies deeper goes on from the top
		return r.top.Rename(filepath.Join(at, name), rand.Text()) // which nobody could have taken before
	}
	sub, err := dir.OpenRoot(name)
	if err != nil {
		return err
	}
	r.depth++
	err = r.empty(sub, filepath.Join(at, name))
	r.depth--
	sub.Close()
	if err != nil {
		return err
	}
	return ignoreGone(dir.Remove(name))
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
