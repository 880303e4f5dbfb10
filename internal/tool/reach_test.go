package tool

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestReachTellsWhatACallWouldTouch holds that no way of writing a path hides what
// it leads to, and that what cannot be told is not passed over.
func TestReachTellsWhatACallWouldTouch(t *testing.T) {
	ws := workspace(t, map[string]string{"a/key": "x", "plain": "y", "docs/read.me": "z"})
	for name, to := range map[string]string{"link": "a/key", "dir": "a", "out": "/etc/passwd", "up": "../..", "loop": "loop", "gone": "a/none"} {
		if err := os.Symlink(to, filepath.Join(ws.Root.Name(), name)); err != nil {
			t.Fatal(err)
		}
	}
	patch := "*** Begin Patch\n*** Add File: dir/new\n+x\n*** Update File: plain\n*** Move to: a/moved\n@@\n-y\n+z\n*** End Patch\n"
	for _, c := range []struct {
		tool  string
		args  map[string]any
		want  []string
		vague bool
	}{
		{"read", map[string]any{"path": "plain"}, []string{"plain"}, false},
		{"read", map[string]any{"path": "./a/../plain"}, []string{"plain"}, false},
		{"read", map[string]any{"path": "/workspace/plain"}, []string{"plain"}, false},
		{"read", map[string]any{"path": `"pl\u0061in"`}, []string{"plain"}, false},
		{"read", map[string]any{"path": "link"}, []string{"link", "a/key"}, false},
		{"read", map[string]any{"path": "dir/key"}, []string{"dir/key", "a/key"}, false},
		{"read", map[string]any{"path": "gone"}, []string{"gone", "a/none"}, false},
		{"read", map[string]any{"path": "out"}, []string{"out"}, true},
		{"read", map[string]any{"path": "up/x"}, []string{"up/x"}, true},
		{"read", map[string]any{"path": "loop"}, []string{"loop"}, true},
		{"read", map[string]any{"path": "/etc/passwd"}, []string{"/etc/passwd"}, true},
		{"read", map[string]any{"path": "../x"}, []string{"../x"}, true},
		{"read", map[string]any{"path": OutputsDir + "/a"}, []string{OutputsDir + "/a"}, false},
		{"read", map[string]any{"path": 7}, nil, true},
		{"list", map[string]any{}, []string{"."}, false},
		{"grep", map[string]any{"pattern": "x", "path": "dir"}, []string{"dir", "a"}, false},
		{"glob", map[string]any{"pattern": "dir/**"}, []string{"dir", "a"}, false},
		{"glob", map[string]any{"pattern": "../**"}, nil, true},
		{"glob", map[string]any{"pattern": "**", "path": `"x/../docs/\u002e\u002e/a"`}, []string{"a"}, false},
		{"glob", map[string]any{"pattern": "b/*", "path": `"x/../docs/\u002e\u002e/a"`}, []string{"a/b"}, false},
		{"glob", map[string]any{"pattern": "b/*", "path": `/workspace/"a"`}, []string{`"a"/b`}, false},
		{"edit", map[string]any{"path": "dir/key"}, []string{"dir/key", "a/key"}, false},
		{"write", map[string]any{"path": "new/file"}, []string{"new/file"}, false},
		{"apply_patch", map[string]any{"patch": patch}, []string{"dir/new", "a/new", "plain", "a/moved"}, false},
		{"apply_patch", map[string]any{"patch": "nonsense"}, nil, true},
	} {
		args, err := json.Marshal(c.args)
		if err != nil {
			t.Fatal(err)
		}
		tools, err := ByName([]string{c.tool})
		if err != nil {
			t.Fatal(err)
		}
		got := ReachOf(tools[0], ws, args)
		if !reflect.DeepEqual(got.Paths, c.want) || got.Vague != c.vague {
			t.Errorf("%s %s: %q, vague %v; want %q, %v", c.tool, args, got.Paths, got.Vague, c.want, c.vague)
		}
	}
	for _, b := range Builtins() {
		if r := ReachOf(b, ws, json.RawMessage(`{"path":"plain","pattern":"x","command":"c","patch":"*** Begin Patch\n*** Delete File: plain\n*** End Patch\n"}`)); r.Vague {
			t.Errorf("%s does not say what it touches", b.Spec().Name)
		}
	}
}

// TestHiddenPathsAreNotFound has the tools that look around pass over what is
// hidden, also where a sandbox could search faster.
func TestHiddenPathsAreNotFound(t *testing.T) {
	ws := boxed(t, workspace(t, map[string]string{"secrets/key": "sesame", "a/.env": "sesame", "a/b": "sesame"}))
	ws.Hidden = func(p string) bool { return strings.HasPrefix(p, "secrets") || strings.HasSuffix(p, ".env") }
	if err := ws.Root.Symlink(".", "way"); err != nil {
		t.Fatal(err)
	}
	for _, call := range [][2]string{
		{"list", `{"path":".","depth":4}`},
		{"glob", `{"pattern":"**"}`},
		{"grep", `{"pattern":"sesame"}`},
		{"read", `{"path":"a/key"}`},
		// By a link, whose names of what lies below no rule knows.
		{"list", `{"path":"way","depth":4}`},
		{"glob", `{"pattern":"**","path":"way"}`},
		{"glob", `{"pattern":"way/**"}`},
		{"grep", `{"pattern":"sesame","path":"way"}`},
		{"grep", `{"pattern":"sesame","path":"way/way/a/.."}`},
	} {
		name, args := call[0], call[1]
		tools, err := ByName([]string{name})
		if err != nil {
			t.Fatal(err)
		}
		res, err := tools[0].Call(t.Context(), ws, json.RawMessage(args))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(res.Text, "secrets") || strings.Contains(res.Text, ".env") || name != "read" && !strings.Contains(res.Text, "b") {
			t.Errorf("%s %s: %s", name, args, res.Text)
		}
	}
}
