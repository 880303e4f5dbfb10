package store_test

import (
	"context"
	"path/filepath"
	"testing"

	"mgx/internal/store"
	"mgx/internal/store/storetest"
)

// place returns the path of a database that does not exist yet.
func place(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "data", "mgx.db")
}

func open(t testing.TB, path string, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Opener {
		path := place(t)
		return func(t testing.TB, set ...func(*store.Options)) storetest.Store {
			return open(t, path, storetest.Options(set))
		}
	})
}
