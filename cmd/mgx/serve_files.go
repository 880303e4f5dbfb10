package main

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"mgx"
	"mgx/internal/lazy"
)

// secret is a random text in a private file of the data directory.
type secret struct {
	path, value string
	made        bool // just now
}

var secretText = lazy.Regexp(`^[0-9A-Za-z_-]{26,200}$`)

// openSecret reads a secret and makes it where there is none. Of several
// processes that try at once one makes it, and it is never there half written.
func openSecret(dir, name string) (secret, error) {
	s, err := openedSecret(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		if s.made, err = s.make(dir); err == nil {
			err = s.read()
		}
	}
	if _, ours := errors.AsType[*mgx.Error](err); err != nil && !ours {
		err = dataError(dir, err)
	}
	return s, err
}

// openedSecret reads a secret that is there.
func openedSecret(dir, name string) (secret, error) {
	s := secret{path: filepath.Join(dir, name)}
	return s, s.read()
}

func (s *secret) read() error {
	f, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return mgx.Errorf(mgx.KindConfig, "secret_readable", "others can read %s; delete it, and mgx serve makes a new one", s.path)
	}
	text := make([]byte, 256)
	n, _ := f.Read(text)
	s.value = strings.TrimSpace(string(text[:n]))
	if !secretText().MatchString(s.value) {
		return mgx.Errorf(mgx.KindConfig, "bad_secret", "%s does not hold 26 to 200 letters and digits; delete it, and mgx serve makes a new one", s.path)
	}
	hide(s.value)
	return nil
}

// make writes the file beside its place and links it there, which fails when
// another process was first.
func (s *secret) make(dir string) (bool, error) {
	f, err := os.CreateTemp(dir, "."+filepath.Base(s.path)+"-*") // 0600
	if err != nil {
		return false, err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(rand.Text() + rand.Text() + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return false, err
	}
	err = os.Link(f.Name(), s.path)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

// freeSpace is how many bytes of a disk anybody may still use.
func freeSpace(dir string) (int64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, dataError(dir, err)
	}
	return int64(fs.Bavail) * fs.Bsize, nil
}
