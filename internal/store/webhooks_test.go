package store_test

import (
	"testing"

	"mgx/internal/store"
	"mgx/internal/store/storetest"
)

func TestWebhooksSQLite(t *testing.T) {
	t.Parallel()
	storetest.RunWebhooks(t, func(t testing.TB) storetest.WebhookStore { return open(t, place(t), store.Options{}) })
}

func TestWebhooksPostgres(t *testing.T) {
	t.Parallel()
	storetest.RunWebhooks(t, func(t testing.TB) storetest.WebhookStore { return open(t, newDatabase(t), store.Options{}) })
}
