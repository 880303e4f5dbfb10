package tool

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func begin(lines ...string) string {
	return "*** Begin Patch\n" + strings.Join(lines, "\n") + "\n*** End Patch\n"
}

func TestApplyPatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		before map[string]string
		patch  string
		after  map[string]string
	}{
		{
			"all operations",
			map[string]string{"a": "1\n2\n3\n", "old": "x\n", "from": "m\nn\n"},
			begin("*** Update File: a", "@@", " 1", "-2", "+two", " 3", "*** Add File: d/new", "+n1", "+", "+n3", "*** Delete File: old", "*** Update File: from", "*** Move to: d/to", "-m", "+M", " n"),
			map[string]string{"a": "1\ntwo\n3\n", "d/new": "n1\n\nn3\n", "d/to": "M\nn\n"},
		},
		{"move only", map[string]string{"a": "1\n"}, begin("*** Update File: a", "*** Move to: b"), map[string]string{"b": "1\n"}},
		{
			"several hunks",
			map[string]string{"a": "1\n2\n3\n4\n5\n6\n"},
			begin("*** Update File: a", " 1", "-2", " 3", "@@", " 5", "+5b", " 6"),
			map[string]string{"a": "1\n3\n4\n5\n5b\n6\n"},
		},
		{"anchor", map[string]string{"a": "f:\n  x\ng:\n  x\n"}, begin("*** Update File: a", "@@ g:", "-  x", "+  y"), map[string]string{"a": "f:\n  x\ng:\n  y\n"}},
		{
			"nested anchors",
			map[string]string{"a": "class A\n def f\n  x\nclass B\n def f\n  x\n"},
			begin("*** Update File: a", "@@ class B", "@@  def f", "-  x", "+  y"),
			map[string]string{"a": "class A\n def f\n  x\nclass B\n def f\n  y\n"},
		},
		{
			"anchor is the start of a line",
			map[string]string{"a": "func f(a int) error {\n\tx\n}\nfunc g() {\n\tx\n}\n"},
			begin("*** Update File: a", "@@ func g", "-\tx", "+\ty"),
			map[string]string{"a": "func f(a int) error {\n\tx\n}\nfunc g() {\n\ty\n}\n"},
		},
		{"anchor repeated as context", map[string]string{"a": "f:\n x\ng:\n x\n"}, begin("*** Update File: a", "@@ g:", " g:", "- x", "+ y"), map[string]string{"a": "f:\n x\ng:\n y\n"}},
		{"insertion after an anchor", map[string]string{"a": "1\n2\n"}, begin("*** Update File: a", "@@ 1", "+new"), map[string]string{"a": "1\nnew\n2\n"}},
		{"insertion at the end", map[string]string{"a": "1\n2"}, begin("*** Update File: a", "@@", "+new"), map[string]string{"a": "1\n2\nnew"}},
		{"end of file", map[string]string{"a": "x\ny\nx\n"}, begin("*** Update File: a", "-x", "+z", "*** End of File"), map[string]string{"a": "x\ny\nz\n"}},
		{"into an empty file", map[string]string{"a": ""}, begin("*** Update File: a", "+x"), map[string]string{"a": "x\n"}},
		{"crlf", map[string]string{"a": "1\r\n2\r\n3\r\n"}, begin("*** Update File: a", " 1", "-2", "+two", "+2b", " 3"), map[string]string{"a": "1\r\ntwo\r\n2b\r\n3\r\n"}},
		{"crlf patch", map[string]string{"a": "1\n2\n"}, strings.ReplaceAll(begin("*** Update File: a", "-2", "+two"), "\n", "\r\n"), map[string]string{"a": "1\ntwo\n"}},
		{"byte order mark", map[string]string{"a": bom + "1\n2\n"}, begin("*** Update File: a", "-1", "+one"), map[string]string{"a": bom + "one\n2\n"}},
		{"no final newline", map[string]string{"a": "1\n2"}, begin("*** Update File: a", " 1", "-2", "+two"), map[string]string{"a": "1\ntwo"}},
		{"trailing space", map[string]string{"a": "1  \n2\n"}, begin("*** Update File: a", " 1", "-2", "+two"), map[string]string{"a": "1  \ntwo\n"}},
		{"indentation", map[string]string{"a": "\tif x {\n\t\ta()\n\t}\n"}, begin("*** Update File: a", " if x {", "-\ta()", "+\tb()", "+\tc()", " }"), map[string]string{"a": "\tif x {\n\t\tb()\n\t\tc()\n\t}\n"}},
		{"punctuation", map[string]string{"a": "say “hi” – now\nx\n"}, begin("*** Update File: a", ` say "hi" - now`, "-x", "+y"), map[string]string{"a": "say “hi” – now\ny\n"}},
		{"blank context without its space", map[string]string{"a": "1\n\n2\n"}, begin("*** Update File: a", " 1", "", "-2", "+two"), map[string]string{"a": "1\n\ntwo\n"}},
		{"blank lines after a hunk", map[string]string{"a": "1\n2\n", "b": "1\n"}, begin("*** Update File: a", "-1", "+one", "", "*** Update File: b", "-1", "+one", ""), map[string]string{"a": "one\n2\n", "b": "one\n"}},
		{"one file twice", map[string]string{"a": "1\n2\n"}, begin("*** Update File: a", "-1", "+one", "*** Update File: a", " one", "-2", "+two"), map[string]string{"a": "one\ntwo\n"}},
		{"delete and add", map[string]string{"a": "1\n"}, begin("*** Delete File: a", "*** Add File: a", "+2"), map[string]string{"a": "2\n"}},
		{"fence", map[string]string{"a": "1\n"}, "```patch\n" + begin("*** Update File: a", "-1", "+2") + "```", map[string]string{"a": "2\n"}},
		{"here-document", map[string]string{"a": "1\n"}, "apply_patch <<'EOF'\n" + begin("*** Update File: a", "-1", "+2") + "EOF\n", map[string]string{"a": "2\n"}},
		{"no begin and end", map[string]string{"a": "1\n"}, "*** Update File: a\n-1\n+2", map[string]string{"a": "2\n"}},
		{"absolute name", map[string]string{"d/a": "1\n"}, begin("*** Update File: /workspace/d/a", "-1", "+2"), map[string]string{"d/a": "2\n"}},
		{"diff header in a patch", map[string]string{"a": "1\n2\n3\n"}, begin("*** Update File: a", "@@ -2,2 +2,2 @@ f", "-2", "+two", " 3"), map[string]string{"a": "1\ntwo\n3\n"}},
		{"unified diff", map[string]string{"a": "1\n2\n3\n"}, "--- a/a\n+++ b/a\n@@ -1,3 +1,3 @@\n 1\n-2\n+two\n 3\n", map[string]string{"a": "1\ntwo\n3\n"}},
		{"diff with times", map[string]string{"x y": "1\n"}, "--- x y\t2024-01-01 00:00:00\n+++ x y\t2024-01-01\n@@ -1 +1 @@\n-1\n+2\n", map[string]string{"x y": "2\n"}},
		{"diff with wrong counts", map[string]string{"a": "1\n2\n3\n", "b": "1\n"}, "--- a/a\n+++ b/a\n@@ -1,9 +1,7 @@\n 1\n-2\n+two\n 3\n--- a/b\n+++ b/b\n@@ -1,1 +1,5 @@\n-1\n+2\n", map[string]string{"a": "1\ntwo\n3\n", "b": "2\n"}},
		{"diff with too small counts", map[string]string{"a": "1\n2\n3\n"}, "--- a/a\n+++ b/a\n@@ -1,1 +1,1 @@\n 1\n-2\n+two\n 3\n", map[string]string{"a": "1\ntwo\n3\n"}},
		{"diff that looks like headers", map[string]string{"a": "-- x\n1\n"}, "--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n--- x\n+++ y\n 1\n", map[string]string{"a": "++ y\n1\n"}},
		{"diff places by line number", map[string]string{"a": "x\nx\nx\n"}, "--- a/a\n+++ b/a\n@@ -2,1 +2,1 @@\n-x\n+y\n", map[string]string{"a": "x\ny\nx\n"}},
		{"diff inserts without context", map[string]string{"a": "1\n2\n"}, "--- a/a\n+++ b/a\n@@ -1,0 +2,1 @@\n+new\n", map[string]string{"a": "1\nnew\n2\n"}},
		{
			"git's extras",
			map[string]string{"old name": "1\n2\n3\n", "gone": "x\n", "ä": "1\n"},
			"commit message\n\ndiff --git a/old name b/new name\nsimilarity index 90%\nrename from old name\nrename to new name\n--- a/old name\t\n+++ b/new name\t\n@@ -1,3 +1,3 @@\n 1\n-2\n+two\n 3\n" +
				"diff --git a/empty b/empty\nnew file mode 100644\nindex 000..111\ndiff --git a/n b/n\nnew file mode 100755\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n" +
				"diff --git a/gone b/gone\ndeleted file mode 100644\n--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n" +
				"diff --git \"a/\\303\\244\" \"b/\\303\\244\"\n--- \"a/\\303\\244\"\n+++ \"b/\\303\\244\"\n@@ -1 +1 @@\n-1\n+2\n-- \n2.39.2\n",
			map[string]string{"new name": "1\ntwo\n3\n", "empty": "", "n": "x", "ä": "2\n"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			ws := workspace(t, c.before)
			want(t, call(t, ws, "apply_patch", fields{"patch": c.patch}), Success)
			now := tree(t, ws)
			maps.DeleteFunc(now, func(name, _ string) bool { return strings.HasSuffix(name, "/") })
			if !maps.Equal(now, c.after) {
				t.Errorf("got %q\nwant %q", now, c.after)
			}
		})
	}
}

func TestApplyPatchIsAllOrNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, patch string
		says        []string
	}{
		{"second hunk does not fit", begin("*** Update File: a", "-1", "+one", "@@", "-nope", "+x", "*** Add File: new", "+x"), []string{"hunk 2", "not in the file"}},
		{"second file does not fit", begin("*** Add File: d/new", "+x", "*** Update File: a", " 1", "-zwei", "+x", " 3"), []string{"a: hunk 1", "come closest", "≠   2\t2"}},
		{"file missing", begin("*** Update File: a", "-1", "+one", "*** Update File: bb.txt", "-1", "+2"), []string{"bb.txt does not exist"}},
		{"file exists", begin("*** Delete File: b", "*** Add File: a", "+x"), []string{"a exists already"}},
		{"target exists", begin("*** Update File: a", "*** Move to: b"), []string{"b: that exists already"}},
		{"ambiguous", begin("*** Update File: b", "-x", "+y"), []string{"occur 2 times", "lines 1 and 3", "@@"}},
		{"wrong order", begin("*** Update File: a", "-3", "+three", "@@", "-1", "+one"), []string{"hunk 2", "order of the file"}},
		{"anchor missing", begin("*** Update File: a", "@@ class X", "-1", "+one"), []string{`"class X"`, "not in the file"}},
		{"not after the anchor", begin("*** Update File: a", "@@ 1", "-zwei", "+x"), []string{"After the @@ line, line 1", "   2\t2\n   3\t3"}},
		{"nothing to change", begin("*** Update File: a", " 1", " 2"), []string{"changes nothing"}},
		{"no hunks", begin("*** Update File: a"), []string{"no lines to change"}},
		{"no operation", begin(), []string{"changes no file"}},
		{"no patch", "hello", []string{"*** Begin Patch"}},
		{"bad line", begin("*** Update File: a", " 1", "2 without a mark"), []string{"line 4", "2 without a mark"}},
		{"bad added line", begin("*** Add File: n", "x"), []string{"begins with +"}},
		{"more after the end", begin("*** Delete File: a") + begin("*** Delete File: b"), []string{"after *** End Patch"}},
		{"no name", begin("*** Update File:", "-1", "+2"), []string{"no file name"}},
		{"outside", begin("*** Delete File: a", "*** Add File: ../x", "+x"), []string{"out of the workspace"}},
		{"binary diff", "diff --git a/x b/x\nindex 1..2\nBinary files a/x and b/x differ\n", []string{"binary"}},
		{"deletes what is not there", "--- a/a\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-1\n-2\n", []string{"all of its lines"}},
		{"new file with context", "--- /dev/null\n+++ b/n\n@@ -1,2 +1,2 @@\n x\n+y\n", []string{"begin with +"}},
		{"directory", begin("*** Update File: dir", "-1", "+2"), []string{"directory"}},
		{"below a file", begin("*** Delete File: b", "*** Add File: a/x", "+x"), nil},
		{"below a new file", begin("*** Delete File: b", "*** Add File: new/deep/x", "+x", "*** Add File: new/deep/x/y", "+y"), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			ws := workspace(t, map[string]string{"a": "1\n2\n3\n", "b": "x\ny\nx\n", "b.txt": "1\n", "dir/x": "x\n"})
			before := tree(t, ws)
			res := call(t, ws, "apply_patch", fields{"patch": c.patch})
			if res.Status == Success {
				t.Errorf("it succeeded")
			}
			want(t, res, res.Status, c.says...)
			if now := tree(t, ws); !maps.Equal(now, before) {
				t.Errorf("files changed: %q", now)
			}
		})
	}
}

// When a write fails in the middle, what was written before is undone.
func TestApplyPatchRollsBack(t *testing.T) {
	t.Parallel()
	ws := workspace(t, map[string]string{"a": "1\n", "b": "1\n", "gone": "x\n"})
	before := tree(t, ws)
	d := draft{ws: ws, ctx: t.Context(), files: map[string]*draftFile{}}
	changes, err := parsePatch(begin("*** Update File: a", "-1", "+2", "*** Add File: n/e/w", "+x", "*** Update File: b", "-1", "+2", "*** Delete File: gone"))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.try(changes); err != nil {
		t.Fatal(err)
	}
	// Between the trial and the writing, b becomes a directory with something in it.
	if err := ws.Root.Remove("b"); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(ws.Root.Name(), "b/x"), "")
	err = d.commit()
	if err == nil || !strings.Contains(err.Error(), "b") {
		t.Fatalf("commit: %v", err)
	}
	if err := ws.Root.RemoveAll("b"); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(ws.Root.Name(), "b"), "1\n")
	if now := tree(t, ws); !maps.Equal(now, before) {
		t.Errorf("files changed: %q\n%v", now, err)
	}
}

func TestApplyPatchKeepsModes(t *testing.T) {
	t.Parallel()
	ws := workspace(t, map[string]string{"run": "1\n", "plain": "1\n"})
	if err := ws.Root.Chmod("run", 0o755); err != nil {
		t.Fatal(err)
	}
	want(t, call(t, ws, "apply_patch", fields{"patch": begin("*** Update File: run", "*** Move to: bin/run", "-1", "+2")}), Success, "Moved run to bin/run (1 hunk)")
	want(t, call(t, ws, "apply_patch", fields{"patch": "diff --git a/plain b/plain\nold mode 100644\nnew mode 100755\n"}), Success)
	for _, name := range []string{"bin/run", "plain"} {
		if info, err := ws.Root.Stat(name); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

// edits turns lines a into lines b: a longest common subsequence.
func edits(a, b []string) []string {
	n, m := len(a), len(b)
	common := make([][]int, n+1)
	for i := range common {
		common[i] = make([]int, m+1)
	}
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			if common[i][j] = max(common[i+1][j], common[i][j+1]); a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			}
		}
	}
	var out []string
	for i, j := 0, 0; i < n || j < m; {
		switch {
		case i < n && j < m && a[i] == b[j]:
			out = append(out, " "+a[i])
			i, j = i+1, j+1
		case i < n && (j == m || common[i+1][j] >= common[i][j+1]):
			out = append(out, "-"+a[i])
			i++
		default:
			out = append(out, "+"+b[j])
			j++
		}
	}
	return out
}

// diff writes a unified diff with some lines of context, as diff -u does. Lines
// have their newlines.
func diff(name, a, b string, context int) string {
	script := edits(strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n"))
	var out strings.Builder
	fmt.Fprintf(&out, "--- a/%s\n+++ b/%s\n", name, name)
	near := func(i int) bool {
		for k := max(i-context, 0); k <= min(i+context, len(script)-1); k++ {
			if script[k][0] != ' ' {
				return true
			}
		}
		return false
	}
	oldLine, newLine := 0, 0
	for i := 0; i < len(script); {
		if !near(i) {
			oldLine, newLine, i = oldLine+1, newLine+1, i+1
			continue
		}
		var body strings.Builder
		oldCount, newCount := 0, 0
		for ; i < len(script) && near(i); i++ {
			l := script[i]
			if l[1:] == "" {
				continue // what SplitAfter leaves after a final newline
			}
			body.WriteString(l)
			if !strings.HasSuffix(l, "\n") {
				body.WriteString("\n\\ No newline at end of file\n")
			}
			if l[0] != '+' {
				oldCount++
			}
			if l[0] != '-' {
				newCount++
			}
		}
		oldStart, newStart := oldLine, newLine
		if oldCount > 0 {
			oldStart++
		}
		if newCount > 0 {
			newStart++
		}
		fmt.Fprintf(&out, "@@ -%d,%d +%d,%d @@\n%s", oldStart, oldCount, newStart, newCount, body.String())
		oldLine, newLine = oldLine+oldCount, newLine+newCount
	}
	return out.String()
}

func patchOne(body, patch string) (string, error) {
	changes, err := parsePatch(patch)
	if err != nil {
		return "", err
	}
	out, _, err := patchText(body, changes[0].hunks)
	return out, err
}

// The diff of two texts makes the one into the other, byte for byte, whatever
// their line endings, and with any amount of context.
func TestDiffRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := linesOf(t, "a", "\n", "\r\n"), linesOf(t, "b", "\n", "\r\n")
		if a == b || a == "" {
			return
		}
		patch := diff("f", a, b, rapid.IntRange(1, 4).Draw(t, "context"))
		got, err := patchOne(a, patch)
		if err != nil || got != b {
			t.Errorf("%v\ngot  %q\nwant %q\npatch:\n%s", err, got, b, patch)
		}
	})
}

// The same in the other format, with all of the file as one hunk: line endings
// and the newline at the end stay those of the file.
func TestPatchRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		eol := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "eol")
		a, b := linesOf(t, "a", "\n"), linesOf(t, "b", "\n")
		from, to := texts(splitLines(a)), texts(splitLines(b))
		if b = strings.Join(to, "\n"); strings.HasSuffix(a, "\n") {
			b += "\n"
		}
		if !strings.Contains(a, "\n") {
			eol = "\n" // one line without an end says nothing about ends
		}
		if a == b || a == "" || len(to) == 0 || to[len(to)-1] == "" {
			return // nothing to do, or an empty last line without newline, which is none
		}
		patch := begin(append([]string{"*** Update File: f", "@@"}, edits(from, to)...)...)
		got, err := patchOne(strings.ReplaceAll(a, "\n", eol), patch)
		if expected := strings.ReplaceAll(b, "\n", eol); err != nil || got != expected {
			t.Errorf("%v\ngot  %q\nwant %q\npatch:\n%s", err, got, expected, patch)
		}
	})
}

// What git itself writes can be applied.
func TestGitDiffApplies(t *testing.T) {
	t.Parallel()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not installed")
	}
	before := map[string]string{"keep": lineNumbers(50), "sub/gone": "x\ny\n", "old name": lineNumbers(20), "ünï": "a\n", "crlf": "a\r\nb\r\nc\r\n", "run": "#!/bin/sh\n", "open": "a\nb"}
	after := map[string]string{"keep": strings.ReplaceAll(lineNumbers(50), "line 3", "LINE 3"), "moved/new name": strings.Replace(lineNumbers(20), "line 7", "seven", 1), "ünï": "b\n", "crlf": "a\r\nB\r\nc\r\n", "run": "#!/bin/sh\n", "open": "a\nb\n", "empty": "", "added": "1\n2"}
	dir := t.TempDir()
	run := func(args ...string) string {
		cmd := exec.Command(git, append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@t", "-c", "core.autocrlf=false"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("git %v: %v", args, err)
		}
		return string(out)
	}
	run("init", "-q")
	for name, text := range before {
		writeFile(t, filepath.Join(dir, name), text)
	}
	run("add", "-A")
	run("commit", "-q", "-m", "before")
	for name := range before {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range after {
		writeFile(t, filepath.Join(dir, name), text)
	}
	run("add", "-A")
	patch := run("diff", "--cached", "-M")

	ws := workspace(t, before)
	want(t, call(t, ws, "apply_patch", fields{"patch": patch}), Success)
	now := tree(t, ws)
	maps.DeleteFunc(now, func(name, _ string) bool { return strings.HasSuffix(name, "/") })
	if !maps.Equal(now, after) {
		t.Errorf("got %q\nwant %q\n%s", now, after, patch)
	}
}

func FuzzApplyPatch(f *testing.F) {
	f.Add("1\n2\n3\n", begin("*** Update File: f", "@@ 1", " 2", "-3", "+x", "*** End of File"))
	f.Add("a\r\nb", "--- a/f\n+++ b/f\n@@ -1,2 +1,1 @@\n a\r\n-b\n\\ No newline at end of file\n")
	f.Add("x", "diff --git a/f b/f\nrename from f\nrename to g\nnew mode 100755\n")
	f.Fuzz(func(t *testing.T, body, patch string) {
		changes, err := parsePatch(patch)
		if err != nil {
			return
		}
		for _, c := range changes {
			out, _, err := patchText(body, c.hunks)
			if err == nil && len(c.hunks) == 0 && out != body {
				t.Fatalf("no hunks, but %q became %q", body, out)
			}
		}
	})
}
