package store_test

import (
	"database/sql"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

// onlyPostgres are the tables that numbering the log needs there, where a change
// cannot do it in its own transaction.
var onlyPostgres = []string{"event_ids", "outbox", "partitions", "receipts", "sequencer", "streams"}

// partOfLog are the tables that the log is split into on PostgreSQL: each has the
// columns, keys and indexes of the one table that it is on SQLite.
var partOfLog = regexp.MustCompile(`^events_(left|\d+(_\d{6})?) `)

// onlySQLite is what event_ids does on PostgreSQL.
var onlySQLite = []string{"events unique id"}

// Words of tasks are indexed by a table of its own on SQLite, and by a column on
// PostgreSQL.
var (
	wordsOnSQLite   = regexp.MustCompile(`^task_index(_\w+)? `)
	wordsOnPostgres = []string{"task_words terms tsvector", "task_words index terms"}
)

// The two databases have the same tables, with the same columns, nulls and keys.
func TestCatalogsAgree(t *testing.T) {
	t.Parallel()
	path, address := place(t), pgtest.NewDatabase(t)
	open(t, path, store.Options{})
	split := open(t, address, store.Options{Keep: keep})
	commit(t, split, mgx.Change{Events: []mgx.Event{begin(t, split).Event(mgx.ToolCalled, mgx.ToolCallData{})}})
	numbered(t, split, 2)
	ours, theirs := sqliteCatalog(t, path), postgresCatalog(t, address)
	for _, line := range onlySQLite {
		if !ours[line] || theirs[line] {
			t.Errorf("%s: not just in SQLite", line)
		}
		delete(ours, line)
	}
	maps.DeleteFunc(ours, func(line string, _ bool) bool { return wordsOnSQLite.MatchString(line) })
	for _, line := range wordsOnPostgres {
		if !theirs[line] {
			t.Errorf("%s: not in PostgreSQL", line)
		}
		delete(theirs, line)
	}
	parts := map[string]map[string]bool{}
	for line := range theirs {
		if table := partOfLog.FindString(line); table != "" {
			delete(theirs, line)
			if parts[table] == nil {
				parts[table] = map[string]bool{}
			}
			parts[table]["events "+strings.TrimPrefix(line, table)] = true
		}
	}
	for table, facts := range parts {
		if strings.Count(table, "_") == 1 && table != "events_left " {
			continue // a class, which only has partitions
		}
		for line := range ours {
			if strings.HasPrefix(line, "events ") && !facts[line] {
				t.Errorf("%sdoes not have: %s", table, line)
			}
		}
		maps.Copy(theirs, facts)
	}
	if len(parts) < 5 { // two classes with a partition each, and what is not split
		t.Errorf("the log is split into %v", slices.Sorted(maps.Keys(parts)))
	}
	for line := range theirs {
		if slices.Contains(onlyPostgres, strings.Fields(line)[0]) {
			delete(theirs, line)
		}
	}
	for _, line := range slices.Sorted(maps.Keys(ours)) {
		if !theirs[line] {
			t.Errorf("only in SQLite: %s", line)
		}
	}
	for _, line := range slices.Sorted(maps.Keys(theirs)) {
		if !ours[line] {
			t.Errorf("only in PostgreSQL: %s", line)
		}
	}
	if len(ours) < 60 {
		t.Errorf("only %d facts were compared", len(ours))
	}
}

// sqliteCatalog returns facts: "table column type null" and "table kind columns".
func sqliteCatalog(t *testing.T, path string) map[string]bool {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	facts := map[string]bool{}
	rows(t, db, `SELECT m.name || ' ' || c.name || ' ' ||
			CASE c.type WHEN 'INTEGER' THEN 'bigint' WHEN 'BLOB' THEN 'bytea' ELSE lower(c.type) END || CASE WHEN c."notnull" = 1 OR c.pk > 0 THEN ' not null' ELSE '' END
		FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`, facts)
	rows(t, db, `SELECT t || ' primary ' || group_concat(name, ',') FROM (SELECT m.name AS t, c.name AS name
		FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND c.pk > 0 ORDER BY m.name, c.pk) GROUP BY t`, facts)
	rows(t, db, `SELECT t || kind || group_concat(name, ',') FROM (SELECT m.name AS t, i.name AS i, CASE i."unique" WHEN 1 THEN ' unique ' ELSE ' index ' END AS kind, x.name AS name
		FROM sqlite_schema m JOIN pragma_index_list(m.name) i JOIN pragma_index_info(i.name) x WHERE m.type = 'table' AND i.origin <> 'pk' ORDER BY i.name, x.seqno) GROUP BY i`, facts)
	rows(t, db, `SELECT m.name || ' foreign ' || f."from" || ' ' || f."table" || ' ' || f."to" FROM sqlite_schema m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'`, facts)
	return facts
}

func rows(t *testing.T, db *sql.DB, query string, facts map[string]bool) {
	t.Helper()
	r, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for r.Next() {
		var line string
		if err := r.Scan(&line); err != nil {
			t.Fatal(err)
		}
		facts[line] = true
	}
	if err := r.Err(); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", query, err))
	}
}

func postgresCatalog(t *testing.T, address string) map[string]bool {
	t.Helper()
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	facts := map[string]bool{}
	rows(t, db, `SELECT table_name || ' ' || column_name || ' ' || data_type || CASE is_nullable WHEN 'NO' THEN ' not null' ELSE '' END
		FROM information_schema.columns WHERE table_schema = current_schema()`, facts)
	rows(t, db, `SELECT c.relname || CASE WHEN i.indisprimary THEN ' primary ' WHEN i.indisunique THEN ' unique ' ELSE ' index ' END
			|| string_agg(a.attname, ',' ORDER BY k.ord)
		FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN unnest(i.indkey) WITH ORDINALITY AS k(attnum, ord) ON true
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
		WHERE c.relnamespace = current_schema()::regnamespace GROUP BY i.indexrelid, c.relname, i.indisprimary, i.indisunique`, facts)
	rows(t, db, `SELECT c.relname || ' foreign ' || a.attname || ' ' || f.relname || ' ' || b.attname
		FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1] JOIN pg_attribute b ON b.attrelid = f.oid AND b.attnum = k.confkey[1]
		WHERE k.contype = 'f' AND c.relnamespace = current_schema()::regnamespace`, facts)
	return facts
}
