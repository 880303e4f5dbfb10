package tool

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func lineNumbers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %d\n", i+1)
	}
	return b.String()
}

func TestReadWindow(t *testing.T) {
	t.Parallel()
	ws := workspace(t, map[string]string{"long": lineNumbers(1000), "short": "a\nb", "empty": "", "wide": strings.Repeat("ä", 3000) + "\nend\n"})
	res := call(t, ws, "read", fields{"path": "long"})
	want(t, res, Success, "   1\tline 1\n", " 400\tline 400\n", "(lines 1-400 of 1000; continue with offset 401)")
	if strings.Contains(res.Text, "line 401") {
		t.Error("more than the default was shown")
	}
	want(t, call(t, ws, "read", fields{"path": "long", "offset": 999, "limit": 50}), Success, " 999\tline 999\n1000\tline 1000\n(lines 999-1000 of 1000, end of file)")
	want(t, call(t, ws, "read", fields{"path": "long", "offset": 1001}), Failure, "only 1000 lines")
	want(t, call(t, ws, "read", fields{"path": "long", "limit": 99999}), Success, "1000\tline 1000")
	want(t, call(t, ws, "read", fields{"path": "short"}), Success, "   1\ta\n   2\tb\n(lines 1-2 of 2, end of file)", "no newline at the end")
	want(t, call(t, ws, "read", fields{"path": "empty"}), Success, "empty")
	res = call(t, ws, "read", fields{"path": "wide"})
	want(t, res, Success, "…\n   2\tend", "cut")
	if len(res.Text) > 2300 {
		t.Errorf("a long line was not cut: %d bytes", len(res.Text))
	}
	res = call(t, ws, "read", fields{"path": "long", "limit": 1})
	want(t, res, Success, "(lines 1-1 of 1000; continue with offset 2)")
}

func TestReadIsBounded(t *testing.T) {
	t.Parallel()
	ws := workspace(t, map[string]string{"big": strings.Repeat(strings.Repeat("x", 999)+"\n", 500)})
	res := call(t, ws, "read", fields{"path": "big", "limit": 2000})
	want(t, res, Success, "of 500; continue with offset 66)")
	if len(res.Text) > maxRead+2000 {
		t.Errorf("%d bytes", len(res.Text))
	}
}

func TestReadTraits(t *testing.T) {
	t.Parallel()
	ws := workspace(t, map[string]string{
		"crlf": "a\r\nb\r\n", "bom": bom + "a\n", "latin": "caf\xe9\n", "hidden": "a\u202eb\x1b[31mc\n",
		"plain": "über <U+00AD>\n",
	})
	want(t, call(t, ws, "read", fields{"path": "crlf"}), Success, "   1\ta\n   2\tb\n", "CRLF")
	want(t, call(t, ws, "read", fields{"path": "bom"}), Success, "   1\ta\n", "byte order mark")
	want(t, call(t, ws, "read", fields{"path": "latin"}), Success, "caf\uFFFD", "not UTF-8")
	want(t, call(t, ws, "read", fields{"path": "hidden"}), Success, "a<U+202E>b<U+001B>[31mc", "Invisible")
	if res := call(t, ws, "read", fields{"path": "plain"}); strings.Contains(res.Text, "Invisible") || strings.Contains(res.Text, "UTF-8") {
		t.Errorf("plain text has notices: %s", res.Text)
	}
}

func TestReadRefusesBinary(t *testing.T) {
	t.Parallel()
	ws := workspace(t, map[string]string{
		"nul": "text\x00more", "controls": strings.Repeat("\x01\x02ab", 100), "utf16": "\xff\xfeh\x00i\x00", "few": "text \x01 with one odd byte\n",
	})
	want(t, call(t, ws, "read", fields{"path": "nul"}), Failure, "binary file (9 B)")
	want(t, call(t, ws, "read", fields{"path": "controls"}), Failure, "binary")
	want(t, call(t, ws, "read", fields{"path": "utf16"}), Failure, "UTF-16", "iconv")
	want(t, call(t, ws, "read", fields{"path": "few"}), Success, "one odd byte")
}

// A sparse file of 100 MB whose start is text: one line is 100 MB long.
func TestReadStreamsHugeFiles(t *testing.T) {
	ws := workspace(t, map[string]string{"huge": lineNumbers(1000)})
	if err := os.Truncate(filepath.Join(ws.Root.Name(), "huge"), 100<<20); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	want(t, call(t, ws, "read", fields{"path": "huge", "limit": 2}), Success, "   2\tline 2\n(lines 1-2 of 1001;")
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("reading allocated %s", size(int64(used)))
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("reading took %s", took)
	}
	want(t, call(t, ws, "edit", fields{"path": "huge", "old_string": "line 2", "new_string": "x"}), Failure, "not edited")
	want(t, call(t, ws, "grep", fields{"pattern": "line 2"}), Success, "No line matches", "1 file above 5.0 MB not searched")
	want(t, call(t, ws, "grep", fields{"pattern": "line 2", "path": "huge"}), Success, "not searched")
}

func TestReadMissing(t *testing.T) {
	t.Parallel()
	ws := workspace(t, map[string]string{"internal/server.go": "x", "internal/server_test.go": "x", "lib/handler.py": "x", "README.md": "x", ".git/handler.py": "x"})
	want(t, call(t, ws, "read", fields{"path": "internal/servr.go"}), Failure, "does not exist", "internal/server.go")
	want(t, call(t, ws, "read", fields{"path": "handler.py"}), Failure, "Did you mean: lib/handler.py?")
	want(t, call(t, ws, "read", fields{"path": "readme.md"}), Failure, "README.md")
	want(t, call(t, ws, "read", fields{"path": "quite_another_thing.rb"}), Failure, "Use glob or list")
}
