package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"mgx"
)

// RestoreOptions say what becomes of the files in a backup.
type RestoreOptions struct {
	// File takes one file; it must not keep content. What it has written is to
	// be thrown away when Restore fails. Nil: files are passed over.
	File func(name string, mode fs.FileMode, content io.Reader) error
	// Ready is called when everything has been read and found to be whole, just
	// before the database appears. Nil: nothing to do.
	Ready func(Manifest) error
}

// Restore makes a database from a backup, at a place as Open takes it: a path
// where there is no file yet, or the address of an empty PostgreSQL database.
// It appears whole or not at all. A backup of an older schema is restored at its
// own and then brought up to date; one of a newer schema is refused. The restored
// log has an epoch of its own, since what follows in it is not what followed in
// the one that was backed up, and leases in it have ended.
func Restore(ctx context.Context, from io.Reader, place string, o RestoreOptions) (Manifest, error) {
	r, err := newBackupReader(from)
	if err != nil {
		return Manifest{}, err
	}
	if IsPostgres(place) {
		return r.Manifest, restorePostgres(ctx, r, place, o)
	}
	return r.Manifest, restoreFile(ctx, r, place, o)
}

// restoreFile fills a database beside the place and then gives it its name.
func restoreFile(ctx context.Context, r *backupReader, path string, o RestoreOptions) error {
	if err := vacant(path); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return explainFile(path, err)
	}
	part, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".restore-*")
	if err != nil {
		return explainFile(path, err)
	}
	part.Close()
	defer os.Remove(part.Name())
	if err := fillFile(ctx, r, part.Name(), o); err != nil {
		return explainRestore(path, err)
	}
	if err := vacant(path); err != nil {
		return err
	}
	if err := r.ready(o); err != nil {
		return err
	}
	if err := publish(part.Name(), path); err != nil {
		if mgx.IsCode(err, "file_exists") {
			return notEmpty(path)
		}
		return err
	}
	return nil
}

func vacant(path string) error {
	for _, suffix := range []string{"", "-wal", "-journal"} {
		if _, err := os.Lstat(path + suffix); err == nil {
			return notEmpty(path + suffix)
		}
	}
	return nil
}

func notEmpty(what string) error {
	return mgx.Errorf(mgx.KindConfig, CodeNotEmpty, "%s exists already; a restore never overwrites: choose an empty directory with --data, or another database with --database", what)
}

func explainRestore(path string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return diskFull(path, err)
	}
	return explain(path, err)
}

// fillFile needs no protection from a crash: then the file is thrown away.
func fillFile(ctx context.Context, r *backupReader, path string, o RestoreOptions) error {
	db, err := sql.Open("sqlite", dsn(path, "mode=rw&_journal_mode=MEMORY"))
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, `PRAGMA synchronous = OFF`); err != nil {
		return err
	}
	if err := r.fill(ctx, conn, &sqliteDialect, o); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, `COMMIT`)
	return err
}

func (r *backupReader) ready(o RestoreOptions) error {
	if o.Ready == nil {
		return nil
	}
	return o.Ready(r.Manifest)
}

// fill makes the schema that the backup is of, reads everything, and brings the
// schema up to date, in a transaction that it leaves open.
func (r *backupReader) fill(ctx context.Context, conn *sql.Conn, d *dialect, o RestoreOptions) error {
	if r.Schema < 1 {
		return damaged(errors.New("it is of no schema"))
	}
	if r.Schema > len(d.migrations) {
		return mgx.Errorf(mgx.KindConfig, CodeBackupNewer, "the backup was made by a newer mgx (schema %d, this one knows %d); use the newer mgx", r.Schema, len(d.migrations))
	}
	then := *d
	then.migrations = d.migrations[:r.Schema]
	for _, begin := range d.begin {
		if _, err := conn.ExecContext(ctx, begin); err != nil {
			return err
		}
	}
	if have, err := d.schemaVersion(ctx, conn); err != nil || have != schemaNone {
		return errors.Join(err, notEmpty("the database"))
	}
	if err := then.runMigrations(ctx, conn, "the database"); err != nil {
		return err
	}
	if err := r.sections(ctx, conn, d, o); err != nil {
		return err
	}
	if d == &postgresDialect {
		for _, statement := range r.after() {
			if _, err := conn.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
	}
	if r.Schema >= searchSince {
		if err := indexTasks(ctx, conn); err != nil {
			return err
		}
	}
	if r.Schema < len(d.migrations) {
		if err := d.runMigrations(ctx, conn, "the database"); err != nil {
			return err
		}
	}
	if _, err := conn.ExecContext(ctx, `UPDATE epoch SET id = $1`, mgx.NewID[string]("epoch")); err != nil {
		return err
	}
	return r.endLeases(ctx, conn)
}

// endLeases ends every lease at the moment of the backup: nobody holds one in
// this copy, and time since then has not been worked.
func (r *backupReader) endLeases(ctx context.Context, conn *sql.Conn) error {
	for _, table := range []string{"executions", "webhooks", "consumers"} {
		if _, err := conn.ExecContext(ctx, `UPDATE `+table+` SET lease_until = $1 WHERE owner <> '' AND lease_until > $1`, r.CreatedAt.UnixMicro()); err != nil {
			return err
		}
	}
	return nil
}

func (r *backupReader) sections(ctx context.Context, conn *sql.Conn, d *dialect, o RestoreOptions) error {
	seen := map[string]bool{}
	for {
		m, err := r.section()
		if err != nil {
			return err
		}
		name := m.Table + m.File
		if seen[m.Table] || m.Table != "" && m.File != "" {
			return damaged(fmt.Errorf("%.80q is there twice", name))
		}
		switch {
		case m.End:
			return nil
		case m.Table != "":
			seen[m.Table] = true
			err = r.table(ctx, conn, d, m.Table)
		case m.File != "":
			err = r.file(m, o)
		default:
			err = damaged(errors.New("a line begins nothing"))
		}
		if err != nil {
			return err
		}
	}
}

func (r *backupReader) file(m *mark, o RestoreOptions) error {
	if err := validBackupName(m.File); err != nil {
		return err
	}
	r.Files++
	content := &pieces{r: r}
	if o.File != nil {
		if err := o.File(m.File, m.Mode.Perm(), content); err != nil {
			return err
		}
	}
	_, err := io.Copy(io.Discard, content)
	return err
}

// Rows are inserted many at a time where the database is at the end of a wire.
// SQLite is faster with one, since it looks each parameter up.
const (
	restoreRows  = 100
	restoreBytes = 1 << 20 // of text, roughly
)

func (r *backupReader) table(ctx context.Context, conn *sql.Conn, d *dialect, name string) error {
	columns, err := r.columns(ctx, conn, name)
	if err != nil {
		return err
	}
	in := inserter{ctx: ctx, conn: conn, table: name, columns: columns, most: restoreRows}
	if class := slices.Index(columns, "class"); name == "events" && class >= 0 && d == &postgresDialect {
		in.rooms = &rooms{ctx: ctx, conn: conn, class: class, time: slices.Index(columns, "time"), made: map[string]bool{}}
	}
	if d == &sqliteDialect {
		in.most = 1
	}
	defer in.close()
	r.Rows[name] = 0
	for {
		values, more, err := r.row(name, len(columns))
		if err != nil {
			return err
		}
		if !more {
			return in.flush()
		}
		if err := in.add(values); err != nil {
			return err
		}
	}
}

// inserter inserts rows of one table.
type inserter struct {
	ctx     context.Context
	conn    *sql.Conn
	table   string
	columns []string
	most    int       // rows at once
	full    *sql.Stmt // inserts most
	rooms   *rooms    // nil: the table is not split

	args       []any
	rows, size int
}

func (in *inserter) add(values []any) error {
	if in.rooms != nil {
		if err := in.rooms.make(values); err != nil {
			return err
		}
	}
	in.args, in.rows = append(in.args, values...), in.rows+1
	for _, v := range values {
		if s, ok := v.(string); ok {
			in.size += len(s)
		}
	}
	if in.rows < in.most && in.size < restoreBytes {
		return nil
	}
	return in.flush()
}

func (in *inserter) flush() (err error) {
	switch {
	case in.rows == 0:
		return nil
	case in.rows < in.most:
		_, err = in.conn.ExecContext(in.ctx, insertRows(in.table, in.columns, in.rows), in.args...)
	case in.full == nil:
		if in.full, err = in.conn.PrepareContext(in.ctx, insertRows(in.table, in.columns, in.most)); err != nil {
			return err
		}
		fallthrough
	default:
		_, err = in.full.ExecContext(in.ctx, in.args...)
	}
	in.args, in.rows, in.size = in.args[:0], 0, 0
	if err != nil && (constraint(err) || strings.HasPrefix(sqlState(err), "23")) {
		err = damaged(fmt.Errorf("rows of table %s contradict each other", in.table))
	}
	return err
}

func (in *inserter) close() {
	if in.full != nil {
		in.full.Close()
	}
}

// columns returns those that the backup has of a table, once they are known to
// be those that the database has: their names become part of statements.
func (r *backupReader) columns(ctx context.Context, conn *sql.Conn, table string) ([]string, error) {
	known := func(name string) bool {
		return slices.ContainsFunc(backupTables, func(t backupTable) bool { return t.name == name }) || r.Schema < lastTable[name]
	}
	for _, t := range r.Tables {
		if t.Name != table || !known(table) {
			continue
		}
		have, err := columnsOf(ctx, conn, table)
		if err != nil {
			return nil, err
		}
		want := slices.Sorted(slices.Values(t.Columns))
		slices.Sort(have)
		if !slices.Equal(have, want) {
			return nil, damaged(fmt.Errorf("table %s has other columns than schema %d has", table, r.Schema))
		}
		return t.Columns, nil
	}
	return nil, damaged(fmt.Errorf("there is no table %.80q", table))
}

func insertRows(table string, columns []string, rows int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "INSERT INTO %s (%s) VALUES ", table, strings.Join(columns, ", "))
	for i := range rows * len(columns) {
		switch {
		case i == 0:
			b.WriteString("(")
		case i%len(columns) == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", i+1)
	}
	return b.String() + ")"
}
