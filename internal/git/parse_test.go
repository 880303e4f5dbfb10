package git

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzParseChanges(f *testing.F) {
	f.Add(":100644 100644 a b M\x00x\x00:100644 000000 a b R100\x00old\x00new\x001\t2\tx\x00-\t-\t\x00old\x00new\x00")
	f.Add(":000000 100644 a b A\x00\xff\n\x001\t0\t\xff\n\x00")
	f.Add(":")
	f.Fuzz(func(t *testing.T, out string) {
		changes, err := parseChanges(out)
		for _, c := range changes {
			if err == nil && (c.Path == "" || c.Status == "" || c.Binary && c.Additions != 0) {
				t.Errorf("%q gave %+v", out, c)
			}
		}
	})
}

func FuzzChangedList(f *testing.F) {
	f.Add("1 .M N... 100644 100644 100644 a a x y\x001 .D N... 100644 100644 000000 a a gone\x001 .M SC.. 160000 160000 160000 a a sub\x00? new\x00? dir/\x00")
	f.Add(":100644 000000 a b D\x00gone\x00:100644 160000 a b M\x00sub\x00:100644 100644 a b M\x00x\x00")
	f.Add("")
	f.Fuzz(func(t *testing.T, out string) {
		for _, ch := range []changes{parseStatus(out), parseTracked(out)} {
			// A repository in the place of a file is both gone and inside.
			if n := strings.Count(out, "\x00") + 1; len(ch.put)+len(ch.gone) > n || len(ch.inside) > n {
				t.Errorf("%q gave more names than records", out)
			}
		}
	})
}

func FuzzBundleHeader(f *testing.F) {
	id := strings.Repeat("a", 40)
	f.Add("# v2 git bundle\n-" + id + " base\n" + id + " refs/mgx/result\n\nPACK")
	f.Add("# v3 git bundle\n@object-format=sha256\n" + id + " x\n\n")
	f.Add("# v2 git bundle\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		name := filepath.Join(t.TempDir(), "bundle")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := openBundle(name, "sha1")
		if err != nil {
			return
		}
		defer b.file.Close()
		if !isID(b.tip) || b.pack > int64(len(text)) || !strings.HasSuffix(text[:b.pack], "\n\n") {
			t.Errorf("%q was accepted as %+v", text, b)
		}
	})
}

func FuzzAlternateQuoting(f *testing.F) {
	f.Add("/plain/objects")
	f.Add("/with\nnewline")
	f.Add(`"`)
	f.Add("#")
	f.Fuzz(func(t *testing.T, name string) {
		line := quoteAlternate(name)
		if strings.Contains(line, "\n") {
			t.Errorf("%q became two lines", name)
		}
		if name == "" || strings.ContainsRune(name, 0) || !utf8.ValidString(name) {
			return
		}
		if got := unquoteAlternate(line); got != name {
			t.Errorf("%q came back as %q", name, got)
		}
	})
}

func FuzzSentence(f *testing.F) {
	f.Add("warning: x\nerror: \x1b[31m\u202efirst\nfatal: last\n")
	f.Fuzz(func(t *testing.T, said string) {
		s := sentence(said)
		if s == "" || strings.ContainsAny(s, "\n\x1b\u202e") || !utf8.ValidString(s) || utf8.RuneCountInString(s) > 301 {
			t.Errorf("%q became %s", said, strconv.Quote(s))
		}
	})
}
