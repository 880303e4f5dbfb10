package main

import (
	"archive/tar"
	"context"
	"errors"
	"os"
	"path/filepath"

	"mgx/client"
	"mgx/internal/app"
	"mgx/internal/archive"
	"mgx/internal/sandbox"
)

// sendFiles sends a server what --attach names, a directory as an archive.
func sendFiles(ctx context.Context, r client.Runs, paths []string) (all []client.Attached, err error) {
	if err := fewEnough(len(paths)); err != nil {
		return nil, err
	}
	for _, path := range paths {
		a, err := sendFile(ctx, r, path)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

func sendFile(ctx context.Context, r client.Runs, path string) (a client.Attached, err error) {
	abs, err := attachedPath(path)
	if err != nil {
		return a, err
	}
	a.Name = filepath.Base(abs)
	info, err := attachable(abs)
	switch {
	case err != nil:
		return a, attachError(path, err)
	case info.IsDir():
		tmp, err := sandbox.Scratch("attach")
		if err != nil {
			return a, err
		}
		defer os.RemoveAll(tmp)
		if abs, err = packed(ctx, tmp, abs); err != nil {
			return a, attachError(path, err)
		}
		a.Name += ".tar"
	case info.Size() > app.MaxAttached:
		return a, attachError(path, usage("bad_attachment", "it is larger than %d MB", app.MaxAttached>>20))
	}
	f, err := os.Open(abs)
	if err != nil {
		return a, attachError(path, usage("bad_attachment", "it cannot be read: %w", err))
	}
	defer f.Close()
	a.Digest, err = r.UploadFile(ctx, f)
	return a, err
}

// packed makes an archive of a directory, by way of a copy of what may be attached.
func packed(ctx context.Context, tmp, dir string) (name string, err error) {
	copied, name := filepath.Join(tmp, "files"), filepath.Join(tmp, "tar")
	if err := os.Mkdir(copied, 0o700); err != nil {
		return "", err
	}
	root, err := os.OpenRoot(copied)
	if err != nil {
		return "", err
	}
	defer root.Close()
	if err := keepDirectory(ctx, root, dir, archive.Defaults); err != nil {
		return "", err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	w := tar.NewWriter(f)
	return name, errors.Join(w.AddFS(root.FS()), w.Close(), f.Close())
}
