package store_test

import (
	"context"
	"os"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// often is how often a test does something that costs much; MGX_SOAK=1 makes it
// more.
func often(usually, soaking int) int {
	if os.Getenv("MGX_SOAK") != "" {
		return soaking
	}
	return usually
}

// checkFew is rapid.Check with fewer examples, for those that cost a database each,
// until one fails.
func checkFew(t *testing.T, examples int, f func(*rapid.T)) {
	n, failed := 0, false
	rapid.Check(t, func(rt *rapid.T) {
		if n++; n > examples && !failed {
			return
		}
		passed := false
		defer func() { failed = failed || !passed }()
		f(rt)
		passed = true
	})
}

var template struct {
	sync.Once
	address string
}

// newDatabase returns the address of a new database with our schema in it: a copy,
// which takes a tenth of the time of making it. All copies have one epoch.
func newDatabase(t testing.TB) string {
	t.Helper()
	template.Do(func() {
		address := pgtest.NewDatabase(t)
		s, err := store.Open(context.Background(), address, store.Options{})
		if err == nil {
			err = s.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		template.address = address
	})
	if template.address == "" {
		return pgtest.NewDatabase(t) // which says why there is none
	}
	return pgtest.Copy(t, template.address)
}
