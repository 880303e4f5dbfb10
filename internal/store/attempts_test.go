package store_test

import (
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

// Processes count attempts together and a restart forgets none; whoever comes from
// another network is not kept out, however many fail.
func TestAttempts(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]func(testing.TB) string{"SQLite": place, "PostgreSQL": pgtest.NewDatabase} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := where(t)
			now := mgx.Now()
			process := func() *access.Attempts {
				return access.NewAttempts(func() time.Time { return now }, open(t, at, store.Options{}))
			}
			a, b := process(), process()
			try := func(a *access.Attempts, account, address string) (func(), error) {
				_, succeeded, err := a.Try(t.Context(), account, address)
				return succeeded, err
			}
			owner := func() { // from elsewhere
				t.Helper()
				for _, a := range []*access.Attempts{a, b} {
					succeeded, err := try(a, "jo", "198.51.100.7")
					if err != nil {
						t.Fatalf("the owner is kept out: %v", err)
					}
					succeeded()
				}
			}
			for i := range 5 {
				if _, err := try([]*access.Attempts{a, b}[i%2], "jo", "192.0.2.1"); err != nil {
					t.Fatal(i, err)
				}
			}
			for wait := time.Second; wait < 20*time.Minute; wait *= 2 {
				c := process() // which knows nothing yet
				for _, a := range []*access.Attempts{a, b, c} {
					if _, err := try(a, "jo", "192.0.2.1"); !mgx.IsCode(err, access.CodeTooManyAttempts) {
						t.Fatalf("before %s: %v", wait, err)
					}
				}
				owner()
				now = now.Add(min(wait, 15*time.Minute))
				if _, err := try(c, "jo", "192.0.2.1"); err != nil {
					t.Fatalf("after %s: %v", wait, err)
				}
			}
			now = now.Add(24 * time.Hour) // then it is forgotten
			for i := range 5 {
				if _, err := try(a, "jo", "192.0.2.1"); err != nil {
					t.Fatal(i, err)
				}
			}
			now = now.Add(time.Second)
			succeeded, err := try(b, "jo", "192.0.2.1")
			if err != nil {
				t.Fatal(err)
			}
			succeeded()
			if _, err := try(a, "jo", "192.0.2.1"); err != nil {
				t.Fatalf("after a success: %v", err)
			}
		})
	}
}

// Of many attempts at once only as many are made as one after the other would be.
func TestAttemptsAtOnce(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]func(testing.TB) string{"SQLite": place, "PostgreSQL": pgtest.NewDatabase} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := where(t)
			now := mgx.Now()
			var made atomic.Int64
			var all sync.WaitGroup
			for range 2 {
				a := access.NewAttempts(func() time.Time { return now }, open(t, at, store.Options{}))
				for range 20 {
					all.Go(func() {
						switch _, _, err := a.Try(t.Context(), "jo", "2001:db8::1"); {
						case err == nil:
							made.Add(1)
						case !mgx.IsCode(err, access.CodeTooManyAttempts):
							t.Error(err)
						}
					})
				}
			}
			all.Wait()
			if made.Load() != 5 {
				t.Errorf("%d of 40 attempts were made, 5 are free", made.Load())
			}
		})
	}
}

// Attempts on accounts that nobody has, from everywhere, do not fill the database.
func TestAttemptsAreForgotten(t *testing.T) {
	t.Parallel()
	at := place(t)
	s := open(t, at, store.Options{})
	raw(t, at, `INSERT INTO attempts (id, failed, until, last) VALUES `+strings.Repeat(`('a' || hex(randomblob(8)), 1, 0, 5), `, 99_999)+`('kept', 6, 0, 9000000000000000)`)
	for i := range 3 {
		if _, _, err := s.Attempt(t.Context(), fmt.Sprint("new", i), mgx.Now(), func(int) time.Duration { return 0 }); err != nil {
			t.Fatal(err)
		}
	}
	stats := number(t, at, `SELECT COUNT(*) FROM attempts`)
	if stats > 99_800 {
		t.Errorf("%d attempts are kept", stats)
	}
	if number(t, at, `SELECT COUNT(*) FROM attempts WHERE id = 'kept'`) != 1 {
		t.Error("the one whose time is not over was forgotten")
	}
}

// number asks a SQLite file for one.
func number(t *testing.T, path, query string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
