//go:build linux

package native_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mgx/internal/sandbox/sandboxtest"
)

// The page that has the table of cases, and the marks around it.
const (
	page  = "../../../docs/sandbox.md"
	begin = "<!-- table: written by `make docs` -->\n"
	end   = "<!-- end of table -->\n"
)

// TestTable compares the page with what came of all cases when MGX_UPDATE had the
// tests of each driver keep that. With MGX_UPDATE it writes the page.
func TestTable(t *testing.T) {
	var columns []sandboxtest.Column
	for _, name := range []string{
		"native/testdata/native-root", "native/testdata/lite-root", "native/testdata/native-user", "native/testdata/lite-user", "docker/testdata/docker-root",
		"docker/testdata/docker-user", "docker/testdata/podman-root", "docker/testdata/podman-user", "gvisor/testdata/gvisor-root",
	} {
		columns = append(columns, sandboxtest.ReadColumn(t, filepath.Join("..", name+".json")))
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	table, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no marks for the table", page)
	}
	want := "\n" + sandboxtest.Table(columns) + "\n"
	if os.Getenv("MGX_UPDATE") != "" && !t.Failed() {
		if err := os.WriteFile(page, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if table != want {
		t.Errorf("%s has another table than what came of the cases; run make docs", page)
	}
}
