package store_test

import (
	"testing"

	"mgx/internal/store"
	"mgx/internal/store/pgtest"
	"mgx/internal/store/storetest"
)

func TestAccess(t *testing.T) {
	t.Parallel()
	storetest.RunAccess(t, func(tb testing.TB) func() storetest.AccessStore {
		path := place(tb)
		return func() storetest.AccessStore { return open(tb, path, store.Options{}) }
	})
}

func TestAccessPostgres(t *testing.T) {
	t.Parallel()
	storetest.RunAccess(t, func(tb testing.TB) func() storetest.AccessStore {
		address := pgtest.NewDatabase(tb)
		return func() storetest.AccessStore { return open(tb, address, store.Options{}) }
	})
}
