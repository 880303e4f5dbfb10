package store_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

// Of many processes that begin at once all sign with the key that one of them
// made; it is replaced by and by, and what it signed is still taken for long.
func TestSharedKeys(t *testing.T) {
	t.Parallel()
	path := place(t)
	for name, at := range map[string]string{"SQLite": path, "PostgreSQL": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if at == "" {
				at = pgtest.NewDatabase(t)
			}
			var mu sync.Mutex
			now := mgx.Now()
			clock := store.Options{Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }}
			pass := func(d time.Duration) { mu.Lock(); now = now.Add(d); mu.Unlock() }
			stores := make([]*store.Store, 4)
			for i := range stores {
				stores[i] = open(t, at, clock)
			}
			ask := func(fresh string) []string {
				got := make([][]string, len(stores)*3)
				var all sync.WaitGroup
				for i := range got {
					all.Go(func() {
						var err error
						if got[i], err = stores[i%len(stores)].SharedKeys(t.Context(), "k", fresh+strings.Repeat("x", i)); err != nil {
							t.Error(err)
						}
					})
				}
				all.Wait()
				for _, g := range got {
					if !slices.Equal(g, got[0]) {
						t.Fatalf("%q and %q", g, got[0])
					}
				}
				return got[0]
			}
			s := stores[0]
			first := ask("first")
			if len(first) != 1 || !strings.HasPrefix(first[0], "first") {
				t.Fatalf("got %q", first)
			}
			for range 2 {
				if err := s.AdoptKey(t.Context(), "k", "old"); err != nil {
					t.Fatal(err)
				}
			}
			if got := ask("no"); !slices.Equal(got, []string{first[0], "old"}) {
				t.Errorf("with one that was kept elsewhere: %q", got)
			}
			pass(89 * 24 * time.Hour)
			if got := ask("no"); !slices.Equal(got, []string{first[0], "old"}) {
				t.Errorf("after 89 days: %q", got)
			}
			pass(2 * 24 * time.Hour)
			second := ask("second")
			if len(second) != 2 || second[1] != first[0] {
				t.Errorf("after 91 days: %q", second)
			}
			pass(91 * 24 * time.Hour)
			if got, err := s.KnownKeys(t.Context(), "k"); err != nil || !slices.Equal(got, second[:1]) {
				t.Errorf("after 182 days: %q %v", got, err)
			}
			if err := s.AdoptKey(t.Context(), "other", "kept"); err != nil {
				t.Fatal(err)
			}
			if got, err := s.SharedKeys(t.Context(), "other", "no"); err != nil || !slices.Equal(got, []string{"kept"}) {
				t.Errorf("one that was kept elsewhere and is the first: %q %v", got, err)
			}
			var file strings.Builder
			if _, err := s.WriteBackup(t.Context(), &file, store.BackupOptions{}); err != nil {
				t.Fatal(err)
			}
			copied := place(t)
			if _, err := store.Restore(t.Context(), strings.NewReader(file.String()), copied, store.RestoreOptions{}); err != nil {
				t.Fatal(err)
			}
			if got, err := open(t, copied, store.Options{}).KnownKeys(t.Context(), "other"); err != nil || len(got) != 0 {
				t.Errorf("a restored copy has %q %v", got, err)
			}
		})
	}
}
