package main

import (
	"context"
	"path/filepath"
	"testing"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/store"
)

// A call that ends while the database cannot be written is settled at what it cost
// when it can be again, before the next call needs the money.
func TestOwedCallsAreSettled(t *testing.T) {
	t.Parallel()
	at := filepath.Join(t.TempDir(), "mgx.db")
	open := func() *store.Store {
		s, err := store.Open(t.Context(), at, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	limit := 10 * mgx.USD
	key := mgx.APIKey{ID: mgx.NewID[mgx.KeyID]("key"), Workspace: mgx.DefaultWorkspace, User: "user_a", Budget: &limit}
	var due owed
	away := open()
	b := &books{store: away, owner: "o", owed: &due}
	spend := llm.Spend{ID: "1", Amount: 8 * mgx.USD, Provider: "p", Model: "m", PriceKnown: true}
	first, second := b.Open(context.Background(), key, "a"), b.Open(context.Background(), key, "b")
	if err := first.Reserve(spend); err != nil {
		t.Fatal(err)
	}
	away.Close()
	if err := first.Close(mgx.Settlement{ID: "1", Amount: mgx.USD}, nil); err == nil {
		t.Fatal("it was written")
	}
	if err := second.Reserve(spend); err == nil {
		t.Fatal("money was set aside")
	}
	back := open()
	b.store = back
	if err := second.Reserve(spend); err != nil {
		t.Fatal(err)
	}
	if settled, open, err := back.Spent(t.Context(), mgx.RunID(key.ID)); err != nil || settled != mgx.USD || open != 8*mgx.USD {
		t.Errorf("settled %s, open %s, %v", settled, open, err)
	}
	// What turns out to have been written is forgotten.
	due.add(context.Background(), mgx.Change{Settle: []mgx.Settlement{{ID: first.(*callAccount).ids["1"], Amount: mgx.USD}}})
	for range 2 {
		if n, err := due.settle(back); n != 0 || err != nil {
			t.Errorf("settled %d again, %v", n, err)
		}
	}
}
