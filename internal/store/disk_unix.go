//go:build unix

package store

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// outOfSpace reports whether the file system of path has no room left for a
// page of the log. SQLite reports a full disk as a plain input/output error
// where it grows its shared memory.
func outOfSpace(path string) bool {
	var st unix.Statfs_t
	if unix.Statfs(filepath.Dir(path), &st) != nil {
		return false
	}
	return st.Bavail*uint64(st.Bsize) < 64<<10
}

// unwritable reports whether nothing can be created next to path.
func unwritable(path string) bool {
	return unix.Access(filepath.Dir(path), unix.W_OK) != nil
}
