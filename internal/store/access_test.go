package store_test

import (
	"testing"
	"time"

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

func TestSignIn(t *testing.T) {
	t.Parallel()
	storetest.RunSignIn(t, func(tb testing.TB, now func() time.Time) storetest.SignInStore {
		return open(tb, place(tb), store.Options{Now: now})
	})
}

func TestSignInPostgres(t *testing.T) {
	t.Parallel()
	storetest.RunSignIn(t, func(tb testing.TB, now func() time.Time) storetest.SignInStore {
		return open(tb, pgtest.NewDatabase(tb), store.Options{Now: now})
	})
}
