package main

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// sourcesOf reads all Go files whose name ends so.
func sourcesOf(t *testing.T, ending string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir("../..", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && d.Name() != ".." && name != "../..") {
			if d != nil && d.IsDir() && err == nil {
				return filepath.SkipDir
			}
			return err
		}
		if strings.HasSuffix(name, ending) {
			text, err := os.ReadFile(name)
			all.Write(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// Whatever the pages on SOC 2 and the GDPR name in code is there: files, tests,
// commands, flags and routes. Anything else may not be named so.
func TestComplianceDocuments(t *testing.T) {
	t.Parallel()
	tests, code := sourcesOf(t, "_test.go"), sourcesOf(t, ".go")
	root := (&cli{getenv: func(string) string { return "" }, out: io.Discard, err: io.Discard}).command()
	flags := map[string]bool{}
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, set := range []*pflag.FlagSet{cmd.Flags(), cmd.PersistentFlags()} {
			set.VisitAll(func(f *pflag.Flag) { flags["--"+f.Name] = true })
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(root)
	named := regexp.MustCompile("`([^`]+)`")
	for _, page := range []string{"soc2.md", "gdpr.md"} {
		text, err := os.ReadFile(filepath.Join("../../docs/compliance", page))
		if err != nil {
			t.Fatal(err)
		}
		found := named.FindAllSubmatch(text, -1)
		if len(found) < 40 {
			t.Errorf("%s names %d things only", page, len(found))
		}
		for _, m := range found {
			name := string(m[1])
			method, _, route := strings.Cut(name, " /")
			ok := false
			switch {
			case strings.HasPrefix(name, "Test"):
				ok = strings.Contains(tests, "func "+name+"(t *testing.T)")
			case strings.HasPrefix(name, "--"):
				ok = flags[name]
			case strings.HasPrefix(name, "mgx "):
				cmd, rest, err := root.Find(strings.Fields(name)[1:])
				ok = err == nil && len(rest) == 0 && cmd != root
			case route && slices.Contains([]string{"GET", "POST", "PUT", "PATCH", "DELETE"}, method):
				ok = strings.Contains(code, `("`+name+`", `)
			default:
				_, err := os.Stat(filepath.Join("../..", filepath.FromSlash(name)))
				ok = err == nil
			}
			if !ok {
				t.Errorf("%s names %s, which is not there", page, name)
			}
		}
	}
}
