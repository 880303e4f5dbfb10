package store

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"mgx"
)

// Codes of the errors that come from the file rather than from the caller. All
// are of kind config.
const (
	CodeDiskFull = "disk_full"
	CodeReadOnly = "data_read_only"
	CodeCorrupt  = "database_corrupt" // damaged, or not a database
	CodeNewer    = "database_newer"   // written by a newer MGX
	CodeOlder    = "database_older"   // opened read-only, and its schema must be brought up to date first
	CodeForeign  = "database_foreign" // a SQLite database of another program
	CodeBusy     = "database_busy"    // another process held the write lock too long
	CodeDisk     = "disk_error"

	codeUnusable = "database_unusable"
	codeClosed   = "store_closed"
)

// busy reports whether SQLite says that another process holds a lock.
func busy(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code()&0xff == sqlite3.SQLITE_BUSY
}

// explain turns a driver's error into one that says what to do. Errors that are
// ours already, and those of contexts, pass unchanged.
func explain(path string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if own, ok := errors.AsType[*mgx.Error](err); ok {
		return own
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return mgx.Errorf(mgx.KindInternal, "database_error", "the database %s failed: %w", path, err)
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return diskFull(path, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return readOnly(path)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return corrupt(path, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return mgx.Errorf(mgx.KindConfig, CodeBusy, "another process has kept the database %s locked for too long; stop it or try again (%w)", path, err)
	case sqlite3.SQLITE_IOERR:
		if outOfSpace(path) {
			return diskFull(path, err)
		}
		if unwritable(path) {
			return readOnly(path)
		}
		return mgx.Errorf(mgx.KindConfig, CodeDisk, "the disk that holds %s reported an error; check it, then run the command again (%w)", path, err)
	case sqlite3.SQLITE_CANTOPEN:
		if outOfSpace(path) {
			return diskFull(path, err)
		}
		if unwritable(path) {
			return readOnly(path)
		}
		return mgx.Errorf(mgx.KindConfig, codeUnusable, "the database %s cannot be opened (%w)", path, err)
	}
	return mgx.Errorf(mgx.KindInternal, "database_error", "the database %s failed: %w", path, err)
}

// explainFile does the same for errors of the file system.
func explainFile(path string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return diskFull(path, err)
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return readOnly(path)
	case errors.Is(err, syscall.EISDIR):
		return mgx.Errorf(mgx.KindConfig, codeUnusable, "%s is a directory; the database must be a file", path)
	}
	return mgx.Errorf(mgx.KindConfig, codeUnusable, "the database cannot be opened: %w", err)
}

func diskFull(path string, err error) error {
	return mgx.Errorf(mgx.KindConfig, CodeDiskFull, "the disk that holds %s is full; nothing was lost: free some space, then run the command again (%w)", path, err)
}

func readOnly(path string) error {
	return mgx.Errorf(mgx.KindConfig, CodeReadOnly, "%s cannot be written; make its directory writable or choose another with --data", path)
}

func corrupt(path string, err error) error {
	e := mgx.Errorf(mgx.KindConfig, CodeCorrupt, "%s is damaged or not a database; it was not changed: restore a backup, or move it away to start anew", path)
	e.Err = err
	return e
}

// constraint reports whether only the statement failed, by a rule of the schema
// or a limit on values, and the transaction is intact.
func constraint(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code()&0xff == sqlite3.SQLITE_CONSTRAINT || e.Code()&0xff == sqlite3.SQLITE_TOOBIG)
}
