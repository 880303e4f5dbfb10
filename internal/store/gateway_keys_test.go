package store_test

import (
	"testing"

	"mgx/internal/store"
	"mgx/internal/store/pgtest"
	"mgx/internal/store/storetest"
)

func TestGatewayKeys(t *testing.T) {
	t.Parallel()
	storetest.RunGatewayKeys(t, open(t, place(t), store.Options{}))
}

func TestGatewayKeysPostgres(t *testing.T) {
	t.Parallel()
	storetest.RunGatewayKeys(t, open(t, pgtest.NewDatabase(t), store.Options{}))
}
