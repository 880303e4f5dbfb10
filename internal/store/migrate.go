package store

import (
	"context"
	"database/sql"
	"embed"
	"io/fs"
	"strconv"
	"strings"

	"mgx"
)

//go:embed migrations/*/*.sql
var migrationFiles embed.FS

// migration is one numbered step of the schema. Once released a file is never
// edited; a change is a new file.
type migration struct {
	version int
	name    string
	sql     string
}

// migrationsIn returns a folder's files in order; their numbers are 1, 2, 3 …
func migrationsIn(folder string) []migration {
	folder = "migrations/" + folder
	entries, err := fs.ReadDir(migrationFiles, folder)
	if err != nil {
		panic("store: embedded migrations: " + err.Error())
	}
	all := make([]migration, len(entries))
	for i, e := range entries {
		number, name, _ := strings.Cut(strings.TrimSuffix(e.Name(), ".sql"), "_")
		if n, err := strconv.Atoi(number); err != nil || n != i+1 {
			panic("store: migration " + e.Name() + " is out of order")
		}
		text, _ := migrationFiles.ReadFile(folder + "/" + e.Name())
		all[i] = migration{version: i + 1, name: name, sql: string(text)}
	}
	return all
}

// Values of schemaVersion for files without our schema.
const (
	schemaNone    = 0  // an empty database
	schemaForeign = -1 // tables of somebody else
)

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// schemaVersion reads which migration a database has reached.
func (d *dialect) schemaVersion(ctx context.Context, q querier) (int, error) {
	var ours, tables int
	err := q.QueryRowContext(ctx, d.schema).Scan(&ours, &tables)
	switch {
	case err != nil:
		return 0, err
	case tables == 0:
		return schemaNone, nil
	case ours == 0:
		return schemaForeign, nil
	}
	var v int
	err = q.QueryRowContext(ctx, `SELECT COALESCE(MAX(version), 0) FROM mgx_schema`).Scan(&v)
	return v, err
}

// checkVersion refuses schemas that this program cannot use; when final, also
// those that would have to be migrated first.
func (d *dialect) checkVersion(path string, have int, final bool) error {
	want := len(d.migrations)
	switch {
	case have == schemaForeign:
		return mgx.Errorf(mgx.KindConfig, CodeForeign, "%s is a database of another program; it was not changed: choose another directory with --data", path)
	case have > want:
		return mgx.Errorf(mgx.KindConfig, CodeNewer, "%s was written by a newer mgx (schema %d, this one knows %d); it was not changed: use the newer mgx", path, have, want)
	case final && have < want:
		return mgx.Errorf(mgx.KindConfig, CodeOlder, "%s was written by an older mgx (schema %d, this one needs %d); open it once with write access to bring it up to date", path, have, want)
	}
	return nil
}

// migrate brings the schema up to date in one transaction. Of several processes
// that try at once one does it and the others find it done.
func (d *dialect) migrate(ctx context.Context, conn *sql.Conn, path string) error {
	have, err := d.schemaVersion(ctx, conn)
	if err != nil {
		return err
	}
	if err := d.checkVersion(path, have, false); err != nil || have == len(d.migrations) {
		return err
	}
	for _, begin := range d.begin {
		if _, err := conn.ExecContext(ctx, begin); err != nil {
			return err
		}
	}
	if err := d.runMigrations(ctx, conn, path); err != nil {
		conn.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`)
		return err
	}
	_, err = conn.ExecContext(ctx, `COMMIT`)
	return err
}

func (d *dialect) runMigrations(ctx context.Context, conn *sql.Conn, path string) error {
	have, err := d.schemaVersion(ctx, conn)
	if err != nil {
		return err
	}
	if err := d.checkVersion(path, have, false); err != nil {
		return err
	}
	if have == schemaNone {
		if _, err := conn.ExecContext(ctx, `CREATE TABLE mgx_schema (version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)`); err != nil {
			return err
		}
	}
	for _, m := range d.migrations[have:] {
		if _, err := conn.ExecContext(ctx, m.sql); err != nil {
			return err
		}
		if m.version == searchSince {
			if err := indexTasks(ctx, conn); err != nil {
				return err
			}
		}
		_, err := conn.ExecContext(ctx, `INSERT INTO mgx_schema (version, name, applied_at) VALUES ($1, $2, $3)`, m.version, m.name, mgx.Now().UnixMicro())
		if err != nil {
			return err
		}
	}
	return nil
}
