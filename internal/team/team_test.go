package team

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mgx"
	"mgx/internal/tool"
)

func TestRolesAreWhole(t *testing.T) {
	roles, err := Roles()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"triage", "planner", "implementer", "reviewer", "answerer"} {
		if _, ok := roles[name]; !ok {
			t.Errorf("there is no role %s", name)
		}
	}
	for name, r := range roles {
		tools, _, forbidden, err := r.gear()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, x := range tools {
			if e := x.Spec().Effect; e == tool.Write && name != "implementer" {
				t.Errorf("%s has %s, which writes", name, x.Spec().Name)
			}
		}
		if name != "implementer" && len(forbidden) == 0 {
			t.Errorf("%s is forbidden nothing", name)
		}
	}
}

func TestBadRoleFiles(t *testing.T) {
	for name, text := range map[string]string{
		"no fields":     "just words",
		"unknown field": "---\nname: x\nturns: 1\ncolour: red\n---\nwords",
		"bad turns":     "---\nname: x\nturns: none\n---\nwords",
		"no name":       "---\nturns: 3\n---\nwords",
		"no words":      "---\nname: x\nturns: 3\n---\n",
	} {
		if r, err := parseRole(text); err == nil {
			t.Errorf("%s: accepted as %+v", name, r)
		}
	}
}

func TestDetectChecks(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"nothing":    {map[string]string{"README": ""}, nil},
		"go":         {map[string]string{"go.mod": "module x"}, []string{"go vet ./...", "go test ./..."}},
		"make":       {map[string]string{"go.mod": "module x", "Makefile": "X := 1\nall: test\n\techo\ntest:\n\tgo test\n"}, []string{"make test"}},
		"make check": {map[string]string{"Makefile": "check: a\ntest: b\n"}, []string{"make check"}},
		"make other": {map[string]string{"Makefile": "build:\n\tcc\n", "Cargo.toml": ""}, []string{"cargo test --offline --workspace"}},
		"npm":        {map[string]string{"package.json": `{"scripts":{"test":"node --test","lint":"eslint"}}`}, []string{"npm run lint", "npm run test"}},
		"npm init":   {map[string]string{"package.json": `{"scripts":{"test":"echo \"Error: no test specified\" && exit 1"}}`}, nil},
		"pnpm":       {map[string]string{"package.json": `{"scripts":{"test":"x"}}`, "pnpm-lock.yaml": ""}, []string{"pnpm run test"}},
		"broken":     {map[string]string{"package.json": `{"scripts":`}, nil},
		"python":     {map[string]string{"pyproject.toml": "", "tests/test_a.py": ""}, []string{"python3 -m pytest -q"}},
		"bun":        {map[string]string{"package.json": `{"scripts":{"test":"x"}}`, "bun.lockb": "\x00"}, []string{"bun run test"}},
		"maven":      {map[string]string{"pom.xml": ""}, []string{"mvn -q -o verify"}},
		"wrapped":    {map[string]string{"pom.xml": "", "mvnw": "#!/bin/sh\n"}, []string{"./mvnw -q -o verify"}},
		"gradle":     {map[string]string{"build.gradle.kts": "", "settings.gradle.kts": "", "gradlew": "#!/bin/sh\n"}, []string{"./gradlew --offline check"}},
		"gradle's":   {map[string]string{"settings.gradle": ""}, []string{"gradle --offline check"}},
		"two":        {map[string]string{"go.mod": "", "package.json": `{"scripts":{"test":"x"}}`}, []string{"go vet ./...", "go test ./...", "npm run test"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for f, text := range c.files {
				path := filepath.Join(dir, f)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			root, err := os.OpenRoot(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			var got []string
			for _, check := range DetectChecks(root) {
				got = append(got, check.Command)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestRulesFileThatLinksOutIsNoRulesFile(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("do as I say"), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "AGENTS.md")); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if text, err := readRules(root, nil, func(string) bool { return false }); text != "" || err != nil {
		t.Errorf("read %q, %v", text, err)
	}
}

func TestPlanHashBindsWhatIsApprovedOnly(t *testing.T) {
	plan := mgx.Plan{Goal: "g", Steps: []mgx.PlanStep{{Text: "a", Status: "todo"}, {Text: "b", Status: "todo"}}, Files: []string{"f"}}
	base := planHash(plan)
	progress := plan
	progress.Steps = []mgx.PlanStep{{Text: "a", Status: "done"}, {Text: "b", Status: "doing"}}
	if planHash(progress) != base {
		t.Error("progress changes the hash")
	}
	for name, p := range map[string]mgx.Plan{
		"goal":      {Goal: "h", Steps: plan.Steps, Files: plan.Files},
		"step":      {Goal: "g", Steps: []mgx.PlanStep{{Text: "a"}, {Text: "c"}}, Files: plan.Files},
		"file":      {Goal: "g", Steps: plan.Steps, Files: []string{"f", "g"}},
		"run-on":    {Goal: "gf", Steps: plan.Steps},
		"moved cut": {Goal: "g", Steps: []mgx.PlanStep{{Text: "ab"}}, Files: plan.Files},
	} {
		if planHash(p) == base {
			t.Errorf("a plan with another %s has the same hash", name)
		}
	}
}

func TestSameFindings(t *testing.T) {
	a := mgx.Finding{File: "x.go", Title: "Leaks a file", Body: "one"}
	b := mgx.Finding{File: "y.go", Title: "Off by one"}
	reworded := a
	reworded.Body, reworded.Title = "two", "leaks a file "
	if !sameFindings([]mgx.Finding{a, b}, []mgx.Finding{b, reworded}) {
		t.Error("order and explanation make a difference")
	}
	if sameFindings([]mgx.Finding{a}, []mgx.Finding{a, b}) || sameFindings([]mgx.Finding{a}, []mgx.Finding{b}) {
		t.Error("different findings count as the same")
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		max := rapid.IntRange(1, 50).Draw(t, "max")
		w := &tail{max: max}
		var all strings.Builder
		for _, chunk := range rapid.SliceOf(rapid.StringMatching(`[a-z\n]{0,40}`)).Draw(t, "chunks") {
			all.WriteString(chunk)
			if n, err := w.Write([]byte(chunk)); n != len(chunk) || err != nil {
				t.Fatalf("wrote %d, %v", n, err)
			}
		}
		got, cut := strings.CutPrefix(w.String(), "[… earlier output left out]\n")
		whole := all.String()
		if cut != (len(whole) > max) || !strings.HasSuffix(whole, got) || len(got) < min(max, len(whole)) {
			t.Fatalf("of %q kept %q (cut %v)", whole, got, cut)
		}
		if len(w.buf) > 2*max+40 {
			t.Fatalf("%d bytes held for %d", len(w.buf), max)
		}
	})
}
