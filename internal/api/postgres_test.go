package api_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mgx/internal/store/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// townDatabase is where a town is kept: a SQLite file or, for the tests below
// TestOnPostgreSQL and for all with MGX_TEST_DATABASE=postgres, a PostgreSQL
// database, behind whose second wall the same must be true.
func townDatabase(t testing.TB) string {
	if os.Getenv("MGX_TEST_DATABASE") == "postgres" || strings.HasPrefix(t.Name(), "TestOnPostgreSQL/") {
		return pgtest.NewDatabase(t)
	}
	return filepath.Join(t.TempDir(), "mgx.db")
}

// What the API promises holds on PostgreSQL too, with row-level security forced:
// every route by everybody, no id of another tenant's, terms of requests, sessions,
// the work of a workspace, and that nothing that is sent makes the server fail.
func TestOnPostgreSQL(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){
		"EveryRouteByEverybody": TestEveryRouteByEverybody, "NoIDOpensAnotherTenants": TestNoIDOpensAnotherTenants, "NoUpdateIsLost": TestNoUpdateIsLost,
		"OneUpdateWins": TestOneUpdateWins, "DoneOnce": TestDoneOnce, "Sessions": TestSessions, "WorkOverHTTP": TestWorkOverHTTP,
		"AnythingIsAnswered": TestAnythingIsAnswered, "WhatIsNoText": TestWhatIsNoText,
		"ErasedWorkspaceByEveryRoute": TestErasedWorkspaceByEveryRoute, "DenialsAreRecorded": TestDenialsAreRecorded,
	} {
		t.Run(name, test)
	}
}
