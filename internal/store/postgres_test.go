package store_test

import (
	"strings"
	"testing"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
	"mgx/internal/store/storetest"
)

func TestPostgres(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t testing.TB) storetest.Opener {
		address := newDatabase(t)
		return func(t testing.TB, set ...func(*store.Options)) storetest.Store {
			return open(t, address, storetest.Options(set))
		}
	})
}

// What cannot be used is refused with a reason and left as it was.
func TestPostgresRefused(t *testing.T) {
	t.Parallel()
	foreign, newer, older := pgtest.NewDatabase(t), pgtest.NewDatabase(t), pgtest.NewDatabase(t)
	pgtest.SQL(t, foreign, `CREATE TABLE customers (id INT)`)
	for _, address := range []string{newer, older} {
		create(t, address)
	}
	pgtest.SQL(t, newer, `INSERT INTO mgx_schema VALUES (99, 'later', 0)`)
	pgtest.SQL(t, older, `DELETE FROM mgx_schema`)
	for name, c := range map[string]struct {
		address, code string
		o             store.Options
	}{
		"another program's": {foreign, store.CodeForeign, store.Options{}},
		"a newer one":       {newer, store.CodeNewer, store.Options{}},
		"an older one":      {older, store.CodeOlder, store.Options{ReadOnly: true}},
		"none":              {strings.Replace(foreign, "/test", "/nosuch", 1), store.CodeRefused, store.Options{}},
		"nobody's":          {strings.Replace(foreign, "mgx@", "nobody:hunter22@", 1), store.CodeRefused, store.Options{}},
		"no server":         {"postgres://me:hunter22@127.0.0.1:1/x", store.CodeUnavailable, store.Options{}},
		"no address":        {"postgres://me:hunter22@a b/x", "database_unusable", store.Options{}},
	} {
		s, err := store.Open(t.Context(), c.address, c.o)
		if err == nil {
			s.Close()
		}
		if !mgx.IsCode(err, c.code) {
			t.Errorf("%s: got %v, want code %s", name, err, c.code)
		} else if strings.Contains(err.Error(), "hunter22") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := pgtest.SQL(t, foreign, `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`); got != "1" {
		t.Errorf("another program's database has %s tables now", got)
	}
}

func TestPostgresReadOnly(t *testing.T) {
	t.Parallel()
	address := pgtest.NewDatabase(t)
	sc := create(t, address)
	s := open(t, address, store.Options{ReadOnly: true})
	if r, err := s.Run(t.Context(), sc.Workspace, sc.Run); err != nil || r.ID != sc.Run {
		t.Errorf("read %+v %v", r, err)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := s.Commit(t.Context(), mgx.Change{Events: []mgx.Event{note(sc, "x")}}); !mgx.IsCode(err, store.CodeReadOnly) {
		t.Errorf("wrote: %v", err)
	}
}

// Text that a database cannot hold is refused, and nothing of its change is kept.
func TestPostgresText(t *testing.T) {
	t.Parallel()
	s := open(t, newDatabase(t), store.Options{})
	sc := begin(t, s)
	for name, e := range map[string]mgx.Event{
		"broken UTF-8": {ID: mgx.NewEventID(), Type: mgx.RunNoted, Workspace: sc.Workspace, Stream: "task_x", Data: []byte("{\"a\":\"\xff\"}")},
		"a zero byte":  {ID: mgx.NewEventID(), Type: mgx.RunNoted, Workspace: sc.Workspace, Stream: "task_x", Correlation: "a\x00b", Data: []byte(`{}`)},
	} {
		if _, err := s.Commit(t.Context(), mgx.Change{Events: []mgx.Event{note(sc, "x"), e}}); !mgx.IsCode(err, "bad_text") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n, err := s.Head(t.Context()); err != nil || n != 1 {
		t.Errorf("head %d %v", n, err)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}
