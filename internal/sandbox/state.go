package sandbox

import (
	"io/fs"
	"os"
	"path/filepath"
)

// RemoveState deletes the state directory of a box that is closed. Programs
// leave directories there that their owner may not write, as the Go command does
// in its module cache; os.RemoveAll would stop at them.
func RemoveState(dir string) error {
	filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			os.Chmod(name, 0o700) // before its entries are read
		}
		return nil // RemoveAll will say what is wrong
	})
	return os.RemoveAll(dir)
}
