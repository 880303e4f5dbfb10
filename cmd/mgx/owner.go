package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"mgx"
)

// owner is this process as a holder of leases. It holds a lock on a file of its
// own for as long as it lives, and the kernel lets go of it when the process
// dies however it dies, so that others need not wait for its leases to expire.
type owner struct {
	id   string
	dir  string
	file *os.File
}

func newOwner(dataDir string) (*owner, error) {
	o := &owner{id: mgx.NewID[string]("own"), dir: filepath.Join(dataDir, "owners")}
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return nil, err
	}
	// The lock on the directory keeps another process from taking the new file
	// for that of a dead owner before it is locked.
	guard, err := lockFile(filepath.Join(o.dir, "directory"), syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer guard.Close()
	o.sweep()
	o.file, err = lockFile(o.path(o.id), syscall.LOCK_EX|syscall.LOCK_NB)
	return o, err
}

func lockFile(path string, how int) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), how); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func (o *owner) path(id string) string { return filepath.Join(o.dir, id+".lock") }

// alive reports whether the process that owns a lease may still be running.
func (o *owner) alive(id string) bool {
	if id == o.id {
		return true
	}
	if id == "" || strings.ContainsAny(id, `/\`) {
		return false
	}
	file, err := os.Open(o.path(id))
	if err != nil {
		return !os.IsNotExist(err)
	}
	defer file.Close()
	return syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
}

// sweep removes the files of the dead.
func (o *owner) sweep() {
	files, err := filepath.Glob(o.path("*"))
	if err != nil {
		return
	}
	for _, f := range files {
		if !o.alive(strings.TrimSuffix(filepath.Base(f), ".lock")) {
			os.Remove(f)
		}
	}
}

func (o *owner) close() {
	os.Remove(o.path(o.id))
	o.file.Close()
}
