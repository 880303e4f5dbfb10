package tool

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSubstitute(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, body, old, new, want string }{
		{"part of a line", "one two three\n", "two", "2", "one 2 three\n"},
		{"lines", "a\nb\nc\n", "b\nc\n", "x\n", "a\nx\n"},
		{"deletion", "a\nb\nc\n", "b\n", "", "a\nc\n"},
		{"crlf kept", "a\r\nb\r\nc\r\n", "a\nb", "x\ny\nz", "x\r\ny\r\nz\r\nc\r\n"},
		{"crlf for one line", "a\r\nb\r\n", "b", "x\ny", "a\r\nx\r\ny\r\n"},
		{"crlf asked of lf", "a\nb\n", "a\r\nb", "x\r\ny", "x\ny\n"},
		{"mixed endings keep the others", "a\r\nb\nc\r\nd\n", "c\nd", "x\ny", "a\r\nb\nx\r\ny\n"},
		{"endings changed on purpose", "a\r\nb\r\n", "a\r\nb\r\n", "a\nb\n", "a\nb\n"},
		{"no final newline", "a\nb", "b", "x\n", "a\nx"},
		{"final newline", "a\nb\n", "b\n", "x", "a\nx\n"},
		{"final newline removed on purpose", "a\nb\n", "b\n", "b", "a\nb"},
		{"final newline added on purpose", "a\nb", "b", "b\n", "a\nb\n"},
		{"last line removed", "a\nb", "\nb", "", "a"},
		{"last line emptied", "\nb", "b\n", " ", "\n"},
		{"everything removed", "a\n", "a\n", "", ""},
		{"other indentation", "\tif x {\n\t\treturn\n\t}\n", "if x {\n\treturn\n}\n", "if y {\n\treturn 1\n}\n", "\tif y {\n\t\treturn 1\n\t}\n"},
		{"spaces for tabs", "\tif x {\n\t\treturn\n\t}\n", "    if x {\n        return\n    }", "    if x {\n        for {\n            f()\n        }\n    }", "\tif x {\n\t\tfor {\n\t\t\tf()\n\t\t}\n\t}\n"},
		{"two spaces for four", "  a:\n    b\n", "    a:\n        b", "    a:\n        c", "  a:\n    c\n"},
		{"less indentation", "def f():\n    pass\n", "    def f():\n        pass\n", "    def f():\n        return 1\n", "def f():\n    return 1\n"},
		{"trailing spaces", "a  \nb\t\nc\n", "a\nb", "x\ny", "x\ny\nc\n"},
		{"spaces within", "a  =  1\n", "a = 1", "a = 2", "a = 2\n"},
		{"white space and crlf", "\ta\r\n\tb\r\n", "a\nb\n", "x\ny\n", "\tx\r\n\ty\r\n"},
		{"blank lines between", "\ta\n\n\tb\n", "a\n\nb\n", "a\n\n\nb\n", "\ta\n\n\n\tb\n"},
		{"whole lines removed", "x\n\ta\n\tb\ny\n", "a\nb\n", "", "x\ny\n"},
		{"whole last line without newline", "x\n\ta", "  a\n", "  b\n", "x\n\tb"},
	} {
		got, err := substitute(c.body, c.old, c.new, false)
		if err != nil || got.text != c.want {
			t.Errorf("%s: got %q, %v; want %q", c.name, got.text, err, c.want)
		}
	}
}

func TestSubstituteAll(t *testing.T) {
	t.Parallel()
	got, err := substitute("a\nb a\r\na", "a", "x", true)
	if err != nil || got.text != "x\nb x\r\nx" || len(got.at) != 3 {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err = substitute("aaaa", "aa", "b", true); err != nil || got.text != "bb" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestSubstituteRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body, old, new string
		all                  bool
		says                 []string
	}{
		{"twice", "a x\nb\na y\n", "a", "z", false, []string{"occurs 2 times", "   1\ta x", "   3\ta y", "replace_all"}},
		{"overlapping", "aaa", "aa", "b", false, []string{"occurs 2 times"}},
		{"twice but for white space", "\tfoo()\nx\n  foo()\n", "foo() \n", "bar()\n", true, []string{"occurs 2 times"}},
		{"not there", "one\ntwo\nthree\n", "nothing like it", "x", false, []string{"Nothing in the file is like it", "Read the file again"}},
		{"nearly", "func a() {\n\tb := 1\n\treturn b\n}\n", "func a() {\n\tb := 2\n\treturn b\n}\n", "x", false, []string{"come closest", "    1\tfunc a() {\n", "≠   2\t→b := 1\n", "    3\t→return b\n"}},
		{"applied already", "one\nnew text here\nthree\n", "old text here", "new text here", false, []string{"applied already", "line 2"}},
		{"line numbers", "one\ntwo\n", "   1\tone\n   2\ttwo\n", "x", false, []string{"line numbers"}},
		{"escaped", "one\ntwo\n", `one\ntwo`, "x", false, []string{"escaped once"}},
		{"unclear indentation", "  a\n      b\n c\n", "a\nb\nc\n", "x\n", false, []string{"come closest", "··a"}},
		{"only blank", "a\n\n\nb\n", " \n \n", "x", false, []string{"not there"}},
		{"endings only, kept", "a\r\n", "a\n", "a\r\n", false, []string{"nothing would change"}},
	} {
		_, err := substitute(c.body, c.old, c.new, c.all)
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		for _, part := range c.says {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: no %q in\n%s", c.name, part, err)
			}
		}
	}
}

func TestEdit(t *testing.T) {
	t.Parallel()
	ws := workspace(t, map[string]string{"a.go": bom + lineNumbers(30), "empty": "", "bin": "a\x00b", "latin": "caf\xe9 old\n", "twice": "x\nx\n"})
	if err := ws.Root.Chmod("a.go", 0o775); err != nil {
		t.Fatal(err)
	}
	res := call(t, ws, "edit", fields{"path": "a.go", "old_string": "line 10\nline 11\n", "new_string": "line ten\n"})
	want(t, res, Success, "Edited a.go: 1 replacement.", "   6\tline 6\n", "  10\tline ten\n", "  15\tline 16\n")
	if strings.Contains(res.Text, "\tline 5\n") || strings.Contains(res.Text, "\tline 17\n") {
		t.Errorf("the snippet is too long:\n%s", res.Text)
	}
	if got := content(t, ws, "a.go"); !strings.HasPrefix(got, bom+"line 1\n") || !strings.HasSuffix(got, "line 9\nline ten\nline 12\n"+strings.TrimPrefix(lineNumbers(30), lineNumbers(12))) {
		t.Errorf("the file is %q", got)
	}
	if info, err := ws.Root.Stat("a.go"); err != nil || info.Mode().Perm() != 0o775 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	want(t, call(t, ws, "edit", fields{"path": "twice", "old_string": "x", "new_string": "y", "replace_all": true}), Success, "2 replacements")
	want(t, call(t, ws, "edit", fields{"path": "latin", "old_string": "old", "new_string": "new"}), Success)
	if got := content(t, ws, "latin"); got != "caf\xe9 new\n" {
		t.Errorf("bytes outside of the match changed: %q", got)
	}
	want(t, call(t, ws, "edit", fields{"path": "a.go", "old_string": "x", "new_string": "x"}), Failure, "nothing to do")
	want(t, call(t, ws, "edit", fields{"path": "bin", "old_string": "a", "new_string": "b"}), Failure, "binary")
	want(t, call(t, ws, "edit", fields{"path": "b.go", "old_string": "a", "new_string": "b"}), Failure, "a.go")
	want(t, call(t, ws, "edit", fields{"path": "new/dir/c.go", "old_string": "", "new_string": "package c\n"}), Success, "Created new/dir/c.go (1 line).")
	want(t, call(t, ws, "edit", fields{"path": "empty", "old_string": "", "new_string": "filled\n"}), Success)
	want(t, call(t, ws, "edit", fields{"path": "a.go", "old_string": "", "new_string": "y"}), Failure, "not empty")
	if got := content(t, ws, "new/dir/c.go") + content(t, ws, "empty"); got != "package c\nfilled\n" {
		t.Errorf("created %q", got)
	}
	for name := range tree(t, ws) {
		if strings.Contains(name, ".mgx-") {
			t.Errorf("%s was left behind", name)
		}
	}
}

func TestEditTellsWhatItAdapted(t *testing.T) {
	t.Parallel()
	ws := workspace(t, map[string]string{"tabs": "\ta\n\tb\n", "crlf": "a\r\nb\r\n"})
	want(t, call(t, ws, "edit", fields{"path": "tabs", "old_string": "a\nb\n", "new_string": "c\n"}), Success, "other white space", "   1\t\tc\n")
	want(t, call(t, ws, "edit", fields{"path": "crlf", "old_string": "a\nb\n", "new_string": "c\n"}), Success, "line endings")
}

// A failed write must leave the file as it was.
func TestEditWhenWritingFails(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("root writes everywhere")
	}
	ws := workspace(t, map[string]string{"dir/a": "x\n"})
	if err := ws.Root.Chmod("dir", 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Root.Chmod("dir", 0o755) })
	want(t, call(t, ws, "edit", fields{"path": "dir/a", "old_string": "x", "new_string": "y"}), Failure, "permission denied")
	if got := content(t, ws, "dir/a"); got != "x\n" {
		t.Errorf("the file is %q", got)
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	ws := workspace(t, map[string]string{"run.sh": "old\n"})
	if err := ws.Root.Chmod("run.sh", 0o755); err != nil {
		t.Fatal(err)
	}
	want(t, call(t, ws, "write", fields{"path": "deep/er/new.txt", "content": "a\nb"}), Success, "Created deep/er/new.txt (2 lines, 3 B).")
	want(t, call(t, ws, "write", fields{"path": "run.sh", "content": ""}), Success, "Replaced run.sh (0 lines, 0 B).")
	if info, err := ws.Root.Stat("run.sh"); err != nil || info.Mode().Perm() != 0o755 || info.Size() != 0 {
		t.Errorf("%v, %v", info, err)
	}
	if info, err := ws.Root.Stat("deep/er/new.txt"); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info, err)
	}
	want(t, call(t, ws, "write", fields{"path": "big", "content": strings.Repeat("x", maxEditable+1)}), Failure, "up to 8.0 MB")
}

// linesOf draws a text whose lines end as eols say; the last may have no newline.
func linesOf(t *rapid.T, label string, eols ...string) string {
	words := rapid.SampledFrom([]string{"a", "b", "\tif x {", "\t\treturn", "    spaces", "}", "", "tail  ", "é", "--", "++ x", "@@", "*** End"})
	var b strings.Builder
	for range rapid.IntRange(0, 14).Draw(t, label+" lines") {
		b.WriteString(words.Draw(t, label) + rapid.SampledFrom(eols).Draw(t, "eol"))
	}
	if rapid.Bool().Draw(t, label+" open") {
		return strings.TrimRight(b.String(), "\r\n")
	}
	return b.String()
}

// An edit that succeeds changes nothing but the one place, and no line ending.
func TestSubstituteKeepsTheRest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		eol := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "file's eol")
		before, after := linesOf(t, "before", eol), linesOf(t, "after", eol)
		if before != "" && !strings.HasSuffix(before, "\n") {
			before += eol
		}
		n := rapid.IntRange(1, 3).Draw(t, "n")
		var found, new []string
		for i := range n {
			found = append(found, fmt.Sprintf("\tunique line %d", i))
			new = append(new, fmt.Sprintf("\tanother %d", i))
		}
		body := before + strings.Join(found, eol) + eol + after
		old := strings.Join(found, rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "model's eol"))
		if rapid.Bool().Draw(t, "indented otherwise") {
			old = strings.ReplaceAll(old, "\t", "")
			for i := range new {
				new[i] = strings.TrimPrefix(new[i], "\t")
			}
		}
		got, err := substitute(body, old, strings.Join(new, "\n"), false)
		if err != nil {
			t.Fatal(err)
		}
		for i := range new {
			new[i] = "\t" + strings.TrimPrefix(new[i], "\t")
		}
		expected := before + strings.Join(new, eol) + eol + after
		// With a tab less, old also matches inside of its line, which is exact.
		if got.text != expected {
			t.Errorf("got %q\nwant %q", got.text, expected)
		}
	})
}

func FuzzEdit(f *testing.F) {
	f.Add("a\r\n\tb\nc", "a\nb", "x\ny", false)
	f.Add("a\na\n", "a", "b", true)
	f.Add("  x\n    y\n", "x\n  y", "z", false)
	f.Fuzz(func(t *testing.T, body, old, new string, all bool) {
		if old == "" || old == new {
			return
		}
		got, err := substitute(body, old, new, all)
		if err != nil {
			if len(err.Error()) > 100_000 {
				t.Fatalf("error of %d bytes", len(err.Error()))
			}
			return
		}
		if got.text == body || len(got.at) == 0 {
			t.Fatalf("success without a change")
		}
		if first := got.at[0].start; first > 0 && body[:min(first, len(body))] != got.text[:min(first, len(got.text), len(body))] {
			t.Fatalf("bytes before the match changed: %q became %q", body, got.text)
		}
		if tail := strings.TrimRight(got.text[got.at[len(got.at)-1].end:], "\r\n"); !strings.HasSuffix(strings.TrimRight(body, "\r\n"), tail) {
			t.Fatalf("bytes after the match changed: %q became %q", body, got.text)
		}
		got.report(place{name: "f"})
	})
}
