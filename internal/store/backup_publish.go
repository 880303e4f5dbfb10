package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"mgx"
)

// publish syncs a finished file and gives it its name, unless that is taken.
func publish(part, path string) error {
	if err := syncPath(part); err != nil {
		return explainFile(path, err)
	}
	err := os.Link(part, path) // unlike a rename, fails when path exists
	if errors.Is(err, fs.ErrExist) {
		return exists(path)
	}
	if err != nil { // no hard links on this file system
		err = os.Rename(part, path)
	}
	if err == nil {
		err = syncPath(filepath.Dir(path))
	}
	if err != nil {
		return explainFile(path, err)
	}
	return nil
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Vacant refuses a name that a file has: no backup overwrites one.
func Vacant(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return exists(path)
	}
	return nil
}

func exists(path string) error {
	return mgx.Errorf(mgx.KindUsage, "file_exists", "%s exists already; a backup never overwrites: choose another name", path)
}
