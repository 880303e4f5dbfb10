package main

import (
	"os"
	"path/filepath"
	"strings"
)

// inside reports whether a directory says what a file is: because it lies there, or
// because a link does that leads to it.
func inside(name, dir string) bool {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return true
	}
	below := func(path string) bool {
		rel, err := filepath.Rel(dir, path)
		return err != nil || filepath.IsLocal(rel)
	}
	if !filepath.IsAbs(name) {
		here, err := os.Getwd()
		if err != nil {
			return true
		}
		name = here + "/" + name // not cleaned: what .. means hangs on the links before it
	}
	at, links := "/", 0
	for rest := strings.Split(name, "/"); len(rest) > 0; {
		next := filepath.Join(at, rest[0])
		rest = rest[1:]
		to, err := os.Readlink(next)
		if err != nil {
			at = next
			continue
		}
		if links++; links > 100 || below(next) {
			return true
		}
		if filepath.IsAbs(to) {
			at = "/"
		}
		rest = append(strings.Split(to, "/"), rest...)
	}
	_, err = os.Lstat(at)
	return err == nil && below(at) // of none that is not there, reading it says what is wrong
}
