package store_test

import (
	"testing"

	"mgx/internal/store"
	"mgx/internal/store/pgtest"
	"mgx/internal/store/storetest"
)

func TestPostgres(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t testing.TB) storetest.Opener {
		address := pgtest.NewDatabase(t)
		return func(t testing.TB, set ...func(*store.Options)) storetest.Store {
			return open(t, address, storetest.Options(set))
		}
	})
}
