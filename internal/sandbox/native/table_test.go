//go:build linux

package native_test

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/native"
	"mgx/internal/sandbox/sandboxtest"
)

// The page that has the table of cases, and the marks around it.
const (
	page  = "../../../docs/sandbox.md"
	begin = "<!-- table: written by `make docs` -->\n"
	end   = "<!-- end of table -->\n"
)

// scoresEnv names the file that TestScores writes.
const scoresEnv = "MGX_SANDBOX_SCORES"

// TestScores writes what came of all cases for whoever it runs as.
func TestScores(t *testing.T) {
	out := os.Getenv(scoresEnv)
	if out == "" {
		t.Skip("it is run by TestTable")
	}
	text, err := json.Marshal(columns(t, "ordinary user"))
	if err == nil {
		err = os.WriteFile(out, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// columns fails when something got through that should not have.
func columns(t *testing.T, who string) (list []sandboxtest.Column) {
	for _, d := range []sandbox.Driver{native.New(), native.NewLite()} {
		level, scores := sandboxtest.Scores(t, d)
		list = append(list, sandboxtest.Column{Title: string(level) + ", " + who, Scores: scores})
		for _, s := range scores {
			if s.Outcome == sandboxtest.Fell || s.Outcome == sandboxtest.Broken {
				t.Errorf("%s, %s: %s: %s %s", level, who, s.Name, s.Outcome, s.Detail)
			}
		}
	}
	return list
}

// TestTable tries every case, for root also as an ordinary user, and compares the
// names in the page with the cases there are. With MGX_UPDATE it writes the page:
// what came of them depends on the machine.
func TestTable(t *testing.T) {
	who := "ordinary user"
	if os.Geteuid() == 0 {
		who = "root"
	}
	list := columns(t, who)
	if who == "root" {
		list = append(list, asNobody(t)...)
	}
	for _, name := range []string{ // written by their tests, with MGX_UPDATE
		"docker/testdata/scores.json", "docker/testdata/scores-docker-user.json", "docker/testdata/scores-podman-user.json", "gvisor/testdata/scores.json",
	} {
		list = append(list, sandboxtest.ReadColumn(t, filepath.Join("..", name)))
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
	if os.Getenv("MGX_UPDATE") != "" {
		written := before + begin + "\n" + sandboxtest.Table(list) + "\n" + end + after
		if err := os.WriteFile(page, []byte(written), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	attacks, own := sandboxtest.Cases()
	for _, name := range attacks {
		if !strings.Contains(table, "\n| "+name+" |") {
			t.Errorf("%s does not have %q; run make docs", page, name)
		}
	}
	for _, name := range own {
		if !strings.Contains(table, "\n- "+name) {
			t.Errorf("%s does not have %q; run make docs", page, name)
		}
	}
	if rows := strings.Count(table, "\n| ") - 2; rows != len(attacks) {
		t.Errorf("%s has %d cases, not %d; run make docs", page, rows, len(attacks))
	}
}

// asNobody runs TestScores, and the walls' own tests, as a user without rights.
func asNobody(t *testing.T) (list []sandboxtest.Column) {
	out := ""
	runAsNobody(t, "^(TestScores|TestWalls|TestLiteWalls)$", func(work string) string {
		out = filepath.Join(work, "scores")
		return scoresEnv + "=" + out
	})
	text, err := os.ReadFile(out)
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// runAsNobody runs tests of this program again, with a variable more.
func runAsNobody(t *testing.T, tests string, variable func(work string) string) {
	t.Helper()
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip("as an ordinary user: setpriv is not installed")
	}
	dir, err := os.MkdirTemp("", "mgx-nobody-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sandbox.RemoveState(dir) })
	program := filepath.Join(dir, "native.test")
	copyProgram(t, program)
	for _, d := range []string{dir, program} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(work, 0o777); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", program, "-test.run="+tests)
	cmd.Dir, cmd.Env = work, append(os.Environ(), variable(work), "TMPDIR="+work, "HOME="+work)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("as an ordinary user: %v\n%s", err, said)
	}
}

func copyProgram(t *testing.T, to string) {
	t.Helper()
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	f, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, from); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
