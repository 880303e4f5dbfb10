package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"mgx"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// sqliteMagic opens every SQLite file: https://www.sqlite.org/fileformat.html#the_database_header
const sqliteMagic = "SQLite format 3\x00"

// prepareFile makes sure that path is, or can become, our database: it creates
// an empty private file where there is none and refuses what is not a database.
func prepareFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return explainFile(path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return explainFile(path, err)
	}
	defer f.Close()
	return inspect(f, path)
}

// inspect reads the header before SQLite sees the file: SQLite would take an
// empty file next to a full log for a new database and delete the log.
func inspect(f *os.File, path string) error {
	info, err := f.Stat()
	if err != nil {
		return explainFile(path, err)
	}
	if info.IsDir() {
		return mgx.Errorf(mgx.KindConfig, codeUnusable, "%s is a directory; the database must be a file", path)
	}
	if info.Size() == 0 {
		if log, err := os.Stat(path + "-wal"); err == nil && log.Size() > 0 {
			return mgx.Errorf(mgx.KindConfig, CodeCorrupt,
				"%s is empty or missing but %s-wal still holds data; nothing was changed: restore both from a backup, or move the -wal file away to start anew", path, path)
		}
		return nil
	}
	head := make([]byte, len(sqliteMagic))
	if _, err := io.ReadFull(f, head); err != nil || string(head) != sqliteMagic {
		return corrupt(path, err)
	}
	return nil
}

// dsn names a connection; every one has the same safety settings.
func dsn(path, params string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	file := url.URL{Scheme: "file", Path: abs}
	return fmt.Sprintf("%s?%s&_dqs=0&_defensive=1&_busy_timeout=%d&_foreign_keys=1&_synchronous=FULL",
		file.String(), params, busyWait.Milliseconds())
}

func openReaders(ctx context.Context, path, mode string, o Options) (*Store, error) {
	db, err := sql.Open("sqlite", dsn(path, mode+"&_query_only=1"))
	if err != nil {
		return nil, explain(path, err)
	}
	db.SetMaxOpenConns(readConns + 1)
	db.SetMaxIdleConns(readConns + 1)
	conn, err := db.Conn(ctx)
	if err == nil {
		err = conn.PingContext(ctx)
	}
	if err != nil {
		db.Close()
		return nil, explain(path, err)
	}
	kept := newStatements(db)
	d := &sqliteFile{beacon: newBeacon(), path: path, mode: mode, reads: kept, versions: conn}
	return &Store{driver: d, dialect: &sqliteDialect, name: path, opts: o, reads: readers{all: db, statements: kept}}, nil
}

// openReadOnly opens what is there. On a disk that cannot be written SQLite
// needs to be told that nobody else writes either, which is only true when no
// log is left to be merged.
func openReadOnly(ctx context.Context, path string, o Options) (*Store, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, mgx.Errorf(mgx.KindConfig, mgx.CodeNotFound, "there is no database at %s; nothing has been run yet", path)
	}
	if err != nil {
		return nil, explainFile(path, err)
	}
	err = inspect(f, path)
	f.Close()
	if err != nil {
		return nil, err
	}
	s, err := openReaders(ctx, path, "mode=ro", o)
	if err == nil {
		err = s.checkSchema(ctx)
	}
	if err != nil && (mgx.IsCode(err, CodeReadOnly) || mgx.IsCode(err, codeUnusable)) && !hasLog(path) {
		s.discard()
		if s, err = openReaders(ctx, path, "mode=ro&immutable=1", o); err == nil {
			err = s.checkSchema(ctx)
		}
	}
	if err != nil {
		s.discard()
		return nil, err
	}
	return s, nil
}

func (s *Store) checkSchema(ctx context.Context) error {
	v, err := s.dialect.schemaVersion(ctx, s.reads)
	if err != nil {
		return s.explain(err)
	}
	return s.dialect.checkVersion(s.name, v, true)
}

func (s *Store) discard() {
	if s != nil {
		s.Close()
	}
}

func hasLog(path string) bool {
	info, err := os.Stat(path + "-wal")
	return err == nil && info.Size() > 0
}
