package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mgx"
)

// member is one entry of an archive to be made.
type member struct {
	name, text string
	kind       byte // of tar; 0: a file, or a directory when the name ends with /
	mode       int64
	to         string
}

func tarOf(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Size: int64(len(m.text)), Mode: m.mode, Typeflag: m.kind, Linkname: m.to, Format: tar.FormatPAX}
		if m.kind == 0 {
			h.Typeflag = tar.TypeReg
			if strings.HasSuffix(m.name, "/") {
				h.Typeflag = tar.TypeDir
			}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gz(t testing.TB, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipOf(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: zip.Deflate}
		mode := fs.FileMode(m.mode & 0o777)
		switch m.kind {
		case tar.TypeSymlink:
			mode |= fs.ModeSymlink
		case tar.TypeFifo:
			mode |= fs.ModeNamedPipe
		}
		if m.mode&0o4000 != 0 {
			mode |= fs.ModeSetuid
		}
		h.SetMode(mode)
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(m.name, "/") {
			if _, err := f.Write([]byte(m.text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func rootOf(t testing.TB, dir string) *os.Root {
	t.Helper()
	r, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func unpack(t testing.TB, dir string, raw []byte, l Limits) error {
	t.Helper()
	return Unpack(context.Background(), rootOf(t, dir), bytes.NewReader(raw), int64(len(raw)), l)
}

// tree is what lies below a directory: modes and contents.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, name)
		info, err := d.Info()
		if err != nil || rel == "." {
			return err
		}
		all[rel] = info.Mode().String()
		if d.Type().IsRegular() {
			text, err := os.ReadFile(name)
			all[rel] += " " + string(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	members := []member{
		{name: "./"},
		{name: "./a/"},
		{name: "./a/run.sh", text: "echo", mode: 0o4777},
		{name: "b/c/deep.txt", text: "deep", mode: 0o600},
		{name: "naïve 文.txt", text: "x"},
	}
	want := map[string]string{
		"a": "drwxr-xr-x", "a/run.sh": "-rwxr-xr-x echo", "b": "drwxr-xr-x", "b/c": "drwxr-xr-x",
		"b/c/deep.txt": "-rw-r--r-- deep", "naïve 文.txt": "-rw-r--r-- x",
	}
	digests := map[string]bool{}
	for kind, raw := range map[string][]byte{Tar: tarOf(t, members...), TarGz: gz(t, tarOf(t, members...)), Zip: zipOf(t, members...)} {
		if got := Kind(bytes.NewReader(raw)); got != kind {
			t.Errorf("%s is taken for %q", kind, got)
		}
		dir := t.TempDir()
		if err := unpack(t, dir, raw, Defaults); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if got := tree(t, dir); !maps.Equal(got, want) {
			t.Errorf("%s: %v", kind, got)
		}
		looked, err := Look(rootOf(t, dir))
		if err != nil || looked.Files != 3 || looked.Size != 9 {
			t.Errorf("%s: %+v, %v", kind, looked, err)
		}
		digests[looked.Digest] = true
		again := t.TempDir()
		if err := Copy(t.Context(), rootOf(t, again), rootOf(t, dir), Defaults); err != nil {
			t.Errorf("copy: %v", err)
		}
		if copied, err := Look(rootOf(t, again)); err != nil || copied != looked {
			t.Errorf("copied: %+v, %v", copied, err)
		}
	}
	if len(digests) != 1 {
		t.Errorf("the same files have %d digests", len(digests))
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("d/", 40) + "f"
	for what, c := range map[string]struct {
		members []member
		says    string
	}{
		"absolute":      {[]member{{name: "/etc/passwd", text: "x"}}, "absolute"},
		"slip":          {[]member{{name: "../out", text: "x"}}, "leads out"},
		"inner slip":    {[]member{{name: "a/../../out", text: "x"}}, "leads out"},
		"harmless ..":   {[]member{{name: "a/../b", text: "x"}}, "leads out"},
		"windows slip":  {[]member{{name: `..\out`, text: "x"}}, `has a \`},
		"symlink":       {[]member{{name: "l", kind: tar.TypeSymlink, to: "/etc"}}, "is a link"},
		"symlink in":    {[]member{{name: "l", kind: tar.TypeSymlink, to: "a"}, {name: "l/x", text: "x"}}, "is a link"},
		"fifo":          {[]member{{name: "p", kind: tar.TypeFifo}}, "neither"},
		"twice":         {[]member{{name: "a", text: "1"}, {name: "a", text: "2"}}, "comes twice"},
		"by case":       {[]member{{name: "README", text: "1"}, {name: "readme", text: "2"}}, "comes twice"},
		"dir by case":   {[]member{{name: "Src/a", text: "1"}, {name: "src/b", text: "2"}}, "comes twice"},
		"by accent":     {[]member{{name: "é", text: "1"}, {name: "e\u0301", text: "2"}}, "comes twice"},
		"file then dir": {[]member{{name: "a", text: "1"}, {name: "a/b", text: "2"}}, "comes twice"},
		"dir then file": {[]member{{name: "a/b", text: "1"}, {name: "a", text: "2"}}, "comes twice"},
		"hidden":        {[]member{{name: "safe\u202etxt.exe", text: "1"}}, "cannot be seen"},
		"control":       {[]member{{name: "a\x1b[31m", text: "1"}}, "cannot be seen"},
		"deep":          {[]member{{name: long, text: "1"}}, "directories deep"},
		"long":          {[]member{{name: strings.Repeat("n", 300), text: "1"}}, "255 bytes"},
		"longer":        {[]member{{name: strings.Repeat("nnnnnnn/", 200), text: ""}}, "1024 bytes"},
	} {
		for kind, raw := range map[string][]byte{"tar": tarOf(t, c.members...), "zip": zipOf(t, c.members...)} {
			outside := t.TempDir()
			dir := filepath.Join(outside, "in")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			err := unpack(t, dir, raw, Defaults)
			if !mgx.IsCode(err, CodeRefused) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s in a %s: %v", what, kind, err)
			}
			if got := slices.Collect(maps.Keys(tree(t, outside))); slices.ContainsFunc(got, func(n string) bool { return n != "in" && !strings.HasPrefix(n, "in/") }) {
				t.Errorf("%s in a %s wrote %v", what, kind, got)
			}
		}
	}
	for what, m := range map[string]member{
		"hard link": {name: "h", kind: tar.TypeLink, to: "/etc/passwd"},
		"device":    {name: "d", kind: tar.TypeChar},
		"block":     {name: "d", kind: tar.TypeBlock},
	} {
		if err := unpack(t, t.TempDir(), tarOf(t, m), Defaults); !mgx.IsCode(err, CodeRefused) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestBombs(t *testing.T) {
	t.Parallel()
	zeros := strings.Repeat("\x00", 4<<20)
	many := make([]member, 300)
	for i := range many {
		many[i].name = fmt.Sprintf("f%03d", i)
	}
	few := Limits{Entries: 200, Bytes: 64 << 20, Ratio: 200, Depth: 32, Name: 1024}
	small := Limits{Entries: 200, Bytes: 1 << 20, Ratio: 1 << 40, Depth: 32, Name: 1024}
	for what, c := range map[string]struct {
		raw    []byte
		limits Limits
		says   string
	}{
		"ratio of a zip":    {zipOf(t, member{name: "zeros", text: zeros}), Defaults, "200 times"},
		"ratio of a tar.gz": {gz(t, tarOf(t, member{name: "zeros", text: zeros})), Defaults, "200 times"},
		"bytes":             {tarOf(t, member{name: "a", text: zeros[:1<<19+1]}, member{name: "b", text: zeros[:1<<19+1]}), small, "1 MB"},
		"bytes of a zip":    {zipOf(t, member{name: "zeros", text: zeros}), small, "1 MB"},
		"entries":           {tarOf(t, many...), few, "more than 200"},
		"entries of a zip":  {zipOf(t, many...), few, "more than 200"},
		"cut off":           {tarOf(t, member{name: "a", text: zeros[:1<<16]})[:1<<10], Defaults, "damaged"},
		"no archive":        {[]byte("hello"), Defaults, "no tar"},
	} {
		dir := t.TempDir()
		err := unpack(t, dir, c.raw, c.limits)
		if !mgx.IsCode(err, CodeRefused) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", what, err, c.says)
		}
		var written int64
		for name := range tree(t, dir) {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
				written += info.Size()
			}
		}
		if written > c.limits.Bytes {
			t.Errorf("%s wrote %d bytes", what, written)
		}
	}
}

// The directory of a zip is read before it can be looked at.
func TestZipWithAHugeDirectory(t *testing.T) {
	t.Parallel()
	many := make([]member, 3000)
	for i := range many {
		many[i].name = fmt.Sprintf("%0900d", i)[:250] + fmt.Sprint(i) + "/"
	}
	l := Defaults
	l.Entries, l.Name = 10, 100
	if err := unpack(t, t.TempDir(), zipOf(t, many...), l); !mgx.IsCode(err, CodeRefused) || !strings.Contains(err.Error(), "more entries") {
		t.Errorf("got %v", err)
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	raw := tarOf(t, member{name: "a", text: "x"})
	if err := Unpack(ctx, rootOf(t, t.TempDir()), bytes.NewReader(raw), int64(len(raw)), Defaults); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestCopyTakesFilesOnly(t *testing.T) {
	t.Parallel()
	for what, plant := range map[string]func(dir string) error{
		"symlink": func(dir string) error { return os.Symlink("/etc/passwd", filepath.Join(dir, "l")) },
		"fifo":    func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, "p"), 0o644) },
	} {
		dir := t.TempDir()
		if err := plant(dir); err != nil {
			t.Fatal(err)
		}
		if err := Copy(t.Context(), rootOf(t, t.TempDir()), rootOf(t, dir), Defaults); !mgx.IsCode(err, CodeRefused) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(tarOf(f, member{name: "a/b", text: "x"}, member{name: "../c", text: "y"}))
	f.Add(gz(f, tarOf(f, member{name: "a/", mode: 0o7777}, member{name: "l", kind: tar.TypeSymlink, to: ".."})))
	f.Add(zipOf(f, member{name: "a/b", text: "x"}, member{name: "/c", text: "y"}))
	l := Limits{Entries: 50, Bytes: 1 << 20, Ratio: 100, Depth: 8, Name: 100}
	f.Fuzz(func(t *testing.T, raw []byte) {
		outer := t.TempDir()
		dir := filepath.Join(outer, "in")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		err := unpack(t, dir, raw, l)
		if err != nil {
			if _, ours := errors.AsType[*mgx.Error](err); !ours {
				t.Errorf("not an error to show: %v", err)
			}
		}
		for name, what := range tree(t, outer) {
			ok := name == "in" || strings.HasPrefix(name, "in/")
			if !ok || what[0] != 'd' && !strings.HasPrefix(what, "-rw-r--r-- ") && !strings.HasPrefix(what, "-rwxr-xr-x ") {
				t.Errorf("%q: %.40s", name, what)
			}
		}
		if looked, err := Look(rootOf(t, dir)); err != nil || looked.Size > l.Bytes || looked.Files > l.Entries {
			t.Errorf("%+v, %v", looked, err)
		}
	})
}
