package tool

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mgx/internal/sandbox"
)

func TestList(t *testing.T) {
	t.Parallel()
	ws := workspace(t, map[string]string{
		"b.txt": "12345", "a/deep/er/est/x": "", "node_modules/m/i.js": "", ".git/HEAD": "", "z/y": strings.Repeat("x", 2048),
	})
	if err := ws.Root.Symlink("b.txt", "link"); err != nil {
		t.Fatal(err)
	}
	got := call(t, ws, "list", fields{}).Text
	const drawn = `./ (3 deep)
.git/  (not expanded)
a/
  deep/
    er/
node_modules/  (not expanded)
z/
  y  2.0 KB
b.txt  5 B
link -> b.txt
`
	if got != drawn {
		t.Errorf("got\n%s\nwant\n%s", got, drawn)
	}
	want(t, call(t, ws, "list", fields{"path": "node_modules", "depth": 1}), Success, "node_modules/ (1 deep)\nm/\n")
	want(t, call(t, ws, "list", fields{"path": "nope"}), Failure, "no such file")
}

func TestListIsBounded(t *testing.T) {
	t.Parallel()
	files := map[string]string{"zlast": ""}
	for i := range 600 {
		files[fmt.Sprintf("crowded/f%03d", i)] = ""
	}
	res := call(t, workspace(t, files), "list", fields{})
	want(t, res, Success, "zlast", "… 202 more")
	if n := strings.Count(res.Text, "\n"); n != 402 {
		t.Errorf("%d lines", n)
	}
}

func TestGlob(t *testing.T) {
	t.Parallel()
	ws := workspace(t, map[string]string{
		"a.go": "", "src/b.go": "", "src/in/c.ts": "", "src/in/d.tsx": "", "node_modules/e.go": "", ".git/f.go": "", ".github/g.go": "",
	})
	for i, name := range []string{"src/b.go", "a.go", ".github/g.go"} {
		at := time.Unix(int64(1000-i), 0)
		if err := os.Chtimes(filepath.Join(ws.Root.Name(), name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args fields
		want string
	}{
		{fields{"pattern": "*.go"}, "src/b.go\na.go\n.github/g.go\n"},
		{fields{"pattern": "**/*.go"}, "src/b.go\na.go\n.github/g.go\n"},
		{fields{"pattern": "src/*.go"}, "src/b.go\n"},
		{fields{"pattern": "/workspace/src/*.go"}, "src/b.go\n"},
		{fields{"pattern": "*.go", "path": "src"}, "src/b.go\n"},
		{fields{"pattern": "in/*.{ts,tsx}", "path": "src"}, "src/in/c.ts\nsrc/in/d.tsx\n"},
		{fields{"pattern": "*", "path": "node_modules"}, "node_modules/e.go\n"},
		{fields{"pattern": "*.rs"}, "No file matches *.rs.\n"},
	} {
		got := call(t, ws, "glob", c.args).Text
		if c.want == "src/in/c.ts\nsrc/in/d.tsx\n" && strings.HasPrefix(got, "src/in/d.tsx") {
			c.want = "src/in/d.tsx\nsrc/in/c.ts\n" // written at the same time or one after the other
		}
		if got != c.want {
			t.Errorf("%v: got %q, want %q", c.args, got, c.want)
		}
	}
	want(t, call(t, ws, "glob", fields{"pattern": "[a"}), Failure, "not a glob pattern")
	want(t, call(t, ws, "glob", fields{"pattern": "../*"}), Denied)
	want(t, call(t, ws, "glob", fields{"pattern": "x/*"}), Failure, "no such file")
	want(t, call(t, ws, "glob", fields{"pattern": strings.Repeat("*a", 100)}), Failure, "wildcards")
}

func TestGlobIsBounded(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for i := range 150 {
		files[fmt.Sprintf("f%d", i)] = ""
	}
	res := call(t, workspace(t, files), "glob", fields{"pattern": "f*"})
	want(t, res, Success, "… 50 more")
	if n := strings.Count(res.Text, "\n"); n != 101 {
		t.Errorf("%d lines", n)
	}
}

// grepped is what both ways to search must agree on.
func grepped(t *testing.T, ws *Workspace) {
	writeFile(t, filepath.Join(ws.Root.Name(), "bin"), "needle\x00\n")
	for _, c := range []struct {
		name string
		args fields
		want string
	}{
		{"lines", fields{"pattern": "needle"}, "a.go:2:\tneedle one\na.go:6:needle two\n\nsub/b.txt:1:needle three\n(3 matches)\n"},
		{"include", fields{"pattern": "needle", "include": "*.txt"}, "sub/b.txt:1:needle three\n(1 match)\n"},
		{"include with directory", fields{"pattern": "needle", "include": "sub/**"}, "sub/b.txt:1:needle three\n(1 match)\n"},
		{"file", fields{"pattern": "needle t", "path": "a.go"}, "a.go:6:needle two\n(1 match)\n"},
		{"directory", fields{"pattern": "(?i)NEEDLE", "path": "/workspace/sub"}, "sub/b.txt:1:needle three\n(1 match)\n"},
		{"context", fields{"pattern": "needle", "path": "a.go", "context": 1}, "a.go-1-one\na.go:2:\tneedle one\na.go-3-three\n--\na.go-5-five\na.go:6:needle two\n(2 matches)\n"},
		{"joined context", fields{"pattern": "needle", "path": "a.go", "context": 2}, "a.go-1-one\na.go:2:\tneedle one\na.go-3-three\na.go-4-four\na.go-5-five\na.go:6:needle two\n(2 matches)\n"},
		{"anchors", fields{"pattern": "^needle", "path": "a.go"}, "a.go:6:needle two\n(1 match)\n"},
		{"crlf", fields{"pattern": "ends$"}, "crlf:1:it ends\n(1 match)\n"},
		{"nothing", fields{"pattern": "nee.*xyz"}, "No line matches nee.*xyz.\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := call(t, ws, "grep", c.args).Text; got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func haystack(t *testing.T) *Workspace {
	return workspace(t, map[string]string{
		"a.go": "one\n\tneedle one\nthree\nfour\nfive\nneedle two\n", "sub/b.txt": "needle three\n", "crlf": "it ends\r\n", ".git/c": "needle\n",
	})
}

func TestGrep(t *testing.T) {
	t.Parallel()
	ws := haystack(t)
	grepped(t, ws)
	want(t, call(t, ws, "grep", fields{"pattern": "a(b"}), Failure, "missing closing )", "backslash")
	want(t, call(t, ws, "grep", fields{"pattern": "(?!x)"}), Failure, "look-around")
	want(t, call(t, ws, "grep", fields{"pattern": `a\nb`}), Failure, "newline")
	want(t, call(t, ws, "grep", fields{"pattern": "x", "include": "[a"}), Failure, "glob")
	want(t, call(t, ws, "grep", fields{"pattern": "x", "path": "b.txt"}), Failure, "sub/b.txt")
}

func TestGrepIsBounded(t *testing.T) {
	t.Parallel()
	ws := workspace(t, map[string]string{"many": strings.Repeat("needle\n", 150), "exact": strings.Repeat("pin\n", 100), "wide": strings.Repeat("x", 100_000) + "needle2" + strings.Repeat("y", 100_000)})
	res := call(t, ws, "grep", fields{"pattern": "needle$"})
	want(t, res, Success, "many:100:needle", "the first 100 matches; there are more")
	if strings.Contains(res.Text, "many:101") {
		t.Error("more than 100 matches")
	}
	want(t, call(t, ws, "grep", fields{"pattern": "pin"}), Success, "(100 matches)")
	res = call(t, ws, "grep", fields{"pattern": "needle2"})
	want(t, res, Success, "…x", "needle2y", "y…")
	if len(res.Text) > 600 {
		t.Errorf("a long line was not cut: %d bytes", len(res.Text))
	}
	want(t, call(t, ws, "grep", fields{"pattern": ".", "context": 10}), Success)
}

func TestGrepWithRipgrep(t *testing.T) {
	t.Parallel()
	ws := boxed(t, haystack(t))
	if res := call(t, ws, "shell", fields{"command": "rg --version"}); res.Status != Success {
		t.Skip("there is no ripgrep in the sandbox")
	}
	writeFile(t, filepath.Join(ws.Root.Name(), ".ignore"), "ignored\n")
	writeFile(t, filepath.Join(ws.Root.Name(), "ignored"), "needle\n")
	grepped(t, ws)
}

// bareBox has no programs.
type bareBox struct{ sandbox.Box }

func (bareBox) Run(context.Context, sandbox.Command) (sandbox.Result, error) {
	return sandbox.Result{ExitCode: 127}, nil
}

func (bareBox) Path(guest string) string { return guest }

func TestGrepWithoutRipgrepInTheBox(t *testing.T) {
	t.Parallel()
	ws := haystack(t)
	ws.Box = bareBox{}
	want(t, call(t, ws, "grep", fields{"pattern": "needle three"}), Success, "sub/b.txt:1:needle three\n(1 match)")
}
