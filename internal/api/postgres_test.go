package api_test

import (
	"os"
	"path/filepath"
	"testing"

	"mgx/internal/store/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// townDatabase is where a town is kept: a SQLite file or, with
// MGX_TEST_DATABASE=postgres, a PostgreSQL database, behind whose second wall the
// same must be true.
func townDatabase(t testing.TB) string {
	if os.Getenv("MGX_TEST_DATABASE") == "postgres" {
		return pgtest.NewDatabase(t)
	}
	return filepath.Join(t.TempDir(), "mgx.db")
}
