package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"mgx"
)

// owner is this process as a holder of leases. It holds a lock on a file of its
// own for as long as it lives, and the kernel lets go of it when the process
// dies however it dies, so that others need not wait for its leases to expire.
//
// Its id ends in the name of its place, which is this data directory on this
// machine. With a database that several places share, an owner of another place
// counts as alive: its lease must run out.
type owner struct {
	id   string
	at   string // the place
	dir  string
	file *os.File
}

func newOwner(dataDir string) (*owner, error) {
	o := &owner{dir: filepath.Join(dataDir, "owners")}
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
	if o.at, err = place(guard); err != nil {
		return nil, err
	}
	o.id = mgx.NewID[string]("own") + "@" + o.at
	o.sweep()
	o.file, err = lockFile(o.path(o.id), syscall.LOCK_EX|syscall.LOCK_NB)
	return o, err
}

// place names this data directory on this machine. The directory's own part is
// made once and kept in the file that is locked; the name of the machine keeps a
// copy of the directory apart from it.
func place(kept *os.File) (string, error) {
	own := make([]byte, 64)
	n, err := kept.ReadAt(own, 0)
	if n == 0 {
		n = copy(own, mgx.NewID[string]("dir"))
		_, err = kept.WriteAt(own[:n], 0)
	}
	if err != nil && err != io.EOF {
		return "", err
	}
	host, err := os.Hostname()
	sum := sha256.Sum256([]byte(host + "\n" + string(own[:n])))
	return hex.EncodeToString(sum[:8]), err
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
	if _, at, known := strings.Cut(id, "@"); known && at != o.at {
		return true
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
