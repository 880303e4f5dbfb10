package store_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"mgx"
	"mgx/internal/store"
)

// Whatever happened, a restored copy holds the same in every table, keeps every
// promise, and goes on from there under another epoch.
func TestBackupRoundTrip(t *testing.T) {
	t.Parallel()
	n := 0
	dir := t.TempDir()
	checkFew(t, often(25, 100), func(rt *rapid.T) {
		n++
		path, copied := filepath.Join(dir, fmt.Sprint(n), "mgx.db"), filepath.Join(dir, fmt.Sprint(n), "copy.db")
		s, err := store.Open(rt.Context(), path, store.Options{})
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		scopes := history(rt, s)
		raw(t, path, `INSERT INTO webhooks VALUES ('whk_1', 'w', 'https://x', 'd', NULL, '["all"]', 1, '', NULL, 3, '', NULL, 0, 1, 2)`,
			`INSERT INTO webhook_secrets VALUES ('whk_1', 1, 'whsec_x', NULL)`,
			`INSERT INTO webhook_deliveries VALUES ('whk_1', 'evt_1', 't', 's', 1, 'pending', 1, NULL, '', 1, 2)`,
			`INSERT INTO webhook_attempts VALUES ('whk_1', 'evt_1', 1, 2, 3, 500, 'e', 'r', NULL)`,
			`INSERT INTO api_keys VALUES ('key_1', 'w', 'u', 'n', 'd', '["a/*"]', 5, 'daily', 1, NULL, 2, 3, '["models"]', 'service', 'o', 4)`,
			`INSERT INTO users VALUES ('u', 'u@x', 'n', '$p', 1, 2)`,
			`INSERT INTO identities VALUES ('https://i', 's', 'u', 1, 'e')`,
			`INSERT INTO workspaces VALUES ('w', 'n', 1, 2)`,
			`INSERT INTO members VALUES ('w', 'u', 'admin', 1, 2, '')`,
			`INSERT INTO roles VALUES ('w', 'r', 'd', 'permit(principal,action,resource);', 1, 2)`,
			`INSERT INTO sessions VALUES ('ses_1', 'u', 'a', 'b', 1, 2, 3, NULL, '', 'client', '', '')`,
			`INSERT INTO session_tokens VALUES ('d', 'ses_1', 'refresh', 1, 2, NULL)`,
			`INSERT INTO invitations VALUES ('inv_1', 'w', 'e', 'r', '', 'd', 'u', 1, 2, NULL, NULL, 3)`,
			`INSERT INTO audit_hashes VALUES ('w', 0, 'h')`,
			`INSERT INTO audit_checkpoints VALUES ('w', 1, 'note', 2)`,
			`INSERT INTO workspace_keys VALUES ('w', 1, X'00ff', 2)`,
			`INSERT INTO secrets VALUES ('w', 'n', 1, 1, X'80', 'u', 2)`,
			`INSERT INTO projects VALUES ('w', 'proj_1', 'n', '/p', '', 'u', 1, 2)`,
			`INSERT INTO project_settings VALUES ('w', 'proj_1', 'policy', 'ask', 'u', 1)`,
			`INSERT INTO settings VALUES ('w', 'retention.agent', '30', 'u', 1)`,
			`INSERT INTO erasures VALUES ('ws_gone', 'u', 1, NULL)`,
			`INSERT INTO attempts VALUES ('d', 7, 2, 1)`,
			`INSERT INTO revisions VALUES ('w', 'budget', 'bgt_1', 3)`,
			`INSERT INTO kept_answers VALUES ('w', 'u', 'POST /x', 'k', 'd', 'x_1', 201, '{}', 1)`,
			`INSERT INTO consumers VALUES ('x', 3, '', NULL, 1, 'evt_1', 2, 'e', 7, 1, 2, 3, 4, 5, 6)`,
			`INSERT INTO consumer_dead VALUES ('x', 'evt_1', 'w', 't', 's', 1, 6, 'e', NULL, 1, 2)`)
		var file bytes.Buffer
		written, err := s.WriteBackup(rt.Context(), &file, store.BackupOptions{Program: "test"})
		if err != nil {
			rt.Fatal(err)
		}
		read, err := store.Restore(rt.Context(), &file, copied, store.RestoreOptions{})
		if err != nil {
			rt.Fatal(err)
		}
		if !reflect.DeepEqual(written.Rows, read.Rows) || read.Program != "test" {
			rt.Fatalf("wrote %+v, read %+v", written, read)
		}
		if a, b := tables(t, path), tables(t, copied); !reflect.DeepEqual(a, b) {
			rt.Fatalf("the tables differ:\n%v\n%v", a, b)
		}
		restored, err := store.Open(rt.Context(), copied, store.Options{})
		if err != nil {
			rt.Fatal(err)
		}
		defer restored.Close()
		if err := restored.Verify(rt.Context()); err != nil {
			rt.Fatal(err)
		}
		before, _ := s.Epoch(rt.Context())
		after, err := restored.Epoch(rt.Context())
		if err != nil || before == "" || before == after || before != read.Epoch {
			rt.Fatalf("epochs %q %q %q %v", before, after, read.Epoch, err)
		}
		if _, err := restored.Commit(rt.Context(), mgx.Change{Events: []mgx.Event{note(scopes[0], "goes on")}}); err != nil {
			rt.Fatal(err)
		}
	})
}

// A backup while sixteen writers append is a moment of the log: a prefix, with
// everything that was committed before it began.
func TestBackupWhileWritersAppend(t *testing.T) {
	t.Parallel()
	s := open(t, place(t), store.Options{})
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 16 {
		sc := begin(t, s)
		wg.Go(func() {
			for ctx.Err() == nil {
				c := mgx.Change{
					Events: []mgx.Event{note(sc, strings.Repeat("x", 1000)), sc.Event(mgx.ToolCalled, mgx.ToolCallData{})},
					Steps:  []mgx.StepRecord{{Execution: sc.Execution, Name: string(mgx.NewEventID()), Kind: mgx.StepWork}},
				}
				if _, err := s.Commit(context.Background(), c); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 4 {
		before, _ := s.Head(t.Context())
		file := filepath.Join(t.TempDir(), "backup")
		if _, err := s.Backup(t.Context(), file, store.BackupOptions{}); err != nil {
			t.Fatal(err)
		}
		copied := restoreFile(t, file)
		head, _ := copied.Head(t.Context())
		if head < before {
			t.Errorf("it ends at %d, before %d", head, before)
		}
		if err := copied.Verify(t.Context()); err != nil {
			t.Error(err)
		}
		mine, _ := copied.Events(t.Context(), store.EventQuery{})
		theirs, _ := s.Events(t.Context(), store.EventQuery{Limit: len(mine)})
		if !reflect.DeepEqual(mine, theirs) {
			t.Error("it is not a prefix of the log")
		}
	}
	stop()
	wg.Wait()
}

func restoreFile(t testing.TB, file string) *store.Store {
	t.Helper()
	from, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	path := place(t)
	if _, err := store.Restore(t.Context(), from, path, store.RestoreOptions{}); err != nil {
		t.Fatal(err)
	}
	return open(t, path, store.Options{})
}

// sample is a backup with rows and files, of more than 100 KB.
func sample(t testing.TB) []byte {
	t.Helper()
	s := open(t, place(t), store.Options{})
	noise := rand.NewChaCha8([32]byte{1})
	for range 30 {
		sc := begin(t, s)
		bits := make([]byte, 2000)
		noise.Read(bits)
		commit(t, s, mgx.Change{Events: []mgx.Event{note(sc, fmt.Sprintf("%x", bits))}})
	}
	var file bytes.Buffer
	_, err := s.WriteBackup(t.Context(), &file, store.BackupOptions{Files: func(f store.RunFiles) error {
		return f.Add("runs/"+string(f.Run.ID)+"/git/HEAD", 0o600, strings.NewReader("ref: refs/heads/mgx\n"))
	}})
	if err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// contents gathers what a restore hands out.
func contents(into map[string]string) store.RestoreOptions {
	return store.RestoreOptions{File: func(name string, mode fs.FileMode, r io.Reader) error {
		b, err := io.ReadAll(r)
		into[name] = fmt.Sprintf("%v %q", mode, b)
		return err
	}}
}

// damagedRestore restores into a new directory and returns what is in it then.
func damagedRestore(t testing.TB, file []byte) (left []string, path string, err error) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "mgx.db")
	_, err = store.Restore(t.Context(), bytes.NewReader(file), path, store.RestoreOptions{})
	entries, _ := os.ReadDir(filepath.Dir(path))
	for _, e := range entries {
		left = append(left, e.Name())
	}
	return left, path, err
}

func TestTruncatedBackupIsRefused(t *testing.T) {
	t.Parallel()
	file := sample(t)
	cuts := []int{0, 1, 9, 10, 11, len(file) - 1, len(file) - 8, len(file) - 9}
	for at := 4096; at < len(file); at += 4096 {
		cuts = append(cuts, at)
	}
	for _, at := range cuts {
		if left, _, err := damagedRestore(t, file[:at]); !mgx.IsCode(err, store.CodeBackupDamaged) || len(left) != 0 {
			t.Errorf("cut at %d of %d: %v, left %v", at, len(file), err, left)
		}
	}
	if left, _, err := damagedRestore(t, append(bytes.Clone(file), 0)); !mgx.IsCode(err, store.CodeBackupDamaged) || len(left) != 0 {
		t.Errorf("a byte too many: %v, left %v", err, left)
	}
	if _, _, err := damagedRestore(t, append(bytes.Clone(file), file...)); !mgx.IsCode(err, store.CodeBackupDamaged) {
		t.Errorf("two in one: %v", err)
	}
}

// A flipped bit is found, or is one of the few in gzip's own frame that carry
// nothing; then what is restored is what was backed up.
func TestFlippedBitsAreFound(t *testing.T) {
	t.Parallel()
	file := sample(t)
	_, sound, err := damagedRestore(t, file)
	if err != nil {
		t.Fatal(err)
	}
	want := tables(t, sound)
	random := rand.New(rand.NewPCG(1, 2))
	harmless := 0
	for i := range often(70, 150) {
		at := random.IntN(len(file))
		if i < 30 {
			at = i % 10 // the frame
		}
		spoilt := bytes.Clone(file)
		spoilt[at] ^= 1 << random.IntN(8)
		left, path, err := damagedRestore(t, spoilt)
		if err == nil {
			if harmless++; !reflect.DeepEqual(tables(t, path), want) {
				t.Errorf("a flip at %d changed what is restored", at)
			}
			if at >= 10 && at < len(file)-16 {
				t.Errorf("a flip at %d was not found", at)
			}
		} else if mgx.AsError(err).Kind != mgx.KindConfig || len(left) != 0 {
			t.Errorf("a flip at %d: %v, left %v", at, err, left)
		}
	}
	t.Logf("%d flips meant nothing", harmless)
}

// Whoever makes a valid stream of other lines gets no further than a clear
// refusal either.
func TestOddBackupsAreRefused(t *testing.T) {
	t.Parallel()
	text := unzip(t, sample(t))
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	header := lines[0]
	for name, c := range map[string]struct {
		text string
		code string
	}{
		"nothing":            {"", store.CodeBackupDamaged},
		"other JSON":         {"{}\n", store.CodeBackupDamaged},
		"a newer format":     {strings.Replace(text, `"mgx_backup":1`, `"mgx_backup":2`, 1), store.CodeBackupNewer},
		"a newer schema":     {strings.Replace(text, `"schema":`, `"schema":9`, 1), store.CodeBackupNewer},
		"no schema":          {header[:strings.Index(header, `"schema"`)] + `"schema":0` + header[strings.Index(header, `,"epoch"`):], store.CodeBackupDamaged},
		"another digest":     {strings.Replace(text, `"team"`, `"maet"`, 1), store.CodeBackupDamaged},
		"a lost row":         {strings.Join(append(append([]string{}, lines[:2]...), lines[3:]...), ""), store.CodeBackupDamaged},
		"an unknown table":   {header + `{"table":"mgx_schema"}` + "\n", store.CodeBackupDamaged},
		"SQL as a table":     {header + `{"table":"events; DROP TABLE events"}` + "\n", store.CodeBackupDamaged},
		"other columns":      {strings.Replace(text, `"position","id"`, `"position","data) --"`, 1), store.CodeBackupDamaged},
		"a table twice":      {header + lines[1] + lines[1], store.CodeBackupDamaged},
		"a way out":          {header + `{"file":"runs/../../x"}` + "\n", store.CodeBackupDamaged},
		"an absolute name":   {header + `{"file":"/etc/x"}` + "\n", store.CodeBackupDamaged},
		"a row of nothing":   {header + "[1]\n", store.CodeBackupDamaged},
		"a piece in a table": {header + lines[1] + "\"eA==\"\n", store.CodeBackupDamaged},
		"too few values":     {header + lines[1] + "[1]\n", store.CodeBackupDamaged},
		"an odd value":       {header + `{"table":"tasks"}` + "\n" + `["a",{"x":1},"b",2]` + "\n", store.CodeBackupDamaged},
		"an unknown mark":    {header + `{"tabel":"events"}` + "\n", store.CodeBackupDamaged},
	} {
		if left, _, err := damagedRestore(t, zip(t, c.text)); !mgx.IsCode(err, c.code) || len(left) != 0 {
			t.Errorf("%s: %v, left %v", name, err, left)
		}
	}
	if _, _, err := damagedRestore(t, zip(t, text)); err != nil {
		t.Errorf("the unchanged text, compressed again: %v", err)
	}
}

func unzip(t testing.TB, file []byte) string {
	t.Helper()
	zr, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func zip(t testing.TB, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	zw.Write([]byte(text))
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestRestoredFiles(t *testing.T) {
	t.Parallel()
	s := open(t, place(t), store.Options{})
	a, b := begin(t, s), begin(t, s)
	tree := strings.Repeat("a", 40)
	commit(t, s, mgx.Change{Events: []mgx.Event{a.Event(mgx.RunCheckpointed, mgx.CheckpointData{Tree: tree}), a.Event(mgx.ToolReturned, mgx.ToolResultData{Tree: strings.Repeat("b", 40)})}})
	large := strings.Repeat("\x00\xffbinary\n", 100_000)
	var file bytes.Buffer
	trees := map[mgx.RunID][]string{}
	m, err := s.WriteBackup(t.Context(), &file, store.BackupOptions{Files: func(f store.RunFiles) error {
		var err error
		trees[f.Run.ID], err = f.Trees()
		if err != nil || f.Run.ID != a.Run {
			return err
		}
		if err := f.Add("../x", 0o600, strings.NewReader("")); err == nil {
			t.Error("a name that leads out was taken")
		}
		return errorsJoin(f.Add("runs/a/empty", 0o444, strings.NewReader("")), f.Add("runs/a/large", 0o600, strings.NewReader(large)))
	}})
	if err != nil || m.Files != 2 {
		t.Fatalf("%+v %v", m, err)
	}
	if len(trees[a.Run]) != 2 || len(trees[b.Run]) != 0 {
		t.Errorf("trees %v", trees)
	}
	got, path := map[string]string{}, place(t)
	o := contents(got)
	order := ""
	o.Ready = func(store.Manifest) error {
		if _, err := os.Stat(path); err == nil {
			t.Error("the database is there before all is ready")
		}
		order += "ready"
		return nil
	}
	if _, err := store.Restore(t.Context(), bytes.NewReader(file.Bytes()), path, o); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"runs/a/empty": `-r--r--r-- ""`, "runs/a/large": fmt.Sprintf("-rw------- %q", large)}
	if !reflect.DeepEqual(got, want) || order != "ready" {
		t.Errorf("restored %d files, %q", len(got), order)
	}
	for _, spoil := range []func(*store.RestoreOptions){
		func(o *store.RestoreOptions) { o.Ready = func(store.Manifest) error { return os.ErrInvalid } },
		func(o *store.RestoreOptions) {
			o.File = func(string, fs.FileMode, io.Reader) error { return os.ErrInvalid }
		},
	} {
		var o store.RestoreOptions
		spoil(&o)
		path := place(t)
		if _, err := store.Restore(t.Context(), bytes.NewReader(file.Bytes()), path, o); err == nil {
			t.Error("an error of the caller was passed over")
		}
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
			t.Errorf("left %v", left)
		}
	}
}

func errorsJoin(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestRestoreNeverOverwrites(t *testing.T) {
	t.Parallel()
	file := sample(t)
	for _, name := range []string{"mgx.db", "mgx.db-wal"} {
		dir := t.TempDir()
		os.WriteFile(filepath.Join(dir, name), nil, 0o600)
		_, err := store.Restore(t.Context(), bytes.NewReader(file), filepath.Join(dir, "mgx.db"), store.RestoreOptions{})
		if left, _ := os.ReadDir(dir); !mgx.IsCode(err, store.CodeNotEmpty) || len(left) != 1 {
			t.Errorf("%s: %v, left %v", name, err, left)
		}
	}
}

// Each earlier schema's backup, which is made here by hand from its dump, is
// restored and brought up to date.
func TestRestoreOlderSchemas(t *testing.T) {
	t.Parallel()
	dumps, _ := filepath.Glob("testdata/v*.sql")
	for i := range dumps {
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			t.Parallel()
			path := place(t)
			os.MkdirAll(filepath.Dir(path), 0o700)
			dump, err := os.ReadFile(fmt.Sprintf("testdata/v%d.sql", i+1))
			if err != nil {
				t.Fatal(err)
			}
			raw(t, path, string(dump))
			copied := place(t)
			if _, err := store.Restore(t.Context(), bytes.NewReader(backupOf(t, path, i+1)), copied, store.RestoreOptions{}); err != nil {
				t.Fatal(err)
			}
			s := open(t, copied, store.Options{})
			if err := s.Verify(t.Context()); err != nil {
				t.Error(err)
			}
			usable(t, s)
		})
	}
}

// backupOf writes the backup that the program of a schema would have written.
func backupOf(t testing.TB, path string, schema int) []byte {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var text strings.Builder
	type table struct {
		Name    string   `json:"name"`
		Columns []string `json:"columns"`
	}
	var named []table
	counts := map[string]int{}
	order := []string{"events", "tasks", "runs", "executions"} // parents first
	for _, name := range column(t, db, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('mgx_schema', 'epoch', 'shared_keys', 'task_words') AND name NOT LIKE 'task\_index%' ESCAPE '\' ORDER BY name IN ('webhooks', 'consumers', 'budgets') DESC`) {
		if !slices.Contains(order, name) {
			order = append(order, name)
		}
	}
	for _, name := range order {
		rows, err := db.Query(`SELECT * FROM ` + name)
		if err != nil {
			t.Fatal(err)
		}
		columns, _ := rows.Columns()
		named = append(named, table{name, columns})
		fmt.Fprintf(&text, "{\"table\":%q}\n", name)
		counts[name] = 0
		for rows.Next() {
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			line, _ := json.Marshal(values)
			fmt.Fprintf(&text, "%s\n", line)
			counts[name]++
		}
		rows.Close()
	}
	header, _ := json.Marshal(map[string]any{"mgx_backup": 1, "schema": schema, "epoch": "e", "created_at": mgx.Now(), "tables": named})
	body := string(header) + "\n" + text.String()
	footer, _ := json.Marshal(map[string]any{"end": true, "rows": counts, "sha256": fmt.Sprintf("%x", sha256.Sum256([]byte(body)))})
	return zip(t, body+string(footer)+"\n")
}

// Whoever worked when the backup was made has no lease in the copy.
func TestRestoredLeasesHaveEnded(t *testing.T) {
	t.Parallel()
	s := open(t, place(t), store.Options{})
	sc := begin(t, s)
	claim := mgx.ClaimRequest{Owner: "a", TTL: 1e12, Now: mgx.Now(), Only: sc.Execution, Alive: func(string) bool { return true }}
	first, ok, err := s.Claim(t.Context(), claim)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	file := filepath.Join(t.TempDir(), "backup")
	m, err := s.Backup(t.Context(), file, store.BackupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	copied := restoreFile(t, file)
	if e, err := copied.Execution(t.Context(), sc.Execution); err != nil || !e.LeaseUntil.Equal(m.CreatedAt) {
		t.Errorf("the lease ends at %v, not %v: %v", e.LeaseUntil, m.CreatedAt, err)
	}
	claim.Owner, claim.Now = "b", mgx.Now()
	if e, ok, err := copied.Claim(t.Context(), claim); err != nil || !ok || e.Term != first.Term+1 {
		t.Errorf("claimed %+v %v %v", e, ok, err)
	}
}
