package mgx_test

import (
	"bufio"
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport is the architecture: which of our packages each of our packages may
// import, besides the root, which anyone may. The code of cmd/mgx wires them all
// together and may import anything. Packages under a driver's or a suite's own
// internal folder belong to it.
var mayImport = map[string][]string{
	"":                {},
	"client":          {},
	"internal/config": {},
	"internal/app":    {"internal/access", "internal/audit", "internal/secret", "internal/event", "internal/workflow", "internal/team", "internal/guard", "internal/guard/policy", "internal/lazy"},
	"internal/api":    {"internal/app", "internal/access", "internal/audit", "internal/event", "internal/webhook", "internal/limit"},
	"internal/web":    {"internal/app", "internal/access", "internal/audit", "internal/guard", "internal/webhook"},
	"internal/ui":     {"internal/guard"},
	"internal/access": {"internal/guard"},

	"internal/access/oidc":          {"internal/access"},
	"internal/access/oidc/oidctest": {},

	"internal/event":               {"internal/lazy"},
	"internal/event/cmd/contracts": {"internal/event"},
	"internal/webhook":             {"internal/event", "internal/guard", "internal/netguard"},
	"internal/netguard":            {},
	"internal/limit":               {},
	"internal/workflow":            {"internal/event"},
	"internal/team": {
		"internal/workflow", "internal/agent", "internal/git",
		"internal/event", "internal/llm", "internal/tool", "internal/sandbox", "internal/sandbox/egress", "internal/guard", "internal/guard/policy",
	},
	"internal/agent": {"internal/llm", "internal/tool", "internal/guard"},

	"internal/llm":               {"internal/lazy"},
	"internal/gateway":           {"internal/llm", "internal/lazy", "internal/limit"},
	"internal/llm/openai":        {"internal/llm"},
	"internal/llm/anthropic":     {"internal/llm"},
	"internal/llm/gemini":        {"internal/llm"},
	"internal/llm/llmtest":       {"internal/llm"},
	"internal/llm/cassette":      {"internal/llm"},
	"internal/llm/redis":         {"internal/llm"},
	"internal/llm/cmd/prices":    {},
	"internal/llm/llmtest/suite": {"internal/llm", "internal/llm/llmtest"},

	"internal/llm/redis/redistest": {},

	"internal/tool":     {"internal/sandbox", "internal/sandbox/egress", "internal/guard", "internal/guard/policy", "internal/lazy"},
	"internal/tool/mcp": {"internal/tool", "internal/guard", "internal/sandbox", "internal/netguard"},
	"internal/guard":    {},

	"internal/guard/policy": {},

	"internal/sandbox":             {},
	"internal/sandbox/native":      {"internal/sandbox", "internal/sandbox/view", "internal/sandbox/confine"},
	"internal/sandbox/off":         {"internal/sandbox", "internal/sandbox/view"},
	"internal/sandbox/view":        {"internal/sandbox"},
	"internal/sandbox/confine":     {"internal/sandbox"},
	"internal/sandbox/docker":      {"internal/sandbox", "internal/sandbox/confine"},
	"internal/sandbox/gvisor":      {"internal/sandbox", "internal/sandbox/confine"},
	"internal/sandbox/egress":      {"internal/sandbox", "internal/netguard"},
	"internal/sandbox/sandboxtest": {"internal/sandbox", "internal/sandbox/egress"},

	"internal/git":             {"internal/sandbox"},
	"internal/blob":            {},
	"internal/archive":         {},
	"internal/store":           {},
	"internal/store/nats":      {"internal/store"},
	"internal/store/storetest": {"internal/store", "internal/secret"},
	"internal/store/pgtest":    {},
	"internal/telemetry":       {},
	"internal/lazy":            {},
	"internal/audit":           {},
	"internal/secret":          {},

	"internal/secret/transit":    {"internal/secret"},
	"internal/secret/secrettest": {"internal/secret"},
	"internal/secret/vaulttest":  {},

	"internal/telemetry/observe": {},
}

// stdOnly are the packages that import no module but ours.
var stdOnly = []string{"", "internal/telemetry", "internal/config", "internal/guard"}

// drivers are chosen in one place: only cmd/mgx imports them.
var drivers = []string{
	"internal/store", "internal/store/nats",
	"internal/llm/openai", "internal/llm/anthropic", "internal/llm/gemini", "internal/llm/llmtest", "internal/llm/cassette", "internal/llm/redis",
	"internal/sandbox/native", "internal/sandbox/off", "internal/sandbox/docker", "internal/sandbox/gvisor",
	"internal/secret/transit",
}

// sqlOnly are imports that mean SQL; they belong to internal/store.
var sqlOnly = regexp.MustCompile(`^(database/sql|modernc\.org/sqlite|github\.com/jackc/pgx)(/|$)`)

// maxLines is the length at which a file is more than one idea.
const maxLines = 600

const wiring = "cmd/mgx"

func TestImportTable(t *testing.T) {
	for _, f := range sources(t) {
		for _, imp := range f.imports() {
			if f.dir == wiring {
				continue
			}
			if why := forbidden(f.dir, imp); why != "" {
				t.Errorf("%s imports %s: %s", f.path, imp, why)
			}
		}
	}
}

// forbidden says why a package in dir may not import imp, or "".
func forbidden(dir, imp string) string {
	if sqlOnly.MatchString(imp) {
		if dir != "internal/store" {
			return "only internal/store speaks SQL"
		}
		return ""
	}
	ours, inside := strings.CutPrefix(imp+"/", "mgx/")
	ours = strings.TrimSuffix(ours, "/")
	switch allowed, listed := mayImport[dir]; {
	case owner(dir) != "":
		return forbiddenInternal(dir, ours, inside)
	case !listed:
		return "the package is not in the import table of arch_test.go"
	case !inside && strings.Contains(imp, ".") && slices.Contains(stdOnly, dir):
		return "this package imports only the standard library"
	case !inside, ours == "", slices.Contains(allowed, ours), owner(ours) != "" && strings.HasPrefix(dir+"/", owner(ours)+"/"):
		return ""
	case slices.Contains(drivers, ours):
		return "only cmd/mgx chooses drivers"
	}
	return "the import table of arch_test.go does not allow it"
}

// owner returns the package that a nested internal folder belongs to, or "".
func owner(dir string) string {
	before, _, nested := strings.Cut(strings.TrimPrefix(dir, "internal/"), "/internal/")
	if !nested {
		return ""
	}
	return "internal/" + before
}

// forbiddenInternal applies the owner's rights to its private helpers.
func forbiddenInternal(dir, ours string, inside bool) string {
	if !inside || ours == "" || strings.HasPrefix(ours, owner(dir)+"/internal/") || slices.Contains(mayImport[owner(dir)], ours) {
		return ""
	}
	return "a private helper may import what " + owner(dir) + " may"
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range sources(t) {
		documented[f.dir] = documented[f.dir] || f.ast.Doc.Text() != ""
	}
	for _, dir := range slices.Sorted(maps.Keys(documented)) {
		if !documented[dir] {
			t.Errorf("package %q has no package comment", dir)
		}
	}
}

// TestNoInit has one exception, which docs/adr/0014 explains.
func TestNoInit(t *testing.T) {
	for _, f := range sources(t) {
		if f.dir == "internal/sandbox/internal/boxinit" {
			continue
		}
		for _, decl := range f.ast.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s has an init function: make the caller ask for it", f.path)
			}
		}
	}
}

func TestNoLongFiles(t *testing.T) {
	for _, f := range sources(t) {
		if lines := bytes.Count(f.text, []byte("\n")); lines > maxLines && !ast.IsGenerated(f.ast) {
			t.Errorf("%s has %d lines, more than %d: split it by idea", f.path, lines, maxLines)
		}
	}
}

// Every module that our code imports is explained, with a licence we accept,
// and nothing else is.
func TestDependenciesAreExplained(t *testing.T) {
	modules := requiredModules(t)
	used := map[string]bool{}
	for _, f := range allFiles(t) {
		for _, imp := range f.imports() {
			if m := moduleOf(modules, imp); m != "" {
				used[m] = true
			} else if strings.Contains(strings.Split(imp, "/")[0], ".") {
				t.Errorf("%s imports %s, of which go.mod knows nothing", f.path, imp)
			}
		}
	}
	explained := explainedModules(t)
	for m := range used {
		if explained[m] == "" {
			t.Errorf("%s is imported and not explained in docs/dependencies.md", m)
		}
	}
	accepted := []string{"MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "MPL-2.0", "ISC"}
	for m, licence := range explained {
		if !used[m] {
			t.Errorf("docs/dependencies.md explains %s, which nothing imports", m)
		}
		if !slices.Contains(accepted, licence) {
			t.Errorf("docs/dependencies.md gives %s the licence %q, not one of %v", m, licence, accepted)
		}
	}
}

func TestNoReplaceInGoMod(t *testing.T) {
	for _, name := range []string{"go.mod", "tools/go.mod"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if regexp.MustCompile(`(?m)^\s*(replace|exclude)\b`).Match(b) {
			t.Errorf("%s replaces or excludes modules: then `go install` of mgx breaks", name)
		}
	}
}

// The table is only worth what it refuses.
func TestForbidden(t *testing.T) {
	for _, c := range []struct {
		dir, imp string
		ok       bool
	}{
		{"internal/agent", "mgx/internal/llm", true},
		{"internal/agent", "mgx", true},
		{"internal/agent", "github.com/x/y", true},
		{"internal/agent", "mgx/internal/store", false},
		{"internal/agent", "mgx/internal/llm/openai", false},
		{"internal/workflow", "mgx/internal/agent", false},
		{"internal/workflow", "database/sql", false},
		{"internal/tool", "modernc.org/sqlite", false},
		{"internal/store", "modernc.org/sqlite/lib", true},
		{"internal/store", "mgx/internal/event", false},
		{"internal/telemetry", "golang.org/x/sys/unix", false},
		{"internal/telemetry", "log/slog", true},
		{"", "github.com/x/y", false},
		{"internal/util", "strings", false},
		{"internal/sandbox/native", "mgx/internal/sandbox/internal/stdio", true},
		{"internal/sandbox/internal/stdio", "mgx/internal/llm", false},
		{"internal/sandbox/internal/stdio", "io", true},
	} {
		if why := forbidden(c.dir, c.imp); (why == "") != c.ok {
			t.Errorf("%q importing %q: %q", c.dir, c.imp, why)
		}
	}
}

// source is one parsed Go file.
type source struct {
	path, dir string // slash-separated, from the root of the repository; dir "" is the root
	text      []byte
	ast       *ast.File
}

func (f source) imports() []string {
	var all []string
	for _, spec := range f.ast.Imports {
		imp, _ := strconv.Unquote(spec.Path.Value)
		all = append(all, imp)
	}
	return all
}

// sources parses every Go file of ours that is not a test.
func sources(t *testing.T) []source {
	t.Helper()
	return slices.DeleteFunc(allFiles(t), func(f source) bool { return strings.HasSuffix(f.path, "_test.go") })
}

// allFiles parses every Go file of this module, leaving out what go leaves out.
func allFiles(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipDir(p)
		}
		if path.Ext(p) != ".go" {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), p, text, parser.ParseComments)
		dir := strings.TrimPrefix(path.Dir(filepath.ToSlash(p)), ".")
		all = append(all, source{filepath.ToSlash(p), dir, text, parsed})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no Go files found")
	}
	return all
}

func skipDir(p string) error {
	name := filepath.Base(p)
	_, nested := os.Stat(filepath.Join(p, "go.mod"))
	if p != "." && (nested == nil || name == "testdata" || name == "node_modules" || name[0] == '.' || name[0] == '_') {
		return filepath.SkipDir
	}
	return nil
}

// requiredModules lists the modules in go.mod, longest path first.
func requiredModules(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range regexp.MustCompile(`(?m)^(?:require)?\s+(\S+\.\S+) v\d`).FindAllSubmatch(b, -1) {
		all = append(all, string(m[1]))
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return all
}

func moduleOf(modules []string, imp string) string {
	for _, m := range modules {
		if strings.HasPrefix(imp+"/", m+"/") {
			return m
		}
	}
	return ""
}

// explainedModules reads the table of docs/dependencies.md: rows that begin with
// a module in backquotes, then its licence.
func explainedModules(t *testing.T) map[string]string {
	t.Helper()
	f, err := os.Open("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	row := regexp.MustCompile("^\\| `([^`]+)` \\| ([^|]*) \\| [^|]+ \\| [^|]+ \\|$")
	all := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if m := row.FindStringSubmatch(lines.Text()); m != nil {
			all[m[1]] = m[2]
		}
	}
	return all
}
