package store

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"mgx"
)

// backup is [Store.Backup] for a file.
func (d *sqliteFile) backup(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); err == nil {
		return exists(path)
	}
	part, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".part-*")
	if err != nil {
		return explainFile(path, err)
	}
	part.Close()
	defer os.Remove(part.Name())
	if err := d.copyTo(ctx, part.Name()); err != nil {
		return explain(path, err)
	}
	return publish(part.Name(), path)
}

// copyTo runs on a connection of its own: those for reading may not write
// anywhere, and the writer must not be kept from writing.
func (d *sqliteFile) copyTo(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", dsn(d.path, d.mode))
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, `VACUUM INTO $1`, path)
	return err
}

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

func exists(path string) error {
	return mgx.Errorf(mgx.KindUsage, "file_exists", "%s exists already; a backup never overwrites: choose another name", path)
}
