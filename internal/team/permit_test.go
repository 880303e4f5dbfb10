package team

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/git"
	"mgx/internal/guard/policy"
	"mgx/internal/sandbox"
)

func TestThePolicyOfARunIsTheOneItWasStartedWith(t *testing.T) {
	p, ok := policy.Builtin("ask")
	if !ok {
		t.Fatal("there is no policy ask")
	}
	got, err := RulesOf(mgx.RunSettings{Policy: &mgx.PolicyInfo{Text: p.String(), Hash: p.Hash()}})
	if err != nil || got.Hash() != p.Hash() {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := RulesOf(mgx.RunSettings{Policy: &mgx.PolicyInfo{Text: "allow\n", Hash: p.Hash()}}); !mgx.IsCode(err, policy.CodeBadPolicy) {
		t.Errorf("a text with another hash: %v", err)
	}
	auto, _ := policy.Builtin(policy.Default)
	if old, err := RulesOf(mgx.RunSettings{}); err != nil || old.Hash() != auto.Hash() {
		t.Errorf("a run from before there were policies: %v, %v", old, err)
	}
}

func TestARefusedCallIsBlamed(t *testing.T) {
	r := &run{}
	goal := mgx.Errorf(mgx.KindGoal, "no_change", "nothing was done")
	if r.blame(goal) != error(goal) || r.blame(nil) != nil {
		t.Error("something is blamed that did not happen")
	}
	r.wentWithout("b/2", "second")
	r.wentWithout("a/1", "first")
	err := r.blame(goal)
	if mgx.AsError(err).Kind != mgx.KindRefused || !strings.Contains(err.Error(), "nothing was done") || !strings.Contains(err.Error(), "first") {
		t.Errorf("%v", err)
	}
	if r.blame(nil) != nil || mgx.AsError(r.blame(mgx.Errorf(mgx.KindBudget, "x", "y"))).Kind != mgx.KindBudget {
		t.Error("another end is called a refusal")
	}
}

// tree makes files, directories (ending in /) and links (NAME -> TO).
func tree(t *testing.T, names ...string) *os.Root {
	t.Helper()
	dir := t.TempDir()
	for _, n := range names {
		name, to, link := strings.Cut(n, " -> ")
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case link:
			err = os.Symlink(to, path)
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o755)
		default:
			err = os.WriteFile(path, []byte(name), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// TestAVeilFindsWhatIsKept looks for kept paths by their own names and by those that
// links give them.
func TestAVeilFindsWhatIsKept(t *testing.T) {
	files := []string{
		"secrets/key", "secrets/deep/er", "a/.env", "a/b/.env", ".git/secrets/x", "vendor/x/y", "vendor/own/secret.txt", "c/secret",
		"by -> c", "way -> secrets/key", "out -> /etc", "odd[*]/x", "self -> .", "no -> nowhere",
	}
	for rules, want := range map[string]string{
		"deny path secrets":            "secrets",
		"deny path secrets/**":         "secrets",
		"deny path **/.env":            "a/.env a/b/.env",
		"deny path way":                "secrets/key way",
		"deny path by/secret":          "c/secret",
		"deny path by/*":               "c/secret",
		"deny path by":                 "by c",
		"deny path out,no":             "no out",
		"deny path nothing":            "",
		"deny path .git":               "",
		"ask effect write path vendor": "vendor",
		"ask effect write path vendor\ndeny path **/secret.txt": "vendor vendor/own/secret.txt",
		`deny path "odd[*]"`: "odd[*]",
	} {
		p, err := policy.Parse("allow\n" + rules)
		if err != nil {
			t.Fatal(err)
		}
		v := &veil{kept: p.Kept(policy.Facts{Effect: policy.Execute})}
		found, err := v.look(t.Context(), tree(t, files...))
		if err != nil {
			t.Errorf("%s: %v", rules, err)
		}
		if got := strings.Join(slices.Sorted(maps.Keys(found)), " "); got != want {
			t.Errorf("%s: found %q, want %q", rules, got, want)
		}
	}
}

// TestAVeilHoldsTheDirectoriesAbove looks at what is mounted, as ro NAME, as rw NAME
// for a directory over itself, and as -- NAME for nothing over it.
func TestAVeilHoldsTheDirectoriesAbove(t *testing.T) {
	files := []string{"a/b/keys/x", "a/b/other", "c/keys/y", "c/d/z", "way/in -> ../a/b/other"}
	for _, tc := range []struct {
		rules    string
		readOnly bool
		want     string
	}{
		{"deny path a/b/keys", false, "rw a, rw a/b, -- a/b/keys"},
		{"deny path a/b/keys", true, "-- a/b/keys"},
		{"deny path **/keys", false, "rw a, rw a/b, -- a/b/keys, rw c, -- c/keys"},
		{"ask effect write path a\ndeny path a/b/keys", false, "ro a, -- a/b/keys"},
		{"ask effect write path a/b/keys/x", false, "rw a, rw a/b, rw a/b/keys, ro a/b/keys/x"},
		{"deny path way/in", false, "rw a, rw a/b, -- a/b/other, rw way"},
	} {
		p, err := policy.Parse("allow\n" + tc.rules)
		if err != nil {
			t.Fatal(err)
		}
		root := tree(t, files...)
		v := &veil{kept: p.Kept(policy.Facts{Effect: policy.Execute})}
		if v.held, err = v.look(t.Context(), root); err != nil {
			t.Fatal(err)
		}
		v.cover(root.Name(), git.Blank{File: "/blank", Dir: "/blank"}, tc.readOnly)
		var got []string
		for _, m := range v.mounts {
			name, how := strings.TrimPrefix(m.Guest, sandbox.Workspace+"/"), string(m.Mode)
			if m.Host == "/blank" {
				how = "--"
			} else if m.Host != filepath.Join(root.Name(), name) {
				t.Errorf("%s: %s is mounted at %s", tc.rules, m.Host, m.Guest)
			}
			got = append(got, how+" "+name)
		}
		if got := strings.Join(got, ", "); got != tc.want {
			t.Errorf("%q: mounted %s\nwant %s", tc.rules, got, tc.want)
		}
	}
}

// TestALiftedVeilPutsThingsRight plays what programs can do around mounts.
func TestALiftedVeilPutsThingsRight(t *testing.T) {
	p, err := policy.Parse("allow\ndeny path **/secrets\nask effect write path go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		do    func(root *os.Root) error
		made  string
		moved bool
	}{
		"nothing":   {func(*os.Root) error { return nil }, "", false},
		"elsewhere": {func(r *os.Root) error { return r.WriteFile("other", nil, 0o644) }, "", false},
		"made":      {func(r *os.Root) error { return r.MkdirAll("new/secrets/x", 0o755) }, "new/secrets", false},
		"linked":    {func(r *os.Root) error { return errors.Join(r.MkdirAll("n", 0o755), r.Symlink("../plain", "n/secrets")) }, "n/secrets", false},
		"moved":     {func(r *os.Root) error { return r.Rename("a", "b") }, "", true},
		"replaced":  {func(r *os.Root) error { return errors.Join(r.Rename("go.mod", "x"), r.WriteFile("go.mod", nil, 0o644)) }, "", true},
	} {
		root := tree(t, "a/secrets/key", "plain", "go.mod")
		v := &veil{kept: p.Kept(policy.Facts{Effect: policy.Execute})}
		if v.held, err = v.look(t.Context(), root); err != nil {
			t.Fatal(err)
		}
		if err := c.do(root); err != nil {
			t.Fatal(err)
		}
		made, moved, err := v.lifted(t.Context(), root)
		if err != nil || strings.Join(made, " ") != c.made || moved != c.moved {
			t.Errorf("%s: made %q, moved %v, %v", name, made, moved, err)
		}
		if _, err := root.Lstat(c.made); c.made != "" && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %s is still there", name, c.made)
		}
		if _, err := root.Lstat("plain"); err != nil {
			t.Errorf("%s: what a link led to is gone: %v", name, err)
		}
	}
}

func TestWhatLeavesTheSandbox(t *testing.T) {
	s := mgx.RunSettings{MCP: []mgx.MCPServer{{Name: "docs", Command: "docs"}, {Name: "web", URL: "https://a.example"}, {Name: "docs__web", URL: "https://b.example"}}}
	for range 2 { // in either order
		for name, want := range map[string]bool{
			"read": false, "shell": false, "mcp__docs__search": false, "mcp__web__search": true, "mcp__docs__web__search": true, "mcp__gone__search": true,
			"mcp__docs_search_0a1b2c3d": true, // a name that was shortened
		} {
			if got := Beyond(s, name, policy.Read); got != want {
				t.Errorf("%s, which reads: %v", name, got)
			}
			if got := Beyond(s, name, policy.Write); got != strings.HasPrefix(name, "mcp__") {
				t.Errorf("%s, which writes: %v", name, got)
			}
		}
		slices.Reverse(s.MCP)
	}
}
