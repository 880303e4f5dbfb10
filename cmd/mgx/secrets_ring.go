package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"mgx"
	secrets "mgx/internal/secret"
)

// ringFile keeps the key ring of the secrets, unless the setting secrets-keys names
// another, or secrets-vault a HashiCorp Vault. It is in no backup.
const ringFile = "secrets.keys"

// vault is that of a workspace.
func (n *node) vault(ws mgx.WorkspaceID, make bool) (secrets.Vault, error) {
	v := secrets.Vault{Store: n.store, Workspace: ws, Actor: mgx.LocalUser, From: "cli"}
	ring, err := n.ring(make)
	v.Ring = ring
	return v, err
}

// ring finds the key ring. Where it is a file it is made when there is none and nothing
// is sealed.
func (n *node) ring(make bool) (*secrets.Ring, error) {
	file, err := n.fileRing()
	switch {
	case err != nil:
		return nil, err
	case n.wrapper != nil:
		return secrets.Outside(n.wrapper, file), nil
	case file != nil:
		return file, nil
	}
	sealed, err := n.store.KeyedWorkspaces(context.Background())
	if err != nil {
		return nil, err
	}
	if len(sealed) > 0 || !make {
		return nil, mgx.Errorf(mgx.KindConfig, secrets.CodeNoRing, "the key ring of the secrets, %s, is missing; put it back from where you keep it, or name it with --secrets-keys (or --secrets-vault, if HashiCorp Vault has it)", n.ringPath)
	}
	return n.makeRing()
}

// fileRing is the ring in the file; nil: there is none.
func (n *node) fileRing() (*secrets.Ring, error) { return readRing(n.ringPath) }

func readRing(path string) (*secrets.Ring, error) {
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, ringError(path, err)
	}
	return parseRing(path, text)
}

// makeRing makes the ring in the file, unless another process is first.
func (n *node) makeRing() (*secrets.Ring, error) {
	ring, err := secrets.NewRing()
	if err != nil {
		return nil, err
	}
	if err := saveRing(n.ringPath, ring, os.Link); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, ringError(n.ringPath, err)
	}
	if ring, err = n.fileRing(); err == nil && ring == nil {
		err = ringError(n.ringPath, fs.ErrNotExist)
	}
	return ring, err
}

func parseRing(path string, text []byte) (*secrets.Ring, error) {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, mgx.Errorf(mgx.KindConfig, "secret_readable", "others can read the key ring %s; chmod 600 %s, and if anyone may have read it: mgx secrets rekey", path, path)
	}
	return secrets.ParseRing(text)
}

// saveRing writes the ring beside its place and puts it there by place. When it returns
// it is on the disk, so that what is wrapped then never outlives it.
func saveRing(path string, ring *secrets.Ring, place func(from, to string) error) error {
	text, err := ring.Text()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := place(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func ringError(path string, err error) error {
	return mgx.Errorf(mgx.KindConfig, secrets.CodeNoRing, "the key ring of the secrets, %s, cannot be used: %w", path, err)
}
