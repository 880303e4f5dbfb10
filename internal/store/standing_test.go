package store_test

import (
	"database/sql"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
)

// What a newer program made of the schema is seen by who is still at work.
func TestTryVersion(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ driver, place string }{"sqlite": {"sqlite", place(t)}, "postgres": {"pgx", ""}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.place == "" {
				c.place = newDatabase(t)
			}
			s := open(t, c.place, store.Options{})
			if err := s.TryVersion(t.Context()); err != nil {
				t.Error(err)
			}
			acts(t, s, 2)
			sign(t, s, time.Now())
			st, err := s.Standing(t.Context())
			if err != nil || st.Kind != name || st.Server == "" || st.Schema < 13 || st.Schema != st.Known || st.Checkpoint.IsZero() || st.Due != 0 {
				t.Errorf("%+v %v", st, err)
			}
			for action, done := range map[string]bool{"key.create": true, "key.creat_": false, "data.backup": false} {
				if at, err := s.LastAct(t.Context(), mgx.DefaultWorkspace, action); err != nil || at.IsZero() == done {
					t.Errorf("%s: %v %v", action, at, err)
				}
			}
			db, err := sql.Open(c.driver, c.place)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.Exec(`INSERT INTO mgx_schema (version, name, applied_at) VALUES (9999, 'later', 1)`); err != nil {
				t.Fatal(err)
			}
			if err := s.TryVersion(t.Context()); !mgx.IsCode(err, store.CodeNewer) {
				t.Errorf("a newer schema: %v", err)
			}
		})
	}
}
