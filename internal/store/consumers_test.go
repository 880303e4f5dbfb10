package store_test

import (
	"testing"

	"mgx/internal/store"
	"mgx/internal/store/storetest"
)

func TestConsumersSQLite(t *testing.T) {
	t.Parallel()
	storetest.RunConsumers(t, func(t testing.TB) func() storetest.ConsumerStore {
		path := place(t)
		return func() storetest.ConsumerStore { return open(t, path, store.Options{}) }
	})
}

func TestConsumersPostgres(t *testing.T) {
	t.Parallel()
	storetest.RunConsumers(t, func(t testing.TB) func() storetest.ConsumerStore {
		address := newDatabase(t)
		return func() storetest.ConsumerStore { return open(t, address, store.Options{}) }
	})
}
