package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"mgx"
	"mgx/internal/store"
)

// create makes a database with one run in it and closes it.
func create(t testing.TB, path string) mgx.Scope {
	t.Helper()
	s, err := store.Open(context.Background(), path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	sc := begin(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return sc
}

func newScope() mgx.Scope {
	return mgx.Scope{Workspace: mgx.DefaultWorkspace, Task: mgx.NewTaskID(), Run: mgx.NewRunID(), Execution: mgx.NewExecutionID()}
}

func begin(t testing.TB, s *store.Store) mgx.Scope {
	t.Helper()
	sc := newScope()
	task := mgx.TaskInfo{ID: sc.Task, Title: "a task"}
	commit(t, s, mgx.Change{
		Create: []mgx.Execution{{Scope: sc, Workflow: "team"}},
		Events: []mgx.Event{sc.Event(mgx.RunCreated, mgx.RunCreatedData{Task: task, Settings: mgx.RunSettings{Approve: "auto"}})},
	})
	return sc
}

func note(sc mgx.Scope, text string) mgx.Event {
	return sc.Event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: text})
}

func commit(t testing.TB, s *store.Store, c mgx.Change) mgx.Committed {
	t.Helper()
	out, err := s.Commit(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// raw runs SQL behind the store's back.
func raw(t testing.TB, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range statements {
		if _, err := db.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

func TestFilesArePrivate(t *testing.T) {
	t.Parallel()
	path := place(t)
	s := open(t, path, store.Options{})
	begin(t, s)
	for name, want := range map[string]os.FileMode{filepath.Dir(path): 0o700 | os.ModeDir, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600} {
		info, err := os.Stat(name)
		if err != nil {
			t.Error(err)
		} else if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), want)
		}
	}
}

func TestOddNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"with space", "a?b#c%20d&mode=ro", "ünï\ncode", "file:x", "'q\"uote"} {
		path := filepath.Join(t.TempDir(), name, name+".db")
		create(t, path)
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		s := open(t, path, store.Options{ReadOnly: true})
		if n, err := s.Head(t.Context()); err != nil || n != 1 {
			t.Errorf("%q: head %d %v", name, n, err)
		}
	}
}

// What is not a sound database of ours is refused, and stays as it is.
func TestRefusedFilesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	ours := place(t)
	create(t, ours)
	sound, err := os.ReadFile(ours)
	if err != nil {
		t.Fatal(err)
	}
	spoilt := func(from, to int) []byte {
		b := bytes.Clone(sound)
		for i := from; i < to; i++ {
			b[i] = 0xAA
		}
		return b
	}
	newer, foreign := place(t), place(t)
	create(t, newer)
	raw(t, newer, `INSERT INTO mgx_schema (version, name, applied_at) VALUES (999, 'future', 0)`)
	os.MkdirAll(filepath.Dir(foreign), 0o700)
	raw(t, foreign, `CREATE TABLE songs (title TEXT)`)
	read := func(path string) []byte { b, _ := os.ReadFile(path); return b }

	for name, c := range map[string]struct {
		content []byte
		code    string
	}{
		"text":              {bytes.Repeat([]byte("this is not a database\n"), 1000), store.CodeCorrupt},
		"five bytes":        {[]byte("hello"), store.CodeCorrupt},
		"zeros":             {make([]byte, 8192), store.CodeCorrupt},
		"header only":       {sound[:100], store.CodeCorrupt},
		"truncated":         {sound[:len(sound)/2], store.CodeCorrupt},
		"spoilt header":     {spoilt(16, 100), store.CodeCorrupt},
		"spoilt schema":     {spoilt(100, 4096), store.CodeCorrupt},
		"newer":             {read(newer), store.CodeNewer},
		"another program's": {read(foreign), store.CodeForeign},
	} {
		path := place(t)
		os.MkdirAll(filepath.Dir(path), 0o700)
		if err := os.WriteFile(path, c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, readOnly := range []bool{false, true} {
			s, err := store.Open(t.Context(), path, store.Options{ReadOnly: readOnly})
			if !mgx.IsCode(err, c.code) || mgx.AsError(err).Kind != mgx.KindConfig {
				t.Errorf("%s (read-only %v): got %v, want code %s", name, readOnly, err, c.code)
			}
			if err == nil {
				s.Close()
			}
			if !bytes.Equal(read(path), c.content) {
				t.Errorf("%s (read-only %v): the file was changed", name, readOnly)
			}
		}
	}
}

// SQLite takes an empty file for a new database and deletes the log beside it,
// which may be all that is left of somebody's work.
func TestEmptyFileBesideALog(t *testing.T) {
	t.Parallel()
	for _, empty := range []bool{true, false} {
		path := place(t)
		os.MkdirAll(filepath.Dir(path), 0o700)
		log := []byte("work")
		os.WriteFile(path+"-wal", log, 0o600)
		if empty {
			os.WriteFile(path, nil, 0o600)
		}
		if _, err := store.Open(t.Context(), path, store.Options{}); !mgx.IsCode(err, store.CodeCorrupt) {
			t.Errorf("got %v", err)
		}
		if b, _ := os.ReadFile(path + "-wal"); !bytes.Equal(b, log) {
			t.Error("the log was changed")
		}
	}
}

func TestDirectoryInTheWay(t *testing.T) {
	t.Parallel()
	path := place(t)
	os.MkdirAll(path, 0o700)
	for _, readOnly := range []bool{false, true} {
		if _, err := store.Open(t.Context(), path, store.Options{ReadOnly: readOnly}); !mgx.IsCode(err, "database_unusable") {
			t.Errorf("got %v", err)
		}
	}
	if _, err := store.Open(t.Context(), filepath.Join(path, "\x00", "x.db"), store.Options{}); mgx.AsError(err).Kind != mgx.KindConfig {
		t.Errorf("got %v", err)
	}
	file := filepath.Join(path, "file")
	os.WriteFile(file, nil, 0o600)
	if _, err := store.Open(t.Context(), filepath.Join(file, "mgx.db"), store.Options{}); !mgx.IsCode(err, "database_unusable") {
		t.Errorf("got %v", err)
	}
}

// Damage inside the file is reported when it is read, and by Verify.
func TestDamagedPages(t *testing.T) {
	t.Parallel()
	path := place(t)
	s := open(t, path, store.Options{})
	sc := begin(t, s)
	for range 400 {
		commit(t, s, mgx.Change{Events: []mgx.Event{note(sc, string(bytes.Repeat([]byte("x"), 1000)))}})
	}
	s.Close()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, _ := f.Stat()
	for at := info.Size() / 2 / 4096 * 4096; at < info.Size(); at += 4096 { // beyond the roots of all tables
		f.WriteAt(bytes.Repeat([]byte{0xAA}, 64), at)
	}
	f.Close()
	s = open(t, path, store.Options{})
	if err := s.Verify(t.Context()); !mgx.IsCode(err, store.CodeCorrupt) {
		t.Errorf("Verify: %v", err)
	}
	if _, err := s.Events(t.Context(), store.EventQuery{}); !mgx.IsCode(err, store.CodeCorrupt) {
		t.Errorf("Events: %v", err)
	}
}

// Many processes may be the first at once.
func TestCreateConcurrently(t *testing.T) {
	t.Parallel()
	path := place(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := store.Open(context.Background(), path, store.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			sc := newScope()
			if _, err := s.Commit(context.Background(), mgx.Change{Events: []mgx.Event{sc.Event(mgx.RunCreated, mgx.RunCreatedData{})}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := open(t, path, store.Options{})
	if n, err := s.Head(t.Context()); err != nil || n != 8 {
		t.Errorf("head %d %v, want 8", n, err)
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	path := place(t)
	if _, err := store.Open(t.Context(), path, store.Options{ReadOnly: true}); !mgx.IsCode(err, mgx.CodeNotFound) {
		t.Errorf("without a database: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("opening to read created a file")
	}
	live := open(t, path, store.Options{})
	sc := begin(t, live)
	s := open(t, path, store.Options{ReadOnly: true})
	if r, err := s.Run(t.Context(), sc.Workspace, sc.Run); err != nil || r.Sequence != 1 {
		t.Errorf("got %+v %v", r, err)
	}
	before, _ := s.Version(t.Context())
	commit(t, live, mgx.Change{Events: []mgx.Event{note(sc, "x")}})
	if after, err := s.Version(t.Context()); err != nil || after == before {
		t.Error("the version did not move")
	}
	if n, _ := s.Head(t.Context()); n != 2 {
		t.Errorf("head %d, want 2", n)
	}
	if _, err := s.Commit(t.Context(), mgx.Change{}); !mgx.IsCode(err, store.CodeReadOnly) {
		t.Errorf("Commit: %v", err)
	}
	claim := mgx.ClaimRequest{Owner: "w", TTL: 1, Now: mgx.Now(), Only: sc.Execution}
	if _, _, err := s.Claim(t.Context(), claim); !mgx.IsCode(err, store.CodeReadOnly) {
		t.Errorf("Claim: %v", err)
	}
	if _, err := s.Backup(t.Context(), path+".copy", store.BackupOptions{}); err != nil {
		t.Errorf("Backup: %v", err)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	raw(t, path, `DELETE FROM mgx_schema`)
	if _, err := store.Open(t.Context(), path, store.Options{ReadOnly: true}); !mgx.IsCode(err, store.CodeOlder) {
		t.Errorf("an older schema: %v", err)
	}
}
